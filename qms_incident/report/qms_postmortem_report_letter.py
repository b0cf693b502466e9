from odoo import models


class QmsPostmortemReportLetter(models.AbstractModel):
    """The same pages on American paper."""

    _name = "report.qms_incident.report_postmortem_letter"
    _inherit = ["report.qms_incident.report_postmortem"]
    _description = "Post-mortem on Letter paper"
