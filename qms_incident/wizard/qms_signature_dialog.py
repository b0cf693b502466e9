from odoo import api, fields, models


class QmsSignatureDialog(models.TransientModel):
    """Whoever signs that an incident is closed all the same sees what is missing."""

    _inherit = "qms.signature.dialog"

    missing_html = fields.Html(compute="_compute_missing_html", sanitize=False)

    @api.depends("model", "res_id", "meaning")
    def _compute_missing_html(self):
        for dialog in self:
            incident = self.env["qms.incident"]
            if dialog.model == incident._name and dialog.meaning == "closed":
                incident = incident.browse(dialog.res_id)
            dialog.missing_html = incident.missing_count and incident.missing_html
