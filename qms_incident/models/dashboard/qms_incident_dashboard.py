from datetime import date

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.values import without_none

from ...tools.colours import PLAIN, SEVERITIES
from ...tools.periods import LONGEST, PERIODS, resolve

# Of an incident nobody can mean an earlier one, nor of the period before it.
_EARLIEST = date(1981, 1, 1)
# What is held up to the period before; the rest of it is not shown.
_COMPARED = ("incidents", "durations", "repeats", "sla", "actions", "postmortems")


class QmsIncidentReport(models.Model):
    """What the dashboard shows of a period, and of the one before it."""

    _inherit = "qms.incident.report"

    @api.model
    @api.readonly
    @checked
    def get_dashboard(
        self,
        period: str = "last_90_days",
        since: str | None = None,
        until: str | None = None,
        severity: str | None = None,
        category: str | None = None,
    ) -> dict:
        """Return the figures of a period, and what they are held up to.

        :param period: one of :data:`PERIODS`, by the clock of the company
        :param since: the first day of a ``custom`` period, such as ``2026-03-01``
        :param until: its last day
        :param severity: code, alias (P0–P3) or name; all when missing
        :param category: code of a category; all when missing
        :return: ``summary`` as in :meth:`_summary`, ``before`` with the same of the
            period before as far as it is compared, ``since`` and ``until`` of both,
            ``definitions``, ``choices`` of severities and categories, ``colours`` of
            severities by code, ``domain`` of the rows that are counted, ``zone``, and
            ``recorded``: whether there is any incident at all; ``False`` where
            nothing is known
        :raises ValidationError: naming the argument at fault and what is accepted
        """
        days = self._period(period, since, until)
        domain = self._metrics_domain(severity=severity, category=category)
        before = self._summary(days.before_since, days.before_until, domain)
        company = self.env.company
        return without_none(
            {
                "period": period,
                "since": str(days.since),
                "until": str(days.until),
                "zone": self.env["qms.incident"]._zone(company),
                "summary": self._summary(days.since, days.until, domain),
                "before": {
                    "since": str(days.before_since),
                    "until": str(days.before_until),
                    **{name: before[name] for name in _COMPARED},
                },
                "definitions": self._definitions(),
                "choices": {
                    "severity": self._choices("qms.severity", "code"),
                    "category": self._choices("qms.error.category", "code"),
                },
                "colours": {**SEVERITIES, "plain": PLAIN},
                "domain": [
                    ["day", ">=", str(days.since)],
                    ["day", "<=", str(days.until)],
                    *domain,
                ],
                "recorded": bool(self.env["qms.incident"].search_count([], limit=1)),
            }
        )

    @api.model
    def _period(self, name, since=None, until=None):
        """Return the days of a period that a client names.

        :rtype: qms_incident.tools.periods.Period
        """
        if name not in PERIODS:
            with at_field("period"):
                raise ValidationError(
                    self.env._(
                        "Argument period: %(value)s is unknown. Accepted: "
                        "%(accepted)s.",
                        value=repr(name),
                        accepted=", ".join(PERIODS),
                    )
                )
        first = last = None
        if name == "custom":
            first = self._to_day("since", since)
            last = self._to_day("until", until)
            self._check_own_days(first, last)
        now = fields.Datetime.now()
        today = self.env["qms.incident"]._local_day(self.env.company, now)
        return resolve(name, today, first, last)

    @api.model
    def _check_own_days(self, since, until):
        """Refuse a period of one's own that is no period."""
        for name, value in (("since", since), ("until", until)):
            if not value:
                with at_field(name):
                    raise ValidationError(
                        self.env._(
                            "Argument %s: a period of your own needs its first and "
                            "its last day.",
                            name,
                        )
                    )
        self._check_period(since, until)
        if until - since > LONGEST:
            with at_field("since"):
                raise ValidationError(
                    self.env._(
                        "Argument since: from %(since)s to %(until)s is too long; up "
                        "to ten years are accepted.",
                        since=since,
                        until=until,
                    )
                )
        if since < _EARLIEST:
            with at_field("since"):
                raise ValidationError(
                    self.env._(
                        "Argument since: %(since)s is too long ago; days from "
                        "%(earliest)s on are accepted.",
                        since=since,
                        earliest=_EARLIEST,
                    )
                )

    @api.model
    def _choices(self, model, code):
        """Return what the figures can be narrowed to, archived ones too."""
        records = self.env[model].with_context(active_test=False).search(Domain.TRUE)
        return [{"code": record[code], "name": record.name} for record in records]
