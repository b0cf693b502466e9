from odoo.tests import HttpCase, tagged

from .common import QmsSopCommon


@tagged("post_install", "-at_install")
class TestQmsSopTours(QmsSopCommon, HttpCase):
    """The backend as people use it, in a real browser."""

    def test_run_from_wizard_to_completion(self):
        before = self.env["qms.sop.run"].search([])
        self.start_tour("/odoo/qms-runs", "qms_sop_run_tour", login="qms_operator")
        run = self.env["qms.sop.run"].search([]) - before
        self.assertRecordValues(
            run,
            [
                {
                    "sop_id": self.sop.id,
                    "state": "completed",
                    "user_id": self.operator.id,
                    "severity": "critical",
                    "summary": "Nothing gets a connection",
                    "resolution": "Larger pool, leak reported",
                    "progress": 100,
                }
            ],
        )
        self.assertEqual(run.error_code_id.name, "DB_CONNECTION_TIMEOUT")
        self.assertRecordValues(
            run.step_ids,
            [
                {
                    "state": "completed",
                    "actual_result": "Twenty idle connections",
                    "skip_reason": False,
                },
                {
                    "state": "completed",
                    "actual_result": "Restarted with a larger pool",
                    "skip_reason": False,
                },
                {
                    "state": "skipped",
                    "actual_result": False,
                    "skip_reason": "Nothing was left behind",
                },
            ],
        )
        self.assertIn("connection pool exhausted", run.evidence_ids.preview)

    def test_empty_list_explains(self):
        company = self.env["res.company"].create({"name": "Nothing ran here"})
        self.operator.write(
            {"company_ids": [(6, 0, company.ids)], "company_id": company.id}
        )
        self.start_tour("/odoo/qms-runs", "qms_sop_empty_tour", login="qms_operator")

    def test_auditor_sees_no_buttons(self):
        self.env["qms.sop.run"].search([]).active = False
        run = self.start_run()
        look = run.step_ids[0]
        look.complete("Seen")
        look.write(
            {
                "start_time": "2026-01-05 08:00:00",
                "end_time": "2026-01-05 09:15:00",
            }
        )
        self.start_tour("/odoo/qms-runs", "qms_sop_auditor_tour", login="qms_auditor")

    def test_author_writes_and_submits(self):
        self.start_tour("/odoo/qms-sops", "qms_sop_author_tour", login="qms_author")
        sop = self.env["qms.sop.document"].search([("code", "=", "SOP-TOUR-001")])
        self.assertRecordValues(
            sop,
            [{"state": "in_review", "author_id": self.author.id, "step_count": 1}],
        )

    def test_commands_are_shown_as_typed(self):
        self.start_tour("/odoo/qms-sops", "qms_sop_commands_tour", login="qms_auditor")
