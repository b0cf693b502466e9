from odoo.tests import tagged

from odoo.addons.qms_sop.tests.api_common import QmsApiCase

from ..schemas.metrics import IncidentMetrics


@tagged("post_install", "-at_install")
class TestApiIncidentMetrics(QmsApiCase):
    def get(self, query="", user=None):
        return self.call("GET", f"incident-metrics{query}", user or self.operator)

    def open(self, **values):
        incidents = self.env["qms.incident"].with_user(self.operator)
        values = {"title": "Logins fail", "severity": "high", **values}
        return incidents.browse(incidents.open_incident(**values)["id"])

    def test_figures_of_a_period(self):
        # Years before anything that demo data has
        self.open(
            occurred_at="2019-03-01T09:50:00Z", detected_at="2019-03-01T10:00:00Z"
        )
        self.open(
            severity="low",
            error_code="DB_DEADLOCK",
            occurred_at="2019-03-30T09:30:00Z",
            detected_at="2019-03-30T10:00:00Z",
        )
        self.open(detected_at="2019-04-02T10:00:00Z")
        response = self.get("?since=2019-03-01&until=2019-03-31")
        self.assertEqual(response.status_code, 200, response.text)
        told = response.json()
        self.assert_valid(IncidentMetrics, told)
        self.assertEqual(told["incidents"], 2)
        self.assertEqual(told["durations"]["detect"]["mean"], 20)
        self.assertIsNone(told["durations"]["resolve"]["mean"])
        self.assertEqual([one["month"] for one in told["months"]], ["2019-03"])
        self.assertEqual(told["months"][0]["by_severity"]["low"], 1)
        self.assertIn("triage", told["definitions"]["mtta"]["definition"])
        for query, count in (
            ("severity=P1", 1),
            ("severity=low,high", 2),
            ("severity=critical", 0),
            ("error_code=db_deadlock", 1),
            ("category=DATABASE", 1),
            ("sop=SOP-TEST-001", 0),
        ):
            with self.subTest(query):
                response = self.get(f"?since=2019-03-01&until=2019-03-31&{query}")
                self.assert_valid(IncidentMetrics, response.json())
                self.assertEqual(response.json()["incidents"], count)

    def test_what_is_wrong_is_named(self):
        for query, field in (
            ("since=yesterday", "since"),
            ("until=2026-02-30", "until"),
            ("since=2026-02-02&until=2026-02-01", "until"),
            ("since=1700000000", "since"),
            ("since=0000-00-00", "since"),
            ("severity=worst", "severity"),
            ("category=NONE_SUCH", "category"),
            ("error_code=NONE_SUCH", "error_code"),
            ("sop=SOP-NONE", "sop"),
            ("month=2026-02", "month"),
        ):
            with self.subTest(query):
                self.assert_problem(self.get(f"?{query}"), 422, field=field)

    def test_needs_a_role(self):
        self.assertEqual(self.call("GET", "incident-metrics").status_code, 401)
        for role in ("auditor", "automation"):
            self.assertEqual(self.get(user=self.users[role]).status_code, 200)
        nobody = self.env["res.users"].create({"name": "x", "login": "qms_nobody"})
        self.assertEqual(self.get(user=nobody).status_code, 403)
