from odoo import fields, models


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
    result = fields.Text()
    error_message = fields.Text()
    error_code_id = fields.Many2one(
        "qms.error.code",
        help="Empty: the catalogue classifies the message.",
    )
    reason = fields.Text()

    def action_confirm(self):
        """Close the step as it was answered."""
        self.ensure_one()
        match self.outcome:
            case "completed":
                self.step_id.complete(self.result or None)
            case "failed":
                self.step_id.fail(
                    self.error_message or None, self.error_code_id.name or None
                )
            case "skipped":
                self.step_id.skip(self.reason or None)
        return {"type": "ir.actions.act_window_close"}
