from prometheus_client.core import (
    CounterMetricFamily,
    HistogramMetricFamily,
)

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from odoo.addons.qms_sop.models.metric.qms_metric import BUCKETS, NONE, gauge, histogram

from ..incident.qms_incident import FINAL_STATES, OPEN_STATES
from .qms_incident_report import DURATIONS

INCIDENT_DETECTED = "incident_detected"
INCIDENT_CLOSED = "incident_closed"
# The rows of the histograms are called as this and the duration.
INCIDENT_TIME = "incident_time_to_"
_TIMES = tuple(f"{INCIDENT_TIME}{name}" for name in DURATIONS)


class QmsMetric(models.Model):
    """How many incidents are open, what is late about them, and how they ended."""

    _inherit = "qms.metric"

    @api.model
    def _count_if_empty(self):
        super()._count_if_empty()
        # The table may be older than these counts.
        if not self.env.execute_query(
            SQL("SELECT 1 FROM qms_metric WHERE name = %s LIMIT 1", INCIDENT_DETECTED)
        ):
            self._recount_incidents()

    @api.model
    def _recount(self):
        super()._recount()
        self._recount_incidents()

    @api.model
    def _recount_incidents(self):
        """Count all incidents again, by what is said of them now."""
        labels = SQL(
            "jsonb_build_object('severity', COALESCE(s.code, %s),"
            " 'category', COALESCE(c.code, %s))",
            NONE,
            NONE,
        )
        rows = SQL(
            """(%s) AS i LEFT JOIN qms_severity s ON s.id = i.severity_id
                         LEFT JOIN qms_error_category c ON c.id = i.category_id""",
            self.env["qms.incident.report"]._table_query,
        )
        self.env["qms.incident"].flush_model()
        for name, named, where in (
            (INCIDENT_DETECTED, labels, SQL("TRUE")),
            (
                INCIDENT_CLOSED,
                SQL("%s || jsonb_build_object('state', i.state)", labels),
                SQL("i.state IN %s", FINAL_STATES),
            ),
        ):
            self.env.cr.execute(
                SQL(
                    """INSERT INTO qms_metric (name, company_id, labels, count, total)
                            SELECT %s, i.company_id, %s, count(*), 0
                              FROM %s WHERE %s GROUP BY 2, 3""",
                    name,
                    named,
                    rows,
                    where,
                )
            )
        for name in DURATIONS:
            taken = SQL("%s * 60", SQL.identifier("i", f"time_to_{name}"))
            bound = SQL(
                "CASE %s ELSE 'Infinity' END",
                SQL(" ").join(
                    SQL("WHEN %s <= %s THEN %s", taken, seconds, float(seconds))
                    for seconds in BUCKETS
                ),
            )
            self.env.cr.execute(
                SQL(
                    """INSERT INTO qms_metric
                                   (name, company_id, labels, upper_bound, count, total)
                            SELECT %s, i.company_id,
                                   jsonb_build_object(
                                       'severity', COALESCE(s.code, %s)),
                                   %s, count(*), sum(%s)
                              FROM %s
                             WHERE i.state = 'closed' AND %s IS NOT NULL
                          GROUP BY 2, 3, 4""",
                    f"{INCIDENT_TIME}{name}",
                    NONE,
                    bound,
                    taken,
                    rows,
                    taken,
                )
            )

    @api.model
    def _families(self, companies):
        where = (
            SQL("TRUE")
            if companies is None
            else SQL("company_id IN %s", companies._ids)
        )
        return [
            *super()._families(companies),
            *self._open_incident_families(where),
            *self._ended_incident_families(where),
        ]

    @api.model
    def _open_incident_families(self, where):
        """Return the open incidents, and what is late.

        Costs as much as there are open, and as many as need a post-mortem.
        """
        # sudo: what is counted does not depend on who asks.
        incidents = self.env["qms.incident"].sudo().with_context(active_test=False)
        incidents.flush_model()
        now = fields.Datetime.now()
        awaited = incidents._search(
            Domain("postmortem_due", "<", now) & incidents._postmortem_awaited()
        )
        codes = self.env["qms.severity"]._codes_by_id()
        severities = (*codes.values(), NONE)
        counts = dict.fromkeys(
            ((severity, state) for severity in severities for state in OPEN_STATES), 0
        )
        late = {kind: dict.fromkeys(severities, 0) for kind in ("update", "postmortem")}
        for kind, severity_id, count in self.env.execute_query(
            SQL(
                """SELECT state, severity_id, count(*)
                     FROM qms_incident WHERE state IN %(open)s AND %(where)s
                 GROUP BY 1, 2
                UNION ALL
                   SELECT 'update', severity_id, count(*)
                     FROM qms_incident
                    WHERE state IN %(open)s AND next_update_at < %(now)s AND %(where)s
                 GROUP BY 2
                UNION ALL
                   SELECT 'postmortem', severity_id, count(*)
                     FROM qms_incident
                    WHERE id IN %(awaited)s AND %(where)s
                 GROUP BY 2""",
                open=OPEN_STATES,
                now=now,
                awaited=awaited.subselect(),
                where=where,
            )
        ):
            severity = codes.get(severity_id, NONE)
            if kind in late:
                late[kind][severity] += count
            else:
                counts[severity, kind] += count
        return [
            gauge(
                "qms_incidents_open",
                "Incidents that are not closed.",
                ("severity", "state"),
                counts.items(),
            ),
            *(
                gauge(
                    name,
                    text,
                    ("severity",),
                    (((severity,), count) for severity, count in late[kind].items()),
                )
                for kind, name, text in (
                    (
                        "update",
                        "qms_incident_updates_overdue",
                        "Open incidents of which stakeholders wait for an update.",
                    ),
                    (
                        "postmortem",
                        "qms_incident_postmortems_overdue",
                        "Incidents whose post-mortem is overdue, and waited for.",
                    ),
                )
            ),
        ]

    @api.model
    def _ended_incident_families(self, where):
        """Return how many incidents there were so far, how they ended, and how long
        they took."""
        detected = CounterMetricFamily(
            "qms_incidents_detected",
            "Incidents that were opened, by what was known of them then.",
            labels=("severity", "category"),
        )
        closed = CounterMetricFamily(
            "qms_incidents_closed",
            "Incidents that were closed, or found to be none of their own.",
            labels=("severity", "category", "state"),
        )
        texts = self.env["qms.incident.report"].with_context(lang=None)
        times = {
            f"{INCIDENT_TIME}{name}": HistogramMetricFamily(
                f"qms_incident_time_to_{name}_seconds",
                "Of closed incidents where it is known. "
                + texts._fields[f"time_to_{name}"].help,
                labels=("severity",),
            )
            for name in DURATIONS
        }
        found = {}
        for name, labels, bound, count, total in self.env.execute_query(
            SQL(
                """SELECT name, labels, upper_bound, sum(count), sum(total)
                     FROM qms_metric WHERE name IN %s AND %s
                 GROUP BY name, labels, upper_bound ORDER BY name, labels""",
                (INCIDENT_DETECTED, INCIDENT_CLOSED, *_TIMES),
                where,
            )
        ):
            if name == INCIDENT_DETECTED:
                detected.add_metric((labels["severity"], labels["category"]), count)
            elif name == INCIDENT_CLOSED:
                closed.add_metric(
                    (labels["severity"], labels["category"], labels["state"]), count
                )
            else:
                found.setdefault((name, labels["severity"]), {})[bound] = (count, total)
        for (name, severity), by_bound in found.items():
            times[name].add_metric((severity,), *histogram(by_bound))
        return [detected, closed, *times.values()]
