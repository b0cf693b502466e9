from odoo import api, fields, models


class QmsIncidentRole(models.TransientModel):
    """Asks who gets which role in an incident."""

    _name = "qms.incident.role"
    _description = "Assign a role in an incident"

    incident_id = fields.Many2one("qms.incident", required=True, readonly=True)
    role_id = fields.Many2one("qms.role", required=True)
    current_id = fields.Many2one(
        "res.users", "Has it now", compute="_compute_current_id"
    )
    user_id = fields.Many2one(
        "res.users",
        "Goes to",
        compute="_compute_user_id",
        store=True,
        readonly=False,
        required=True,
        domain="[('share', '=', False)]",
        help="Suggested: whoever is on duty for the role.",
    )
    note = fields.Text("Handed over with")

    @api.depends("role_id", "incident_id")
    def _compute_current_id(self):
        for one in self:
            one.current_id = one.incident_id._assigned(one.role_id.code).user_id

    @api.depends("role_id")
    def _compute_user_id(self):
        now = fields.Datetime.now()
        for one in self:
            holders = one.role_id and one.role_id._holders(now, immediately=True)
            one.user_id = holders[:1] if holders else one.user_id

    def action_assign(self):
        """Assign the role.

        :return: the action that closes the dialog
        :rtype: dict
        """
        self.ensure_one()
        self.incident_id.check_access("write")
        self.incident_id._assign(self.role_id, self.user_id, self.note)
        return {"type": "ir.actions.act_window_close"}
