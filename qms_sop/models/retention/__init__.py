from . import qms_retention_rule
from . import qms_retention_mixin
from . import qms_retention_run
from . import qms_retention_document
from . import qms_retention_action
