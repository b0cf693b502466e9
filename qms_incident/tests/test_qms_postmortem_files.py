import base64
import io

from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools.pdf import PdfReader

from odoo.addons.base.models import res_users

from .common import QmsIncidentCommon
from .test_postmortem_text import FULL


@tagged("post_install", "-at_install")
class TestQmsPostmortemFiles(QmsIncidentCommon):
    """The dialog that takes a file over, and what is printed."""

    @classmethod
    def setUpClass(cls):
        cls.classPatch(res_users, "MIN_ROUNDS", 1)
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.incident = self.open(
            title="Sign-in fails",
            severity="low",
            detected_at="2024-01-15T14:35:00Z",
        )

    def wizard(self, **values):
        wizards = self.env["qms.postmortem.import"].with_user(self.operator)
        return wizards.create(values)

    def page(self, postmortem, report="report_postmortem", user=None):
        """Return the HTML of what is printed."""
        reports = self.env["ir.actions.report"].with_user(user or self.operator)
        html, _kind = reports._render_qweb_html(
            f"qms_incident.{report}", postmortem.ids
        )
        return html.decode()

    # === Dialog ===

    def test_file_is_shown_and_taken_over(self):
        content = base64.b64encode(FULL.encode())
        wizard = self.wizard(
            incident_id=self.incident.id, file=content, filename="old.md"
        )
        wizard.action_preview()
        self.assertEqual(wizard.state, "preview")
        self.assertTrue(wizard.importable)
        for part in ("Sign-in was down", "Larger pool", "14:35:00", "“John Doe”"):
            self.assertIn(part, wizard.preview)
        self.assertFalse(self.incident.postmortem_ids)
        action = wizard.action_import()
        postmortem = self.incident.postmortem_ids
        self.assertEqual(action["res_id"], postmortem.id)
        self.assertEqual(len(postmortem.action_ids), 2)

    def test_what_cannot_be_read_is_said_in_the_dialog(self):
        with self.refused(UserError, "Upload a Markdown file"):
            self.wizard().action_preview()
        wizard = self.wizard(text="# <b>Hello</b>")
        with self.refused(UserError, "none of its headings"):
            wizard.action_preview()
        wizard.state = "preview"
        self.assertFalse(wizard.importable)
        self.assertIn("none of its headings", wizard.preview)
        wizard = self.wizard(
            text="# Postmortem: <b>x</b>\n\n## Summary\n<script>y</script>",
            incident_id=self.incident.id,
        )
        wizard.action_preview()
        self.assertIn("&lt;b&gt;x&lt;/b&gt;", wizard.preview)
        self.assertNotIn("<script>", wizard.preview)
        wizard.action_back()
        self.assertEqual(wizard.state, "choose")

    # === Paper ===

    def test_printed_page(self):
        told = (
            self.env["qms.postmortem"]
            .with_user(self.operator)
            .import_markdown(
                FULL.replace(
                    "Nobody could sign in.", "Nobody <i>could</i> **sign in**."
                ),
                self.incident.id,
            )
        )
        postmortem = self.env["qms.postmortem"].browse(told["id"])
        page = self.page(postmortem, user=self.users["auditor"])
        for part in (
            "Sign-in was down",
            "Nobody &lt;i&gt;could&lt;/i&gt; <strong>sign in</strong>.",
            "Not published.",
            "What Went Well",
            "Larger pool",
            "Alert: errors on the sign-in page",
        ):
            self.assertIn(part, page)
        # Contributing factors, among others
        self.assertIn("Not written.", page)
        # Nobody owns the first of the actions; a lone dash is no list.
        self.assertNotIn("<li></li>", page)
        stranger = new_test_user(self.env, "pm_stranger", groups="base.group_user")
        with self.assertRaises(AccessError):
            self.page(postmortem, user=stranger)

    def test_published_page(self):
        self.registry_enter_test_mode()
        for state in ("triaged", "resolved"):
            self.incident.move(state)
        told = self.incident.create_postmortem(
            kind="quick",
            summary="Slow",
            root_cause="A leak",
            fix="Closed",
            preventive_measures="Limits",
            participants=[],
        )
        postmortem = self.env["qms.postmortem"].browse(told["id"])
        postmortem = postmortem.with_user(self.operator)
        postmortem.move("in_review")
        postmortem.publish(self.operator.login)
        postmortem.amend("Measured again", "It was **two** leaks")
        page = self.page(postmortem)
        self.assertNotIn("Not published.", page)
        for part in ("Quick incident report", "Prevention", "Valid when printed"):
            self.assertIn(part, page)
        self.assertIn("It was <strong>two</strong> leaks", page)

    def test_pdf_on_both_papers(self):
        told = self.incident.create_postmortem(summary="Slow")
        reports = self.env["ir.actions.report"].with_context(
            force_report_rendering=True
        )
        for name in ("report_postmortem", "report_postmortem_letter"):
            pdf, _kind = reports._render_qweb_pdf(f"qms_incident.{name}", [told["id"]])
            text = PdfReader(io.BytesIO(pdf)).pages[0].extract_text()
            self.assertIn("Sign-in fails", " ".join(text.split()))
