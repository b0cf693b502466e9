from unittest.mock import patch

import psycopg2

from odoo.exceptions import AccessError, ConcurrencyError, ValidationError
from odoo.tests import tagged

from ..models.qms_error_code import UPSERT_KEYS
from .common import QmsCase


@tagged("post_install", "-at_install")
class TestUpsert(QmsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.codes = cls.codes.with_user(cls.users["automation"])

    def test_the_call_of_the_triage_sop(self):
        answer = self.codes.upsert_code(
            "DB_CONNECTION_LEAK",
            {
                "severity": "high",
                "description": "Database connections not released in handlers",
                "resolution": "Use try/finally around every operation",
            },
        )
        leak = self.codes._resolve("DB_CONNECTION_LEAK")
        self.assertEqual(
            answer,
            {
                "id": leak.id,
                "code": "DB_CONNECTION_LEAK",
                "created": False,
                "updated": ["description", "resolution"],
                "category": "DATABASE",
                "severity": "high",
                "active": True,
            },
        )
        self.assertEqual(leak.resolution, "Use try/finally around every operation")
        self.assertTrue(leak.prevention, "what is not given stays")

    def test_again_changes_nothing(self):
        values = {"severity": "P0", "description": "d", "patterns": ["zebra leak"]}
        self.assertTrue(self.codes.upsert_code("ZEBRA_LEAK", values)["created"])
        code = self.codes._resolve("ZEBRA_LEAK")
        before = code.write_date
        answer = self.codes.upsert_code("ZEBRA_LEAK", values)
        self.assertFalse(answer["created"])
        self.assertEqual(answer["updated"], [])
        self.assertEqual(code.write_date, before)
        self.assertEqual(len(code.pattern_ids), 1)

    def test_create_with_everything(self):
        answer = self.codes.upsert_code(
            "ZEBRA_LOST",
            {
                "category": "infrastructure",
                "severity": "Critical",
                "title": "A zebra is lost",
                "description": "d",
                "common_causes": "c",
                "resolution": "r",
                "prevention": "p",
                "patterns": ["zebra (is )?lost", "lost zebra", "lost zebra"],
            },
        )
        self.assertTrue(answer["created"])
        self.assertEqual(answer["updated"], sorted(UPSERT_KEYS))
        self.assertEqual(
            (answer["category"], answer["severity"]), ("INFRASTRUCTURE", "critical")
        )
        code = self.codes.browse(answer["id"])
        self.assertEqual(code.title, "A zebra is lost")
        self.assertEqual(len(code.pattern_ids), 2)
        self.assertEqual(
            self.codes.classify("the Zebra is lost")[0]["code"], "ZEBRA_LOST"
        )

    def test_what_is_not_given_for_a_new_code(self):
        answer = self.codes.upsert_code("DB_ZEBRA", {"description": "stripes"})
        code = self.codes.browse(answer["id"])
        self.assertEqual(
            (code.title, answer["severity"], answer["category"]),
            ("Db zebra", "medium", "DATABASE"),
        )
        answer = self.codes.upsert_code(
            "ZEBRA_SLOW", {"description": "The SSL certificate is too long"}
        )
        self.assertEqual(answer["category"], "INFRASTRUCTURE")
        answer = self.codes.upsert_code("ZEBRA_STRIPED", {})
        self.assertEqual(answer["category"], "UNKNOWN")

    def test_none_means_not_given(self):
        answer = self.codes.upsert_code("DB_DEADLOCK", dict.fromkeys(UPSERT_KEYS))
        self.assertEqual(answer["updated"], [])
        answer = self.codes.upsert_code("DB_DEADLOCK", {"title": False})
        self.assertEqual(answer["updated"], [])

    def test_patterns_are_added_never_removed(self):
        before = len(self.codes._resolve("DB_DEADLOCK").pattern_ids)
        answer = self.codes.upsert_code("DB_DEADLOCK", {"patterns": ["zebra lock"]})
        self.assertEqual(answer["updated"], ["patterns"])
        code = self.codes._resolve("DB_DEADLOCK")
        self.assertEqual(len(code.pattern_ids), before + 1)

    def test_archived_entries_stay_archived(self):
        code = self._create_code("OLD_ERROR", active=False)
        answer = self.codes.upsert_code("OLD_ERROR", {"title": "New title"})
        self.assertEqual((answer["id"], answer["active"]), (code.id, False))

    def test_refused_values_say_what_is_accepted(self):
        for code, values, words in (
            ("db_deadlock", {}, "upper snake case.*Try DB_DEADLOCK"),
            ("", {}, "upper snake case"),
            ("DB_DEADLOCK", {"severity": "urgent"}, r"critical \(P0\)"),
            ("DB_DEADLOCK", {"severity": ["high"]}, r"critical \(P0\)"),
            ("DB_DEADLOCK", {"category": "NETWORK"}, "DEPLOYMENT, DATABASE"),
            ("DB_DEADLOCK", {"colour": "red"}, "colour.*Accepted: category, severity"),
            ("DB_DEADLOCK", {"title": 5}, "title: 5 .*must be a text"),
            ("DB_DEADLOCK", {"title": " "}, "empty title"),
            ("DB_DEADLOCK", {"patterns": "x"}, "patterns: .*list of texts"),
            ("DB_DEADLOCK", {"patterns": [1]}, "patterns: .*list of texts"),
            ("DB_DEADLOCK", {"patterns": ["("]}, r"missing \)"),
            ("DB_DEADLOCK", [], "values"),
            (5, {}, "code"),
        ):
            with (
                self.subTest(code=code, values=values),
                self.assertRaisesRegex(ValidationError, words),
            ):
                self.codes.upsert_code(code, values)

    def test_roles(self):
        for role in ("author", "manager", "automation"):
            codes = self.codes.with_user(self.users[role])
            answer = codes.upsert_code("DB_DEADLOCK", {"title": f"By {role}"})
            self.assertEqual(answer["updated"], ["title"])
            codes.upsert_code(f"NEW_{role.upper()}", {"patterns": [f"zebra {role}"]})
        for role in ("operator", "auditor"):
            codes = self.codes.with_user(self.users[role])
            for name in ("DB_DEADLOCK", "NEW_CODE"):
                with self.subTest(role=role, name=name):
                    with self.assertRaises(AccessError):
                        codes.upsert_code(name, {"title": "x"})
        with self.assertRaises(AccessError):
            self.codes.with_user(self.outsider).upsert_code("DB_DEADLOCK", {})

    def test_race(self):
        """The other transaction's entry cannot be seen: the server must try again."""
        with (
            patch.object(
                self.registry["qms.error.code"],
                "create",
                side_effect=psycopg2.errors.UniqueViolation("qms_error_code_name_uniq"),
            ),
            self.assertRaises(ConcurrencyError),
        ):
            self.codes.upsert_code("ZEBRA_RACE", {})

    def test_query_count_of_an_update_that_changes_nothing(self):
        values = {"severity": "high", "category": "database"}
        self.codes.upsert_code("DB_DEADLOCK", values)
        self.env.flush_all()
        self._forget_records()
        # the search, and the entry
        with self.assertQueryCount(2):
            self.codes.upsert_code("DB_DEADLOCK", values)
