from datetime import datetime, timedelta

from odoo.tests import tagged

from ..schemas import sop_runs as schemas
from .api_common import QmsApiCase


@tagged("post_install", "-at_install")
class TestApiRunClocks(QmsApiCase):
    """Clocks and times over REST; responses are held against their models."""

    def ago(self, minutes):
        moment = datetime.now() - timedelta(minutes=minutes)
        return f"{moment.isoformat(timespec='seconds')}Z"

    def open_run(self, severity="critical", **values):
        response = self.call(
            "POST",
            "sop-runs",
            self.operator,
            {"sop_code": "SOP-TEST-001", "severity": severity, **values},
        )
        self.assertEqual(response.status_code, 201, response.text)
        self.assert_valid(schemas.OpenedRun, response.json())
        return response.json()

    def reach(self, run, user=None, status=200, **values):
        path = f"sop-runs/{run['id']}/milestones"
        response = self.call("POST", path, user or self.operator, values)
        self.assertEqual(response.status_code, status, response.text)
        if status == 200:
            self.assert_valid(schemas.Run, response.json())
        return response.json()

    def correct(self, run, status=200, **values):
        path = f"sop-runs/{run['id']}"
        response = self.call("PATCH", path, self.operator, values)
        self.assertEqual(response.status_code, status, response.text)
        return response.json()

    def test_a_run_tells_its_clocks(self):
        opened = self.open_run(occurred_at=self.ago(25), detected_at=self.ago(20))
        run = self.call("GET", f"sop-runs/{opened['id']}", self.operator).json()
        self.assert_valid(schemas.Run, run)
        self.assertEqual(run["sla"], "breached")
        self.assertAlmostEqual(run["time_to_detect_minutes"], 5, delta=0.2)
        self.assertIsNone(run["time_to_acknowledge_minutes"])
        self.assertEqual(run["clocks"]["response"]["state"], "breached")
        self.assertAlmostEqual(
            run["clocks"]["response"]["remaining_minutes"], -5, delta=1
        )
        self.assertEqual(run["clocks"]["resolution"]["state"], "running")
        self.assertEqual(run["next_deadline"], run["clocks"]["response"]["deadline"])

    def test_milestones(self):
        run = self.open_run()
        body = self.reach(run, milestone="acknowledged")
        self.assertEqual(body["acknowledged_by_id"], self.operator.id)
        self.assertEqual(body["clocks"]["response"]["state"], "met")
        self.assertIsNone(body["clocks"]["response"]["remaining_minutes"])
        self.reach(run, milestone="mitigated")
        body = self.reach(run, milestone="resolved")
        self.assertEqual(body["sla"], "met")
        problem = self.reach(run, milestone="resolved", status=422)
        self.assertEqual(problem["errors"][0]["field"], "milestone")

    def test_milestones_refused(self):
        run = self.open_run(detected_at=self.ago(20))
        problem = self.reach(run, milestone="acknowledged", at=self.ago(10), status=422)
        self.assertEqual(problem["errors"][0]["field"], "reason")
        self.reach(
            run, milestone="acknowledged", at=self.ago(30), reason="x", status=422
        )
        self.reach(run, milestone="acknowledged", at=self.ago(-9), status=422)
        self.reach(run, milestone="acknowledged", at="yesterday", status=422)
        self.reach(run, milestone="acknowledged", at=1767225600, status=422)
        self.reach(run, milestone="closed", status=422)
        self.reach(run, milestone="acknowledged", at="9999-12-31T00:00:00Z", status=422)
        auditor = self.users["auditor"]
        self.reach(run, auditor, milestone="acknowledged", status=403)
        body = self.reach(
            run, milestone="acknowledged", at=self.ago(10), reason="On the phone"
        )
        self.assertAlmostEqual(body["time_to_acknowledge_minutes"], 10, delta=0.2)

    def test_corrections(self):
        run = self.open_run()
        moment = self.ago(30)
        problem = self.correct(run, detected_at=moment, status=422)
        self.assertEqual(problem["errors"][0]["field"], "reason")
        body = self.correct(
            run, detected_at=moment, summary="Pool is empty", reason="Seen in the log"
        )
        self.assert_valid(schemas.Run, body)
        self.assertEqual(body["detected_at"], moment)
        self.assertEqual(body["summary"], "Pool is empty")
        self.assertEqual(body["sla"], "breached")
        self.correct(run, reason="Nothing else", status=422)
        self.correct(
            run,
            mitigated_at=self.ago(60),
            resolved_at=self.ago(70),
            reason="Wrong",
            status=422,
        )
        self.correct(run, mitigated_at=self.ago(5), reason="Proxy")
        body = self.correct(run, mitigated_at=None, reason="It came back")
        self.assertIsNone(body["mitigated_at"])

    def test_a_running_clock_is_never_unmodified(self):
        run = self.open_run()
        path = f"sop-runs/{run['id']}"
        etag = self.call("GET", path, self.operator).headers["ETag"]
        headers = {"If-None-Match": etag}
        response = self.call("GET", path, self.operator, headers=headers)
        self.assertEqual(response.status_code, 200, "it has less time left by now")
        self.assertEqual(response.headers["ETag"], etag)
        for milestone in ("mitigated", "resolved"):
            self.reach(run, milestone=milestone)
        headers = {
            "If-None-Match": self.call("GET", path, self.operator).headers["ETag"]
        }
        response = self.call("GET", path, self.operator, headers=headers)
        self.assertEqual(response.status_code, 304)

    def test_list_by_clock(self):
        late = self.open_run(source="sla-list", detected_at=self.ago(20))
        self.open_run(source="sla-list")
        found = self.call("GET", "sop-runs?q=sla-list&sla=breached", self.operator)
        self.assertEqual([item["id"] for item in found.json()["items"]], [late["id"]])
        found = self.call("GET", "sop-runs?sla=late", self.operator)
        self.assertEqual(found.status_code, 422)
