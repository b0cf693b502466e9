from . import incident
from . import postmortem
from . import qms_action
from . import qms_sop_run
from . import qms_sop_run_error
from . import qms_alert
from . import res_config_settings
from . import metric
