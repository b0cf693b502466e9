from odoo import api, fields, models

_FIELDS = {"qms.incident": "incident_ids", "qms.postmortem": "postmortem_ids"}


class QmsRetentionPurge(models.TransientModel):
    """Incidents and post-mortems that have been kept for long enough."""

    _inherit = "qms.retention.purge"

    incident_ids = fields.Many2many(
        "qms.incident",
        string="Incidents to purge",
        compute="_compute_due",
        store=True,
        readonly=False,
        context={"active_test": False},
    )
    postmortem_ids = fields.Many2many(
        "qms.postmortem",
        string="Post-mortems to purge",
        compute="_compute_due",
        store=True,
        readonly=False,
    )

    @api.model
    def _field_of(self, model):
        return _FIELDS.get(model) or super()._field_of(model)

    def _compute_due(self):
        self.incident_ids = self.postmortem_ids = False
        return super()._compute_due()

    @api.depends("incident_ids", "postmortem_ids")
    def _compute_count(self):
        return super()._compute_count()
