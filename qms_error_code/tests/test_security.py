from odoo.exceptions import AccessError
from odoo.tests import tagged

from .common import ROLES, QmsCase

CATALOGUE = ("qms.error.code", "qms.error.cause", "qms.error.pattern")
CONFIGURATION = ("qms.severity", "qms.error.category", "qms.error.evidence.source")
READ_ONLY = ("operator", "auditor")


@tagged("post_install", "-at_install")
class TestSecurity(QmsCase):
    def _values(self, model):
        category = self.categories._resolve("DATABASE").id
        return {
            "qms.severity": {"name": "X", "code": "x"},
            "qms.error.category": {"name": "X", "code": "X"},
            "qms.error.evidence.source": {"name": "X", "category_id": category},
            "qms.error.cause": {"name": "X", "symptom": "x", "category_id": category},
            "qms.error.pattern": {
                "pattern": "zebra",
                "error_code_id": self.codes._resolve("DB_DEADLOCK").id,
            },
            "qms.error.code": {
                "name": "X",
                "title": "x",
                "category_id": category,
                "severity_id": self.severities._resolve("low").id,
            },
        }[model]

    def _assert_may(self, role, model, create=True, write=True, unlink=True):
        """Try each operation for real, and compare with what is allowed."""
        values = self._values(model)
        name = "pattern" if model == "qms.error.pattern" else "name"
        for operation, allowed in (
            ("create", create),
            ("write", write),
            ("unlink", unlink),
        ):
            with self.subTest(role=role, model=model, operation=operation):
                record = (
                    self.env[model].create(values) if operation != "create" else None
                )
                arguments = {
                    "create": [values],
                    "write": [{name: values[name]}],
                    "unlink": [],
                }[operation]
                target = self.env[model].browse(record.id if record else None)
                call = getattr(target.with_user(self.users[role]), operation)
                if allowed:
                    made = call(*arguments)
                    record = record or made
                else:
                    with self.assertRaises(AccessError):
                        call(*arguments)
                if record:
                    record.sudo().exists().unlink()

    def test_every_role_reads_everything(self):
        for role in ROLES:
            for model in (*CATALOGUE, *CONFIGURATION):
                with self.subTest(role=role, model=model):
                    records = self.env[model].with_user(self.users[role])
                    self.assertTrue(records.search([], limit=1).read())

    def test_others_read_nothing(self):
        for model in (*CATALOGUE, *CONFIGURATION):
            with self.subTest(model=model), self.assertRaises(AccessError):
                self.env[model].with_user(self.outsider).search([])

    def test_operator_and_auditor_write_nothing(self):
        for role in READ_ONLY:
            for model in (*CATALOGUE, *CONFIGURATION):
                self._assert_may(role, model, create=False, write=False, unlink=False)

    def test_author_writes_the_catalogue_only(self):
        self._assert_may("author", "qms.error.code", unlink=False)
        self._assert_may("author", "qms.error.cause", unlink=False)
        self._assert_may("author", "qms.error.pattern")
        for model in CONFIGURATION:
            self._assert_may("author", model, create=False, write=False, unlink=False)

    def test_automation_writes_codes_and_patterns_only(self):
        self._assert_may("automation", "qms.error.code", unlink=False)
        self._assert_may("automation", "qms.error.pattern", unlink=False)
        for model in ("qms.error.cause", *CONFIGURATION):
            self._assert_may(
                "automation", model, create=False, write=False, unlink=False
            )

    def test_manager_configures(self):
        for model in CATALOGUE:
            self._assert_may("manager", model)
        self._assert_may("manager", "qms.error.evidence.source")
        for model in ("qms.severity", "qms.error.category"):
            self._assert_may("manager", model, unlink=False)

    def test_only_managers_touch_the_answers_of_triage_questions(self):
        category = self.categories._resolve("DATABASE")
        patterns = self.env["qms.error.pattern"]
        for role in ("author", "automation"):
            own = patterns.with_user(self.users[role])
            with self.subTest(role=role):
                with self.assertRaises(AccessError):
                    own.create({"pattern": "zebra", "category_id": category.id})
                with self.assertRaises(AccessError):
                    own.browse(category.pattern_ids[0].id).write({"weight": 1})
        own = patterns.with_user(self.users["author"])
        with self.assertRaises(AccessError):
            own.browse(category.pattern_ids[0].id).unlink()
        patterns.with_user(self.users["manager"]).create(
            {"pattern": "zebra", "category_id": category.id}
        )

    def test_roles_build_on_each_other(self):
        manager = self.users["manager"]
        self.assertTrue(manager.has_group("qms_error_code.group_qms_operator"))
        for role in ("auditor", "automation"):
            self.assertFalse(
                self.users[role].has_group("qms_error_code.group_qms_operator")
            )
            self.assertTrue(self.users[role].has_group("base.group_user"))
        self.assertTrue(
            self.env.ref("base.user_admin").has_group(
                "qms_error_code.group_qms_manager"
            )
        )

    def test_menus(self):
        menu = self.env.ref("qms_error_code.qms_menu_root")
        configuration = self.env.ref("qms_error_code.qms_menu_configuration")
        for role, root, config in (
            ("operator", True, False),
            ("author", True, False),
            ("manager", True, True),
            ("auditor", True, False),
        ):
            visible = (
                self.env["ir.ui.menu"].with_user(self.users[role])._visible_menu_ids()
            )
            self.assertEqual(menu.id in visible, root, role)
            self.assertEqual(configuration.id in visible, config, role)
        visible = self.env["ir.ui.menu"].with_user(self.outsider)._visible_menu_ids()
        self.assertNotIn(menu.id, visible)
