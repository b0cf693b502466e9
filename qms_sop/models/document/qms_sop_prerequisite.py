from odoo import fields, models


class QmsSopPrerequisite(models.Model):
    """One thing that has to be at hand before this SOP is run."""

    _name = "qms.sop.prerequisite"
    _description = "SOP prerequisite"
    _inherit = ["qms.sop.part.mixin"]
    _order = "document_id, sequence, id"

    document_id = fields.Many2one(
        "qms.sop.document", required=True, index=True, ondelete="cascade"
    )
    sequence = fields.Integer(default=10)
    kind = fields.Selection(
        [("access", "Access"), ("tool", "Tool"), ("other", "Other")],
        required=True,
        default="access",
    )
    name = fields.Char("Prerequisite", required=True)
