from datetime import timedelta

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Datetime
from odoo.tests import tagged

from .common import QmsIncidentCommon


@tagged("post_install", "-at_install")
class TestQmsIncidentUpdate(QmsIncidentCommon):
    def told(self, incident, event):
        return self.env["qms.notification"].search(
            [
                ("model", "=", "qms.incident"),
                ("res_id", "=", incident.id),
                ("event", "=", event),
                ("medium", "!=", "mail"),
            ],
            order="id",
        )

    def test_the_next_update_is_due_by_severity(self):
        severity = self.env["qms.severity"]._resolve("critical")
        severity.update_interval = 30
        incident = self.open(severity="critical")
        now = Datetime.now()
        self.assertAlmostEqual(
            incident.next_update_at, now + timedelta(minutes=30), delta=timedelta(0, 5)
        )
        self.assertFalse(incident.update_overdue)
        reminder = self.told(incident, "incident_update_due")
        self.assertEqual(reminder.user_id, incident.commander_id)
        self.assertEqual(reminder.at, incident.next_update_at)
        with freeze_time(now + timedelta(minutes=31)):
            incident.invalidate_recordset(["update_overdue"])
            self.assertTrue(incident.update_overdue)
            late = self.env["qms.incident"].search([("update_overdue", "=", True)])
            self.assertIn(incident, late)
        on_time = self.env["qms.incident"].search([("update_overdue", "=", False)])
        self.assertIn(incident, on_time)

    def test_an_update_is_told_recorded_and_promises_the_next(self):
        incident = self.open(severity="critical", systems="Backend API")
        incident.update_incident(
            {"users_affected": 120, "operations_affected": "Logging in"}
        )
        answer = incident.send_update(
            "We look into it",
            kind="detected",
            public_text="Logging in is slow.",
            users=["qms_manager"],
            next_minutes=15,
        )
        self.assertEqual(answer["told"], self.manager.name)
        self.assertEqual(incident.public_status, "Logging in is slow.")
        self.assertAlmostEqual(
            incident.next_update_at,
            Datetime.now() + timedelta(minutes=15),
            delta=timedelta(0, 5),
        )
        message = self.told(incident, "incident_detected")
        self.assertEqual(message.user_id, self.manager)
        self.assertIn(incident.name, message.subject)
        for text in ("We look into it", "120 users; Logging in", "Backend API"):
            self.assertIn(text, message.body)
        self.assertNotIn("Logging in is slow.", message.body)
        states = self.told(incident, "incident_update_due").mapped("state")
        self.assertEqual(states, ["cancelled", "pending"])
        types = [act["type"] for act in incident.get_timeline()]
        self.assertIn("update.sent", types)

    def test_resolving_ends_the_promise_and_reopening_renews_it(self):
        incident = self.open(severity="critical")
        incident.move("triaged")
        incident.move("resolved")
        self.assertFalse(incident.next_update_at)
        states = set(self.told(incident, "incident_update_due").mapped("state"))
        self.assertEqual(states, {"cancelled"})
        incident.move("triaged", reason="It is back")
        self.assertTrue(incident.next_update_at)
        incident.send_update("Done", kind="resolved", users=["qms_manager"])
        self.assertFalse(incident.next_update_at)

    def test_severity_changes_the_promise(self):
        low = self.env["qms.severity"]._resolve("low")
        low.update_interval = 0
        incident = self.open(severity="low")
        self.assertFalse(incident.next_update_at)
        incident.update_incident({"severity": "critical"})
        self.assertTrue(incident.next_update_at)

    def test_channels_that_subscribe_hear_of_it(self):
        channel = self.env["qms.notification.channel"].create(
            {
                "name": "Incident room",
                "new_url": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
                "template_ids": self.env.ref(
                    "qms_incident.notification_incident_update"
                ).ids,
            }
        )
        incident = self.open()
        incident.send_update("Half of it works again")
        sent = self.told(incident, "incident_update")
        self.assertEqual(sent.channel_id, channel)
        self.assertIn("Half of it works again", sent.body)
        with self.refused(ValidationError, "'Elsewhere'. Accepted: .*Incident room"):
            incident.send_update("x", channels=["Elsewhere"])

    def test_what_is_refused(self):
        incident = self.open()
        for arguments, error, said in (
            (("x",), UserError, "at least one channel or person"),
            (("  ", "update", "y"), ValidationError, "say what is new"),
            (("x", "rumour", "y"), ValidationError, "detected, update, resolved"),
        ):
            with self.subTest(said), self.refused(error, said):
                incident.send_update(*arguments)
        with self.refused(ValidationError, "next_minutes"):
            incident.send_update("x", public_text="y", next_minutes=-1)
        with self.refused(AccessError, "."):
            incident.with_user(self.users["auditor"]).send_update("x", public_text="y")
        incident.send_update("x", public_text="y")
        for role in ("operator", "manager", "automation"):
            update = incident.update_ids.with_user(self.users[role])
            with self.subTest(role), self.refused(AccessError, "."):
                update.write({"message": "Else"})
        incident.move("false_positive", reason="A drill")
        with self.refused(UserError, "no longer be changed"):
            incident.send_update("x", public_text="y")

    def test_automation_tells_channels_without_seeing_them(self):
        channel = self.env["qms.notification.channel"].create(
            {
                "name": "Incident room",
                "new_url": "slack://TokenAAAA/TokenBBBBB/TokenCCCCCCCCCCCCCCCCCCCC/#qa",
            }
        )
        incident = self.open(user=self.users["automation"])
        answer = incident.send_update("We look into it", channels=["Incident room"])
        self.assertEqual(answer["told"], "Incident room")
        # Who was told once hears of it again.
        again = incident.send_update("Cause found")
        self.assertEqual(again["told"], "Incident room")
        self.assertEqual(self.told(incident, "incident_update").channel_id, channel)
        with self.refused(ValidationError, "Accepted: .*Incident room"):
            incident.send_update("x", channels=["No such room"])
        other = self.env["res.company"].create({"name": "Other"})
        channel.company_id = other
        with self.refused(ValidationError, "no notification channel"):
            incident.send_update("x", channels=["Incident room"])
        with self.assertRaises(AccessError):
            channel.with_user(self.users["automation"]).read(["name"])
