from datetime import datetime, timedelta

from freezegun import freeze_time

from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from odoo.addons.qms_sop.tests.notification_common import NotificationCommon


@tagged("post_install", "-at_install")
class TestQmsNotificationMonth(NotificationCommon):
    """The incidents of the month, by mail."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.users.settings"].search([]).write({"qms_incident_month": False})
        cls.company = cls.env["res.company"].create({"name": "Elsewhere"})
        (cls.person | cls.operator).write(
            {
                "company_ids": [Command.set(cls.company.ids)],
                "company_id": cls.company.id,
            }
        )
        cls.person.tz = "America/New_York"
        cls.person.with_user(cls.person).qms_incident_month = True
        with freeze_time(datetime(2026, 10, 20, 12)):
            detected = datetime(2026, 10, 12, 9)
            incident = (
                cls.env["qms.incident"]
                .with_user(cls.operator)
                .create(
                    {
                        "title": "Logins fail",
                        "severity_id": cls.env.ref("qms_error_code.severity_high").id,
                        "detected_at": detected,
                    }
                )
            )
            incident.write({"state": "triaged", "triaged_at": detected})
            moment = detected + timedelta(minutes=90)
            incident.write({"state": "resolved", "resolved_at": moment})

    def morning(self, *moment):
        """Let the job run at some time, in UTC."""
        with freeze_time(datetime(*moment)), self.enter_registry_test_mode():
            job = self.env.ref("qms_incident.ir_cron_send_incident_month")
            job.method_direct_trigger()
        return self.told(self.person, "incident_month")

    def test_on_the_first_morning_of_the_user(self):
        self.assertFalse(self.morning(2026, 11, 1, 9))
        told = self.morning(2026, 11, 1, 13)
        self.assertEqual((told.medium, told.state), ("mail", "pending"))
        self.assertEqual(told.subject, "Incidents of October 2026")
        for said in (
            "compared with September 2026",
            "Elsewhere\n- Incidents: 1 (before: 0); still open: 1",
            "(MTTR): 1 h 30 min (before: –); known of 1",
            "(MTTD): – (before: –); known of 0",
            "/odoo/qms-incident-dashboard?period=custom&since=2026-10-01"
            "&until=2026-10-31",
        ):
            self.assertIn(said, told.body)

    def test_once(self):
        told = self.morning(2026, 11, 1, 13)
        self.assertEqual(len(told), 1)
        self.assertEqual(self.morning(2026, 11, 1, 15), told)
        self.assertEqual(self.morning(2026, 11, 3, 15), told)
        self.assertEqual(len(self.morning(2026, 12, 1, 13)), 2)

    def test_month_without_incidents(self):
        told = self.morning(2026, 12, 2, 1)
        self.assertIn("- Incidents: 0 (before: 1)", told.body)
        self.assertNotIn("MTTR", told.body)

    def test_late_is_no_news(self):
        self.assertFalse(self.morning(2026, 11, 9, 13))

    def test_only_who_wants_it_and_may_read_it(self):
        self.person.qms_incident_month = False
        stranger = new_test_user(
            self.env,
            "qms_stranger",
            email="stranger@example.com",
            groups="base.group_user",
        )
        stranger.qms_incident_month = True
        self.assertFalse(self.morning(2026, 11, 1, 13))
        self.assertFalse(self.told(stranger))
