from unittest.mock import patch

from psycopg2 import IntegrityError

from odoo.exceptions import ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import qms_error_pattern
from .common import QmsCase


@tagged("post_install", "-at_install")
class TestPattern(QmsCase):
    def _add(self, pattern, **values):
        code = self.codes.search([("name", "=", "PATTERN_TEST")])
        code = code or self._create_code("PATTERN_TEST")
        return self.env["qms.error.pattern"].create(
            {"error_code_id": code.id, "pattern": pattern, **values}
        )

    def test_refused_with_what_to_write_instead(self):
        for pattern, *expected in (
            ("(?=a)b", "invalid perl operator", "do not exist", r"\.\*"),
            ("(?>a)", "invalid perl operator", "Groups are written"),
            (r"(a)\1", "invalid escape", "earlier group"),
            (r"a\Z", "invalid escape", r"Write “\$”"),
            ("(a", r"missing \)", "Close the bracket"),
            ("a)", r"unexpected \)", "Open a bracket"),
            ("[a", r"missing \]", "Close the bracket"),
            ("*a", "no argument", "in front of it"),
            ("a++", "bad repetition", "One|one repetition only"),
            ("a{2000}", "invalid repetition size", "1000"),
            ("[z-a]", "invalid character class range", "upwards"),
            ("(?P<a", "invalid named capture", "wiki/Syntax"),
            ("x*", "empty piece of text", r"x\+"),
            ("a.{900}b", "too large", r"\.\*"),
            ("   ", "it is empty"),
        ):
            with self.subTest(pattern=pattern):
                with self.assertRaises(ValidationError) as cm, self.cr.savepoint():
                    self._add(pattern)
                for words in expected:
                    self.assertRegex(str(cm.exception), words)

    def test_refused_on_write_too(self):
        pattern = self._add("fine")
        with self.assertRaises(ValidationError):
            pattern.pattern = "not (fine"

    def test_catastrophic_pattern_is_accepted_and_harmless(self):
        self._add("(a+)+$", weight=99)
        result = self.codes.classify(("a" * 50 + "!\n") * 2000)
        self.assertNotEqual(result[0]["code"], "PATTERN_TEST")

    def test_example_must_match(self):
        self._add("Disk.*full", example="the DISK is full")
        with self.assertRaisesRegex(ValidationError, "does not match its example"):
            self._add("memory", example="the disk is full")

    @mute_logger("odoo.sql_db")
    def test_weight_and_owner(self):
        category = self.categories._resolve("DATABASE")
        code = self.codes._resolve("DB_DEADLOCK")
        for values in (
            {"error_code_id": code.id, "weight": 0},
            {"error_code_id": code.id, "weight": 101},
            {"error_code_id": code.id, "category_id": category.id},
            {},
        ):
            with (
                self.subTest(values=values),
                self.assertRaises(IntegrityError),
                self.cr.savepoint(),
            ):
                self.env["qms.error.pattern"].create({"pattern": "x", **values})

    def test_a_pattern_that_became_bad_is_left_out(self):
        """Another release of RE2 may refuse what was accepted when it was saved."""
        pattern = self._add("zebra crossing")
        self._create_code("OTHER_TEST", [("other zebra", 50)])
        self.env.cr.execute(
            "UPDATE qms_error_pattern SET pattern = '(' WHERE id = %s", [pattern.id]
        )
        self.env.invalidate_all()
        self.env.registry.clear_cache()
        with self.assertLogs(qms_error_pattern.__name__, "WARNING") as logs:
            result = self.codes.classify("other zebra crossing")
        self.assertIn(str(pattern.id), logs.output[0])
        self.assertEqual(result[0]["code"], "OTHER_TEST")

    def test_compiled_once(self):
        self.codes.classify("first call")
        with patch.object(qms_error_pattern, "LogMatcher", side_effect=AssertionError):
            found = self.codes.classify("DB: deadlock detected")
        self.assertEqual(found[0]["code"], "DB_DEADLOCK")
