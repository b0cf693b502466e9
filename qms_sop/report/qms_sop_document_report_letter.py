from odoo import models


class QmsSopDocumentReportLetter(models.AbstractModel):
    """The same pages on American paper."""

    _name = "report.qms_sop.report_sop_document_letter"
    _inherit = ["report.qms_sop.report_sop_document"]
    _description = "SOP on Letter paper"
