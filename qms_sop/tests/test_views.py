import base64

from lxml import etree

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from .common import QmsSopCommon

ROLES = ("operator", "author", "manager", "auditor")
PATHS = (
    "qms-runs",
    "qms-sops",
    "qms-library",
    "qms-run-analysis",
    "qms-error-analysis",
    "qms-step-analysis",
    "qms-root-causes",
    "qms-evidence",
    "qms-actions",
    "qms-my-actions",
    "qms-overdue-actions",
)
# What leads to another record changes nothing, and is for everybody.
NAVIGATION = {
    "action_view_actions",
    "action_view_source",
    "action_compare",
    "action_export_markdown",
    "action_view_alerts",
    "action_view_changes",
    "action_view_error_code",
    "action_view_notifications",
    "action_view_issues",
    "action_view_previous_run",
    "action_view_rcas",
    "action_view_revisions",
    "action_view_runs",
    "action_view_sop",
    "action_view_sops",
    "action_view_trail",
}
LOG = "2025-11-05 ERROR psycopg2.pool.PoolError: connection pool exhausted"


@tagged("post_install", "-at_install")
class TestViews(QmsSopCommon):
    """Every view opens for every role, and offers what that role may do."""

    def _buttons(self, role, model, view_type="form"):
        """Return the names of the buttons that a role is offered, no navigation."""
        arch = (
            self.env[model]
            .with_user(self.users[role])
            .get_view(view_type=view_type)["arch"]
        )
        return {
            button.get("name")
            for button in etree.fromstring(arch).iter("button")
            if button.get("special") != "cancel"
        } - NAVIGATION

    def test_every_menu_opens_for_every_role(self):
        run = self.start_run()
        run.log_error("No space left on device")
        run.add_evidence("a.txt", base64.b64encode(b"text").decode())
        run.record_rca("The disk was full.", actions=[{"title": "Rotate the logs"}])
        for path in PATHS:
            action = self.env["ir.actions.act_window"].search([("path", "=", path)])
            self.assertEqual(len(action), 1, path)
            for role in ROLES:
                with self.subTest(path=path, role=role):
                    model = self.env[action.res_model].with_user(self.users[role])
                    views = model.get_views(
                        [(False, mode) for mode in action.view_mode.split(",")]
                        + [(False, "search")]
                    )
                    self.assertEqual(
                        set(views["views"]),
                        {*action.view_mode.split(","), "search"},
                    )
                    self.assertTrue(model.search([]))

    def test_auditor_is_offered_no_button(self):
        for model in (
            "qms.sop.document",
            "qms.sop.step",
            "qms.sop.run",
            "qms.sop.run.step",
            "qms.sop.run.error",
            "qms.sop.run.evidence",
            "qms.rca",
            "qms.action",
        ):
            for view_type in ("form", "list"):
                with self.subTest(model=model, view_type=view_type):
                    self.assertFalse(self._buttons("auditor", model, view_type))
        self.assertFalse(self._buttons("auditor", "qms.sop.run", "kanban"))

    def test_operator_is_offered_the_work(self):
        self.assertLessEqual(
            {"action_start", "action_resume", "action_open_current_step"},
            self._buttons("operator", "qms.sop.run"),
        )
        self.assertLessEqual(
            {"start", "complete", "retry"},
            self._buttons("operator", "qms.sop.run.step"),
        )
        self.assertEqual(
            self._buttons("operator", "qms.sop.document"),
            {"action_start_run", "action_acknowledge"},
        )

    def test_only_managers_are_offered_to_approve(self):
        for role in ROLES:
            buttons = self._buttons(role, "qms.sop.document")
            self.assertEqual("action_approve" in buttons, role == "manager", role)
            self.assertEqual("action_obsolete" in buttons, role == "manager", role)
            self.assertEqual(
                "action_submit" in buttons, role in ("author", "manager"), role
            )

    def test_runs_are_opened_by_the_wizard_only(self):
        for view_type in ("list", "kanban", "form"):
            arch = self.env["qms.sop.run"].get_view(view_type=view_type)["arch"]
            self.assertEqual(etree.fromstring(arch).get("create"), "0", view_type)

    def test_error_code_leads_to_runs_and_sops(self):
        code = self.env.ref("qms_error_code.error_code_db_deadlock")
        run = self.start_run(error_code=code.name)
        action = code.action_view_runs()
        self.assertIn(run, self.env["qms.sop.run"].search(action["domain"]))
        sops = self.env["qms.sop.document"].search(code.action_view_sops()["domain"])
        self.assertIn(self.env.ref("qms_sop.sop_triage_001"), sops)
        self.assertEqual(run.action_view_error_code()["res_id"], code.id)
        self.assertEqual(run.action_view_sop()["res_id"], self.sop.id)

    def test_one_analysis_opens_itself(self):
        run = self.start_run()
        first = run.record_rca("The disk was full.")
        self.assertEqual(run.action_view_rcas()["res_id"], first["id"])
        run.record_rca("Nobody watched the disk.")
        found = self.env["qms.rca"].search(run.action_view_rcas()["domain"])
        self.assertEqual(len(found), 2)


@tagged("post_install", "-at_install")
class TestRunStart(QmsSopCommon):
    """The wizard that starts a run."""

    def _form(self, user=None):
        return Form(self.env["qms.sop.run.start"].with_user(user or self.operator))

    def _start(self, form):
        action = form.save().action_start()
        self.assertEqual(action["res_model"], "qms.sop.run")
        return self.env["qms.sop.run"].browse(action["res_id"])

    def test_error_code_brings_category_and_severity(self):
        form = self._form()
        form.sop_id = self.sop
        form.error_code_id = self.env.ref("qms_error_code.error_code_db_deadlock")
        self.assertEqual(form.category_id.code, "DATABASE")
        self.assertEqual(form.severity_id.code, "high")
        form.severity_id = self.env.ref("qms_error_code.severity_low")
        form.summary = "Two imports wait for each other"
        run = self._start(form)
        self.assertRecordValues(
            run,
            [
                {
                    "sop_id": self.sop.id,
                    "state": "in_progress",
                    "severity": "low",
                    "trigger": "manual",
                    "summary": "Two imports wait for each other",
                    "user_id": self.operator.id,
                }
            ],
        )
        self.assertEqual(len(run.step_ids), 3)
        self.assertFalse(run.evidence_ids)

    def test_log_names_the_code_and_is_kept(self):
        form = self._form()
        form.sop_id = self.sop
        form.log_text = LOG
        self.assertEqual(form.error_code_id.name, "DB_CONNECTION_TIMEOUT")
        self.assertEqual(form.category_id.code, "DATABASE")
        self.assertIn("pattern", form.match)
        run = self._start(form)
        self.assertEqual(run.error_code_id.name, "DB_CONNECTION_TIMEOUT")
        self.assertEqual(run.evidence_ids.preview, LOG)

    def test_log_without_a_code_gives_the_category(self):
        form = self._form()
        form.sop_id = self.sop
        form.log_text = "nothing that anybody has seen before"
        self.assertFalse(form.error_code_id)
        self.assertEqual(form.category_id.code, "UNKNOWN")
        self.assertFalse(form.severity_id)

    def test_log_does_not_overrule_a_person(self):
        form = self._form()
        form.sop_id = self.sop
        form.log_text = LOG
        form.error_code_id = self.env.ref("qms_error_code.error_code_db_deadlock")
        run = self._start(form)
        self.assertEqual(run.error_code_id.name, "DB_DEADLOCK")

    def test_the_only_sop_in_force_is_proposed(self):
        others = self.env["qms.sop.document"].search(
            [("effective", "=", True), ("id", "!=", self.sop.id)]
        )
        self.assertTrue(others)
        self.assertFalse(self._form().sop_id)
        others.with_user(self.manager).action_obsolete()
        self.assertEqual(self._form().sop_id, self.sop)

    def test_sop_leads_to_the_wizard(self):
        action = self.sop.action_start_run()
        form = Form(
            self.env[action["res_model"]]
            .with_user(self.operator)
            .with_context(**action["context"])
        )
        self.assertEqual(form.sop_id, self.sop)

    def test_auditor_is_refused(self):
        with self.assertRaises(AccessError):
            self._form(self.users["auditor"]).save()


@tagged("post_install", "-at_install")
class TestStepClose(QmsSopCommon):
    """The dialog that closes a step."""

    def _close(self, step, outcome, **values):
        form = Form(
            self.env["qms.sop.run.step.close"]
            .with_user(self.operator)
            .with_context(default_step_id=step.id, default_outcome=outcome)
        )
        for name, value in values.items():
            form[name] = value
        return form.save().action_confirm()

    def test_complete(self):
        step = self.start_run().step_ids[0]
        self._close(step, "completed", result="As expected")
        self.assertRecordValues(
            step, [{"state": "completed", "actual_result": "As expected"}]
        )

    def test_fail_classifies_the_message(self):
        step = self.start_run().step_ids[0]
        self._close(step, "failed", error_message=LOG)
        self.assertEqual(step.state, "failed")
        self.assertEqual(step.error_ids.error_code_id.name, "DB_CONNECTION_TIMEOUT")

    def test_fail_with_a_code(self):
        step = self.start_run().step_ids[0]
        code = self.env.ref("qms_error_code.error_code_db_deadlock")
        self._close(step, "failed", error_message="Stuck", error_code_id=code)
        self.assertEqual(step.error_ids.error_code_id, code)

    def test_skip_needs_a_reason(self):
        step = self.start_run().step_ids[0]
        with self.assertRaises(AssertionError, msg="reason is a required field"):
            self._close(step, "skipped")
        wizard = (
            self.env["qms.sop.run.step.close"]
            .with_user(self.operator)
            .create({"step_id": step.id, "outcome": "skipped"})
        )
        with self.assertRaises(ValidationError):
            wizard.action_confirm()
        self._close(step, "skipped", reason="Not deployed anywhere")
        self.assertRecordValues(
            step, [{"state": "skipped", "skip_reason": "Not deployed anywhere"}]
        )


@tagged("post_install", "-at_install")
class TestReason(QmsSopCommon):
    """The dialog that asks for the words that go with a decision."""

    def _decide(self, operation, user=None, run=None, document=None, **values):
        context = {"default_operation": operation}
        if run:
            context["default_run_id"] = run.id
        if document:
            context["default_document_id"] = document.id
        form = Form(
            self.env["qms.sop.reason"]
            .with_user(user or self.operator)
            .with_context(**context)
        )
        for name, value in values.items():
            form[name] = value
        return form.save().action_confirm()

    def test_complete(self):
        run = self.work(self.start_run())
        self._decide("complete", run=run, resolution="Restarted", resolution_hours=1.5)
        self.assertRecordValues(
            run,
            [
                {
                    "state": "completed",
                    "resolution": "Restarted",
                    "resolution_time": 5400,
                }
            ],
        )

    def test_complete_without_a_time_leaves_it_unknown(self):
        run = self.work(self.start_run())
        self._decide("complete", run=run, resolution="Restarted")
        self.assertIs(run.resolution_time, False)

    def test_complete_proposes_what_was_noted(self):
        run = self.work(self.start_run())
        run.resolution = "Noted before"
        self._decide("complete", run=run)
        self.assertEqual(run.resolution, "Noted before")

    def test_complete_is_refused_while_a_step_is_open(self):
        with self.assertRaisesRegex(UserError, "Look"):
            self._decide("complete", run=self.start_run(), resolution="No")

    def test_hold_fail_cancel(self):
        for operation, state in (
            ("hold", "on_hold"),
            ("fail", "failed"),
            ("cancel", "cancelled"),
        ):
            with self.subTest(operation=operation):
                run = self.start_run()
                self._decide(operation, run=run, reason="Because")
                self.assertRecordValues(
                    run, [{"state": state, "state_reason": "Because"}]
                )

    def test_reject(self):
        document = self.draft_sop("SOP-REJECT-001")
        document.action_submit()
        with self.assertRaises(AccessError):
            self._decide("reject", document=document, reason="Too short")
        self._decide("reject", user=self.manager, document=document, reason="Too short")
        self.assertRecordValues(
            document, [{"state": "draft", "rejection_reason": "Too short"}]
        )

    def test_needs_something_to_decide_on(self):
        wizard = self.env["qms.sop.reason"].create({"operation": "hold"})
        with self.assertRaisesRegex(ValidationError, "no run"):
            wizard.action_confirm()
