from datetime import date, datetime, timedelta
from unittest.mock import patch

from freezegun import freeze_time
from lxml import html

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, new_test_user, tagged

from ..models.schedule.qms_sop_schedule_engine import CRON
from .common import GROUPS, QmsSopCommon

# A Monday
NOW = datetime(2026, 3, 2, 8, 0)


class ScheduleCommon(QmsSopCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.schedules = cls.env["qms.sop.schedule"].with_user(cls.manager)
        cls.occurrences = cls.env["qms.sop.schedule.occurrence"]

    def make(self, now=NOW, **values):
        """Return a schedule for every Monday at 09:00 UTC, made by a manager."""
        with freeze_time(now):
            return self.schedules.create(
                {
                    "name": "Weekly look",
                    "sop_code": self.sop.code,
                    "user_id": self.operator.id,
                    "tz": "UTC",
                    "date_from": now.date(),
                    **values,
                }
            )

    def tick(self, now):
        """Have the scheduled job run at a time."""
        self.env.cr.flush()
        with freeze_time(now), self.enter_registry_test_mode():
            self.env.ref(CRON).method_direct_trigger()
        self.env.invalidate_all()

    def of(self, schedule, *states):
        """Return the occurrences in some states, in the order of time."""
        domain = [("schedule_id", "=", schedule.id)]
        if states:
            domain.append(("state", "in", states))
        return self.occurrences.search(domain, order="planned_at")


@tagged("post_install", "-at_install")
class TestSchedulePlan(ScheduleCommon):
    """What is planned, and how a rule is said."""

    def test_plans_three_months_ahead(self):
        schedule = self.make()
        planned = self.of(schedule)
        self.assertEqual(planned[0].planned_at, datetime(2026, 3, 2, 9))
        self.assertEqual(planned[1].planned_at, datetime(2026, 3, 9, 9))
        self.assertEqual(len(planned), 14)
        self.assertEqual(set(planned.mapped("state")), {"planned"})
        self.assertEqual(planned[0].due_at, datetime(2026, 3, 3, 9))
        self.assertEqual(planned[0].user_id, self.operator)

    def test_nothing_is_planned_for_the_past(self):
        schedule = self.make(date_from=date(2020, 1, 1))
        self.assertEqual(self.of(schedule)[0].planned_at, datetime(2026, 3, 2, 9))

    def test_plan_goes_on(self):
        schedule = self.make()
        self.tick(NOW - timedelta(minutes=1))
        self.assertEqual(len(self.of(schedule)), 14)
        with freeze_time(NOW + timedelta(days=60)):
            self.schedules.sudo()._plan_ahead()
            self.schedules.sudo()._plan_ahead()
        moments = self.of(schedule).mapped("planned_at")
        self.assertEqual(len(moments), len(set(moments)))
        self.assertEqual(moments[-1], datetime(2026, 7, 27, 9))
        self.assertEqual(
            {
                later - earlier
                for earlier, later in zip(moments, moments[1:], strict=False)
            },
            {timedelta(days=7)},
        )

    def test_new_rule_plans_anew(self):
        schedule = self.make()
        with freeze_time(NOW):
            schedule.write({"mon": False, "thu": True, "at_time": 14.5})
        self.assertEqual(self.of(schedule)[0].planned_at, datetime(2026, 3, 5, 14, 30))
        self.assertEqual(len(self.of(schedule)), 13)

    def test_switched_off_and_on_again(self):
        schedule = self.make()
        with freeze_time(NOW):
            schedule.action_archive()
            self.assertFalse(self.of(schedule))
            schedule.action_unarchive()
        self.assertEqual(len(self.of(schedule)), 14)

    def test_the_clock_of_the_place_counts(self):
        schedule = self.make(tz="Europe/Berlin")
        moments = self.of(schedule).mapped("planned_at")
        # On 29 March 2026 the clocks are put forward.
        self.assertIn(datetime(2026, 3, 23, 8), moments)
        self.assertIn(datetime(2026, 3, 30, 7), moments)

    def test_said_in_words(self):
        for values, words in (
            ({}, "Every Monday at 09:00 (UTC)"),
            (
                {"thu": True, "interval": 2},
                "Every 2 weeks on Monday and Thursday at 09:00 (UTC)",
            ),
            (
                {"tue": True, "wed": True, "thu": True, "fri": True},
                "Every day from Monday to Friday at 09:00 (UTC)",
            ),
            ({"freq": "daily", "at_time": 6.25}, "Every day at 06:15 (UTC)"),
            (
                {"freq": "monthly", "month_by": "last_day", "interval": 3},
                "On the last day of every 3 months at 09:00 (UTC)",
            ),
            (
                {"freq": "monthly", "month_by": "weekday", "month_week": "-1"},
                "On the last Monday of every month at 09:00 (UTC)",
            ),
            (
                {"freq": "yearly", "month": "2", "month_day": 29},
                "On day 29 of February every year at 09:00 (UTC)",
            ),
            (
                {"end_by": "until", "until": date(2026, 12, 24)},
                "Every Monday at 09:00 (UTC), until December 24, 2026",
            ),
            (
                {"end_by": "count", "count": 4},
                "Every Monday at 09:00 (UTC), 4 times",
            ),
        ):
            with self.subTest(words=words):
                self.assertEqual(self.make(**values).words, words)

    def test_shows_the_next_five(self):
        with freeze_time(NOW):
            schedule = self.make(tz="Europe/Berlin", date_from=date(2026, 3, 17))
            lines = html.fromstring(schedule.preview).xpath("//li/text()")
        self.assertEqual(len(lines), 5)
        self.assertEqual(lines[0], "Monday, 23 March 2026, 09:00 (UTC+01:00)")
        self.assertEqual(lines[1], "Monday, 30 March 2026, 09:00 (UTC+02:00)")

    def test_preview_says_where_the_clock_leaps(self):
        with freeze_time(NOW):
            schedule = self.make(
                freq="daily",
                at_time=2.5,
                tz="Europe/Berlin",
                date_from=date(2026, 3, 29),
            )
            lines = html.fromstring(schedule.preview).xpath("//li/text()")
        self.assertEqual(
            lines[0],
            "Sunday, 29 March 2026, 03:30 (UTC+02:00) – the clock is put forward",
        )

    def test_form_shows_what_is_wrong_before_it_is_saved(self):
        with Form(self.schedules) as form:
            form.name = "Weekly look"
            form.sop_id = self.sop
            form.interval = 0
            self.assertIn("give 1 to 999", form.preview)
            form.interval = 1
            self.assertIn("<li>Monday", form.preview)
        self.assertEqual(form.record.sop_code, self.sop.code)

    def test_refuses_what_is_no_rule(self):
        for values, told in (
            ({"mon": False}, "at least one day"),
            ({"interval": 0}, "Every: 0 is not accepted; give 1 to 999."),
            ({"at_time": 24.0}, "At: 24.0 is not a time"),
            ({"freq": "monthly", "month_day": 32}, "give 1 to 31"),
            ({"end_by": "count", "count": 0}, "Times: 0"),
            ({"end_by": "until"}, "Until: is needed."),
            (
                {"end_by": "until", "until": date(2026, 1, 1)},
                "2026-01-01 is before the first day",
            ),
            (
                {"end_by": "until", "until": date(2026, 3, 7), "mon": False}
                | {"sun": True},
                "Weekly look never comes",
            ),
            ({"grace": -1}, "Grace: -1"),
            ({"complete_within": -1}, "Done within: -1"),
            ({"sop_code": "SOP-NONE"}, "There is no SOP with the code 'SOP-NONE'"),
            ({"planned_until": NOW}, "the system writes it"),
        ):
            with (
                self.subTest(values=values),
                self.assertRaisesRegex((UserError, ValidationError), told),
            ):
                self.make(**values)

    def test_examples_are_shipped_switched_off(self):
        for name, words in (
            ("warnings", "Every Monday at 09:00 (UTC)"),
            ("documents", "On the first Monday of every month at 10:00 (UTC)"),
        ):
            example = self.env.ref(f"qms_sop.qms_sop_schedule_{name}")
            self.assertFalse(example.active)
            self.assertFalse(self.of(example))
            self.assertEqual(example.words, words)
            self.assertEqual(example.sop_id.state, "approved")


@tagged("post_install", "-at_install")
class TestScheduleRuns(ScheduleCommon):
    """When the time has come."""

    def test_opens_a_run(self):
        schedule = self.make(
            severity_id=self.env.ref("qms_error_code.severity_low").id,
            summary="Look at the warnings.",
        )
        self.tick(NOW + timedelta(minutes=59))
        self.assertFalse(self.of(schedule, "started"))
        self.tick(NOW + timedelta(hours=1))
        first = self.of(schedule)[0]
        self.assertEqual(first.state, "started")
        self.assertRecordValues(
            first.run_id,
            [
                {
                    "sop_id": self.sop.id,
                    "state": "in_progress",
                    "trigger": "scheduled",
                    "severity": "low",
                    "user_id": self.operator.id,
                    "summary": "Look at the warnings.",
                }
            ],
        )
        self.assertIn("Weekly look, planned for", first.run_id.source)
        self.assertEqual(len(first.run_id.step_ids), 3)
        self.assertEqual(first.run_id.activity_ids.user_id, self.operator)
        self.assertEqual(schedule.last_state, "started")
        self.assertEqual(schedule.next_at, datetime(2026, 3, 9, 9))

    def test_once_however_often_the_job_runs(self):
        schedule = self.make()
        for minutes in (60, 60, 61, 75):
            self.tick(NOW + timedelta(minutes=minutes))
        self.assertEqual(len(self.of(schedule, "started")), 1)
        self.assertEqual(schedule.run_count, 1)

    def test_job_is_woken_at_the_next_time(self):
        trigger = self.env["ir.cron.trigger"].search(
            [("cron_id", "=", self.env.ref(CRON).id)]
        )
        trigger.unlink()
        self.make()
        triggers = self.env["ir.cron.trigger"].search(
            [("cron_id", "=", self.env.ref(CRON).id)]
        )
        self.assertEqual(triggers.mapped("call_at"), [datetime(2026, 3, 2, 9)])
        self.tick(NOW + timedelta(hours=1))
        # Next the run is due, and only then comes another Monday.
        triggers = self.env["ir.cron.trigger"].search(
            [("cron_id", "=", self.env.ref(CRON).id)]
        )
        self.assertIn(datetime(2026, 3, 3, 9), triggers.mapped("call_at"))

    def test_done(self):
        schedule = self.make()
        self.tick(NOW + timedelta(hours=1))
        run = self.of(schedule)[0].run_id.with_user(self.operator)
        with freeze_time(NOW + timedelta(hours=3)):
            self.work(run).complete("Nothing new.")
        first = self.of(schedule)[0]
        self.assertEqual(first.state, "done")
        self.assertEqual(first.done_at, NOW + timedelta(hours=3))
        self.assertFalse(first.was_late)
        self.assertFalse(run.activity_ids)

    def test_late_and_done_late(self):
        schedule = self.make()
        self.tick(NOW + timedelta(hours=1))
        self.tick(NOW + timedelta(hours=24, minutes=59))
        self.assertEqual(self.of(schedule)[0].state, "started")
        self.tick(NOW + timedelta(hours=25))
        self.assertEqual(self.of(schedule)[0].state, "late")
        run = self.of(schedule)[0].run_id.with_user(self.operator)
        with freeze_time(NOW + timedelta(hours=30)):
            self.work(run).complete("Nothing new.")
        self.assertEqual(self.of(schedule)[0].state, "done")
        self.assertTrue(self.of(schedule)[0].was_late)

    def test_without_a_limit_nothing_is_late(self):
        schedule = self.make(complete_within=0)
        self.tick(NOW + timedelta(hours=1))
        self.tick(NOW + timedelta(days=6))
        self.assertEqual(self.of(schedule)[0].state, "started")

    def test_not_done(self):
        schedule = self.make()
        self.tick(NOW + timedelta(hours=1))
        self.of(schedule)[0].run_id.with_user(self.operator).cancel("Holiday")
        first = self.of(schedule)[0]
        self.assertEqual((first.state, first.reason), ("not_done", "Holiday"))

    def test_other_runs_are_left_alone(self):
        run = self.start_run(trigger="scheduled")
        self.work(run).complete("Done.")
        self.assertEqual(run.state, "completed")
        self.assertFalse(run.occurrence_ids)

    def test_within_the_grace_it_is_opened(self):
        schedule = self.make(catch_up="none")
        self.tick(NOW + timedelta(hours=2))
        self.assertEqual(self.of(schedule)[0].state, "started")
        self.assertFalse(self.of(schedule)[0].reason)

    def test_server_was_down_and_nothing_is_caught_up(self):
        schedule = self.make(catch_up="none")
        self.tick(NOW + timedelta(days=10))
        missed = self.of(schedule, "missed")
        self.assertEqual(len(missed), 2)
        self.assertIn("did not open it in time", missed[0].reason)
        self.assertFalse(self.of(schedule, "started"))
        self.assertEqual(schedule.missed_count, 2)

    def test_server_was_down_and_the_latest_is_opened(self):
        schedule = self.make()
        self.tick(NOW + timedelta(days=10))
        first, second = self.of(schedule, "missed", "started")
        self.assertEqual((first.state, second.state), ("missed", "started"))
        self.assertIn("Left for the one of 3/9/26", first.reason)
        self.assertIn("did not open it in time", second.reason)

    def test_server_was_down_and_all_are_opened(self):
        schedule = self.make(catch_up="all")
        self.tick(NOW + timedelta(days=10))
        self.assertEqual(len(self.of(schedule, "started")), 2)
        self.assertFalse(self.of(schedule, "missed"))

    def test_server_was_down_for_longer_than_was_planned(self):
        schedule = self.make(catch_up="none")
        self.tick(NOW + timedelta(days=200))
        missed = self.of(schedule, "missed").mapped("planned_at")
        self.assertEqual(len(missed), 29)
        self.assertEqual(missed[-1], datetime(2026, 9, 14, 9))

    def test_last_run_still_open(self):
        schedule = self.make(if_open="miss")
        self.tick(NOW + timedelta(hours=1))
        self.tick(NOW + timedelta(days=7, hours=1))
        first, second = self.of(schedule, "started", "late", "missed")
        self.assertEqual(second.state, "missed")
        self.assertIn(first.run_id.name, second.reason)

    def test_sop_is_not_effective(self):
        sop = self.approved_sop("SOP-GONE-001")
        schedule = self.make(sop_code=sop.code)
        good = self.make(name="Another")
        sop.with_user(self.manager).action_obsolete()
        self.tick(NOW + timedelta(hours=1))
        missed = self.of(schedule)[0]
        self.assertEqual(missed.state, "missed")
        self.assertIn("no approved revision", missed.reason)
        # … and the others are opened all the same.
        self.assertEqual(self.of(good)[0].state, "started")

    def test_failure_does_not_stop_the_others(self):
        bad, good = self.make(name="Bad"), self.make(name="Good")
        runs = type(self.env["qms.sop.run"])
        start = runs._start

        def fail(self, *args, source=None, **kwargs):
            if source.startswith("Bad"):
                raise ZeroDivisionError
            return start(self, *args, source=source, **kwargs)

        with (
            patch.object(runs, "_start", fail),
            self.assertLogs("odoo.addons.qms_sop", "ERROR"),
        ):
            self.tick(NOW + timedelta(hours=1))
        self.assertEqual(self.of(bad)[0].state, "missed")
        self.assertIn("ZeroDivisionError", self.of(bad)[0].reason)
        self.assertEqual(self.of(good)[0].state, "started")

    def test_switched_off_before_it_was_opened(self):
        schedule = self.make()
        with freeze_time(NOW + timedelta(hours=1, minutes=1)):
            schedule.action_archive()
        self.tick(NOW + timedelta(hours=1, minutes=2))
        only = self.of(schedule)
        self.assertEqual(only.state, "missed")
        self.assertIn("switched off", only.reason)

    def test_whoever_watches_is_told_of_a_missed_one(self):
        schedule = self.make(catch_up="none", manager_id=self.author.id)
        self.tick(NOW + timedelta(days=1))
        activity = schedule.activity_ids
        self.assertEqual(activity.user_id, self.author)
        self.assertEqual(activity.summary, "Missed: Weekly look")
        self.assertIn("What was planned for 3/2/26", activity.note)
        self.assertIn("did not open it in time", activity.note)

    def test_whoever_holds_the_role_is_responsible(self):
        role = self.env["qms.role"].create(
            {
                "name": "Reviewer",
                "code": "reviewer",
                "user_ids": [(6, 0, self.author.ids)],
            }
        )
        schedule = self.make(user_id=False, role_id=role.id)
        nobody = self.make(user_id=False)
        self.tick(NOW + timedelta(hours=1))
        self.assertEqual(self.of(schedule)[0].run_id.user_id, self.author)
        self.assertEqual(self.of(schedule)[0].user_id, self.author)
        self.assertFalse(self.of(nobody)[0].run_id.user_id)

    def test_each_company_runs_its_own_sop(self):
        other = self.env["res.company"].create({"name": "Other"})
        self.manager.company_ids += other
        self.author.company_ids += other
        theirs = self.approve(self.draft_sop(self.sop.code, company_id=other.id))
        schedule = self.make(company_id=other.id, user_id=False)
        mine = self.make()
        self.tick(NOW + timedelta(hours=1))
        self.assertEqual(self.of(schedule)[0].run_id.sop_id, theirs)
        self.assertEqual(self.of(schedule)[0].run_id.company_id, other)
        self.assertEqual(self.of(mine)[0].run_id.sop_id, self.sop)

    def test_a_person_makes_up_for_a_missed_one(self):
        schedule = self.make(catch_up="none")
        self.tick(NOW + timedelta(days=1))
        missed = self.of(schedule, "missed").with_user(self.operator)
        with freeze_time(NOW + timedelta(days=2)):
            action = missed.action_start()
        self.assertEqual(missed.state, "started")
        self.assertEqual(action["res_id"], missed.run_id.id)
        self.assertIn("did not open it in time", missed.reason)
        with self.assertRaisesRegex(UserError, "opened already"):
            missed.action_start()

    def test_a_person_runs_one_ahead_of_its_time(self):
        schedule = self.make()
        first = self.of(schedule)[0].with_user(self.operator)
        with freeze_time(NOW):
            first.action_start()
        self.tick(NOW + timedelta(hours=1))
        self.assertEqual(schedule.run_count, 1)


@tagged("post_install", "-at_install")
class TestScheduleControl(ScheduleCommon):
    """Who may do what, and what is kept."""

    def test_only_managers_make_schedules(self):
        schedule = self.make()
        for role in ("operator", "author", "auditor", "automation"):
            own = schedule.with_user(self.users[role])
            with self.subTest(role=role):
                self.assertTrue(own.name)
                self.assertTrue(self.of(schedule).with_user(self.users[role])[0].words)
                with self.assertRaises(AccessError):
                    own.write({"name": "Mine"})
                with self.assertRaises(AccessError):
                    own.create({"name": "Mine", "sop_code": self.sop.code})
                with self.assertRaises(AccessError):
                    own.unlink()

    def test_nobody_writes_occurrences(self):
        first = self.of(self.make())[0]
        for role in GROUPS:
            own = first.with_user(self.users[role])
            with self.subTest(role=role):
                with self.assertRaises(AccessError):
                    own.write({"state": "missed"})
                with self.assertRaises(AccessError):
                    own.unlink()
        with self.assertRaises(AccessError):
            first.with_user(self.users["auditor"]).action_start()

    def test_other_companies_see_nothing(self):
        schedule = self.make()
        other = self.env["res.company"].create({"name": "Other"})
        stranger = new_test_user(
            self.env,
            login="stranger",
            groups=GROUPS["manager"],
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )
        self.assertFalse(
            self.schedules.with_user(stranger).search([("id", "=", schedule.id)])
        )
        with self.assertRaises(AccessError):
            self.of(schedule)[0].with_user(stranger).read(["state"])

    def test_with_a_history_it_stays(self):
        schedule = self.make()
        self.tick(NOW + timedelta(hours=1))
        with self.assertRaisesRegex(UserError, "has a history"):
            schedule.unlink()

    def test_never_used_it_can_go(self):
        schedule = self.make()
        schedule.unlink()
        self.assertFalse(schedule.exists())

    def test_goes_when_its_run_is_purged(self):
        schedule = self.make()
        self.tick(NOW + timedelta(hours=1))
        first, second = self.of(schedule)[:2]
        first.run_id.with_user(self.operator).cancel("Holiday")
        first.run_id.sudo()._remove()
        self.env.invalidate_all()
        self.assertFalse(first.exists())
        self.assertTrue(second.exists())

    def test_states_follow_the_table(self):
        schedule = self.make()
        first = self.of(schedule)[0].sudo()
        for state in ("done", "late", "not_done"):
            with (
                self.subTest(state=state),
                self.assertRaisesRegex(UserError, "cannot go from"),
            ):
                first.write({"state": state})

    def test_everything_is_in_the_trail(self):
        schedule = self.make(catch_up="none")
        self.env.cr.flush()
        with freeze_time(NOW):
            schedule.write({"at_time": 10.0})
        self.tick(NOW + timedelta(days=1))
        self.env["qms.audit.event"].flush_model()
        self.env.cr.flush()
        events = self.env["qms.audit.event"].search(
            [("root_model", "=", "qms.sop.schedule"), ("root_id", "=", schedule.id)],
            order="id",
        )
        kinds = [(event.model, event.kind) for event in events]
        self.assertEqual(
            kinds,
            [
                ("qms.sop.schedule", "created"),
                ("qms.sop.schedule", "changed"),
                ("qms.sop.schedule.occurrence", "state"),
            ],
        )
        self.assertIn("did not open it in time", events[-1].reason)

    def test_lists_do_not_pay_per_schedule(self):
        fields = {"words": {}, "next_at": {}, "last_state": {}, "missed_count": {}}

        def cost(limit):
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.schedules.web_search_read([], fields, limit=limit)
            return self.env.cr.sql_log_count - before

        for number in range(4):
            self.make(name=f"Number {number}")
        cost(4)
        self.assertEqual(cost(4), cost(2))
