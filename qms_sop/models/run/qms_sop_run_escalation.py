import logging
import random
import time
from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError, UserError
from odoo.fields import Command, Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import SQL

from ...tools.deferred import execute_last
from ...tools.duty import Duty
from ...tools.escalation import Facts, Subject, applicable, look
from ...tools.zones import in_utc
from .qms_sop_run_clock import CLOCKS
from .qms_sop_run_clock import QmsSopRun as Clocked

_logger = logging.getLogger(__name__)

# Seconds in which this process wakes the scheduler once; when it last did, by database
_BURST, _NOTIFIED = 1, {}
# Runs that are looked at in one transaction
BATCH = 100
# How often a batch that collides with others is tried again, after a random time
_TRIES, _PAUSE = 20, 0.1
# When a run that could not be dealt with is looked at again
_POSTPONED = timedelta(minutes=5)
# A trigger of the job that is so near may be used up before this transaction ends.
_NEAR = timedelta(minutes=2)
_WAKE = "qms_sop.escalation_wake"
_COLLISIONS = (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, ConcurrencyError, UniqueViolation)

# What policies are matched on, besides what moves the clocks
_MATCHED = frozenset({"category_id", "error_code_id", "summary", "company_id"})
# Reaching one of these ends waits, and never makes anything due earlier.
_MILESTONES = frozenset({"acknowledged_at", "mitigated_at", "resolved_at"})
_TIMES = (
    *_MILESTONES,
    *(f"{clock}_{name}" for clock in CLOCKS for name in ("at_risk_at", "deadline")),
)
_OWN = frozenset({"next_escalation_at", "escalation_level", "escalation_problem"})


class _Telling(NamedTuple):
    """What is about to be told of a run, and to whom: ``{user: from when}``."""

    run: models.Model
    key: str
    event: str
    reason: str
    moment: datetime
    users: dict
    channels: models.Model
    roles: models.Model
    rule: models.Model
    values: dict
    repetition: int = 0


class QmsSopRun(models.Model):
    """The engine that tells people of runs in time.

    A run knows when somebody has to look at it next; one job, which is woken at the
    earliest of these moments, claims the runs that are due. What a pass costs follows
    from what is due, not from how many runs are open.
    """

    _inherit = "qms.sop.run"

    _clock_inputs = Clocked._clock_inputs | _MATCHED

    next_escalation_at = fields.Datetime(
        "Next escalation",
        copy=False,
        readonly=True,
        help="When somebody may have to be told next, unless something happens before.",
    )
    escalation_level = fields.Integer(
        "Escalated to level", copy=False, readonly=True, aggregator=None
    )
    escalation_problem = fields.Char(
        copy=False,
        readonly=True,
        help="Why somebody was not told who should have been.",
    )
    escalation_ids = fields.One2many(
        "qms.escalation.event", "run_id", "Escalations", readonly=True
    )

    _next_escalation_idx = models.Index(
        "(next_escalation_at, id) WHERE next_escalation_at IS NOT NULL"
    )

    # === When to look next ===

    def _clock_values(self, vals):
        values = super()._clock_values(vals)
        known = {**vals, **values}
        state = known.get("state") or self.state or "draft"
        if state != "in_progress":
            moment = False
        elif not self:
            moment = self._first_escalation(known)
        elif self._may_be_due_earlier(vals):
            # Only who looks knows what was told already.
            moment = fields.Datetime.now()
        else:
            return values
        if moment != self.next_escalation_at:
            values = {**values, "next_escalation_at": moment}
        return values

    def _may_be_due_earlier(self, vals):
        """Tell whether a change can make something due before the next look."""
        inputs = vals.keys() & self._clock_inputs
        if any(
            name not in _MATCHED and (name not in _MILESTONES or not vals[name])
            for name in inputs
        ):
            return True
        if not inputs & _MATCHED:
            return False
        policies = self.env["qms.escalation.policy"]._specs()
        return applicable(policies, self._escalation_subject(vals)) != applicable(
            policies, self._escalation_subject({})
        )

    @api.model
    def _first_escalation(self, known):
        """Return when somebody has to be told of a new run first.

        :param dict known: the values it is created with
        :return: naive UTC datetime, or ``False``
        """
        begin = known.get("detected_at") or known.get("start_time")
        if not begin:
            return False
        company_id = known.get("company_id") or self.env.company.id
        severity_id = known.get("severity_id") or 0
        times = {name: fields.Datetime.to_datetime(known.get(name)) for name in _TIMES}
        facts = Facts(
            begin=fields.Datetime.to_datetime(begin),
            times=times,
            holds=(),
            weeks=self._escalation_weeks(severity_id, company_id),
            immediately=severity_id in self.env["qms.severity"]._told_immediately(),
        )
        subject = self._escalation_subject(known)
        now = fields.Datetime.now()
        moments = [
            moment for clock in CLOCKS if (moment := times[f"{clock}_at_risk_at"])
        ]
        for rule in applicable(self.env["qms.escalation.policy"]._specs(), subject):
            due, upcoming = look(rule, facts, -1, now)
            moments += [due.moment] if due else []
            moments += [upcoming] if upcoming else []
        return min(moments, default=False)

    def _escalation_subject(self, vals):
        """Return what policies are matched on; costs no query in the long run.

        :param dict vals: values that are about to be written, of more weight
        :rtype: Subject
        """

        def known(name):
            value = vals[name] if name in vals else self[name]
            return value.id if isinstance(value, models.BaseModel) else value

        code = self.env["qms.error.code"]._names_by_id().get(known("error_code_id"))
        policies = self.env["qms.escalation.policy"]._specs()
        sop_code = ""
        # Only approved revisions have an outline at hand.
        if any(policy.sop_code for policy in policies):
            sop = self.env["qms.sop.document"].browse(known("sop_id"))
            sop_code = sop._outline()[0]
        return Subject(
            company_id=known("company_id") or self.env.company.id,
            severity_id=known("severity_id") or 0,
            category_id=known("category_id") or 0,
            error_code_id=known("error_code_id") or 0,
            sop_code=sop_code,
            text=f"{known('summary') or ''}\n{(code or '').replace('_', ' ')}",
        )

    @api.model
    def _escalation_weeks(self, severity_id, company_id):
        """Return the opening times in which the minutes of what may wait count.

        Those of the severity, else those of the company.

        :return: a function from a Monday to its opening times; ``None``: always open
        """
        calendar_id = self.env["qms.severity"]._clock_targets(severity_id)[3]
        if not calendar_id:
            calendar_id = self.env["res.company"]._working_calendar_id(company_id)
        return self._weeks(calendar_id)

    def _clocks_changed(self):
        super()._clocks_changed()
        moments = [run.next_escalation_at for run in self if run.next_escalation_at]
        if moments:
            self._wake_escalations(min(moments))

    @api.model
    def _wake_escalations(self, at):
        """Have the job come at a time, at the end of the transaction.

        :param datetime at: naive, UTC
        """
        callbacks = self.env.cr.precommit
        if _WAKE not in callbacks.data:
            callbacks.add(self._trigger_escalations)
            callbacks.data[_WAKE] = at
        callbacks.data[_WAKE] = min(at, callbacks.data[_WAKE])

    @api.model
    def _trigger_escalations(self):
        """Add a trigger of the job, unless it comes early enough anyway.

        With other statements, in one: ``ir.cron._trigger`` reads the job first, and
        knows nothing of triggers that are there. It says no user: each would cost a
        check.
        """
        at = self.env.cr.precommit.data.pop(_WAKE, None)
        cron_id = self.env["ir.model.data"]._xmlid_to_res_id(
            "qms_sop.ir_cron_escalate", raise_if_not_found=False
        )
        if not at or not cron_id:
            return
        now = fields.Datetime.now()
        unless = SQL()
        if at >= now + _NEAR:
            unless = SQL(
                """ WHERE NOT EXISTS (SELECT FROM ir_cron_trigger
                                       WHERE cron_id = %s AND call_at BETWEEN %s AND %s)
                """,
                cron_id,
                now + _NEAR,
                at,
            )
        execute_last(
            self.env.cr,
            SQL(
                "INSERT INTO ir_cron_trigger (cron_id, call_at, create_date)"
                " SELECT %s, %s::timestamp, %s::timestamp%s",
                cron_id,
                at,
                now,
                unless,
            ),
        )
        if at <= now:
            self.env.cr.postcommit.add(self._notify_scheduler)

    @api.model
    def _notify_scheduler(self):
        """Wake the scheduler now; of a burst of runs the first one does.

        The others are seen by the pass that follows or, at the latest, when the
        scheduler looks by itself, which it does once a minute.
        """
        now, name = time.monotonic(), self.env.cr.dbname
        if now - _NOTIFIED.get(name, -_BURST) >= _BURST:
            _NOTIFIED[name] = now
            self.env["ir.cron"]._notifydb()

    # === The job ===

    @api.model
    def _cron_escalate(self):
        """Tell people of the runs that are due, batch by batch, each committed."""
        cron, reviews = self.env["ir.cron"], self.env["qms.escalation.review"]
        tries, more, left = 0, True, 1
        while more and left:
            try:
                marked = reviews._mark_part()
                count = 0 if marked else self._escalate_batch()
            except _COLLISIONS as error:
                # Somebody changed these runs meanwhile: with what they are now, again.
                self.env.cr.rollback()
                tries += 1
                if tries >= _TRIES:
                    raise
                _logger.info("Escalations collided with another change: %s", error)
                time.sleep(random.uniform(0, _PAUSE))
                continue
            tries = 0
            more = marked or count == BATCH
            left = cron._commit_progress(count, remaining=BATCH if more else 0)
            self.env.invalidate_all()
        self._wake_next()
        cron._commit_progress()

    @api.model
    def _escalate_batch(self):
        """Claim runs that are due, and tell people of them.

        Runs that another worker deals with are left to it.

        :return: how many were claimed, at most :data:`BATCH`
        :rtype: int
        """
        now = fields.Datetime.now()
        self.flush_model(["next_escalation_at"])
        rows = self.env.execute_query(
            SQL(
                """SELECT id FROM qms_sop_run WHERE next_escalation_at <= %s
                 ORDER BY next_escalation_at, id LIMIT %s
                   FOR NO KEY UPDATE SKIP LOCKED""",
                now,
                BATCH,
            )
        )
        runs = self.browse(run_id for (run_id,) in rows)
        if not runs:
            return 0
        try:
            with self.env.cr.savepoint():
                runs._escalate(now)
        except _COLLISIONS:
            raise
        except Exception:
            _logger.info("A batch of escalations failed; one by one.", exc_info=True)
            for run in runs:
                run._escalate_alone(now)
        return len(runs)

    def _escalate_alone(self, now):
        """Tell people of one run; one that fails does not keep the others waiting."""
        try:
            with self.env.cr.savepoint():
                self._escalate(now)
        except _COLLISIONS:
            raise
        except Exception as error:
            _logger.exception("People could not be told of %s", self.name)
            self._note_looks(
                [(self.id, now + _POSTPONED, 0, f"{type(error).__name__}: {error}")]
            )

    @api.model
    def _wake_next(self):
        """Have the job come again when the next run is due."""
        ((at,),) = self.env.execute_query(
            SQL(
                "SELECT min(next_escalation_at) FROM qms_sop_run"
                " WHERE next_escalation_at IS NOT NULL"
            )
        )
        if at:
            # What is due and was not dealt with is held by another transaction.
            self._wake_escalations(
                max(at, fields.Datetime.now() + timedelta(minutes=1))
            )

    # === Telling ===

    def _escalate(self, now):
        """Tell people of runs whatever is due, and note when to look next.

        :param datetime now: naive, UTC
        """
        policies = self.env["qms.escalation.policy"]._specs()
        told = self._told_so_far()
        marks = self._next_clock_moments()
        immediately = self.env["qms.severity"]._told_immediately()
        duty = Duty(self.env, now)
        tellings, looks = [], []
        for run in self:
            if run.state != "in_progress":
                looks.append((run.id, None, run.escalation_level, None))
                continue
            facts, moments = run._escalation_facts(immediately), []
            level, problem = run.escalation_level, None
            subject = run._escalation_subject({})
            for rule in applicable(policies, subject):
                last = told.get((run.id, rule.id), -1)
                due, upcoming = look(rule, facts, last, now)
                moments += [upcoming] if upcoming else []
                if not due:
                    continue
                roles, users, wait = duty.recipients(run, rule, facts)
                if wait:
                    moments.append(wait)
                    continue
                telling = run._telling(due, roles, users, now)
                if not (telling.users or telling.channels):
                    # Told as soon as somebody is there to be told.
                    problem = self.env._("Nobody to tell as %s", telling.values["role"])
                    continue
                level = max(level, rule.level)
                tellings.append(telling)
            for moment, clock, mark in marks[run.id]:
                if moment > now:
                    moments.append(moment)
                elif telling := run._mark_telling(moment, clock, mark, told, duty):
                    tellings.append(telling)
            looks.append((run.id, min(moments, default=None), level, problem))
        self._tell_all(tellings, now)
        self._note_looks(looks)

    def _told_so_far(self):
        """Return what was told of these runs.

        :return: ``{(run id, rule id): last repetition}`` and, for marks of clocks,
            ``{(run id, key): 0}``
        :rtype: dict
        """
        events = self.env["qms.escalation.event"]
        told = {}
        for run_id, rule_id, repetition, key in self.env.execute_query(
            SQL(
                "SELECT run_id, rule_id, repetition, key FROM %s WHERE run_id IN %s",
                SQL.identifier(events._table),
                self._ids,
            )
        ):
            place = (run_id, rule_id) if rule_id else (run_id, key)
            told[place] = max(repetition, told.get(place, -1))
        return told

    def _escalation_facts(self, immediately):
        return Facts(
            begin=self.detected_at or self.start_time,
            times={name: self[name] for name in _TIMES},
            holds=tuple(
                tuple(fields.Datetime.to_datetime(moment) for moment in period)
                for period in self.hold_periods or ()
            ),
            weeks=self._escalation_weeks(self.severity_id.id, self.company_id.id),
            immediately=self.severity_id.id in immediately,
        )

    def _telling(self, due, roles, users, now):
        """Return what is told of one run by a rule.

        :param Due due: which rule, and which time
        :param roles: qms.role records that are told
        :param dict users: ``{res.users record: from when}``
        :rtype: _Telling
        """
        rule = self.env["qms.escalation.rule"].browse(due.rule.id)
        begin = self.detected_at or self.start_time
        listeners = self.env["qms.notification"]._listeners(due.rule.message, self)
        return _Telling(
            run=self,
            key=f"{rule.id}:{due.repetition}",
            event=due.rule.message,
            reason=rule.when,
            moment=due.moment,
            users=users,
            rule=rule,
            repetition=due.repetition,
            roles=roles,
            channels=rule.channel_ids | roles.channel_ids | listeners,
            values={
                "level": str(rule.level),
                "role": rule.told_words,
                "rule": rule.policy_id.name,
                "reason_escalated": rule.when,
                "waited": str(max(int((now - begin).total_seconds()) // 60, 0)),
                "repetition": str(due.repetition) if due.repetition else None,
            },
        )

    def _mark_telling(self, moment, clock, mark, told, duty):
        """Return what is told of one run as a clock passes a mark, if anything is."""
        key = f"clock:{clock}:{mark}"
        deadline = self[f"{clock}_deadline"]
        late = mark == "at_risk" and deadline <= duty.now
        person = duty.responsible(self)
        event = f"sla_{mark}"
        channels = self.env["qms.notification"]._listeners(event, self)
        if (self.id, key) in told or late or not (person or channels):
            return None
        minutes = abs(int((deadline - duty.now).total_seconds())) // 60
        name = self._fields[f"{clock}_sla"]._description_string(self.env)
        labels = dict(self._fields["sla"]._description_selection(self.env))
        return _Telling(
            run=self,
            key=key,
            event=event,
            reason=f"{name}: {labels[mark]}",
            moment=moment,
            users=dict.fromkeys(person, duty.now),
            channels=channels,
            roles=self.env["qms.role"],
            rule=self.env["qms.escalation.rule"],
            values={
                "clock": name,
                "deadline": in_utc(deadline),
                "minutes_left" if mark == "at_risk" else "minutes_over": str(minutes),
            },
        )

    @api.model
    def _tell_all(self, tellings, now):
        """Record what is told, and put it into the outbox.

        :param list tellings: :class:`_Telling`
        :param datetime now: naive, UTC
        """
        if not tellings:
            return
        outbox = self.env["qms.notification"]
        briefs = self.browse(
            {telling.run.id: None for telling in tellings if telling.rule}
        )._escalation_briefs(now)
        events = self.env["qms.escalation.event"].create(
            [
                {
                    "run_id": telling.run.id,
                    "company_id": telling.run.company_id.id,
                    "key": telling.key,
                    "rule_id": telling.rule.id,
                    "policy_id": telling.rule.policy_id.id,
                    "repetition": telling.repetition,
                    "level": telling.rule.level,
                    "reason": telling.reason,
                    "due_at": telling.moment,
                    "told_at": now,
                    "role_ids": [Command.set(telling.roles.ids)],
                    "user_ids": [Command.set([user.id for user in telling.users])],
                    "channel_ids": [Command.set(telling.channels.ids)],
                }
                for telling in tellings
            ]
        )
        # Whoever is meant by several rules at once hears of the gravest.
        heard = set()
        pairs = zip(tellings, events, strict=True)
        for telling, event in sorted(pairs, key=lambda pair: -pair[1].level):
            values = {**telling.values, **briefs.get(telling.run.id, {})}
            times = {}
            for user, at in telling.users.items():
                place = (telling.run.id, telling.event, user.id)
                if place not in heard:
                    heard.add(place)
                    times.setdefault(at, []).append(user.id)
            channels = telling.channels
            for at, user_ids in times.items() or [(now, [])]:
                outbox._enqueue(
                    telling.event,
                    telling.run,
                    key=event._notification_key(),
                    channels=channels,
                    users=self.env["res.users"].browse(user_ids),
                    values=values,
                    at=at,
                )
                channels = None

    @api.model
    def _note_looks(self, looks):
        """Write when runs are looked at next, in one query.

        :param list looks: run id, moment or ``None``, level, problem or ``None``
        """
        self.flush_model(list(_OWN))
        self.env.execute_query(
            SQL(
                """UPDATE qms_sop_run AS run
                      SET next_escalation_at = new.at::timestamp,
                          escalation_level = GREATEST(run.escalation_level, new.level),
                          escalation_problem = new.problem
                     FROM (VALUES %s) AS new (id, at, level, problem)
                    WHERE run.id = new.id
                RETURNING run.id""",
                SQL(", ").join(
                    SQL("(%s, %s, %s, %s::varchar)", run_id, at, level or 0, problem)
                    for run_id, at, level, problem in looks
                ),
            )
        )
        self.invalidate_model(list(_OWN), flush=False)

    # === What it is no part of ===

    @api.model
    def _audit_fields(self):
        # When to look next is no content; what was told has events of its own.
        return super()._audit_fields() - _OWN

    @api.model
    def _check_not_system(self, vals):
        forged = sorted(_OWN & vals.keys())
        if forged:
            raise UserError(
                self.env._(
                    "%(model)s: %(fields)s cannot be given, the system writes it.",
                    model=self._description,
                    fields=", ".join(forged),
                )
            )
        return super()._check_not_system(vals)

    def action_view_escalations(self):
        """Open who was told of one run."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_escalation_event_action"
        )
        return {
            **action,
            "domain": list(Domain("run_id", "=", self.id)),
            "context": {},
        }
