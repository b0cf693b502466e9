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
    # A copied step belongs to another revision; see qms.sop.document.copy().
    next_step_id = fields.Many2one(
        "qms.sop.step",
        "Leads to",
        ondelete="cascade",
        copy=False,
        help="A later step of this SOP. Empty: the step that follows.",
    )
    ends = fields.Boolean(help="With this answer the procedure is over.")
    category_id = fields.Many2one(
        "qms.error.category",
        "Sets the category",
        ondelete="restrict",
        help="The run takes this category, and shows the commands for it.",
    )

    _name_uniq = models.Constraint(
        "UNIQUE(step_id, name)", "A step has each answer once."
    )

    @api.constrains("step_id", "next_step_id", "ends")
    def _check_next_step(self):
        for choice in self.filtered("next_step_id"):
            if choice.next_step_id.document_id != choice.step_id.document_id:
                raise ValidationError(
                    self.env._(
                        "Choice %(choice)s: the next step belongs to another SOP.",
                        choice=choice.name,
                    )
                )
            if choice.ends:
                raise ValidationError(
                    self.env._(
                        "Choice %(choice)s cannot both end the procedure and lead to "
                        "step %(target)s.",
                        choice=choice.name,
                        target=choice.next_step_id.display_name,
                    )
                )
        self._check_leads_on()

    def _check_leads_on(self):
        """Refuse choices that lead back, which could go round for ever.

        Also called when a revision is submitted: moving a step does not touch
        the choices that lead to it.

        :raises ValidationError: naming the choice and both steps
        """
        for choice in self.filtered("next_step_id"):
            step, target = choice.step_id, choice.next_step_id
            if (target.sequence, target.id) <= (step.sequence, step.id):
                raise ValidationError(
                    self.env._(
                        "Choice %(choice)s of step %(step)s leads back to step "
                        "%(target)s. A choice leads to a later step, or to the end.",
                        choice=choice.name,
                        step=step.display_name,
                        target=target.display_name,
                    )
                )

    def _diff_noun(self):
        return self.env._("Choice")
