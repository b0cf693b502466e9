from odoo import models


class QmsSopRunHistoryReportLetter(models.AbstractModel):
    """The same pages on American paper."""

    _name = "report.qms_sop.report_run_history_letter"
    _inherit = ["report.qms_sop.report_run_history"]
    _description = "Run history on Letter paper"
