from odoo import api, fields, models


class QmsRetentionPurge(models.TransientModel):
    """Actions that have been kept for long enough."""

    _inherit = "qms.retention.purge"

    action_ids = fields.Many2many(
        "qms.action",
        string="Actions to purge",
        compute="_compute_due",
        store=True,
        readonly=False,
        context={"active_test": False},
    )

    @api.model
    def _field_of(self, model):
        return "action_ids" if model == "qms.action" else super()._field_of(model)

    def _compute_due(self):
        self.action_ids = False
        return super()._compute_due()

    @api.depends("action_ids")
    def _compute_count(self):
        return super()._compute_count()
