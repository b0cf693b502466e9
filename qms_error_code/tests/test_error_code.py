from psycopg2 import IntegrityError

from odoo.exceptions import MissingError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common import QmsCase


@tagged("post_install", "-at_install")
class TestErrorCode(QmsCase):
    def test_bad_code_says_what_is_accepted(self):
        for name, suggestion in (
            ("db_leak", "DB_LEAK"),
            ("DB-LEAK", "DB_LEAK"),
            ("db leak 2", "DB_LEAK_2"),
            ("_DB__LEAK_", "DB_LEAK"),
        ):
            with (
                self.subTest(name=name),
                self.assertRaisesRegex(
                    ValidationError, f"upper snake case.*Try {suggestion}[.]"
                ),
            ):
                self._create_code(name)
        with self.assertRaises(ValidationError) as cm:
            self._create_code("2_MANY")
        self.assertNotIn("Try", str(cm.exception))

    @mute_logger("odoo.sql_db")
    def test_code_is_unique(self):
        with self.assertRaises(IntegrityError), self.env.cr.savepoint():
            self._create_code("DB_DEADLOCK")

    def test_resolve(self):
        deadlock = self.env.ref("qms_error_code.error_code_db_deadlock")
        for value in ("DB_DEADLOCK", "db_deadlock", deadlock, deadlock.id):
            self.assertEqual(self.codes._resolve(value), deadlock)

    def test_resolve_names_the_nearest_codes(self):
        with self.assertRaisesRegex(
            ValidationError, "DB_CONECTION_LEAK.*mean DB_CONNECTION_LEAK"
        ):
            self.codes._resolve("DB_CONECTION_LEAK")
        with self.assertRaisesRegex(ValidationError, "not in the catalogue"):
            self.codes._resolve("QQQQ")

    def test_resolve_says_that_an_entry_is_archived(self):
        code = self._create_code("OLD_ERROR")
        code.action_archive()
        with self.assertRaisesRegex(ValidationError, "OLD_ERROR.*is archived"):
            self.codes._resolve("OLD_ERROR")

    def test_names_by_id_follows_changes(self):
        code = self._create_code("FIRST_NAME")
        self.assertEqual(self.codes._names_by_id()[code.id], "FIRST_NAME")
        code.name = "SECOND_NAME"
        self.assertEqual(self.codes._names_by_id()[code.id], "SECOND_NAME")
        self.assertEqual(self.codes._resolve("SECOND_NAME"), code)
        with self.assertRaises(ValidationError):
            self.codes._resolve("FIRST_NAME")
        code.unlink()
        self.assertNotIn(code.id, self.codes._names_by_id())

    def test_resolve_costs_no_query(self):
        self.codes._resolve("DB_DEADLOCK")
        self.codes._names_by_id()
        with self.assertQueryCount(0):
            self.codes._resolve("STEP_FAILURE")
            self.codes._names_by_id()

    def test_what_an_entry_says_follows_changes(self):
        code = self._create_code("SOME_CODE")
        before = self.codes._classification_of(code.id)
        self.assertEqual(before, (code.severity_id.id, code.category_id.id))
        with self.assertQueryCount(0):
            self.codes._classification_of(code.id)
        severity = self.env["qms.severity"].search(
            [("id", "!=", code.severity_id.id)], limit=1
        )
        category = self.env["qms.error.category"].search(
            [("id", "!=", code.category_id.id)], limit=1
        )
        code.write({"severity_id": severity.id})
        code.write({"category_id": category.id})
        self.assertEqual(
            self.codes._classification_of(code.id), (severity.id, category.id)
        )
        with self.assertRaises(MissingError):
            self.codes._classification_of(2**31 - 1)

    def test_step_failure_stays(self):
        step_failure = self.codes._resolve("STEP_FAILURE")
        for values in ({"name": "OTHER"}, {"active": False}):
            with self.subTest(values=values), self.assertRaises(UserError):
                step_failure.write(values)
        with self.assertRaises(UserError):
            step_failure.unlink()
        step_failure.title = "A step failed"

    def test_duplicate_gets_another_code(self):
        copy = self.codes._resolve("DB_DEADLOCK").copy()
        self.assertEqual(copy.name, "DB_DEADLOCK_COPY")
        self.assertFalse(copy.pattern_ids)

    def test_form(self):
        with Form(self.codes.with_user(self.users["author"])) as form:
            form.name = "DISK_SLOW"
            form.title = "The disk is slow"
            form.category_id = self.categories._resolve("INFRASTRUCTURE")
            form.severity_id = self.severities._resolve("low")
            with form.pattern_ids.new() as line:
                line.pattern = "disk is slow"
                line.example = "WARNING disk is slow"
        self.assertEqual(form.record.pattern_count, 1)

    def test_found_by_code_and_title(self):
        code = self._create_code("ZEBRA_ERROR", title="Stripes are missing")
        for text in ("zebra", "stripes"):
            self.assertEqual(self.codes.name_search(text), [(code.id, "ZEBRA_ERROR")])

    def test_kanban_shows_empty_categories(self):
        empty = self.categories.create({"name": "Empty", "code": "EMPTY"})
        # What the kanban view asks for.
        codes = self.codes.with_context(read_group_expand=True)
        groups = codes.web_read_group([], ["category_id"])["groups"]
        self.assertIn(empty.id, [group["category_id"][0] for group in groups])

    def test_changes_are_in_the_history(self):
        code = self._create_code("TRACKED", resolution="1. Wait.")
        self.env.cr.precommit.run()
        code.resolution = "1. Restart."
        self.env.cr.precommit.run()
        values = code.message_ids.tracking_value_ids
        self.assertEqual(values.mapped("old_value_text"), ["1. Wait."])
        self.assertEqual(values.mapped("new_value_text"), ["1. Restart."])
