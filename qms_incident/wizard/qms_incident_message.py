from odoo import api, fields, models

from ..models.incident.qms_incident_update import KINDS


class QmsIncidentMessage(models.TransientModel):
    """Asks what stakeholders are told about an incident, and shows what they read."""

    _name = "qms.incident.message"
    _description = "Update for stakeholders of an incident"

    incident_id = fields.Many2one("qms.incident", required=True, readonly=True)
    kind = fields.Selection(
        KINDS,
        required=True,
        compute="_compute_kind",
        store=True,
        readonly=False,
    )
    message = fields.Text("What is new", required=True)
    public_text = fields.Text("Said outside")
    next_minutes = fields.Integer(
        "Next update in",
        compute="_compute_next_minutes",
        store=True,
        readonly=False,
        help="Minutes. Whoever sees to the updates is reminded of it then. 0: when "
        "there is news.",
    )
    channel_ids = fields.Many2many(
        "qms.notification.channel",
        string="Channels",
        compute="_compute_channel_ids",
        store=True,
        readonly=False,
    )
    user_ids = fields.Many2many(
        "res.users", string="People", domain="[('share', '=', False)]"
    )
    subject = fields.Char(compute="_compute_preview")
    preview = fields.Text(compute="_compute_preview")

    @api.depends("incident_id")
    def _compute_kind(self):
        for one in self:
            incident = one.incident_id
            if incident.resolved_at:
                one.kind = "resolved"
            else:
                one.kind = "update" if incident.update_ids else "detected"

    @api.depends("incident_id", "kind")
    def _compute_next_minutes(self):
        for one in self:
            minutes = one.incident_id.severity_id.update_interval
            one.next_minutes = 0 if one.kind == "resolved" else minutes

    @api.depends("incident_id", "kind")
    def _compute_channel_ids(self):
        for one in self:
            one.channel_ids = (
                one.incident_id._update_channels(one.kind)
                if one.incident_id and one.kind
                else False
            )

    @api.depends("incident_id", "kind", "message", "next_minutes")
    @api.depends_context("lang")
    def _compute_preview(self):
        # sudo: the words of the template are for everybody who sends by it
        templates = self.env["qms.notification.template"].sudo()
        for one in self:
            template = templates._by_code(f"incident_{one.kind}") if one.kind else None
            if not (one.incident_id and template):
                one.subject = one.preview = False
                continue
            due = one.next_minutes > 0 and fields.Datetime.add(
                fields.Datetime.now(), minutes=one.next_minutes
            )
            values = one.incident_id._update_values(one.message, due)
            one.subject, one.preview = template._render(
                {**template._values(one.incident_id), **values}
            )

    def action_send(self):
        """Send the update.

        :return: the action that closes the dialog
        :rtype: dict
        """
        self.ensure_one()
        self.incident_id.check_access("write")
        self.incident_id._send_update(
            self.message,
            self.kind,
            self.public_text,
            self.channel_ids,
            self.user_ids,
            self.next_minutes,
        )
        return {"type": "ir.actions.act_window_close"}
