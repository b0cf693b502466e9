import base64

from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from .common import QmsCase


@tagged("post_install", "-at_install")
class TestClassifyWizard(QmsCase):
    def _wizard(self, role="operator", **values):
        wizards = self.env["qms.error.classify"].with_user(self.users[role])
        return wizards.create(values)

    def test_pasted_text(self):
        with Form(
            self.env["qms.error.classify"].with_user(self.users["auditor"])
        ) as form:
            form.text = "start\nERROR:  deadlock detected\n"
        wizard = form.record
        wizard.action_classify()
        self.assertEqual(wizard.state, "found")
        best = wizard.match_ids[0]
        self.assertEqual(best.error_code_id.name, "DB_DEADLOCK")
        self.assertEqual((best.line_number, best.sequence), (2, 1))
        action = best.action_open_error_code()
        self.assertEqual(action["res_id"], best.error_code_id.id)

    def test_again_replaces_the_matches(self):
        wizard = self._wizard(text="deadlock detected")
        wizard.action_classify()
        wizard.text = "OOMKilled"
        wizard.action_classify()
        self.assertEqual(wizard.match_ids.error_code_id.mapped("name"), ["OOM_KILLED"])

    def test_the_file_wins(self):
        wizard = self._wizard(
            text="deadlock detected",
            file=base64.b64encode("OOMKilled".encode("utf-16")),
            filename="kernel.log",
        )
        wizard.with_context(bin_size=True).action_classify()
        self.assertEqual(wizard.match_ids.error_code_id.mapped("name"), ["OOM_KILLED"])

    def test_category_only(self):
        wizard = self._wizard(text="the runner stopped")
        wizard.action_classify()
        self.assertEqual(wizard.state, "category")
        self.assertEqual(wizard.category_id.code, "DEPLOYMENT")
        self.assertFalse(wizard.match_ids)
        self.assertTrue(wizard.evidence_source_ids)
        action = wizard.action_new_error_code()
        self.assertEqual(
            action["context"]["default_category_id"], wizard.category_id.id
        )

    def test_nothing_to_classify(self):
        for text in (False, "", " \n "):
            with self.subTest(text=text), self.assertRaisesRegex(UserError, "paste"):
                self._wizard(text=text).action_classify()

    def test_reached_from_an_entry(self):
        action = self.codes._resolve("DB_DEADLOCK").action_try_log()
        self.assertEqual(action["res_model"], "qms.error.classify")
