from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from .test_retention import REASON, RetentionCommon


@tagged("post_install", "-at_install")
class TestActionRetention(RetentionCommon):
    def test_an_action_is_purged_before_its_run(self):
        self.make_rule("qms.action", 10)
        run = self.old_run()
        actions = self.env["qms.action"].with_user(self.manager)
        with self.in_the_past():
            old, late = (
                actions.browse(actions.create_action(title, run_id=run.id)["id"])
                for title in ("Rotate the logs", "Watch the disk")
            )
            for action in old, late:
                action.cancel("Another team does it.")
        with self.assertRaisesRegex(UserError, "2 × Action refer to it"):
            run.purge(REASON)
        fresh = actions.browse(actions.create_action("New", run_id=run.id)["id"])
        with self.assertRaisesRegex(UserError, "it is Open"):
            fresh.purge(REASON)
        fresh.cancel("No.")
        with self.assertRaisesRegex(UserError, "it is kept until"):
            fresh.purge(REASON)

        purges = self.env["qms.retention.purge"].with_user(self.manager)
        with Form(purges.with_context(default_applies_to="qms.action")) as form:
            form.reason = REASON
        self.assertEqual(form.record.action_ids & (old | late | fresh), old | late)
        form.record.action_purge()
        self.assertFalse((old | late).exists())
        self.assertTrue(fresh.exists())
        tombstone = self.env["qms.audit.event"].search(
            [("root_model", "=", "qms.action"), ("root_id", "=", old.id)],
            order="sequence desc",
            limit=1,
        )
        self.assertEqual((tombstone.kind, tombstone.reason), ("purged", REASON))
        # A number is never given twice.
        again = actions.create_action("Again", run_id=run.id)
        self.assertEqual(again["number"], "AI-004")
