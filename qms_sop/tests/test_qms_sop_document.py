from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import QmsSopCommon


@tagged("post_install", "-at_install")
class TestQmsSopDocument(QmsSopCommon):
    def test_shipped_sop(self):
        sop = self.env["qms.sop.document"]._effective("SOP-TRIAGE-001")
        self.assertEqual(sop.version, "1.0.0")
        self.assertEqual(sop.mapped("step_ids.number"), [1, 2, 3, 4, 5, 6])
        # The benchmark table of the SOP; "varies" and silence are 0.
        self.assertEqual(
            sop.mapped("step_ids.expected_duration"), [5, 10, 30, 0, 15, 0]
        )
        self.assertTrue(sop.trigger_ids and sop.prerequisite_ids)
        for step in sop.step_ids:
            with self.subTest(step=step.name):
                self.assertTrue(step.objective and step.instructions)
                self.assertTrue(step.expected_result)
        gather = sop.step_ids[1]
        self.assertEqual(
            set(gather.command_ids.category_id.mapped("code")),
            {"DEPLOYMENT", "DATABASE", "APPLICATION", "INFRASTRUCTURE"},
        )

    def test_life(self):
        document = self.draft_sop("SOP-LIFE-001")
        self.assertEqual(document.state, "draft")
        document.action_submit()
        document.with_user(self.manager).reject("The second step is unclear.")
        self.assertEqual(document.state, "draft")
        self.assertEqual(document.rejection_reason, "The second step is unclear.")
        document.step_ids[1].name = "Mend it with care"
        document.action_submit()
        self.assertFalse(document.rejection_reason)
        document.with_user(self.manager).action_approve()
        self.assertEqual(document.approved_by_id, self.manager)
        self.assertTrue(document.effective and document.effective_date)
        document.with_user(self.manager).action_obsolete()
        self.assertEqual((document.state, document.active), ("obsolete", False))

    def test_author_does_not_approve(self):
        document = self.draft_sop("SOP-EYES-001")
        document.with_user(self.manager).author_id = self.manager
        document.action_submit()
        with self.assertRaisesRegex(UserError, "its author .* cannot approve"):
            document.with_user(self.manager).write({"state": "approved"})

    def test_only_managers_decide(self):
        document = self.draft_sop("SOP-ROLE-001")
        document.action_submit()
        for values in (
            {"state": "approved"},
            {"state": "draft", "rejection_reason": "No."},
        ):
            with (
                self.subTest(values),
                self.assertRaisesRegex(AccessError, "Only a QMS manager"),
            ):
                document.write(values)

    def test_rejection_needs_a_reason(self):
        document = self.draft_sop("SOP-WHY-001")
        document.action_submit()
        with self.assertRaisesRegex(UserError, "rejection_reason"):
            document.with_user(self.manager).write({"state": "draft"})

    def test_review_needs_content(self):
        document = self.draft_sop("SOP-EMPTY-001", steps=(), purpose=" ", owner=False)
        with self.assertRaisesRegex(UserError, "purpose, owner, at least one step"):
            document.action_submit()

    def test_approved_is_immutable(self):
        sop = self.sop.with_user(self.author)
        changes = {
            "field": lambda: sop.write({"purpose": "Another."}),
            "step": lambda: sop.step_ids[0].write({"name": "Another"}),
            "new step": lambda: sop.write(
                {"step_ids": [Command.create({"name": "One more"})]}
            ),
            "removed step": lambda: sop.step_ids[0].unlink(),
            "command": lambda: self.env["qms.sop.step.command"].create(
                {"step_id": sop.step_ids[0].id, "name": "x", "command": "true"}
            ),
            "trigger": lambda: self.env["qms.sop.trigger"].create(
                {"document_id": sop.id, "name": "x"}
            ),
            "superuser": lambda: sop.sudo().write({"scope": "Another."}),
        }
        for name, change in changes.items():
            with (
                self.subTest(name),
                self.assertRaisesRegex(UserError, "can no longer be changed"),
            ):
                change()
        with self.assertRaisesRegex(UserError, "cannot be deleted"):
            sop.unlink()

    def test_step_cannot_move_into_approved(self):
        draft = self.draft_sop("SOP-MOVE-001")
        with self.assertRaisesRegex(UserError, "can no longer be changed"):
            draft.step_ids[0].document_id = self.sop

    def test_unknown_transitions(self):
        document = self.draft_sop("SOP-JUMP-001")
        with self.assertRaisesRegex(UserError, "cannot go from Draft"):
            document.with_user(self.manager).write({"state": "approved"})
        with self.assertRaisesRegex(ValidationError, "'published' is not a state"):
            document.write({"state": "published"})
        with self.assertRaisesRegex(UserError, "cannot be Approved"):
            self.draft_sop("SOP-JUMP-002", state="approved")

    def test_new_revision_supersedes(self):
        first = self.sop
        draft = self.env["qms.sop.document"].browse(
            first.with_user(self.author).action_new_revision()["res_id"]
        )
        self.assertEqual((draft.version, draft.revision), ("1.1.0", 2))
        self.assertEqual((draft.state, draft.previous_id), ("draft", first))
        self.assertEqual(draft.author_id, self.author)
        self.assertEqual(draft.step_ids.mapped("name"), first.step_ids.mapped("name"))
        search = self.env["qms.sop.document"].search
        by_code = [("code", "=", first.code)]
        self.assertEqual(search(by_code, limit=1), first, "the effective one first")
        self.approve(draft)
        self.assertEqual((first.state, first.active), ("superseded", False))
        self.assertEqual(search(by_code, limit=1), draft)

    def test_one_effective_revision_in_the_database(self):
        draft = self.sop.copy()
        with (
            self.assertRaises(IntegrityError),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.env.cr.execute(
                "UPDATE qms_sop_document SET state = 'approved' WHERE id = %s",
                [draft.id],
            )

    def test_codes_and_versions(self):
        for code in ("sop-1", "SOP 1", "SOP--1", ""):
            with self.subTest(code=code), self.assertRaises(ValidationError) as caught:
                self.draft_sop(code)
            self.assertIn("SOP-TRIAGE-001", str(caught.exception))
        with self.assertRaisesRegex(ValidationError, "SOP version 'one'"):
            self.draft_sop("SOP-VERSION-001", version="one")

    def test_instructions_are_sanitised(self):
        draft = self.draft_sop("SOP-HTML-001")
        step = draft.step_ids[0]
        step.instructions = (
            "**Bold** <script>alert(1)</script> [x](javascript:alert(1))"
        )
        self.assertIn("<strong>Bold</strong>", step.instructions_html)
        self.assertNotIn("<script", step.instructions_html)
        self.assertNotIn('href="javascript', step.instructions_html)
