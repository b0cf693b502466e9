from . import qms_incident_audit
from . import qms_incident_issue
from . import qms_incident_retention
from . import qms_audit_bundle
from . import qms_audit_check
from . import qms_audit_integrity
from . import qms_sop_run_escalation
