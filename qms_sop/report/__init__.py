from . import qms_sop_document_report
from . import qms_sop_document_report_letter
from . import qms_document_history_report
from . import qms_document_history_report_letter
from . import qms_sop_run_report
from . import qms_sop_run_report_letter
from . import qms_sop_run_history_report
from . import qms_sop_run_history_report_letter
