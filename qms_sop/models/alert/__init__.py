from . import qms_alert_source
from . import qms_alert_matcher
from . import qms_alert_rule
from . import qms_alert_severity_word
from . import qms_maintenance_window
from . import qms_alert
from . import qms_alert_delivery
