from odoo import fields, models


class QmsSopDocument(models.Model):
    """Actions are raised from an SOP, such as when it is reviewed."""

    _name = "qms.sop.document"
    _inherit = ["qms.sop.document", "qms.action.source.mixin"]

    action_ids = fields.One2many("qms.action", "document_id", "Actions raised")
