import json

from lxml import etree, html

from odoo.exceptions import AccessError
from odoo.tests import Form, tagged

from .test_qms_alert import AlertCommon

PATHS = {
    "qms-alerts": ("operator", "author", "manager", "auditor"),
    "qms-maintenance": ("operator", "author", "manager", "auditor"),
    "qms-alert-rules": ("operator", "author", "manager", "auditor"),
    "qms-alert-sources": ("operator", "author", "manager", "auditor"),
    "qms-alert-deliveries": ("manager", "auditor"),
    "qms-alert-severity-words": ("manager", "auditor"),
}


@tagged("post_install", "-at_install")
class TestAlertViews(AlertCommon):
    def test_every_menu_opens_for_whom_it_is(self):
        self.deliver()
        self.window()
        self.rule(("host", "=", "db1"))
        for path, roles in PATHS.items():
            action = self.env["ir.actions.act_window"].search([("path", "=", path)])
            self.assertEqual(len(action), 1, path)
            modes = action.view_mode.split(",")
            for role in roles:
                with self.subTest(path=path, role=role):
                    model = self.env[action.res_model].with_user(self.users[role])
                    views = model.get_views(
                        [(False, mode) for mode in [*modes, "search"]]
                    )["views"]
                    self.assertEqual(set(views), {*modes, "search"})
                    records = model.search([])
                    self.assertTrue(records)
                    for mode in {"list", "form"} & set(modes):
                        names = {
                            field.get("name")
                            for field in etree.fromstring(views[mode]["arch"]).iter(
                                "field"
                            )
                            if field.get("name") in model._fields
                        }
                        records.read(names)

    def test_the_menu_of_payloads_is_hidden_from_operators(self):
        menu = self.env.ref("qms_sop.qms_alert_delivery_menu")
        for role, visible in (("operator", False), ("manager", True)):
            found = self.env["ir.ui.menu"].with_user(self.users[role])
            self.assertEqual(menu.id in found._visible_menu_ids(), visible, role)

    def test_buttons_by_role(self):
        for model, button, roles in (
            ("qms.alert", "action_process", ("operator", "author", "manager")),
            ("qms.alert.delivery", "action_process", ("manager",)),
            ("qms.maintenance.window", "action_end", ("operator", "author", "manager")),
            ("qms.alert.source", "action_new_secret", ("manager",)),
        ):
            for role in ("operator", "author", "manager", "auditor"):
                views = self.env[model].with_user(self.users[role])
                try:
                    arch = views.get_view(view_type="form")["arch"]
                except AccessError:
                    self.assertEqual((model, role[0]), ("qms.alert.delivery", role[0]))
                    continue
                names = {
                    node.get("name") for node in etree.fromstring(arch).iter("button")
                }
                with self.subTest(model=model, role=role):
                    self.assertEqual(button in names, role in roles)

    def test_from_alert_to_run_and_back(self):
        one, two = self.deliver(self.alert(), self.alert(fingerprint="x"))
        run = one.run_id
        self.assertEqual(one.action_open_run()["res_id"], run.id)
        self.assertEqual(run.action_view_alerts()["res_id"], one.id)
        two.sudo().run_id = run
        run.invalidate_recordset()
        found = self.env["qms.alert"].search(run.action_view_alerts()["domain"])
        self.assertEqual(found, one | two)
        source = self.generic.action_view_alerts()
        self.assertIn(one, self.env["qms.alert"].search(source["domain"]))

    def test_sources_show_what_to_copy(self):
        self.assertIn(self.alertmanager.url, self.alertmanager.example_config)
        self.assertIn("credentials_file", self.alertmanager.example_config)
        self.assertIn(self.generic.url, self.generic.example_config)
        for source in (self.alertmanager, self.generic):
            reports, problems = source._read(source.example_payload)
            self.assertEqual((len(reports), problems), (1, []))

    def test_labels_are_escaped(self):
        alert = self.deliver(
            self.alert(
                title="<b>Disk</b>",
                labels={"<i>": "<script>alert(1)</script>"},
                annotations={"a": "<img src=x onerror=alert(1)>"},
            )
        )
        for text in (alert.labels_html, alert.annotations_html):
            tree = html.fromstring(f"<div>{text}</div>")
            self.assertFalse(tree.xpath("//script|//img|//i"))
        self.deliver(self.alert(title="<b>Disk</b>", status="ok"))
        self.assertIn("&lt;b&gt;Disk", str(alert.run_id.message_ids[:1].body))

    def test_picking_a_sop_keeps_its_code(self):
        form = Form(self.env["qms.alert.rule"].with_user(self.manager))
        form.name = "Mine"
        form.sop_id = self.sop
        rule = form.save()
        self.assertEqual(rule.sop_code, self.sop.code)
        self.assertEqual(rule.sop_words, self.sop.code)
        rule.sop_label = "sop"
        self.assertEqual(rule.sop_words, f"what sop says, else {self.sop.code}")

    def test_conditions_in_words(self):
        rule = self.rule(("a", "=", "1"), ("b", "=~", "x.*"), ("c", "!=", False))
        self.assertEqual(rule.conditions, "a is 1, b matches x.*, any c")
        self.assertEqual(self.rule(("d", "=", False)).conditions, "no d")
        self.assertEqual(self.rule().conditions, "Every alert")


@tagged("post_install", "-at_install")
class TestTry(AlertCommon):
    """The dialog that tells what would become of a payload."""

    def result(self, *alerts, source=None, role="operator"):
        form = Form(self.env["qms.alert.test"].with_user(self.users[role]))
        form.source_id = source or self.generic
        form.payload = json.dumps(alerts or [self.alert()])
        return html.fromstring(f"<div>{form.result}</div>").text_content()

    def test_a_run(self):
        self.rule(sop_code=self.sop.code)
        before = self.env["qms.alert"].search_count([])
        self.assertIn(
            "A run of SOP-TEST-001 is opened, error code DISK_FULL, severity Medium.",
            " ".join(
                self.result(
                    self.alert(description="No space left on device", severity="warn")
                ).split()
            ),
        )
        self.assertEqual(self.env["qms.alert"].search_count([]), before)
        self.assertFalse(self.deliveries())

    def test_it_says_what_delivering_does(self):
        other = self.approved_sop("SOP-OTHER-001")
        self.rule(("host", "=", "a"), action="ignore")
        self.rule(("host", "=", "b"), action="group", sop_code=other.code)
        self.rule(("host", "=", "c"), sop_label="sop", sop_code=self.sop.code)
        self.window(("host", "=", "m"))
        for host, words in (
            ("a", "ignores it"),
            ("b", "An open run of SOP-OTHER-001 is joined"),
            ("c", "There is no approved SOP SOP-GONE-001"),
            ("m", "maintenance window “New disks” covers it"),
            ("z", "the SOP of the source"),
        ):
            alert = self.alert(
                fingerprint=host, labels={"host": host, "sop": "SOP-GONE-001"}
            )
            with self.subTest(host):
                self.assertIn(words, self.result(alert))

    def test_what_cannot_be_read(self):
        self.assertIn("finds nothing", self.result({"labels": {}}))
        self.assertIn(
            "not what Alertmanager sends", self.result({}, source=self.alertmanager)
        )
        self.assertIn("It is over", self.result(self.alert(status="ok")))
        self.assertIn("Disk full", self.result(role="auditor"))
