from datetime import date
from unittest.mock import patch

from odoo.exceptions import ValidationError
from odoo.tests import freeze_time, tagged
from odoo.tools import mute_logger

from ..models.action.qms_action_reminder import _next_reminder
from .test_qms_action import LATER, TODAY, ActionCase


@tagged("post_install", "-at_install")
class TestActionReminder(ActionCase):
    """An action that is due 16 March 2026, raised on 2 March."""

    def setUp(self):
        super().setUp()
        with freeze_time(TODAY):
            self.action = self.raised(
                due_date="2026-03-16",
                owner="qms_author",
                run_id=self.start_run().id,
                check_days=10,
            )
            # The days are counted as of that day.
            self.env.flush_all()
        self.job = self.env.ref("qms_sop.ir_cron_remind_of_actions")

    def told(self, action=None):
        """Return who was told of which event, in order."""
        notifications = self.env["qms.notification"].search(
            [
                ("model", "=", "qms.action"),
                ("res_id", "=", (action or self.action).id),
                ("medium", "!=", "mail"),
            ],
            order="id",
        )
        return [(one.event, one.user_id.login) for one in notifications]

    def remind(self, *days):
        """Run the job on days of March or later; return who was told of what."""
        before = len(self.told())
        with freeze_time(f"{days[0]} 12:00:00") as clock:
            for day in days:
                clock.move_to(f"{day} 12:00:00")
                self.job.method_direct_trigger()
                self.env.flush_all()
        return self.told()[before:]

    def activities(self):
        return self.action.activity_ids.mapped(
            lambda one: (one.user_id.login, one.date_deadline)
        )

    def test_days(self):
        deadline = date(2026, 3, 16)
        days, day = [], date(2026, 3, 2)
        while day < date(2026, 3, 28):
            day = _next_reminder(deadline, day, 3, 3)
            days.append(day.day)
            day = day.replace(day=day.day + 1)
        self.assertEqual(days, [13, 16, 17, 20, 23, 26, 29])

    def test_the_owner_hears_of_it(self):
        self.assertEqual(self.told(), [("action_assigned", "qms_author")])
        self.assertEqual(self.activities(), [("qms_author", date(2026, 3, 16))])
        self.action.write({"user_id": self.manager.id})
        self.assertEqual(self.told()[1:], [("action_assigned", "qms_manager")])
        self.assertEqual(self.activities(), [("qms_manager", date(2026, 3, 16))])

    def test_who_raises_it_for_himself_is_told_nothing(self):
        self.assertFalse(self.told(self.raised()))

    def test_reminders_never_stop_before_the_action_does(self):
        days = (3, 12, 13, 14, 15, 16, 17, 18, 19, 20, 23, 26, 29)
        told = self.remind(*(f"2026-03-{day:02d}" for day in days))
        mine = [event for event, login in told if login == "qms_author"]
        self.assertEqual(mine, ["action_due"] * 2 + ["action_overdue"] * 5)
        # One thing to do, not seven
        self.assertEqual(
            [one for one in self.activities() if one[0] == "qms_author"],
            [("qms_author", date(2026, 3, 16))],
        )
        # Long after, and after the run has ended
        self.action.run_id.sudo().cancel("No.")
        self.assertIn(("action_overdue", "qms_author"), self.remind("2028-01-01"))

    def test_after_a_week_the_managers_are_told(self):
        self.action.write({"manager_id": self.manager.id})
        days = (13, 16, 17, 20, 22, 23)
        told = self.remind(*(f"2026-03-{day:02d}" for day in days))
        escalated = [login for event, login in told if event == "action_escalated"]
        self.assertEqual(escalated, ["qms_manager"])
        self.assertEqual(
            self.remind("2026-03-26"),
            [("action_overdue", "qms_author"), ("action_escalated", "qms_manager")],
        )

    def test_without_a_manager_all_of_them_are_told(self):
        told = self.remind("2026-03-30")
        escalated = {login for event, login in told if event == "action_escalated"}
        self.assertLessEqual({"qms_manager", "qms_manager_2"}, escalated)
        self.assertNotIn("__system__", escalated)

    def test_what_is_nobodys_is_the_managers_business(self):
        self.action.write({"user_id": False})
        told = self.remind("2026-03-16")
        self.assertIn(("action_due", "qms_manager"), told)
        self.author.active = False
        self.action.write({"user_id": self.author.id})
        self.assertIn(("action_overdue", "qms_manager"), self.remind("2026-03-17"))

    def test_once_only(self):
        self.assertEqual(len(self.remind("2026-03-13")), 1)
        self.assertFalse(self.remind("2026-03-13", "2026-03-14"))
        # Also when the job died after telling, and before noting it
        self.action._write_system({"reminded_on": False})
        self.assertFalse(self.remind("2026-03-13"))

    def test_a_job_that_did_not_run_is_made_up_for(self):
        told = self.remind("2026-03-18")
        self.assertEqual(told, [("action_overdue", "qms_author")])
        self.assertEqual(self.action.next_reminder_on, date(2026, 3, 20))

    def test_done_nobody_is_reminded_but_of_the_check(self):
        self.action.write({"check_user_id": self.manager.id})
        with freeze_time("2026-03-14 10:00:00"):
            self.action.with_user(self.author).complete("It is there.")
            self.env.flush_all()
        self.assertFalse(self.activities())
        days = (16, 20, 21, 23, 24, 25)
        told = self.remind(*(f"2026-03-{day:02d}" for day in days))
        self.assertEqual(
            told,
            [
                ("action_check_due", "qms_manager"),
                ("action_check_due", "qms_manager"),
                ("action_check_due", "qms_manager"),
            ],
        )
        message = self.env["qms.notification"].search(
            [("res_id", "=", self.action.id), ("event", "=", "action_check_due")],
            order="id desc",
            limit=1,
        )
        self.assertIn("What was done: It is there.", message.body)
        self.assertIn("Overdue by: 1 days", message.body)
        with freeze_time("2026-03-26 10:00:00"):
            self.action.with_user(self.manager).verify("Fine.", "qms_manager")
        self.assertFalse(self.remind("2026-03-27", LATER[:10], "2027-01-01"))
        self.assertFalse(self.activities())

    def test_reopened_it_begins_anew(self):
        with freeze_time("2026-03-14 10:00:00"):
            self.action.with_user(self.author).complete("It is there.")
            self.action.reopen("It is not.", due_date="2026-04-10")
            self.env.flush_all()
        self.assertEqual(self.told()[-1], ("action_reopened", "qms_author"))
        self.assertEqual(self.action.next_reminder_on, date(2026, 4, 7))
        self.assertEqual(self.activities(), [("qms_author", date(2026, 4, 10))])

    def test_cancelled_nobody_is_reminded(self):
        self.action.cancel("No.")
        self.assertFalse(self.remind("2026-03-16", "2026-04-16"))

    def test_a_due_date_that_moves_moves_the_reminders(self):
        self.remind("2026-03-13")
        with freeze_time("2026-03-13 13:00:00"):
            self.action.write({"due_date": "2026-03-20"})
            self.env.flush_all()
        self.assertEqual(self.action.next_reminder_on, date(2026, 3, 17))
        self.assertEqual(self.activities(), [("qms_author", date(2026, 3, 20))])

    def test_the_day_is_the_owners(self):
        self.author.tz = "Pacific/Auckland"
        with freeze_time("2026-03-12 12:00:00"):
            # It is one o'clock on the 13th there.
            self.job.method_direct_trigger()
        self.assertEqual(self.told()[1:], [("action_due", "qms_author")])

    @mute_logger("odoo.addons.qms_sop.models.action.qms_action_reminder")
    def test_one_that_fails_does_not_stop_the_others(self):
        with freeze_time(TODAY):
            other = self.raised(due_date="2026-03-16", owner="qms_manager")
            self.env.flush_all()
        model = type(self.env["qms.action"])
        tell = model._tell

        def fail(action, *args, **values):
            if action == self.action:
                raise ValueError("no")
            return tell(action, *args, **values)

        with patch.object(model, "_tell", fail):
            self.remind("2026-03-16")
        self.assertEqual(self.told(other)[-1], ("action_due", "qms_manager"))
        self.assertEqual(self.remind("2026-03-16"), [("action_due", "qms_author")])

    def test_texts(self):
        self.remind("2026-03-20")
        message = self.env["qms.notification"].search(
            [("res_id", "=", self.action.id), ("event", "=", "action_overdue")], limit=1
        )
        self.assertEqual(message.subject, f"Overdue: {self.action.reference}")
        for line in (
            f"{self.action.reference} Add a migration check",
            "Was due: 2026-03-16",
            "Overdue by: 4 days",
            f"Owner: {self.author.name}",
            f"Comes from: {self.action.run_id.name}",
        ):
            self.assertIn(line, message.body)

    def test_settings(self):
        settings = self.env["res.config.settings"]
        values = {
            "qms_action_notice_days": 5,
            "qms_action_repeat_days": 1,
            "qms_action_escalate_days": 2,
            "qms_action_check_days": 60,
        }
        settings.create(values).execute()
        found = settings.create({})
        for name, value in values.items():
            self.assertEqual(found[name], value)
            with self.assertRaisesRegex(ValidationError, "give 1 to 365 days"):
                settings.create({name: 0})
        with freeze_time(TODAY):
            action = self.raised(due_date="2026-03-16")
            self.env.flush_all()
        self.assertEqual(action.next_reminder_on, date(2026, 3, 11))
        self.assertEqual(action.check_days, 60)
