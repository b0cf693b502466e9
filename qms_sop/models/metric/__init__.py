from . import qms_metric
from . import qms_sop_run_metrics
from . import qms_metric_clock
from . import qms_sop_run_clock_metrics
from . import qms_sop_run_error_metrics
from . import qms_metric_notification
from . import qms_metric_action
from . import qms_action_metrics
