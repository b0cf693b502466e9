from psycopg2 import IntegrityError

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import QmsCase


@tagged("post_install", "-at_install")
class TestSeverity(QmsCase):
    def test_targets_of_the_triage_sop(self):
        """Response and mitigation of SOP-TRIAGE-001; no figure is 0, not a guess."""
        targets = {
            severity.alias: (
                severity.response_target,
                severity.mitigation_target,
                severity.resolution_target,
            )
            for severity in self.severities.search([])
        }
        self.assertEqual(
            targets,
            {
                "P0": (15, 15, 4 * 60),
                "P1": (60, 60, 24 * 60),
                "P2": (4 * 60, 4 * 60, 7 * 24 * 60),
                "P3": (7 * 24 * 60, 0, 0),
            },
        )
        self.assertIn("next sprint", self.severities._resolve("low").note)

    def test_no_target_is_blank(self):
        low = self.severities._resolve("low")
        self.assertEqual(low.resolution_target_text, "")
        self.assertEqual(low.response_target_text, "1 week")

    def test_resolve(self):
        critical = self.env.ref("qms_error_code.severity_critical")
        for value in (
            "critical",
            "CRITICAL",
            " Critical ",
            "p0",
            "P0",
            critical.id,
            critical,
        ):
            self.assertEqual(self.severities._resolve(value), critical)

    def test_resolve_name_in_any_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        critical = self.env.ref("qms_error_code.severity_critical")
        critical.with_context(lang="fr_FR").name = "Critique"
        self.assertEqual(self.severities._resolve("critique"), critical)
        self.assertEqual(self.severities._resolve("critical"), critical)

    def test_resolve_says_what_is_accepted(self):
        for value in ("urgent", "", 0, True, None, 3.5, self.severities, 2**40):
            with (
                self.subTest(value=value),
                self.assertRaisesRegex(
                    ValidationError, r"critical \(P0\), high \(P1\)"
                ),
            ):
                self.severities._resolve(value)

    def test_resolve_leaves_archived_ones_out(self):
        low = self.severities._resolve("P3")
        low.active = False
        with self.assertRaises(ValidationError):
            self.severities._resolve("P3")
        self.assertEqual(self.severities._codes_by_id()[low.id], "low")

    def test_resolve_costs_no_query(self):
        self.severities._resolve("high")
        self.severities._codes_by_id()
        with self.assertQueryCount(0):
            self.severities._resolve("p1")
            self.severities._codes_by_id()

    def test_code_is_immutable(self):
        high = self.severities._resolve("high")
        with self.assertRaisesRegex(UserError, "cannot be changed"):
            high.code = "higher"
        high.code = "high"

    def test_bad_code_is_refused(self):
        for code in ("High", "very high", "1st", ""):
            with self.subTest(code=code), self.assertRaises(ValidationError):
                self.severities.create({"name": "X", "code": code})

    @mute_logger("odoo.sql_db")
    def test_code_and_alias_are_unique(self):
        for values in ({"code": "high"}, {"code": "x", "alias": "p1"}):
            with (
                self.subTest(values=values),
                self.assertRaises(IntegrityError),
                self.env.cr.savepoint(),
            ):
                self.severities.create({"name": "X", **values})

    def test_an_alias_is_no_code(self):
        words = "“%s” cannot be both a code and the alias"
        with (
            self.assertRaisesRegex(ValidationError, words % "High"),
            self.cr.savepoint(),
        ):
            self.severities.create({"name": "X", "code": "x", "alias": "High"})
        self.severities._resolve("low").alias = "later"
        with self.assertRaisesRegex(ValidationError, words % "later"):
            self.severities.create({"name": "X", "code": "later"})

    @mute_logger("odoo.sql_db")
    def test_targets_are_not_negative(self):
        with self.assertRaises(IntegrityError), self.env.cr.savepoint():
            self.severities._resolve("high").response_target = -1
            self.env.flush_all()

    def test_changed_targets_are_in_the_history(self):
        high = self.severities._resolve("high")
        high.response_target = 30
        self.env.cr.precommit.run()
        values = high.message_ids.tracking_value_ids.filtered(
            lambda value: value.field_id.name == "response_target"
        )
        self.assertEqual(values.mapped("old_value_integer"), [60])
        self.assertEqual(values.mapped("new_value_integer"), [30])
