"""What other systems for corrective actions let pass on Odoo 19, and ours must not."""

from datetime import date, timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import freeze_time, tagged

from .test_qms_action import LATER, TODAY, ActionCase


@tagged("post_install", "-at_install")
class TestPeerProbesActions(ActionCase):
    def test_owner_finds_the_own_action_effective(self):
        action = self.done()
        action.write({"effectiveness": "It is fine."})
        for who in (
            action,
            action.sudo(),
            action.with_user(self.env.ref("base.user_admin")),
        ):
            with (
                self.subTest(who.env.user.login),
                freeze_time(LATER),
                self.assertRaises(UserError),
            ):
                who.write({"state": "verified"})
        with freeze_time(LATER), self.assertRaisesRegex(UserError, "is the work of"):
            action.verify("It is fine.", "qms_operator")

    def test_owner_hands_it_over_to_sign_it(self):
        """Whoever did the work stays the one who did, whoever owns it."""
        action = self.done(owner="qms_author")
        self.assertEqual(action.done_by_id, self.operator)
        with self.assertRaisesRegex(UserError, "can no longer be changed"):
            action.write({"user_id": self.manager.id})
        with freeze_time(LATER), self.assertRaisesRegex(UserError, "is the work of"):
            action.verify("It is fine.", "qms_operator")

    def test_closed_without_a_word_on_what_was_done(self):
        action = self.raised()
        action.start()
        for values in (
            {"state": "done"},
            {"state": "done", "result": ""},
            {"state": "done", "result": " \n"},
            {"state": "done", "result": False},
        ):
            with (
                self.subTest(values),
                self.assertRaisesRegex(UserError, "what was done"),
            ):
                action.write(values)

    def test_closed_without_an_evaluation(self):
        action = self.done().with_user(self.manager)
        with freeze_time(LATER), self.assertRaisesRegex(UserError, "shows that it"):
            action.sign("verified", "qms_manager")

    def test_closed_at_once_over_rpc(self):
        for state in ("done", "verified"):
            with self.subTest(state), self.assertRaisesRegex(UserError, "can start as"):
                self.actions.create({"name": "x", "state": state, "result": "x"})
            with self.subTest(state), self.assertRaises(UserError):
                self.raised().write({"state": state, "result": "x"})

    def test_closed_action_is_edited(self):
        action = self.effective()
        for user in (self.operator, self.manager, self.env.ref("base.user_admin")):
            for values in (
                {"result": "Something else."},
                {"effectiveness": "Not at all."},
                {"due_date": "2030-01-01"},
                {"done_on": "2020-01-01 00:00:00"},
                {"cause_id": False},
            ):
                with (
                    self.subTest(user=user.login, values=values),
                    self.assertRaises(UserError),
                ):
                    action.with_user(user).write(values)

    def test_reopened_action_keeps_its_closing_date(self):
        action = self.effective()
        action.reopen("It failed again.")
        self.assertFalse(action.done_on or action.verified_on or action.days_to_done)
        # Not even a stored copy of it
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT done_on, done_by_id, verified_on, verified_by_id, check_date,"
            " days_to_done, result FROM qms_action WHERE id = %s",
            [action.id],
        )
        self.assertEqual(set(self.env.cr.fetchone()), {None})

    def test_days_to_done_are_negative(self):
        action = self.done()
        action._write_system({"raised_on": "2026-03-09 00:00:00"})
        self.assertIs(action.days_to_done, False)
        self.assertTrue(action.times_contradict)
        rows = self.actions._read_group(
            [("id", "=", action.id)], [], ["days_to_done:avg"]
        )
        self.assertFalse(rows[0][0])

    def test_nobody_is_reminded_of_an_overdue_action(self):
        with freeze_time(TODAY) as clock:
            action = self.raised(due_date="2026-03-04", run_id=self.start_run().id)
            self.env.flush_all()
            # What it comes from has ended long ago.
            action.run_id.cancel("False alarm.")
            job = self.env.ref("qms_sop.ir_cron_remind_of_actions")
            day, told = date(2026, 3, 4), []
            for _round in range(12):
                clock.move_to(f"{day.isoformat()} 12:00:00")
                job.method_direct_trigger()
                self.env.flush_all()
                told.append(action.reminded_on)
                day += timedelta(days=7)
        self.assertEqual(
            told, [date(2026, 3, 4) + timedelta(days=7 * week) for week in range(12)]
        )

    def test_a_deleted_action_frees_its_number(self):
        run = self.start_run()
        action = self.raised(run_id=run.id)
        for user in (self.operator, self.manager):
            with self.subTest(user.login), self.assertRaises(AccessError):
                action.with_user(user).unlink()
        with self.assertRaisesRegex(UserError, "cannot be deleted"):
            action.sudo().unlink()
        action.cancel("No.")
        self.assertEqual(self.raised(run_id=run.id).number, "AI-002")

    def test_a_copy_takes_the_end_along(self):
        action = self.effective()
        copy = action.copy()
        self.assertNotEqual(copy.reference, action.reference)
        self.assertRecordValues(
            copy,
            [
                {
                    "state": "open",
                    "done_on": False,
                    "result": False,
                    "effectiveness": False,
                    "verified_on": False,
                    "check_date": False,
                    "reopened_count": 0,
                }
            ],
        )
        self.assertFalse(copy.signature_ids)
