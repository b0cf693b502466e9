from unittest.mock import patch

from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Datetime
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models.audit import qms_audit_check
from ..tools import audit_chain
from .common import GROUPS
from .test_audit_trail import AuditCommon

READERS = ("auditor", "manager")


@tagged("post_install", "-at_install")
class TestAuditWorkspace(AuditCommon):
    """What auditors find without asking anybody."""

    def page(self, role="auditor"):
        pages = self.env["qms.audit.integrity"].with_user(self.users[role])
        return pages.browse(pages.action_open()["res_id"])

    def question(self, page, name):
        questions = page.question_ids.filtered(
            lambda one: one.filter_id == self.env.ref(f"qms_sop.{name}")
        )
        self.assertEqual(len(questions), 1, name)
        return questions

    def messages(self):
        return self.env["mail.message"].search(
            [("partner_ids", "in", self.users["auditor"].partner_id.ids)],
            order="id desc",
        )

    def run_job(self, name):
        with self.enter_registry_test_mode():
            self.env.ref(f"qms_sop.{name}").method_direct_trigger()

    # === The page ===

    def test_never_verified(self):
        self.env.cr.execute("DELETE FROM qms_audit_check")
        self.env.invalidate_all()
        page = self.page()
        self.assertEqual((page.verdict, page.status), ("stale", "never"))
        self.assertFalse(page.checked_ago)
        self.assertEqual(page.display_name, "Integrity")
        self.assertIn("No anchor was taken", page.warnings)

    def test_intact(self):
        with self.key():
            self.env["qms.audit.anchor"].sudo()._take()
            page = self.page()
            result = page.action_verify()
            check = self.env["qms.audit.check"].browse(result["res_id"])
            self.assertEqual(check.state, "passed")
            page = self.page()
            self.assertEqual((page.verdict, page.warnings), ("intact", False))
            self.assertEqual(page.check_id, check)
            self.assertEqual(page.checked_events, check.events)
            self.assertTrue(page.checked_ago.endswith("ago"))
            self.assertEqual(page.unanchored, 0)
        self.assertIn("has no key", self.page().warnings)

    def test_old_age_is_said(self):
        self.env["qms.audit.anchor"].sudo()._take()
        check = self.checks._verify()
        check.finished_at = Datetime.subtract(check.finished_at, days=10)
        page = self.page()
        self.assertEqual(page.verdict, "stale")
        self.assertEqual(page.checked_ago, "1 week ago")
        # A verification of something else does not count.
        self.checks._verify("qms.sop.run")
        self.assertEqual(self.page().verdict, "stale")

    def test_broken(self):
        self.env.cr.execute(
            "ALTER TABLE qms_audit_event DISABLE TRIGGER qms_audit_rows"
        )
        page = self.page()
        self.assertEqual((page.verdict, page.protected), ("broken", False))
        self.checks._verify()
        page = self.page()
        self.assertEqual((page.status, page.finding_count), ("failed", 1))

    def test_take_an_anchor(self):
        action = self.page().action_anchor()
        self.assertEqual(action["params"]["next"]["res_model"], "qms.audit.integrity")
        page = self.page()
        self.assertEqual(page.unanchored, 0)
        self.assertEqual(page.file, str(self.anchor_path))

    def test_for_auditors_and_managers(self):
        for role in GROUPS:
            if role in READERS:
                self.assertTrue(self.page(role).question_ids)
                continue
            with self.subTest(role=role), self.assertRaises(AccessError):
                self.page(role)
        server = self.env.ref("qms_sop.qms_audit_integrity_open")
        auditor = self.users["auditor"]
        action = server.with_user(auditor).with_context(active_model=False).run()
        self.assertEqual(action["res_model"], "qms.audit.integrity")
        for role in ("operator", "author", "automation"):
            with mute_logger("odoo.addons.base.models.ir_actions"):
                with self.assertRaises(AccessError):
                    server.with_user(self.users[role]).run()

    def test_questions(self):
        page = self.page()
        counts = {one.filter_id: one.count for one in page.question_ids}
        own = page.question_ids.filtered(
            lambda one: one.action_name.startswith("qms_sop.")
        )
        self.assertEqual(len(own), 9)
        run = self.start_run(severity="high")
        run.step_ids[0].skip("No time")
        run.step_ids[1].complete("Done.")
        run.fail("It did not help")
        run.amend("Typing mistake", "It did.")
        self.sop.with_user(self.manager).review_date = "2020-01-01"
        draft = self.draft_sop("SOP-GONE-009")
        self.env.cr.flush()
        draft.unlink()
        page = self.page()
        for name in ("skipped", "amended", "without_rca", "overdue", "gone"):
            question = self.question(page, f"qms_audit_filter_{name}")
            self.assertEqual(question.count, counts[question.filter_id] + 1, name)
            action = question.action_open()
            found = self.env[action["res_model"]].with_context(**action["context"])
            found = found.with_user(self.users["auditor"]).search(action["domain"])
            self.assertEqual(len(found), question.count)
        self.assertIn(
            run,
            self.env["qms.sop.run"].search(
                self.question(page, "qms_audit_filter_skipped").action_open()["domain"]
            ),
        )

    def test_a_shared_favourite_is_a_question(self):
        action = self.env.ref("qms_sop.qms_audit_run_action")
        mine = self.env["ir.filters"].with_user(self.users["auditor"])
        mine.create_filter(
            {
                "name": "Named by us",
                "model_id": "qms.sop.run",
                "action_id": action.id,
                "domain": "[('name', '=', 'none')]",
                "user_ids": [],
            }
        )
        page = self.page()
        found = page.question_ids.filtered(lambda one: one.name == "Named by us")
        self.assertEqual(found.count, 0)

    def test_a_favourite_that_is_broken_is_left_out(self):
        action = self.env.ref("qms_sop.qms_audit_run_action")
        for domain in ("[('no_such_field', '=', 1)]", "[("):
            self.env["ir.filters"].create(
                {
                    "name": "Broken",
                    "model_id": "qms.sop.run",
                    "action_id": action.id,
                    "domain": domain,
                    "user_ids": [],
                }
            )
        self.assertNotIn("Broken", self.page().question_ids.mapped("name"))

    def test_verify_the_trail_of_a_record(self):
        run = self.start_run()
        for role in GROUPS:
            context = run.with_user(self.users[role]).action_view_trail()["context"]
            events = self.events.with_user(self.users[role]).with_context(**context)
            if role not in READERS:
                with self.assertRaises(AccessError):
                    events.action_verify_trail()
                continue
            check = self.checks.browse(events.action_verify_trail()["res_id"])
            self.assertEqual((check.root_id, check.state), (run.id, "passed"))
            self.assertEqual((check.roots, check.events), (1, 1))
        context = self.sop.with_user(self.users["auditor"]).action_view_trail()
        events = self.events.with_user(self.users["auditor"])
        result = events.with_context(**context["context"]).action_verify_trail()
        self.assertEqual(self.checks.browse(result["res_id"]).root_id, self.sop.id)

    # === Reports ===

    def test_a_good_result_is_reported_as_well(self):
        self.run_job("ir_cron_audit_verify")
        message = self.messages()[0]
        check = self.checks.search([], limit=1)
        self.assertEqual(message.subject, "The audit trail passed its verification")
        self.assertIn(f"{check.events} events", message.body)
        self.assertIn("findings: 0", message.body)
        self.assertIn("No anchor was ever taken", message.body)
        self.assertIn("has no key", message.body)
        self.assertIn(f"/odoo/qms-audit-checks/{check.id}", message.body)

    def test_what_takes_long_is_gone_on_with(self):
        with patch.object(qms_audit_check, "_PATIENCE", 1e-9):
            action = self.checks.with_user(self.users["auditor"]).action_verify()
        check = self.checks.browse(action["res_id"])
        self.assertEqual(check.state, "running")
        self.assertLess(check.progress, 100)
        self.run_job("ir_cron_audit_verify")
        self.assertEqual((check.state, check.progress), ("passed", 100))
        self.assertEqual(self.checks.search([], limit=1), check, "no other one")
        self.assertIn("passed", self.messages()[0].subject)

    # === Anchors elsewhere ===

    def test_anchor_by_mail(self):
        self.env["ir.config_parameter"].set_param(
            "qms_sop.audit_anchor_addresses", "a@example.com, b@example.com"
        )
        with self.key():
            run = self.start_run()
            self.run_job("ir_cron_audit_anchor")
            anchor = self.env["qms.audit.anchor"].search([], limit=1)
            self.assertEqual(self.page().sent_to, "a@example.com, b@example.com")
            mail = self.env["mail.mail"].search(
                [("email_to", "=", "a@example.com, b@example.com")]
            )
            self.assertEqual(len(mail), 1)
            self.assertIn(anchor.hash[:16], mail.subject)
            self.assertIn(anchor.hash, mail.body_html)
            # What was sent stands for itself.
            lines = mail.attachment_ids.raw.decode().splitlines()
            found = []
            reader = audit_chain.Anchors(self.events._keys(), found.append)
            heads = {
                (model, root_id): (sequence, text)
                for what, _number, value in reader.parse(lines)
                if what == "heads"
                for model, root_id, sequence, text in value
            }
            self.assertEqual((found, reader.last_hash), ([], anchor.hash))
            event = self.trail(run)
            self.assertEqual(heads["qms.sop.run", run.id], (1, event.hash))

    def test_anchor_too_large_for_a_mail(self):
        self.env["ir.config_parameter"].set_param(
            "qms_sop.audit_anchor_addresses", "a@example.com"
        )
        with patch("odoo.addons.qms_sop.models.audit.qms_audit_anchor.ATTACHED", 10):
            self.env["qms.audit.anchor"].sudo()._take()[0]._send_out()
        mail = self.env["mail.mail"].search([("email_to", "=", "a@example.com")])
        self.assertFalse(mail.attachment_ids)
        self.assertIn("too large for a mail", mail.body_html)

    def test_channels_that_subscribe(self):
        templates = self.env["qms.notification.template"]
        channel = self.env["qms.notification.channel"].create(
            {
                "name": "Notary",
                "new_url": "slack://TokenAAAA/TokenBBBBB/TokenCCCCCCCCCCCCCCCCCCCC/#qa",
                "template_ids": templates.search(
                    [("code", "in", ("audit_anchor", "audit_verification"))]
                ).ids,
            }
        )
        self.run_job("ir_cron_audit_anchor")
        self.run_job("ir_cron_audit_verify")
        anchor = self.env["qms.audit.anchor"].search([], limit=1)
        check = self.checks.search([], limit=1)
        told = self.env["qms.notification"].search([("channel_id", "=", channel.id)])
        bodies = dict(zip(told.mapped("event"), told.mapped("body"), strict=True))
        self.assertEqual(set(bodies), {"audit_anchor", "audit_verification"})
        self.assertIn(anchor.hash, bodies["audit_anchor"])
        self.assertIn(str(check.events), bodies["audit_verification"])
        self.assertIn("Passed", bodies["audit_verification"])
        self.assertEqual(self.page().sent_to, "Notary")

    def test_no_mail_without_an_address(self):
        before = self.env["mail.mail"].search_count([])
        self.run_job("ir_cron_audit_anchor")
        self.assertEqual(self.env["mail.mail"].search_count([]), before)

    def test_addresses_are_checked(self):
        settings = self.env["res.config.settings"]
        settings.create({"qms_anchor_addresses": "a@example.com,b@example.com"})
        for text in ("nobody", "a@example.com, x", "a@example.com b@example.com"):
            with self.assertRaisesRegex(ValidationError, "is no mail address"):
                settings.create({"qms_anchor_addresses": text})

    def test_an_anchor_that_fails_is_told(self):
        with (
            patch.dict("os.environ", {"QMS_AUDIT_ANCHOR_FILE": "/proc/none/a"}),
            mute_logger("odoo.addons.qms_sop.models.audit.qms_audit_anchor"),
        ):
            self.run_job("ir_cron_audit_anchor")
        self.assertIn("could not be anchored", self.messages()[0].subject)
        self.assertIn("/proc/none/a", self.messages()[0].body)
