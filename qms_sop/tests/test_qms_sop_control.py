import io
from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import (
    Form,
    HttpCase,
    TransactionCase,
    freeze_time,
    new_test_user,
    tagged,
)
from odoo.tools.pdf import PdfReader

from ..models.document.qms_sop_document import FOUR_EYES, REVIEW_ACTIVITY
from ..models.document.qms_sop_document_acknowledgement import READ_ACTIVITY
from ..models.document.qms_sop_document_review import PERIODIC_ACTIVITY
from ..tools.revisions import align, compare_words
from .common import GROUPS, QmsSopCommon


class ControlCase(QmsSopCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second_manager = new_test_user(
            cls.env, login="qms_manager_2", groups=GROUPS["manager"]
        )
        cls.second_operator = new_test_user(
            cls.env, login="qms_operator_2", groups=GROUPS["operator"]
        )
        cls.readers = cls.env["res.groups"].create(
            {
                "name": "On call",
                "user_ids": [Command.set((cls.operator | cls.second_operator).ids)],
            }
        )

    def activities(self, document, kind, active_test=True):
        return (
            self.env["mail.activity"]
            .with_context(active_test=active_test)
            .search(
                [
                    ("res_model", "=", document._name),
                    ("res_id", "in", document.ids),
                    ("activity_type_id", "=", self.env.ref(kind).id),
                ]
            )
        )

    def run_cron(self, xml_id):
        with self.enter_registry_test_mode():
            self.env.ref(xml_id).method_direct_trigger()


@tagged("post_install", "-at_install")
class TestReview(ControlCase):
    """Review and approval by a second person."""

    def test_reviewers_are_asked_and_done_with_the_decision(self):
        draft = self.draft_sop("SOP-REVIEW-001", reviewer_ids=self.manager.ids)
        draft.action_submit()
        asked = self.activities(draft, REVIEW_ACTIVITY)
        self.assertEqual(asked.user_id, self.manager)
        draft.with_user(self.manager).reject("Step 2 is unclear.")
        self.assertFalse(self.activities(draft, REVIEW_ACTIVITY))
        self.assertIn("Step 2 is unclear.", "".join(draft.message_ids.mapped("body")))
        draft.action_submit()
        self.assertEqual(len(self.activities(draft, REVIEW_ACTIVITY)), 1)
        draft.with_user(self.manager).action_approve()
        self.assertFalse(self.activities(draft, REVIEW_ACTIVITY))

    def test_approval_waits_for_every_named_reviewer(self):
        reader = new_test_user(self.env, "qms_reader", GROUPS["author"], name="Rita")
        people = reader | self.manager
        draft = self.draft_sop("SOP-REVIEW-010", reviewer_ids=people.ids)
        draft.action_submit()
        self.assertEqual(draft.pending_reviewer_ids, people)
        approver = draft.with_user(self.second_manager)
        with self.assertRaisesRegex(UserError, "waits for the review by .*Rita"):
            approver.action_approve()
        with self.assertRaisesRegex(UserError, "waits for the review"):
            approver.write({"state": "approved"})

        answer = draft.with_user(reader).record_review("Read it twice.")
        self.assertEqual(
            answer, {"id": draft.id, "pending": self.manager.mapped("name")}
        )
        self.assertEqual(draft.reviewed_by_ids, reader)
        self.assertEqual(draft.pending_reviewer_ids, self.manager)
        self.assertFalse(draft.with_user(reader).awaits_my_review)
        self.assertEqual(self.activities(draft, REVIEW_ACTIVITY).user_id, self.manager)
        self.assertIn("Read it twice.", "".join(draft.message_ids.mapped("body")))
        # Saying it twice is saying it once.
        messages = len(draft.message_ids)
        draft.with_user(reader).action_record_review()
        self.assertEqual(len(draft.message_ids), messages)
        with self.assertRaisesRegex(UserError, "waits for the review"):
            approver.action_approve()
        # The manager's approval is the manager's review.
        draft.with_user(self.manager).action_approve()
        self.assertEqual(draft.reviewed_by_ids, people)
        self.assertFalse(draft.pending_reviewer_ids)

    def test_a_reviewer_sends_back_and_is_asked_again(self):
        reader = new_test_user(self.env, "qms_reader", GROUPS["author"])
        draft = self.draft_sop("SOP-REVIEW-011", reviewer_ids=reader.ids)
        draft.action_submit()
        draft.with_user(reader).record_review()
        with self.assertRaisesRegex(AccessError, "QMS manager"):
            draft.with_user(self.author).reject("I changed my mind.")
        draft.with_user(reader).reject("Now I see a mistake.")
        self.assertEqual(draft.state, "draft")
        with self.assertRaisesRegex(UserError, "only a revision in review"):
            draft.with_user(reader).record_review()
        draft.action_submit()
        self.assertEqual(draft.pending_reviewer_ids, reader)

    def test_who_reviews(self):
        draft = self.draft_sop("SOP-REVIEW-012", reviewer_ids=self.manager.ids)
        draft.action_submit()
        for user in (self.author, self.second_manager, self.operator):
            with self.assertRaisesRegex(AccessError, "its reviewers are"):
                draft.with_user(user).record_review()
        with self.assertRaisesRegex(UserError, "reviewed_by_ids"):
            draft.with_user(self.manager).reviewed_by_ids = self.second_manager
        other = self.draft_sop("SOP-REVIEW-013", reviewer_ids=self.operator.ids)
        with self.assertRaisesRegex(UserError, "rights of an author"):
            other.action_submit()

    def test_managers_name_others_during_a_review(self):
        reader = new_test_user(self.env, "qms_reader", GROUPS["author"])
        draft = self.draft_sop("SOP-REVIEW-014", reviewer_ids=reader.ids)
        draft.action_submit()
        with self.assertRaises(AccessError):
            draft.reviewer_ids = self.manager
        manager = draft.with_user(self.second_manager)
        refused = self.assertRaisesRegex(UserError, "cannot review it")
        with refused, self.env.cr.savepoint():
            manager.reviewer_ids = self.author
        manager.reviewer_ids = self.manager
        self.assertEqual(self.activities(draft, REVIEW_ACTIVITY).user_id, self.manager)
        manager.reviewer_ids = False
        self.assertFalse(self.activities(draft, REVIEW_ACTIVITY))
        manager.action_approve()
        self.assertTrue(draft.effective)

    def test_one_command_is_called_a_command(self):
        labels = {}
        for count in (1, 2):
            draft = self.draft_sop(f"SOP-LABEL-00{count}")
            look, mend, _tidy = draft.step_ids
            look.command_ids = [Command.create({"name": "a", "command": "old"})]
            look.choice_ids = [Command.create({"name": "old", "next_step_id": mend.id})]
            self.approve(draft)
            new = draft.copy()
            look, _mend, tidy = new.step_ids.sorted()
            look.command_ids.command = "new"
            look.choice_ids.name = "new"
            if count == 2:
                look.command_ids = [Command.create({"name": "b", "command": "x"})]
                look.choice_ids = [
                    Command.create({"name": "b", "next_step_id": tidy.id})
                ]
            labels[count] = {
                field["label"]
                for block in new._compare(draft)
                for row in block["rows"]
                for field in row["fields"]
                if field["name"] in ("command_ids", "choice_ids")
            }
        self.assertEqual(labels[1], {"Command", "Choice"})
        self.assertEqual(labels[2], {"Commands", "Choices"})

    def test_readers_comment(self):
        document = self.sop.with_user(self.operator)
        document.message_post(body="Step 2 needs a restart, too.")
        self.assertIn("restart", self.sop.message_ids[0].body)
        with self.assertRaises(AccessError):
            document.purpose = "Mine"

    def test_nobody_reviews_what_he_wrote(self):
        draft = self.draft_sop("SOP-REVIEW-002", reviewer_ids=self.author.ids)
        with self.assertRaisesRegex(UserError, "cannot review it"):
            draft.action_submit()

    def test_whoever_changed_it_does_not_approve(self):
        changes = {
            "head": lambda sop: sop.write({"purpose": "Mine."}),
            "step": lambda sop: sop.step_ids[0].write({"name": "Mine"}),
            "new step": lambda sop: sop.step_ids.create(
                {"document_id": sop.id, "name": "Mine"}
            ),
            "removed step": lambda sop: sop.step_ids[0].unlink(),
            "command": lambda sop: sop.env["qms.sop.step.command"].create(
                {"step_id": sop.step_ids[0].id, "name": "x", "command": "true"}
            ),
            "created": None,
        }
        for number, (name, change) in enumerate(changes.items()):
            with self.subTest(name):
                code = f"SOP-CHANGED-{number}"
                if change:
                    draft = self.draft_sop(code)
                    change(draft.with_user(self.manager))
                else:
                    draft = self.draft_sop(code).with_user(self.manager).copy()
                # Giving the authorship away does not help.
                draft.with_user(self.manager).author_id = self.author
                draft.action_submit()
                with self.assertRaisesRegex(UserError, "cannot approve it"):
                    draft.with_user(self.manager).action_approve()
                draft.with_user(self.second_manager).action_approve()

    def test_arranging_is_not_authoring(self):
        draft = self.draft_sop("SOP-ARRANGE-001")
        draft.with_user(self.manager).write(
            {"reviewer_ids": self.manager.ids, "review_interval": 6}
        )
        self.approve(draft)
        self.assertEqual(draft.state, "approved")

    def test_four_eyes_can_be_switched_off(self):
        settings = self.env["res.config.settings"]
        self.assertTrue(settings.create({}).qms_four_eyes, "on by default")
        draft = self.draft_sop("SOP-ALONE-001").with_user(self.manager)
        draft.author_id = self.manager
        draft.action_submit()
        with self.assertRaisesRegex(UserError, "cannot approve it"):
            draft.action_approve()
        settings.create({"qms_four_eyes": False}).execute()
        self.assertFalse(settings.create({}).qms_four_eyes)
        draft.action_approve()
        self.assertTrue(draft.effective)
        # A parameter that somebody deleted means the safe thing.
        self.env["ir.config_parameter"].search([("key", "=", FOUR_EYES)]).unlink()
        self.assertTrue(draft._four_eyes())

    def test_settings_refuse_nonsense(self):
        with self.assertRaisesRegex(ValidationError, "1 to 365 days"):
            self.env["res.config.settings"].create({"qms_review_notice_days": 0})

    def test_contributors_are_not_for_clients_to_say(self):
        draft = self.draft_sop("SOP-FORGE-003")
        for values in (
            {"contributor_ids": [Command.clear()]},
            {"content_hash": "0" * 64},
            {"last_reviewed_by_id": self.manager.id},
            {"last_reviewed_on": "2020-01-01"},
        ):
            with (
                self.subTest(values),
                self.assertRaisesRegex(UserError, "the system writes it"),
            ):
                draft.with_user(self.manager).write(values)

    def test_fingerprint_is_of_the_content(self):
        first = self.draft_sop("SOP-HASH-001")
        before = first._content_hash()
        first.write({"responsible_id": self.manager.id, "review_interval": 3})
        self.assertEqual(first._content_hash(), before, "not about the content")
        first.step_ids[0].objective = "Another"
        after = first._content_hash()
        self.assertNotEqual(after, before)
        command = self.env["qms.sop.step.command"].create(
            {"step_id": first.step_ids[0].id, "name": "x", "command": "true"}
        )
        self.assertNotEqual(first._content_hash(), after)
        command.unlink()
        self.assertEqual(first._content_hash(), after)
        self.approve(first)
        self.assertEqual(first.content_hash, after)
        copy = first.with_user(self.author)._new_revision("patch")
        self.assertFalse(copy.content_hash)
        self.assertEqual(
            copy._content_hash(("version", "change_summary", "effective_date")),
            first._content_hash(("version", "change_summary", "effective_date")),
        )


@tagged("post_install", "-at_install")
class TestImmutable(ControlCase):
    """Approved content does not change, whatever the channel."""

    def setUp(self):
        super().setUp()
        self.code = self.env.ref("qms_error_code.error_code_db_deadlock")
        other = self.approved_sop("SOP-OTHER-001")
        self.fixed = self.approved_sop(
            "SOP-FIXED-001",
            error_code_ids=self.code.ids,
            related_ids=other.ids,
            change_summary="First.",
        )
        self.other = other

    def test_form(self):
        with (
            self.assertRaisesRegex(UserError, "can no longer be changed"),
            Form(
                self.fixed.with_user(self.manager), "qms_sop.qms_sop_document_view_form"
            ) as form,
        ):
            # The form shows the field as read-only; a client can send it anyway.
            form._view["modifiers"]["name"]["readonly"] = "False"
            form.name = "Another"

    def test_import(self):
        xml_id = self.fixed._export_rows([["id"]])[0][0]
        result = (
            self.env["qms.sop.document"]
            .with_user(self.manager)
            .load(["id", "purpose"], [[xml_id, "Another."]])
        )
        self.assertFalse(result["ids"])
        self.assertIn("can no longer be changed", result["messages"][0]["message"])
        step = self.fixed.step_ids[0]
        step_id = step._export_rows([["id"]])[0][0]
        result = step.with_user(self.manager).load(["id", "name"], [[step_id, "x"]])
        self.assertFalse(result["ids"])
        self.assertEqual(step.name, "Look")

    def test_write_on_every_content_field(self):
        values = {
            "code": "SOP-X-001",
            "version": "9.9.9",
            "owner": "x",
            "classification": "x",
            "effective_date": "2030-01-01",
            "change_summary": "x",
            "author_id": self.manager.id,
            "company_id": self.env.company.id,
            "error_code_ids": [Command.clear()],
            "related_ids": [Command.clear()],
            "trigger_ids": [Command.create({"name": "x"})],
            "prerequisite_ids": [Command.create({"name": "x"})],
        }
        for name, value in values.items():
            with self.subTest(name), self.assertRaises(UserError):
                self.fixed.with_user(self.manager).write({name: value})
        with self.assertRaisesRegex(UserError, "when a revision is sent back"):
            self.fixed.with_user(self.manager).write({"rejection_reason": "x"})

    def test_from_the_other_side_of_a_link(self):
        draft = self.draft_sop("SOP-SIDE-001")
        draft.write({"related_from_ids": [Command.link(self.fixed.id)]})
        self.code.with_user(self.author).write({"sop_ids": [Command.clear()]})
        self.env.invalidate_all()
        self.assertEqual(self.fixed.related_ids, self.other)
        self.assertEqual(self.fixed.error_code_ids, self.code)

    def test_links_lead_both_ways(self):
        self.assertEqual(self.other.related_from_ids, self.fixed)
        self.assertIn(self.fixed, self.code.sop_ids)
        draft = self.other.with_user(self.author)._new_revision("minor")
        self.approve(draft)
        self.assertEqual(self.fixed.related_effective_ids, draft, "as it is now")
        self.assertEqual(draft.related_from_ids, self.fixed)

    def test_stewardship_is_for_managers(self):
        values = {
            "responsible_id": self.author.id,
            "review_interval": 3,
            "review_date": "2030-01-01",
            "acknowledge_group_id": self.readers.id,
        }
        for name, value in values.items():
            with self.subTest(name), self.assertRaisesRegex(AccessError, "QMS manager"):
                self.fixed.with_user(self.author).write({name: value})
        self.fixed.with_user(self.manager).write(values)
        self.assertEqual(self.fixed.acknowledge_group_id, self.readers)

    def test_superseded_is_not_run(self):
        draft = self.fixed.with_user(self.author)._new_revision("minor")
        self.approve(draft)
        runs = self.env["qms.sop.run"].with_user(self.operator)
        with self.assertRaisesRegex(ValidationError, "only on approved revisions"):
            runs.create({"sop_id": self.fixed.id})
        started = runs.browse(runs.start_run("SOP-FIXED-001")["id"])
        self.assertEqual(started.sop_id, draft)

    def test_older_version_does_not_replace_a_newer_one(self):
        old = self.fixed.with_user(self.author)._new_revision("patch")
        new = self.fixed.with_user(self.author)._new_revision("major")
        old.action_submit()
        self.approve(new)
        with self.assertRaisesRegex(UserError, "older than the effective revision"):
            old.with_user(self.manager).action_approve()
        self.assertEqual((new.state, self.fixed.state), ("approved", "superseded"))


@tagged("post_install", "-at_install")
class TestRevisions(ControlCase):
    """Making a revision, and seeing what it changed."""

    def _wizard(self, **values):
        return (
            self.env["qms.sop.revise"]
            .with_user(self.author)
            .create({"document_id": self.sop.id, "change_summary": "Why.", **values})
        )

    def test_wizard(self):
        for part, version in (
            ("patch", "1.0.1"),
            ("minor", "1.1.0"),
            ("major", "2.0.0"),
        ):
            wizard = self._wizard(part=part)
            self.assertEqual(wizard.version, version)
        draft = self.env["qms.sop.document"].browse(wizard.action_create()["res_id"])
        self.assertRecordValues(
            draft,
            [
                {
                    "version": "2.0.0",
                    "previous_id": self.sop.id,
                    "change_summary": "Why.",
                    "author_id": self.author.id,
                    "state": "draft",
                }
            ],
        )
        self.assertEqual(
            draft.step_ids.mapped("name"), self.sop.step_ids.mapped("name")
        )
        self.assertEqual(self._wizard().pending_ids, draft)

    def test_only_of_what_was_approved(self):
        draft = self.draft_sop("SOP-REV-001")
        with self.assertRaisesRegex(UserError, "change it, rather than a copy"):
            draft.new_revision("minor")
        with self.assertRaisesRegex(ValidationError, "major, minor, patch"):
            self.sop.with_user(self.author).new_revision("huge")
        with self.assertRaises(AccessError):
            self.sop.with_user(self.operator).new_revision("minor")

    def test_shipped_sop_can_be_revised(self):
        sop = self.env["qms.sop.document"]._effective("SOP-TRIAGE-001")
        draft = sop.with_user(self.author)._new_revision("minor", "Why.")
        self.assertEqual(draft.step_count, sop.step_count)
        self.assertEqual(len(draft.step_ids.choice_ids), len(sop.step_ids.choice_ids))
        self.assertEqual(draft._compare(sop)[0]["rows"][0]["status"], "same")
        self.assertEqual(
            {row["status"] for block in draft._compare(sop) for row in block["rows"]},
            {"same"},
        )

    def test_list_of_revisions(self):
        draft = self.sop.with_user(self.author)._new_revision("minor")
        self.approve(draft)
        self.assertEqual(draft.revision_ids, draft | self.sop, "superseded ones, too")
        self.assertEqual(self.sop.revision_count, 2)
        action = draft.with_user(self.users["auditor"]).action_view_revisions()
        found = (
            self.env["qms.sop.document"]
            .with_context(active_test=False)
            .search(action["domain"])
        )
        self.assertEqual(found, draft | self.sop)

    def _revised(self):
        draft = self.sop.with_user(self.author)._new_revision("minor", "<i>Why</i>")
        look, mend, tidy = draft.step_ids.sorted()
        look.objective = "Find <script>alert(1)</script> the cause"
        mend.unlink()
        tidy.sequence = 1
        look.sequence = 5
        self.env["qms.sop.step"].with_user(self.author).create(
            {"document_id": draft.id, "name": "Tell people", "sequence": 9}
        )
        draft.invalidate_recordset(["step_ids"])
        return draft

    def test_comparison_names_what_changed(self):
        draft = self._revised()
        rows = draft._compare(self.sop)[-1]["rows"]
        told = {
            (row["new_title"] or row["old_title"]).split(". ")[1]: (
                row["status"],
                row["moved"],
            )
            for row in rows
        }
        self.assertEqual(told["Tell people"], ("added", False))
        self.assertEqual(told["Mend"], ("removed", False))
        self.assertEqual(told["Look"][0], "changed")
        self.assertEqual(told["Tidy up"][0], "same")
        self.assertEqual(sum(moved for _status, moved in told.values()), 1)

    def test_comparison_is_escaped_and_for_everybody(self):
        draft = self._revised()
        for role in ("operator", "author", "manager", "auditor"):
            with self.subTest(role):
                action = draft.with_user(self.users[role]).action_compare()
                page = self.env[action["res_model"]].browse(action["res_id"])
                self.assertEqual((page.old_id, page.new_id), (self.sop, draft))
                body = page.with_user(self.users[role]).body
                self.assertNotIn("<script", body)
                self.assertIn("&lt;script&gt;", body)
                self.assertIn("&lt;i&gt;Why", body)
                self.assertIn("<ins class='o_qms_come'>", body)
        with self.assertRaises(AccessError):
            draft.with_user(self.env.ref("base.public_user")).action_compare()

    def test_comparison_the_other_way_round(self):
        draft = self._revised()
        page = self.env["qms.sop.comparison"].create(
            {"old_id": self.sop.id, "new_id": draft.id}
        )
        self.assertIn("+ added", page.body)
        page.action_swap()
        self.assertEqual((page.old_id, page.new_id), (draft, self.sop))
        same = self.env["qms.sop.comparison"].create(
            {"old_id": self.sop.id, "new_id": self.sop.id}
        )
        self.assertIn("Choose another revision", same.body)

    def test_what_changed_since_the_last_run(self):
        runs = self.env["qms.sop.run"].with_user(self.operator)
        first = self.work(self.start_run())
        first.complete("Done.")
        again = self.start_run()
        self.assertFalse(again.changed_since_id, "the same revision")
        draft = self.sop.with_user(self.author)._new_revision("minor")
        self.approve(draft)
        later = runs.browse(runs.start_run("SOP-TEST-001")["id"])
        self.assertEqual(later.changed_since_id, self.sop)
        other = later.with_user(self.second_operator)
        self.assertFalse(other.changed_since_id, "never ran it")
        page = self.env["qms.sop.comparison"].browse(
            later.action_view_changes()["res_id"]
        )
        self.assertEqual((page.old_id, page.new_id), (self.sop, draft))


class TestDifferences(TransactionCase):
    """The comparison of texts and lists, without records."""

    def test_words(self):
        old, new = compare_words(
            "run it\nwith --tail 500 now\n", "run it\nwith --tail 1000 now\n"
        )
        self.assertEqual([text for changed, text in old if changed], ["500"])
        self.assertEqual([text for changed, text in new if changed], ["1000"])

    def test_nothing_is_lost(self):
        pairs = [
            ("", "a b"),
            ("a b", ""),
            ("one two three", "three two one"),
            ("x\n\ny", "x\ny\n"),
            ("same", "same"),
            ("word " * 3000, "other " * 3000),
        ]
        for old, new in pairs:
            with self.subTest(old=old[:20]):
                before, after = compare_words(old, new)
                self.assertEqual("".join(text for _changed, text in before), old)
                self.assertEqual("".join(text for _changed, text in after), new)

    def test_alignment(self):
        def parts(*names):
            return [(name, f"{name} {name}") for name in names]

        def told(old, new):
            return [
                (
                    old[i][0] if i is not None else None,
                    new[j][0] if j is not None else None,
                    moved,
                )
                for i, j, moved in align(old, new)
            ]

        self.assertEqual(
            told(parts("a", "b", "c"), parts("a", "c", "d")),
            [
                ("a", "a", False),
                ("b", None, False),
                ("c", "c", False),
                (None, "d", False),
            ],
        )
        moved = told(parts("a", "b", "c"), parts("c", "a", "b"))
        self.assertEqual([row for row in moved if row[2]], [("c", "c", True)])
        renamed = told(
            [("Check the log", "Open the log of the service and look for errors")],
            [("Read the log", "Open the log of the service and look for errors")],
        )
        self.assertEqual(renamed, [("Check the log", "Read the log", False)])
        many = parts(*(f"step {number}" for number in range(2000)))
        self.assertEqual(len(align(many, many[1:])), 2000)


@tagged("post_install", "-at_install")
class TestReviewCycle(ControlCase):
    """Every SOP is looked at again, in time."""

    def test_date_follows_from_approval(self):
        draft = self.draft_sop(
            "SOP-CYCLE-001", review_interval=6, effective_date="2026-01-31"
        )
        self.approve(draft)
        self.assertEqual(str(draft.review_date), "2026-07-31")
        never = self.approved_sop("SOP-CYCLE-002", review_interval=0)
        self.assertFalse(never.review_date)

    def test_announced_once_and_in_time(self):
        self.sop.sudo().with_user(self.manager).responsible_id = self.author
        cron = "qms_sop.ir_cron_announce_reviews"
        due = self.sop.review_date
        with freeze_time(due - timedelta(days=31)):
            self.run_cron(cron)
            self.assertFalse(self.activities(self.sop, PERIODIC_ACTIVITY))
        with freeze_time(due - timedelta(days=30)):
            self.run_cron(cron)
        asked = self.activities(self.sop, PERIODIC_ACTIVITY)
        self.assertEqual((asked.user_id, asked.date_deadline), (self.author, due))
        with freeze_time(due - timedelta(days=29)):
            self.run_cron(cron)
            self.assertEqual(self.activities(self.sop, PERIODIC_ACTIVITY), asked)
            asked.action_feedback(feedback="Later.")
            self.run_cron(cron)
        self.assertEqual(
            self.activities(self.sop, PERIODIC_ACTIVITY, active_test=False), asked
        )

    def test_somebody_is_asked_when_the_responsible_has_left(self):
        self.sop.with_user(self.manager).responsible_id = self.author
        self.author.active = False
        with freeze_time(self.sop.review_date):
            self.run_cron("qms_sop.ir_cron_announce_reviews")
        self.assertEqual(
            self.activities(self.sop, PERIODIC_ACTIVITY).user_id, self.manager
        )
        nobody = self.env.ref("qms_sop.sop_triage_001")
        with freeze_time(nobody.review_date):
            self.run_cron("qms_sop.ir_cron_announce_reviews")
        asked = self.activities(nobody, PERIODIC_ACTIVITY).user_id
        self.assertTrue(asked.has_group("qms_error_code.group_qms_manager"))

    def test_notice_is_a_setting(self):
        self.env["res.config.settings"].create({"qms_review_notice_days": 90}).execute()
        with freeze_time(self.sop.review_date - timedelta(days=89)):
            self.run_cron("qms_sop.ir_cron_announce_reviews")
        self.assertTrue(self.activities(self.sop, PERIODIC_ACTIVITY))

    def test_overdue(self):
        search = self.env["qms.sop.document"].search
        self.assertNotIn(self.sop, search([("review_overdue", "=", True)]))
        with freeze_time(self.sop.review_date + timedelta(days=1)):
            self.sop.invalidate_recordset(["review_overdue"])
            self.assertTrue(self.sop.review_overdue)
            self.assertIn(self.sop, search([("review_overdue", "=", True)]))
            self.assertNotIn(self.sop, search([("review_overdue", "=", False)]))
        draft = self.draft_sop("SOP-CYCLE-003", review_date="2020-01-01")
        self.assertNotIn(draft, search([("review_overdue", "=", True)]))

    def test_reviewed_no_change(self):
        self.sop.with_user(self.manager).responsible_id = self.author
        with freeze_time(self.sop.review_date + timedelta(days=3)):
            self.run_cron("qms_sop.ir_cron_announce_reviews")
            today = fields.Date.today()
            answer = self.sop.with_user(self.author).confirm_review("Still right.")
            expected = today + relativedelta(months=12)
            self.assertEqual(answer, {"id": self.sop.id, "review_date": str(expected)})
        self.assertRecordValues(
            self.sop,
            [{"last_reviewed_by_id": self.author.id, "review_date": expected}],
        )
        self.assertIn("Still right.", "".join(self.sop.message_ids.mapped("body")))
        self.assertFalse(self.activities(self.sop, PERIODIC_ACTIVITY))

    def test_who_confirms_a_review(self):
        with self.assertRaisesRegex(AccessError, "responsible for it"):
            self.approved_sop(
                "SOP-CYCLE-004", responsible_id=self.manager.id
            ).with_user(self.author).confirm_review("Fine.")
        for role in ("operator", "auditor", "automation"):
            with self.subTest(role), self.assertRaises(AccessError):
                self.sop.with_user(self.users[role]).confirm_review("Fine.")
        with self.assertRaisesRegex(UserError, "why nothing has to change"):
            self.sop.with_user(self.manager).confirm_review(" ")
        with self.assertRaisesRegex(UserError, "only an effective revision"):
            self.draft_sop("SOP-CYCLE-005").with_user(self.manager).confirm_review("x")

    def test_wizard(self):
        self.env["qms.sop.reason"].with_user(self.manager).create(
            {"operation": "review", "document_id": self.sop.id, "reason": "Fine."}
        ).action_confirm()
        self.assertEqual(self.sop.last_reviewed_by_id, self.manager)


@tagged("post_install", "-at_install")
class TestAcknowledgement(ControlCase):
    """Read and understood."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.read_me = cls.approved_sop(
            "SOP-READ-001", acknowledge_group_id=cls.readers.id
        )

    def _start(self, user):
        runs = self.env["qms.sop.run"].with_user(user)
        return runs.browse(runs.start_run("SOP-READ-001")["id"])

    def test_who_has_and_who_has_not(self):
        mine = self.read_me.with_user(self.operator)
        self.assertTrue(mine.to_read)
        self.assertEqual(mine.unread_user_ids, self.operator | self.second_operator)
        mine.action_acknowledge()
        self.assertFalse(mine.to_read)
        self.assertEqual(mine.unread_user_ids, self.second_operator)
        self.assertEqual(mine.acknowledgement_ids.user_id, self.operator)
        search = self.env["qms.sop.document"].with_user(self.operator).search
        self.assertFalse(search([("to_read", "=", True)]))
        self.assertIn(mine, search([("to_read", "=", False)]))
        theirs = self.env["qms.sop.document"].with_user(self.second_operator)
        self.assertEqual(theirs.search([("to_read", "=", True)]), self.read_me)

    def test_only_people_of_the_company_are_asked(self):
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        self.second_operator.write(
            {"company_ids": [Command.set(elsewhere.ids)], "company_id": elsewhere.id}
        )
        ours = self.approved_sop(
            "SOP-READ-003",
            acknowledge_group_id=self.readers.id,
            company_id=self.env.company.id,
        )
        self.assertEqual(ours.unread_user_ids, self.operator)
        self.assertIn(self.second_operator, self.read_me.unread_user_ids)

    def test_lists_open_for_those_who_follow_up(self):
        self.read_me.with_user(self.operator).acknowledge()
        for path in ("qms-acknowledgements", "qms-to-read"):
            action = self.env["ir.actions.act_window"].search([("path", "=", path)])
            for role in ("operator", "author", "manager", "auditor"):
                with self.subTest(path=path, role=role):
                    records = self.env[action.res_model].with_user(self.users[role])
                    records.get_views([(False, "list"), (False, "search")])
                    domain = [("to_read", "=", True)] if path == "qms-to-read" else []
                    found = records.search(domain)
                    self.assertEqual(bool(found), not domain, "has read everything")

    def test_refused(self):
        mine = self.read_me.with_user(self.operator)
        mine.acknowledge()
        with self.assertRaisesRegex(UserError, "already"):
            mine.acknowledge()
        for user in (self.author, self.users["auditor"]):
            with self.subTest(user.login), self.assertRaisesRegex(UserError, "not ask"):
                self.read_me.with_user(user).acknowledge()
        draft = self.draft_sop("SOP-READ-002", acknowledge_group_id=self.readers.id)
        with self.assertRaisesRegex(UserError, "only an effective revision"):
            draft.with_user(self.operator).acknowledge()

    def test_nobody_acknowledges_for_another(self):
        acknowledgements = self.env["qms.sop.acknowledgement"]
        values = {"document_id": self.read_me.id, "user_id": self.operator.id}
        mine = self.read_me.with_user(self.second_operator)
        mine.acknowledge()
        for user in self.users.values():
            own = acknowledgements.with_user(user)
            with self.subTest(user.login):
                with self.assertRaises(AccessError):
                    own.create(values)
                with self.assertRaises(AccessError):
                    mine.acknowledgement_ids.with_user(user).write({"user_id": user.id})
                with self.assertRaises(AccessError):
                    mine.acknowledgement_ids.with_user(user).unlink()

    def test_reminders(self):
        cron = "qms_sop.ir_cron_remind_readers"
        self.run_cron(cron)
        self.run_cron(cron)
        reminders = self.activities(self.read_me, READ_ACTIVITY)
        self.assertEqual(reminders.user_id, self.operator | self.second_operator)
        self.assertEqual(len(reminders), 2, "one open reminder each")
        self.read_me.with_user(self.operator).acknowledge()
        reminders = self.activities(self.read_me, READ_ACTIVITY)
        self.assertEqual(reminders.user_id, self.second_operator)
        # Put away without reading: asked again.
        reminders.unlink()
        self.run_cron(cron)
        self.assertEqual(len(self.activities(self.read_me, READ_ACTIVITY)), 1)
        self.approve(self.read_me.with_user(self.author)._new_revision("minor"))
        self.assertFalse(
            self.activities(self.read_me, READ_ACTIVITY), "not of what is superseded"
        )

    def test_a_new_revision_is_read_anew(self):
        self.read_me.with_user(self.operator).acknowledge()
        draft = self.read_me.with_user(self.author)._new_revision("minor")
        self.approve(draft)
        self.assertEqual(draft.acknowledge_group_id, self.readers)
        self.assertTrue(draft.with_user(self.operator).to_read)

    def test_run_opened_unread_is_visible(self):
        unread = self._start(self.operator)
        self.assertTrue(unread.opened_unread)
        self.read_me.with_user(self.operator).acknowledge()
        self.assertFalse(self._start(self.operator).opened_unread)
        self.assertTrue(unread.opened_unread, "what was stays")
        self.assertFalse(self._start(self.author).opened_unread, "was not asked")
        self.assertFalse(self.start_run().opened_unread)
        with self.assertRaisesRegex(UserError, "the system writes it"):
            unread.write({"opened_unread": False})


@tagged("post_install", "-at_install")
class TestSearch(ControlCase):
    def test_steps_and_commands(self):
        draft = self.draft_sop("SOP-FIND-001")
        draft.step_ids[0].instructions = "Mind the quokka."
        self.env["qms.sop.step.command"].create(
            {"step_id": draft.step_ids[1].id, "name": "x", "command": "numbatctl -v"}
        )
        arch = self.env["qms.sop.document"].get_view(view_type="search")["arch"]
        for words in ("quokka", "numbatctl", "Tidy up"):
            with self.subTest(words):
                self.assertIn("step_ids.command_ids.command", arch)
                found = self.env["qms.sop.document"].search(
                    [
                        "|",
                        "|",
                        ("step_ids.name", "ilike", words),
                        ("step_ids.instructions", "ilike", words),
                        ("step_ids.command_ids.command", "ilike", words),
                    ]
                )
                self.assertIn(draft, found)

    def test_trigram_indexes(self):
        if not self.env.registry.has_trigram:
            self.skipTest("this PostgreSQL has no pg_trgm")
        self.env.cr.execute(
            """SELECT indexdef FROM pg_indexes WHERE tablename IN
               ('qms_sop_step', 'qms_sop_step_command')"""
        )
        found = " ".join(row[0] for row in self.env.cr.fetchall() if "gin" in row[0])
        for column in ("name", "instructions", "command"):
            self.assertIn(column, found)


@tagged("post_install", "-at_install")
class TestPaper(ControlCase):
    """The PDF, made by the real wkhtmltopdf."""

    def _pdf(self, documents, report="qms_sop.report_sop_document", role="operator"):
        reports = self.env["ir.actions.report"].with_user(self.users[role])
        content, kind = reports.with_context(
            force_report_rendering=True
        )._render_qweb_pdf(report, documents.ids)
        self.assertEqual(kind, "pdf")
        return PdfReader(io.BytesIO(content))

    def _text(self, page):
        return " ".join(page.extract_text().split())

    def test_one(self):
        self.operator.name = "Omar Haddad"
        self.manager.name = "Mara Novak"
        pages = self._pdf(self.sop).pages
        first, last = self._text(pages[0]), self._text(pages[-1])
        for text in ("SOP-TEST-001", "1.0.0", "Test team", "Mara Novak"):
            self.assertIn(text, first)
        for page in pages:
            self.assertIn("SOP-TEST-001", self._text(page))
            self.assertIn("Uncontrolled when printed", self._text(page))
            self.assertIn("by Omar Haddad", self._text(page))
        self.assertIn("Revision history", last)
        self.assertIn(f"{len(pages)} / {len(pages)}", last)

    def test_paper_sizes(self):
        a4 = self._pdf(self.sop).pages[0].mediabox
        letter = self._pdf(self.sop, "qms_sop.report_sop_document_letter").pages[0]
        self.assertEqual((round(a4.width), round(a4.height)), (595, 842))
        self.assertEqual(
            (round(letter.mediabox.width), round(letter.mediabox.height)), (612, 792)
        )

    def test_several_at_once(self):
        other = self.draft_sop("SOP-PAPER-001", name="Ünïcode → check")
        text = "".join(self._text(page) for page in self._pdf(self.sop | other).pages)
        self.assertIn("SOP-TEST-001", text)
        self.assertIn("SOP-PAPER-001", text)
        self.assertIn("Ünïcode → check", text)
        self.assertIn("not approved", text)

    def test_times_and_reviewers_are_told(self):
        self.manager.name, self.second_manager.name = "Mara Novak", "Ned Olsen"
        draft = self.draft_sop(
            "SOP-PAPER-003", reviewer_ids=(self.manager | self.second_manager).ids
        )
        draft.step_ids[0].expected_duration = 7200
        draft.action_submit()
        draft.with_user(self.manager).record_review()
        text = "".join(self._text(page) for page in self._pdf(draft).pages)
        self.assertIn("5 days, plus steps", text)
        self.assertNotIn("7200", text)
        self.assertIn("Reviewed by Mara Novak (still to review: Ned Olsen)", text)

    def test_html_is_escaped(self):
        draft = self.draft_sop("SOP-PAPER-002", name="<script>alert(1)</script>")
        draft.purpose = "<img src=x onerror=alert(1)>"
        html = (
            self.env["ir.actions.report"]
            ._render_qweb_html("qms_sop.report_sop_document", draft.ids)[0]
            .decode()
        )
        for page in (html, draft.reading):
            self.assertNotIn("<script>alert", page)
            self.assertNotIn("<img src=x", page)

    def test_reading_holds_everything(self):
        sop = self.env["qms.sop.document"]._effective("SOP-TRIAGE-001")
        reading = sop.with_user(self.users["auditor"]).reading
        for step in sop.step_ids:
            self.assertIn(step.name, reading)
        self.assertIn("pg_stat_database", reading)


@tagged("post_install", "-at_install")
class TestControlTours(ControlCase, HttpCase):
    """The life of a revision, as each of those concerned sees it."""

    def test_from_revision_to_run(self):
        self.sop.with_user(self.manager).acknowledge_group_id = self.readers
        self.start_tour(
            f"/odoo/qms-sops/{self.sop.id}",
            "qms_sop_control_revise_tour",
            login="qms_author",
        )
        draft = self.sop.revision_ids - self.sop
        self.assertRecordValues(
            draft,
            [
                {
                    "version": "2.0.0",
                    "state": "in_review",
                    "change_summary": "Look twice",
                    "author_id": self.author.id,
                    "previous_id": self.sop.id,
                }
            ],
        )
        url = f"/odoo/qms-sops/{draft.id}"
        for tour, login in (
            ("reject", "qms_manager"),
            ("resubmit", "qms_author"),
            ("approve", "qms_manager_2"),
            ("run", "qms_operator"),
        ):
            self.start_tour(url, f"qms_sop_control_{tour}_tour", login=login)
        self.env.invalidate_all()
        self.assertRecordValues(
            draft | self.sop,
            [
                {
                    "state": "approved",
                    "approved_by_id": self.second_manager.id,
                    "purpose": "To be tested exactly twice.",
                },
                {
                    "state": "superseded",
                    "approved_by_id": self.manager.id,
                    "purpose": "To be tested.",
                },
            ],
        )
        self.assertEqual(draft.acknowledgement_ids.user_id, self.operator)
        self.assertEqual(draft.run_ids.mapped("opened_unread"), [False])
