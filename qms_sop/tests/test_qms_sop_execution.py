from odoo.exceptions import UserError
from odoo.fields import Command

from .common import QmsSopCommon


class TestExpectedOutput(QmsSopCommon):
    """What the output of a command must contain is approved content."""

    def draft_with_command(self, code):
        draft = self.draft_sop(code, steps=("Look",))
        draft.step_ids.command_ids = [
            Command.create({"name": "Ask", "command": "echo up"})
        ]
        return draft, draft.step_ids.command_ids

    def test_it_counts_in_the_fingerprint(self):
        draft, command = self.draft_with_command("SOP-EXPECT-001")
        before = draft._content_hash()
        command.expected_output = "up"
        self.assertNotEqual(draft._content_hash(), before)
        command.expected_output = ""
        self.assertEqual(draft._content_hash(), before)
        self.assertNotIn("expected_output", command._content())

    def test_approved_it_stays(self):
        draft, command = self.draft_with_command("SOP-EXPECT-002")
        command.expected_output = "up"
        self.approve(draft)
        with self.assertRaisesRegex(UserError, "can no longer be changed"):
            command.with_user(self.author).expected_output = "down"

    def test_a_comparison_tells_it(self):
        draft, command = self.draft_with_command("SOP-EXPECT-003")
        command.expected_output = "up"
        self.approve(draft)
        copy = draft.with_user(self.author)._new_revision("patch")
        copy.step_ids.command_ids.expected_output = "up and running"
        (block,) = [
            block
            for block in copy._compare(draft)
            if any(
                row["status"] == "changed" and row["old_title"] for row in block["rows"]
            )
        ]
        (field,) = block["rows"][0]["fields"]
        self.assertIn((True, " and running"), field["new"])
