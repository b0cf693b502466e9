from odoo import api, fields, models
from odoo.exceptions import ValidationError


class QmsSopStepChoice(models.Model):
    """An answer at a step that leads on to another one, or names a category."""

    _name = "qms.sop.step.choice"
    _description = "SOP step choice"
    _inherit = ["qms.sop.part.mixin"]
    _document_path = "step_id.document_id"
    _order = "step_id, sequence, id"

    step_id = fields.Many2one(
        "qms.sop.step", required=True, index=True, ondelete="cascade"
    )
    sequence = fields.Integer(default=10)
    name = fields.Char("Answer", required=True)
    next_step_id = fields.Many2one("qms.sop.step", ondelete="cascade")
    category_id = fields.Many2one("qms.error.category")

    @api.constrains("step_id", "next_step_id")
    def _check_next_step(self):
        for choice in self:
            if (
                choice.next_step_id
                and choice.next_step_id.document_id != choice.step_id.document_id
            ):
                raise ValidationError(
                    self.env._(
                        "Choice %(choice)s: the next step belongs to another SOP.",
                        choice=choice.name,
                    )
                )
