from odoo.exceptions import AccessError, UserError
from odoo.fields import Datetime
from odoo.tests import Form, tagged

from .common import QmsIncidentCommon


@tagged("post_install", "-at_install")
class TestQmsIncidentWizards(QmsIncidentCommon):
    """The dialogs, as the web client fills them in."""

    def dialog(self, name, incident, user=None, **defaults):
        model = self.env[f"qms.incident.{name}"].with_user(user or self.operator)
        context = {f"default_{key}": value for key, value in defaults.items()}
        return Form(model.with_context(default_incident_id=incident.id, **context))

    def test_decisions(self):
        first, second = self.open(), self.open()
        form = self.dialog("decision", second, target="duplicate")
        form.duplicate_of_id = first
        form.save().action_confirm()
        self.assertEqual(second.state, "duplicate")
        form = self.dialog("decision", first, target="false_positive")
        form.reason = "A drill"
        form.save().action_confirm()
        self.assertEqual(
            (first.state, first.state_reason), ("false_positive", "A drill")
        )

    def test_entry(self):
        incident = self.open()
        form = self.dialog("entry", incident)
        form.text, form.evidence = "Seen", "app.log"
        form.save().action_add()
        self.assertEqual(incident.get_timeline()[-1]["evidence"], "app.log")

    def test_import_shows_what_becomes_of_the_text(self):
        incident = self.open(detected_at="2025-12-26T14:32:00Z")
        form = self.dialog("import", incident)
        form.text = "14:30 <i>First</i> error\nno time"
        self.assertIn("2025-12-26 14:30:00", form.preview)
        self.assertIn("&lt;i&gt;First", form.preview)
        form.zone = "Asia/Kathmandu"
        self.assertIn("2025-12-26 08:45:00", form.preview)
        form.text = "nothing\n14:30 a"
        self.assertIn("Line 1 is left out", form.preview)
        form.save().action_import()
        self.assertEqual(incident.get_timeline()[0]["detail"], "a")

    def test_role_suggests_who_is_on_duty(self):
        incident = self.open()
        role = self.env["qms.role"]._by_code("technical_lead")
        role.write({"user_ids": [(6, 0, self.author.ids)], "shift_ids": [(5,)]})
        form = self.dialog("role", incident)
        form.role_id = role
        self.assertEqual(form.user_id, self.author)
        form.save().action_assign()
        self.assertEqual(incident._assigned("technical_lead").user_id, self.author)
        form = self.dialog("role", incident)
        form.role_id = role
        self.assertEqual(form.current_id, self.author)
        form.user_id = self.users["auditor"]
        with self.refused(UserError, "only people who work incidents"):
            form.save().action_assign()

    def test_message_shows_what_is_read(self):
        incident = self.open(severity="critical")
        form = self.dialog("message", incident)
        self.assertEqual(form.kind, "detected")
        form.message = "We look into it"
        form.next_minutes = 0
        self.assertIn(incident.name, form.subject)
        self.assertIn("Next update: when there is news", form.preview)
        form.user_ids.add(self.manager)
        form.save().action_send()
        self.assertEqual(incident.update_ids.message, "We look into it")
        self.assertFalse(incident.next_update_at)
        self.assertEqual(self.dialog("message", incident).kind, "update")
        incident.resolved_at = Datetime.now()
        self.assertEqual(self.dialog("message", incident).kind, "resolved")

    def test_auditors_get_no_dialog(self):
        incident = self.open()
        for name in ("decision", "entry", "import", "role", "message"):
            model = self.env[f"qms.incident.{name}"].with_user(self.users["auditor"])
            with self.subTest(name), self.assertRaises(AccessError):
                model.create({"incident_id": incident.id})
