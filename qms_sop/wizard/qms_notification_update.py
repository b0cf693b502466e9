from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..models.run.qms_sop_run import OPEN_STATES
from ..tools.zones import in_zone


class QmsNotificationUpdate(models.TransientModel):
    """Asks what stakeholders are told about a run, and shows what they will read."""

    _name = "qms.notification.update"
    _description = "Update for stakeholders"

    run_id = fields.Many2one("qms.sop.run", required=True, readonly=True)
    message = fields.Text("What is new", required=True)
    next_minutes = fields.Integer(
        "Next update in",
        compute="_compute_next_minutes",
        store=True,
        readonly=False,
        help="Minutes. You are reminded of it then. 0: when there is news.",
    )
    channel_ids = fields.Many2many(
        "qms.notification.channel",
        string="Channels",
        compute="_compute_channel_ids",
        store=True,
        readonly=False,
        domain="[('scheme', '!=', 'pagerduty')]",
    )
    user_ids = fields.Many2many(
        "res.users", string="People", domain="[('share', '=', False)]"
    )
    subject = fields.Char(compute="_compute_preview")
    preview = fields.Text(compute="_compute_preview")

    @api.depends("run_id")
    def _compute_next_minutes(self):
        for update in self:
            update.next_minutes = update.run_id.severity_id.update_interval

    @api.depends("run_id")
    def _compute_channel_ids(self):
        for update in self:
            run = update.run_id
            update.channel_ids = run and run._update_channels()

    @api.depends("run_id", "message", "next_minutes")
    @api.depends_context("lang")
    def _compute_preview(self):
        for update in self:
            template = self.env["qms.notification.template"].sudo()
            template = template._by_code("run_update")
            if not (update.run_id and template):
                update.subject = update.preview = False
                continue
            update.subject, update.preview = template._render(
                {**template._values(update.run_id), **update._values()}
            )

    def _values(self):
        next_at = self._next_at()
        return {
            "message": self.message,
            "next_update": next_at and in_zone(next_at, "UTC")[:16] + " UTC",
            "sender": self.env.user.name,
        }

    def _next_at(self):
        if not self.next_minutes:
            return None
        now = fields.Datetime.now().replace(second=0, microsecond=0)
        return now + timedelta(minutes=self.next_minutes)

    def action_send(self):
        """Send the update, and have the sender reminded of the next one.

        :return: the action that closes the dialog
        :rtype: dict
        """
        self.ensure_one()
        if self.next_minutes < 0:
            raise ValidationError(
                self.env._(
                    "Next update in: %(minutes)s is not accepted; give minutes from 0 "
                    "up.",
                    minutes=self.next_minutes,
                )
            )
        if not (self.channel_ids or self.user_ids):
            raise UserError(
                self.env._("Choose at least one channel or person to be told.")
            )
        # Whoever clicks twice tells it once.
        self.run_id._send_update(
            f"update:{self.id}",
            self._values(),
            self.channel_ids,
            self.user_ids,
            self._next_at(),
        )
        return {"type": "ir.actions.act_window_close"}


class QmsSopRun(models.Model):
    """Updates for stakeholders, which stand in the timeline of the run."""

    _inherit = "qms.sop.run"

    def _update_channels(self):
        """Return the channels that hear of updates on one run unless told otherwise.

        Those that subscribe to updates, and those that were told of the run before.

        :rtype: qms.notification.channel records
        """
        channels = self.env["qms.notification.channel"]
        told = self.env["qms.notification"]._read_group(
            [
                ("model", "=", self._name),
                ("res_id", "=", self.id),
                ("channel_id.active", "=", True),
            ],
            ["channel_id"],
        )
        found = channels._subscribed("run_update", self)
        for (channel,) in told:
            found |= channel
        return found.filtered(lambda channel: not channel.is_incident_service)

    def _send_update(self, key, values, channels, users, next_at):
        """Tell stakeholders what is new about one run.

        :param str key: names the update
        :param dict values: ``message``, ``next_update``, ``sender``
        :param channels: qms.notification.channel records
        :param users: res.users records
        :param next_at: UTC datetime of the next update, or ``None``
        """
        self.check_access("write")
        outbox = self.env["qms.notification"]
        told = outbox._enqueue(
            "run_update",
            self,
            key=key,
            channels=channels,
            users=users,
            values=values,
        )
        if not told:
            return
        self.add_timeline_entry(
            values["message"], component=self.env._("Update for stakeholders")
        )
        outbox._settle(self, "update_due")
        if next_at and self.state in OPEN_STATES:
            outbox._enqueue(
                "update_due",
                self,
                key=f"{key}:next",
                users=self.env.user,
                values={"last_update": values["message"]},
                at=next_at,
            )
