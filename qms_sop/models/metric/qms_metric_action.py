from prometheus_client.core import CounterMetricFamily

from odoo import api, fields, models
from odoo.tools import SQL

from ..action.qms_action import KINDS, PRIORITIES
from .qms_metric import gauge

ACTION_DONE = "action_done"
YES_NO = ("yes", "no")
# What has a deadline: it is to be done, or to be checked.
_STATES = ("open", "in_progress", "reopened", "done")
_PRIORITIES = {key: label.lower() for key, label in PRIORITIES}
# The day of the company, in whose zone a deadline is over at midnight
_COMPANY = SQL(
    """JOIN res_company c ON c.id = a.company_id
  LEFT JOIN resource_calendar w ON w.id = c.resource_calendar_id"""
)


def _day(moment):
    """Return the SQL of the day on which something happens for the company."""
    return SQL(
        "(%s AT TIME ZONE 'UTC' AT TIME ZONE COALESCE(w.tz, 'UTC'))::date", moment
    )


class QmsMetric(models.Model):
    """The actions that are not closed, and whether they were done on time."""

    _inherit = "qms.metric"

    @api.model
    def _count_if_empty(self):
        super()._count_if_empty()
        # The table may be older than these counts.
        if not self.env.execute_query(
            SQL("SELECT 1 FROM qms_metric WHERE name = %s LIMIT 1", ACTION_DONE)
        ):
            self._recount_actions()

    @api.model
    def _recount(self):
        super()._recount()
        self._recount_actions()

    @api.model
    def _recount_actions(self):
        """Count the actions that are done.

        Of those that were reopened, nothing but the trail knows that they had been.
        """
        self.env["qms.action"].flush_model()
        self.env.cr.execute(
            SQL(
                """INSERT INTO qms_metric (name, company_id, labels, count, total)
                        SELECT %s, a.company_id,
                               jsonb_build_object(
                                   'kind', a.kind, 'on_time',
                                   CASE WHEN %s <= a.due_date THEN 'yes' ELSE 'no' END),
                               count(*), 0
                          FROM qms_action a %s
                         WHERE a.done_on IS NOT NULL GROUP BY 2, 3""",
                ACTION_DONE,
                _day(SQL("a.done_on")),
                _COMPANY,
            )
        )

    @api.model
    def _families(self, companies):
        return [
            *super()._families(companies),
            self._action_family(companies),
            self._done_action_family(companies),
        ]

    @api.model
    def _action_family(self, companies):
        """Return the actions that are not closed; costs as much as there are."""
        self.env["qms.action"].flush_model()
        counts = dict.fromkeys(
            (
                (state, priority, overdue)
                for state in _STATES
                for priority in _PRIORITIES.values()
                for overdue in YES_NO
            ),
            0,
        )
        for state, priority, overdue, count in self.env.execute_query(
            SQL(
                """SELECT a.state, a.priority, a.next_date < %s, count(*)
                     FROM qms_action a %s
                    WHERE a.next_date IS NOT NULL AND a.active AND %s
                 GROUP BY 1, 2, 3""",
                _day(SQL("%s::timestamp", fields.Datetime.now())),
                _COMPANY,
                _of(companies, "a"),
            )
        ):
            counts[state, _PRIORITIES[priority], "yes" if overdue else "no"] = count
        return gauge(
            "qms_actions",
            "Actions that are to be done, or to be checked once they are.",
            ("state", "priority", "overdue"),
            counts.items(),
        )

    @api.model
    def _done_action_family(self, companies):
        """Return how many actions were done, and whether on time."""
        counts = dict.fromkeys(
            ((kind, on_time) for kind, _label in KINDS for on_time in YES_NO), 0
        )
        for labels, count in self.env.execute_query(
            SQL(
                """SELECT labels, sum(count) FROM qms_metric m
                    WHERE name = %s AND %s GROUP BY labels""",
                ACTION_DONE,
                _of(companies, "m"),
            )
        ):
            counts[labels["kind"], labels["on_time"]] = count
        family = CounterMetricFamily(
            "qms_actions_done",
            "Actions that were done, by whether they were on the day they were due.",
            labels=("kind", "on_time"),
        )
        for values, count in counts.items():
            family.add_metric(values, count)
        return family


def _of(companies, alias):
    """Return the SQL of what belongs to companies.

    :param companies: res.company records, or ``None`` for all of them
    :param str alias: of the table
    """
    if companies is None:
        return SQL("TRUE")
    return SQL("%s IN %s", SQL.identifier(alias, "company_id"), companies._ids)
