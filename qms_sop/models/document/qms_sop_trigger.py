from odoo import fields, models

# What makes a procedure start; a run says which of them it was.
TRIGGERS = [
    ("manual", "Manual"),
    ("automated", "Automated"),
    ("scheduled", "Scheduled"),
]


class QmsSopTrigger(models.Model):
    """One thing that makes this SOP start."""

    _name = "qms.sop.trigger"
    _description = "SOP trigger"
    _inherit = ["qms.sop.part.mixin"]
    _order = "document_id, sequence, id"

    document_id = fields.Many2one(
        "qms.sop.document", required=True, index=True, ondelete="cascade"
    )
    sequence = fields.Integer(default=10)
    kind = fields.Selection(TRIGGERS, required=True, default="manual")
    name = fields.Char("Trigger", required=True)
