from odoo import models


class QmsDocumentHistoryReportLetter(models.AbstractModel):
    """The same pages on American paper."""

    _name = "report.qms_sop.report_document_history_letter"
    _inherit = ["report.qms_sop.report_document_history"]
    _description = "History of an SOP on Letter paper"
