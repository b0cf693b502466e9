from odoo.tests import HttpCase, tagged

from .common import QmsIncidentCommon


@tagged("post_install", "-at_install")
class TestQmsIncidentTours(QmsIncidentCommon, HttpCase):
    """Incidents as people work them, in a real browser."""

    def test_open_update_resolve_review_close(self):
        self.env["qms.incident"].search([]).active = False
        self.start_tour("/odoo/qms-incidents", "qms_incident_tour", login="qms_manager")
        incident = self.env["qms.incident"].search([])
        self.assertRecordValues(
            incident,
            [
                {
                    "title": "Schedules cannot be generated",
                    "state": "closed",
                    "severity": "low",
                    "users_affected": 0,
                    "public_status": "The disturbance is over",
                    "override_reason": "A drill, nothing to learn",
                }
            ],
        )
        self.assertEqual(
            incident.update_ids.message, "Schedules can be generated again"
        )
        self.assertEqual(incident.signature_ids.user_id, self.manager)
