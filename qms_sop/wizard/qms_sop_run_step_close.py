from odoo import api, fields, models


class QmsSopRunStepClose(models.TransientModel):
    """Asks how a step ended, and what belongs to that end."""

    _name = "qms.sop.run.step.close"
    _description = "Close a step"

    step_id = fields.Many2one("qms.sop.run.step", required=True, readonly=True)
    expected_result_html = fields.Html(related="step_id.expected_result_html")
    outcome = fields.Selection(
        [("completed", "Completed"), ("failed", "Failed"), ("skipped", "Skipped")],
        required=True,
        default="completed",
    )
    needs_choice = fields.Boolean(related="step_id.needs_choice")
    choice_ids = fields.One2many(related="step_id.choice_ids")
    choice_id = fields.Many2one(
        "qms.sop.step.choice",
        compute="_compute_choice_id",
        store=True,
        readonly=False,
        domain="[('id', 'in', choice_ids)]",
        help="The answer found in this step; the run goes on where it leads.",
    )
    result = fields.Text()
    error_message = fields.Text()
    error_code_id = fields.Many2one(
        "qms.error.code",
        help="Empty: the catalogue classifies the message.",
    )
    reason = fields.Text()

    @api.depends("step_id")
    def _compute_choice_id(self):
        for wizard in self:
            step = wizard.step_id
            # Where there is one way on, there is nothing to choose from.
            only = step.choice_ids if len(step.choice_ids) == 1 else step.choice_id
            wizard.choice_id = step.choice_id or only

    def action_confirm(self):
        """Close the step as it was answered."""
        self.ensure_one()
        match self.outcome:
            case "completed":
                self.step_id.complete(self.result or None, self.choice_id.name or None)
            case "failed":
                self.step_id.fail(
                    self.error_message or None, self.error_code_id.name or None
                )
            case "skipped":
                self.step_id.skip(self.reason or None)
        return {"type": "ir.actions.act_window_close"}
