from odoo import api, fields, models

from ...tools.markdown import to_html


class QmsSopStep(models.Model):
    """One step of one SOP revision."""

    _name = "qms.sop.step"
    _description = "SOP step"
    _inherit = ["qms.sop.part.mixin"]
    _order = "document_id, sequence, id"

    document_id = fields.Many2one(
        "qms.sop.document", "SOP", required=True, index=True, ondelete="cascade"
    )
    document_state = fields.Selection(related="document_id.state", string="SOP state")
    sequence = fields.Integer(default=10)
    number = fields.Integer(compute="_compute_number")
    name = fields.Char("Step", required=True)
    objective = fields.Text()
    instructions = fields.Text(help="Markdown.")
    instructions_html = fields.Html(compute="_compute_html")
    command_ids = fields.One2many(
        "qms.sop.step.command", "step_id", "Commands", copy=True
    )
    expected_result = fields.Text(help="Markdown.")
    expected_result_html = fields.Html(compute="_compute_html")
    verification = fields.Text(help="How to see that the step worked. Markdown.")
    verification_html = fields.Html(compute="_compute_html")
    expected_duration = fields.Integer(help="Minutes; 0: varies.")
    mandatory = fields.Boolean(
        default=True, help="A run cannot be completed while this step is open."
    )
    evidence_required = fields.Boolean(
        help="The step cannot be completed without a piece of evidence."
    )
    choice_ids = fields.One2many("qms.sop.step.choice", "step_id", "Choices", copy=True)

    _duration_positive = models.Constraint(
        "CHECK(expected_duration >= 0)", "An expected duration cannot be negative."
    )

    @api.depends("sequence", "document_id.step_ids.sequence")
    def _compute_number(self):
        numbers = {
            step: number
            for document in self.document_id
            for number, step in enumerate(document.step_ids.sorted(), 1)
        }
        for step in self:
            step.number = numbers.get(step, 0)

    @api.depends("instructions", "expected_result", "verification")
    def _compute_html(self):
        for step in self:
            for name in ("instructions", "expected_result", "verification"):
                step[f"{name}_html"] = to_html(step[name])

    @api.depends("name", "number")
    def _compute_display_name(self):
        for step in self:
            step.display_name = f"{step.number}. {step.name}"
