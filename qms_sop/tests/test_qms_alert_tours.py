from odoo.tests import HttpCase, tagged

from .test_qms_alert import AlertCommon


@tagged("post_install", "-at_install")
class TestAlertTours(AlertCommon, HttpCase):
    """Alerts in a real browser."""

    def test_operator(self):
        self.env["qms.alert"].search([("status", "=", "firing")]).status = "resolved"
        alert = self.deliver()
        self.start_tour(
            "/odoo/qms-alerts", "qms_alert_operator_tour", login="qms_operator"
        )
        window = self.env["qms.maintenance.window"].search([], limit=1)
        self.assertEqual(window.name, "New disks for db1")
        self.assertEqual((window.state, window.user_id), ("over", self.operator))
        self.assertEqual(window.systems, "host is db1")
        self.assertEqual(alert.state, "processed")

    def test_manager(self):
        self.start_tour(
            "/odoo/qms-alert-sources", "qms_alert_manager_tour", login="qms_manager"
        )
        self.assertTrue(self.generic.is_signed)
        self.assertTrue(self.generic.signing_secret.startswith("whsec_"))
