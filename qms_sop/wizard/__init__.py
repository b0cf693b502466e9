from . import qms_alert_test
from . import qms_sop_import
from . import qms_sop_import_offer
from . import qms_sop_run_start
from . import qms_sop_run_step_close
from . import qms_sop_reason
from . import qms_sop_revise
from . import qms_sop_comparison
