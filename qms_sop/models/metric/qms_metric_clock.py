from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from odoo import api, fields, models
from odoo.tools import SQL

from ..run.qms_sop_run import FINAL_STATES, OPEN_STATES
from ..run.qms_sop_run_clock import CLOCK_STATES, CLOCKS, METRICS
from .qms_metric import BUCKETS, NONE, gauge, histogram

CLOCK_ENDED = "clock_ended"
# The names of the histograms' rows are those of the fields.
_HELP = {
    "time_to_detect": "Time from the begin of the trouble to its detection.",
    "time_to_acknowledge": "Time from the detection until somebody took it on.",
    "time_to_mitigate": "Time from the detection until users no longer suffered.",
    "time_to_resolve": "Time from the detection until the cause was removed.",
}


class QmsMetric(models.Model):
    """How the clocks of runs stand, and how they stood when runs ended."""

    _inherit = "qms.metric"

    @api.model
    def _recount(self):
        super()._recount()
        severity = SQL("jsonb_build_object('severity', COALESCE(s.code, %s))", NONE)
        source = SQL(
            """qms_sop_run run LEFT JOIN qms_severity s ON s.id = run.severity_id
                WHERE run.state IN %s""",
            FINAL_STATES,
        )
        now = fields.Datetime.now()
        for clock in CLOCKS:
            state = self.env["qms.sop.run"]._clock_sql(clock, "run", now)
            self.env.cr.execute(
                SQL(
                    """INSERT INTO qms_metric (name, company_id, labels, count, total)
                            SELECT %s, company_id, labels, count(*), 0
                              FROM (SELECT run.company_id, %s AS state,
                                           %s || jsonb_build_object(
                                               'clock', %s, 'state', %s) AS labels
                                      FROM %s) AS ended
                             WHERE state IN ('met', 'breached')
                          GROUP BY company_id, labels""",
                    CLOCK_ENDED,
                    state,
                    severity,
                    clock,
                    state,
                    source,
                )
            )
        for name in METRICS:
            taken = SQL("run.%s * 60", SQL.identifier(name))
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
                            SELECT %s, run.company_id, %s, %s, count(*), sum(%s)
                              FROM %s AND %s IS NOT NULL GROUP BY 2, 3, 4""",
                    name,
                    severity,
                    bound,
                    taken,
                    source,
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
            self._clock_family(where),
            *self._ended_clock_families(where),
        ]

    @api.model
    def _clock_family(self, where):
        """Return the clocks of open runs; costs as much as there are."""
        runs = self.env["qms.sop.run"]
        runs.flush_model()
        codes = self.env["qms.severity"]._codes_by_id()
        counts = dict.fromkeys(
            (
                (clock, severity, state)
                for clock in CLOCKS
                for severity in (*codes.values(), NONE)
                for state, _label in CLOCK_STATES
            ),
            0,
        )
        now = fields.Datetime.now()
        for severity_id, *states, count in self.env.execute_query(
            SQL(
                """SELECT severity_id, %s, count(*) FROM qms_sop_run
                    WHERE state IN %s AND %s GROUP BY 1, 2, 3, 4""",
                SQL(", ").join(
                    runs._clock_sql(clock, "qms_sop_run", now) for clock in CLOCKS
                ),
                OPEN_STATES,
                where,
            )
        ):
            severity = codes.get(severity_id, NONE)
            for clock, state in zip(CLOCKS, states, strict=True):
                counts[clock, severity, state] += count
        return gauge(
            "qms_sop_run_clocks",
            "SLA clocks of open runs.",
            ("clock", "severity", "state"),
            counts.items(),
        )

    @api.model
    def _ended_clock_families(self, where):
        """Return how the clocks of the runs that have ended stood, and their times."""
        ended = CounterMetricFamily(
            "qms_sop_run_clocks_ended",
            "SLA clocks of runs that have ended, by how they stood.",
            labels=("clock", "severity", "state"),
        )
        times = {
            name: HistogramMetricFamily(
                f"qms_sop_run_{name}_seconds",
                f"{text} Blank ones are not counted.",
                labels=("severity",),
            )
            for name, text in _HELP.items()
        }
        found = {}
        for name, labels, bound, count, total in self.env.execute_query(
            SQL(
                """SELECT name, labels, upper_bound, sum(count), sum(total)
                     FROM qms_metric WHERE name IN %s AND %s
                 GROUP BY name, labels, upper_bound ORDER BY name, labels""",
                (CLOCK_ENDED, *METRICS),
                where,
            )
        ):
            if name == CLOCK_ENDED:
                ended.add_metric(
                    (labels["clock"], labels["severity"], labels["state"]), count
                )
            else:
                found.setdefault((name, labels["severity"]), {})[bound] = (count, total)
        for (name, severity), by_bound in found.items():
            times[name].add_metric((severity,), *histogram(by_bound))
        return [ended, *times.values()]
