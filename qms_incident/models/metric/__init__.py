from . import qms_incident_target
from . import qms_incident_report
from . import qms_incident_sla
from . import qms_incident_summary
from . import qms_incident_metrics
from . import qms_metric_incident
from . import qms_incident_events
from . import res_config_settings
