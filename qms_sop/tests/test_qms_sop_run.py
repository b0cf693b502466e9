from datetime import timedelta

from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import QmsSopCommon


@tagged("post_install", "-at_install")
class TestQmsSopRun(QmsSopCommon):
    def test_plain_create_makes_no_steps(self):
        run = self.env["qms.sop.run"].create({"sop_id": self.sop.id})
        self.assertEqual(run.state, "draft")
        self.assertFalse(run.step_ids)
        self.assertRegex(run.name, r"^RUN-\d{6}$")

    def test_only_on_approved_revisions(self):
        draft = self.draft_sop("SOP-DRAFT-001")
        with self.assertRaisesRegex(ValidationError, "only on approved revisions"):
            self.env["qms.sop.run"].create({"sop_id": draft.id})

    def test_stays_on_its_revision(self):
        run = self.start_run()
        other = self.approved_sop("SOP-OTHER-001")
        with self.assertRaisesRegex(UserError, "stays on the SOP revision"):
            run.sop_id = other

    def test_every_transition(self):
        """The table is the whole truth: what it lacks is refused."""
        table = {
            "draft": {"in_progress", "cancelled"},
            "in_progress": {"on_hold", "completed", "failed", "cancelled"},
            "on_hold": {"in_progress", "failed", "cancelled"},
            "completed": set(),
            "failed": set(),
            "cancelled": set(),
        }
        paths = {
            "draft": [],
            "in_progress": ["in_progress"],
            "on_hold": ["in_progress", "on_hold"],
            "completed": ["in_progress", "completed"],
            "failed": ["in_progress", "failed"],
            "cancelled": ["cancelled"],
        }
        optional = self.approved_sop("SOP-OPTIONAL-001", steps=("Only",))
        for source, accepted in table.items():
            for target in table.keys() - {source}:
                run = self.env["qms.sop.run"].create({"sop_id": optional.id})
                for state in paths[source]:
                    run.write({"state": state})
                with self.subTest(source=source, target=target):
                    if target in accepted:
                        run.write({"state": target})
                        self.assertEqual(run.state, target)
                    else:
                        with self.assertRaisesRegex(UserError, "cannot go from"):
                            run.write({"state": target})
                        self.assertEqual(run.state, source)

    def test_born_in_a_final_state(self):
        with self.assertRaisesRegex(UserError, "cannot be Completed"):
            self.env["qms.sop.run"].create(
                {"sop_id": self.sop.id, "state": "completed"}
            )

    def test_completes_only_when_mandatory_steps_are_done(self):
        run = self.start_run()
        run.step_ids[0].complete("Seen.")
        with self.assertRaisesRegex(UserError, "step 2. Mend is Pending"):
            run.complete()
        run.step_ids[1].complete("Mended.")
        run.complete("It works again.", 90)
        self.assertEqual(run.state, "completed")
        self.assertEqual(run.resolution_time, 90)
        self.assertEqual(run.step_ids[2].state, "skipped")
        self.assertEqual(run.step_ids[2].skip_reason, "Not executed")

    def test_steps_that_were_never_made_count_as_open(self):
        run = self.env["qms.sop.run"].create(
            {"sop_id": self.sop.id, "state": "in_progress"}
        )
        with self.assertRaisesRegex(UserError, "1. Look was never opened"):
            run.write({"state": "completed"})

    def test_optional_step_that_was_never_made_is_shown_as_skipped(self):
        run = self.env["qms.sop.run"].create(
            {"sop_id": self.sop.id, "state": "in_progress"}
        )
        for step in self.sop.step_ids[:2]:
            self.env["qms.sop.run.step"].create(
                {"run_id": run.id, "step_id": step.id, "state": "in_progress"}
            ).write({"state": "completed"})
        run.write({"state": "completed"})
        self.assertEqual(
            run.step_ids.mapped("state"), ["completed", "completed", "skipped"]
        )

    def test_failed_step_blocks_completion_until_retried(self):
        run = self.work(self.start_run())
        last = run.step_ids[2]
        last.fail("The broom broke.")
        with self.assertRaisesRegex(UserError, "3. Tidy up is Failed"):
            run.complete()
        last.retry()
        self.assertFalse(last.end_time)
        last.complete("With another broom.")
        run.complete()
        self.assertEqual(run.error_ids.error_message, "The broom broke.")

    def test_step_transitions(self):
        run = self.start_run()
        step = run.step_ids[0]
        with self.assertRaisesRegex(UserError, "cannot go from Pending"):
            step.write({"state": "completed"})
        with self.assertRaisesRegex(UserError, "skip_reason"):
            step.write({"state": "skipped"})
        with self.assertRaisesRegex(ValidationError, "'done' is not a state"):
            step.write({"state": "done"})
        step.start()
        self.assertEqual(step.user_id, self.operator)
        run.hold("Waiting for the vendor.")
        with self.assertRaisesRegex(UserError, "only while it is in progress"):
            step.complete("Too early.")
        run.resume()
        step.complete("Now.")
        with self.assertRaisesRegex(UserError, "Completed is final"):
            step.start()

    def test_step_of_another_sop(self):
        run = self.start_run()
        other = self.approved_sop("SOP-FOREIGN-001")
        with self.assertRaisesRegex(ValidationError, "does not belong"):
            self.env["qms.sop.run.step"].create(
                {"run_id": run.id, "step_id": other.step_ids[0].id}
            )

    def test_finished_run_is_sealed(self):
        for state in ("completed", "failed", "cancelled"):
            run = self.work(self.start_run())
            run.write({"state": state})
            step = run.step_ids[0]
            changes = {
                "resolution": lambda run=run: run.write({"resolution": "Other."}),
                "as superuser": lambda run=run: run.sudo().write({"summary": "x"}),
                "finish again": lambda run=run, state=state: run.write(
                    {"state": state}
                ),
                "step": lambda step=step: step.write({"actual_result": "Other."}),
                "error": lambda run=run: run.log_error("Late."),
                "evidence": lambda run=run: run.add_evidence("late.txt", "eA=="),
            }
            for name, change in changes.items():
                with (
                    self.subTest(state=state, change=name),
                    self.assertRaisesRegex(UserError, "can no longer be changed"),
                ):
                    change()
            with self.assertRaisesRegex(UserError, "cannot be deleted"):
                run.sudo().unlink()
            # … but its review can still grow.
            self.assertTrue(run.record_rca("A loose cable.")["id"])
            run.message_post(body="Seen by quality.")

    def test_evidence_required(self):
        draft = self.draft_sop("SOP-PROOF-001")
        draft.step_ids[0].evidence_required = True
        run = self.start_run(sop=self.approve(draft))
        with self.assertRaisesRegex(UserError, "needs evidence"):
            run.step_ids[0].complete("Trust me.")
        run.add_evidence("proof.txt", "eA==", step=1)
        run.step_ids[0].complete("See the file.")
        self.assertEqual(run.step_ids[0].state, "completed")

    def test_duration_is_blank_until_known(self):
        run = self.start_run()
        self.assertIs(run.duration, False)
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT duration, resolution_time FROM qms_sop_run WHERE id = %s", [run.id]
        )
        self.assertEqual(self.env.cr.fetchone(), (None, None))
        run.sudo().start_time -= timedelta(minutes=7)
        run.cancel("False alarm.")
        self.assertAlmostEqual(run.duration, 7, delta=0.1)

    def test_zero_resolution_time_is_a_value(self):
        run = self.work(self.start_run())
        run.complete("At once.", 0)
        run.invalidate_recordset()
        self.assertEqual(run.resolution_time, 0)
        self.assertIsNot(run.resolution_time, False)

    def test_a_run_that_is_made_with_an_end_has_a_duration(self):
        run = self.env["qms.sop.run"].create(
            {
                "sop_id": self.sop.id,
                "state": "in_progress",
                "start_time": "2026-03-01 10:00:00",
                "end_time": "2026-03-01 10:30:00",
                # What follows from others is not believed.
                "duration": 5,
                "time_to_resolve": 7,
                "closing_signature": "given",
            }
        )
        self.assertEqual(run.duration, 30)
        self.assertIs(run.time_to_resolve, False)
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(run.duration, 30)
        self.assertIs(run.time_to_resolve, False)
        self.assertFalse(run.closing_signature)

    def test_impossible_times(self):
        run = self.start_run()
        with self.assertRaisesRegex(ValidationError, "cannot end before it started"):
            run.write(
                {
                    "state": "cancelled",
                    "end_time": fields.Datetime.now() - timedelta(days=1),
                }
            )
        with self.assertRaisesRegex(ValidationError, "resolution_time: -1"):
            self.start_run().resolution_time = -1

    def test_severity_and_category_from_the_code(self):
        code = self.env["qms.error.code"]._resolve("DB_CONNECTION_LEAK")
        run = self.env["qms.sop.run"].create(
            {"sop_id": self.sop.id, "error_code_id": code.id}
        )
        self.assertEqual((run.severity, run.category_id.code), ("high", "DATABASE"))
        late = self.start_run(severity="low")
        late.update_run(error_code="DB_CONNECTION_LEAK")
        self.assertEqual(
            (late.severity, late.category_id.code),
            ("low", "DATABASE"),
            "only what was blank is filled in",
        )

    def test_catalogue_cannot_take_away_what_a_run_says(self):
        code = self.env["qms.error.code"]._resolve("DB_DEADLOCK")
        run = self.start_run(error_code=code.name)
        run.cancel("False alarm.")
        for record in (code, run.severity_id, run.category_id):
            with (
                self.subTest(record._name),
                mute_logger("odoo.sql_db"),
                self.assertRaises(IntegrityError),
                self.env.cr.savepoint(),
            ):
                record.sudo().unlink()
        self.assertEqual(run.error_code_id, code)

    def test_counts_and_progress(self):
        run = self.start_run()
        run.log_error("Connection refused", error_code="STEP_FAILURE", step=1)
        run.add_evidence("a.txt", "eA==")
        run.record_rca("Cause.")
        run.step_ids[0].complete("Ok")
        self.assertEqual(
            (run.error_count, run.evidence_count, run.rca_count), (1, 1, 1)
        )
        self.assertEqual(run.progress, 33)
        self.assertEqual(run.current_step_id, run.step_ids[1])

    def test_commands_follow_the_category(self):
        triage = self.env["qms.sop.document"]._effective("SOP-TRIAGE-001")
        run = self.start_run(sop=triage, category="database")
        categories = run.step_ids[1].command_ids.category_id
        self.assertEqual(categories.mapped("code"), ["DATABASE"])
