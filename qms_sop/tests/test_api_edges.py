import random

from odoo.tests import tagged
from odoo.tools import mute_logger

from .api_common import QmsApiCase


@tagged("post_install", "-at_install")
class TestApiEdges(QmsApiCase):
    """Values at the edge of what there is, which generated calls came upon."""

    def test_numbers_are_no_times(self):
        for value, status in (
            ("2026-03-01T09:30:00Z", 200),
            ("2026-03-01T09:30:00%2B02:00", 200),
            ("0.5", 422),
            ("1700000000", 422),
            ("0001-01-01T00:00:00%2B14:00", 422),
        ):
            with self.subTest(value):
                path = f"sop-runs?started_before={value}"
                response = self.call("GET", path, self.operator)
                if status == 200:
                    self.assertEqual(response.status_code, 200, response.text)
                else:
                    self.assert_problem(response, 422, field="started_before")

    def test_a_filter_without_a_value_is_a_mistake(self):
        for name in ("state", "severity", "include", "fields"):
            with self.subTest(name):
                for value in ("", "%20", ","):
                    response = self.call(
                        "GET", f"sop-runs?{name}={value}", self.operator
                    )
                    self.assert_problem(response, 422, field=f"{name}.0")

    @mute_logger("odoo.sql_db", "odoo.http")
    def test_a_text_that_no_index_can_hold(self):
        letters = random.Random(1)
        key = "".join(chr(letters.randint(0x4E00, 0x9FFF)) for _ in range(1000))
        response = self.call(
            "POST",
            "sop-runs",
            self.operator,
            {"sop_code": "SOP-TEST-001", "dedup_key": key},
        )
        self.assert_problem(response, 422)

    def test_evidence_as_what_it_is(self):
        run = self.start_run()
        evidence = run.add_evidence("a.txt", "aGVsbG8=")
        for accept in ("text/plain", "*/*", "image/png"):
            response = self.call(
                "GET",
                f"sop-runs/{run.id}/evidence/{evidence['id']}/content",
                self.operator,
                headers={"Accept": accept},
            )
            self.assertEqual(response.status_code, 200, response.text)
            self.assertTrue(response.headers["Content-Type"].startswith("text/plain"))

    def test_many_runs_with_all_their_parts(self):
        for _number in range(2):
            run = self.start_run()
            run.log_error("deadlock detected")
            run.add_evidence("a.txt", "aGVsbG8=")
            run.record_rca("Two locks in two orders")
        body = self.call(
            "GET", "sop-runs?include=steps,errors,evidence,rca", self.operator
        )
        self.assertEqual(body.status_code, 200, body.text)
        self.assertEqual(len(body.json()["items"][1]["evidence"]), 1)
