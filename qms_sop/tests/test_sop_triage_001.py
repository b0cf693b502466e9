from odoo.tests import tagged

from ..tools.runbook import durations
from .common import QmsSopCommon

# What SOP-TRIAGE-001 promises to be runnable, word for word: step, name, command.
SCRIPTS = {
    (1, "Open the run"): """\
python scripts/create_sop_run.py \\
  --sop-code "SOP-TRIAGE-001" \\
  --error-code "$ERROR_CODE" \\
  --severity "$SEVERITY\"""",
    (3, "Record the root cause"): """\
python scripts/create_rca.py \\
  --run-id "$RUN_ID" \\
  --error-code "$ERROR_CODE" \\
  --root-cause "Exception handling doesn't close DB connections" \\
  --contributing-factors "High traffic, inefficient queries\"""",
    (4, "The service is healthy"): """\
python scripts/health_check.py --url "https://${APP_URL}\"""",
    (5, "Complete the run"): """\
python scripts/update_sop_run.py \\
  --run-id "$RUN_ID" \\
  --state "completed" \\
  --resolution "Implemented connection cleanup in exception handlers" \\
  --resolution-time "$((END_TIME - START_TIME))\"""",
    (5, "Bring the catalogue up to date"): """\
python scripts/update_error_code.py \\
  --code "DB_CONNECTION_LEAK" \\
  --severity "high" \\
  --description "Database connections not released in exception handlers" \\
  --resolution "Ensure all DB operations use try/finally blocks with connection \
cleanup\"""",
    (5, "Write the post-mortem"): """\
python scripts/create_postmortem.py \\
  --incident-id "$INCIDENT_ID" \\
  --title "Deployment health check timeout due to DB connection leak" \\
  --root-cause "Missing connection cleanup in exception handlers" \\
  --fix "Added finally blocks to ensure connection cleanup" \\
  --preventive-measures "Added connection pool monitoring, automated alerts\"""",
    (1, "The run is in progress"): """\
curl -sf "https://odoo.your-domain.com/api/v1/sop-runs/${RUN_ID}" | jq .state""",
}
# Commands that were once written otherwise and could not work: what is wrong with
# them, and the step and command that do it right.
CORRECTED = {
    "--type DEPLOY": (
        "doctl takes log types in lower case only",
        (2, "Deployment log"),
        "doctl apps logs $DO_APP_ID --type deploy --tail 500 > deployment.log",
    ),
    "--type BUILD": (
        "doctl takes log types in lower case only",
        (2, "Build log"),
        "doctl apps logs $DO_APP_ID --type build --tail 500 > build.log",
    ),
    "--type RUN": (
        "doctl takes log types in lower case only",
        (2, "Application log"),
        "doctl apps logs $DO_APP_ID --type run --tail 1000 > application.log",
    ),
    "gh run view $RUN_ID": (
        "RUN_ID is the run of this SOP, not one of GitHub's",
        (2, "GitHub Actions log"),
        'gh run view "$GITHUB_RUN_ID" --log > github-actions.log',
    ),
    "datname = 'odoo'": (
        "the database may have any name",
        (2, "Connection statistics"),
        """\
psql "$POSTGRES_URL" -c "
  SELECT
    datname,
    numbackends,
    xact_commit,
    xact_rollback,
    deadlocks,
    temp_bytes
  FROM pg_stat_database
  WHERE datname = current_database();
\"""",
    ),
    "mean_time": (
        "PostgreSQL 13 renamed the columns of pg_stat_statements",
        (2, "Slow queries (over 1 second)"),
        """\
psql "$POSTGRES_URL" -c "
  SELECT
    query,
    calls,
    total_exec_time,
    mean_exec_time
  FROM pg_stat_statements
  WHERE mean_exec_time > 1000  -- queries >1 second
  ORDER BY mean_exec_time DESC
  LIMIT 10;
\"""",
    ),
    "schemaname||'.'||tablename": (
        "fails on names that need quotes, and says nothing of bloat",
        (2, "Largest tables, with dead rows"),
        """\
psql "$POSTGRES_URL" -c "
  SELECT
    schemaname,
    relname,
    n_live_tup,
    n_dead_tup,
    pg_size_pretty(pg_total_relation_size(relid)) AS size
  FROM pg_stat_user_tables
  ORDER BY pg_total_relation_size(relid) DESC
  LIMIT 10;
\"""",
    ),
    "awk '/Traceback/,/^[^ ]/'": (
        "the range ends on the line where it begins, so no frame is kept",
        (2, "Tracebacks"),
        'grep -A 30 "Traceback (most recent call last)" application.log'
        " > tracebacks.txt",
    ),
    "grep -B 10": (
        "the brackets of a message would be read as a pattern",
        (2, "Ten lines before and after the error"),
        'grep -F -B 10 -A 10 "$ERROR_MESSAGE" application.log > error-context.txt',
    ),
    "Spec.Services[0]": (
        "doctl has no such columns; the spec is in its JSON only",
        (2, "Instance count and size"),
        """\
doctl apps get $DO_APP_ID --output json |
  jq '.[0].spec.services[] | {name, instance_count, instance_size_slug}'""",
    ),
    "apps/$DO_APP_ID/metrics": (
        "there is no such address",
        (2, "Processor usage of the last hour"),
        """\
curl -sfG "https://api.digitalocean.com/v2/monitoring/metrics/apps/cpu_percentage" \\
  -d "app_id=$DO_APP_ID" \\
  -d "start=$(date -d "1 hour ago" +%s)" -d "end=$(date +%s)" \\
  -H "Authorization: Bearer $DO_ACCESS_TOKEN\"""",
    ),
    "CreatedAt": (
        "the column of doctl is called Created",
        (2, "Latest deployments"),
        "doctl apps list-deployments $DO_APP_ID --format ID,Phase,Created | head -10",
    ),
}


@tagged("post_install", "-at_install")
class TestSopTriage001(QmsSopCommon):
    """The SOP that the add-on ships."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.triage = cls.env["qms.sop.document"]._effective("SOP-TRIAGE-001")

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

    def command(self, number, name):
        """Return the command of a name in step 1..n."""
        commands = self.triage.step_ids[number - 1].command_ids
        found = commands.filtered(lambda command: command.name == name)
        self.assertEqual(len(found), 1, commands.mapped("name"))
        return found

    def test_scripts_verbatim(self):
        for (number, name), text in SCRIPTS.items():
            with self.subTest(command=name):
                self.assertEqual(self.command(number, name).command, text)

    def test_commands_can_work(self):
        sources = self.env["qms.error.category"].search([]).evidence_source_ids
        commands = self.triage.step_ids.command_ids.mapped("command")
        commands += sources.mapped("command")
        for wrong, (why, (number, name), text) in CORRECTED.items():
            with self.subTest(command=name):
                self.assertFalse([c for c in commands if wrong in c], why)
                self.assertEqual(self.command(number, name).command, text)

    def test_verification_commands(self):
        """They are shown below what they verify, apart from what is to be done."""
        self.assertEqual(
            [
                step.command_ids.filtered(
                    lambda command: command.purpose == "verification"
                ).mapped("name")
                for step in self.triage.step_ids
            ],
            [
                ["The run is in progress"],
                [],
                [],
                [
                    "The fix passes its test",
                    "Deploy the fix to staging",
                    "The service is healthy",
                    "The error does not return (no match)",
                ],
                [],
                [],
            ],
        )

    def test_triage_questions(self):
        """The first "yes" decides on the category; every answer leads to step 2."""
        first = self.triage.step_ids[0]
        self.assertTrue(self.triage.has_flow)
        self.assertEqual(
            [
                (choice["name"], choice["category"], choice["target"])
                for choice in self.triage.flow[0]["choices"]
            ],
            [
                ("It began with a deployment", "DEPLOYMENT", 2),
                ("The database fails or stalls", "DATABASE", 2),
                ("The application code fails", "APPLICATION", 2),
                ("Host, network or capacity fail", "INFRASTRUCTURE", 2),
                ("None of these", "UNKNOWN", 2),
            ],
        )
        for choice in first.choice_ids:
            with self.subTest(choice=choice.name):
                run = self.start_run(sop=self.triage)
                run.step_ids[0].complete(None, choice.name)
                self.assertEqual(run.category_id, choice.category_id)
                self.assertEqual(run.current_step_id, run.step_ids[1])
                taken = [one["taken"] for one in run.flow[0]["choices"]]
                self.assertEqual(taken.count(True), 1)

    def test_evidence_commands_of_the_category(self):
        for category, names in (
            (
                "deployment",
                [
                    "Deployment log",
                    "Build log",
                    "GitHub Actions log",
                    "Error patterns in the three logs",
                ],
            ),
            (
                "database",
                [
                    "Connection statistics",
                    "Slow queries (over 1 second)",
                    "Largest tables, with dead rows",
                ],
            ),
            (
                "application",
                [
                    "Application log",
                    "Tracebacks",
                    "Errors by frequency",
                    "Ten lines before and after the error",
                ],
            ),
            (
                "infrastructure",
                [
                    "Instance count and size",
                    "Processor usage of the last hour",
                    "Latest deployments",
                ],
            ),
        ):
            with self.subTest(category=category):
                run = self.start_run(sop=self.triage, category=category)
                commands = run.step_ids[1].command_ids
                self.assertEqual(commands.mapped("name"), names)
                self.assertEqual(
                    set(commands.category_id.mapped("code")), {category.upper()}
                )

    def test_targets_are_those_of_the_severities(self):
        table = self.triage.section_ids.filtered(
            lambda section: section.heading == "Targets"
        )
        rows = {
            cells[0].lower(): cells[1:]
            for line in table.body.splitlines()
            if line.startswith("| **")
            for cells in [[cell.strip(" *") for cell in line.split("|")[1:-1]]]
        }
        self.assertEqual(list(rows), ["critical", "high", "medium", "low"])
        for name in ("critical", "high", "medium"):
            severity = self.env["qms.severity"]._resolve(name)
            self.assertEqual(
                [durations.read(text).minutes for text in rows[name]],
                [severity.mitigation_target, severity.resolution_target],
                name,
            )

    def test_approving_again_changes_nothing(self):
        before = self.triage.approved_on
        self.env["qms.sop.document"]._approve_from_data(self.triage.id)
        self.assertEqual(self.triage.approved_on, before)
