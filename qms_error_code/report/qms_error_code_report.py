from odoo import api, models


class QmsErrorCodeReport(models.AbstractModel):
    """The error catalogue on paper: by category, in the order of the triage."""

    _name = "report.qms_error_code.report_error_catalogue"
    _inherit = ["qms.paper.report"]
    _description = "Error catalogue on paper"

    _together = True

    @api.model
    def _get_report_values(self, docids, data=None):
        codes = self._records("qms.error.code", docids, data)
        by_category = codes.grouped("category_id")
        return {
            "chapters": [
                (category, by_category[category].sorted("name"))
                for category in codes.category_id.sorted(
                    lambda category: (category.sequence, category.id)
                )
            ],
            "count": len(codes),
        }

    @api.model
    def _footer_text(self, records):
        return self.env._(
            "Error catalogue · Uncontrolled when printed · %(printed)s",
            printed=self._printed_text(),
        )
