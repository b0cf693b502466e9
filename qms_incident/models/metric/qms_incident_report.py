from odoo import api, fields, models
from odoo.tools import SQL

from odoo.addons.qms_sop.models.action.qms_action import ACTIVE_STATES
from odoo.addons.qms_sop.models.run.qms_sop_run_clock import CLOCKS
from odoo.addons.qms_sop.tools.fields import BlankFloat

from ..incident.qms_incident import (
    FINAL_STATES,
    HURTING_STATES,
    OPEN_STATES,
    VOID_STATES,
)

# System parameter: days after which the same cause is no repeat; 0: it always is.
REPEAT_DAYS = "qms_incident.repeat_days"
DEFAULT_REPEAT_DAYS = 90
# What people can mean by it, and a date can be moved by
MAX_REPEAT_DAYS = 3650
# The durations, by what their means are called
MEANS = {
    "mttd": "detect",
    "mtta": "acknowledge",
    "mttm": "mitigate",
    "mttr": "resolve",
}
DURATIONS = tuple(MEANS.values())
STATUSES = [
    ("known", "Known"),
    ("pending", "Not yet"),
    ("unknown", "Unknown"),
    ("invalid", "Contradictory"),
    ("not_applicable", "Not applicable"),
]
# The best last: the whole is as good as the worst of its parts.
TARGET_STATES = [
    ("breached", "Breached"),
    ("invalid", "Contradictory"),
    ("unknown", "Unknown"),
    ("pending", "Running"),
    ("kept", "Kept"),
    ("not_applicable", "No target"),
]
POSTMORTEMS = [
    ("not_required", "Not required"),
    ("pending", "Not yet"),
    ("on_time", "On time"),
    ("late", "Late"),
    ("unknown", "Unknown"),
]
# Until when the end of a duration can still come
_BEFORE = {
    "acknowledge": ("detected",),
    "mitigate": ("detected", "triaged"),
    "resolve": HURTING_STATES,
}
_ENDS = {
    "acknowledge": "triaged_at",
    "mitigate": "mitigated_at",
    "resolve": "resolved_at",
}
# What ends the time that a target is for: its own moment or, where nobody told that,
# a later one; and the duration that says until when it can come.
_STOPS = {
    "response": ("acknowledge", ("triaged_at", "mitigated_at", "resolved_at")),
    "mitigation": ("mitigate", ("mitigated_at", "resolved_at")),
    "resolution": ("resolve", ("resolved_at",)),
}


class QmsIncidentReport(models.Model):
    """What incidents amount to: their times, whether targets were kept, what followed.

    A row is an incident, under the same id; archived ones are among them. Blank is
    never zero: each duration has a status that says why it is blank.
    """

    _name = "qms.incident.report"
    _description = "Incident analysis"
    _auto = False
    _rec_name = "name"
    _order = "detected_at desc, id desc"
    _depends = {
        "qms.incident": [
            "name",
            "title",
            "state",
            "company_id",
            "severity_id",
            "category_id",
            "error_code_id",
            "occurred_at",
            "detected_at",
            "triaged_at",
            "mitigated_at",
            "resolved_at",
            "reopen_count",
            *(f"time_to_{name}" for name in DURATIONS),
            *(f"{clock}_deadline" for clock in CLOCKS),
            "postmortem_link",
            "postmortem_due",
            "postmortem_schedule_due",
        ],
        "qms.postmortem": [
            "incident_id",
            "state",
            "published_on_time",
            "scheduled_on_time",
        ],
        "qms.sop.run": ["incident_id", "sop_id", "start_time"],
        "qms.sop.document": ["code"],
        "qms.rca": ["run_id", "state", "cause_id"],
        "qms.action": ["incident_id", "run_id", "state", "due_date", "done_on"],
        "qms.severity": ["postmortem_days", "postmortem_schedule_hours"],
        "res.company": ["resource_calendar_id"],
        "resource.calendar": ["tz"],
    }

    incident_id = fields.Many2one("qms.incident", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    name = fields.Char("Number", readonly=True)
    title = fields.Char(readonly=True)
    state = fields.Selection(
        lambda self: self.env["qms.incident"]._fields["state"].selection, readonly=True
    )
    is_open = fields.Boolean("Open", readonly=True)
    counted = fields.Boolean(
        readonly=True,
        help="Duplicates and false positives are counted apart: no mean, percentage "
        "or number of incidents has them in it.",
    )
    count = fields.Integer(
        "Incidents",
        readonly=True,
        help="Incidents that were detected in the period, by the clock of their "
        "company; duplicates and false positives are left out.",
    )
    severity_id = fields.Many2one("qms.severity", readonly=True)
    category_id = fields.Many2one("qms.error.category", readonly=True)
    error_code_id = fields.Many2one("qms.error.code", "Error code", readonly=True)
    cause_id = fields.Many2one(
        "qms.error.cause",
        "Known cause",
        readonly=True,
        help="The cause that the latest confirmed analysis of its runs names.",
    )
    sop_id = fields.Many2one(
        "qms.sop.document", "SOP", readonly=True, help="Of the first of its runs."
    )
    sop_code = fields.Char("SOP code", readonly=True, help="Of the first of its runs.")
    detected_at = fields.Datetime("Detected", readonly=True)
    day = fields.Date(
        "Day",
        readonly=True,
        help="Of the detection, by the clock of the company: in the time zone of its "
        "working hours.",
    )
    reopen_count = fields.Integer("Reopened", readonly=True)

    time_to_detect = BlankFloat(
        "Time to detect (min)",
        readonly=True,
        aggregator="avg",
        help="Minutes from the beginning of the incident until it was detected.",
    )
    time_to_acknowledge = BlankFloat(
        "Time to acknowledge (min)",
        readonly=True,
        aggregator="avg",
        help="Minutes from the detection until somebody had assessed the incident "
        "(triage).",
    )
    time_to_mitigate = BlankFloat(
        "Time to mitigate (min)",
        readonly=True,
        aggregator="avg",
        help="Minutes from the detection until users no longer suffered from the "
        "incident.",
    )
    time_to_resolve = BlankFloat(
        "Time to resolve (min)",
        readonly=True,
        aggregator="avg",
        help="Minutes from the detection until the incident was resolved; of one that "
        "was reopened, until it was resolved for the last time.",
    )
    time_to_detect_status = fields.Selection(STATUSES, readonly=True)
    time_to_acknowledge_status = fields.Selection(STATUSES, readonly=True)
    time_to_mitigate_status = fields.Selection(STATUSES, readonly=True)
    time_to_resolve_status = fields.Selection(STATUSES, readonly=True)
    times_invalid = fields.Boolean(
        "Contradictory times",
        readonly=True,
        help="Something is said to have happened before what led to it.",
    )

    repeat_of_id = fields.Many2one(
        "qms.incident",
        readonly=True,
        help="The latest earlier incident with the same cause.",
    )
    is_repeat = fields.Boolean(
        "Repeat",
        readonly=True,
        help="An earlier incident of the company, not longer ago than the setting "
        "says, had the same cause: the same known cause in a confirmed root-cause "
        "analysis of both; or, as long as one of them has none, the same error code.",
    )
    repeat_rate = BlankFloat(
        "Repeats (%)",
        digits=(5, 1),
        readonly=True,
        aggregator="avg",
        help="Of the incidents.",
    )

    sla = fields.Selection(
        TARGET_STATES,
        "SLA",
        readonly=True,
        help="Whether the incident was acknowledged, mitigated and resolved before the "
        "targets of its severity were over, counted from its detection in the working "
        "hours of the severity; the worst of the three. The times are those of the "
        "incident, whatever the clocks of its runs say.",
    )
    sla_response = fields.Selection(TARGET_STATES, "Response", readonly=True)
    sla_mitigation = fields.Selection(TARGET_STATES, "Mitigation", readonly=True)
    sla_resolution = fields.Selection(TARGET_STATES, "Resolution", readonly=True)
    sla_rate = BlankFloat(
        "SLA kept (%)",
        digits=(5, 1),
        readonly=True,
        aggregator="avg",
        help="Of the incidents that kept their targets or breached one.",
    )

    actions_total = fields.Integer(
        "Actions",
        readonly=True,
        help="Actions raised from the incident, from its runs and their analyses, and "
        "from its post-mortem; cancelled ones are left out.",
    )
    actions_done = fields.Integer(
        readonly=True, help="Actions that are done, whether checked yet or not."
    )
    actions_on_time = fields.Integer(
        readonly=True,
        help="Actions that were done on the day they were due, or before.",
    )
    actions_overdue = fields.Integer(
        readonly=True, help="Actions that are not done, and were due before today."
    )
    postmortem_required = fields.Boolean(
        readonly=True,
        help="Its severity says by when a post-mortem is to be published.",
    )
    postmortem_published = fields.Boolean(
        readonly=True, help="Here, or elsewhere: then there is a link to it."
    )
    postmortem = fields.Selection(
        POSTMORTEMS,
        "Post-mortem",
        readonly=True,
        help="Whether the post-mortem that the severity requires was published when "
        "it was due; one that is overdue is late. Of one elsewhere, to which there is "
        "only a link, nobody knows since when it has been there.",
    )
    postmortem_meeting = fields.Selection(
        POSTMORTEMS,
        "Post-mortem scheduled",
        readonly=True,
        help="Whether the meeting about the post-mortem was arranged when that was "
        "due; late also as long as it is overdue.",
    )

    def action_open_incident(self):
        """Open the incident of a row."""
        self.ensure_one()
        return self.incident_id._open_form()

    # === What a row is made of ===

    @property
    def _table_query(self):
        return SQL(
            "SELECT %s FROM %s",
            SQL(", ").join(
                SQL("%s AS %s", expression, SQL.identifier(name))
                for name, expression in self._columns().items()
            ),
            self._source(),
        )

    @api.model
    def _source(self):
        """Return what the columns are taken from: one row for each incident.

        What is joined is never looked at where no column of it is asked for.

        :rtype: SQL
        """
        return SQL(
            """qms_incident i
               LEFT JOIN qms_severity s ON s.id = i.severity_id
               LEFT JOIN qms_postmortem p ON p.incident_id = i.id
               LEFT JOIN res_company c ON c.id = i.company_id
               LEFT JOIN resource_calendar w ON w.id = c.resource_calendar_id
               LEFT JOIN (%s) AS caused ON caused.incident_id = i.id""",
            self._repeats_by_cause(),
        )

    @api.model
    def _columns(self):
        """Return the fields, and the SQL of each.

        Each is an expression by itself, so that a query pays for those it asks for.

        :rtype: dict[str, SQL]
        """
        columns = {
            name: SQL.identifier("i", name)
            for name in (
                "id",
                "company_id",
                "name",
                "title",
                "state",
                "severity_id",
                "category_id",
                "error_code_id",
                "detected_at",
                "reopen_count",
            )
        }
        counted = SQL("i.state NOT IN %s", VOID_STATES)
        sop_id = SQL(
            """(SELECT r.sop_id FROM qms_sop_run r WHERE r.incident_id = i.id
              ORDER BY r.start_time, r.id LIMIT 1)"""
        )
        columns |= {
            "incident_id": SQL("i.id"),
            "is_open": SQL("i.state IN %s", OPEN_STATES),
            "counted": counted,
            "count": SQL("CASE WHEN %s THEN 1 ELSE 0 END", counted),
            "day": SQL("(%s)::date", self._local(SQL("i.detected_at"))),
            "cause_id": SQL(
                """(SELECT rca.cause_id
                      FROM qms_sop_run r JOIN qms_rca rca ON rca.run_id = r.id
                     WHERE r.incident_id = i.id AND rca.state = 'confirmed'
                       AND rca.cause_id IS NOT NULL
                  ORDER BY rca.confirmed_on DESC, rca.id DESC LIMIT 1)"""
            ),
            "sop_id": sop_id,
            "sop_code": SQL(
                "(SELECT d.code FROM qms_sop_document d WHERE d.id = %s)", sop_id
            ),
        }
        for name in DURATIONS:
            status = self._status(name)
            field = f"time_to_{name}"
            columns[f"{field}_status"] = status
            columns[field] = SQL(
                "CASE WHEN (%s) = 'known' THEN %s END",
                status,
                SQL.identifier("i", field),
            )
        columns["times_invalid"] = SQL(
            "(%s)",
            SQL(" OR ").join(
                SQL("(%s) = 'invalid'", self._status(name)) for name in DURATIONS
            ),
        )
        columns |= self._repeat_columns()
        columns |= self._target_columns()
        columns |= {
            name: self._count_actions(condition)
            for name, condition in self._action_conditions().items()
        }
        columns |= self._postmortem_columns()
        return columns

    @api.model
    def _local(self, moment):
        """Return the SQL of a moment by the clock of the incident's company.

        :param SQL moment: a timestamp in UTC
        :rtype: SQL
        """
        return SQL("%s AT TIME ZONE 'UTC' AT TIME ZONE COALESCE(w.tz, 'UTC')", moment)

    @api.model
    def _status(self, name):
        """Return the SQL of what is known of a duration.

        What contradicts itself makes no figure; where mitigation and resolution
        contradict each other, neither does.

        :param str name: one of :data:`DURATIONS`
        :rtype: SQL
        """
        if name == "detect":
            return SQL(
                """CASE WHEN i.state IN %s THEN 'not_applicable'
                        WHEN i.occurred_at > i.detected_at THEN 'invalid'
                        WHEN i.occurred_at IS NOT NULL THEN 'known'
                        WHEN i.state IN %s THEN 'unknown'
                        ELSE 'pending' END""",
                VOID_STATES,
                FINAL_STATES,
            )
        end = SQL.identifier("i", _ENDS[name])
        contradicts = SQL("%s < i.detected_at", end)
        if name != "acknowledge":
            contradicts = SQL("%s OR i.resolved_at < i.mitigated_at", contradicts)
        return SQL(
            """CASE WHEN i.state IN %s THEN 'not_applicable'
                    WHEN %s THEN 'invalid'
                    WHEN %s IS NOT NULL THEN 'known'
                    WHEN i.state IN %s THEN 'pending'
                    %s
                    ELSE 'unknown' END""",
            VOID_STATES,
            contradicts,
            end,
            _BEFORE[name],
            # What was resolved at once was never mitigated.
            SQL("WHEN i.state != 'mitigated' THEN 'not_applicable'")
            if name == "mitigate"
            else SQL(),
        )

    # === Repeats ===

    @api.model
    def _repeat_days(self):
        """Return for how many days the same cause is a repeat; 0: it always is.

        :rtype: int
        """
        # sudo: system parameters are read by administrators only.
        value = self.env["ir.config_parameter"].sudo().get_param(REPEAT_DAYS)
        known = isinstance(value, str) and value.isascii() and value.isdecimal()
        days = int(value) if known else DEFAULT_REPEAT_DAYS
        return days if days <= MAX_REPEAT_DAYS else DEFAULT_REPEAT_DAYS

    @api.model
    def _recent(self, earlier, later):
        """Return the SQL of whether a moment is not too long before another one.

        :rtype: SQL
        """
        days = self._repeat_days()
        if not days:
            return SQL("TRUE")
        return SQL("%s >= %s - %s * interval '1 day'", earlier, later, days)

    @api.model
    def _repeats_by_cause(self):
        """Return the SQL of which incidents have a known cause, each once.

        Columns: ``incident_id``, and of the latest earlier one with the same cause, if
        it is not too long ago, ``earlier_id`` and ``earlier_at``.

        :rtype: SQL
        """
        return SQL(
            """SELECT id AS incident_id, max(earlier_at) AS earlier_at,
                      (array_agg(earlier_id ORDER BY earlier_at DESC, earlier_id DESC)
                       FILTER (WHERE earlier_at IS NOT NULL))[1] AS earlier_id
                 FROM (SELECT id, cause_id,
                              CASE WHEN %s THEN earlier_at END AS earlier_at,
                              earlier_id
                         FROM (SELECT id, cause_id, detected_at,
                                      lag(id) OVER latest AS earlier_id,
                                      lag(detected_at) OVER latest AS earlier_at
                                 FROM (SELECT DISTINCT e.id, e.company_id,
                                              e.detected_at, a.cause_id
                                         FROM qms_rca a
                                         JOIN qms_sop_run r ON r.id = a.run_id
                                         JOIN qms_incident e ON e.id = r.incident_id
                                        WHERE a.state = 'confirmed'
                                          AND a.cause_id IS NOT NULL
                                          AND e.state NOT IN %s) AS known
                               WINDOW latest AS (PARTITION BY company_id, cause_id
                                                     ORDER BY detected_at, id)
                              ) AS followed) AS recent
             GROUP BY id""",
            self._recent(SQL("earlier_at"), SQL("detected_at")),
            VOID_STATES,
        )

    @api.model
    def _repeat_columns(self):
        """Return the columns that tell whether the cause was there before.

        :rtype: dict[str, SQL]
        """
        # By the cause it is looked up for all at once, see _repeats_by_cause(); by the
        # code for each: the index has the latest one at hand.
        repeat_of = SQL(
            """CASE WHEN i.state NOT IN %(apart)s THEN
               (SELECT e.id FROM (
                   SELECT caused.earlier_id AS id, caused.earlier_at AS detected_at
                    WHERE caused.earlier_id IS NOT NULL
                    UNION ALL
                  (SELECT e.id, e.detected_at
                     FROM qms_incident e
                    WHERE e.error_code_id = i.error_code_id
                      AND e.company_id = i.company_id AND e.state NOT IN %(apart)s
                      AND (e.detected_at, e.id) < (i.detected_at, i.id)
                      AND %(recent)s
                      AND (caused.incident_id IS NULL OR NOT EXISTS (
                               SELECT FROM qms_sop_run r
                                 JOIN qms_rca a ON a.run_id = r.id
                                WHERE r.incident_id = e.id AND a.state = 'confirmed'
                                  AND a.cause_id IS NOT NULL))
                 ORDER BY e.detected_at DESC, e.id DESC LIMIT 1)
               ) e ORDER BY e.detected_at DESC, e.id DESC LIMIT 1) END""",
            apart=VOID_STATES,
            recent=self._recent(SQL("e.detected_at"), SQL("i.detected_at")),
        )
        return {
            "repeat_of_id": repeat_of,
            "is_repeat": SQL("((%s) IS NOT NULL)", repeat_of),
            "repeat_rate": SQL(
                """CASE WHEN i.state IN %s THEN NULL
                        WHEN (%s) IS NULL THEN 0 ELSE 100 END""",
                VOID_STATES,
                repeat_of,
            ),
        }

    # === Targets ===

    @api.model
    def _target_columns(self):
        """Return the columns that tell whether targets were kept.

        :rtype: dict[str, SQL]
        """
        states = {clock: self._target_state(clock) for clock in CLOCKS}
        ranks = [state for state, _label in TARGET_STATES]
        # array_position counts from 1, as subscripts do.
        worst = SQL(
            "(%s::text[])[LEAST(%s)]",
            ranks,
            SQL(", ").join(
                SQL("array_position(%s::text[], %s)", ranks, state)
                for state in states.values()
            ),
        )
        return {
            **{f"sla_{clock}": state for clock, state in states.items()},
            "sla": worst,
            "sla_rate": SQL(
                "CASE %s WHEN 'kept' THEN 100 WHEN 'breached' THEN 0 END", worst
            ),
        }

    @api.model
    def _target_state(self, clock):
        """Return the SQL of whether a target was kept.

        :param str clock: one of :data:`CLOCKS`
        :rtype: SQL
        """
        duration, moments = _STOPS[clock]
        stop = SQL(
            # Of what is not known, LEAST takes no notice.
            "LEAST(%s)",
            SQL(", ").join(SQL.identifier("i", name) for name in moments),
        )
        contradicts = SQL("%s < i.detected_at", stop)
        if clock != "response":
            contradicts = SQL("%s OR i.resolved_at < i.mitigated_at", contradicts)
        return SQL(
            """CASE WHEN i.state IN %(apart)s OR %(deadline)s IS NULL
                         THEN 'not_applicable'
                    WHEN %(contradicts)s THEN 'invalid'
                    WHEN %(stop)s < %(deadline)s THEN 'kept'
                    WHEN %(stop)s IS NOT NULL THEN 'breached'
                    WHEN i.state NOT IN %(before)s THEN 'unknown'
                    WHEN %(deadline)s <= %(now)s THEN 'breached'
                    ELSE 'pending' END""",
            apart=VOID_STATES,
            deadline=SQL.identifier("i", f"{clock}_deadline"),
            contradicts=contradicts,
            stop=stop,
            before=_BEFORE[duration],
            now=fields.Datetime.now(),
        )

    # === Actions and post-mortems ===

    @api.model
    def _action_conditions(self):
        """Return by column which actions it counts; ``a`` is an action.

        :rtype: dict[str, SQL]
        """
        today = SQL("(%s)::date", self._local(SQL("%s", fields.Datetime.now())))
        done = SQL("a.state IN ('done', 'verified')")
        return {
            "actions_total": SQL("a.state != 'cancelled'"),
            "actions_done": done,
            "actions_on_time": SQL(
                "(%s AND (%s)::date <= a.due_date)", done, self._local(SQL("a.done_on"))
            ),
            "actions_overdue": SQL(
                "(a.state IN %s AND a.due_date < %s)", ACTIVE_STATES, today
            ),
        }

    @api.model
    def _actions_of_incidents(self):
        """Return the SQL of which actions belong to an incident: pairs of their ids,
        as ``incident_id`` and ``id``.

        :rtype: SQL
        """
        return SQL(
            """SELECT incident_id, id FROM qms_action WHERE incident_id IS NOT NULL
               UNION
               SELECT r.incident_id, a.id
                 FROM qms_sop_run r JOIN qms_action a ON a.run_id = r.id
                WHERE r.incident_id IS NOT NULL"""
        )

    @api.model
    def _count_actions(self, condition):
        return SQL(
            """(SELECT count(*)
                  FROM (%s) of_incident JOIN qms_action a ON a.id = of_incident.id
                 WHERE of_incident.incident_id = i.id AND %s)""",
            self._actions_of_incidents(),
            condition,
        )

    @api.model
    def _postmortem_columns(self):
        """Return the columns that tell how it is about the post-mortem.

        :rtype: dict[str, SQL]
        """
        counted = SQL("i.state NOT IN %s", VOID_STATES)
        linked = SQL("COALESCE(btrim(i.postmortem_link), '') != ''")

        def told(limit, on_time, due):
            return SQL(
                """CASE WHEN %(counted)s AND %(limit)s > 0 THEN
                   CASE WHEN %(on_time)s = 'yes' THEN 'on_time'
                        WHEN %(on_time)s = 'no' THEN 'late'
                        WHEN %(linked)s OR p.state = 'published' THEN 'unknown'
                        WHEN %(due)s < %(now)s THEN 'late'
                        WHEN %(due)s IS NOT NULL OR i.state IN %(before)s
                             THEN 'pending'
                        ELSE 'unknown' END
                   ELSE 'not_required' END""",
                counted=counted,
                limit=limit,
                on_time=on_time,
                linked=linked,
                due=due,
                now=fields.Datetime.now(),
                before=_BEFORE["resolve"],
            )

        return {
            "postmortem_required": SQL(
                "COALESCE(%s AND s.postmortem_days > 0, FALSE)", counted
            ),
            "postmortem_published": SQL(
                "COALESCE(p.state = 'published' OR %s, FALSE)", linked
            ),
            "postmortem": told(
                SQL("s.postmortem_days"),
                SQL("p.published_on_time"),
                SQL("i.postmortem_due"),
            ),
            "postmortem_meeting": told(
                SQL("s.postmortem_schedule_hours"),
                SQL("p.scheduled_on_time"),
                SQL("i.postmortem_schedule_due"),
            ),
        }
