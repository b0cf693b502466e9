from . import qms_sop_document_report
from . import qms_sop_document_report_letter
