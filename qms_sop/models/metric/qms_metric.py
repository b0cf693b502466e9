import ipaddress

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.utils import floatToGoString

from odoo import api, fields, models
from odoo.exceptions import AccessDenied
from odoo.tools import SQL

from ...tools.exposition import render
from ...tools.fields import BlankFloat
from ..run.qms_sop_run import FINAL_STATES, OPEN_STATES

# System parameter: who may scrape without a key (addresses and networks).
ALLOWED = "qms_sop.metrics_addresses"
# Upper bounds of the duration histogram, in seconds: from a script's run of a
# minute to a procedure of a week.
BUCKETS = (60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200, 604800)
# Label of what has no severity or no category: an empty one is no label at all.
NONE = "none"

RUN_FINISHED = "run_finished"
RUN_ERROR = "run_error"


class QmsMetric(models.Model):
    """What has happened so far, counted, so that nobody has to count it again.

    A scrape every few seconds must not read a million runs. Each event therefore
    adds a row here, in its own transaction: an insert, so there is no row that
    writers wait for, and nothing is counted that is rolled back. A cron adds the
    rows up; reading costs the number of label sets and the events since then.
    (A watermark on ids or times would miss rows that are committed out of order,
    or dated back.)

    Only the framework reads and writes this table; no role has access to it.
    """

    _name = "qms.metric"
    _description = "Count of past events"
    _log_access = False
    _rec_name = "name"

    name = fields.Char(required=True, help="What is counted.")
    company_id = fields.Many2one("res.company", required=True, ondelete="cascade")
    labels = fields.Json(required=True, help="{label: value}, never personal data.")
    upper_bound = BlankFloat(
        help="Of the histogram's bucket, in seconds; blank: there is no duration."
    )
    count = fields.Integer(required=True, aggregator="sum")
    total = fields.Float(required=True, help="Seconds, summed.")

    def init(self):
        super().init()
        # The tables of the runs are there only when all models are.
        self.pool.post_init(self._count_if_empty)

    # === Counting ===

    @api.model
    def _count_if_empty(self):
        """Count what happened before this table existed."""
        if not self.env.execute_query(SQL("SELECT 1 FROM qms_metric LIMIT 1")):
            self._recount()

    @api.model
    def _recount(self):
        """Count everything again, from the runs and their errors.

        Reads all of them: for a table that is new, or runs that came by SQL.
        """
        bound = SQL(
            "CASE %s ELSE 'Infinity' END",
            SQL(" ").join(
                SQL("WHEN run.duration * 60 <= %s THEN %s", seconds, float(seconds))
                for seconds in BUCKETS
            ),
        )
        self.env.cr.execute(
            SQL(
                """
                DELETE FROM qms_metric;
                INSERT INTO qms_metric
                            (name, company_id, labels, upper_bound, count, total)
                     SELECT %(finished)s, run.company_id,
                            jsonb_build_object('sop', sop.code, 'state', run.state),
                            CASE WHEN run.duration IS NOT NULL THEN %(bound)s END,
                            count(*), COALESCE(sum(run.duration * 60), 0)
                       FROM qms_sop_run run
                       JOIN qms_sop_document sop ON sop.id = run.sop_id
                      WHERE run.state IN %(final)s
                   GROUP BY 2, 3, 4;
                INSERT INTO qms_metric (name, company_id, labels, count, total)
                     SELECT %(error)s, run.company_id,
                            jsonb_build_object('code', code.name,
                                               'category', category.code,
                                               'severity', severity.code),
                            count(*), 0
                       FROM qms_sop_run_error error
                       JOIN qms_sop_run run ON run.id = error.run_id
                       JOIN qms_error_code code ON code.id = error.error_code_id
                       JOIN qms_error_category category
                         ON category.id = code.category_id
                       JOIN qms_severity severity ON severity.id = code.severity_id
                   GROUP BY 2, 3
                """,
                finished=RUN_FINISHED,
                bound=bound,
                final=FINAL_STATES,
                error=RUN_ERROR,
            )
        )

    @api.model
    def _record(self, events):
        """Count events, in the transaction in which they happen.

        :param list events: dicts with ``name``, ``company_id``, ``labels`` (texts
            of which there are few, and none that tells of a person) and, for what
            takes time, ``seconds`` (``None`` when unknown)
        """
        # Whoever works a run has no access to the counts themselves.
        self.sudo().create(
            [
                {
                    "name": event["name"],
                    "company_id": event["company_id"],
                    "labels": event["labels"],
                    "upper_bound": _bucket(event.get("seconds")),
                    "count": 1,
                    "total": event.get("seconds") or 0.0,
                }
                for event in events
            ]
        )

    @api.model
    def _cron_add_up(self):
        """Replace the rows of many events by one row for each label set."""
        ((rows, sets),) = self.env.execute_query(
            SQL(
                """SELECT count(*),
                          count(DISTINCT (name, company_id, labels, upper_bound))
                     FROM qms_metric"""
            )
        )
        if rows == sets:
            return
        # Rows of transactions that are still open are neither seen nor deleted.
        self.env.cr.execute(
            SQL(
                """WITH gone AS (DELETE FROM qms_metric RETURNING *)
                 INSERT INTO qms_metric
                             (name, company_id, labels, upper_bound, count, total)
                      SELECT name, company_id, labels, upper_bound,
                             sum(count), sum(total)
                        FROM gone
                    GROUP BY name, company_id, labels, upper_bound"""
            )
        )
        self.env.invalidate_all(flush=False)

    # === Scraping ===

    @api.model
    def _scrape(self, address, accept=""):
        """Return the metrics in the format a scraper asks for.

        A user sees the metrics of their companies. Without a user, the address has
        to be on the allow-list; then they are those of all companies.

        :param str address: of the peer, as Odoo sees it: behind a proxy that is the
            proxy, unless ``proxy_mode`` is on
        :param str accept: the ``Accept`` header
        :return: body and content type
        :rtype: tuple[bytes, str]
        :raises AccessDenied: without a user, for an address that is not allowed
        :raises AccessError: for a user without a role
        """
        if self.env.user and not self.env.user._is_public():
            self.env["qms.sop.run"].check_access("read")
            companies = self.env.companies
        else:
            if not self._is_allowed(address):
                raise AccessDenied()
            companies = None
        return render(self._families(companies), accept)

    @api.model
    def _is_allowed(self, address):
        """Tell whether an address may scrape without a key."""
        # What the list is for: those who ask have no user.
        value = self.env["ir.config_parameter"].sudo().get_param(ALLOWED) or ""
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        peer = getattr(peer, "ipv4_mapped", None) or peer
        return any(peer in network for network in parse_networks(value))

    @api.model
    def _families(self, companies):
        """Return the metrics, as families of prometheus-client.

        Other models add theirs by extending this method. The number of queries
        does not depend on how much there is.

        :param companies: res.company records, or ``None`` for all of them
        :rtype: list
        """
        where = (
            SQL("TRUE")
            if companies is None
            else SQL("company_id IN %s", companies._ids)
        )
        return [
            *self._open_run_families(where),
            *self._event_families(where),
            *self._job_families(),
        ]

    @api.model
    def _open_run_families(self, where):
        """Return the open runs and their steps; costs as much as there are."""
        self.env["qms.sop.run"].flush_model()
        self.env["qms.sop.run.step"].flush_model(["run_id", "state"])
        severities = self.env["qms.severity"]._codes_by_id()
        categories = self.env["qms.error.category"]._codes_by_id()
        runs = dict.fromkeys(
            (
                (severity, state)
                for severity in (*severities.values(), NONE)
                for state in OPEN_STATES
            ),
            0,
        )
        by_category = dict.fromkeys((*categories.values(), NONE), 0)
        for severity_id, category_id, state, count in self.env.execute_query(
            SQL(
                """SELECT severity_id, category_id, state, count(*)
                     FROM qms_sop_run WHERE state IN %s AND %s
                 GROUP BY 1, 2, 3""",
                OPEN_STATES,
                where,
            )
        ):
            runs[severities.get(severity_id, NONE), state] += count
            by_category[categories.get(category_id, NONE)] += count
        steps = dict.fromkeys(
            self.env["qms.sop.run.step"]._fields["state"].get_values(self.env), 0
        )
        steps.update(
            self.env.execute_query(
                SQL(
                    """SELECT step.state, count(*)
                         FROM qms_sop_run run
                         JOIN qms_sop_run_step step ON step.run_id = run.id
                        WHERE run.state IN %s AND %s
                     GROUP BY 1""",
                    OPEN_STATES,
                    where,
                )
            )
        )
        return [
            gauge(
                "qms_sop_runs_open", "Open runs.", ("severity", "state"), runs.items()
            ),
            gauge(
                "qms_sop_runs_open_by_category",
                "Open runs, by category of the error.",
                ("category",),
                (((code,), count) for code, count in by_category.items()),
            ),
            gauge(
                "qms_sop_run_steps",
                "Steps of open runs.",
                ("state",),
                (((state,), count) for state, count in steps.items()),
            ),
        ]

    @api.model
    def _event_families(self, where):
        """Return what has happened so far."""
        finished = CounterMetricFamily(
            "qms_sop_runs_finished",
            "Runs that have ended, by how.",
            labels=("sop", "state"),
        )
        duration = HistogramMetricFamily(
            "qms_sop_run_duration_seconds",
            "Time from the start of a run to its end, where both are known.",
            labels=("sop", "state"),
        )
        errors = CounterMetricFamily(
            "qms_sop_run_errors",
            "Errors that runs met.",
            labels=("code", "category", "severity"),
        )
        runs = {}
        for name, labels, bound, count, total in self.env.execute_query(
            SQL(
                """SELECT name, labels, upper_bound, sum(count), sum(total)
                     FROM qms_metric WHERE %s
                 GROUP BY name, labels, upper_bound ORDER BY name, labels""",
                where,
            )
        ):
            if name == RUN_FINISHED:
                key = (labels["sop"], labels["state"])
                runs.setdefault(key, {})[bound] = (count, total)
            elif name == RUN_ERROR:
                errors.add_metric(
                    (labels["code"], labels["category"], labels["severity"]), count
                )
        for key, by_bound in runs.items():
            finished.add_metric(key, sum(count for count, _total in by_bound.values()))
            by_bound.pop(None, None)
            if by_bound:
                duration.add_metric(key, *histogram(by_bound))
        return [finished, duration, errors]

    @api.model
    def _job_families(self):
        """Return how the scheduled jobs and what they clean up are doing."""
        jobs = self.env["ir.cron"]._qms_jobs()
        ((keys,),) = self.env.execute_query(
            SQL("SELECT count(*) FROM qms_idempotency_key")
        )
        return [
            gauge(
                "qms_job_late_seconds",
                "How long ago a scheduled job should have run.",
                ("job",),
                (((job["name"],), job["late_seconds"]) for job in jobs),
            ),
            gauge(
                "qms_job_failures",
                "How often a scheduled job has failed since it last worked.",
                ("job",),
                (((job["name"],), job["failures"]) for job in jobs),
            ),
            GaugeMetricFamily(
                "qms_idempotency_keys", "Answers kept for retries.", value=keys
            ),
        ]


def parse_networks(value):
    """Return the networks of an allow-list.

    :param str value: addresses and networks, IPv4 or IPv6, separated by commas or
        blanks, such as ``10.0.0.5, 192.168.0.0/24``
    :rtype: list
    :raises ValueError: for anything else
    """
    return [ipaddress.ip_network(part) for part in value.replace(",", " ").split()]


def _bucket(seconds):
    """Return the upper bound of the histogram's bucket for a duration."""
    if seconds is None:
        return False
    return next((float(bound) for bound in BUCKETS if seconds <= bound), float("inf"))


def histogram(by_bound):
    """Return the buckets of a histogram, each with those below it, and their sum.

    :param dict by_bound: ``{upper bound in seconds: (count, sum of the seconds)}``
    :rtype: tuple[list, float]
    """
    buckets = [
        (
            floatToGoString(bound),
            sum(count for upper, (count, _total) in by_bound.items() if upper <= bound),
        )
        for bound in (*BUCKETS, float("inf"))
    ]
    return buckets, sum(total for _count, total in by_bound.values())


def gauge(name, text, labels, samples):
    """Return a family of gauges.

    :param str name: of the metric
    :param str text: what it says
    :param labels: names of the labels
    :param samples: pairs of the labels' values and the number
    """
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
