from odoo import api, models

from odoo.addons.qms_error_code.tools.durations import format_duration

from ..tools.charts import Series, bars, columns
from ..tools.run_history import OUTCOMES
from ..tools.run_history_table import sorted_groups, total_columns
from .qms_sop_run_report import STATE_STYLES

# Rows have a fixed height, so that each page can begin with the heading again:
# wkhtmltopdf without the patched Qt does not repeat it. These fit on A4 and Letter.
_RUNS_ON_PAGE = 19
_GROUPS_ON_PAGE = 24
# Charts of groups show the largest.
_BARS = 8
# Characters that fit into a line of a column.
_TITLE, _CODE, _PERSON, _OPENER = 38, 29, 24, 16


class QmsSopRunHistoryReport(models.AbstractModel):
    """The runs of a period on paper."""

    _name = "report.qms_sop.report_run_history"
    _inherit = ["qms.paper.report"]
    _description = "Run history on paper"

    @api.model
    def _get_report_values(self, docids, data=None):
        histories = self._records("qms.sop.run.history", docids, data)
        return {"pages": [self._page(history) for history in histories]}

    @api.model
    def _footer_text(self, records):
        return self.env._(
            "Run history %(first)s – %(last)s · %(printed)s",
            first=records.date_from,
            last=records.date_to,
            printed=self._printed_text(),
        )

    @api.model
    def _page(self, history):
        """Return what is printed of one history.

        :param history: qms.sop.run.history record
        :rtype: dict
        :raises UserError: when there are too many runs for paper
        """
        history._check_limit("pdf")
        summary = history._summary()
        lines = list(history._counted(summary))
        labels = history._labels()
        series = self._series(labels)
        return {
            "history": history,
            "filters": history._filter_texts(),
            "zone": self._zone(),
            "total": summary.total,
            "figures": self._figures(summary.total),
            "charts": self._charts(history, summary, labels, series),
            "group_heading": history._choice("group_by"),
            "group_columns": [heading for _get, heading, _k in total_columns(self.env)],
            "group_pages": _chunks(
                [
                    {
                        "label": _cut(history._group_label(group, labels), 40),
                        "cells": self._cells(totals),
                    }
                    for group, totals in sorted_groups(summary.groups)
                ],
                _GROUPS_ON_PAGE,
            ),
            "run_pages": self._run_pages(history, lines, labels, summary),
        }

    @api.model
    def _series(self, labels):
        """Return the outcomes as the charts show them: best at the bottom."""
        colours = ("#4c8c66", "#b5403f", "#a3abb5", "#6f94c9")
        names = {**labels["state"], "open": self.env._("Open")}
        return [
            Series(key, names[key], colour)
            for key, colour in zip(OUTCOMES, colours, strict=True)
        ]

    @api.model
    def _figures(self, totals):
        """Return the key figures: the number, its label, and what it is of.

        What is not known is a dash; 0 is a number.
        """
        decided = totals.results["completed"] + totals.results["failed"]
        return [
            (str(totals.runs), self.env._("runs"), ""),
            (str(totals.results["completed"]), self.env._("completed"), ""),
            (str(totals.results["failed"]), self.env._("failed"), ""),
            (str(totals.results["cancelled"]), self.env._("cancelled"), ""),
            (str(totals.results["open"]), self.env._("open"), ""),
            (
                self._percent(totals.success) or "–",
                self.env._("success"),
                self.env._("of %s decided", decided)
                if decided
                else self.env._("none decided"),
            ),
            (
                format_duration(self.env, totals.median) or "–",
                self.env._("median time"),
                self.env._("of %s completed", len(totals.durations)),
            ),
            (
                "–" if totals.late is None else str(totals.late),
                self.env._("overdue"),
                self.env._("of %s with a known time", totals.judged),
            ),
            (str(totals.errors), self.env._("errors"), ""),
        ]

    @api.model
    def _percent(self, share):
        return "" if share is None else f"{share:.0%}"

    @api.model
    def _cells(self, totals):
        """Return the figures of a group as texts; what is unknown is empty."""
        cells = []
        for get, _heading, kind in total_columns(self.env):
            value = get(totals)
            if kind == "percent":
                cells.append(self._percent(value))
            elif kind == "minutes":
                cells.append(format_duration(self.env, value))
            else:
                cells.append("" if value is None else str(value))
        return cells

    @api.model
    def _charts(self, history, summary, labels, series):
        """Return the charts.

        :rtype: list[dict] with ``title``, ``svg`` and ``wide``
        """
        if not summary.total.runs:
            return []
        form = {"day": "%d %b", "week": "%d %b", "month": "%b %Y"}[summary.unit]
        title = {
            "day": self.env._("Runs by day"),
            "week": self.env._("Runs by week"),
            "month": self.env._("Runs by month"),
        }[summary.unit]
        charts = [
            {
                "title": title,
                "wide": True,
                "svg": columns(
                    [
                        (start.strftime(form), counts)
                        for start, counts in summary.buckets.items()
                    ],
                    series,
                    1250,
                    290,
                ),
            }
        ]
        severity = [Series("runs", "", "#6d5b86")]
        charts.append(
            {
                "title": self.env._("By severity"),
                "wide": False,
                "svg": bars(
                    [
                        (name, {"runs": summary.severities[code]})
                        for code, name in [
                            *labels["severity"].items(),
                            (None, self.env._("None")),
                        ]
                        if summary.severities[code]
                    ],
                    severity,
                    560,
                ),
            }
        )
        if summary.groups and history.group_by != "severity":
            charts.append(
                {
                    "title": self._group_title(history, len(summary.groups)),
                    "wide": False,
                    "svg": bars(
                        [
                            (history._group_label(group, labels), totals.results)
                            for group, totals in sorted_groups(summary.groups)[:_BARS]
                        ],
                        series,
                        620,
                        label_width=250,
                    ),
                }
            )
        return charts

    @api.model
    def _group_title(self, history, count):
        what = history._choice("group_by")
        if history.group_by != "sop":
            what = what.lower()
        if count > _BARS:
            return self.env._(
                "By %(what)s: the %(shown)s with the most runs", what=what, shown=_BARS
            )
        return self.env._("By %s", what)

    @api.model
    def _run_pages(self, history, lines, labels, summary):
        """Return the rows of the table of runs, page by page.

        :return: pages of rows; a row with a ``group`` is the heading of one
        :rtype: list[list[dict]]
        """
        group_of = history._group_of()
        if not group_of:
            return _chunks([self._row(line, labels) for line in lines], _RUNS_ON_PAGE)
        by_group = {group: [] for group, _totals in sorted_groups(summary.groups)}
        for line in lines:
            by_group[group_of(line)].append(line)
        pages, page = [], []
        for group, members in by_group.items():
            heading = {
                "group": history._group_label(group, labels),
                "count": len(members),
            }
            if len(page) > _RUNS_ON_PAGE - 2:  # no heading without a run below it
                pages.append(page)
                page = []
            page.append(heading)
            for line in members:
                if len(page) == _RUNS_ON_PAGE:
                    pages.append(page)
                    page = [{**heading, "continued": True}]
                page.append(self._row(line, labels))
        return [*pages, page] if page else pages

    @api.model
    def _row(self, line, labels):
        """Return one run of the table, as texts that fit into their columns."""
        return {
            "group": None,
            "name": line.name,
            "sop": f"{line.sop_code} {line.sop_version}",
            "title": _cut(line.title, _TITLE),
            "severity": line.severity,
            "severity_name": labels["severity"].get(line.severity, ""),
            "category": labels["category"].get(line.category, ""),
            "error_code": _cut(line.error_code or "", _CODE),
            "trigger": labels["trigger"].get(line.trigger, ""),
            "responsible": _cut(line.responsible or "", _PERSON),
            "opened_by": (
                self.env._("opened by %s", _cut(line.opened_by, _OPENER))
                if line.opened_by and line.opened_by != line.responsible
                else ""
            ),
            "started": line.started.strftime("%Y-%m-%d %H:%M"),
            "ended": line.ended.strftime("%Y-%m-%d %H:%M") if line.ended else "",
            "state": labels["state"][line.state],
            "style": STATE_STYLES.get(line.state, ""),
            "duration": format_duration(self.env, line.duration),
            "expected": (
                ""
                if line.expected is None
                else self.env._("of %s", format_duration(self.env, line.expected))
            ),
            "over": format_duration(self.env, line.over) if line.over else "",
            "errors": self.env._("errors: %s", line.errors) if line.errors else "",
            "archived": line.archived,
        }


def _chunks(rows, size):
    return [rows[place : place + size] for place in range(0, len(rows), size)]


def _cut(text, length):
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
