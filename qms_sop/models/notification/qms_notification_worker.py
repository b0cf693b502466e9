import uuid
from collections import defaultdict
from datetime import timedelta

from markupsafe import Markup
from psycopg2.errors import SerializationFailure

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, plaintext2html

from odoo.addons.base.models.ir_mail_server import MailDeliveryException

from ...tools import notification_target
from ...tools.notification_target import Outcome, Parcel

# What a worker takes at a time
BATCH = 10
# Minutes after the first, the second … failure; after the last it is given up.
BACK_OFF = (1, 2, 5, 15, 30, 60, 120, 240)
# Minutes after which a worker that took notifications is believed to have died; a
# batch cannot take that long.
LEASE = 15
# How often a notification is sent again whose worker died
_MAX_LOSSES = 1
# Days that notifications are kept once they are over
KEPT_DAYS = 365
# Attempts to take a batch while other workers do the same
_TRIES = 10


class QmsNotification(models.Model):
    """Sending what is in the outbox.

    A worker marks what it takes and commits, sends without a transaction that others
    could wait for, and notes what became of it.
    """

    _inherit = "qms.notification"

    @api.model
    def _cron_send(self):
        """Send what is due, batch by batch, until nothing is left or time is up."""
        commit = self.env["ir.cron"]._commit_progress
        self._give_up_lost()
        commit(remaining=self.search_count(self._due_domain()))
        while True:
            inside = self._lock_inside()
            inside._tell_inside()
            batch = self._claim()
            # What was taken has to be known before it is sent.
            if not commit(len(inside)) or not (inside or batch):
                break
            if batch:
                batch._note(batch._send())
                if not commit(len(batch)):
                    break

    @api.model
    def _due_domain(self):
        now = fields.Datetime.now()
        lost = now - timedelta(minutes=LEASE)
        return (Domain("state", "=", "pending") & Domain("at", "<=", now)) | (
            Domain("state", "=", "sending") & Domain("claimed_at", "<", lost)
        )

    @api.model
    def _lock_inside(self):
        """Return what is due inside Odoo and no other worker has its hands on."""
        return self.search(
            Domain("state", "=", "pending")
            & Domain("at", "<=", fields.Datetime.now())
            & Domain("medium", "in", ("activity", "inbox")),
            order="at, id",
            limit=BATCH,
        ).try_lock_for_update()

    @api.model
    def _give_up_lost(self):
        """Give up what two workers died with: it may well be what killed them."""
        lost = self.search(
            Domain("state", "=", "sending")
            & Domain(
                "claimed_at", "<", fields.Datetime.now() - timedelta(minutes=LEASE)
            )
            & Domain("losses", ">=", _MAX_LOSSES)
        ).try_lock_for_update()
        lost.write(
            {
                "state": "dead",
                "losses": _MAX_LOSSES + 1,
                "failed_at": fields.Datetime.now(),
                "error": self.env._(
                    "The server stopped twice while it was being sent. It may have "
                    "arrived, once or twice."
                ),
            }
        )

    @api.model
    def _claim(self):
        """Mark due notifications as being sent by this worker.

        What acknowledges or resolves waits for what went before it about the same
        thing at the same channel.

        :return: those that nobody else took
        :rtype: qms.notification records
        """
        self.flush_model()
        now = fields.Datetime.now()
        query = SQL(
            """UPDATE qms_notification
                  SET state = 'sending', claim = %(claim)s, claimed_at = %(now)s,
                      attempts = attempts + 1,
                      losses = losses + CASE state WHEN 'sending' THEN 1 ELSE 0 END
                WHERE id IN (
                      SELECT n.id FROM qms_notification n
                       WHERE (n.state = 'pending' AND n.at <= %(now)s
                              OR n.state = 'sending' AND n.claimed_at < %(lost)s)
                         AND n.medium IN ('channel', 'mail')
                         AND (n.intent NOT IN ('acknowledge', 'resolve')
                              OR NOT EXISTS (
                                 SELECT FROM qms_notification o
                                  WHERE o.channel_id = n.channel_id
                                    AND o.thread = n.thread AND o.id < n.id
                                    AND o.state IN ('pending', 'sending')
                                    AND (o.at <= %(now)s OR o.attempts > 0)))
                       ORDER BY n.at, n.id LIMIT %(limit)s
                         FOR UPDATE SKIP LOCKED)
            RETURNING id""",
            claim=str(uuid.uuid4()),
            now=now,
            lost=now - timedelta(minutes=LEASE),
            limit=BATCH,
        )
        for tries in range(1, _TRIES + 1):
            try:
                with self.env.cr.savepoint(flush=False):
                    rows = self.env.execute_query(query)
                break
            except SerializationFailure:
                # Another worker was quicker; what is left shows in a new transaction.
                if tries == _TRIES:
                    raise
                self.env.cr.rollback()
        self.invalidate_model()
        batch = self.browse(sorted(row_id for (row_id,) in rows))
        # Whose they are is remembered from here on, see _still_mine.
        batch.mapped("claim")
        return batch

    # === Sending ===

    def _send(self):
        """Send notifications that this worker took.

        :return: what became of those that were tried
        :rtype: list[Outcome]
        """
        groups = defaultdict(list)
        mails = self.filtered(lambda one: one.medium == "mail")
        for one in self - mails:
            groups[one.channel_id.id].append(one._parcel())
        policy = self.env["qms.notification.channel"]._policy()
        prepared = [(one.id, one._mail()) for one in mails]
        # Nobody is to wait for a transaction that waits for somebody else's server.
        self.env.cr.flush()
        return [
            *notification_target.send_all(groups.values(), policy),
            *self._send_mails(prepared),
        ]

    def _parcel(self):
        """Return one notification as it is sent to a channel.

        :rtype: Parcel
        """
        return Parcel(
            id=self.id,
            # sudo: nobody reads the address.
            url=self.channel_id.sudo().address or "",
            subject=self.subject,
            body=self.body or "",
            intent=self.intent,
            severity=self.severity or "",
            thread=self.thread or "",
            link=self.link or "",
            key=f"{self.key}@{self.target}",
            event=self.event,
        )

    def _mail(self):
        """Return one notification as a mail, or why there is none.

        :rtype: email.message.EmailMessage or str
        """
        servers = self.env["ir.mail_server"]
        sender = servers._get_default_from_address() or self.env.company.email_formatted
        if not self.user_id.email:
            return self.env._("The person has no mail address.")
        if not sender:
            return self.env._(
                "There is no address to send from: set one in Odoo's general settings."
            )
        body = plaintext2html(self.body or "")
        if self.link:
            body += Markup('<p><a href="%s">%s</a></p>') % (
                self.link,
                self.record_name or self.link,
            )
        domain = sender.rpartition("@")[2].strip(" >")
        return servers._build_email__(
            email_from=sender,
            email_to=[self.user_id.email_formatted],
            subject=self.subject,
            body=body,
            subtype="html",
            headers={"Auto-Submitted": "auto-generated"},
            # The same when it is sent twice, so that mail programs can tell.
            message_id=f"<qms.notification.{self.id}.{self.env.cr.dbname}@{domain}>",
        )

    @api.model
    def _send_mails(self, prepared):
        """Send mails by Odoo's mail server.

        :param prepared: pairs of notification id and what :meth:`_mail` returned
        :rtype: list[Outcome]
        """
        outcomes = []
        for one_id, message in prepared:
            if isinstance(message, str):
                outcomes.append(Outcome(one_id, message))
                continue
            try:
                self.env["ir.mail_server"].send_email(message)
            except (MailDeliveryException, OSError, ValueError) as error:
                said = " ".join(str(error).split()) or type(error).__name__
                outcomes.append(Outcome(one_id, said[:1000]))
                # The others would wait for the same server.
                break
            outcomes.append(Outcome(one_id, ""))
        return outcomes

    # === Noting ===

    def _note(self, outcomes):
        """Note what became of notifications that this worker took.

        What was not tried, because another one to the same place failed, waits as
        long as anything else that goes there.

        :param outcomes: list of Outcome
        """
        now = fields.Datetime.now()
        errors = dict(outcomes)
        times = set()
        broken = self.browse()
        for one in self._still_mine():
            if one.id not in errors:
                later = now + timedelta(minutes=BACK_OFF[0])
                times.add(later)
                one.write(
                    {"state": "pending", "at": later, "attempts": one.attempts - 1}
                )
            elif not errors[one.id]:
                one.write({"state": "sent", "sent_at": now, "error": False})
            else:
                values = {"failed_at": now, "error": errors[one.id]}
                if one.attempts > len(BACK_OFF):
                    one.write({**values, "state": "dead"})
                else:
                    later = now + timedelta(minutes=BACK_OFF[one.attempts - 1])
                    times.add(later)
                    one.write({**values, "state": "pending", "at": later})
                broken |= one
        broken._hold_back(now + timedelta(minutes=BACK_OFF[0]))
        if times:
            self._wake(times)

    def _still_mine(self):
        """Return those that no other worker took over, believing this one dead."""
        claims = {one.id: one.claim for one in self}
        self.invalidate_recordset(["claim", "state"])
        return self.filtered(
            lambda one: one.state == "sending" and one.claim == claims[one.id]
        )

    def _hold_back(self, later):
        """Have whatever goes to the same channels wait a little, too."""
        channels = self.channel_id
        if channels:
            self.search(
                Domain("channel_id", "in", channels.ids)
                & Domain("state", "=", "pending")
                & Domain("at", "<", later)
            ).try_lock_for_update().write({"at": later})

    # === Tidying up ===

    @api.autovacuum
    def _gc_over(self):
        """Forget notifications that were delivered or cancelled long ago."""
        limit = fields.Datetime.now() - timedelta(days=KEPT_DAYS)
        self.search(
            Domain("state", "in", ("sent", "cancelled"))
            & Domain("create_date", "<", limit),
            order="id",
            limit=10_000,
        ).unlink()
