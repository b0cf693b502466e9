import logging
from datetime import timedelta

from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError, UserError
from odoo.fields import Domain
from odoo.tools import SQL
from odoo.tools.misc import format_datetime

from ...tools.recurrence import to_utc
from ..run.qms_sop_run import OPEN_STATES
from .qms_sop_schedule_occurrence import OUTCOMES

_logger = logging.getLogger(__name__)

# So far ahead occurrences are worked out, and so close to its end again (days).
_PLANNED_AHEAD = 92
_PLANNED_AT_LEAST = 60
# Of a schedule that nobody looked at for years, the rest is planned the next time.
_PLANNED_AT_ONCE = 500
# Opened before the work so far is committed.
_AT_ONCE = 20
CRON = "qms_sop.ir_cron_schedules"


class QmsSopSchedule(models.Model):
    """Plans the occurrences of recurring SOPs."""

    _inherit = "qms.sop.schedule"

    _planned_until_idx = models.Index("(planned_until) WHERE active")

    def _replan(self):
        """Plan anew what has not come yet; what has, stays.

        Occurrences whose time has come already are not touched: they are opened, or
        recorded as missed.
        """
        now = fields.Datetime.now()
        self.env["qms.sop.schedule.occurrence"].flush_model()
        self.env.execute_query(
            SQL(
                """DELETE FROM qms_sop_schedule_occurrence
                    WHERE schedule_id = ANY(%s) AND state = 'planned'
                      AND planned_at > %s RETURNING id""",
                self.ids,
                now,
            )
        )
        self.env["qms.sop.schedule.occurrence"].invalidate_model()
        self._plan(after=now)
        self.env["qms.sop.schedule.occurrence"]._wake()

    def _plan(self, after=None):
        """Work out the occurrences of the next months.

        Two workers that do so at once plan nothing twice.

        :param datetime after: naive UTC; only later ones. None: from where it was
            left off
        """
        horizon = fields.Datetime.now() + timedelta(days=_PLANNED_AHEAD)
        rows, until = [], {}
        for schedule in self.filtered("active"):
            begin = after or schedule.planned_until
            moments = schedule._recurrence().moments(
                after=begin, before=horizon, limit=_PLANNED_AT_ONCE
            )
            planned = [to_utc(moment) for moment in moments]
            rows += [(schedule, at) for at in planned]
            full = len(planned) == _PLANNED_AT_ONCE
            until.setdefault(planned[-1] if full else horizon, []).append(schedule.id)
        self._insert_planned(rows)
        for moment, ids in until.items():
            # sudo: a mark of where planning was left off, which nobody is to set.
            self.browse(ids).sudo()._write_system({"planned_until": moment})

    @api.model
    def _insert_planned(self, rows):
        """Store planned occurrences, unless they are there already.

        :param rows: ``[(schedule, naive UTC datetime), …]``
        """
        if not rows:
            return
        self.flush_model()
        occurrences = self.env["qms.sop.schedule.occurrence"]
        self.env.execute_query(
            SQL(
                """INSERT INTO qms_sop_schedule_occurrence
                       (schedule_id, company_id, user_id, planned_at, due_at, state,
                        create_uid, create_date, write_uid, write_date)
                   SELECT s.id, s.company_id, s.user_id, p.at,
                          CASE WHEN s.complete_within > 0
                          THEN p.at + s.complete_within * interval '1 hour' END,
                          'planned', %(uid)s, %(now)s, %(uid)s, %(now)s
                     FROM unnest(%(ids)s::int[], %(at)s::timestamp[]) AS p(id, at)
                     JOIN qms_sop_schedule s ON s.id = p.id
                 ORDER BY p.at
                   ON CONFLICT (schedule_id, planned_at) DO NOTHING
                RETURNING id""",
                uid=self.env.uid,
                now=self.env.cr.now(),
                ids=[schedule.id for schedule, _at in rows],
                at=[at for _schedule, at in rows],
            )
        )
        occurrences.invalidate_model()

    @api.model
    def _plan_ahead(self):
        """Go on planning where the end of the plan comes near."""
        near = fields.Datetime.now() + timedelta(days=_PLANNED_AT_LEAST)
        self.search(Domain("planned_until", "<", near))._plan()

    @api.model
    def _cron_run(self):
        """Plan ahead, open the runs whose time has come, mark the late ones.

        One cron for all schedules, woken at the next time that anything happens.
        """
        self._plan_ahead()
        cron = self.env["ir.cron"]
        occurrences = self.env["qms.sop.schedule.occurrence"]
        occurrences._mark_late()
        cron._commit_progress(0)
        while batch := occurrences._claim():
            done = len(batch)
            batch._come_true()
            left = occurrences._count_due()
            if not cron._commit_progress(done, remaining=left) or not left:
                break
        occurrences._wake()
        cron._commit_progress(0)


class QmsSopScheduleOccurrence(models.Model):
    """Opens the runs of recurring SOPs, each exactly once."""

    _inherit = "qms.sop.schedule.occurrence"

    # === Claiming ===

    @api.model
    def _due(self):
        return Domain("state", "=", "planned") & Domain(
            "planned_at", "<=", fields.Datetime.now()
        )

    @api.model
    def _count_due(self):
        return self.search_count(self._due())

    @api.model
    def _claim(self):
        """Return occurrences whose time has come, locked against other workers."""
        due = self.search(self._due(), order="planned_at, id", limit=_AT_ONCE)
        return due.try_lock_for_update() if due else due

    def _come_true(self):
        """Open the runs of claimed occurrences, or record why there are none.

        One that fails does not stop the others.
        """
        for occurrence in self:
            try:
                with self.env.cr.savepoint():
                    occurrence._come_true_one()
            except (OperationalError, ConcurrencyError):
                # Another transaction was faster: tried again with a fresh view.
                raise
            except UserError as error:
                occurrence._miss(str(error))
            except Exception as error:
                _logger.exception("No run can be opened for %s", occurrence)
                occurrence._miss(
                    self.env._(
                        "The server could not open a run (%(kind)s). Its log says why.",
                        kind=type(error).__name__,
                    )
                )

    def _come_true_one(self):
        schedule = self.schedule_id
        now = fields.Datetime.now()
        late = int((now - self.planned_at).total_seconds() // 60)
        if not schedule.active:
            self._miss(self.env._("It was switched off before its run was opened."))
            return
        reason = ""
        if late > schedule.grace:
            reason = self.env._(
                "The server did not open it in time: it was down, or its scheduled "
                "jobs did not run. Noticed %(minutes)s minutes late.",
                minutes=late,
            )
            later = self._later()
            if schedule.catch_up == "none":
                self._miss(reason)
                return
            if schedule.catch_up == "latest" and later:
                self._miss(
                    self.env._(
                        "%(reason)s Left for the one of %(later)s.",
                        reason=reason,
                        later=later._planned_in_words(),
                    )
                )
                return
        if schedule.if_open == "miss" and (before := self._still_open()):
            self._miss(
                self.env._(
                    "The run of the time before, %(run)s, is still open.",
                    run=before.name,
                )
            )
            return
        self._open_run(reason)

    def _later(self):
        """Return the next occurrence whose time has come as well."""
        return self.search(
            Domain("schedule_id", "=", self.schedule_id.id)
            & Domain("planned_at", ">", self.planned_at)
            & Domain("planned_at", "<=", fields.Datetime.now()),
            order="planned_at desc",
            limit=1,
        )

    def _still_open(self):
        """Return the run of an earlier time that is not finished yet."""
        return self.search(
            Domain("schedule_id", "=", self.schedule_id.id)
            & Domain("run_id.state", "in", OPEN_STATES),
            limit=1,
        ).run_id

    # === What becomes of one ===

    def _open_run(self, reason=""):
        """Open the run of one occurrence.

        :param str reason: why it is opened late, if it is
        :rtype: qms.sop.run record
        """
        self.ensure_one()
        # sudo: schedules are configuration, and nobody writes occurrences; the run
        # is opened with the rights of who opens it.
        own = self.sudo()
        schedule = own.schedule_id
        user = schedule._assigned_to(own.planned_at)
        runs = self.env["qms.sop.run"].with_company(schedule.company_id)
        run, _existing = runs._start(
            schedule.sop_code,
            severity=schedule.severity_id.code,
            trigger="scheduled",
            source=self.env._(
                "%(schedule)s, planned for %(planned)s",
                schedule=schedule.name,
                planned=own._planned_in_words(),
            ),
            summary=schedule.summary,
            user=user,
        )
        own.write(
            {
                "state": "started",
                "run_id": run.id,
                "user_id": user.id,
                "started_at": fields.Datetime.now(),
                "reason": reason or own.reason,
            }
        )
        return run

    def _miss(self, reason):
        """Record that one occurrence was not run.

        :param str reason: why, for those who read it later
        """
        self.write({"state": "missed", "reason": reason})
        self.schedule_id._tell_missed(self)

    @api.model
    def _mark_late(self):
        """Mark what should have been done by now."""
        late = self.search(
            Domain("state", "=", "started")
            & Domain("due_at", "<=", fields.Datetime.now())
        ).try_lock_for_update()
        if late:
            late.write({"state": "late"})

    @api.model
    def _follow(self, runs):
        """Take over that runs have ended.

        :param qms.sop.run runs: finished; those opened otherwise are left out
        """
        # sudo: who ends a run does not write occurrences, and may see no schedules.
        for occurrence in self.sudo().search(Domain("run_id", "in", runs.ids)):
            run = occurrence.run_id
            ended = run.end_time
            occurrence.write(
                {
                    "state": OUTCOMES[run.state],
                    "done_at": ended,
                    "was_late": bool(occurrence.due_at and ended > occurrence.due_at),
                    "reason": run.state_reason or occurrence.reason,
                }
            )

    @api.model
    def _wake(self):
        """Have the cron run when the next thing is due."""
        self.flush_model()
        moments = [
            at
            for (at,) in self.env.execute_query(
                SQL(
                    """(SELECT min(planned_at) FROM qms_sop_schedule_occurrence
                         WHERE state = 'planned')
                        UNION ALL
                       (SELECT min(due_at) FROM qms_sop_schedule_occurrence
                         WHERE state = 'started')"""
                )
            )
            if at
        ]
        if not moments:
            return
        # sudo: who plans may not touch scheduled jobs.
        cron = self.env.ref(CRON).sudo()
        at = max(min(moments), fields.Datetime.now())
        known = Domain("cron_id", "=", cron.id) & Domain("call_at", "=", at)
        if not self.env["ir.cron.trigger"].sudo().search_count(known, limit=1):
            cron._trigger(at=at)

    def _planned_in_words(self):
        """Return the planned time on the clock of the schedule.

        :rtype: str
        """
        zone = self.schedule_id.tz
        planned = format_datetime(self.env, self.planned_at, tz=zone, dt_format="short")
        return f"{planned} ({zone})"
