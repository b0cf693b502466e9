from urllib.parse import urlencode

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import format_date

from odoo.addons.qms_error_code.tools.durations import format_duration
from odoo.addons.qms_sop.models.qms_notification_digest import MORNING
from odoo.addons.qms_sop.tools.zones import local_time

from ...tools.figures import percent_text
from ...tools.periods import resolve
from ..metric.qms_incident_report import MEANS

_EVENT = "incident_month"
# What was not sent by then, because the server stood still, is no news any more.
_LAST_DAY = 7
_SHARES = {
    "repeats": "repeats",
    "sla": "sla",
    "actions_done": "actions",
    "postmortems": "postmortems",
}


class QmsNotification(models.Model):
    """The incidents of a month, by mail, for those who want to know."""

    _inherit = "qms.notification"

    @api.model
    def _cron_incident_month(self):
        """Send the figures of last month where it is the morning of a new one.

        Whoever has got them gets them no second time, so the job may run at any time
        and as often as it likes.
        """
        users = self.env["res.users"].search(
            Domain("res_users_settings_ids.qms_incident_month", "=", True)
            & Domain("email", "!=", False)
        )
        due = {}
        for user in users:
            local = local_time(fields.Datetime.now(), user.tz)
            if local.day <= _LAST_DAY and (local.day > 1 or local.hour >= MORNING):
                key = f"{_EVENT}:{user.id}:{local:%Y-%m}"
                due[key] = (user, local.date())
        known = set(self.search(Domain("key", "in", list(due))).mapped("key"))
        for key, (user, today) in due.items():
            if key not in known:
                self._send_incident_month(user, key, today)
                self.env["ir.cron"]._commit_progress(1)

    @api.model
    def _send_incident_month(self, user, key, today):
        """Have the figures of last month sent to one user, who reads them as himself.

        :param user: res.users record
        :param str key: names the occasion
        :param datetime.date today: where the user is
        """
        companies = user.company_ids
        own = self.with_context(
            lang=user.lang, tz=user.tz, allowed_company_ids=companies.ids
        ).with_user(user)
        reports = own.env["qms.incident.report"]
        if not reports.has_access("read"):
            return
        days = resolve("last_month", today)
        content = []
        for company in companies:
            content += own._incident_month_lines(company, days)
        address = urlencode(
            {"period": "custom", "since": days.since, "until": days.until}
        )
        self._enqueue(
            _EVENT,
            user,
            key=key,
            users=user,
            values={
                "month": _month(own.env, days.since),
                "before": _month(own.env, days.before_since),
                "content": "\n".join(content).rstrip(),
                "dashboard": f"{user.get_base_url()}/odoo/qms-incident-dashboard"
                f"?{address}",
            },
        )

    @api.model
    def _incident_month_lines(self, company, days):
        """Return what is told of the incidents of one company.

        :param company: res.company record
        :param days: qms_incident.tools.periods.Period
        :rtype: list[str]
        """
        reports = self.env["qms.incident.report"]
        of_company = Domain("company_id", "=", company.id)
        now = reports._summary(days.since, days.until, of_company)
        then = reports._summary(days.before_since, days.before_until, of_company)
        names = {code: one["name"] for code, one in reports._definitions().items()}
        # sudo: the name of one's own company is no secret
        lines = [company.sudo().name]
        lines.append(
            self.env._(
                "- %(name)s: %(now)s (before: %(then)s); still open: %(open)s",
                name=names["incidents"],
                now=now["incidents"],
                then=then["incidents"],
                open=now["open"],
            )
        )
        if not now["incidents"]:
            return [*lines, ""]
        for code, name in MEANS.items():
            duration = now["durations"][name]
            lines.append(
                self.env._(
                    "- %(name)s: %(now)s (before: %(then)s); known of %(known)s",
                    name=names[code],
                    now=self._minutes_text(duration["mean"]),
                    then=self._minutes_text(then["durations"][name]["mean"]),
                    known=duration["known"],
                )
            )
        for code, name in _SHARES.items():
            lines.append(
                self.env._(
                    "- %(name)s: %(now)s (before: %(then)s)",
                    name=names[code],
                    now=percent_text(now[name]["percent"]),
                    then=percent_text(then[name]["percent"]),
                )
            )
        return [*lines, ""]

    @api.model
    def _minutes_text(self, value):
        return format_duration(self.env, value and round(value)) or "–"


def _month(env, day):
    return format_date(env, day, date_format="LLLL yyyy")
