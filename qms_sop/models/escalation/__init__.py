from . import qms_role
from . import qms_role_shift
from . import qms_role_override
from . import qms_escalation_matrix
from . import qms_escalation_policy
from . import qms_escalation_rule
from . import qms_escalation_event
from . import qms_escalation_review
