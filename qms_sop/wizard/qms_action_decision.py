from odoo import api, fields, models


class QmsActionDecision(models.TransientModel):
    """Asks for the words that go with a decision on an action."""

    _name = "qms.action.decision"
    _description = "Decision on an action"

    operation = fields.Selection(
        [
            ("done", "Say that it is done"),
            ("reopened", "Take it up again"),
            ("cancelled", "Give it up"),
        ],
        required=True,
        readonly=True,
    )
    action_id = fields.Many2one("qms.action", required=True, readonly=True)
    result = fields.Text("What was done")
    reason = fields.Text()
    due_date = fields.Date(
        "Due", compute="_compute_due_date", store=True, readonly=False
    )
    check_days = fields.Integer(related="action_id.check_days")

    @api.depends("action_id")
    def _compute_due_date(self):
        for wizard in self:
            wizard.due_date = wizard.action_id._due_again()

    def action_confirm(self):
        """Carry the decision out.

        :return: the action that closes the dialog
        :rtype: dict
        """
        self.ensure_one()
        reopening = self.operation == "reopened"
        self.action_id._only_one()._go(
            self.operation,
            result=self.result,
            reason=self.reason,
            due_date=self.due_date if reopening else None,
        )
        return {"type": "ir.actions.act_window_close"}
