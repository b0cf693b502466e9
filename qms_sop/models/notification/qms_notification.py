import uuid

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, plaintext2html

from ...tools.access import can_open

# When the worker is to be woken, as long as the transaction is not committed
_WAKE = "qms_sop.notification_times"
# What is done inside Odoo, in the same transaction as its record here
_INSIDE = ("activity", "inbox")
# How grave something has to be for those who only want important mails
_IMPORTANT = ("critical", "high")


class QmsNotification(models.Model):
    """The outbox: who is told what, by what, and what became of it.

    A notification is written in the transaction of what it tells of, and sent later
    by a worker, outside of any transaction. ``key`` and ``target`` are unique, so it
    is there once, whoever asks for it and how often.

    A worker that dies between sending and noting it leaves the notification as being
    sent; it is sent once more, and given up should that happen again: at the other
    end it arrives at most twice, under the same id.
    """

    _name = "qms.notification"
    _description = "Notification"
    _order = "id desc"
    _rec_name = "subject"

    key = fields.Char(
        required=True,
        readonly=True,
        help="Names the occasion; nobody is told about it twice by the same way.",
    )
    target = fields.Char(required=True, readonly=True)
    event = fields.Char(required=True, readonly=True, index=True)
    template_id = fields.Many2one(
        "qms.notification.template", "Event told", readonly=True, ondelete="set null"
    )
    intent = fields.Selection(
        [
            ("open", "Somebody has to act"),
            ("acknowledge", "Somebody took it over"),
            ("resolve", "It is over"),
            ("tell", "For information"),
        ],
        "Means",
        required=True,
        readonly=True,
    )
    medium = fields.Selection(
        [
            ("channel", "Channel"),
            ("mail", "Mail"),
            ("activity", "Activity"),
            ("inbox", "Inbox"),
        ],
        "By",
        required=True,
        readonly=True,
    )
    channel_id = fields.Many2one(
        "qms.notification.channel", readonly=True, index=True, ondelete="restrict"
    )
    user_id = fields.Many2one(
        "res.users", "Person", readonly=True, index=True, ondelete="cascade"
    )
    told = fields.Char("Who is told", compute="_compute_told")
    model = fields.Char(readonly=True)
    res_id = fields.Many2oneReference("Record", model_field="model", readonly=True)
    record_name = fields.Char("About", readonly=True)
    link = fields.Char(readonly=True)
    thread = fields.Char(
        readonly=True, help="What PagerDuty takes for one incident: the run's number."
    )
    severity = fields.Char(readonly=True)
    subject = fields.Char(required=True, readonly=True)
    body = fields.Text("Message", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True, index=True)
    state = fields.Selection(
        [
            ("pending", "Waiting"),
            ("sending", "Being sent"),
            ("sent", "Delivered"),
            ("dead", "Given up"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        readonly=True,
        default="pending",
        index=True,
    )
    at = fields.Datetime("Not before", required=True, readonly=True)
    attempts = fields.Integer(readonly=True, aggregator=None)
    sent_at = fields.Datetime("Delivered at", readonly=True)
    failed_at = fields.Datetime("Failed at", readonly=True)
    error = fields.Text("Last problem", readonly=True)
    claim = fields.Char(readonly=True)
    claimed_at = fields.Datetime(readonly=True)
    losses = fields.Integer(
        readonly=True,
        aggregator=None,
        help="How often a worker died with it, having sent it or not.",
    )
    activity_id = fields.Many2one(
        "mail.activity", readonly=True, ondelete="set null", index="btree_not_null"
    )

    _key_target_uniq = models.UniqueIndex(
        "(key, target)", "Somebody is told about an occasion once by each way."
    )
    _due_idx = models.Index("(at, id) WHERE state IN ('pending', 'sending')")
    _open_thread_idx = models.Index(
        "(channel_id, thread, id) WHERE state IN ('pending', 'sending')"
    )
    _record_idx = models.Index("(model, res_id)")

    @api.depends("channel_id", "user_id")
    def _compute_told(self):
        for one in self:
            # sudo: the name, also of a channel that was archived or is another's
            own = one.sudo()
            one.told = own.channel_id.name or own.user_id.name

    # === Asking for notifications ===

    @api.model
    def _publish(self, event, record, *, key, users=None, values=None, at=None):
        """Tell of an event whoever wants to hear of it, and the given users.

        Costs no query when there is nobody. Arguments are those of :meth:`_enqueue`.

        :return: the new notifications
        :rtype: qms.notification records
        """
        channels = self._listeners(event, record)
        if not channels and not users:
            return self.browse()
        return self._enqueue(
            event,
            record,
            key=key,
            channels=channels,
            users=users,
            values=values,
            at=at,
        )

    @api.model
    def _listeners(self, event, record):
        """Return the channels that hear of an event without being named.

        Those that subscribe to it; and of those that keep track of incidents, the ones
        that one was opened at, so that it is acknowledged and resolved there too.

        :rtype: qms.notification.channel records
        """
        channels = self.env["qms.notification.channel"]
        subscriptions = channels._subscriptions()
        if not subscriptions:
            return channels
        incident = channels.browse(
            channel_id for channel_id, *_rest, keeps in subscriptions if keeps
        )
        found = channels._subscribed(event, record)
        if not (incident or found):
            return found
        intent = self.env["qms.notification.template"]._intents().get(event)
        if intent == "tell":
            return found - incident
        if incident and intent in ("acknowledge", "resolve"):
            # sudo: see _subscriptions
            opened = self.sudo()._read_group(
                Domain("model", "=", record._name)
                & Domain("res_id", "=", record.id)
                & Domain("channel_id", "in", incident.ids)
                & Domain("intent", "=", "open")
                & Domain("state", "!=", "cancelled"),
                ["channel_id"],
            )
            found = (found - incident) | channels.browse(
                channel.id for (channel,) in opened
            )
        return found

    @api.model
    def _enqueue(
        self, event, record, *, key, channels=None, users=None, values=None, at=None
    ):
        """Have people and channels told of something, each of them once.

        The texts are filled in now. Whatever happens inside Odoo is done at once,
        in this transaction, unless ``at`` is later; the rest is sent by a worker after
        the transaction is committed. Of two transactions that ask for the same at the
        same moment one fails with a serialization error, which Odoo answers by
        running it again.

        :param str event: code of a ``qms.notification.template``; nobody is told when
            that is archived
        :param record: one record of any model; of one that is a
            ``qms.notification.source.mixin`` more is known
        :param str key: names the occasion: who was told under it by some way is not
            told again by that way
        :param channels: qms.notification.channel records; archived ones are left out
        :param users: res.users records, told inside Odoo as the template has it, and
            by mail as they prefer
        :param dict values: further values for the texts, plain ones
        :param at: UTC datetime before which nobody is told; now when missing
        :return: the new notifications; none of those that were there already
        :rtype: qms.notification records
        :raises ValidationError: for an event that is not known
        """
        record.ensure_one()
        # sudo: telling is a consequence of what the user does, not an act of theirs;
        # texts, addresses and the outbox are not theirs either.
        template = self.env["qms.notification.template"].sudo()._by_code(event)
        if not template:
            return self.browse()
        now = fields.Datetime.now()
        facts = {
            "key": key,
            "event": event,
            "template_id": template.id,
            "intent": template.intent,
            "model": record._name,
            "res_id": record.id,
            "at": max(at or now, now),
            **self._facts(record),
        }
        told = []
        for channel in (channels or self.env["qms.notification.channel"]).sudo():
            if channel.active:
                told.append(
                    (
                        channel.lang or self.env.lang,
                        {
                            "target": f"channel:{channel.id}",
                            "medium": "channel",
                            "channel_id": channel.id,
                        },
                    )
                )
        for user in (users or self.env["res.users"]).sudo():
            if not user.active:
                continue
            for medium in self._media(user, template, record, facts["severity"]):
                told.append(
                    (
                        user.lang or self.env.lang,
                        {
                            "target": f"{medium}:{user.id}",
                            "medium": medium,
                            "user_id": user.id,
                        },
                    )
                )
        texts = {}
        rows = []
        for lang, target in told:
            if lang not in texts:
                texts[lang] = self._texts(template, record, values, lang)
            rows.append({**facts, **target, **texts[lang]})
        return self._insert(rows)._begin(now)

    @api.model
    def _facts(self, record):
        """Return what is known of a record besides the texts."""
        if hasattr(record, "_notification_values"):
            return {
                "thread": record._notification_thread(),
                "severity": record._notification_severity().code or None,
                "company_id": record._notification_company().id or None,
                "link": record._notification_url(),
                "record_name": record.display_name,
            }
        company = record.company_id if "company_id" in record._fields else None
        return {
            "thread": f"{record._name}:{record.id}",
            "severity": None,
            "company_id": company.id if company else None,
            "link": None,
            "record_name": record.display_name,
        }

    @api.model
    def _texts(self, template, record, values, lang):
        worded = template.with_context(lang=lang)
        subject, body = worded._render(
            {
                **worded._values(record.with_context(lang=lang)),
                **(values or {}),
            }
        )
        return {"subject": subject or worded.name, "body": body}

    @api.model
    def _media(self, user, template, record, severity):
        """Return by what a user is told.

        :param user: res.users record
        :param template: qms.notification.template record
        :param record: what it is about
        :param severity: code, or ``None``
        :rtype: list[str]
        """
        media = []
        if template.in_odoo != "none":
            wants_message = template.in_odoo == "message"
            if wants_message and user.notification_type == "inbox":
                media.append("inbox")
            elif "activity_ids" in record._fields:
                media.append("activity")
        important = template.important or severity in _IMPORTANT
        mail = user.qms_mail == "all" or (user.qms_mail == "important" and important)
        # Better by a way that is not wanted than not at all.
        if user.email and (mail or not media):
            media.append("mail")
        return media

    @api.model
    def _insert(self, rows):
        """Write notifications, but not those that are there already.

        :param list rows: dicts of column values, all with the same names
        :return: those that were written
        """
        if not rows:
            return self.browse()
        self.flush_model()
        now = fields.Datetime.now()
        common = {
            "state": "pending",
            "attempts": 0,
            "losses": 0,
            "create_uid": self.env.uid,
            "create_date": now,
            "write_uid": self.env.uid,
            "write_date": now,
        }
        optional = dict.fromkeys(("channel_id", "user_id"))
        rows = [{**common, **optional, **row} for row in rows]
        names = sorted(rows[0])
        inserted = self.env.execute_query(
            SQL(
                "INSERT INTO qms_notification (%s) VALUES %s"
                " ON CONFLICT (key, target) DO NOTHING RETURNING id",
                SQL(", ").join(map(SQL.identifier, names)),
                SQL(", ").join(
                    SQL("%s", tuple(row[name] for name in names)) for row in rows
                ),
            )
        )
        self.env["qms.notification.channel"].invalidate_model(["notification_ids"])
        return self.browse(row_id for (row_id,) in inserted)

    def _begin(self, now):
        """Do now what can be done now, and have the rest done when it is due."""
        # sudo: see _enqueue
        own = self.sudo()
        own.filtered(lambda one: one.medium in _INSIDE and one.at <= now)._tell_inside()
        waiting = own.filtered(lambda one: one.state == "pending")
        if waiting:
            self._wake(set(waiting.mapped("at")))
        return self

    @api.model
    def _wake(self, times):
        """Have the worker come at some times; told once, with the transaction.

        :param times: UTC datetimes
        """
        callbacks = self.env.cr.precommit
        if _WAKE not in callbacks.data:
            callbacks.data[_WAKE] = set()
            callbacks.add(self.browse()._trigger_worker)
        callbacks.data[_WAKE].update(times)

    @api.model
    def _trigger_worker(self):
        now = fields.Datetime.now()
        times = {max(at, now) for at in self.env.cr.precommit.data.pop(_WAKE, ())}
        # sudo: jobs are the administrator's.
        self.env.ref("qms_sop.ir_cron_send_notifications").sudo()._trigger(list(times))

    @api.model
    def _keep_test(self, channel, template, parcel, error):
        """Keep what became of a test message.

        :param channel: qms.notification.channel record
        :param template: qms.notification.template record
        :param Parcel parcel: what was sent
        :param str error: why it was not taken, empty when it was
        """
        now = fields.Datetime.now()
        self._insert(
            [
                {
                    **self._facts(channel),
                    "key": f"test:{uuid.uuid4()}",
                    "target": f"channel:{channel.id}",
                    "event": "test",
                    "template_id": template.id,
                    "intent": template.intent,
                    "medium": "channel",
                    "channel_id": channel.id,
                    "model": channel._name,
                    "res_id": channel.id,
                    "subject": parcel.subject,
                    "body": parcel.body,
                    "at": now,
                    "attempts": 1,
                    # Nobody misses a test that did not arrive.
                    "state": "cancelled" if error else "sent",
                    "failed_at" if error else "sent_at": now,
                    "error": error or None,
                }
            ]
        )

    # === Inside Odoo ===

    def _tell_inside(self):
        """Tell users by activities and messages of Odoo, in this transaction."""
        for one in self:
            record = one._record()
            problem = False
            if not record:
                problem = self.env._("The record is gone.")
            elif not can_open(record, one.user_id):
                problem = self.env._("The person may not read the record.")
            elif one.medium == "activity":
                one._plan_activity(record)
            else:
                one._post_message(record)
            one.write(
                {
                    "state": "dead" if problem else "sent",
                    "error": problem,
                    "attempts": one.attempts + 1,
                    "failed_at" if problem else "sent_at": fields.Datetime.now(),
                }
            )

    def _plan_activity(self, record):
        # Odoo's own mail about an activity would come on top of ours.
        self.activity_id = (
            record.with_user(SUPERUSER_ID)
            .with_context(mail_activity_quick_update=True)
            .activity_schedule(
                "qms_sop.mail_activity_type_notification",
                summary=self.subject,
                note=plaintext2html(self.body or ""),
                user_id=self.user_id.id,
            )
        )

    def _post_message(self, record):
        self.env["mail.thread"].with_user(SUPERUSER_ID).message_notify(
            model=record._name,
            res_id=record.id,
            subject=self.subject,
            body=plaintext2html(self.body or ""),
            partner_ids=self.user_id.partner_id.ids,
            notify_author=True,
        )

    @api.model
    def _settle(self, record, *events):
        """Mark as done the activities by which people were told of events.

        What they were to be told later is not told any more.

        :param record: one record, of which there is nothing left to do
        :param events: codes of events; all of them when there are none
        """
        domain = (
            Domain("model", "=", record._name)
            & Domain("res_id", "=", record.id)
            & (
                Domain("activity_id", "!=", False)
                | (
                    Domain("state", "=", "pending")
                    & Domain("user_id", "!=", False)
                    & Domain("attempts", "=", 0)
                    & Domain("at", ">", fields.Datetime.now())
                )
            )
        )
        if events:
            domain &= Domain("event", "in", events)
        # sudo: activities of other people, too, which are over for all of them
        found = self.sudo().search(domain)
        found.filtered(lambda one: one.state == "pending").state = "cancelled"
        activities = found.activity_id.filtered("active")
        activities.with_context(mail_activity_quick_update=True).action_done()

    @api.model
    def _activities_of(self, records, *events, users=None):
        """Return the activities, not done yet, by which people were told of records.

        :param records: of one model
        :param events: codes of events; all of them when there are none
        :param users: res.users records; everybody when ``None``
        :rtype: mail.activity records
        """
        domain = (
            Domain("model", "=", records._name)
            & Domain("res_id", "in", records.ids)
            & Domain("activity_id", "!=", False)
        )
        if events:
            domain &= Domain("event", "in", events)
        if users is not None:
            domain &= Domain("user_id", "in", users.ids)
        # sudo: nobody reads the outbox; of other people's activities, too
        return self.sudo().search(domain).activity_id.filtered("active")

    # === Buttons ===

    def action_resend(self):
        """Send notifications again that were given up or cancelled.

        Those of a person inside Odoo are told again, too.
        """
        self._check_may_manage()
        wrong = self.filtered(lambda one: one.state not in ("dead", "cancelled"))
        if wrong:
            raise UserError(
                self.env._(
                    "Only what was given up or cancelled is sent again; this is not: "
                    "%(names)s.",
                    names=", ".join(wrong.mapped("display_name")),
                )
            )
        now = fields.Datetime.now()
        # sudo: nobody writes the outbox by hand.
        self.sudo().write(
            {"state": "pending", "attempts": 0, "losses": 0, "error": False, "at": now}
        )
        self._begin(now)
        return True

    def action_cancel(self):
        """Do not send notifications that still wait."""
        self._check_may_manage()
        # Not one that a worker has just taken.
        locked = self.sudo().try_lock_for_update()
        late = self - locked.filtered(lambda one: one.state in ("pending", "dead"))
        if late:
            raise UserError(
                self.env._(
                    "Only what waits or was given up can be cancelled; this is not: "
                    "%(names)s.",
                    names=", ".join(late.mapped("display_name")),
                )
            )
        self.sudo().state = "cancelled"
        return True

    def action_view_record(self):
        """Open what a notification is about."""
        self.ensure_one()
        record = self._record()
        if not record:
            raise UserError(self.env._("%s is gone.", self.record_name))
        return {
            "type": "ir.actions.act_window",
            "res_model": record._name,
            "res_id": record.id,
            "view_mode": "form",
        }

    def _record(self):
        """Return what one notification is about; empty when that is gone.

        The add-on may be gone that brought its model.
        """
        records = self.env.get(self.model)
        return records is not None and records.browse(self.res_id).exists()

    def _check_may_manage(self):
        """Refuse users who do not configure channels."""
        self.check_access("read")
        self.env["qms.notification.channel"].check_access("write")
