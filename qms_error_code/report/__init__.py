from . import qms_paper_report
from . import qms_error_code_report
from . import qms_error_code_report_letter
