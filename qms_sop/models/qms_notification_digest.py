from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain

from ..tools.zones import local_time
from .run.qms_sop_run import OPEN_STATES

# Hour of the user's own day from which on a digest is sent
MORNING = 7
_MONDAY = 0
# Lines of a section; the rest is counted
_LINES = 15


class QmsNotification(models.Model):
    """The digest: what is open, at risk and overdue, by mail, for those who want it."""

    _inherit = "qms.notification"

    @api.model
    def _cron_digest(self):
        """Send the digests of today to those for whom it is morning by now.

        Whoever has got one today gets no second one, so the job may run at any time
        and as often as it likes. Nothing is sent when there is nothing to tell.
        """
        users = self.env["res.users"].search(
            Domain("qms_digest", "in", ("daily", "weekly"))
            & Domain("email", "!=", False)
        )
        due = {}
        for user in users:
            local = local_time(fields.Datetime.now(), user.tz)
            if local.hour >= MORNING and (
                user.qms_digest == "daily" or local.weekday() == _MONDAY
            ):
                due[user] = f"digest:{user.id}:{local:%Y-%m-%d}"
        known = set(self.search(Domain("key", "in", list(due.values()))).mapped("key"))
        for user, key in due.items():
            if key not in known:
                self._send_digest(user, key)
                self.env["ir.cron"]._commit_progress(1)

    @api.model
    def _send_digest(self, user, key):
        """Have the digest of one user sent, if there is anything to tell.

        :param user: res.users record
        :param str key: names the occasion
        """
        own = self.with_context(
            lang=user.lang, tz=user.tz, allowed_company_ids=user.company_ids.ids
        ).with_user(user)
        sections = [section for section in own._digest_sections() if section[1]]
        if not sections:
            return
        content = []
        for title, count, lines in sections:
            content.append(f"{title} ({count})")
            content += [f"- {line}" for line in lines]
            if count > len(lines):
                more = count - len(lines)
                content.append(own.env._("- … and %(count)s more", count=more))
            content.append("")
        self._enqueue(
            "digest",
            user,
            key=key,
            users=user,
            values={
                "period": own.env._("today")
                if user.qms_digest == "daily"
                else own.env._("this week"),
                "summary": ", ".join(
                    f"{title} {count}" for title, count, _lines in sections
                ),
                "content": "\n".join(content).rstrip(),
            },
        )

    @api.model
    def _digest_sections(self):
        """Return what the digest of the current user tells; others add theirs.

        It is run with the rights of that user: what he may not see is not told.

        :return: of each section title, how many there are, and lines about the first
            of them
        :rtype: list[tuple[str, int, list[str]]]
        """
        breached, at_risk = (
            Domain("sla", "=", "breached"),
            Domain("sla", "=", "at_risk"),
        )
        calm = ~breached & ~at_risk
        mine = Domain("user_id", "=", self.env.uid)
        return [
            self._digest_runs(self.env._("Target missed"), breached),
            self._digest_runs(self.env._("At risk"), at_risk),
            self._digest_runs(self.env._("Your open runs"), calm & mine),
            self._digest_runs(self.env._("Other open runs"), calm & ~mine),
            self._digest_section(
                self.env._("Overdue actions"),
                "qms.action",
                Domain("overdue", "=", True),
                "next_date, id",
                lambda action: (
                    action.display_name,
                    action.user_id.name,
                    fields.Date.to_string(action.next_date),
                ),
            ),
            self._digest_section(
                self.env._("Overdue activities"),
                "mail.activity",
                mine
                & Domain("date_deadline", "<", fields.Date.context_today(self))
                & Domain("res_model", "=like", "qms.%"),
                "date_deadline, id",
                lambda activity: (
                    activity.summary or activity.activity_type_id.name,
                    fields.Date.to_string(activity.date_deadline),
                ),
            ),
            self._digest_dead(),
        ]

    @api.model
    def _digest_runs(self, title, domain):
        return self._digest_section(
            title,
            "qms.sop.run",
            Domain("state", "in", OPEN_STATES) & domain,
            "severity_id, id",
            lambda run: (
                run.name,
                run.severity_id.alias,
                run.summary and run.summary.strip().split("\n")[0][:100],
                run.user_id.name,
                run._notification_url(),
            ),
        )

    @api.model
    def _digest_dead(self):
        """Tell those who can do something about it what was given up."""
        title = self.env._("Notifications given up this week")
        if not self.env["qms.notification.channel"].has_access("write"):
            return title, 0, []
        return self._digest_section(
            title,
            self._name,
            Domain("state", "=", "dead")
            & Domain("failed_at", ">=", fields.Datetime.now() - timedelta(days=7)),
            "id desc",
            lambda one: (one.subject, one.told),
        )

    @api.model
    def _digest_section(self, title, model, domain, order, tell):
        """Return a section of the digest, see :meth:`_digest_sections`.

        :param str title: of the section
        :param str model: of the records
        :param Domain domain: which of them
        :param str order: the most urgent first
        :param tell: gets a record, returns what is said of it; what is empty is not
        """
        records = self.env[model]
        if not records.has_access("read"):
            return title, 0, []
        first = records.search(domain, order=order, limit=_LINES)
        count = len(first)
        if count == _LINES:
            count = records.search_count(domain)
        return title, count, [" · ".join(filter(None, tell(one))) for one in first]
