import base64
from collections import Counter
from pathlib import Path

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import HttpCase, tagged

from ..tools import runbook
from .common import QmsSopCommon

# Real runbooks, on the machines that have them.
SEEDS = Path(__file__).resolve().parents[3] / "shared" / "seeds"

SOP = """\
# SOP-TABLES-001: Look things up

**Version**: 1.0.0
**Owner**: Platform Team

## Purpose

Know what the tables say.

## Error codes

| Code | Category | Severity | Common Causes | Resolution |
|---|---|---|---|---|
| `TAPE_JAM` | Infrastructure | P1 - High | Dust | Blow |
| **DB_DEADLOCK** | DATABASE | Critical | Locks | — |
| TAPE_TORN | INFRASTRUCTURE | Urgent | Age | Replace |
| TAPE_LOST | Paper | High | Moving | Search |
| tape wet | INFRASTRUCTURE | High | Rain | Dry |
| TAPE_JAM | INFRASTRUCTURE | Low | Twice | Twice |
| TAPE_BARE | | | | Nothing is known |

## Severity

| Level | Criteria | Response Time | Resolution |
|---|---|---|---|
| P0 - Critical | Down | <15 min | 2 hours |
| High | Broken | Immediate | 1 day |
| Awful | Worse | 1 min | 1 min |
| P2 - High | Both | 1 min | 1 min |

## Escalation

| Issue | Level 1 | Level 2 |
|---|---|---|
| Tape | Operator | Lead |

## Actions

```markdown
| Action | Owner | Due |
|---|---|---|
| Dust | Ann | Friday |
```

## Procedure

### Step 1: Look

```bash
ls
```
"""


@tagged("post_install", "-at_install")
class TestQmsSopTables(QmsSopCommon):
    """Rows of tables are offered as records, and only what is ticked is taken."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.documents = cls.env["qms.sop.document"].with_user(cls.author)
        cls.catalogue = cls.env["qms.error.code"].with_context(active_test=False)
        cls.deadlock = cls.catalogue._resolve("DB_DEADLOCK")

    def load(self, text=SOP, user=None, **kwargs):
        content = base64.b64encode(text.encode()).decode()
        documents = self.documents.with_user(user or self.author)
        return documents.import_markdown("tables.md", content, **kwargs)

    def offers(self, kind, **kwargs):
        answer = self.load(dry_run=True, **kwargs)
        return [offer for offer in answer["offers"] if offer["kind"] == kind]

    def catalogue_is(self):
        """Return everything that an import could change in the catalogue."""
        self.env.flush_all()
        return (
            self.catalogue.search([]).mapped(
                lambda code: (
                    code.name,
                    code.category_id,
                    code.severity_id,
                    code.title,
                    code.description,
                    code.common_causes,
                    code.resolution,
                    code.prevention,
                )
            ),
            self.env["qms.severity"]
            .search([])
            .mapped(lambda s: (s.code, s.response_target, s.resolution_target)),
        )

    # === What is offered ===

    def test_each_row_of_codes_is_offered(self):
        offers = self.offers("error_code")
        lines = SOP.splitlines()
        first = lines.index("|---|---|---|---|---|") + 2
        told = [(o["line"] - first, o["action"], o["name"], o["field"]) for o in offers]
        self.assertEqual(
            told,
            [
                (0, "add", "TAPE_JAM", ""),
                (1, "link", "DB_DEADLOCK", ""),
                (1, "change", "DB_DEADLOCK", "severity"),
                (1, "change", "DB_DEADLOCK", "common_causes"),
                (2, "problem", "TAPE_TORN", ""),
                (3, "problem", "TAPE_LOST", ""),
                (4, "problem", "tape wet", ""),
                (5, "problem", "TAPE_JAM", ""),
                (6, "problem", "TAPE_BARE", ""),
            ],
        )
        for offer in offers:
            self.assertIn(offer["name"], lines[offer["line"] - 1])
        self.assertEqual(
            offers[0]["values"],
            {
                "category": "INFRASTRUCTURE",
                "severity": "high",
                "common_causes": "Dust",
                "resolution": "Blow",
            },
        )
        # An empty cell says nothing, so it changes nothing.
        self.assertEqual(offers[2]["values"], {"severity": "critical"})
        problems = [o["text"] for o in offers if o["action"] == "problem"]
        for text, words in zip(
            problems,
            (
                ("Urgent", "critical (P0)"),
                ("Paper", "INFRASTRUCTURE"),
                ("upper snake case",),
                (f"line {first} already",),
                ("no category", "no severity"),
            ),
            strict=True,
        ):
            for word in words:
                self.assertIn(word, text)
        self.assertFalse([o for o in offers if o["action"] == "problem" and o["group"]])

    def test_each_row_of_severities_is_offered(self):
        offers = self.offers("severity", user=self.manager)
        self.assertEqual(
            [(o["action"], o["name"], o["field"], o["values"]) for o in offers],
            [
                (
                    "change",
                    "critical",
                    "resolution_target",
                    {"resolution_target": 120},
                ),
                ("problem", "High", "", {}),
                ("problem", "Awful", "", {}),
                # It would be two severities at once.
                ("problem", "P2 - High", "", {}),
            ],
        )
        self.assertIn("4 h becomes 2 h", offers[0]["text"])
        self.assertIn("Immediate", offers[1]["text"])
        self.assertIn("Awful", offers[2]["text"])
        self.assertTrue(offers[0]["allowed"])
        self.assertFalse(self.offers("severity")[0]["allowed"])

    def test_other_tables_stay_text(self):
        answer = self.load(dry_run=True)
        self.assertEqual(
            [(t["kind"], t["row_count"], t["template"]) for t in answer["tables"]],
            [
                ("error_code", 7, False),
                ("severity", 4, False),
                ("escalation", 1, False),
                ("action_items", 1, True),
            ],
        )
        self.assertEqual(answer["tables"][2]["rows"], [["Tape", "Operator", "Lead"]])

    def test_seeds_offer_their_rows_and_nothing_else(self):
        files = sorted(SEEDS.glob("*.txt"))
        if not files:
            self.skipTest("The runbooks this product is about are not on this machine.")
        before = self.catalogue_is()
        found = {}
        for file in files:
            text = file.read_text(encoding="utf-8")
            text = text.replace("# SOP-TRIAGE-001:", "# SOP-TRIAGE-901:")
            with self.subTest(file=file.name):
                content = base64.b64encode(text.encode()).decode()
                answer = self.documents.with_user(self.manager).import_markdown(
                    file.name, content, dry_run=True
                )
                book = runbook.parse(text, filename=file.name)
                rows = [
                    row
                    for table in book.tables
                    if table.kind in ("error_code", "severity") and not table.template
                    for row in runbook.rows(table)
                ]
                self.assertEqual(
                    sorted({offer["line"] for offer in answer["offers"]}),
                    [row.line for row in rows],
                )
                lines = book.text.splitlines()
                for offer in answer["offers"]:
                    for value in offer["values"].values():
                        # Nothing but what stands in that line of the file
                        if isinstance(value, str):
                            line = lines[offer["line"] - 1].lower()
                            self.assertIn(value.lower(), line)
                actions = Counter(
                    (offer["kind"], offer["action"]) for offer in answer["offers"]
                )
                found[file.name[:3]] = (len(rows), actions)
        self.assertEqual(self.catalogue_is(), before)
        # SOP-TRIAGE-001 is where the catalogue comes from.
        count, actions = found["000"]
        self.assertEqual((count, actions["error_code", "link"]), (12 + 4, 12))
        self.assertEqual(actions["severity", "none"], 4)
        self.assertFalse({a for _kind, a in actions} & {"add", "problem"})
        # Two of them answer the lowest severity within a day, not a week.
        for name in ("001", "003"):
            self.assertEqual(
                found[name],
                (4, Counter({("severity", "none"): 3, ("severity", "change"): 1})),
            )
        self.assertEqual(found["002"], (4, Counter({("severity", "none"): 4})))
        self.assertEqual(found["004"], (0, Counter()))

    # === What is taken ===

    def test_nothing_is_taken_unasked(self):
        before = self.catalogue_is()
        answer = self.load(user=self.manager)
        document = self.documents.browse(answer["id"])
        self.assertEqual(self.catalogue_is(), before)
        self.assertFalse(document.error_code_ids)
        self.assertFalse([offer for offer in answer["offers"] if offer["taken"]])
        self.load(user=self.manager, dry_run=True, take=["error-codes", "severities"])
        self.assertEqual(self.catalogue_is(), before)

    def test_codes_are_added_and_linked(self):
        severities = self.catalogue_is()[1]
        answer = self.load(take=["error-codes"])
        document = self.documents.browse(answer["id"])
        jam = self.catalogue._resolve("TAPE_JAM")
        self.assertEqual(document.error_code_ids, self.deadlock | jam)
        self.assertRecordValues(
            jam,
            [
                {
                    "category_id": self.env.ref(
                        "qms_error_code.category_infrastructure"
                    ).id,
                    "severity_id": self.env.ref("qms_error_code.severity_high").id,
                    "common_causes": "Dust",
                    "resolution": "Blow",
                    "description": False,
                    "prevention": False,
                }
            ],
        )
        self.assertFalse(self.catalogue.search([("name", "like", "TAPE_%")]) - jam)
        # Linking a known code changes nothing of it.
        self.assertEqual(self.deadlock.severity_id.code, "high")
        self.assertEqual(self.catalogue_is()[1], severities)
        self.assertIn("TAPE_JAM", document.message_ids[0].body)

    def test_changes_are_taken_one_by_one(self):
        self.load(take=["error_code:DB_DEADLOCK:severity"])
        self.assertEqual(self.deadlock.severity_id.code, "critical")
        self.assertNotEqual(self.deadlock.common_causes, "Locks")
        self.load(take=["error-code-changes"])
        self.assertEqual(self.deadlock.common_causes, "Locks")
        document = self.documents.search([("code", "=", "SOP-TABLES-001")])
        self.assertFalse(document.error_code_ids)
        # It is offered no more, and asking again is no mistake.
        answer = self.load(take=["error_code:DB_DEADLOCK:severity"])
        self.assertFalse([o for o in answer["offers"] if o["action"] == "change"][1:])

    def test_only_managers_take_targets(self):
        before = self.catalogue_is()
        for take in (["severities"], ["severity:critical:resolution_target"]):
            with self.assertRaisesRegex(AccessError, "Only a QMS manager"):
                self.load(take=take)
        self.assertEqual(self.catalogue_is(), before)
        self.load(take=["severities"], user=self.manager)
        critical = self.env.ref("qms_error_code.severity_critical")
        self.assertEqual(
            (critical.response_target, critical.resolution_target), (15, 120)
        )
        self.assertFalse(self.env["qms.severity"].search([("name", "=", "Awful")]))

    def test_what_is_not_offered_is_refused(self):
        for take in (
            ["tables"],
            ["error_code:TAPE_TORN"],
            ["error_code:NOT_THERE"],
            ["severity:awful:response_target"],
        ):
            with self.assertRaisesRegex(ValidationError, "take: .* is not offered"):
                self.load(take=take)
        with self.assertRaisesRegex(ValidationError, "take"):
            self.load(take="error-codes")

    def test_archived_codes_are_a_problem(self):
        self.deadlock.active = False
        offer = self.offers("error_code")[1]
        self.assertEqual(offer["action"], "problem")
        self.assertIn("archived", offer["text"])

    # === Links stay as long as the text has the row ===

    def test_links_stay_and_leave_no_trace_in_the_text(self):
        first = self.load(take=["error-codes"])
        document = self.documents.browse(first["id"])
        self.assertEqual(document._markdown(), SOP)
        self.assertEqual(self.load()["status"], "unchanged")
        self.assertEqual(self.load(take=["error-codes"])["status"], "unchanged")
        self.assertEqual(len(document.error_code_ids), 2)
        text = SOP.replace("Know what", "See what")
        self.assertEqual(self.load(text)["status"], "updated")
        self.assertEqual(len(document.error_code_ids), 2)
        row = next(line for line in SOP.splitlines() if "DEADLOCK" in line)
        self.load(text.replace(row + "\n", ""))
        self.assertEqual(document.error_code_ids.mapped("name"), ["TAPE_JAM"])

    def test_a_link_that_was_removed_stays_away(self):
        document = self.documents.browse(self.load(take=["error-codes"])["id"])
        document.error_code_ids = [Command.unlink(self.deadlock.id)]
        self.assertEqual(document._markdown(), SOP)
        self.load(SOP.replace("Know what", "See what"))
        self.assertEqual(document.error_code_ids.mapped("name"), ["TAPE_JAM"])

    def test_a_link_on_an_approved_sop_takes_a_new_revision(self):
        document = self.documents.browse(self.load()["id"])
        self.approve(document)
        answer = self.load(dry_run=True, take=["error-codes"])
        self.assertEqual(answer["change"], "created")
        answer = self.load(take=["error-codes"])
        self.assertEqual((answer["status"], answer["version"]), ("created", "1.1.0"))
        self.assertFalse(document.error_code_ids)
        draft = self.documents.browse(answer["id"])
        self.approve(draft)
        # The next one starts from there.
        copied = draft.with_user(self.author).copy()
        self.assertEqual(copied.error_code_ids, draft.error_code_ids)
        self.assertEqual(copied.table_codes, ["DB_DEADLOCK", "TAPE_JAM"])

    def test_changes_of_the_catalogue_leave_an_approved_sop_alone(self):
        document = self.documents.browse(self.load()["id"])
        self.approve(document)
        answer = self.load(take=["error-code-changes"])
        self.assertEqual((answer["status"], answer["id"]), ("unchanged", document.id))
        self.assertEqual(self.deadlock.severity_id.code, "critical")
        self.assertIn("Locks", document.message_ids[0].body)

    # === Wizard ===

    def wizard(self, *texts, user=None):
        user = user or self.author
        attachments = self.env["ir.attachment"].with_user(user)
        files = attachments.create(
            [
                {"name": f"{number}.md", "raw": text.encode()}
                for number, text in enumerate(texts, 1)
            ]
        )
        wizard = self.env["qms.sop.import"].with_user(user)
        return wizard.create({"attachment_ids": [Command.set(files.ids)]})

    def test_wizard_takes_what_is_ticked(self):
        wizard = self.wizard(SOP)
        wizard.action_preview()
        answer = self.load(dry_run=True)
        self.assertEqual(
            wizard.offer_ids.mapped("text"), [o["text"] for o in answer["offers"]]
        )
        self.assertFalse(any(wizard.offer_ids.mapped("taken")))
        wizard.action_tick_error_codes()
        self.assertEqual(
            wizard.offer_ids.filtered("taken").mapped("key"),
            ["error_code:TAPE_JAM", "error_code:DB_DEADLOCK"],
        )
        wizard.offer_ids.filtered(
            lambda o: o.key == "error_code:TAPE_JAM"
        ).taken = False
        document = self.documents.browse(wizard.action_import()["res_id"])
        self.assertEqual(document.error_code_ids, self.deadlock)
        self.assertFalse(self.catalogue.search([("name", "like", "TAPE_%")]))

    def test_wizard_takes_the_same_from_two_files(self):
        wizard = self.wizard(SOP, SOP.replace("TABLES-001", "TABLES-002"))
        wizard.action_preview()
        self.assertTrue(wizard.several)
        wizard.offer_ids.filtered("allowed").taken = True
        action = wizard.action_import()
        documents = self.documents.browse(action["domain"][0][2])
        self.assertEqual(len(documents), 2)
        for document in documents:
            self.assertEqual(len(document.error_code_ids), 2)
        self.assertEqual(self.deadlock.common_causes, "Locks")

    def test_wizard_takes_from_a_file_that_is_unchanged(self):
        self.load(user=self.manager)
        wizard = self.wizard(SOP, user=self.manager)
        wizard.action_preview()
        self.assertTrue(wizard.importable)
        wizard.offer_ids.filtered(lambda o: o.group == "severities").taken = True
        wizard.action_import()
        critical = self.env.ref("qms_error_code.severity_critical")
        self.assertEqual(critical.resolution_target, 120)

    def test_wizard_shows_times_and_tables_as_people_do(self):
        wizard = self.wizard(SOP.replace("Step 1: Look", "Step 1: Look (5 days)"))
        wizard.action_preview()
        preview = str(wizard.preview)
        self.assertIn("5 days", preview)
        self.assertNotIn("7200", preview)
        self.assertIn("kept as written in the document", " ".join(preview.split()))
        self.assertIn("Operator", preview)

    def test_wizard_names_a_bad_file_once_and_also_after_the_preview(self):
        wizard = self.wizard(SOP, "x\0")
        wizard.action_preview()
        self.assertEqual(str(wizard.preview).count("2.md"), 1)
        action = wizard.action_import()
        self.assertEqual(action["tag"], "display_notification")
        self.assertEqual(action["params"]["message"].count("2.md"), 1)
        self.assertTrue(action["params"]["next"]["res_id"])
        wizard = self.wizard("x\0")
        wizard.action_preview()
        with self.assertRaisesRegex(UserError, r"^1\.md: Line 1"):
            wizard.action_import()

    def test_wizard_stays_with_its_user(self):
        wizard = self.wizard(SOP)
        wizard.action_preview()
        for role in ("operator", "auditor", "automation"):
            with self.assertRaises(AccessError):
                wizard.offer_ids.with_user(self.users[role]).mapped("text")


@tagged("post_install", "-at_install")
class TestQmsSopTablesTour(QmsSopCommon, HttpCase):
    def test_tick_and_import(self):
        self.start_tour("/odoo/qms-sops", "qms_sop_tables_tour", login="qms_author")
        document = self.env["qms.sop.document"].search(
            [("code", "=", "SOP-TABLES-TOUR-001")]
        )
        self.assertEqual(document.error_code_ids.mapped("name"), ["TAPE_JAM"])
