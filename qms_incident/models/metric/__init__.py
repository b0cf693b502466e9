from . import qms_incident_target
from . import qms_incident_report
from . import qms_incident_summary
from . import qms_incident_metrics
from . import res_config_settings
