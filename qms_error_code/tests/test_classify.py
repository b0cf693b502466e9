from unittest.mock import patch

from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged

from ..models import qms_error_code
from ..tools.log_matcher import MAX_EXCERPT, LogMatcher
from .common import QmsCase


@tagged("post_install", "-at_install")
class TestClassify(QmsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Only these speak in the tests below.
        cls.env["qms.error.pattern"].search([("error_code_id", "!=", False)]).unlink()
        severity = cls.severities._resolve
        cls.sure = cls._create_code("SURE", [("zebra crossing", 90)])
        cls.usual = cls._create_code(
            "USUAL", [("zebra", 50), ("stripe", 40), ("hoof", 30), ("mane", 20)]
        )
        cls.worse = cls._create_code(
            "WORSE", [("lion", 50)], severity_id=severity("critical").id
        )
        cls.milder = cls._create_code(
            "MILDER", [("lion", 50)], severity_id=severity("low").id
        )

    def _codes(self, text):
        return [match["code"] for match in self.codes.classify(text)]

    def test_answer(self):
        (match,) = self.codes.classify("start\r\na LION came\r\nend\nlion\n")[:1]
        self.assertEqual(
            match,
            {
                "code": "WORSE",
                "category": "APPLICATION",
                "severity": "critical",
                "score": 50,
                "occurrences": 2,
                "line": "a LION came",
                "line_number": 2,
                "pattern": "lion",
                "why": "Line 2 and 1 more match the pattern “lion” (weight 50).",
            },
        )

    def test_heavier_pattern_first(self):
        self.assertEqual(self._codes("zebra crossing"), ["SURE", "USUAL"])

    def test_repetition_does_not_outweigh_a_heavier_pattern(self):
        text = "zebra stripe hoof mane\n" * 200_000 + "zebra crossing\n"
        matches = self.codes.classify(text)
        self.assertEqual([match["code"] for match in matches], ["SURE", "USUAL"])
        self.assertEqual(matches[1]["score"], 50 + 2 * 2 + 5)
        self.assertEqual(matches[1]["occurrences"], 200_001)

    def test_further_patterns_and_lines_add_to_the_score(self):
        self.assertEqual(self.codes.classify("zebra")[0]["score"], 50)
        match = self.codes.classify("zebra stripe")[0]
        self.assertEqual(match["score"], 52)
        self.assertIn("Another pattern of this code matches too.", match["why"])
        match = self.codes.classify("zebra stripe hoof mane\n" * 10)[0]
        self.assertEqual(match["score"], 55)
        self.assertIn("3 other patterns", match["why"])

    def test_equal_scores_worse_severity_first(self):
        self.assertEqual(self._codes("lion"), ["WORSE", "MILDER"])

    def test_equal_scores_and_severities(self):
        self._create_code("TIGER_B", [("tiger", 50), ("cub", 50)])
        self._create_code("TIGER_A", [("tiger", 50)])
        self._create_code("PUMA", [("puma", 50)])
        self.assertEqual(self._codes("tiger"), ["TIGER_A", "TIGER_B"])
        self.assertEqual(self._codes("puma\ntiger")[0], "PUMA")
        self.assertEqual(self._codes("puma\ntiger\ntiger")[0], "TIGER_A")

    def test_archived_codes_are_silent(self):
        self.sure.action_archive()
        self.assertEqual(self._codes("zebra crossing"), ["USUAL"])

    def test_changes_are_seen_at_once(self):
        self.assertEqual(self._codes("zebra")[0], "USUAL")
        self.usual.pattern_ids.filtered(lambda p: p.weight == 50).pattern = "okapi"
        self.assertEqual(self._codes("zebra"), [False])
        self.assertEqual(self._codes("okapi"), ["USUAL"])
        self.usual.pattern_ids.unlink()
        self.assertEqual(self._codes("okapi"), [False])

    def test_triage_questions_in_order(self):
        """Deployment is asked before database, whichever comes first in the log."""
        match = self.codes.classify("postgres said no\nthe pipeline stopped")[0]
        self.assertEqual(
            (match["code"], match["category"], match["severity"], match["line_number"]),
            (False, "DEPLOYMENT", False, 2),
        )
        self.assertIn("No error code matches", match["why"])
        self.categories._resolve("DATABASE").sequence = 1
        match = self.codes.classify("postgres said no\nthe pipeline stopped")[0]
        self.assertEqual(match["category"], "DATABASE")

    def test_archived_categories_are_not_asked(self):
        self.categories._resolve("DEPLOYMENT").active = False
        match = self.codes.classify("postgres said no\nthe pipeline stopped")[0]
        self.assertEqual(match["category"], "DATABASE")

    def test_unknown(self):
        for text in ("nothing of interest", "", "\0\n\r\n"):
            match = self.codes.classify(text)[0]
            self.assertEqual(
                (match["code"], match["category"], match["line_number"]),
                (False, "UNKNOWN", 0),
            )
            self.assertIn("triage", match["why"])

    def test_private_result(self):
        code, category, matches = self.codes._classify(b"a lion\xff")
        self.assertEqual((code, category), (self.worse, self.worse.category_id))
        self.assertEqual(matches[0]["line"], "a lion\N{REPLACEMENT CHARACTER}")
        code, category, matches = self.codes._classify("no postgres")
        self.assertFalse(code)
        self.assertEqual(category.code, "DATABASE")
        self.assertEqual(len(matches), 1)

    def test_too_large(self):
        with (
            patch.object(qms_error_code, "MAX_TEXT", 3 * 1024**2),
            self.assertRaisesRegex(ValidationError, "4[.]0 MB; at most 3 MB"),
        ):
            self.codes.classify("é" * 2 * 1024**2)
        self.assertEqual(qms_error_code.MAX_TEXT, 25 * 1024**2)

    def test_long_lines_are_shortened(self):
        line = self.codes.classify("x" * 10_000 + " lion " + "x" * 10_000)[0]["line"]
        self.assertLessEqual(len(line), MAX_EXCERPT)
        self.assertIn("lion", line)

    def test_time_runs_out(self):
        scan = LogMatcher.scan
        with (
            patch.object(
                LogMatcher, "scan", lambda matcher, data: scan(matcher, data, -1)
            ),
            self.assertLogs(qms_error_code.__name__, "WARNING"),
        ):
            match = self.codes.classify("lion")[0]
        self.assertIn("Time ran out after line 0", match["why"])

    def test_bad_arguments(self):
        for args in ((), (5,), (None,), (b"x",), ("a", "b")):
            with self.subTest(args=args), self.assertRaises(ValidationError):
                self.codes.classify(*args)

    def test_every_role_may_classify(self):
        for role, user in self.users.items():
            with self.subTest(role=role):
                match = self.codes.with_user(user).classify("a lion")[0]
                self.assertEqual(match["code"], "WORSE")
        with self.assertRaises(AccessError):
            self.codes.with_user(self.outsider).classify("nothing of interest")

    def test_query_count(self):
        self.codes.classify("warm up the caches")
        codes = self.codes.with_user(self.users["operator"])
        self._forget_records()
        codes.classify("zebra")  # reads the user's access rules
        text = "zebra crossing\nlion\nstripe\n" * 1000
        self._forget_records()
        # patterns, codes, severities
        with self.assertQueryCount(3):
            codes.classify(text)
