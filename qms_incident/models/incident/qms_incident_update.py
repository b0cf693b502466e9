import uuid
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.idempotency import idempotent
from odoo.addons.qms_sop.tools.values import to_rfc3339, without_none
from odoo.addons.qms_sop.tools.zones import in_utc

from .qms_incident import HURTING_STATES
from .qms_incident_rpc import PLAIN

KINDS = [
    ("detected", "Detected"),
    ("update", "Update"),
    ("resolved", "Resolved"),
]
# Who sees to the updates; whoever has the first of these roles is reminded.
_TELLERS = ("communications_lead", "incident_commander")
_DUE = "incident_update_due"
PLAIN["public_status"] = "public_status"


class QmsIncidentUpdate(models.Model):
    """What stakeholders were told, when and by whom; never changed afterwards.

    Written by :meth:`QmsIncident.send_update` only.
    """

    _name = "qms.incident.update"
    _description = "Update for stakeholders"
    _inherit = ["qms.audit.mixin"]
    _order = "sent_at desc, id desc"
    _rec_name = "message"
    _audit_root_path = "incident_id"
    _audit_began = "sent_at"

    incident_id = fields.Many2one(
        "qms.incident", required=True, readonly=True, index=True, ondelete="restrict"
    )
    kind = fields.Selection(KINDS, required=True, readonly=True)
    message = fields.Text("Told", required=True, readonly=True)
    public_text = fields.Text("Published", readonly=True)
    told = fields.Char("To", readonly=True)
    sent_at = fields.Datetime("When", required=True, readonly=True)
    user_id = fields.Many2one("res.users", "From", required=True, readonly=True)
    next_update_at = fields.Datetime("Next promised for", readonly=True)

    def _to_dict(self):
        self.ensure_one()
        return {
            "id": self.id,
            "kind": self.kind,
            "message": self.message,
            "public_text": self.public_text or None,
            "told": self.told or None,
            "sent_at": to_rfc3339(self.sent_at),
            "user_id": self.user_id.id,
            "next_update_at": to_rfc3339(self.next_update_at),
        }


class QmsIncident(models.Model):
    """Updates for stakeholders, and when the next one is due."""

    _name = "qms.incident"
    _inherit = ["qms.incident", "qms.notification.source.mixin"]

    update_ids = fields.One2many(
        "qms.incident.update", "incident_id", "Updates", readonly=True
    )
    next_update_at = fields.Datetime(
        "Next update due", readonly=True, copy=False, index="btree_not_null"
    )
    update_overdue = fields.Boolean(
        "Update overdue",
        compute="_compute_update_overdue",
        search="_search_update_overdue",
    )
    public_status = fields.Text(
        "Public status",
        copy=False,
        help="What may be said outside. It names neither people nor systems of yours.",
    )

    @api.depends("next_update_at")
    def _compute_update_overdue(self):
        now = fields.Datetime.now()
        for incident in self:
            due = incident.next_update_at
            incident.update_overdue = bool(due and due < now)

    @api.model
    def _search_update_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        late = Domain("next_update_at", "<", fields.Datetime.now())
        domain = Domain.FALSE
        if True in value:
            domain |= late
        if False in value:
            domain |= ~late | Domain("next_update_at", "=", False)
        return domain

    # === When the next one is due ===

    @api.model_create_multi
    def create(self, vals_list):
        incidents = super().create(vals_list)
        for incident in incidents:
            incident._promise_update()
        return incidents

    def write(self, vals):
        before = {incident: incident.severity_id for incident in self}
        result = super().write(vals)
        for incident, severity in before.items():
            if "state" in vals and incident.state not in HURTING_STATES:
                incident._forget_promise()
            elif "state" in vals and not incident.next_update_at:
                incident._promise_update()
            elif incident.severity_id != severity:
                incident._promise_update()
        return result

    def _promise_update(self, minutes=None):
        """Note when the next update is due, and have somebody reminded then.

        :param minutes: until then; those of the severity when ``None``
        """
        self.ensure_one()
        if minutes is None:
            minutes = self.severity_id.update_interval
        if not minutes or self.state not in HURTING_STATES:
            self._forget_promise()
            return
        now = fields.Datetime.now().replace(microsecond=0)
        due = now + timedelta(minutes=minutes)
        self._forget_promise(due)
        last = self.update_ids[:1]
        self.env["qms.notification"]._enqueue(
            _DUE,
            self,
            # Each promise is an occasion of its own, also one that is renewed at once.
            key=f"incident:{self.id}:update_due:{uuid.uuid4()}",
            users=self._teller(),
            values={"last_update": last.message},
            at=due,
        )

    def _forget_promise(self, due=False):
        """Take back the reminders there are; the next update is due then, or never."""
        if self.next_update_at:
            outbox = self.env["qms.notification"]
            outbox._settle(self, _DUE)
            # sudo: a reminder that nobody needs any more, whoever was to get it
            outbox.sudo().search(
                Domain("model", "=", self._name)
                & Domain("res_id", "=", self.id)
                & Domain("event", "=", _DUE)
                & Domain("state", "=", "pending")
            ).state = "cancelled"
        if due or self.next_update_at:
            self._write_system({"next_update_at": due})

    def _teller(self):
        """Return who is reminded of the next update.

        :rtype: res.users record, or an empty one
        """
        for code in _TELLERS:
            if assigned := self._assigned(code):
                return assigned.user_id
        return self.user_id.filtered(self._is_person)

    # === RPC ===

    @checked
    @idempotent
    def send_update(
        self,
        message: str,
        kind: str = "update",
        public_text: str | None = None,
        channels: list[str] | None = None,
        users: list[str] | None = None,
        next_minutes: int | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Tell stakeholders how one incident stands.

        :param message: what is new, for people of the organisation
        :param kind: ``detected``, ``update`` or ``resolved``
        :param public_text: what may be said outside; kept apart from the message
        :param channels: names of notification channels; those that subscribe to such
            updates when missing
        :param users: logins of people to tell
        :param next_minutes: until the next update; as the severity has it when missing,
            0 for when there is news
        :return: ``id``, ``kind``, ``message``, ``public_text``, ``told``, ``sent_at``,
            ``user_id`` and ``next_update_at``
        :raises ValidationError: naming the argument at fault
        :raises UserError: when there is nobody to tell, or the incident is closed
        """
        self._only_one().check_access("write")
        found = self.env["qms.notification.channel"]
        with at_field("channels"):
            for name in channels or ():
                found |= self._channel(name)
        people = self.env["res.users"]
        with at_field("users"):
            for login in users or ():
                people |= self._user(login)
        if channels is None:
            found = self._update_channels(kind)
        update = self._send_update(
            message, kind, public_text, found, people, next_minutes
        )
        return without_none(update._to_dict())

    def _channel(self, name):
        # sudo: automation tells channels without seeing where they lead to
        channels = self.env["qms.notification.channel"].sudo()
        usable = Domain("company_id", "in", [False, self.company_id.id])
        found = channels.search(usable & Domain("name", "=", name.strip()), limit=1)
        if not found:
            raise ValidationError(
                self.env._(
                    "There is no notification channel %(name)s. Accepted: "
                    "%(accepted)s.",
                    name=repr(name),
                    accepted=", ".join(channels.search(usable).mapped("name"))
                    or self.env._("none yet"),
                )
            )
        return found.sudo(False)

    def _update_channels(self, kind):
        """Return the channels that hear of updates unless told otherwise.

        Those that subscribe to them, and those that were told of the incident before.

        :rtype: qms.notification.channel records
        """
        # sudo: who was told is not for everybody who tells
        told = (
            self.env["qms.notification"]
            .sudo()
            ._read_group(
                Domain("model", "=", self._name)
                & Domain("res_id", "=", self.id)
                & Domain("channel_id.active", "=", True),
                ["channel_id"],
            )
        )
        channels = self.env["qms.notification.channel"].sudo()
        found = channels._subscribed(f"incident_{kind}", self)
        for (channel,) in told:
            found |= channel
        kept = found.filtered(lambda channel: not channel.is_incident_service)
        return kept.sudo(False)

    def _send_update(
        self, message, kind, public_text, channels, users, next_minutes=None
    ):
        """See :meth:`send_update`.

        :param channels: qms.notification.channel records
        :param users: res.users records
        :rtype: qms.incident.update record
        """
        message, public = message.strip(), (public_text or "").strip()
        self._check_update(message, kind, next_minutes)
        if not (channels or users or public):
            raise UserError(
                self.env._(
                    "Choose at least one channel or person to be told, or give a "
                    "public text."
                )
            )
        if kind == "resolved" and next_minutes is None:
            next_minutes = 0
        self._promise_update(next_minutes)
        # sudo: nobody writes updates but this method, which says who was told
        told = [*channels.sudo().mapped("name"), *users.sudo().mapped("name")]
        update = (
            self.env["qms.incident.update"]
            .sudo()
            .create(
                {
                    "incident_id": self.id,
                    "kind": kind,
                    "message": message,
                    "public_text": public or False,
                    "told": ", ".join(told) or False,
                    "sent_at": fields.Datetime.now(),
                    "user_id": self.env.uid,
                    "next_update_at": self.next_update_at,
                }
            )
            .sudo(False)
        )
        if public:
            self.write({"public_status": public})
        if channels or users:
            self.env["qms.notification"]._enqueue(
                f"incident_{kind}",
                self,
                key=f"incident:{self.id}:update:{update.id}",
                channels=channels,
                users=users,
                values=self._update_values(message, self.next_update_at),
            )
        self._bump_version()
        return update

    def _update_values(self, message, due):
        """Return what the texts of an update know besides the incident.

        :param str message: what is new
        :param datetime due: when the next update is, UTC; or a false value
        """
        return {
            "message": message,
            "next_update": in_utc(due),
            "sender": self.env.user.name,
        }

    def _check_update(self, message, kind, next_minutes):
        if self._is_final():
            self._check_unlocked({"public_status": message})
        if kind not in dict(KINDS):
            with at_field("kind"):
                raise ValidationError(
                    self.env._(
                        "Argument kind: %(kind)s is unknown. Accepted: %(accepted)s.",
                        kind=repr(kind),
                        accepted=", ".join(dict(KINDS)),
                    )
                )
        if not message:
            with at_field("message"):
                raise ValidationError(self.env._("Argument message: say what is new."))
        if next_minutes is not None and not 0 <= next_minutes <= 10_080:
            with at_field("next_minutes"):
                raise ValidationError(
                    self.env._(
                        "Argument next_minutes: %s is not accepted; give 0 to 10080 "
                        "minutes (a week).",
                        next_minutes,
                    )
                )

    # === What is told ===

    @api.model
    def _notification_names(self):
        return {
            **super()._notification_names(),
            "title": self.env._("what happens, in a line"),
            "state": self.env._("state of the incident"),
            "severity": self.env._("severity"),
            "priority": self.env._("P0 to P3"),
            "category": self.env._("category of the error"),
            "error_code": self.env._("error code"),
            "description": self.env._("what users experience"),
            "systems": self.env._("affected systems"),
            "impact": self.env._("users and operations affected"),
            "workaround": self.env._("what users can do meanwhile"),
            "commander": self.env._("who coordinates the response"),
            "responsible": self.env._("who is responsible"),
            "began": self.env._("when it began, UTC"),
            "detected": self.env._("when it was detected, UTC"),
            "resolved": self.env._("when it was resolved, UTC"),
            "duration": self.env._("minutes from the detection until resolved, or now"),
            "root_cause": self.env._("root cause, once it is confirmed"),
            "actions": self.env._("actions, one a line"),
            "public_status": self.env._("what may be said outside"),
            "update_minutes": self.env._("minutes between two updates"),
        }

    def _notification_values(self):
        until = self.resolved_at or fields.Datetime.now()
        minutes = int((until - self.detected_at).total_seconds()) // 60
        users = self.users_affected
        impact = [
            self.env._("%s users", users) if users is not False else None,
            self.operations_affected,
        ]
        return {
            **super()._notification_values(),
            "name": self.name,
            "title": self.title,
            "state": self._state_label(self.state),
            "severity": self.severity_id.name,
            "priority": self.severity_id.alias,
            "category": self.category_id.name,
            "error_code": self.error_code_id.name,
            "description": self.description,
            "systems": ", ".join(self.system_ids.mapped("name")),
            "impact": "; ".join(filter(None, impact)),
            "workaround": self.workaround,
            "commander": self.commander_id.name,
            "responsible": self.user_id.name,
            "began": in_utc(self.occurred_at),
            "detected": in_utc(self.detected_at),
            "resolved": in_utc(self.resolved_at),
            "duration": max(minutes, 0),
            "root_cause": self._analyses()[:1].root_cause,
            "actions": self._all_actions().mapped("display_name"),
            "public_status": self.public_status,
            "update_minutes": self.severity_id.update_interval or None,
        }

    def _notification_url(self):
        return f"{self.get_base_url()}/odoo/qms-incidents/{self.id}"

    def _notification_severity(self):
        return self.severity_id

    def _notification_thread(self):
        return self.name

    # === Elsewhere ===

    def _tell_event(self, event, said):
        if said["model"] == "qms.incident.update":
            return "update.sent", said["record_name"]
        return super()._tell_event(event, said)

    @api.model
    def _timeline_labels(self):
        return {
            **super()._timeline_labels(),
            "update.sent": self.env._("Stakeholders told"),
        }

    def _to_dict(self):
        return {
            **super()._to_dict(),
            "next_update_at": to_rfc3339(self.next_update_at),
        }
