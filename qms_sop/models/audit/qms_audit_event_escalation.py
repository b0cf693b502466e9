from odoo import fields, models


class QmsAuditEvent(models.Model):
    """That somebody was told of a run is an act in its trail."""

    _inherit = "qms.audit.event"

    kind = fields.Selection(
        selection_add=[("escalated", "Escalated"), ("purged",)],
        ondelete={"escalated": "cascade"},
    )
