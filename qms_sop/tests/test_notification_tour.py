from odoo.tests import HttpCase, tagged

from .notification_common import NotificationCommon


@tagged("post_install", "-at_install")
class TestNotificationTour(NotificationCommon, HttpCase):
    """Channels, texts and the outbox in a real browser."""

    def test_manager(self):
        dead = self.enqueue(
            self.start_run(summary="Slow logins"), channels=self.channel(name="Old")
        )
        dead.write({"state": "dead", "error": "error=503", "attempts": 9})
        self.start_tour(
            "/odoo/qms-notification-channels",
            "qms_notification_tour",
            login="qms_manager",
        )
        channel = self.env["qms.notification.channel"].search(
            [("name", "=", "Status page")]
        )
        self.assertEqual(channel.sudo().address, "json://127.0.0.1:9/secret-path")
        self.assertEqual(channel.template_ids.code, "run_opened")
        self.assertEqual((dead.state, dead.attempts, dead.error), ("pending", 0, False))
