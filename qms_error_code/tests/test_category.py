from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .common import QmsCase


@tagged("post_install", "-at_install")
class TestCategory(QmsCase):
    def test_the_order_of_the_triage_questions(self):
        self.assertEqual(
            self.categories.search([]).mapped("code"),
            ["DEPLOYMENT", "DATABASE", "APPLICATION", "INFRASTRUCTURE", "UNKNOWN"],
        )

    def test_every_category_has_evidence_sources_with_commands(self):
        for category in self.categories.search([]):
            self.assertTrue(category.evidence_source_ids, category.code)
            self.assertTrue(all(category.evidence_source_ids.mapped("command")))

    def test_every_category_but_unknown_has_four_common_causes(self):
        for category in self.categories.search([("code", "!=", "UNKNOWN")]):
            self.assertGreaterEqual(len(category.cause_ids), 4, category.code)
            self.assertTrue(all(category.cause_ids.mapped("fix_type")))
            self.assertTrue(category.triage_question)

    def test_resolve(self):
        database = self.env.ref("qms_error_code.category_database")
        for value in ("DATABASE", "database", "Database", database.id, database):
            self.assertEqual(self.categories._resolve(value), database)
        with self.assertRaisesRegex(ValidationError, "DEPLOYMENT, DATABASE"):
            self.categories._resolve("NETWORK")

    def test_categories_can_be_added(self):
        network = self.categories.create({"name": "Network", "code": "NETWORK"})
        self.assertEqual(self.categories._resolve("network"), network)

    def test_bad_code_is_refused_with_a_suggestion(self):
        with self.assertRaisesRegex(ValidationError, "Try MY_NETWORK"):
            self.categories.create({"name": "Network", "code": "my network"})

    def test_code_is_immutable(self):
        with self.assertRaisesRegex(UserError, "cannot be changed"):
            self.categories._resolve("DATABASE").code = "DB"

    def test_unknown_stays(self):
        unknown = self.categories._unknown()
        with self.assertRaisesRegex(ValidationError, "cannot be archived"):
            unknown.active = False
        with self.assertRaisesRegex(UserError, "cannot be deleted"):
            unknown.unlink()

    def test_error_code_count(self):
        database = self.categories._resolve("DATABASE")
        before = database.error_code_count
        self._create_code("DB_NEW", category_id=database.id)
        database.invalidate_recordset()
        self.assertEqual(database.error_code_count, before + 1)
        action = database.action_view_error_codes()
        self.assertEqual(
            self.codes.search_count(action["domain"]), database.error_code_count
        )
