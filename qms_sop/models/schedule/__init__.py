from . import qms_sop_schedule
from . import qms_sop_schedule_occurrence
from . import qms_sop_schedule_engine
