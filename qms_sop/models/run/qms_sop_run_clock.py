from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ...tools import working_time
from ...tools.fields import BlankFloat
from ...tools.values import to_rfc3339
from ..qms_duration_mixin import QmsDurationMixin as Duration
from .qms_sop_run import FINAL_STATES, OPEN_STATES

# System parameter: per cent of a target after which a clock is at risk.
AT_RISK_PERCENT = "qms_sop.sla_at_risk_percent"
DEFAULT_AT_RISK_PERCENT = 75

CLOCKS = ("response", "mitigation", "resolution")
# What stops a clock: its own time or, where nobody told that, a later one.
_STOPPED_BY = {
    "response": ("acknowledged_at", "mitigated_at", "resolved_at"),
    "mitigation": ("mitigated_at", "resolved_at"),
    "resolution": ("resolved_at",),
}
# The best first; a run is as good as the worst of its clocks.
CLOCK_STATES = [
    ("not_applicable", "No target"),
    ("met", "Met"),
    ("paused", "Paused"),
    ("running", "Running"),
    ("at_risk", "At risk"),
    ("breached", "Breached"),
]
_RANK = {state: rank for rank, (state, _label) in enumerate(CLOCK_STATES)}

TIMES = ("occurred_at", "detected_at", "acknowledged_at", "mitigated_at", "resolved_at")
# Pairs of times of which the second cannot be before the first. Acknowledged and
# mitigated are none: what recovers by itself may be looked at later.
ORDER = (
    ("occurred_at", "detected_at"),
    ("occurred_at", "mitigated_at"),
    ("detected_at", "acknowledged_at"),
    ("detected_at", "resolved_at"),
    ("acknowledged_at", "resolved_at"),
    ("mitigated_at", "resolved_at"),
)
METRICS = {
    "time_to_detect": ("occurred_at", "detected_at"),
    "time_to_acknowledge": ("detected_at", "acknowledged_at"),
    "time_to_mitigate": ("detected_at", "mitigated_at"),
    "time_to_resolve": ("detected_at", "resolved_at"),
}
_SYSTEM_FIELDS = frozenset(
    {
        "acknowledged_at",
        "acknowledged_by_id",
        "mitigated_at",
        "resolved_at",
        "held_since",
        "hold_periods",
        "paused_minutes",
        "next_deadline",
        *(f"{clock}_deadline" for clock in CLOCKS),
        *(f"{clock}_at_risk_at" for clock in CLOCKS),
    }
)
_STATE_INPUTS = (
    *TIMES,
    "state",
    "end_time",
    "held_since",
    *(f"{clock}_deadline" for clock in CLOCKS),
    *(f"{clock}_at_risk_at" for clock in CLOCKS),
)
# What is read of a run to tell its clocks
CLOCK_COLUMNS = (
    *(name for name in _STATE_INPUTS if name not in ("state", "end_time")),
    *METRICS,
    "acknowledged_by_id",
    "times_contradict",
    "next_deadline",
    "paused_minutes",
)
# Opening times that a client is told, so that it can count them down by itself
_TOLD_TIMES = 12
_TOLD_AHEAD = timedelta(days=14)


class QmsSopRun(models.Model):
    """The clocks of a run: until response, mitigation and resolution.

    A run keeps its deadlines; how a clock stands follows from them and from the time,
    so nothing has to be written while time passes. Deadlines are those of the targets
    that its severity had when they were last worked out: when the run was opened, got
    another severity, or went on after a hold.
    """

    _name = "qms.sop.run"
    _inherit = ["qms.sop.run", "qms.clock.mixin"]

    _clock_inputs = frozenset({*TIMES, "severity_id", "start_time", "state"})
    _known_when_new = Duration._known_when_new | {*METRICS, "times_contradict"}

    occurred_at = fields.Datetime(
        "Occurred", copy=False, help="When the trouble began."
    )
    detected_at = fields.Datetime(
        "Detected",
        copy=False,
        help="When somebody or something noticed it; its clocks begin then. When the "
        "run was opened, unless it was said otherwise.",
    )
    acknowledged_at = fields.Datetime(
        "Acknowledged",
        copy=False,
        readonly=True,
        help="When somebody took it on: it stops the response clock.",
    )
    acknowledged_by_id = fields.Many2one(
        "res.users", "Acknowledged by", copy=False, readonly=True
    )
    mitigated_at = fields.Datetime(
        "Mitigated",
        copy=False,
        readonly=True,
        help="When users no longer suffered from it: it stops the mitigation clock.",
    )
    resolved_at = fields.Datetime(
        "Resolved",
        copy=False,
        readonly=True,
        help="When its cause was removed: it stops the resolution clock. When the run "
        "was completed, unless it was said otherwise.",
    )
    response_deadline = fields.Datetime("Respond by", copy=False, readonly=True)
    mitigation_deadline = fields.Datetime("Mitigate by", copy=False, readonly=True)
    resolution_deadline = fields.Datetime("Resolve by", copy=False, readonly=True)
    response_at_risk_at = fields.Datetime(copy=False, readonly=True)
    mitigation_at_risk_at = fields.Datetime(copy=False, readonly=True)
    resolution_at_risk_at = fields.Datetime(copy=False, readonly=True)
    next_deadline = fields.Datetime(
        "Due",
        copy=False,
        readonly=True,
        help="The next deadline, or the first one missed, of what is still to be done. "
        "Empty on hold and when nothing is.",
    )
    held_since = fields.Datetime("On hold since", copy=False, readonly=True)
    hold_periods = fields.Json(
        copy=False, readonly=True, help="Holds that are over: pairs of begin and end."
    )
    paused_minutes = fields.Float(
        "Paused (minutes)",
        copy=False,
        readonly=True,
        help="How long the run was on hold, the present hold left out.",
    )
    response_sla = fields.Selection(
        CLOCK_STATES,
        "Response",
        compute="_compute_sla",
        search="_search_response_sla",
    )
    mitigation_sla = fields.Selection(
        CLOCK_STATES,
        "Mitigation",
        compute="_compute_sla",
        search="_search_mitigation_sla",
    )
    resolution_sla = fields.Selection(
        CLOCK_STATES,
        "Root-cause fix",
        compute="_compute_sla",
        search="_search_resolution_sla",
    )
    sla = fields.Selection(
        CLOCK_STATES,
        "SLA",
        compute="_compute_sla",
        search="_search_sla",
        help="The worst of the three clocks.",
    )
    clocks = fields.Json(
        compute="_compute_clocks", help="The clocks, for what counts them down."
    )
    time_to_detect = BlankFloat(
        "Time to detect",
        compute="_compute_metrics",
        store=True,
        aggregator="avg",
        help="Minutes from occurred to detected; blank until both are known.",
    )
    time_to_acknowledge = BlankFloat(
        "Time to acknowledge",
        compute="_compute_metrics",
        store=True,
        aggregator="avg",
        help="Minutes from detected to acknowledged; blank until both are known.",
    )
    time_to_mitigate = BlankFloat(
        "Time to mitigate",
        compute="_compute_metrics",
        store=True,
        aggregator="avg",
        help="Minutes from detected to mitigated; blank until both are known.",
    )
    time_to_resolve = BlankFloat(
        "Time to resolve",
        compute="_compute_metrics",
        store=True,
        aggregator="avg",
        help="Minutes from detected to resolved; blank until both are known.",
    )
    times_contradict = fields.Boolean(
        "Times contradict each other",
        compute="_compute_metrics",
        store=True,
        help="A metric whose times contradict each other is left blank.",
    )
    times_contradiction = fields.Text(
        "Contradiction", compute="_compute_times_contradiction"
    )

    _next_deadline_idx = models.Index("(next_deadline) WHERE next_deadline IS NOT NULL")

    def init(self):
        super().init()
        # The trail and the calendars are there only when all models are.
        self.pool.post_init(self._clock_older_runs)

    @api.model
    def _clock_older_runs(self):
        """Give clocks to runs that were opened when there were none."""
        targets = self.env["qms.severity"]._clock_targets
        severities = self.env["qms.severity"].search([]).ids
        runs = self.search(
            Domain("state", "in", OPEN_STATES)
            & Domain("start_time", "!=", False)
            & Domain(
                "severity_id", "in", [i for i in severities if any(targets(i)[:3])]
            )
            & Domain.AND(Domain(f"{clock}_deadline", "=", False) for clock in CLOCKS)
        )
        for run in runs:
            run._write_system(
                {"severity_id": run.severity_id.id}
                if run.trigger == "scheduled" or run.detected_at
                else {"detected_at": run.start_time}
            )

    # === What follows from times ===

    @api.depends(*TIMES, "start_time", "end_time", "resolution_time")
    def _compute_metrics(self):
        for run in self:
            run.update(_metrics(run._clock_facts({})))

    @api.depends("times_contradict")
    def _compute_times_contradiction(self):
        for run in self:
            found = _contradictions(run._clock_facts({}))
            run.times_contradiction = (
                run._tell_contradictions(found) if found else False
            )

    def _clock_facts(self, vals):
        """Return the values that clocks and metrics follow from.

        :param dict vals: values that are about to be written, of more weight
        :rtype: dict
        """

        def known(name):
            # A new run is no record yet; asking for its fields would cost time.
            return vals[name] if name in vals else bool(self) and self[name]

        facts = {
            name: fields.Datetime.to_datetime(known(name)) or False
            for name in (*TIMES, "start_time", "end_time", "held_since")
        }
        facts["state"], facts["trigger"] = known("state"), known("trigger")
        severity = known("severity_id")
        facts["severity_id"] = (
            severity.id if isinstance(severity, models.BaseModel) else severity
        )
        facts["holds"] = [
            tuple(fields.Datetime.to_datetime(moment) for moment in period)
            for period in known("hold_periods") or ()
        ]
        taken = known("resolution_time")
        facts["resolution_time"] = False if taken is None else taken
        return facts

    def _clock_values(self, vals):
        values = super()._clock_values(vals)
        new = self._clock_facts(vals)
        old = self._clock_facts({}) if self else dict.fromkeys(new, False)
        own = self._detection(vals, old, new)
        if self:
            own |= self._held(old, new)
            own |= self._resolution(vals, old, new)
        new |= own
        for clock in CLOCKS:
            absent = not (self and self[f"{clock}_deadline"])
            if _needs_deadline(clock, old, new, absent):
                own |= self._deadline(clock, new)
        deadlines = [
            own[name] if name in own else bool(self) and self[name]
            for clock in CLOCKS
            if not _stop(clock, new)
            for name in [f"{clock}_deadline"]
        ]
        own["next_deadline"] = (
            min(filter(None, deadlines), default=False)
            if new["state"] not in ("on_hold", *FINAL_STATES)
            else False
        )
        own.pop("holds", None)
        if self:
            own = {name: value for name, value in own.items() if value != self[name]}
        else:
            # Computing them later would cost an update for each new run.
            own |= _metrics(new)
        return {**values, **own}

    def _detection(self, vals, old, new):
        """A run is opened because something was noticed, then at the latest; a
        schedule notices nothing."""
        if "detected_at" in vals or new["trigger"] == "scheduled":
            return {}
        if not self or (
            "start_time" in vals and old["detected_at"] == old["start_time"]
        ):
            return {"detected_at": new["start_time"]}
        return {}

    def _held(self, old, new):
        """Begin or end a hold."""
        if old["state"] == new["state"]:
            return {}
        now = fields.Datetime.now()
        if new["state"] == "on_hold":
            return {"held_since": now}
        if old["state"] != "on_hold" or not old["held_since"]:
            return {}
        until = new["end_time"] if new["state"] in FINAL_STATES else now
        until = max(until or now, old["held_since"])
        holds = [*old["holds"], (old["held_since"], until)]
        return {
            "held_since": False,
            "holds": holds,
            "hold_periods": [
                [fields.Datetime.to_string(moment) for moment in period]
                for period in holds
            ],
            "paused_minutes": sum(
                (end - begin).total_seconds() / 60 for begin, end in holds
            ),
        }

    def _resolution(self, vals, old, new):
        """What is completed is resolved, then at the latest."""
        if (
            new["state"] != "completed"
            or old["state"] == "completed"
            or new["resolved_at"]
            or "resolved_at" in vals
        ):
            return {}
        end = new["end_time"] or fields.Datetime.now()
        # Of times that contradict each other, no further one is derived.
        if _contradictions({**new, "resolved_at": end}):
            return {}
        return {"resolved_at": end}

    @api.model
    def _deadline(self, clock, facts):
        """Return when a clock runs out, and when it is at risk.

        :param str clock: one of :data:`CLOCKS`
        :param dict facts: see :meth:`_clock_facts`
        :rtype: dict
        """
        *targets, calendar_id = self.env["qms.severity"]._clock_targets(
            facts["severity_id"]
        )
        minutes = targets[CLOCKS.index(clock)]
        begin = facts["detected_at"] or facts["start_time"]
        deadline = at_risk = None
        # What lies beyond is refused, but only after it is written.
        if minutes and begin and 1900 <= begin.year < 9000:
            weeks = self._weeks(calendar_id)
            deadline = working_time.due(begin, minutes, weeks, facts["holds"])
        if deadline:
            early = minutes * self._at_risk_percent() / 100
            at_risk = working_time.due(begin, early, weeks, facts["holds"])
            # The database keeps whole seconds of what people are told.
            at_risk = at_risk.replace(microsecond=0)
        return {
            f"{clock}_deadline": deadline or False,
            f"{clock}_at_risk_at": at_risk or False,
        }

    @api.model
    def _weeks(self, calendar_id):
        """Return a function from a Monday to opening times; ``None``: always open."""
        if not calendar_id:
            return None
        calendars = self.env["resource.calendar"]
        return lambda monday: calendars._qms_week(calendar_id, monday)

    @api.model
    def _at_risk_percent(self):
        """Return the per cent of a target after which a clock is at risk, 1 to 99.

        :rtype: int
        """
        # sudo: system parameters are read by administrators only.
        value = self.env["ir.config_parameter"].sudo().get_param(AT_RISK_PERCENT)
        known = isinstance(value, str) and value.isascii() and value.isdecimal()
        percent = int(value) if known else DEFAULT_AT_RISK_PERCENT
        return percent if 1 <= percent <= 99 else DEFAULT_AT_RISK_PERCENT

    # === How clocks stand ===

    @api.depends(*_STATE_INPUTS)
    def _compute_sla(self):
        now = fields.Datetime.now()
        for run in self:
            states = {clock: run._clock_state(clock, now) for clock in CLOCKS}
            for clock, state in states.items():
                run[f"{clock}_sla"] = state
            run.sla = self._worst(states.values())

    def _clock_state(self, clock, now, stop=None):
        """Return how a clock of one run stands.

        :param str clock: one of :data:`CLOCKS`
        :param datetime now: naive, in UTC
        :param stop: what :meth:`_clock_stop` says, if that was asked
        :return: one of :data:`CLOCK_STATES`; what reaches its deadline is breached
        :rtype: str
        """
        deadline = self[f"{clock}_deadline"]
        if not deadline:
            return "not_applicable"
        if stop is None:
            stop = self._clock_stop(clock)
        if stop:
            return "met" if stop < deadline else "breached"
        if self.state in FINAL_STATES:
            # Nothing came of it, in time or else.
            ended = self.end_time or now
            return "breached" if deadline <= ended else "not_applicable"
        if self.state == "on_hold" and self.held_since:
            return "breached" if deadline <= self.held_since else "paused"
        if deadline <= now:
            return "breached"
        return "at_risk" if self[f"{clock}_at_risk_at"] <= now else "running"

    def _clock_stop(self, clock):
        """Return when a clock of one run was stopped, or ``False``."""
        return _stop(clock, self)

    def _clock_waits(self, clock):
        """Tell whether a clock of one run, paused or not, waits for its end."""
        return bool(
            self[f"{clock}_deadline"]
            and self.state not in FINAL_STATES
            and not self._clock_stop(clock)
        )

    @api.model
    def _worst(self, states):
        """Return the worst of some states of clocks.

        :rtype: str
        """
        return max(states, key=_RANK.get)

    def _clock_sql(self, clock, alias, now):
        """Return the SQL of :meth:`_clock_state`."""
        column = {
            name: SQL.identifier(alias, name)
            for name in (*TIMES, "state", "end_time", "held_since")
        }
        deadline = SQL.identifier(alias, f"{clock}_deadline")
        return SQL(
            """CASE WHEN %(deadline)s IS NULL THEN 'not_applicable'
                    WHEN %(stop)s IS NOT NULL THEN
                         CASE WHEN %(stop)s < %(deadline)s THEN 'met'
                              ELSE 'breached' END
                    WHEN %(state)s IN %(final)s THEN
                         CASE WHEN %(deadline)s <= COALESCE(%(end)s, %(now)s)
                              THEN 'breached' ELSE 'not_applicable' END
                    WHEN %(state)s = 'on_hold' AND %(held)s IS NOT NULL THEN
                         CASE WHEN %(deadline)s <= %(held)s THEN 'breached'
                              ELSE 'paused' END
                    WHEN %(deadline)s <= %(now)s THEN 'breached'
                    WHEN %(risk)s <= %(now)s THEN 'at_risk'
                    ELSE 'running' END""",
            deadline=deadline,
            risk=SQL.identifier(alias, f"{clock}_at_risk_at"),
            # Of what is not known, LEAST takes no notice.
            stop=SQL(
                "LEAST(%s, CASE WHEN %s = 'completed' THEN %s END)",
                SQL(", ").join(column[name] for name in _STOPPED_BY[clock]),
                column["state"],
                column["end_time"],
            ),
            state=column["state"],
            end=column["end_time"],
            held=column["held_since"],
            final=FINAL_STATES,
            now=now,
        )

    def _search_response_sla(self, operator, value):
        return self._search_clocks(("response",), operator, value)

    def _search_mitigation_sla(self, operator, value):
        return self._search_clocks(("mitigation",), operator, value)

    def _search_resolution_sla(self, operator, value):
        return self._search_clocks(("resolution",), operator, value)

    def _search_sla(self, operator, value):
        return self._search_clocks(CLOCKS, operator, value)

    @api.model
    def _search_clocks(self, clocks, operator, values):
        if operator != "in":
            return NotImplemented
        wanted = sorted(_RANK[value] for value in values if value in _RANK)
        if not wanted:
            return Domain.FALSE
        now = fields.Datetime.now()
        names = tuple(clocks)

        def rank(clock, alias):
            state = self._clock_sql(clock, alias, now)
            return SQL(
                "array_position(%s::text[], %s)",
                [name for name, _label in CLOCK_STATES],
                state,
            )

        def to_sql(model, alias, query):
            ranks = SQL(", ").join(rank(clock, alias) for clock in names)
            # array_position counts from 1
            return SQL(
                "GREATEST(%s) IN %s", ranks, tuple(number + 1 for number in wanted)
            )

        def predicate(run):
            worst = max(_RANK[run._clock_state(clock, now)] for clock in names)
            return worst in wanted

        return Domain.custom(to_sql=to_sql, predicate=predicate)

    def _next_clock_moments(self):
        """Return the moments at which clocks that are not stopped pass a mark.

        Moments that have passed are among them: whoever tells about them knows what
        was told already. Runs whose clocks stand still have none.

        :return: ``{run id: [(moment, clock, mark)]}``, by moment: naive datetime in
            UTC, one of :data:`CLOCKS`, ``at_risk`` or ``breached``
        :rtype: dict[int, list[tuple[datetime, str, str]]]
        """
        moments = {}
        for run in self:
            found = moments[run.id] = []
            if run.state in ("on_hold", *FINAL_STATES):
                continue
            for clock in CLOCKS:
                if run._clock_stop(clock):
                    continue
                for mark, name in (("at_risk", "at_risk_at"), ("breached", "deadline")):
                    if moment := run[f"{clock}_{name}"]:
                        found.append((moment, clock, mark))
            found.sort(key=lambda one: one[0])
        return moments

    # === For clients ===

    @api.depends(*_STATE_INPUTS, "hold_periods")
    def _compute_clocks(self):
        for run in self:
            run.clocks = run._clocks_to_dict(opening=True)

    def _clocks_to_dict(self, opening=False):
        """Return the clocks of one run in plain values.

        :param bool opening: with what is needed to count them down
        :return: by clock ``state``, ``deadline``, ``at_risk_at``, ``stopped_at``
            (RFC 3339 or ``None``) and ``remaining_minutes`` (of the time that counts,
            negative when it is overdue; ``None`` when the clock does not wait for
            anything); with ``opening`` also ``now`` and, by clock, ``ticks`` (whether
            time runs), ``minutes`` (that count from its begin to its deadline),
            ``taken_minutes`` (to its stop) and ``open``: pairs of times that count,
            from now on (``None``: all of them)
        :rtype: dict
        """
        self.ensure_one()
        now = fields.Datetime.now()
        told = {"now": to_rfc3339(now)} if opening else {}
        calendar_id = self.env["qms.severity"]._clock_targets(self.severity_id.id)[-1]
        weeks = self._weeks(calendar_id)
        paused = self.state == "on_hold" and self.held_since
        holds = self._clock_facts({})["holds"] if opening else ()
        for clock in CLOCKS:
            deadline, stop = self[f"{clock}_deadline"], self._clock_stop(clock)
            state = self._clock_state(clock, now, stop)
            waits = deadline and not stop and self.state not in FINAL_STATES
            remaining = (
                working_time.counted(paused or now, deadline, weeks) if waits else None
            )
            told[clock] = {
                "state": state,
                "deadline": to_rfc3339(deadline),
                "at_risk_at": to_rfc3339(self[f"{clock}_at_risk_at"]),
                "stopped_at": to_rfc3339(stop),
                "remaining_minutes": remaining,
            }
            if opening:
                told[clock]["ticks"] = waits and not paused
                begin = self.detected_at or self.start_time
                told[clock]["minutes"], told[clock]["taken_minutes"] = (
                    working_time.counted(begin, end, weeks, holds)
                    if begin and end
                    else None
                    for end in (deadline, stop)
                )
                told[clock]["open"] = (
                    [
                        [to_rfc3339(begin), to_rfc3339(end)]
                        for begin, end in working_time.open_times(
                            now, now + _TOLD_AHEAD, weeks, _TOLD_TIMES
                        )
                    ]
                    if weeks and waits
                    else None
                )
        return told

    # === Checks ===

    @api.constrains(*TIMES)
    def _check_order_of_times(self):
        # A clock that is a little ahead is no lie.
        latest = fields.Datetime.now() + timedelta(minutes=1)
        for run in self:
            for name in TIMES:
                if run[name] and run[name] > latest:
                    raise ValidationError(
                        self.env._(
                            "%(field)s: %(time)s is in the future.",
                            field=name,
                            time=to_rfc3339(run[name]),
                        )
                    )
            found = [
                (first, second)
                for first, second in ORDER
                if run[first] and run[second] and run[second] < run[first]
            ]
            if found:
                raise ValidationError(
                    self.env._(
                        "%(run)s: %(problems)s.",
                        run=run.display_name,
                        problems=run._tell_contradictions(found),
                    )
                )

    def _tell_contradictions(self, found):
        """Say which times contradict each other.

        :param found: pairs of names of fields, the one that has to be earlier first
        :rtype: str
        """
        return "; ".join(
            self.env._(
                "%(later)s (%(later_time)s) cannot be before %(earlier)s "
                "(%(earlier_time)s)",
                later=second,
                later_time=to_rfc3339(self[second]),
                earlier=first,
                earlier_time=to_rfc3339(self[first]),
            )
            if second != "resolution_time"
            else self.env._(
                "resolution_time (%(seconds)s s) is longer than from %(earlier)s to "
                "the end of the run",
                seconds=self.resolution_time,
                earlier=first,
            )
            for first, second in found
        )

    @api.model
    def _check_not_system(self, vals):
        forged = sorted(_SYSTEM_FIELDS & vals.keys())
        if forged:
            raise UserError(
                self.env._(
                    "%(model)s: %(fields)s cannot be given, the system writes it. "
                    "Times are told by acknowledge, mitigate, resolve and "
                    "correct_times.",
                    model=self._description,
                    fields=", ".join(forged),
                )
            )
        return super()._check_not_system(vals)

    def write(self, vals):
        told = sorted({"occurred_at", "detected_at"} & vals.keys())
        if told and any(run.state != "draft" for run in self):
            raise UserError(
                self.env._(
                    "%(fields)s of a run that is open is changed by correct_times, "
                    "with a reason.",
                    fields=", ".join(told),
                )
            )
        return super().write(vals)


def _stop(clock, facts):
    """Return when a clock was stopped, or ``False``.

    :param facts: a run, or values of one
    """
    times = [facts[name] for name in _STOPPED_BY[clock]]
    if facts["state"] == "completed":
        times.append(facts["end_time"])
    return min(filter(None, times), default=False)


def _needs_deadline(clock, old, new, absent):
    """Tell whether the deadline of a clock has to be worked out (again).

    What was stopped keeps the deadline that it was measured by, unless it turns out to
    have begun at another time.

    :param str clock: one of :data:`CLOCKS`
    :param dict old: see ``_clock_facts``; before a change
    :param dict new: after it
    :param bool absent: whether there is no deadline so far
    :rtype: bool
    """

    def begin(facts):
        return facts["detected_at"] or facts["start_time"]

    if begin(old) != begin(new):
        return True
    if _stop(clock, old) and _stop(clock, new):
        return False
    return (
        absent
        or old["severity_id"] != new["severity_id"]
        or old["holds"] != new["holds"]
        or bool(_stop(clock, old)) > bool(_stop(clock, new))
    )


def _contradictions(facts):
    """Return the pairs of times that contradict each other.

    :param dict facts: see ``_clock_facts``
    :rtype: list[tuple[str, str]]
    """
    ended = facts["end_time"]
    pairs = [*ORDER, ("start_time", "end_time")]
    if ended:
        pairs += [(name, "end_time") for name in TIMES]
    found = [
        (first, second)
        for first, second in pairs
        if facts[first] and facts[second] and facts[second] < facts[first]
    ]
    taken = facts["resolution_time"]
    if taken is not False and ended and facts["occurred_at"]:
        # Seconds are rounded where they are measured.
        if taken > (ended - facts["occurred_at"]).total_seconds() + 60:
            found.append(("occurred_at", "resolution_time"))
    return found


def _metrics(facts):
    """Return the metrics that follow from times, blank where they cannot be known.

    :param dict facts: see ``_clock_facts``
    :rtype: dict
    """
    values = {}
    for name, (first, second) in METRICS.items():
        begin, end = facts[first], facts[second]
        known = begin and end and end >= begin
        values[name] = (end - begin).total_seconds() / 60 if known else False
    return {**values, "times_contradict": bool(_contradictions(facts))}
