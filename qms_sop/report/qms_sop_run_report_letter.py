from odoo import models


class QmsSopRunReportLetter(models.AbstractModel):
    """The same pages on American paper."""

    _name = "report.qms_sop.report_sop_run_letter"
    _inherit = ["report.qms_sop.report_sop_run"]
    _description = "SOP run on Letter paper"
