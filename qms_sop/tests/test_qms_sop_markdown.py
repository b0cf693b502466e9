import base64
import io
import re
import zipfile
from datetime import date
from pathlib import Path

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import HttpCase, tagged

from ..tools import markdown_terms as terms
from ..tools import runbook
from .common import QmsSopCommon

# Real runbooks, on the machines that have them.
SEEDS = Path(__file__).resolve().parents[3] / "shared" / "seeds"

SOP = """\
# SOP-MDTEST-001: Clear a stuck queue

**Version**: 1.2.0
**Owner**: Platform Team
**Classification**: Operations
**Status**: Under discussion
**Review Cycle**: Quarterly
**Error codes**: DB_DEADLOCK, NO_SUCH_CODE_YET

Read this first.

## Purpose

Get a stuck queue moving.

## Scope

- One queue at a time.

## Triggers

- **Automated**: Queue longer than 1000
- **Manual**: Somebody complains

## Prerequisites

### Required Access

- [ ] The broker
- [x] The dashboard

### Required Tools

- [ ] `redis-cli`

Ask the platform team for both.

## Background

Some *words* with a table:

| Code | Category | Severity | Common Causes | Resolution |
|---|---|---|---|---|
| DB_DEADLOCK | DATABASE | High | Locks | Retry |
| NO_SUCH_CODE_YET | DATABASE | High | Unknown | Unknown |

---

## Procedure

### Step 1: Look (5 min)

**Objective**: Know how long it is

Count it, then compare:

**Database error evidence**:

```sql
SELECT count(*) FROM queue;
```

**Length of the queue**:

```bash
redis-cli llen queue
```
Expected output: `(integer)`

**Expected Result**:
- A number

**Choices**:

- It is long → Step 3
- The database is slow → DATABASE
- Nothing is wrong → End
- Try again → Step 1

**Verification**:
```bash
redis-cli ping
```

### Step 2: Ask <script>alert("x")</script>

Who added to it? <img src=x onerror=alert(1)>

[click](javascript:alert(1))

### Step 3: Empty it (10-20 minutes)

**Optional**: yes

**Evidence**: required

```bash
redis-cli del queue
```

## Afterwards

Tell people.

### Lessons

- [ ] Write them down

## Related Documents

- [SOP-TEST-001: Test procedure](test.md)
- [SOP-NOWHERE-001: Not there](nowhere.md)

---

**Document Owner**: Platform Team
**Next Review**: 2031-02-01
"""

# The shapes that runbooks come in; each keeps every line of it.
SHAPES = {
    "phases": (
        "# Review workflow\n\n## Purpose\n\nLearn.\n\n## Workflow Phases\n\n"
        + "".join(
            f"### Phase {n}: Part {n}\n\nDo it.\n\n| Who | What |\n|---|---|\n"
            f"| A | {n} |\n\n---\n\n"
            for n in range(1, 9)
        )
        + "## References\n\n- [Guide](guide.md)\n",
        8,
    ),
    "issues": (
        "# Operations playbook\n\n## Overview\n\nHelp.\n\n## Common Issues\n\n"
        + "".join(
            f"### Issue {n}: Trouble {n}\n\n#### Symptoms\n- It is {n}\n\n"
            f"#### Diagnosis Steps\n```bash\ncheck {n}\n```\n\n#### Solutions\n"
            f"```bash\nfix {n}\n```\n\n"
            for n in range(1, 9)
        )
        + "---\n*Last Updated: August 24, 2025*",
        8,
    ),
    "numbered": (
        "---\ntitle: Incident\nversion: '2.0'\ntags:\n  - a\n---\n\n# Incident\n\n"
        + "".join(
            f"### **{n}. {name}** ({n - 1}-{n} min)\n\n1. First\n   ```bash\n"
            f"   run {name}\n   ```\n2. Then\n\n"
            for n, name in enumerate(("DETECT", "TRIAGE", "MEND"), 1)
        ),
        3,
    ),
    "plain": (
        "# Housekeeping\r\n\r\nOnce a week.\r\n\r\n## Rotate\r\n\r\n```bash\r\n"
        "rotate\r\n```\r\n\r\n## Compress\r\n\r\n```bash\r\ncompress\r\n```",
        2,
    ),
}


def generated(number, steps=30):
    """Return an SOP of some steps, each with two commands, as Markdown."""
    pieces = [
        f"# SOP-GEN-{number:03}: Generated procedure {number}\n\n**Version**: 1.0.0\n"
        "**Owner**: Generator\n\n## Purpose\n\nTo be imported.\n\n## Procedure\n"
    ]
    for step in range(1, steps + 1):
        pieces.append(
            f"\n### Step {step}: Part {step} of {number} ({step} min)\n\n"
            f"**Objective**: Do part {step}\n\nRead the output before you go on.\n\n"
            f"**Show {step}**:\n\n```bash\nshow --part {step}\n```\n\n"
            f"**Expected Result**:\n- Part {step} is done\n\n"
            f"**Verification**:\n\n```bash\nverify --part {step}\n```\n"
        )
    return "".join(pieces)


def squeezed(text):
    """Return the lines of a text, white space aside."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


@tagged("post_install", "-at_install")
class TestQmsSopMarkdown(QmsSopCommon):
    """Markdown files become revisions, and revisions become Markdown files."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.documents = cls.env["qms.sop.document"].with_user(cls.author)

    def load(self, text=SOP, filename="queue.md", user=None, **kwargs):
        content = base64.b64encode(text.encode() if isinstance(text, str) else text)
        documents = self.documents.with_user(user or self.author)
        return documents.import_markdown(filename, content.decode(), **kwargs)

    def imported(self, *args, **kwargs):
        document = self.documents.browse(self.load(*args, **kwargs)["id"])
        self.env.flush_all()
        self.env.invalidate_all()
        return document

    # === What is understood ===

    def test_import_creates_a_draft(self):
        answer = self.load()
        self.assertEqual(
            {key: answer[key] for key in ("status", "code", "version", "state")},
            {
                "status": "created",
                "code": "SOP-MDTEST-001",
                "version": "1.2.0",
                "state": "draft",
            },
        )
        document = self.documents.browse(answer["id"])
        self.assertRecordValues(
            document,
            [
                {
                    "name": "Clear a stuck queue",
                    "owner": "Platform Team",
                    "classification": "Operations",
                    "review_interval": 3,
                    "review_date": date(2031, 2, 1),
                    "purpose": "Get a stuck queue moving.",
                    "scope": "- One queue at a time.",
                    "author_id": self.author.id,
                    "revision": 1,
                }
            ],
        )
        self.assertEqual(document.error_code_ids.mapped("name"), ["DB_DEADLOCK"])
        self.assertEqual(document.related_ids, self.sop)
        self.assertEqual(
            document.trigger_ids.mapped(lambda t: (t.kind, t.name)),
            [
                ("automated", "Queue longer than 1000"),
                ("manual", "Somebody complains"),
            ],
        )
        self.assertEqual(
            document.prerequisite_ids.mapped("kind"), ["access", "access", "tool"]
        )

    def test_steps_commands_and_choices(self):
        look, ask, empty = self.imported().step_ids
        self.assertRecordValues(
            look | ask | empty,
            [
                {
                    "name": "Look",
                    "expected_duration": 5,
                    "mandatory": True,
                    "evidence_required": False,
                },
                {
                    "name": 'Ask <script>alert("x")</script>',
                    "expected_duration": 0,
                    "mandatory": True,
                    "evidence_required": False,
                },
                {
                    "name": "Empty it",
                    "expected_duration": 20,
                    "mandatory": False,
                    "evidence_required": True,
                },
            ],
        )
        database = self.env.ref("qms_error_code.category_database")
        self.assertRecordValues(
            look.command_ids.sorted(),
            [
                {
                    "name": "Database error evidence",
                    "language": "sql",
                    "command": "SELECT count(*) FROM queue;",
                    "purpose": "action",
                    "category_id": database.id,
                    "expected_output": False,
                },
                {
                    "name": "Length of the queue",
                    "language": "bash",
                    "command": "redis-cli llen queue",
                    "purpose": "action",
                    "category_id": False,
                    "expected_output": "(integer)",
                },
                {
                    "name": "redis-cli ping",
                    "language": "bash",
                    "command": "redis-cli ping",
                    "purpose": "verification",
                    "category_id": False,
                    "expected_output": False,
                },
            ],
        )
        self.assertRecordValues(
            look.choice_ids.sorted(),
            [
                {
                    "name": "It is long",
                    "next_step_id": empty.id,
                    "category_id": False,
                    "ends": False,
                },
                {
                    "name": "The database is slow",
                    "next_step_id": False,
                    "category_id": database.id,
                    "ends": False,
                },
                {
                    "name": "Nothing is wrong",
                    "next_step_id": False,
                    "category_id": False,
                    "ends": True,
                },
                # It leads back: kept as text.
                {
                    "name": "Try again → Step 1",
                    "next_step_id": False,
                    "category_id": False,
                    "ends": False,
                },
            ],
        )

    def test_dry_run_tells_and_changes_nothing(self):
        codes = self.env["qms.error.code"].search_count([])
        answer = self.load(dry_run=True)
        self.assertEqual((answer["status"], answer["change"]), ("preview", "created"))
        self.assertFalse(answer["id"])
        self.assertFalse(self.documents.search_count([("code", "=", "SOP-MDTEST-001")]))
        self.assertEqual(self.env["qms.error.code"].search_count([]), codes)
        steps = [item for item in answer["outline"] if item["kind"] == "step"]
        self.assertEqual(
            [(step["number"], step["title"], step["minutes"]) for step in steps],
            [(1, "Look", 5), (2, 'Ask <script>alert("x")</script>', 0)]
            + [(3, "Empty it", 20)],
        )
        lines = SOP.splitlines()
        for item in answer["outline"]:
            if item["kind"] not in ("header", "footer"):
                self.assertIn(item["title"].split(" (")[0], lines[item["line"] - 1])
        (table,) = answer["tables"]
        self.assertEqual((table["kind"], table["row_count"]), ("error_code", 2))
        notes = " ".join(note["text"] for note in answer["notes"])
        self.assertIn("NO_SUCH_CODE_YET", notes)
        self.assertIn("Try again → Step 1", notes)

    def test_codes_of_tables_are_never_created(self):
        self.load()
        self.assertFalse(
            self.env["qms.error.code"].search_count([("name", "=", "NO_SUCH_CODE_YET")])
        )

    def test_html_in_markdown_is_shown_not_run(self):
        step = self.imported().step_ids[1]
        html = str(step.instructions_html)
        self.assertNotIn("<img", html)
        self.assertIn("&lt;img", html)
        self.assertNotIn('href="javascript:', html)
        wizard = self.env["qms.sop.import"].with_user(self.author).create({"text": SOP})
        wizard.action_preview()
        self.assertNotIn("<script", str(wizard.preview))
        self.assertIn("&lt;script", str(wizard.preview))

    def test_repaired_text_is_told(self):
        answer = self.load(SOP.replace("Read this first.", "Itâ€™s here."))
        (note,) = [note for note in answer["notes"] if "repaired" in note["text"]]
        self.assertIn("It’s here.", note["text"])
        self.assertEqual(note["line"], SOP.splitlines().index("Read this first.") + 1)

    def test_categories_of_commands(self):
        categories = self.documents._categories()
        database = self.env.ref("qms_error_code.category_database").id
        for name, options, expected in (
            ("Database error evidence", "", database),
            ("DATABASE", "", database),
            ("Databases of the server", "", False),
            ("The database", "", False),
            ("Any caption", "category=DATABASE", database),
            ("Database error evidence", "category=ALL", False),
        ):
            with self.subTest(name=name, options=options):
                command = runbook.Command(name, "bash", "x", options=options)
                self.assertEqual(categories.of_command(command), expected)
                for category in (database, False):
                    changed = categories.with_category(command, category)
                    self.assertEqual(categories.of_command(changed), category)

    def test_categories_follow_the_catalogue(self):
        category = self.env.ref("qms_error_code.category_database")
        self.assertFalse(self.documents._categories().named("data stores"))
        category.name = "Data stores"
        self.assertEqual(self.documents._categories().named("data stores"), category.id)
        category.active = False
        self.assertFalse(self.documents._categories().named("data stores"))

    # === No line is lost ===

    def test_export_gives_the_file_back(self):
        self.assertEqual(self.imported()._markdown(), SOP)
        for name, (text, steps) in SHAPES.items():
            with self.subTest(shape=name):
                document = self.imported(text, filename=f"{name}.md")
                self.assertEqual(document.step_count, steps)
                self.assertEqual(document.code, name.upper())
                self.assertEqual(document._markdown(), text.replace("\r\n", "\n"))

    def test_seeds_come_back(self):
        files = sorted(SEEDS.glob("*.txt"))
        if not files:
            self.skipTest("The runbooks this product is about are not on this machine.")
        steps = {}
        for file in files:
            text = file.read_text(encoding="utf-8")
            # SOP-TRIAGE-001 is in force as the add-on ships it.
            text = text.replace("# SOP-TRIAGE-001:", "# SOP-TRIAGE-901:")
            with self.subTest(file=file.name):
                answer = self.load(text, filename=file.name)
                document = self.documents.browse(answer["id"])
                self.env.flush_all()
                self.env.invalidate_all()
                book = runbook.parse(text, filename=file.name)
                self.assertEqual(squeezed(document._markdown()), squeezed(book.text))
                repaired = {note.line for note in book.notes}
                lost = [
                    line
                    for number, line in enumerate(text.splitlines(), 1)
                    if number not in repaired
                    and line.strip()
                    and line.strip() not in document._markdown()
                ]
                self.assertFalse(lost)
                self.assertEqual(
                    self.load(text, filename=file.name)["status"], "unchanged"
                )
                steps[file.name[:3]] = document.step_count
        self.assertEqual(steps["000"], 6)
        self.assertEqual(steps["002"], 8)
        self.assertEqual(steps["004"], 8)
        self.assertGreaterEqual(min(steps.values()), 5)

    def test_library_comes_back(self):
        folder = Path(__file__).resolve().parents[1] / "data" / "library"
        for file in sorted(folder.glob("*.md")):
            with self.subTest(file=file.name):
                text = file.read_text(encoding="utf-8")
                text = re.sub(r"^# SOP-(\w+)-001:", r"# SOP-\1-901:", text)
                document = self.imported(text, filename=file.name)
                self.assertEqual(document._markdown(), text)
                self.assertEqual(document._missing_for_review(), [])
                for choice in document.step_ids.choice_ids:
                    self.assertNotIn("→", choice.name)

    def test_sop_made_in_odoo_comes_back(self):
        draft = self.draft_sop("SOP-MADE-001", scope="- Here", version="2.1.0")
        look, mend, tidy = draft.step_ids
        database = self.env.ref("qms_error_code.category_database")
        look.write(
            {
                "objective": "See",
                "instructions": "Look **well**.\n\n- at it",
                "expected_duration": 7,
                "command_ids": [
                    Command.create(
                        {
                            "name": "List",
                            "command": "ls -l\ndf -h",
                            "category_id": database.id,
                        }
                    ),
                    Command.create(
                        {
                            "name": "Check",
                            "command": "true",
                            "purpose": "verification",
                            "expected_output": "fine",
                        }
                    ),
                ],
                "choice_ids": [
                    Command.create({"name": "Fine", "next_step_id": tidy.id}),
                    Command.create({"name": "Broken", "category_id": database.id}),
                ],
            }
        )
        draft.trigger_ids = [Command.create({"kind": "scheduled", "name": "Daily"})]
        draft.related_ids = self.sop
        text = draft._markdown()
        answer = self.load(text, filename="made.md", dry_run=True)
        self.assertEqual(answer["change"], "unchanged", text)
        copy = self.imported(
            text.replace("SOP-MADE-001", "SOP-MADE-002"), filename="made.md"
        )
        told, copied = draft._content(), copy._content()
        for name in ("step_ids", "trigger_ids", "purpose", "scope", "version"):
            self.assertEqual(told[name], copied[name], name)
        self.assertEqual(copy.related_ids, self.sop)

    # === Edits are exported ===

    def test_edits_are_exported(self):
        document = self.imported()
        look, ask, empty = document.step_ids
        document.write({"name": "Empty a queue", "owner": "SRE", "purpose": "Move it."})
        look.write({"objective": "Count it", "expected_duration": 9})
        look.command_ids.filtered(lambda c: c.language == "sql").command = "SELECT 1;"
        look.command_ids.filtered("expected_output").expected_output = "`4`"
        look.choice_ids.filtered("ends").unlink()
        empty.name = "Drain it"
        section = document.section_ids.filtered(lambda s: s.heading == "Background")
        section.body = "Other words."
        document.trigger_ids[0].name = "Queue longer than 5000"
        document.error_code_ids = self.env["qms.error.code"]._resolve("DB_SLOW_QUERY")
        text = document._markdown()
        for new in (
            "# SOP-MDTEST-001: Empty a queue",
            "**Owner**: SRE",
            "Move it.",
            "**Objective**: Count it",
            "9 min",
            "SELECT 1;",
            "Expected output: `` `4` ``",
            ": Drain it",
            "Other words.",
            "Queue longer than 5000",
            "**Error codes**: NO_SUCH_CODE_YET, DB_SLOW_QUERY",
        ):
            self.assertIn(new, text)
        for old in ("SELECT count", "Nothing is wrong", "stuck queue\n", "5 min)"):
            self.assertNotIn(old, text)
        # What was not touched stands as it was.
        for kept in (
            "**Status**: Under discussion",
            "### Required Access\n\n- [ ] The broker\n- [x] The dashboard\n",
            ask.source,
            "Ask the platform team for both.",
            "- [SOP-NOWHERE-001: Not there](nowhere.md)",
        ):
            self.assertIn(kept, text)
        # Importing what was exported changes nothing more.
        self.assertEqual(self.load(text)["status"], "unchanged")

    def test_only_the_edited_part_changes(self):
        document = self.imported()
        ask = document.step_ids[1]
        ask.instructions = "Ask everybody."
        text = document._markdown()
        before, after = SOP.split(ask.source)
        self.assertTrue(text.startswith(before))
        self.assertTrue(text.endswith(after))

    def test_reordered_steps_are_renumbered(self):
        document = self.imported()
        look, ask, empty = document.step_ids
        look.choice_ids.filtered(lambda c: c.name == "Try again → Step 1").unlink()
        ask.sequence, empty.sequence = 3, 2
        self.env.flush_all()
        self.env.invalidate_all()
        text = document._markdown()
        self.assertIn("### Step 2: Empty it", text)
        self.assertIn("### Step 3: Ask", text)
        self.assertIn("- It is long → Step 2", text)
        self.assertLess(text.index(": Empty it"), text.index(": Ask"))
        self.assertLess(text.index(": Ask"), text.index("## Afterwards"))
        self.assertEqual(self.load(text)["status"], "unchanged")

    def test_added_and_removed_steps(self):
        document = self.imported()
        document.step_ids[1].unlink()
        document.step_ids = [Command.create({"name": "Report", "sequence": 9})]
        self.env.flush_all()
        self.env.invalidate_all()
        text = document._markdown()
        self.assertNotIn("Who added to it?", text)
        self.assertRegex(text, r"### Step \d: Report")
        self.assertLess(text.index(": Report"), text.index("## Afterwards"))
        copy = self.imported(text.replace("MDTEST-001", "MDTEST-002"))
        self.assertEqual(copy.step_ids.mapped("name"), ["Look", "Empty it", "Report"])

    def test_category_of_a_command_is_exported(self):
        document = self.imported()
        first, second = document.step_ids[0].command_ids.sorted()[:2]
        first.category_id = False
        second.category_id = self.env.ref("qms_error_code.category_application")
        text = document._markdown()
        self.assertIn("```sql category=ALL", text)
        self.assertIn("```bash category=APPLICATION", text)
        copy = self.imported(text.replace("MDTEST-001", "MDTEST-002"))
        self.assertEqual(
            copy.step_ids[0].command_ids.sorted().mapped("category_id.code"),
            ["APPLICATION"],
        )

    # === Revisions ===

    def test_same_content_changes_nothing(self):
        first = self.load()
        again = self.load()
        self.assertEqual((again["status"], again["id"]), ("unchanged", first["id"]))
        spaced = SOP.replace("\n\n---\n\n## Procedure", "\n\n\n---\n\n\n## Procedure")
        self.assertEqual(self.load(spaced)["status"], "unchanged")

    def test_draft_is_updated_in_place(self):
        first = self.load()
        text = SOP.replace("Tell people.", "Tell everybody.").replace(
            "- The database is slow → DATABASE\n", ""
        )
        answer = self.load(text)
        self.assertEqual((answer["status"], answer["id"]), ("updated", first["id"]))
        document = self.documents.browse(first["id"])
        self.assertEqual(document._markdown(), text)
        self.assertEqual(len(document.step_ids), 3)
        self.assertEqual(len(document.step_ids[0].choice_ids), 3)
        self.assertEqual(document.revision, 1)

    def test_approved_gets_a_new_revision(self):
        document = self.approve(self.imported())
        self.assertEqual(self.load()["status"], "unchanged")
        changed = SOP.replace("Tell people.", "Tell everybody.")
        answer = self.load(changed)
        self.assertEqual(answer["status"], "created")
        draft = self.documents.browse(answer["id"])
        self.assertRecordValues(
            draft,
            [
                {
                    "state": "draft",
                    "version": "1.3.0",
                    "revision": 2,
                    "previous_id": document.id,
                }
            ],
        )
        self.assertIn("1.3.0", " ".join(note["text"] for note in answer["notes"]))
        # The file still says 1.2.0; that alone is no change.
        self.assertEqual(self.load(changed)["status"], "unchanged")
        self.assertEqual(document._markdown(), SOP)

    def test_version_of_the_file_is_taken_where_it_is_higher(self):
        self.approve(self.imported())
        answer = self.load(SOP.replace("1.2.0", "2.0.0"))
        self.assertEqual((answer["status"], answer["version"]), ("created", "2.0.0"))
        lower = self.load(SOP.replace("1.2.0", "0.9").replace("people", "nobody"))
        self.assertEqual((lower["status"], lower["version"]), ("updated", "2.0.0"))

    def test_new_revision_keeps_the_text(self):
        document = self.approve(self.imported())
        draft = document.with_user(self.author)._new_revision("minor")
        self.env.flush_all()
        self.env.invalidate_all()
        text = draft._markdown()
        # It has no review date yet; nothing else differs.
        expected = SOP.replace("1.2.0", "1.3.0").replace(
            "**Next Review**: 2031-02-01\n", ""
        )
        self.assertEqual(squeezed(text), squeezed(expected))

    def test_in_review_is_refused(self):
        document = self.imported()
        document.action_submit()
        for dry_run in (False, True):
            with self.assertRaisesRegex(UserError, "in review"):
                self.load(SOP.replace("people", "nobody"), dry_run=dry_run)
        self.assertEqual(document._markdown(), SOP)

    def test_submit(self):
        answer = self.load(submit=True)
        self.assertEqual((answer["status"], answer["state"]), ("created", "in_review"))
        with self.assertRaisesRegex(UserError, "purpose"):
            self.load("# SOP-X-1: Bare\n\n## A\n\n```bash\nls\n```\n", submit=True)

    def test_approved_content_cannot_be_changed(self):
        document = self.approve(self.imported()).with_user(self.manager)
        for change in (
            lambda: document.section_ids[0].write({"body": "x"}),
            lambda: document.section_ids[0].unlink(),
            lambda: document.write({"section_ids": [Command.create({})]}),
            lambda: document.section_ids.create({"document_id": document.id}),
        ):
            with self.assertRaises(UserError), self.env.cr.savepoint():
                change()
        self.assertEqual(document._markdown(), SOP)

    def test_idempotency_key(self):
        first = self.load(idempotency_key="k")
        again = self.load(idempotency_key="k")
        self.assertEqual(first, again)
        with self.assertRaisesRegex(ValidationError, "already used"):
            self.load(SOP + "\nMore.\n", idempotency_key="k")

    # === Who may ===

    def test_only_authors_import(self):
        for role in ("operator", "auditor", "automation"):
            for dry_run in (False, True):
                with self.subTest(role=role), self.assertRaises(AccessError):
                    self.load(user=self.users[role], dry_run=dry_run)
        for role in ("author", "manager"):
            code = f"SOP-{role.upper()}-001"
            answer = self.load(
                SOP.replace("SOP-MDTEST-001", code), user=self.users[role]
            )
            self.assertEqual(answer["status"], "created")

    def test_everybody_exports(self):
        document = self.imported()
        for role, user in self.users.items():
            with self.subTest(role=role):
                answer = document.with_user(user).export_markdown()
                self.assertEqual(answer, {"filename": "queue.md", "content": SOP}, role)

    def test_shared_sop_of_another_company_is_not_seen(self):
        company = self.env["res.company"].create({"name": "Another"})
        document = self.imported()
        document.sudo().company_id = company
        with self.assertRaises(AccessError):
            document.section_ids.with_user(self.author).mapped("body")

    # === What is refused ===

    def test_bad_files_are_refused_with_the_line(self):
        for name, data, message in (
            ("empty.md", b"  \n\n", "empty.md: Line 1: .*empty"),
            ("binary.md", b"# T\n\nx\0y", "binary.md: Line 3: .*binary"),
            ("latin.md", "# T\n\n\xe9t\xe9".encode("latin-1"), "Line 3: .*UTF-8"),
            ("untitled.md", b"Some text\n\n- a\n", "untitled.md: Line 1: .*title"),
            ("huge.md", b"# T\n" + b"x" * 2**21, "Line 1: .*2097152"),
            ("vast.md", b"# T\n" + b"x" * 2**23, "Line 1: .*2097152"),
            (
                "long.md",
                b"# T\n" + b"".join(b"## Step %d: x\n" % n for n in range(2001)),
                "long.md: Line 2002: .*2000 steps",
            ),
            ("", b"# Title\n\n## A\n", "Text: Line 1: there is no SOP code"),
        ):
            for dry_run in (False, True):
                with (
                    self.subTest(name=name, dry_run=dry_run),
                    self.assertRaisesRegex(ValidationError, message),
                ):
                    self.load(data, filename=name, dry_run=dry_run)

    def test_misuse_is_refused(self):
        with self.assertRaisesRegex(ValidationError, "base64"):
            self.documents.import_markdown("a.md", "not base64!")
        with self.assertRaisesRegex(ValidationError, "filename"):
            self.documents.import_markdown(5, "")
        with self.assertRaisesRegex(ValidationError, "same choice twice"):
            self.load(SOP.replace("- Nothing is wrong → End", "- It is long → End"))

    def test_2000_steps_are_accepted(self):
        text = "# T\n" + "".join(f"\n## Step {n}: Part\n" for n in range(1, 2001))
        document = self.imported(text, filename="long.md")
        self.assertEqual(document.step_count, 2000)
        self.assertEqual(document._markdown(), text)

    # === Cost ===

    def queries(self, call):
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        call()
        self.env.flush_all()
        return self.env.cr.sql_log_count - before

    def test_queries_do_not_depend_on_the_steps(self):
        for number in (4, 5):
            self.queries(lambda number=number: self.load(generated(number, 3)))
        few = self.queries(lambda: self.load(generated(2, 3)))
        many = self.queries(lambda: self.load(generated(3, 30)))
        self.assertEqual(few, many)
        self.assertLessEqual(many, 40)
        short, long = (
            self.documents.search([("code", "=", code)])
            for code in ("SOP-GEN-002", "SOP-GEN-003")
        )
        self.queries(short._markdown)
        few = self.queries(short._markdown)
        self.assertEqual(few, self.queries(long._markdown))
        self.assertLessEqual(few, 15)

    def test_an_unchanged_file_costs_little(self):
        texts = {"same.md": generated(6, 30)}
        self.load(texts["same.md"])
        self.queries(lambda: self.load(texts["same.md"]))
        self.assertLessEqual(self.queries(lambda: self.load(texts["same.md"])), 8)

    def test_any_edit_in_odoo_makes_the_file_another_one(self):
        edits = {
            "title": lambda sop: sop.write({"name": "Another"}),
            "owner": lambda sop: sop.write({"owner": "Another"}),
            "link": lambda sop: sop.write({"related_ids": [Command.clear()]}),
            "code": lambda sop: sop.write({"error_code_ids": [Command.clear()]}),
            "section": lambda sop: sop.section_ids.filtered(
                lambda section: section.kind == "section"
            )[0].write({"body": "Another"}),
            "trigger": lambda sop: sop.trigger_ids[0].unlink(),
            "prerequisite": lambda sop: sop.prerequisite_ids[0].write({"name": "x"}),
            "step": lambda sop: sop.step_ids[0].write({"objective": "Another"}),
            "new step": lambda sop: sop.step_ids.create(
                {"document_id": sop.id, "name": "Another", "sequence": 99}
            ),
            "command": lambda sop: (
                sop.step_ids[0].command_ids[0].write({"command": "another"})
            ),
            "choice": lambda sop: sop.step_ids[0].choice_ids[0].unlink(),
        }
        for number, (name, edit) in enumerate(edits.items(), 1):
            with self.subTest(edit=name):
                text = SOP.replace("MDTEST-001", f"MDTEST-1{number:02}")
                document = self.imported(text)
                self.assertTrue(document.source_digest)
                edit(document)
                self.assertFalse(document.source_digest)
                self.assertEqual(self.load(text, dry_run=True)["change"], "updated")
                self.assertEqual(self.load(text)["status"], "updated")
                self.assertEqual(self.load(text)["status"], "unchanged")
                self.assertEqual(document._markdown(), text)
        with self.assertRaisesRegex(UserError, "source_digest"):
            document.source_digest = "x"

    # === Wizard and files ===

    def wizard(self, *files, **values):
        attachments = self.env["ir.attachment"].with_user(self.author)
        return (
            self.env["qms.sop.import"]
            .with_user(self.author)
            .create(
                {
                    "attachment_ids": [
                        Command.set(
                            attachments.create(
                                [{"name": name, "raw": raw} for name, raw in files]
                            ).ids
                        )
                    ],
                    **values,
                }
            )
        )

    def test_wizard_goes_on_after_a_bad_file(self):
        wizard = self.wizard(("queue.md", SOP.encode()), ("bad.md", b"x\0"))
        wizard.action_preview()
        self.assertTrue(wizard.importable)
        preview = str(wizard.preview)
        self.assertIn("bad.md", preview)
        self.assertIn("binary", preview)
        self.assertIn("Empty it", preview)
        action = wizard.action_import()["params"]["next"]
        document = self.documents.browse(action["res_id"])
        self.assertEqual(document._markdown(), SOP)

    def test_wizard_takes_pasted_text(self):
        wizard = self.wizard(text=SOP, submit=True)
        wizard.action_preview()
        action = wizard.action_import()
        self.assertEqual(self.documents.browse(action["res_id"]).state, "in_review")

    def test_wizard_refuses_nothing_and_too_much(self):
        with self.assertRaisesRegex(UserError, "Upload"):
            self.wizard(text="  ").action_preview()
        with self.assertRaisesRegex(UserError, "too many"):
            self.wizard(*[(f"{n}.md", b"x") for n in range(101)]).action_preview()
        wizard = self.wizard(("bad.md", b"x\0"))
        wizard.action_preview()
        self.assertFalse(wizard.importable)
        with self.assertRaisesRegex(UserError, "bad.md"):
            wizard.action_import()

    def test_archive(self):
        first = self.imported()
        second = self.imported(SOP.replace("MDTEST-001", "MDTEST-002"))
        data = (first | second)._markdown_archive()
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            self.assertEqual(archive.namelist(), ["queue.md", "queue-1.2.0.md"])
            self.assertEqual(archive.read("queue.md").decode(), SOP)

    # === The starter library ===

    def test_library_is_in_force(self):
        folder = Path(__file__).resolve().parents[1] / "data" / "library"
        for file in folder.glob("*.md"):
            with self.subTest(file=file.name):
                text = file.read_text(encoding="utf-8")
                code = runbook.parse(text, filename=file.name).header.code
                document = self.env.ref(f"qms_sop.{code.lower().replace('-', '_')}")
                self.assertEqual((document.code, document.state), (code, "approved"))

    def test_library_is_loaded_once(self):
        before = self.env["qms.sop.document"].with_context(active_test=False)
        count = before.search_count([])
        self.assertEqual(self.env["qms.sop.document"]._load_library(), [])
        self.assertEqual(before.search_count([]), count)


@tagged("post_install", "-at_install")
class TestQmsSopMarkdownTerms(QmsSopCommon):
    """Words that name records."""

    def test_review_cycles(self):
        for text, months in (
            ("Quarterly", 3),
            ("every 6 months", 6),
            ("2 years", 24),
            ("Semi-annually", 6),
            ("whenever", None),
            ("every 0 months", None),
        ):
            with self.subTest(text=text):
                self.assertEqual(terms.months_of(text), months)
        for months in (1, 2, 3, 6, 12, 24, 120):
            self.assertEqual(terms.months_of(terms.words_of_months(months)), months)

    def test_targets(self):
        steps = [
            runbook.Step("Look", "Step", "1"),
            runbook.Step("Mend it", "Step", "2"),
            runbook.Step("Tell", "Step", "3"),
        ]
        categories = self.env["qms.sop.document"]._categories()
        database = self.env.ref("qms_error_code.category_database").id
        for text, expected in (
            ("Step 2", (1, False, False)),
            ("step #3", (2, False, False)),
            ("3", (2, False, False)),
            ("mend it", (1, False, False)),
            ("DATABASE", (None, database, False)),
            ("Category: Database", (None, database, False)),
            ("DATABASE, Step 2", (1, database, False)),
            ("Database and end", (None, database, True)),
            ("Next step", (None, False, False)),
            ("Step 9", None),
            ("somewhere", None),
            ("End, Step 2", None),
        ):
            with self.subTest(text=text):
                read = terms.read_target(text, terms.Steps(steps), categories)
                self.assertEqual(read, expected)
                if read:
                    step, category, ends = read
                    written = terms.write_target(
                        steps[step] if step is not None else None,
                        categories.codes.get(category, ""),
                        ends,
                    )
                    self.assertEqual(
                        terms.read_target(written, terms.Steps(steps), categories), read
                    )


@tagged("post_install", "-at_install")
class TestQmsSopMarkdownHttp(QmsSopCommon, HttpCase):
    """Downloads, and the wizard in a browser."""

    def test_download(self):
        one = self.env["qms.sop.document"].with_user(self.author)
        first = one.browse(one._import_markdown("queue.md", SOP)["id"])
        second = one.browse(
            one._import_markdown("b.md", SOP.replace("MDTEST-001", "MDTEST-002"))["id"]
        )
        url = first.action_export_markdown()["url"]
        # Nobody gets a file without logging in.
        self.assertNotEqual(self.url_open(url).text, SOP)
        self.authenticate("qms_auditor", "qms_auditor")
        response = self.url_open(url)
        self.assertEqual(response.content.decode(), SOP)
        self.assertIn("queue.md", response.headers["Content-Disposition"])
        response = self.url_open((first | second).action_export_markdown()["url"])
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            self.assertEqual(archive.namelist(), ["queue.md", "b.md"])
        for ids, status in (("x", 400), ("", 400), ("999999999", 404)):
            with self.subTest(ids=ids):
                response = self.url_open(f"/qms_sop/markdown?ids={ids}")
                self.assertEqual(response.status_code, status)

    def test_import_tour(self):
        self.start_tour("/odoo/qms-sops", "qms_sop_import_tour", login="qms_author")
        document = self.env["qms.sop.document"].search(
            [("code", "=", "SOP-IMPORTED-001")]
        )
        self.assertRecordValues(
            document,
            [{"state": "draft", "step_count": 2, "author_id": self.author.id}],
        )
