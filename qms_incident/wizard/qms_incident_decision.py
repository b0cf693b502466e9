from odoo import fields, models


class QmsIncidentDecision(models.TransientModel):
    """Asks for the words that go with a transition of an incident."""

    _name = "qms.incident.decision"
    _description = "Decision on an incident"

    incident_id = fields.Many2one("qms.incident", required=True, readonly=True)
    target = fields.Selection(
        [
            ("triaged", "Reopen"),
            ("false_positive", "False positive"),
            ("duplicate", "Duplicate"),
        ],
        required=True,
        readonly=True,
    )
    reason = fields.Text()
    duplicate_of_id = fields.Many2one(
        "qms.incident",
        "Duplicate of",
        domain="[('id', '!=', incident_id), ('state', '!=', 'duplicate')]",
    )

    def action_confirm(self):
        """Carry the decision out.

        :return: the action that closes the dialog
        :rtype: dict
        """
        self.ensure_one()
        self.incident_id._move(
            self.target, self.reason, duplicate_of=self.duplicate_of_id.id or None
        )
        return {"type": "ir.actions.act_window_close"}
