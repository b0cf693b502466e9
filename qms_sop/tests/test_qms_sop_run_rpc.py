import json
import xmlrpc.client

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .common import QmsSopCommon


@tagged("post_install", "-at_install")
class TestQmsSopRunRpc(QmsSopCommon):
    """What scripts and pipelines call."""

    @property
    def runs(self):
        return self.env["qms.sop.run"].with_user(self.users["automation"])

    def test_start_run(self):
        answer = self.runs.start_run(
            "SOP-TRIAGE-001",
            error_code="DB_CONNECTION_LEAK",
            severity="P0",
            trigger="automated",
            source="pipeline 42",
        )
        run = self.runs.browse(answer["id"])
        self.assertEqual(answer["state"], "in_progress")
        self.assertEqual(answer["severity"], "critical")
        self.assertEqual(answer["category"], "DATABASE")
        self.assertEqual(answer["name"], run.name)
        self.assertEqual(len(answer["steps"]), 6)
        self.assertEqual(answer["steps"][0]["number"], 1)
        self.assertTrue(answer["url"].endswith(f"/qms-runs/{run.id}"))
        self.assertIn(run.status_token, answer["status_url"])
        self.assertFalse(answer["existing"])
        self.assertRegex(answer["start_time"], r"^\d{4}-\d\d-\d\dT[\d:]+Z$")

    def test_answers_have_no_none(self):
        """XML-RPC without allow_none fails on None, after the commit."""
        answer = self.runs.start_run("SOP-TEST-001")
        run = self.runs.browse(answer["id"])
        for value in (
            answer,
            run.get_run(),
            run.log_error("x"),
            run.add_evidence("a", "eA==", classify=True),
            run.record_rca("y"),
            self.runs.find_open_run("nothing"),
            run.step_ids[0].start(),
        ):
            self.assertTrue(xmlrpc.client.dumps((value,)))
            self.assertTrue(json.dumps(value))

    def test_empty_is_not_given(self):
        answer = self.runs.start_run("SOP-TEST-001", error_code="", severity="")
        self.assertIs(answer["severity"], False)
        self.assertIs(answer["error_code"], False)

    def test_classified_from_text(self):
        answer = self.runs.start_run(
            "SOP-TEST-001",
            log_text="2025-11-01 ERROR psycopg2.pool.PoolError: "
            "connection pool exhausted\n",
        )
        self.assertTrue(answer["error_code"])
        self.assertEqual(answer["category"], "DATABASE")
        self.assertTrue(answer["severity"])

    def test_refusals_name_what_is_accepted(self):
        self.draft_sop("SOP-DRAFT-002")
        for call, message in (
            (("SOP-NONE-001",), "SOP-TRIAGE-001"),
            (("SOP-DRAFT-002",), "1.0.0 draft"),
            (("SOP-TEST-001", "DB_CONECTION_LEAK"), "DB_CONNECTION_LEAK"),
            (("SOP-TEST-001", None, "urgent"), "critical"),
            (("SOP-TEST-001", None, None, "NETWORKING"), "INFRASTRUCTURE"),
            (("SOP-TEST-001", None, None, None, "chance"), "scheduled"),
            ((7,), "sop_code"),
            ((), "sop_code"),
        ):
            with self.subTest(call=call), self.assertRaises(ValidationError) as caught:
                self.runs.start_run(*call)
            self.assertIn(message, str(caught.exception))
        with self.assertRaisesRegex(ValidationError, "Accepted arguments: sop_code"):
            self.runs.start_run("SOP-TEST-001", prio="high")

    def test_one_run_per_outage(self):
        first = self.runs.start_run("SOP-TEST-001", dedup_key="https://x/health")
        again = self.runs.start_run("SOP-TEST-001", dedup_key="https://x/health")
        self.assertEqual(again["id"], first["id"])
        self.assertTrue(again["existing"])
        self.assertEqual(self.runs.find_open_run("https://x/health")["id"], first["id"])
        self.runs.browse(first["id"]).cancel("False alarm.")
        later = self.runs.start_run("SOP-TEST-001", dedup_key="https://x/health")
        self.assertNotEqual(later["id"], first["id"])

    def test_idempotency_key(self):
        first = self.runs.start_run("SOP-TEST-001", idempotency_key="k1")
        again = self.runs.start_run("SOP-TEST-001", idempotency_key="k1")
        self.assertEqual(first, again)
        run = self.runs.browse(first["id"])
        self.assertEqual(
            run.log_error("Twice?", idempotency_key="k2"),
            run.log_error("Twice?", idempotency_key="k2"),
        )
        self.assertEqual(len(run.error_ids), 1)
        with self.assertRaisesRegex(ValidationError, "another request"):
            self.runs.start_run("SOP-TRIAGE-001", idempotency_key="k1")
        other = self.env["qms.sop.run"].with_user(self.operator)
        self.assertNotEqual(
            other.start_run("SOP-TEST-001", idempotency_key="k1")["id"], first["id"]
        )

    def test_idempotency_keys_are_pruned(self):
        self.runs.start_run("SOP-TEST-001", idempotency_key="old")
        self.runs.start_run("SOP-TEST-001", idempotency_key="new")
        self.env.cr.execute(
            "UPDATE qms_idempotency_key SET created_at = created_at - interval '25 h'"
            " WHERE key = 'old'"
        )
        keys = self.env["qms.idempotency.key"]
        keys.invalidate_model()
        keys._gc_old_keys()
        left = keys.search([]).mapped("key")
        self.assertIn("new", left)
        self.assertNotIn("old", left)

    def test_refused_call_leaves_no_answer(self):
        run = self.start_run()
        with self.assertRaises(UserError), self.env.cr.savepoint():
            run.complete(idempotency_key="later")
        self.work(run)
        self.assertEqual(run.complete(idempotency_key="later")["state"], "completed")

    def test_update_run(self):
        run = self.work(self.start_run())
        answer = run.update_run(
            state="completed", resolution="Cleaned up.", resolution_time=3600
        )
        self.assertEqual(answer["state"], "completed")
        self.assertEqual(answer["resolution_time_seconds"], 3600)
        self.assertEqual(answer["progress"], 100)

    def test_update_run_refusals(self):
        run = self.start_run()
        for values, message in (
            ({}, "Nothing to change"),
            ({"state": "resolved"}, "Accepted: draft, in_progress"),
            ({"state": "completed", "resolution_time": "soon"}, "resolution_time"),
        ):
            with self.subTest(values), self.assertRaisesRegex(UserError, message):
                run.update_run(**values)
        with self.assertRaisesRegex(UserError, "exactly one record"):
            self.runs.update_run(state="cancelled")
        with self.assertRaisesRegex(UserError, "no record with id"):
            self.runs.browse(2_000_000_000).get_run()

    def test_update_step(self):
        run = self.start_run()
        run.update_step(1, "completed", result="Seen.")
        run.update_step(2, "in_progress")
        run.update_step(
            2, "failed", error_message="It broke", error_code="STEP_FAILURE"
        )
        answer = run.update_step(3, "skipped", reason="Nothing to tidy.")
        self.assertEqual(
            [step["state"] for step in answer["steps"]],
            ["completed", "failed", "skipped"],
        )
        self.assertEqual(answer["steps"][0]["result"], "Seen.")
        self.assertEqual(run.error_ids.step_id, run.step_ids[1])
        for step, state, message in (
            (9, "completed", "has no step 9"),
            (1, "waiting", "Accepted: in_progress"),
            (1, "bogus", "not a state"),
        ):
            with (
                self.subTest(step=step, state=state),
                self.assertRaisesRegex(UserError, message),
            ):
                run.update_step(step, state)

    def test_log_error_classifies(self):
        run = self.start_run()
        found = run.log_error("FATAL: sorry, too many clients already")
        self.assertEqual(found["category"], "DATABASE")
        unknown = run.log_error("qwertz")
        self.assertEqual(unknown["error_code"], "STEP_FAILURE")

    def test_hold_resume_cancel_fail_need_reasons(self):
        for method in ("hold", "cancel", "fail"):
            run = self.start_run()
            with self.subTest(method), self.assertRaisesRegex(UserError, "reason"):
                getattr(run, method)(" ")
        run.hold("Vendor is asleep.")
        self.assertEqual(run.state_reason, "Vendor is asleep.")
        run.resume()
        self.assertFalse(run.state_reason)
        run.fail("Could not be fixed.")
        self.assertEqual(run.state, "failed")
