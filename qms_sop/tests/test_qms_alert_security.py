from odoo.exceptions import AccessError, MissingError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from .common import GROUPS
from .test_qms_alert import AlertCommon

MODELS = (
    "qms.alert",
    "qms.alert.delivery",
    "qms.alert.source",
    "qms.alert.rule",
    "qms.alert.matcher",
    "qms.alert.severity.word",
    "qms.maintenance.window",
)
CHANGES = ("create", "write", "unlink")


@tagged("post_install", "-at_install")
class TestAlertSecurity(AlertCommon):
    def can(self, role, model, operation):
        return self.env[model].with_user(self.users[role]).has_access(operation)

    def allowed(self, role, operation):
        return {model for model in MODELS if self.can(role, model, operation)}

    def test_who_reads(self):
        everything, payloads = set(MODELS), {"qms.alert.delivery"}
        for role, models in (
            ("operator", everything - payloads),
            ("author", everything - payloads),
            ("manager", everything),
            ("auditor", everything),
            ("automation", everything - payloads),
        ):
            with self.subTest(role):
                self.assertEqual(self.allowed(role, "read"), models)

    def test_who_writes(self):
        maintenance = {"qms.maintenance.window", "qms.alert.matcher"}
        configuration = {
            "qms.alert.source",
            "qms.alert.rule",
            "qms.alert.severity.word",
        }
        for role, models in (
            ("operator", maintenance),
            ("author", maintenance),
            ("manager", maintenance | configuration),
            ("auditor", set()),
            ("automation", set()),
        ):
            for operation in CHANGES:
                with self.subTest(role=role, operation=operation):
                    self.assertEqual(self.allowed(role, operation), models)

    def test_conditions_of_rules_are_for_managers(self):
        rule = self.rule(("host", "=", "db1"))
        values = {"rule_id": rule.id, "label": "a", "operator": "=", "value": "b"}
        for user in (self.operator, self.author):
            matchers = rule.matcher_ids.with_user(user)
            for call in (
                lambda matchers=matchers: matchers.create(values),
                lambda matchers=matchers: matchers.write({"value": "x"}),
                lambda matchers=matchers: matchers.unlink(),
            ):
                with self.subTest(user.login), self.assertRaises(AccessError):
                    call()
        rule.with_user(self.manager).matcher_ids = [Command.create({**values})]
        self.window(("host", "=", "db1"))

    def test_who_delivers(self):
        for role in ("automation", "manager"):
            with self.subTest(role):
                self.assertTrue(self.deliver(user=self.users[role]))
        for role in ("operator", "author", "auditor"):
            with (
                self.subTest(role),
                self.assertRaisesRegex(AccessError, "may not deliver alerts"),
            ):
                self.deliver(user=self.users[role])

    def test_nobody_forges_an_alert(self):
        alert = self.deliver()
        for user in self.users.values():
            with self.subTest(user.login):
                with self.assertRaises(AccessError):
                    alert.with_user(user).write({"status": "resolved"})
                with self.assertRaises(AccessError):
                    alert.with_user(user).unlink()

    def test_an_auditor_processes_nothing(self):
        alert = self.deliver()
        delivery = self.deliveries().with_user(self.users["auditor"])
        self.assertIn("disk-db1", delivery.body)
        with self.assertRaises(AccessError):
            delivery.action_process()
        with self.assertRaises(AccessError):
            alert.with_user(self.users["auditor"]).action_process()

    def test_the_secret_is_for_managers(self):
        self.generic.action_new_secret()
        self.assertTrue(self.generic.with_user(self.manager).signing_secret)
        for role in ("operator", "author", "auditor", "automation"):
            source = self.generic.with_user(self.users[role])
            with self.subTest(role):
                self.assertTrue(source.is_signed)
                self.assertNotIn("signing_secret", source.fields_get())
                for call in (
                    lambda source=source: source.read(["signing_secret"]),
                    lambda source=source: source.search(
                        [("signing_secret", "=like", "w%")]
                    ),
                    lambda source=source: source.action_new_secret(),
                ):
                    with self.assertRaises(AccessError):
                        call()

    def test_the_secret_is_in_no_export_and_no_chatter(self):
        self.generic.action_new_secret()
        secret = self.generic.signing_secret
        field = self.generic.fields_get(["signing_secret"])["signing_secret"]
        self.assertFalse(field["exportable"])
        with self.assertRaisesRegex(AccessError, "not exported"):
            self.generic.with_user(self.manager).export_data(["signing_secret"])
        self.assertNotIn(secret, str(self.generic.message_ids.mapped("body")))
        self.assertNotIn(secret, self.generic.example_config)
        self.assertFalse(self.generic.copy({"code": "copy"}).signing_secret)

    def test_other_companies(self):
        alert = self.deliver()
        window = self.window(hours=(1, 2))
        company = self.env["res.company"].create({"name": "Elsewhere"})
        outsider = new_test_user(
            self.env,
            login="qms_alert_outsider",
            groups=GROUPS["manager"],
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        for record in (alert, window, self.generic, self.deliveries()):
            with self.subTest(record._name):
                self.assertFalse(
                    record.with_user(outsider).search([("id", "in", record.ids)])
                )
                with self.assertRaises(AccessError):
                    record.with_user(outsider).read(["display_name"])
        with self.assertRaises(MissingError):
            self.deliver(user=outsider)

    def test_runs_belong_to_the_company_of_the_source(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.automation.company_ids += company
        self.env["qms.alert.source"].create(
            {
                "name": "Theirs",
                "code": "theirs",
                "company_id": company.id,
                "sop_code": self.sop.code,
                "path_title": "title",
            }
        )
        alert = self.deliver({"title": "Down"}, source="theirs")
        self.assertEqual(alert.company_id, company)
        self.assertEqual(alert.run_id.company_id, company)

    def test_other_employees_see_nothing(self):
        stranger = new_test_user(self.env, login="qms_nobody", groups="base.group_user")
        for model in MODELS:
            with self.subTest(model), self.assertRaises(AccessError):
                self.env[model].with_user(stranger).search([])
        with self.assertRaises(AccessError):
            self.deliver(user=stranger)
