from odoo.tests import tagged

from .common import QmsSopCommon

# What SOP-TRIAGE-001 promises to be runnable, word for word.
SCRIPTS = {
    "create_run": """\
python scripts/create_sop_run.py \\
  --sop-code "SOP-TRIAGE-001" \\
  --error-code "$ERROR_CODE" \\
  --severity "$SEVERITY\"""",
    "create_rca": """\
python scripts/create_rca.py \\
  --run-id "$RUN_ID" \\
  --error-code "$ERROR_CODE" \\
  --root-cause "Exception handling doesn't close DB connections" \\
  --contributing-factors "High traffic, inefficient queries\"""",
    "health_check": 'python scripts/health_check.py --url "https://${APP_URL}"',
    "update_run": """\
python scripts/update_sop_run.py \\
  --run-id "$RUN_ID" \\
  --state "completed" \\
  --resolution "Implemented connection cleanup in exception handlers" \\
  --resolution-time "$((END_TIME - START_TIME))\"""",
    "update_code": """\
python scripts/update_error_code.py \\
  --code "DB_CONNECTION_LEAK" \\
  --severity "high" \\
  --description "Database connections not released in exception handlers" \\
  --resolution "Ensure all DB operations use try/finally blocks with connection \
cleanup\"""",
    "postmortem": """\
python scripts/create_postmortem.py \\
  --incident-id "$INCIDENT_ID" \\
  --title "Deployment health check timeout due to DB connection leak" \\
  --root-cause "Missing connection cleanup in exception handlers" \\
  --fix "Added finally blocks to ensure connection cleanup" \\
  --preventive-measures "Added connection pool monitoring, automated alerts\"""",
    "verify_run": 'curl -sf "https://odoo.your-domain.com/api/v1/sop-runs/${RUN_ID}"'
    " | jq .state",
}


@tagged("post_install", "-at_install")
class TestSopTriage001(QmsSopCommon):
    """The SOP that the add-on ships."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.triage = cls.env.ref("qms_sop.sop_triage_001")

    def test_in_force(self):
        self.assertRecordValues(
            self.triage,
            [
                {
                    "code": "SOP-TRIAGE-001",
                    "version": "1.0.0",
                    "name": "Error Investigation Workflow",
                    "state": "approved",
                    "owner": "DevOps Team",
                    "classification": "Incident Response",
                    # 5 + 10 + 30 + 15: fix and prevention have no set time
                    "expected_duration": 60,
                }
            ],
        )
        kinds = self.triage.trigger_ids.mapped("kind")
        self.assertEqual(
            [kinds.count(kind) for kind in ("automated", "manual", "scheduled")],
            [3, 3, 1],
        )
        kinds = self.triage.prerequisite_ids.mapped("kind")
        self.assertEqual([kinds.count(kind) for kind in ("access", "tool")], [5, 4])
        self.assertEqual(len(self.triage.error_code_ids), 12)

    def test_steps(self):
        self.assertRecordValues(
            self.triage.step_ids,
            [
                {"number": number, "name": name, "expected_duration": minutes}
                for number, (name, minutes) in enumerate(
                    [
                        ("Error Classification", 5),
                        ("Gather Evidence", 10),
                        ("Root Cause Analysis", 30),
                        ("Implement Fix", 0),
                        ("Document Resolution", 15),
                        ("Preventive Measures", 0),
                    ],
                    1,
                )
            ],
        )
        for step in self.triage.step_ids:
            with self.subTest(step=step.name):
                for field in ("objective", "expected_result", "verification"):
                    self.assertTrue(step[field], field)
                self.assertIn("</", step.instructions_html)
                self.assertTrue(step.command_ids)
                self.assertTrue(step.mandatory)

    def test_tables_are_rendered(self):
        for number in (1, 2, 3, 4, 6):
            step = self.triage.step_ids[number - 1]
            self.assertIn("<table", step.instructions_html, step.name)

    def test_scripts_verbatim(self):
        for name, command in SCRIPTS.items():
            with self.subTest(command=name):
                record = self.env.ref(f"qms_sop.sop_triage_001_command_{name}")
                self.assertEqual(record.command, command)

    def test_evidence_commands_of_the_category(self):
        for category, first in (
            ("deployment", "doctl apps logs $DO_APP_ID --type DEPLOY"),
            ("database", 'psql "$POSTGRES_URL" -c "'),
            ("application", "doctl apps logs $DO_APP_ID --type RUN"),
            ("infrastructure", "doctl apps get $DO_APP_ID"),
        ):
            with self.subTest(category=category):
                run = self.start_run(sop=self.triage, category=category)
                commands = run.step_ids[1].command_ids
                self.assertTrue(commands[0].command.startswith(first))
                self.assertEqual(
                    set(commands.category_id.mapped("code")), {category.upper()}
                )

    def test_approving_again_changes_nothing(self):
        before = self.triage.approved_on
        self.env["qms.sop.document"]._approve_from_data(self.triage.id)
        self.assertEqual(self.triage.approved_on, before)
