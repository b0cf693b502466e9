from odoo import models


class QmsErrorCodeReportLetter(models.AbstractModel):
    """The same pages on American paper."""

    _name = "report.qms_error_code.report_error_catalogue_letter"
    _inherit = ["report.qms_error_code.report_error_catalogue"]
    _description = "Error catalogue on Letter paper"
