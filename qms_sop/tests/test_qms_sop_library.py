import re
import subprocess
import tempfile
from pathlib import Path
from unittest.mock import patch

from odoo.tests import tagged

from ..tools import placeholders, runbook
from .common import QmsSopCommon

LIBRARY = Path(__file__).resolve().parents[1] / "data" / "library"
NEW = """\
# SOP-LIBRARY-001: Look After the Library

**Owner**: Library Team

## Purpose

See that a new file is loaded.

## Procedure

### Step 1: Look

**Objective**: See

**Expected result**: Seen

**Verification**: Look again
"""


@tagged("post_install", "-at_install")
class TestQmsSopLibrary(QmsSopCommon):
    """The SOPs that the add-on ships as Markdown."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.documents = cls.env["qms.sop.document"]
        cls.books = {
            file.name: runbook.parse(file.read_bytes(), filename=file.name)
            for file in sorted(LIBRARY.glob("*.md"))
        }

    def test_nothing_else_is_shipped(self):
        data = self.env["ir.model.data"].search(
            [("module", "=", "qms_sop"), ("name", "=like", r"sop\_%")]
        )
        self.assertEqual(set(data.mapped("model")), {"qms.sop.document"})
        self.assertEqual(
            sorted(f"{name}.md" for name in data.mapped("name")), sorted(self.books)
        )
        self.assertTrue(all(data.mapped("noupdate")))
        self.assertEqual(len(self.books), 18)

    def test_understood_without_a_note(self):
        for name, book in self.books.items():
            with self.subTest(file=name):
                notes = self.documents._notes_of(book, "")
                self.assertEqual(notes, [])

    def test_records_say_what_the_files_say(self):
        for name, book in self.books.items():
            with self.subTest(file=name):
                document = self.documents._effective(book.header.code)
                self.assertEqual(document._markdown(), book.text)
                self.assertEqual(
                    [step.command_ids.mapped("command") for step in document.step_ids],
                    [
                        [
                            command.code
                            for command in sorted(
                                step.commands, key=lambda command: command.purpose
                            )
                        ]
                        for step in book.steps
                    ],
                )

    def test_links_lead_to_each_other(self):
        for name, book in self.books.items():
            with self.subTest(file=name):
                document = self.documents._effective(book.header.code)
                links = re.findall(r"\[(SOP-[A-Z]+-\d+): ([^]]+)\]\((\S+)\)", book.text)
                self.assertEqual(
                    set(document.related_ids.mapped("code")),
                    {code for code, _title, _target in links},
                )
                for code, title, target in links:
                    self.assertIn(target, self.books)
                    header = self.books[target].header
                    self.assertEqual((header.code, header.title), (code, title))
                for code in re.findall(r"\bSOP-[A-Z]+-\d+\b", book.text):
                    self.assertTrue(self.documents._effective(code), code)

    def test_every_step_can_be_followed(self):
        for name, book in self.books.items():
            document = self.documents._effective(book.header.code)
            self.assertTrue(document.owner and document.purpose and document.scope)
            self.assertTrue(
                document.error_code_ids
                or document.code in ("SOP-MAINT-001", "SOP-DOCREVIEW-001"),
                name,
            )
            for step in document.step_ids:
                with self.subTest(file=name, step=step.number):
                    self.assertTrue(step.objective)
                    self.assertTrue(step.expected_result)
                    self.assertTrue(step.verification)
                    for choice in step.choice_ids:
                        # Not understood, it would have kept its arrow.
                        self.assertNotIn("→", choice.name)

    def test_commands_are_shell(self):
        for name, book in self.books.items():
            for step in book.steps:
                for command in step.commands:
                    if command.language != "bash":
                        continue
                    with self.subTest(file=name, command=command.name):
                        done = subprocess.run(
                            ["bash", "-n", "-c", command.code],
                            capture_output=True,
                            text=True,
                            timeout=10,
                            check=False,
                        )
                        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_values_are_named_before_they_are_used(self):
        for name, book in self.books.items():
            with self.subTest(file=name):
                named = {
                    match[1]
                    for item in book.first("prerequisites").items
                    if (match := re.match(r"\$([A-Z_]+): \S", item.name))
                }
                code = [
                    command.code
                    for step in book.steps
                    for command in step.commands
                    if command.language in placeholders.SHELLS
                ]
                used = {
                    variable
                    for text in code
                    for _start, _end, variable in placeholders.find(text)
                }
                self.assertEqual(used - named - placeholders.KNOWN.keys(), set())
                for variable in named:
                    self.assertRegex("\n".join(code), rf"\$\{{?{variable}\b")

    # === Updates of the add-on ===

    def load(self, text):
        """Load a library that holds one file."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "sop_library_001.md").write_text(text, encoding="utf-8")
            with patch(
                f"{type(self.documents)._load_library.__module__}.file_path",
                return_value=folder,
            ):
                return self.documents.browse(self.documents._load_library())

    def test_a_new_file_comes_with_an_update(self):
        document = self.load(NEW)
        self.assertRecordValues(
            document,
            [
                {
                    "code": "SOP-LIBRARY-001",
                    "version": "1.0.0",
                    "state": "approved",
                    "effective": True,
                    "owner": "Library Team",
                    "step_count": 1,
                }
            ],
        )
        self.assertEqual(self.env.ref("qms_sop.sop_library_001"), document)

    def test_what_people_keep_is_left_alone(self):
        document = self.load(NEW)
        draft = document.with_user(self.author).copy()
        draft.purpose = "Ours"
        changed = NEW.replace("See that", "Make sure that")
        self.assertFalse(self.load(changed))
        self.assertEqual(draft.purpose, "Ours")
        self.assertEqual(document.purpose, "See that a new file is loaded.")
        draft.action_submit()
        draft.with_user(self.manager).action_approve()
        self.assertFalse(self.load(changed))
        self.assertEqual(self.documents._effective("SOP-LIBRARY-001"), draft)
        draft.with_user(self.manager).action_obsolete()
        self.assertFalse(self.load(changed))
        self.assertFalse(
            self.documents.search(
                [("code", "=", "SOP-LIBRARY-001"), ("state", "=", "approved")]
            )
        )
