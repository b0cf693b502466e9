from datetime import datetime, timedelta

from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from .notification_common import NotificationCommon

# A Monday and a Tuesday
MONDAY, TUESDAY = datetime(2027, 3, 1), datetime(2027, 3, 2)


@tagged("post_install", "-at_install")
class TestNotificationDigest(NotificationCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.users"].search([]).qms_digest = "none"
        cls.person.write({"qms_digest": "daily", "tz": "Europe/Berlin"})

    def digests(self, moment):
        """Return the digests that the job sends at a moment."""
        before = self.outbox.search([("event", "=", "digest")])
        job = self.env.ref("qms_sop.ir_cron_send_digests")
        with freeze_time(moment), self.enter_registry_test_mode():
            job.method_direct_trigger()
        return self.outbox.search([("event", "=", "digest")]) - before

    def test_once_a_day_in_the_morning_of_the_person(self):
        self.start_run()
        at = TUESDAY.replace(hour=5, minute=59)
        self.assertFalse(self.digests(at), "06:59 in Berlin")
        first = self.digests(at + timedelta(minutes=1))
        self.assertEqual((first.user_id, first.medium), (self.person, "mail"))
        self.assertFalse(self.digests(at + timedelta(hours=10)))
        self.assertTrue(self.digests(at + timedelta(days=1, minutes=1)))

    def test_weekly_ones_on_mondays(self):
        self.start_run()
        self.person.qms_digest = "weekly"
        self.assertFalse(self.digests(TUESDAY.replace(hour=12)))
        self.assertTrue(self.digests(MONDAY.replace(hour=12)))

    def test_only_who_wants_one(self):
        self.start_run()
        self.person.qms_digest = "none"
        self.assertFalse(self.digests(MONDAY.replace(hour=12)))

    def test_also_who_wants_no_other_mail(self):
        self.start_run()
        self.person.qms_mail = "none"
        self.assertTrue(self.digests(MONDAY.replace(hour=12)))

    def test_nothing_to_tell(self):
        self.env["qms.sop.run"].search([("state", "=", "in_progress")]).write(
            {"state": "cancelled", "state_reason": "Test"}
        )
        self.env["qms.action"].search([]).action_archive()
        self.assertFalse(self.digests(MONDAY.replace(hour=12)))

    def test_what_it_tells(self):
        runs = self.env["qms.sop.run"].search([("state", "=", "in_progress")])
        runs.write({"state": "cancelled", "state_reason": "Test"})
        with freeze_time(TUESDAY.replace(hour=6)):
            late = self.start_run(severity="critical", summary="Down\nfor good")
            mine = self.start_run(user=self.person, summary="Mine")
            other = self.start_run(summary="Calm")
            self.assertEqual(
                self.outbox.with_user(self.person)._digest_sections()[0][1], 0
            )
        (told,) = self.digests(TUESDAY.replace(hour=18))
        self.assertEqual(
            told.subject,
            "QMS today: Target missed 1, Your open runs 1, Other open runs 1",
        )
        lines = told.body.split("\n")
        self.assertEqual(lines[0], "Target missed (1)")
        self.assertTrue(lines[1].startswith(f"- {late.name} · P0 · Down · "), lines[1])
        self.assertIn(f"/odoo/qms-runs/{late.id}", lines[1])
        self.assertIn(mine.name, told.body.split("Your open runs (1)")[1])
        self.assertIn(other.name, told.body.split("Other open runs (1)")[1])

    def test_many_are_counted(self):
        for _number in range(17):
            self.start_run(user=self.person)
        sections = self.outbox.with_user(self.person)._digest_sections()
        _title, count, lines = sections[2]
        self.assertGreaterEqual(count, 17)
        self.assertEqual(len(lines), 15)

    def test_only_what_the_person_may_see(self):
        theirs = self.env["res.company"].create({"name": "Elsewhere"})
        run = self.start_run(summary="Hidden from you")
        run.sudo().company_id = theirs
        self.start_run()
        (told,) = self.digests(MONDAY.replace(hour=12))
        self.assertNotIn("Hidden from you", told.body)


@tagged("post_install", "-at_install")
class TestStakeholderUpdate(NotificationCommon):
    def dialog(self, run, **values):
        updates = self.env["qms.notification.update"].with_user(self.operator)
        form = Form(updates.with_context(default_run_id=run.id))
        form.message = "Logins work again."
        for name, value in values.items():
            form[name] = value
        return form

    def test_update(self):
        subscribed = self.channel(name="Status", events=("run_update",))
        told_before = self.channel(name="Chat", events=("run_opened",))
        self.channel("pagerduty://integration@key", events=("run_opened",))
        self.channel(name="Nothing to do with it")
        run = self.start_run(severity="critical")
        form = self.dialog(run)
        self.assertEqual(
            form.next_minutes, run.severity_id.update_interval, "as the severity says"
        )
        self.assertTrue(form.next_minutes)
        self.assertIn("Logins work again.", form.preview)
        self.assertIn(f"[P0] Update on {run.name}", form.subject)
        dialog = form.save()
        self.assertEqual(dialog.channel_ids, subscribed + told_before)
        dialog.action_send()
        told = self.told(run, "run_update")
        self.assertEqual(told.channel_id, subscribed + told_before)
        self.assertIn(f"From: {self.operator.name}", told[0].body)
        self.assertIn("Logins work again.", str(run._timeline()[-1]))

    def test_the_next_one_is_asked_for(self):
        self.channel(events=("run_update",))
        run = self.start_run(severity="critical")
        self.dialog(run).save().action_send()
        # An activity and, for something critical, a mail.
        due = self.told(run, "update_due")
        self.assertEqual(set(due.mapped("medium")), {"activity", "mail"})
        due = due.filtered(lambda one: one.medium == "activity")
        self.assertEqual((due.user_id, due.state), (self.operator, "pending"))
        expected = timedelta(minutes=run.severity_id.update_interval)
        self.assertAlmostEqual(
            due.at, fields.Datetime.now() + expected, delta=timedelta(minutes=2)
        )
        # Given in time, it is not asked for, and the one after it is.
        self.dialog(run).save().action_send()
        self.assertEqual(
            self.told(run, "update_due").mapped("state"),
            ["cancelled"] * 2 + ["pending"] * 2,
        )
        run.cancel("Not needed.")
        self.assertEqual(
            set(self.told(run, "update_due").mapped("state")), {"cancelled"}
        )

    def test_refused(self):
        run = self.start_run(severity="low")
        with self.assertRaisesRegex(UserError, "at least one channel or person"):
            self.dialog(run).save().action_send()
        self.channel(events=("run_update",))
        with self.assertRaisesRegex(ValidationError, "-5 is not accepted"):
            self.dialog(run, next_minutes=-5).save().action_send()
        with self.assertRaises(AccessError):
            self.env["qms.notification.update"].with_user(self.users["auditor"]).create(
                {"run_id": run.id, "message": "x"}
            )
