from datetime import timedelta

from odoo import fields
from odoo.fields import Command
from odoo.tests import HttpCase, tagged

from .common import QmsIncidentCommon


@tagged("post_install", "-at_install")
class TestQmsIncidentDashboardTour(QmsIncidentCommon, HttpCase):
    """The dashboard in a real browser, as an auditor sees it."""

    def test_from_a_figure_to_what_it_is_made_of(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        (self.operator | self.users["auditor"]).write(
            {"company_ids": [Command.set(company.ids)], "company_id": company.id}
        )
        detected = fields.Datetime.now() - timedelta(hours=3)
        resolved, _open = (
            self.env["qms.incident"]
            .with_user(self.operator)
            .create(
                [
                    {
                        "title": title,
                        "severity_id": self.env.ref("qms_error_code.severity_high").id,
                        "detected_at": detected,
                    }
                    for title in ("Logins fail", "Search finds nothing")
                ]
            )
        )
        resolved.write({"state": "triaged", "triaged_at": detected})
        moment = detected + timedelta(minutes=90)
        resolved.write({"state": "resolved", "resolved_at": moment})
        self.start_tour(
            "/odoo/qms-incident-dashboard",
            "qms_incident_dashboard_tour",
            login="qms_auditor",
        )
