from datetime import timedelta
from unittest.mock import patch

import psycopg2

from odoo import fields
from odoo.tests import new_test_user, tagged

from ..models.ir_cron import FAILURE_LIMIT, LATE_LIMIT
from ..schemas.health import Health, QueueHealth
from .api_common import QmsApiCase


@tagged("post_install", "-at_install")
class TestApiHealth(QmsApiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # In a database for tests, nobody runs jobs.
        cls.jobs = cls.env["ir.cron"].browse(
            cls.env["ir.model.data"]
            .search([("model", "=", "ir.cron"), ("module", "=like", "qms_%")])
            .mapped("res_id")
        )
        cls.jobs.write(
            {
                "nextcall": fields.Datetime.now() + timedelta(hours=1),
                "failure_count": 0,
            }
        )
        cls.job = cls.env.ref("qms_sop.ir_cron_add_up_metrics")

    def test_health(self):
        for path in ("health", "health/db"):
            with self.subTest(path):
                response = self.call("GET", path)
                self.assertEqual(response.status_code, 200, response.text)
                self.assertEqual(response.json(), {"status": "pass"})
                self.assert_valid(Health, response.json())
                self.assertEqual(response.headers["Cache-Control"], "no-store")
                self.assertNotIn("Set-Cookie", response.headers)

    def test_a_database_that_does_not_answer(self):
        cursor = type(self.env.cr)
        execute = cursor.execute

        def fail(self, query, *arguments, **options):
            if str(query) == "SELECT 1":
                raise psycopg2.OperationalError("server closed the connection")
            return execute(self, query, *arguments, **options)

        with patch.object(cursor, "execute", fail):
            response = self.call("GET", "health/db")
        self.assert_problem(response, 503, "unavailable")
        self.assertIn("Retry-After", response.headers)

    def test_jobs_that_run(self):
        response = self.call("GET", "health/queue")
        self.assertEqual(response.status_code, 200, response.text)
        self.assertEqual(response.json(), {"status": "pass"})

    def test_a_job_that_is_late(self):
        now = fields.Datetime.now()
        self.job.nextcall = now - timedelta(seconds=LATE_LIMIT - 60)
        self.assertEqual(self.call("GET", "health/queue").status_code, 200)
        self.job.nextcall = now - timedelta(seconds=LATE_LIMIT + 60)
        response = self.call("GET", "health/queue")
        self.assertEqual(response.status_code, 503)
        self.assertEqual(response.json(), {"status": "fail"})
        # One that is switched off is not awaited.
        self.job.active = False
        self.assertEqual(self.call("GET", "health/queue").status_code, 200)

    def test_a_job_that_fails_again_and_again(self):
        self.job.failure_count = FAILURE_LIMIT - 1
        self.assertEqual(self.call("GET", "health/queue").status_code, 200)
        self.job.failure_count = FAILURE_LIMIT
        self.assertEqual(self.call("GET", "health/queue").status_code, 503)

    def test_jobs_of_others_do_not_count(self):
        other = self.env["ir.cron"].search([("id", "not in", self.jobs.ids)], limit=1)
        other.nextcall = fields.Datetime.now() - timedelta(days=9)
        self.assertEqual(self.call("GET", "health/queue").status_code, 200)

    def test_details_are_for_those_with_a_role(self):
        self.job.nextcall = fields.Datetime.now() - timedelta(hours=1)
        for role, user in self.users.items():
            with self.subTest(role):
                response = self.call("GET", "health/queue", user)
                self.assertEqual(response.status_code, 503)
                self.assert_valid(QueueHealth, response.json())
                jobs = {job["name"]: job for job in response.json()["jobs"]}
                self.assertEqual(len(jobs), len(self.jobs))
                late = jobs["add_up_metrics"]
                self.assertEqual(late["status"], "fail")
                self.assertAlmostEqual(late["late_seconds"], 3600, delta=60)
                self.assertEqual(jobs["announce_reviews"]["status"], "pass")
        stranger = new_test_user(self.env, login="qms_none", groups="base.group_user")
        self.assertEqual(
            self.call("GET", "health/queue", stranger).json(), {"status": "fail"}
        )

    def test_a_wrong_key_is_refused(self):
        for path in ("health/queue", "metrics"):
            response = self.call("GET", path, headers={"Authorization": "Bearer wrong"})
            self.assert_problem(response, 401)
            self.assertIn("bearer", response.headers["WWW-Authenticate"].lower())
