from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import Form, HttpCase, freeze_time, tagged

from .test_qms_sop_run_clock import ClockCase, after


@tagged("post_install", "-at_install")
class TestClockViews(ClockCase):
    def dialog(self, run, user=None):
        return (
            self.env["qms.sop.run.times"]
            .with_user(user or self.operator)
            .with_context(default_run_id=run.id)
        )

    def test_correcting_times(self):
        run = self.open_run("high")
        with freeze_time(after(30)):
            run.acknowledge()
            form = Form(self.dialog(run))
            self.assertEqual(form.acknowledged_at, after(30))
            form.mitigated_at = after(20)
            form.reason = "Says the proxy"
            form.save().action_confirm()
        self.assertEqual(run.mitigated_at, after(20))
        self.assertEqual(run.acknowledged_at, after(30), "left as it was")

    def test_what_others_told_meanwhile_stays(self):
        run = self.open_run("high")
        with freeze_time(after(30)):
            form = Form(self.dialog(run))
            form.occurred_at = after(-5)
            form.reason = "Says the log"
            run.acknowledge()
            form.save().action_confirm()
        self.assertEqual(run.acknowledged_at, after(30))
        self.assertEqual(run.occurred_at, after(-5))

    def test_no_reason_no_correction(self):
        run = self.open_run("high")
        with freeze_time(after(30)):
            wizard = self.dialog(run).create({"occurred_at": after(-5), "reason": " "})
            with self.assertRaisesRegex(ValidationError, "reason"):
                wizard.action_confirm()

    def test_auditors_have_no_dialog(self):
        run = self.open_run("high")
        with self.assertRaises(AccessError):
            self.dialog(run, self.users["auditor"]).create({"reason": "No"})

    def test_filters(self):
        with freeze_time(fields.Datetime.now() - timedelta(minutes=20)):
            late = self.start_run(severity="critical")
        fine = self.start_run(severity="critical")
        (late | fine).flush_recordset()
        view = self.env.ref("qms_sop.qms_sop_run_view_search")
        arch = self.env["qms.sop.run"].get_view(view.id, "search")["arch"]
        for name in ("overdue", "sla_breached"):
            self.assertIn(f'name="{name}"', arch)
        ids = (late | fine).ids
        for domain in (
            [("next_deadline", "<", "now")],
            [("sla", "=", "breached")],
            [("sla", "not in", ["running", "met"])],
        ):
            found = self.env["qms.sop.run"].search([("id", "in", ids), *domain])
            self.assertEqual(found, late, domain)

    def test_the_setting_is_checked(self):
        for value in (0, 100, -5):
            with self.assertRaisesRegex(ValidationError, "1 to 99"):
                self.env["res.config.settings"].create(
                    {"qms_sla_at_risk_percent": value}
                )
        settings = self.env["res.config.settings"].create(
            {"qms_sla_at_risk_percent": 60}
        )
        settings.execute()
        self.assertEqual(self.open_run("high").response_at_risk_at, after(36))


@tagged("post_install", "-at_install")
class TestClockTour(ClockCase, HttpCase):
    def test_tour(self):
        with freeze_time(fields.Datetime.now() - timedelta(minutes=17)):
            run = self.start_run(severity="critical", summary="Clock tour")
        self.start_tour("/odoo/qms-runs", "qms_clock_tour", login="qms_operator")
        self.assertEqual(run.acknowledged_by_id, self.operator)
        self.assertTrue(run.mitigated_at)
        self.assertEqual(run.response_sla, "breached")
