from odoo.tests import HttpCase, tagged

from .common import QmsIncidentCommon


@tagged("post_install", "-at_install")
class TestQmsPostmortemTour(QmsIncidentCommon, HttpCase):
    """A post-mortem as people write and publish it, in a real browser."""

    def test_from_the_incident_to_what_is_published(self):
        incident = self.open(title="Reports are late", severity="low")
        for state in ("triaged", "resolved"):
            incident.move(state)
        self.start_tour(
            f"/odoo/qms-incidents/{incident.id}",
            "qms_postmortem_tour",
            login=self.operator.login,
        )
        postmortem = incident.postmortem_id
        self.assertRecordValues(
            postmortem,
            [
                {
                    "state": "published",
                    "kind": "quick",
                    "title": "Reports are late",
                    "summary": "Reports were late for an hour",
                    "published_by_id": self.operator.id,
                }
            ],
        )
        self.assertTrue(postmortem.signature_ids.valid)
