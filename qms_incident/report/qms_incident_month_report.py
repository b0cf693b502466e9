from datetime import date, timedelta

from odoo import api, models
from odoo.tools import format_date, format_datetime

from odoo.addons.qms_error_code.tools.durations import format_duration
from odoo.addons.qms_sop.models.run.qms_sop_run_clock import CLOCKS
from odoo.addons.qms_sop.tools.charts import Series, bars, columns

from ..models.metric.qms_incident_report import DURATIONS, MEANS
from ..tools.colours import PLAIN, SEVERITIES
from ..tools.figures import percent_text

_GAPS = ("pending", "unknown", "invalid", "not_applicable")
# More are no reading; and charts show the largest.
_LISTED, _BARS = 200, 8
_LONG = 10  # minutes
# Of a page's width, in CSS pixels; and of half of it
_WIDE, _HALF = 840, 405
_STATE_STYLES = {
    "closed": "q-good",
    "duplicate": "q-low",
    "false_positive": "q-low",
    "detected": "q-bad",
    "triaged": "q-bad",
    "mitigated": "q-medium",
}
_TARGET_STYLES = {"kept": "q-good", "breached": "q-bad"}


class QmsIncidentMonthReport(models.AbstractModel):
    """The incidents of a month on paper: the figures of the dashboard, to be filed.

    Everything is read as the user who prints.
    """

    _name = "report.qms_incident.report_incident_month"
    _inherit = ["qms.paper.report"]
    _description = "Monthly incident report on paper"

    @api.model
    def _get_report_values(self, docids, data=None):
        reports = self._records("qms.incident.month", docids, data)
        return {"pages": [self._page(report) for report in reports]}

    @api.model
    def _footer_text(self, records):
        return self.env._(
            "Incidents, %(month)s · %(company)s · %(printed)s",
            month=records._month_name(records._days()[0]),
            company=records.company_id.name,
            printed=self._printed_text(),
        )

    @api.model
    def _page(self, report):
        """Return what is printed of one month, as texts.

        What is not known is a dash; 0 is a number.

        :param report: qms.incident.month record
        :rtype: dict
        """
        figures = report._figures()
        month, before = figures["month"], figures["before"]
        definitions = self.env["qms.incident.report"]._definitions()
        first, last = report._days()
        rows = report._rows()
        zone = self.env["qms.incident"]._zone(report.company_id)
        return {
            "report": report,
            "month": report._month_name(first),
            "first": first,
            "last": last,
            "zone": zone,
            "before": report._month_name(first - timedelta(days=1)),
            "empty": not rows,
            "figures": self._figures(month, before, definitions),
            "apart": self._apart(month),
            "times": self._times(month, before, definitions),
            "targets": self._targets(month),
            "year_chart": self._year_chart(figures["year"]),
            "year": self._year(figures["year"], report),
            "charts": self._charts(month),
            "rows": [self._row(row, zone) for row in rows[:_LISTED]],
            "left_out": max(len(rows) - _LISTED, 0),
            "definitions": list(definitions.values()),
        }

    @api.model
    def _figures(self, month, before, definitions):
        """Return the key figures.

        :return: the number, its label, what it is of, and that of the month before
        :rtype: list[tuple[str, str, str, str]]
        """
        sla, actions = month["sla"], month["actions"]
        postmortems = month["postmortems"]
        decided = postmortems["on_time"] + postmortems["late"]
        return [
            (
                str(month["incidents"]),
                definitions["incidents"]["name"],
                self.env._("%s open", month["open"]),
                str(before["incidents"]),
            ),
            (
                percent_text(month["repeats"]["percent"]),
                definitions["repeats"]["name"],
                self.env._(
                    "%(part)s of %(whole)s",
                    part=month["repeats"]["incidents"],
                    whole=month["incidents"],
                ),
                percent_text(before["repeats"]["percent"]),
            ),
            (
                percent_text(sla["percent"]),
                definitions["sla"]["name"],
                self.env._(
                    "%(part)s of %(whole)s decided",
                    part=sla["kept"],
                    whole=sla["kept"] + sla["breached"],
                ),
                percent_text(before["sla"]["percent"]),
            ),
            (
                percent_text(actions["percent"]),
                definitions["actions_done"]["name"],
                self.env._(
                    "%(part)s of %(whole)s, %(overdue)s overdue",
                    part=actions["done"],
                    whole=actions["raised"],
                    overdue=actions["overdue"],
                ),
                percent_text(before["actions"]["percent"]),
            ),
            (
                percent_text(postmortems["percent"]),
                definitions["postmortems"]["name"],
                self.env._(
                    "%(part)s of %(whole)s decided, %(required)s required",
                    part=postmortems["on_time"],
                    whole=decided,
                    required=postmortems["required"],
                ),
                percent_text(before["postmortems"]["percent"]),
            ),
        ]

    @api.model
    def _apart(self, month):
        """Return what is said of incidents that no figure is about."""
        apart = month["apart"]
        if not any(apart.values()):
            return ""
        return self.env._(
            "Counted apart: %(duplicates)s duplicates, %(alarms)s false positives.",
            duplicates=apart["duplicate"],
            alarms=apart["false_positive"],
        )

    @api.model
    def _times(self, month, before, definitions):
        """Return the rows of the table of durations.

        :rtype: list[dict]
        """
        rows = []
        for code, name in MEANS.items():
            duration = month["durations"][name]
            gaps = {definitions[gap]["name"].lower(): duration[gap] for gap in _GAPS}
            rows.append(
                {
                    "name": definitions[code]["name"],
                    "cells": [
                        self._minutes(duration[key])
                        for key in ("mean", "median", "p90")
                    ],
                    "known": self.env._(
                        "%(known)s of %(total)s",
                        known=duration["known"],
                        total=month["incidents"],
                    ),
                    "gaps": ", ".join(
                        f"{count} {gap}" for gap, count in gaps.items() if count
                    ),
                    "before": self._minutes(before["durations"][name]["mean"]),
                }
            )
        return rows

    @api.model
    def _targets(self, month):
        """Return the rows of the table of targets.

        :rtype: list[dict]
        """
        names = self.env["qms.incident.report"]._fields
        return [
            {
                "name": names[f"sla_{clock}"]._description_string(self.env),
                "cells": [
                    str(target["kept"]),
                    str(target["breached"]),
                    str(target["pending"]),
                    str(target["unknown"] + target["invalid"]),
                    str(target["not_applicable"]),
                    percent_text(target["percent"]),
                ],
            }
            for clock in CLOCKS
            for target in (month["sla"]["targets"][clock],)
        ]

    @api.model
    def _year_chart(self, year):
        """Return the chart of the incidents of the year by month and severity.

        :rtype: markupsafe.Markup
        """
        names = {
            one["code"] or "none": one["name"] or self.env._("Not said")
            for one in year["by_severity"]
        }
        series = [
            Series(code, name, SEVERITIES.get(code, PLAIN))
            for code, name in reversed(names.items())
        ]
        buckets = [
            (
                format_date(self.env, _day(one["month"]), date_format="LLL yy"),
                one["by_severity"],
            )
            for one in year["months"]
        ]
        return columns(buckets, series, _WIDE, 210)

    @api.model
    def _year(self, year, report):
        """Return the rows of the table of months, the latest first.

        :rtype: list[dict]
        """
        return [
            {
                "month": report._month_name(_day(one["month"])),
                "cells": [
                    str(one["incidents"]),
                    *(
                        self._minutes(one["durations"][name]["mean"])
                        for name in DURATIONS
                    ),
                    percent_text(one["repeats"]["percent"]),
                    percent_text(one["sla"]["percent"]),
                ],
            }
            for one in reversed(year["months"])
        ]

    @api.model
    def _charts(self, month):
        """Return what the incidents are about, as charts of which two go in a row.

        :rtype: list[list[dict]]
        """
        charts = [
            {
                "title": title,
                "svg": bars(
                    [
                        (self._group_label(one, key, blank), {"n": one["incidents"]})
                        for one in month[f"by_{key}"][:_BARS]
                        if one["incidents"]
                    ],
                    [Series("n", "", PLAIN)],
                    _HALF,
                    label_width=215,
                ),
            }
            for key, title, blank in (
                ("severity", self.env._("By severity"), self.env._("Not said")),
                ("category", self.env._("By category"), self.env._("Not said")),
                (
                    "error_code",
                    self.env._("By error code"),
                    self.env._("No error code"),
                ),
                (
                    "sop",
                    self.env._("By SOP of the first run"),
                    self.env._("Without a run"),
                ),
            )
        ]
        return [charts[:2], charts[2:]]

    @api.model
    def _group_label(self, group, key, blank):
        if not group["code"]:
            return blank
        return group["code"] if key in ("error_code", "sop") else group["name"]

    @api.model
    def _row(self, row, zone):
        """Return one incident of the list, as texts."""
        fields = row._fields
        states = dict(fields["state"]._description_selection(self.env))
        targets = dict(fields["sla"]._description_selection(self.env))
        return {
            "name": row.name,
            "title": row.title,
            "detected": format_datetime(
                self.env, row.detected_at, zone, "yyyy-MM-dd HH:mm"
            ),
            "severity": row.severity_id.code or "",
            "severity_name": row.severity_id.name or "",
            "code": row.error_code_id.name or "",
            "repeat": row.is_repeat,
            "times": [self._minutes(row[f"time_to_{name}"]) for name in DURATIONS],
            "sla": targets[row.sla] if row.counted else "",
            "sla_style": _TARGET_STYLES.get(row.sla, ""),
            "state": states[row.state],
            "state_style": _STATE_STYLES.get(row.state, ""),
        }

    @api.model
    def _minutes(self, value):
        # Of what took long, seconds say nothing.
        whole = isinstance(value, float) and value >= _LONG
        return format_duration(self.env, round(value) if whole else value) or "–"


def _day(month):
    return date.fromisoformat(f"{month}-01")
