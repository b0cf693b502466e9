from odoo import fields, models


class QmsPostmortemDecision(models.TransientModel):
    """Asks for the words that go with what somebody does to a post-mortem."""

    _name = "qms.postmortem.decision"
    _description = "Decision on a post-mortem"

    postmortem_id = fields.Many2one("qms.postmortem", required=True, readonly=True)
    decision = fields.Selection(
        [
            ("changes", "Ask for changes"),
            ("draft", "Back to draft"),
            ("amend", "Amend"),
        ],
        required=True,
        readonly=True,
    )
    text = fields.Text("What is right")
    reason = fields.Text()

    def action_confirm(self):
        """Carry the decision out.

        :return: the action that closes the dialog
        :rtype: dict
        """
        self.ensure_one()
        postmortem, reason = self.postmortem_id, self.reason or ""
        if self.decision == "changes":
            postmortem.request_changes(reason)
        elif self.decision == "draft":
            postmortem.move("draft", reason=reason)
        else:
            postmortem.amend(reason, self.text or "")
        return {"type": "ir.actions.act_window_close"}
