import psycopg2

from odoo.exceptions import UserError
from odoo.fields import Command, Datetime
from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_audit_trail import AuditCommon


@tagged("post_install", "-at_install")
class TestPeerProbes(AuditCommon):
    """What other add-ons let through; those about actions and incidents stand there."""

    def test_author_approves_own_change(self):
        """Also one who is a manager, by the button, by RPC, and by writing."""
        both = self.manager
        draft = self.draft_sop("SOP-PROBE-001").with_user(both)
        draft.purpose = "Changed by whoever approves."
        draft.action_submit()
        for attempt in (
            draft.action_approve,
            lambda: draft.write({"state": "approved"}),
            lambda: draft.sudo().with_user(both).action_approve(),
            lambda: (
                self.env["qms.sop.document"]
                .with_user(both)
                .create({"code": "SOP-PROBE-002", "name": "x", "state": "approved"})
            ),
        ):
            with self.assertRaises(UserError), self.env.cr.savepoint():
                attempt()
        self.assertEqual(draft.state, "in_review")
        with self.assertRaises(UserError), self.env.cr.savepoint():
            draft.with_user(self.author).action_approve()

    def test_editor_rewrites_an_approved_revision(self):
        step = self.sop.step_ids[0]
        for user in (self.author, self.manager, self.env.ref("base.user_admin"), None):
            sop = self.sop.with_user(user) if user else self.sop.sudo()
            mine = step.with_env(sop.env)
            for attempt in (
                lambda sop=sop: sop.write({"purpose": "Another one"}),
                lambda sop=sop: sop.write(
                    {"step_ids": [Command.create({"name": "x"})]}
                ),
                lambda sop=sop: sop.write({"state": "draft"}),
                lambda mine=mine: mine.write({"instructions": "x"}),
                lambda mine=mine: mine.unlink(),
                lambda mine=mine: mine.copy(),
            ):
                with (
                    self.subTest(user=user and user.login),
                    self.assertRaises(UserError),
                    self.env.cr.savepoint(),
                ):
                    attempt()
        self.assertEqual(self.sop._content_hash(), self.sop.content_hash)

    def test_cancelled_revision_is_approved(self):
        """One that was retired, and one that was sent back."""
        retired = self.approved_sop("SOP-PROBE-003").with_user(self.manager)
        retired.action_obsolete()
        sent_back = self.draft_sop("SOP-PROBE-004")
        sent_back.action_submit()
        sent_back.with_user(self.manager).reject("Not good enough")
        for document in (retired, sent_back.with_user(self.manager)):
            for attempt in (
                document.action_approve,
                lambda document=document: document.write({"state": "approved"}),
                lambda document=document: document.sudo().write({"state": "approved"}),
            ):
                with (
                    self.subTest(document.state),
                    self.assertRaises(UserError),
                    self.env.cr.savepoint(),
                ):
                    attempt()

    def test_closed_case_is_edited(self):
        for close in (
            lambda run: self.work(run).complete("Mended."),
            lambda run: run.fail("It did not help"),
            lambda run: run.cancel("Not needed"),
        ):
            run = self.start_run()
            close(run)
            self.env.cr.flush()
            before = run.read(["state", "summary", "resolution", "end_time"])
            for user in (self.operator, self.manager, self.env.ref("base.user_admin")):
                mine = run.with_user(user)
                for attempt in (
                    lambda mine=mine: mine.write({"summary": "x"}),
                    lambda mine=mine: mine.write({"state": "in_progress"}),
                    lambda mine=mine: mine.update_run(resolution="x"),
                    lambda mine=mine: mine.log_error("x"),
                    lambda mine=mine: mine.step_ids[0].write({"actual_result": "x"}),
                    lambda mine=mine: mine.sudo().write({"end_time": Datetime.now()}),
                ):
                    with (
                        self.subTest(state=run.state, user=user.login),
                        self.assertRaises(UserError),
                        self.env.cr.savepoint(),
                    ):
                        attempt()
            self.env.invalidate_all()
            self.assertEqual(
                run.read(["state", "summary", "resolution", "end_time"]), before
            )

    def test_negative_duration(self):
        run = self.start_run()
        past = Datetime.subtract(run.start_time, days=3)
        for values in (
            {"state": "cancelled", "state_reason": "x", "end_time": past},
            {"resolution_time": -1},
        ):
            with self.assertRaises(UserError):
                with self.env.cr.savepoint():
                    run.write(values)
        self.assertFalse(run.duration, "blank as long as nobody knows")
        run.cancel("Not needed")
        self.assertGreaterEqual(run.duration, 0)
        # What somebody wrote past the checks is not told as a number.
        self.env.cr.execute(
            "UPDATE qms_sop_run SET end_time = %s WHERE id = %s", [past, run.id]
        )
        run.invalidate_recordset()
        run.modified(["end_time"])
        self.assertFalse(run.duration)

    def test_administrator_edits_an_audit_row(self):
        run = self.start_run()
        event = self.trail(run).with_user(self.env.ref("base.user_admin"))
        for mine in (event, event.sudo()):
            for attempt in (
                lambda mine=mine: mine.write({"user_id": self.author.id}),
                lambda mine=mine: mine.unlink(),
                lambda mine=mine: mine.copy(),
            ):
                with self.assertRaises(UserError):
                    attempt()
        for query in (
            "UPDATE qms_audit_event SET user_id = 1 WHERE id = %s",
            "DELETE FROM qms_audit_event WHERE id = %s",
        ):
            with (
                mute_logger("odoo.sql_db"),
                self.assertRaises(psycopg2.errors.InsufficientPrivilege),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(query, [event.id])
