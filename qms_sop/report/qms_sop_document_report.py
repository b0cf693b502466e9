from odoo import api, models

from ..tools.markdown import to_html


class QmsSopDocumentReport(models.AbstractModel):
    """What goes on the printed page of SOP revisions."""

    _name = "report.qms_sop.report_sop_document"
    _inherit = ["qms.paper.report"]
    _description = "SOP on paper"

    @api.model
    def _get_report_values(self, docids, data=None):
        return {
            "docs": self.env["qms.sop.document"].browse(docids),
            "to_html": to_html,
        }

    @api.model
    def _footer_text(self, records):
        return records._footer_text()
