from datetime import timedelta

from odoo import fields
from odoo.tests import HttpCase, new_test_user, tagged

from .common import GROUPS, QmsSopCommon


@tagged("post_install", "-at_install")
class TestQmsSopApi(QmsSopCommon, HttpCase):
    def key(self, user):
        return (
            self.env["res.users.apikeys"]
            .with_user(user)
            .sudo()
            ._generate("rpc", "test", fields.Datetime.now() + timedelta(days=1))
        )

    def get(self, path, user=None, method="GET"):
        headers = {"Authorization": f"Bearer {self.key(user)}"} if user else {}
        return self.url_open(f"/api/v1/{path}", headers=headers, method=method)

    def assert_problem(self, response, status):
        self.assertEqual(response.status_code, status)
        self.assertEqual(response.headers["Content-Type"], "application/problem+json")
        body = response.json()
        self.assertEqual(body["status"], status)
        self.assertTrue(body["type"].startswith("urn:qms:problem:"))
        self.assertTrue(body["detail"])
        self.assertNotIn("Traceback", response.text)
        self.assertNotIn("<p>", body["detail"])
        return body

    def test_get_run(self):
        run = self.start_run(error_code="DB_CONNECTION_LEAK", summary="Pool empty")
        for role in ("operator", "auditor", "automation"):
            with self.subTest(role):
                response = self.get(f"sop-runs/{run.id}", self.users[role])
                self.assertEqual(response.status_code, 200)
                body = response.json()
                self.assertEqual(body["state"], "in_progress")
                self.assertEqual(body["severity"], "high")
                self.assertEqual(body["sop_code"], "SOP-TEST-001")
                self.assertIsNone(body["end_time"])
                self.assertIsNone(body["duration_minutes"])

    def test_no_key_and_wrong_key(self):
        run = self.start_run()
        response = self.get(f"sop-runs/{run.id}")
        self.assert_problem(response, 401)
        self.assertIn("bearer", response.headers["WWW-Authenticate"].lower())
        response = self.url_open(
            f"/api/v1/sop-runs/{run.id}", headers={"Authorization": "Bearer wrong"}
        )
        self.assert_problem(response, 401)

    def test_forbidden(self):
        run = self.start_run()
        stranger = new_test_user(self.env, login="qms_none", groups="base.group_user")
        self.assert_problem(self.get(f"sop-runs/{run.id}", stranger), 403)
        company = self.env["res.company"].create({"name": "Elsewhere"})
        outsider = new_test_user(
            self.env,
            login="qms_out",
            groups=GROUPS["operator"],
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        # Another company's runs do not exist for those who cannot see them.
        self.assert_problem(self.get(f"sop-runs/{run.id}", outsider), 404)

    def test_not_found(self):
        for path in ("sop-runs/2000000000", "sop-runs/0"):
            with self.subTest(path):
                self.assert_problem(self.get(path, self.operator), 404)
        for path in ("nothing/here", "", "sop-runs/st_wrong"):
            with self.subTest(path):
                self.assert_problem(self.get(path), 404)
        self.assert_problem(self.get("sop-runs/nonsense"), 401)
        self.assert_problem(self.get("sop-runs/nonsense", self.operator), 404)
        digits = "9" * 5_000
        self.assert_problem(self.get(f"sop-runs/{digits}", self.operator), 404)

    def test_wrong_method(self):
        run = self.start_run()
        for method in ("POST", "PUT", "DELETE", "TRACE"):
            with self.subTest(method):
                response = self.get(f"sop-runs/{run.id}", self.operator, method)
                self.assert_problem(response, 405)
                self.assertIn("GET", response.headers["Allow"])

    def test_options_runs_no_handler(self):
        response = self.get("sop-runs/2000000000", self.operator, "OPTIONS")
        self.assertEqual(response.status_code, 204)
        self.assertEqual(response.headers["Allow"], "GET, HEAD, OPTIONS, PATCH")

    def test_status_link(self):
        run = self.start_run(summary="Confidential", error_code="DB_DEADLOCK")
        path = run.status_url.partition("/api/v1/")[2]
        response = self.get(path)
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.json(), {"state": "in_progress"})
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        run.action_revoke_status_link()
        self.assert_problem(self.get(path), 404)
        run.action_new_status_link()
        self.assert_problem(self.get(path), 404)
        self.assertEqual(
            self.get(run.status_url.partition("/api/v1/")[2]).json(),
            {"state": "in_progress"},
        )

    def test_status_link_survives_the_end(self):
        run = self.work(self.start_run())
        run.complete("Ok.")
        path = run.status_url.partition("/api/v1/")[2]
        self.assertEqual(self.get(path).json(), {"state": "completed"})
        run.action_revoke_status_link()
        self.assert_problem(self.get(path), 404)
