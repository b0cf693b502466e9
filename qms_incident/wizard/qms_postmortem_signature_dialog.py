from odoo import api, fields, models


class QmsSignatureDialog(models.TransientModel):
    """A manager who publishes a post-mortem sees whose reviews are missing."""

    _inherit = "qms.signature.dialog"

    missing_reviews = fields.Char(compute="_compute_missing_reviews")

    @api.depends("model", "res_id", "meaning")
    def _compute_missing_reviews(self):
        for dialog in self:
            missing = []
            if dialog.model == "qms.postmortem" and dialog.meaning == "published":
                missing = dialog._record()._reviews_missing()
            dialog.missing_reviews = " ".join(text for _code, text in missing)
