from odoo import models


class QmsIncidentMonthReportLetter(models.AbstractModel):
    """The same pages on American paper."""

    _name = "report.qms_incident.report_incident_month_letter"
    _inherit = ["report.qms_incident.report_incident_month"]
    _description = "Monthly incident report on Letter paper"
