from . import ir_actions_report
from . import qms_lookup_mixin
from . import qms_severity
from . import qms_error_category
from . import qms_error_evidence_source
from . import qms_error_cause
from . import qms_error_pattern
from . import qms_error_code
