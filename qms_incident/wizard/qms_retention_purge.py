from odoo import api, fields, models


class QmsRetentionPurge(models.TransientModel):
    """Incidents that have been kept for long enough."""

    _inherit = "qms.retention.purge"

    incident_ids = fields.Many2many(
        "qms.incident",
        string="Incidents to purge",
        compute="_compute_due",
        store=True,
        readonly=False,
        context={"active_test": False},
    )

    @api.model
    def _field_of(self, model):
        return "incident_ids" if model == "qms.incident" else super()._field_of(model)

    def _compute_due(self):
        self.incident_ids = False
        return super()._compute_due()

    @api.depends("incident_ids")
    def _compute_count(self):
        return super()._compute_count()
