from collections import defaultdict
from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from odoo.addons.qms_sop.models.run.qms_sop_run_clock import CLOCKS
from odoo.addons.qms_sop.tools.faults import at_field

from ..incident.qms_incident import VOID_STATES
from .qms_incident_report import (
    DURATIONS,
    POSTMORTEMS,
    STATUSES,
    TARGET_STATES,
)

# A period of other years would only be empty months.
_YEARS = (1970, 2199)
_TARGETS = {"sla": "sla", **{clock: f"sla_{clock}" for clock in CLOCKS}}
_ACTIONS = {
    "raised": "actions_total",
    "done": "actions_done",
    "on_time": "actions_on_time",
    "overdue": "actions_overdue",
}
_LOOKUPS = ("severity_id", "category_id", "error_code_id", "sop_code")
_COLUMNS = (
    "id",
    "state",
    "counted",
    "is_open",
    "reopen_count",
    "times_invalid",
    "is_repeat",
    "severity_id",
    "category_id",
    "error_code_id",
    "sop_id",
    "day",
    *(f"time_to_{name}" for name in DURATIONS),
    *(f"time_to_{name}_status" for name in DURATIONS),
    *_TARGETS.values(),
    "postmortem",
    "postmortem_meeting",
    "postmortem_required",
    "postmortem_published",
)


class QmsIncidentReport(models.Model):
    """The figures of a period."""

    _inherit = "qms.incident.report"

    @api.model
    def _summary(self, since=None, until=None, domain=None):
        """Return the figures of the incidents that were detected in a period.

        Duplicates and false positives are counted apart; everything else is about the
        other incidents. What is not known is ``None``, never 0: a mean of nothing, a
        percentage of nothing. Percentages have one digit.

        The number of queries does not depend on how many incidents there are.

        :param date since: first day, by the clock of the company of each incident
        :param date until: last day
        :param domain: which incidents, in fields of this model
        :return: ``since``, ``until`` (ISO dates), ``incidents`` (how many), ``apart``
            (by state), ``open``, ``reopened``, ``times_invalid``; ``by_severity``,
            ``by_category``, ``by_error_code``, ``by_sop`` (dicts with ``id``,
            ``code``, ``name``, ``incidents``); ``durations`` (by name ``mean``,
            ``median``, ``p90`` in minutes, and how many are of which status),
            ``repeats``, ``sla``, ``actions``, ``postmortems``; and ``months``: the
            same month by month, without gaps
        :rtype: dict
        :raises ValidationError: for a period that ends before it begins
        """
        self._check_period(since, until)
        domain = Domain(domain or Domain.TRUE)
        if since:
            # The second condition is for the index: no zone is a day away from UTC.
            domain &= Domain("day", ">=", since)
            domain &= Domain("detected_at", ">=", since - timedelta(days=1))
        if until:
            domain &= Domain("day", "<=", until)
            domain &= Domain("detected_at", "<", until + timedelta(days=2))
        figures, groups, actions = self._aggregate(domain)
        totals = figures.pop(None)
        severities = self._by_severity(groups["severity_id"])
        codes = {one["id"]: one["code"] or "none" for one in severities}
        by_month = defaultdict(lambda: dict.fromkeys([*codes.values(), "none"], 0))
        for group in groups["month"]:
            by_month[group["month"]][codes[group["severity_id"]]] = group["incidents"]
        days = self._repeat_days()
        told = self._told(totals, actions.get(None, {}), days)
        told["sla"]["targets"] = {
            clock: _sla(totals["states"][clock]) for clock in CLOCKS
        }
        return {
            "since": since and since.isoformat(),
            "until": until and until.isoformat(),
            **told,
            "by_severity": severities,
            "by_category": self._by_lookup("category_id", groups["category_id"]),
            "by_error_code": self._by_lookup("error_code_id", groups["error_code_id"]),
            "by_sop": self._by_sop(groups["sop_code"]),
            "months": [
                {
                    "month": month[:7],
                    **self._told(
                        figures.get(month, _NOTHING), actions.get(month, {}), days
                    ),
                    "by_severity": by_month[month],
                }
                for month in self._months(since, until, figures)
            ],
        }

    @api.model
    def _check_period(self, since, until):
        """Refuse a period that nobody can mean."""
        for name, day in (("since", since), ("until", until)):
            if day and not _YEARS[0] <= day.year <= _YEARS[1]:
                with at_field(name):
                    raise ValidationError(
                        self.env._(
                            "%(name)s: %(day)s is not accepted; give a day of the "
                            "years %(first)s to %(last)s.",
                            name=name,
                            day=day.isoformat(),
                            first=_YEARS[0],
                            last=_YEARS[1],
                        )
                    )
        if since and until and until < since:
            with at_field("until"):
                raise ValidationError(
                    self.env._(
                        "until: %(until)s is before since, which is %(since)s.",
                        until=until.isoformat(),
                        since=since.isoformat(),
                    )
                )

    @api.model
    def _months(self, since, until, known):
        """Return the first days of the months of a period, as texts.

        :param date since: where it begins; with the first incident, if open
        :param date until: where it ends; if open, now or with the last incident
        :param known: months of which there is something
        :rtype: list[str]
        """
        today = fields.Date.context_today(self)
        first = since.isoformat() if since else min(known, default=today.isoformat())
        last = until or today
        if not until and known:
            last = max(last, fields.Date.to_date(max(known)))
        month = fields.Date.to_date(first).replace(day=1)
        months = []
        while month <= last:
            months.append(month.isoformat())
            month += relativedelta(months=1)
        return months

    # === Reading ===

    @api.model
    def _aggregate(self, domain):
        """Read the figures of incidents, in one statement.

        :return: figures by month (``None``: all); groups by what they are grouped by;
            and figures of actions by month
        :rtype: tuple[dict, dict, dict]
        """
        query = self._search(domain)
        rows = query.select(
            *(
                SQL(
                    "%s AS %s",
                    self._field_to_sql(self._table, name, query),
                    SQL.identifier(name),
                )
                for name in _COLUMNS
            )
        )
        # Compiling so many expressions takes longer than working them out.
        self.env.cr.execute("SET LOCAL jit = off")
        ((figures, groups, actions),) = self.env.execute_query(
            SQL(
                """WITH rows AS MATERIALIZED (
                       SELECT found.*, sop.code AS sop_code,
                              date_trunc('month', found.day)::date AS month
                         FROM (%(rows)s) AS found
                    LEFT JOIN qms_sop_document sop ON sop.id = found.sop_id)
                   SELECT (SELECT jsonb_agg(one) FROM (
                              SELECT month, %(figures)s FROM rows
                            GROUP BY GROUPING SETS ((), (month))) AS one),
                          (SELECT jsonb_agg(one) FROM (
                              SELECT %(level)s AS level, month, %(lookups)s,
                                     max(sop_id) AS sop_id,
                                     count(*) AS incidents
                                FROM rows WHERE counted
                            GROUP BY GROUPING SETS (
                                     %(sets)s, (month, severity_id))) AS one),
                          (SELECT jsonb_agg(one) FROM (
                              SELECT rows.month, %(actions)s
                                FROM %(source)s
                                JOIN rows ON rows.id = i.id AND rows.counted
                                JOIN (%(of_incidents)s) AS of_incident
                                  ON of_incident.incident_id = i.id
                                JOIN qms_action a ON a.id = of_incident.id
                            GROUP BY GROUPING SETS ((), (rows.month))) AS one)""",
                rows=rows,
                figures=self._figures_sql(),
                level=_level_sql(),
                lookups=SQL(", ").join(SQL.identifier(name) for name in _LOOKUPS),
                sets=SQL(", ").join(
                    SQL("(%s)", SQL.identifier(name)) for name in _LOOKUPS
                ),
                actions=SQL(", ").join(
                    SQL(
                        "count(*) FILTER (WHERE %s) AS %s",
                        self._action_conditions()[column],
                        SQL.identifier(name),
                    )
                    for name, column in _ACTIONS.items()
                ),
                source=self._source(),
                of_incidents=self._actions_of_incidents(),
            )
        )
        by_level = defaultdict(list)
        for group in groups or ():
            by_level[group["level"]].append(group)
        return (
            {one["month"]: one for one in figures},
            by_level,
            {one["month"]: one for one in actions or ()},
        )

    @api.model
    def _figures_sql(self):
        """Return the SQL of the figures of a group of incidents.

        :rtype: SQL
        """

        def count(condition):
            return SQL("count(*) FILTER (WHERE counted AND %s)", condition)

        def count_each(column, words):
            return SQL(
                "jsonb_build_object(%s)",
                SQL(", ").join(
                    SQL("%s, %s", word, count(SQL("%s = %s", column, word)))
                    for word, _label in words
                ),
            )

        figures = {
            "incidents": count(SQL("TRUE")),
            "apart": SQL(
                "jsonb_build_object(%s)",
                SQL(", ").join(
                    SQL("%s, count(*) FILTER (WHERE state = %s)", state, state)
                    for state in VOID_STATES
                ),
            ),
            "open": count(SQL("is_open")),
            "reopened": count(SQL("reopen_count > 0")),
            "times_invalid": count(SQL("times_invalid")),
            "repeats": count(SQL("is_repeat")),
            "durations": SQL(
                "jsonb_build_object(%s)",
                SQL(", ").join(
                    SQL(
                        """%s, jsonb_build_object(
                               'mean', avg(%s), 'percentiles',
                               percentile_cont(ARRAY[0.5, 0.9])
                               WITHIN GROUP (ORDER BY %s)) || %s""",
                        name,
                        SQL.identifier(f"time_to_{name}"),
                        SQL.identifier(f"time_to_{name}"),
                        count_each(SQL.identifier(f"time_to_{name}_status"), STATUSES),
                    )
                    for name in DURATIONS
                ),
            ),
            "states": SQL(
                "jsonb_build_object(%s)",
                SQL(", ").join(
                    SQL(
                        "%s, %s",
                        name,
                        count_each(SQL.identifier(column), TARGET_STATES),
                    )
                    for name, column in _TARGETS.items()
                ),
            ),
            "required": count(SQL("postmortem_required")),
            "published": count(SQL("postmortem_required AND postmortem_published")),
            "postmortems": count_each(SQL("postmortem"), POSTMORTEMS),
            "meetings": count_each(SQL("postmortem_meeting"), POSTMORTEMS),
        }
        return SQL(", ").join(
            SQL("%s AS %s", expression, SQL.identifier(name))
            for name, expression in figures.items()
        )

    # === Telling ===

    @api.model
    def _told(self, figure, actions, days):
        """Return the figures of a group of incidents as they are told.

        :param dict figure: as it is read
        :param dict actions: as they are read; empty: there are none
        :param int days: for how long the same cause is a repeat
        :rtype: dict
        """
        incidents = figure["incidents"]
        acted = {name: actions.get(name, 0) for name in _ACTIONS}
        return {
            "incidents": incidents,
            "apart": figure["apart"],
            "open": figure["open"],
            "reopened": figure["reopened"],
            "times_invalid": figure["times_invalid"],
            "durations": {
                name: _duration(figure["durations"][name]) for name in DURATIONS
            },
            "repeats": {
                "incidents": figure["repeats"],
                "percent": _percent(figure["repeats"], incidents),
                "days": days,
            },
            "sla": _sla(figure["states"]["sla"]),
            "actions": {
                **acted,
                "late": acted["done"] - acted["on_time"],
                "open": acted["raised"] - acted["done"],
                "percent": _percent(acted["done"], acted["raised"]),
                "on_time_percent": _percent(acted["on_time"], acted["done"]),
            },
            "postmortems": {
                "required": figure["required"],
                "published": figure["published"],
                **_punctual(figure["postmortems"]),
                "meetings": _punctual(figure["meetings"]),
            },
        }

    @api.model
    def _by_severity(self, groups):
        """Return how many incidents are of each severity, the worst first.

        Severities in use are told also where there is no incident.

        :rtype: list[dict]
        """
        counts = {group["severity_id"]: group["incidents"] for group in groups}
        every = self.env["qms.severity"].with_context(active_test=False).search([])
        told = [
            _group(severity.id, severity.code, severity.name, counts)
            for severity in every
            if severity.active or severity.id in counts
        ]
        return told + ([_group(None, None, None, counts)] if None in counts else [])

    @api.model
    def _by_lookup(self, name, groups):
        """Return how many incidents have which category or error code, most first.

        :param str name: of the field
        :rtype: list[dict]
        """
        counts = {group[name]: group["incidents"] for group in groups}
        lookups = self.env[self._fields[name].comodel_name].browse(filter(None, counts))
        label = "title" if name == "error_code_id" else "name"
        return _most_first(
            [
                _group(one.id, one[one._lookup_code], one[label], counts)
                for one in lookups
            ],
            counts,
        )

    @api.model
    def _by_sop(self, groups):
        """Return how many incidents had which SOP in their first run, most first.

        :rtype: list[dict]
        """
        counts = {group["sop_code"]: group["incidents"] for group in groups}
        latest = {group["sop_code"]: group["sop_id"] for group in groups}
        sops = self.env["qms.sop.document"].browse(filter(None, latest.values()))
        # Of the latest revision that an incident was worked by.
        names = dict(zip(sops.ids, sops.mapped("name"), strict=True))
        return _most_first(
            [
                _group(latest[code], code, names[latest[code]], counts, code)
                for code in counts
                if code
            ],
            counts,
        )


def _level_sql():
    """Return the SQL of what a group is made by.

    :rtype: SQL
    """
    return SQL(
        "CASE WHEN GROUPING(month) = 0 THEN 'month' %s END",
        SQL(" ").join(
            SQL("WHEN GROUPING(%s) = 0 THEN %s", SQL.identifier(name), name)
            for name in _LOOKUPS
        ),
    )


def _group(record_id, code, name, counts, key=None):
    key = key or record_id
    return {
        "id": record_id,
        "code": code,
        "name": name,
        "incidents": counts.get(key, 0),
    }


def _most_first(told, counts):
    """Return groups in order, that of what nobody said last."""
    told.sort(key=lambda one: (-one["incidents"], one["code"]))
    return told + ([_group(None, None, None, counts)] if None in counts else [])


def _duration(read):
    """Return a duration as it is told, blank where nothing is known of it."""
    median, p90 = read["percentiles"] or (None, None)
    return {
        "mean": _minutes(read["mean"]),
        "median": _minutes(median),
        "p90": _minutes(p90),
        **{word: read[word] for word, _label in STATUSES},
    }


def _minutes(value):
    return None if value is None else round(float(value), 2)


def _sla(read):
    """Return how targets were kept, and per cent of what is decided."""
    return {**read, "percent": _percent(read["kept"], read["kept"] + read["breached"])}


def _punctual(read):
    """Return how much was on time, and per cent of what is decided."""
    told = {name: read[name] for name in ("on_time", "late", "pending", "unknown")}
    return {
        **told,
        "percent": _percent(read["on_time"], read["on_time"] + read["late"]),
    }


def _percent(part, whole):
    """Return per cent with one digit; ``None`` of nothing."""
    return round(100 * part / whole, 1) if whole else None


# A month without incidents
_NOTHING = {
    **dict.fromkeys(
        (
            "incidents",
            "open",
            "reopened",
            "times_invalid",
            "repeats",
            "required",
            "published",
        ),
        0,
    ),
    "apart": dict.fromkeys(VOID_STATES, 0),
    "durations": {
        name: {
            "mean": None,
            "percentiles": None,
            **{word: 0 for word, _label in STATUSES},
        }
        for name in DURATIONS
    },
    "states": {"sla": {word: 0 for word, _label in TARGET_STATES}},
    "postmortems": {word: 0 for word, _label in POSTMORTEMS},
    "meetings": {word: 0 for word, _label in POSTMORTEMS},
}
