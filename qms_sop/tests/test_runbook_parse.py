import json
import subprocess
import sys
from datetime import date
from pathlib import Path

from odoo.tests import BaseCase

from odoo.addons.qms_sop.tools import runbook
from odoo.addons.qms_sop.tools.runbook import Duration, Trigger

OWN = Path(__file__).parent / "runbooks"
# The runbooks that the product was specified with, where they are at hand.
SEEDS = Path(__file__).resolve().parents[2].parent / "shared" / "seeds"


TOOLS = Path(__file__).resolve().parents[1] / "tools"
# Run by an interpreter of its own, which finds nothing of ours but the package.
ALONE = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
import runbook

def text(steps):
    return "# SOP-BIG-001: Big\\n\\n" + "".join(
        f"### Step {n}: Part {n} ({n % 50 + 1} min)\\n\\n**Objective**: Do part {n}\\n"
        + "\\nRead this before you go on.\\n" * 30
        + f"\\n```bash\\nshow --part {n}\\n```\\n"
        + f"\\n| a | b |\\n|---|---|\\n| 1 | {n} |\\n\\n"
        for n in range(1, steps + 1)
    )

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def seconds(steps):
    data = text(steps).encode()
    start = time.process_time()
    assert len(runbook.parse(data).steps) == steps
    return time.process_time() - start, len(data)

def import_some(count):
    for number in range(count):
        runbook.parse(text(30).replace("Part", f"Part {count}.{number}."))
    return peak()

grown = -import_some(20) + import_some(180)
small, _size = seconds(500)
large, size = seconds(2000)
print(json.dumps({
    "small": small, "large": large, "size": size, "grown": grown,
    "odoo": sorted(name for name in sys.modules if name.split(".")[0] == "odoo"),
}))
"""


def read(name):
    return runbook.parse((OWN / name).read_bytes(), filename=name)


def document(*lines):
    return runbook.parse("\n".join(["# T", "", *lines, ""]))


def names(parsed):
    return [step.name for step in parsed.steps]


class TestRunbookAlone(BaseCase):
    """The parser needs nothing of Odoo, time in proportion, and no more memory."""

    def test_alone(self):
        done = subprocess.run(
            [sys.executable, "-c", ALONE, str(TOOLS)],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        told = json.loads(done.stdout)
        self.assertEqual(told["odoo"], [])
        # Nearly the limit of 2 MiB, and all the steps that are allowed
        self.assertGreater(told["size"], 1_900_000)
        # Four times the text takes about four times as long.
        self.assertLess(told["large"] / told["small"], 8)
        # 200 documents of 30 steps leave nothing behind (kB).
        self.assertLess(told["grown"], 4096)


class TestRunbookShapes(BaseCase):
    """What is understood of runbooks as people write them."""

    def test_control_data(self):
        header = read("stalled_import.md").header
        self.assertEqual(header.code, "SOP-IMPORT-001")
        self.assertEqual(header.title, "Stalled Nightly Import")
        self.assertEqual(header.version, "2.1.0")
        self.assertEqual(header.owner, "Data Platform")
        self.assertEqual(header.classification, "Incident Response")
        self.assertEqual(runbook.as_date(header.last_updated), date(2026, 2, 14))

    def test_sections_of_the_triage_shape(self):
        parsed = read("stalled_import.md")
        self.assertEqual(
            [part.kind for part in parsed.parts],
            ["header", "purpose", "scope", "triggers", "prerequisites", "section"]
            + ["step"] * 3
            + ["section", "section", "related", "footer"],
        )
        self.assertEqual(
            parsed.first("purpose").body,
            "Bring a stalled import back without loading a file twice.",
        )
        self.assertEqual(
            parsed.first("triggers").items,
            (
                Trigger("automated", "The import has not reported for two hours"),
                Trigger("manual", "Sales miss orders of yesterday"),
                Trigger("scheduled", "Monthly rehearsal"),
            ),
        )
        found = parsed.first("prerequisites").items
        self.assertEqual(
            [(item.kind, item.name, item.checked) for item in found],
            [
                ("access", "Shell on the import host", False),
                ("access", "Staging database (read)", True),
                ("tool", "`psql` 15 or newer", False),
                ("tool", "`jq`", False),
            ],
        )
        related = parsed.first("related").items
        self.assertEqual([item.target for item in related], ["export.md", "locks.md"])
        self.assertEqual(related[0].title, "SOP-EXPORT-002: Order Export")

    def test_steps_of_the_triage_shape(self):
        first, second, third = read("stalled_import.md").steps
        self.assertEqual((first.label, first.number), ("Step", "1"))
        self.assertEqual(first.objective, "Find out which part stands still")
        self.assertEqual(
            first.expected_result, "- A record exists\n- The part is known"
        )
        self.assertEqual(
            [(c.name, c.language, c.purpose) for c in first.commands],
            [
                ("Open the record", "bash", "action"),
                ("The record is open", "bash", "verification"),
            ],
        )
        self.assertIn("Is a lock held?", first.instructions)
        self.assertNotIn("importctl", first.instructions)
        self.assertEqual(
            [c.language for c in second.commands],
            ["sql", "bash"],
        )
        self.assertIn("pg_stat_activity\n\nWHERE", second.commands[0].code)
        self.assertEqual(
            [c.name for c in third.commands],
            ["Release the lock (only the importer's)", "Start the importer"],
        )
        self.assertTrue(third.commands[0].code.startswith("SELECT pg_term"))
        self.assertEqual(third.verification, "The counter moves within a minute.")

    def test_times_of_a_table_go_to_the_steps_that_it_names(self):
        self.assertEqual(
            [step.duration.minutes for step in read("stalled_import.md").steps],
            [5, 10, 0],
        )

    def test_numbered_phases_with_times(self):
        parsed = read("mail_outage.md")
        self.assertEqual(
            [(step.number, step.name) for step in parsed.steps],
            [
                ("1", "NOTICE"),
                ("2", "LIMIT THE DAMAGE"),
                ("3", "REPAIR"),
                ("4", "CLOSE"),
                ("5", "REVIEW"),
            ],
        )
        # 0-10, 10-30, 30-90: one clock for all
        self.assertEqual(
            [step.duration.minutes for step in parsed.steps], [10, 20, 60, 0, 4320]
        )
        self.assertEqual(
            [c.name for c in parsed.steps[2].commands],
            [
                "A. Quick Looks",
                "B. Known Cures: Case 1: Full spool",
                "B. Known Cures: Case 2: Listed address",
            ],
        )
        # The message to copy is text, not a command.
        self.assertEqual([c.language for c in parsed.steps[1].commands], ["bash"])
        self.assertIn("Post in #status", parsed.steps[1].instructions)
        sections = [p.values.heading for p in parsed.parts if p.kind == "section"]
        self.assertIn("Incident 1: Expired Relay Certificate", sections)

    def test_phases_and_templates_with_fences_in_them(self):
        parsed = read("after_action.md")
        self.assertEqual(
            names(parsed), ["Facts", "Sequence", "State of the Data", "Actions"]
        )
        self.assertEqual({step.label for step in parsed.steps}, {"Phase"})
        data = parsed.steps[2]
        self.assertEqual(data.verification, "")
        self.assertEqual(data.commands, ())
        self.assertIn("#### Done at once", data.instructions)
        self.assertEqual(
            [c.name for c in parsed.steps[1].commands],
            ["Where to look: 1. Deployments", "Where to look: 2. Sessions"],
        )
        self.assertEqual(
            [item.kind for item in parsed.first("triggers").items],
            ["manual", "scheduled"],
        )
        self.assertIn("without looking", parsed.header.body)

    def test_numbered_issues(self):
        parsed = read("storefront_guide.md")
        self.assertEqual(names(parsed), ["Slow Pages (>2s)", "Failing Payments (>1%)"])
        slow = parsed.steps[0]
        self.assertEqual(slow.duration, Duration())
        self.assertIn("- Carts are left behind", slow.topic("symptoms"))
        self.assertIn("Look at the Cache", slow.topic("diagnosis"))
        self.assertIn("- Add the index", slow.topic("solutions"))
        self.assertEqual(slow.topic("prevention"), "- Watch the slowest percent")
        self.assertEqual(
            [c.name for c in slow.commands],
            ["Look at the Database", "Look at the Cache"],
        )
        header = parsed.header
        self.assertEqual(header.subtitle, "Phase 2.1: Steady Operation")
        self.assertEqual(header.review_cycle, "Quarterly")
        self.assertEqual(header.status, "✅ VALID")
        self.assertEqual(runbook.as_date(header.next_review), date(2026, 6, 3))
        self.assertIsNone(runbook.as_date(header.date))

    def test_labelled_issues(self):
        parsed = read("depot_playbook.md")
        self.assertEqual([step.number for step in parsed.steps], ["1", "2", "3"])
        self.assertEqual({step.label for step in parsed.steps}, {"Issue"})
        self.assertEqual(
            [c.name for c in parsed.steps[0].commands],
            [
                "Diagnosis Steps",
                "Causes & Solutions: Stale Pairing",
                "Causes & Solutions: Old Firmware",
            ],
        )
        self.assertEqual(parsed.first("purpose").heading, "Overview")
        self.assertEqual(parsed.header.code, "DEPOT-PLAYBOOK")

    def test_tables_are_offered_as_records(self):
        kinds = {
            name: [(table.kind, table.template) for table in read(name).tables]
            for name in sorted(path.name for path in OWN.glob("*.md"))
        }
        self.assertEqual(
            kinds,
            {
                "after_action.md": [
                    ("severity", False),
                    ("action_items", True),
                    ("timeline", True),
                ],
                "depot_playbook.md": [("escalation", False)],
                "mail_outage.md": [
                    ("severity", False),
                    ("escalation", False),
                    ("timeline", True),
                    ("action_items", True),
                ],
                "stalled_import.md": [
                    ("severity", False),
                    ("error_code", False),
                    ("duration", False),
                ],
                "storefront_guide.md": [
                    ("severity", False),
                    ("escalation", False),
                    ("metrics", False),
                    ("error_message", False),
                ],
            },
        )
        table = read("stalled_import.md").tables[0]
        self.assertEqual(
            table.rows[0], ("CRITICAL", "No orders at all", "<15 min", "Pager")
        )
        parsed = read("stalled_import.md")
        self.assertEqual(parsed.parts[table.part_index].values.number, "1")
        line = parsed.text.split("\n")[table.line - 1]
        self.assertTrue(line.startswith("| Severity"))

    def test_tables_of_unknown_use_stay_other(self):
        parsed = document("| Level | Colour |", "|---|---|", "| 1 | red |")
        self.assertEqual([table.kind for table in parsed.tables], ["other"])

    def test_decision_trees(self):
        (tree,) = read("stalled_import.md").trees
        self.assertEqual(
            [tuple(branch) for branch in tree.branches],
            [
                ("Is the input file missing?", "YES", "Category: UPSTREAM"),
                ("Is the input file missing?", "NO", "Is a lock held?"),
                ("Is a lock held?", "YES", "Category: DATABASE"),
                ("Is a lock held?", "NO", "Category: UNKNOWN"),
            ],
        )
        (tree,) = read("storefront_guide.md").trees
        self.assertEqual(
            [tuple(branch) for branch in tree.branches][:3],
            [
                ("Does the shop answer?", "No", "Check the balancer"),
                ("Check the balancer", "Green", "Check the nodes"),
                ("Check the balancer", "Red", "Check the network"),
            ],
        )

    def test_no_tree_where_nothing_is_decided(self):
        parsed = document(
            "```", "Why did it stop?", "  → no disk", "Why no disk?", "  → log", "```"
        )
        self.assertEqual(parsed.trees, ())


class TestRunbookSteps(BaseCase):
    """Which headings are steps, and what belongs to one."""

    def test_numbered_steps_win_over_headings_with_commands(self):
        parsed = document(
            "## Step 1: Stop", "## Look", "```bash", "ls", "```", "## Step 2: Start"
        )
        self.assertEqual(names(parsed), ["Stop", "Start"])

    def test_plain_headings_with_commands(self):
        parsed = document(
            "## Background",
            "Words.",
            "## Restart",
            "```bash",
            "systemctl restart x",
            "```",
            "### If it fails",
            "```bash",
            "journalctl -u x",
            "```",
            "## Sample",
            "```json",
            "{}",
            "```",
        )
        self.assertEqual(names(parsed), ["Restart"])
        self.assertEqual(
            [c.name for c in parsed.steps[0].commands],
            ["systemctl restart x", "If it fails"],
        )

    def test_playbooks(self):
        parsed = document("## Outage Playbook", "- call", "## Breach Playbook", "- cut")
        self.assertEqual(names(parsed), ["Outage Playbook", "Breach Playbook"])

    def test_numbers_of_sections_are_no_steps(self):
        parsed = document(
            "## 1. Purpose",
            "P",
            "## 2. Scope",
            "S",
            "## 3. Definitions",
            "## 4. Responsibilities",
            "## 5. Procedure",
            "### 5.1 Stop it",
            "### 5.2 Start it",
            "## 6. References",
            "- [a](b.md)",
        )
        self.assertEqual(names(parsed), ["Stop it", "Start it"])
        self.assertEqual(parsed.first("scope").body, "S")
        self.assertEqual(len(parsed.first("related").items), 1)

    def test_steps_in_several_sections(self):
        parsed = document("## A", "### Step 1: a", "## B", "### Step 1: b", "#### c")
        self.assertEqual(names(parsed), ["a", "b"])

    def test_shapes_of_headings(self):
        for heading, expected in {
            "Step 3: Look": ("Step", "3", "Look"),
            "STEP 3 - Look": ("Step", "3", "Look"),
            "**Step 3. Look**": ("Step", "3", "Look"),
            "Phase 4.3: Look": ("Phase", "4.3", "Look"),
            "🔧 **Issue 2: `df` fails**": ("Issue", "2", "`df` fails"),
            "Stage 2b) Look": ("Stage", "2b", "Look"),
            "Step 4": ("Step", "4", "Step 4"),
            "Problem #7 – “Odd” values": ("Problem", "7", "“Odd” values"),
        }.items():
            with self.subTest(heading):
                (step,) = document(f"## {heading}").steps
                self.assertEqual((step.label, step.number, step.name), expected)
        for first, second in (
            ("1. Look", "2. Act"),
            ("**1) Look**", "**2) Act**"),
            ("1️⃣ Look", "2️⃣ Act"),
        ):
            with self.subTest(first):
                found = document(f"## {first}", f"## {second}").steps
                self.assertEqual(
                    [(step.label, step.number, step.name) for step in found],
                    [("", "1", "Look"), ("", "2", "Act")],
                )

    def test_a_document_may_have_no_steps(self):
        self.assertEqual(document("## Words", "only").steps, ())

    def test_hash_lines_in_fences_and_comments_are_no_headings(self):
        parsed = document(
            "## Step 1: a",
            "```bash",
            "## Step 2: b",
            "```",
            "<!--",
            "## Step 3: c",
            "-->",
            "    ## Step 4: d",
            "> ## Step 5: e",
            "- ## Step 6: f",
        )
        self.assertEqual(names(parsed), ["a"])

    def test_times(self):
        for text, expected in {
            "5-15 min": (5, 15, 15),
            "0 - 15 minutes": (0, 15, 15),
            "30 min to 2 hours": (30, 120, 120),
            "Within 5 days": (0, 7200, 7200),
            "<10 min": (0, 10, 10),
            "First 5 minutes": (0, 5, 5),
            "60+ minutes": (60, 0, 60),
            "1 hour": (60, 60, 60),
            "90 s": (2, 2, 2),
            "Variable": (0, 0, 0),
        }.items():
            with self.subTest(text):
                (step,) = document(f"## Step 1: Do ({text})").steps
                time = step.duration
                self.assertEqual((time.minimum, time.maximum, time.minutes), expected)
                self.assertEqual((step.name, time.text), ("Do", text))

    def test_what_is_no_time(self):
        for text in (">500ms", ">1%", ">2s", "P0", "optional", ">80% for 5 min", "v2"):
            with self.subTest(text):
                (step,) = document(f"## Step 1: Do ({text})").steps
                self.assertEqual(step.name, f"Do ({text})")
                self.assertEqual(step.duration, Duration())

    def test_flags_choices_and_categories(self):
        (step,) = document(
            "## Step 1: Decide",
            "**Expected time**: <10 min",
            "**Optional**: yes",
            "**Evidence**: required",
            "",
            "**Choices**:",
            "- Yes → Step 3",
            "- It is the database -> DATABASE",
            "",
            "**Look**:",
            "```bash category=DATABASE",
            "pg_isready",
            "```",
        ).steps
        self.assertEqual(step.duration.minutes, 10)
        self.assertFalse(step.mandatory)
        self.assertTrue(step.evidence_required)
        self.assertEqual(
            [tuple(choice) for choice in step.choices],
            [("Yes", "Step 3"), ("It is the database", "DATABASE")],
        )
        (command,) = step.commands
        self.assertEqual(command.category, "DATABASE")
        self.assertEqual(command.for_category("").options, "")
        self.assertEqual(step.instructions, "")

    def test_expected_output_of_commands(self):
        (step,) = document(
            "## Step 1: Look",
            "```bash",
            "pg_isready",
            "```",
            "Expected output: `accepting connections`",
            "",
            "**Count**:",
            "```sql",
            "select 1",
            "```",
            "",
            "**Expected output:** `` `1` ``.",
            "",
            "1. Ask:",
            "   ```bash",
            "   ask",
            "   ```",
            "   **Expected output**: `yes`",
            "2. Go on.",
            "",
            "**Verification**:",
            "```bash",
            "check",
            "```",
            "Expected output: `ok`",
            "",
            "That is all.",
        ).steps
        self.assertEqual(
            [(c.code, c.expected_output, c.purpose) for c in step.commands],
            [
                ("pg_isready", "accepting connections", "action"),
                ("select 1", "`1`", "action"),
                ("ask", "yes", "action"),
                ("check", "ok", "verification"),
            ],
        )
        self.assertEqual(step.instructions, "1. Ask:\n2. Go on.")
        self.assertEqual(step.verification, "That is all.")

    def test_prose_is_no_expected_output(self):
        for line in (
            "Expected output: a number",
            "Expected output: `0` or `1`",
            "Expected output: `a`, then nothing",
            "The expected output: `a`",
            "Expected output: ` `",
            "Expected output: `a`\nand more",
        ):
            with self.subTest(line=line):
                lines = ("## Step 1: x", "```bash", "ls", "```", line)
                (step,) = document(*lines).steps
                self.assertEqual(step.commands[0].expected_output, "")
                self.assertIn(line.split("\n")[0], step.instructions)
        (step,) = document("## Step 1: x", "Do.", "", "Expected output: `a`").steps
        self.assertIn("Expected output", step.instructions)

    def test_what_is_a_command(self):
        (step,) = document(
            "## Step 1: Do",
            "```",
            "only a drawing",
            "```",
            "",
            "```",
            "$ uptime",
            "```",
            "",
            "```text",
            "a letter",
            "```",
            "",
            "```yaml",
            "a: 1",
            "```",
            "",
            "> ```bash",
            "> quoted",
            "> ```",
        ).steps
        self.assertEqual([c.code for c in step.commands], ["$ uptime", "a: 1"])
        self.assertIn("only a drawing", step.instructions)
        self.assertIn("quoted", step.instructions)

    def test_front_matter(self):
        parsed = runbook.parse(
            "---\ntitle: Full disk\ncode: SOP-DISK-002\nversion: '1.2'\n"
            "tags:\n  - disk\n---\n\n## Purpose\n\nSpace.\n"
        )
        header = parsed.header
        self.assertEqual(
            (header.title, header.code, header.version),
            ("Full disk", "SOP-DISK-002", "1.2"),
        )
        self.assertEqual(header.front, (("tags", "\n  - disk"),))
        self.assertEqual(parsed.first("purpose").body, "Space.")

    def test_code_from_a_file_name(self):
        for name, code in {
            "runbooks/disk_full.md": "DISK-FULL",
            "C:\\docs\\Queue backlog.markdown": "QUEUE-BACKLOG",
            "SOP-X-001.md": "SOP-X-001",
        }.items():
            with self.subTest(name):
                self.assertEqual(runbook.code_from_filename(name), code)
        self.assertEqual(
            runbook.parse("# SOP-A-1: T", filename="b.md").header.code, "SOP-A-1"
        )


class TestRunbookSeeds(BaseCase):
    """The runbooks that the product was specified with."""

    def expect(self, name, **expected):
        found = sorted(SEEDS.glob(f"{name}_*")) if SEEDS.is_dir() else []
        if not found:
            # The own runbooks above have the same shapes, and always run.
            self.skipTest(f"no {name} in {SEEDS}")
        data = found[0].read_bytes()
        parsed = runbook.parse(data)
        if not parsed.notes:
            self.assertEqual(parsed.text, data.decode())
        self.assertEqual([s.name for s in parsed.steps], expected["steps"])
        if "commands" in expected:
            self.assertEqual(
                [len(step.commands) for step in parsed.steps], expected["commands"]
            )
        if "minutes" in expected:
            self.assertEqual(
                [step.duration.minutes for step in parsed.steps], expected["minutes"]
            )
        self.assertEqual(
            sorted({t.kind for t in parsed.tables} - {"other"}), expected["tables"]
        )
        self.assertEqual(len(parsed.trees), expected.get("trees", 0))
        self.assertEqual(len(parsed.notes), expected.get("notes", 0))
        return parsed

    def test_triage(self):
        parsed = self.expect(
            "000",
            steps=[
                "Error Classification",
                "Gather Evidence",
                "Root Cause Analysis",
                "Implement Fix",
                "Document Resolution",
                "Preventive Measures",
            ],
            commands=[2, 4, 1, 4, 4, 4],
            minutes=[5, 10, 30, 0, 15, 0],
            tables=["duration", "error_code", "severity"],
            trees=1,
        )
        self.assertEqual(parsed.header.code, "SOP-TRIAGE-001")
        codes = next(t for t in parsed.tables if t.kind == "error_code")
        self.assertEqual(len(codes.rows), 12)
        self.assertIn("create_sop_run.py", parsed.steps[0].commands[0].code)
        self.assertEqual(parsed.steps[0].commands[1].purpose, "verification")

    def test_incident_response(self):
        parsed = self.expect(
            "001",
            steps=[
                "DETECTION",
                "TRIAGE",
                "COMMUNICATION",
                "MITIGATION",
                "RESOLUTION",
                "POSTMORTEM",
            ],
            commands=[1, 1, 1, 5, 1, 0],
            minutes=[5, 10, 5, 100, 0, 7200],
            tables=["action_items", "escalation", "severity", "timeline"],
            notes=22,
        )
        self.assertEqual(parsed.header.title, "🚨 Incident Response Runbook")

    def test_incident_review(self):
        parsed = self.expect(
            "002",
            steps=[
                "Incident Identification",
                "Timeline Reconstruction",
                "Impact Assessment",
                "Root Cause Analysis",
                "Resolution Documentation",
                "Prevention Measures",
                "Lessons Learned",
                "Action Items",
            ],
            commands=[0, 4, 0, 0, 0, 0, 0, 1],
            tables=["action_items", "severity", "timeline"],
        )
        self.assertEqual({step.verification for step in parsed.steps}, {""})

    def test_troubleshooting_guide(self):
        parsed = self.expect(
            "003",
            steps=[
                "High Response Times (>500ms)",
                "High Error Rates (>1%)",
                "Database Connection Issues",
                "Memory Issues",
                "SSL/TLS Certificate Issues",
            ],
            commands=[3, 3, 2, 2, 2],
            tables=["error_message", "escalation", "metrics", "severity"],
            trees=1,
            notes=19,
        )
        self.assertEqual(parsed.header.approved_by, "Operations Team")
        damaged = [note.line for note in parsed.notes if note.before == note.after]
        self.assertEqual(damaged, [34, 79])

    def test_operations_playbook(self):
        parsed = self.expect(
            "004",
            steps=[
                "Service Won't Start",
                "High CPU Usage",
                "Memory Leaks",
                "Database Performance Issues",
                "GitHub API Rate Limiting",
                "Claude API Issues",
                "Disk Space Issues",
                "Network Connectivity Issues",
            ],
            commands=[4, 3, 3, 3, 3, 3, 3, 3],
            tables=["escalation"],
        )
        self.assertTrue(all(step.topic("symptoms") for step in parsed.steps))
