from dataclasses import replace
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odoo.tests import BaseCase

from odoo.addons.qms_sop.tools import runbook
from odoo.addons.qms_sop.tools.runbook import (
    Choice,
    Command,
    Duration,
    Footer,
    Header,
    Prerequisite,
    Prerequisites,
    Reference,
    Related,
    RunbookError,
    Step,
    Text,
    Trigger,
    Triggers,
)

from .test_runbook_parse import OWN, SEEDS

quickly = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

# -- any document: lines that mean something, in any order

LINES = (
    """\
# a|## Purpose|## Step 1: x (5 min)|### Step 2: y|#### z|## Triggers|## Prerequisites
## Related|## Issue 1: b|#|```|```bash|```markdown|~~~|ls|---|===|- a|  - b|1. c
   ```sql|   ```|> q|> ```|<!-- x|-->|<div>|[a]: b|    code|text|text  |* * *|\\|`
**Verification**:|**Objective**: o|**Expected Result**: r|**Cap**:|**Choices**:
- Yes → Step 1|**Version**: 1|- **Automated**: x|- [ ] p|**Optional**: yes
Expected output: `o`|   Expected output: `o`""".replace("\n", "|").split("|")
    + ["|a|b|", "|-|-|", "|1|2|", "", "", "\ttab", "é ’", "‚Üí", "\x0b", "\u2028"]
)

documents = st.lists(
    st.sampled_from(LINES) | st.text("ab #*`-_>|[]()<:\\é\t1.", max_size=8),
    max_size=30,
).map(lambda lines: "\n".join(["# T", *lines]))

# -- steps that are put together of whole pieces

PIECES = [
    "```bash\nls\n```",
    "```\nout\n```",
    "```sql\n-- c: d\nselect\n\n\n1\n```",
    "````bash\n```\n````",
    "~~~sh\n```\n~~~",
    "```\n$ ls\n```",
    "```text command\nls\n```",
    "```bash\nls\n```\nExpected output: `a b`",
    "```\nout\n```\nExpected output: `a b`",
    "Expected output: `a`",
    "**Expected output**: `` `b` ``",
    "Expected output: `a` or `b`",
    "1. a\n   ```bash\n   ls\n   ```\n   **Expected output:** `c`\n2. b",
    "```bash category=DATABASE\nls\n```",
    "```markdown\n# T\n```sql\nx\n```\n**Verification**: y\n```",
    "**Cap**:",
    "**Cap**",
    "**Cap:** text",
    "Do this:",
    "Do that.",
    "- a\n- b",
    "1. **L** (x):\n   ```bash\n   ls\n   ```\n2. m",
    "- ```bash\n  x\n  ```",
    "- a\n\n  ```text\n  o\n  ```",
    "#### Sub",
    "#### Diagnosis",
    "##### Deep",
    "#### Verification",
    "#### Expected Result",
    "#### Objective",
    "**Verification**:",
    "**Verification**: see",
    "**Expected Result**:\n- ok",
    "**Objective**: why\n**Expected time**: 5-10 min",
    "**Objective**:",
    "**Choices**:\n- yes → Step 2\n- no → DATABASE",
    "**Optional**: yes",
    "**Evidence**: required",
    "---",
    "|a|b|\n|-|-|\n|1|2|",
    "> q\n> ```bash\n> x\n> ```",
    "    code",
    "para\nmore",
    "para *x*  \nmore",
    "1. Check:",
    "text 1\\.",
    "&amp; x:",
    "**Note**: n",
    "**V** a\n**Verification**: b\n```sh\nx\n```",
]
steps_of_pieces = st.lists(
    st.tuples(st.sampled_from(PIECES), st.sampled_from(["\n", "\n\n", "\n\n\n"])),
    max_size=9,
).map(
    lambda pairs: (
        "# T\n\n### Step 1: name (5 min)\n\n"
        + "".join(piece + gap for piece, gap in pairs)
    )
)

# -- values as somebody types them into a form

words = st.text("abcé ö.,:;*_`#[]()<>&\\!|-+=~'\"1→", min_size=1, max_size=25).map(
    lambda text: " ".join(text.split()).rstrip(": ")
)
names = words.filter(bool)
safe = st.text("abcd é", min_size=1, max_size=20).map(str.split).map(" ".join)
safe = safe.filter(bool)
paragraphs = st.lists(safe, min_size=1, max_size=3).map("\n".join)
bulleted = st.lists(safe, min_size=1, max_size=3).map(
    lambda items: "\n".join(f"- {item}" for item in items)
)
block = st.one_of(
    paragraphs,
    bulleted,
    st.just("```\na drawing\n\n# here\n```"),
    st.just("| a | b |\n|---|---|\n| 1 | 2 |"),
    st.just("> quoted"),
)
bodies = st.lists(block, max_size=3).map("\n\n".join)
codes = st.text("ab $`#~-\n\"'é", min_size=1, max_size=40).filter(str.strip)
commands = st.builds(
    Command,
    name=names,
    language=st.sampled_from(["bash", "sql", "python", "yaml"]),
    code=codes,
    purpose=st.sampled_from(["action", "verification"]),
    options=st.sampled_from(["", "category=DATABASE"]),
    expected_output=st.just("")
    | st.text("ab `\\*:.|é→", min_size=1, max_size=12).filter(str.strip),
)
steps = st.builds(
    Step,
    name=names.filter(lambda name: name[0].isalpha() and name[-1].isalpha()),
    label=st.just("Step"),
    number=st.integers(1, 99).map(str),
    level=st.integers(2, 4),
    objective=bodies,
    instructions=bodies,
    commands=st.lists(commands, max_size=4).map(
        lambda found: tuple(sorted(found, key=lambda command: command.purpose))
    ),
    expected_result=bodies,
    verification=bodies,
    duration=st.integers(0, 300).map(Duration.of),
    mandatory=st.booleans(),
    evidence_required=st.booleans(),
    choices=st.lists(st.builds(Choice, safe, safe), max_size=3).map(tuple),
)
headers = st.builds(
    Header,
    title=names,
    code=st.sampled_from(["", "SOP-DISK-001", "DISK-FULL"]),
    version=st.sampled_from(["", "1.0.0"]),
    owner=st.just("") | safe,
    classification=st.just("") | safe,
    next_review=st.sampled_from(["", "2026-05-01"]),
    front=st.sampled_from([(), (("tags", "[a, b]"),)]),
    body=bodies,
)
anything = st.text("ab\n\n #*`-_>|[]()<:\\é\t1.→~=", max_size=60)
wild_steps = st.builds(
    Step,
    name=words,
    label=st.sampled_from(["", "Step", "Issue"]),
    number=st.sampled_from(["", "1"]),
    objective=anything,
    instructions=anything,
    commands=st.lists(
        st.builds(
            Command,
            name=words,
            language=st.sampled_from(["", "text", "b c`", "sh"]),
            code=codes,
            purpose=st.sampled_from(["action", "verification"]),
        ),
        max_size=3,
    ).map(tuple),
    expected_result=anything,
    verification=anything,
)
sections = st.builds(Text, heading=names, level=st.integers(2, 4), body=bodies)
triggers = st.builds(
    Triggers,
    items=st.lists(
        st.builds(Trigger, st.sampled_from(["automated", "manual", "scheduled"]), safe),
        max_size=3,
    ).map(tuple),
    body=st.just("") | paragraphs,
)
prerequisites = st.builds(
    Prerequisites,
    items=st.lists(
        st.builds(
            Prerequisite,
            safe,
            st.sampled_from(["", "Required Access", "Required Tools"]),
            st.booleans(),
        ),
        max_size=4,
    ).map(lambda items: tuple(sorted(items, key=lambda item: item.group))),
    body=st.just("") | paragraphs,
)
related = st.builds(
    Related,
    items=st.lists(st.builds(Reference, safe), max_size=3).map(tuple),
    body=st.just("") | paragraphs,
)
footers = st.builds(
    Footer,
    lines=st.sampled_from([(), (("Next Review", "2026-05-01"), ("Approved By", "me"))]),
    body=paragraphs,
)
values = st.one_of(
    st.tuples(st.just("step"), steps),
    st.tuples(st.just("header"), headers),
    st.tuples(st.just("section"), sections),
    st.tuples(st.just("purpose"), sections),
    st.tuples(st.just("triggers"), triggers),
    st.tuples(st.just("prerequisites"), prerequisites),
    st.tuples(st.just("related"), related),
    st.tuples(st.just("footer"), footers),
)


def items_of(parsed):
    return [(part.kind, part.source, part.values) for part in parsed.parts]


class TestRunbookRoundTrip(BaseCase):
    """No line is lost on the way in and out."""

    def check_lossless(self, text, filename=None):
        parsed = runbook.parse(text, filename=filename)
        line = 1
        for part in parsed.parts:
            self.assertEqual(part.line, line)
            line += part.source.count("\n")
        self.assertEqual(
            runbook.export(items_of(parsed), filename=filename), parsed.text
        )
        return parsed

    def check_files(self, paths):
        for path in paths:
            with self.subTest(path.name):
                text = path.read_text(encoding="utf-8")
                parsed = self.check_lossless(text, path.name)
                changed = {note.line for note in parsed.notes}
                before, after = text.split("\n"), parsed.text.split("\n")
                self.assertEqual(len(before), len(after))
                for number, pair in enumerate(zip(before, after, strict=True), 1):
                    if number not in changed:
                        self.assertEqual(*pair)
                # Every part can also be written anew without changing its meaning.
                for part in parsed.parts:
                    self.assertEqual(
                        runbook.canonical(part.kind, part.values), part.values
                    )
                again = runbook.parse(
                    runbook.render_document(
                        parsed.parts[0].values,
                        [(part.kind, part.values) for part in parsed.parts[1:]],
                    )
                )
                self.assertEqual(
                    [part.values for part in again.parts],
                    [part.values for part in parsed.parts],
                )

    def test_own_runbooks(self):
        paths = sorted(OWN.glob("*.md"))
        self.assertEqual(len(paths), 5)
        self.check_files(paths)

    def test_seeds(self):
        if not SEEDS.is_dir():
            self.skipTest(f"no {SEEDS}; the own runbooks have the same shapes")
        self.check_files(sorted(SEEDS.glob("*.txt")))

    @quickly
    @given(documents)
    def test_any_document_is_lossless(self, text):
        parsed = self.check_lossless(text)
        if not parsed.notes:
            self.assertEqual(parsed.text, text)

    @quickly
    @given(steps_of_pieces)
    def test_any_step_can_be_written_anew(self, text):
        for part in self.check_lossless(text).parts:
            self.assertEqual(runbook.canonical(part.kind, part.values), part.values)

    @quickly
    @given(values)
    def test_values_read_back(self, pair):
        kind, typed = pair
        self.assertEqual(runbook.canonical(kind, typed), typed)

    @quickly
    @given(wild_steps)
    def test_writing_anew_settles_at_once(self, step):
        once = runbook.canonical("step", step)
        self.assertEqual(runbook.canonical("step", once), once)

    @quickly
    @given(headers, st.lists(steps, max_size=4))
    def test_documents_written_in_odoo_read_back(self, header, typed):
        typed = [
            replace(step, number=str(number), level=3)
            for number, step in enumerate(typed, 1)
        ]
        text = runbook.render_document(header, [("step", step) for step in typed])
        parsed = runbook.parse(text)
        self.assertEqual(list(parsed.steps), typed)
        self.assertEqual(parsed.header, header)

    @quickly
    @given(st.binary(max_size=80) | st.binary(max_size=80).map(b"# T\n".__add__))
    def test_any_bytes_are_read_or_refused(self, data):
        try:
            runbook.parse(data)
        except RunbookError as error:
            self.assertGreaterEqual(error.line, 1)

    def test_an_edit_changes_its_part_only(self):
        parsed = runbook.parse((OWN / "stalled_import.md").read_bytes())
        for index, part in enumerate(parsed.parts):
            if part.kind != "step":
                continue
            with self.subTest(part.values.name):
                items = items_of(parsed)
                edited = replace(part.values, name="Another name", objective="New.")
                items[index] = (part.kind, part.source, edited)
                after = runbook.parse(runbook.export(items))
                # A table names the step no more, so the time is now its own.
                self.assertEqual(after.parts[index].values, edited)
                for number, (old, new) in enumerate(
                    zip(parsed.parts, after.parts, strict=True)
                ):
                    if number != index:
                        self.assertEqual(new.source, old.source)
                tail = part.source[part.source.rindex("\n---\n") :]
                self.assertTrue(after.parts[index].source.endswith(tail))

    def test_parts_can_be_added_moved_and_removed(self):
        parsed = runbook.parse(
            "# T\n\n## Step 1: a\n\nx\n\n---\n\n## Step 2: b\n\ny\n\n## Step 3: c"
        )
        header, first, second, third = items_of(parsed)
        new = ("step", None, Step("d", "Step", "4", 2, instructions="z"))
        text = runbook.export([header, third, first, new])
        self.assertEqual(
            text,
            "# T\n\n## Step 3: c\n\n## Step 1: a\n\nx\n\n---\n\n## Step 4: d\n\nz\n",
        )
        self.assertEqual(
            [step.name for step in runbook.parse(text).steps], ["c", "a", "d"]
        )

    def test_a_code_from_the_file_name_is_not_an_edit(self):
        text = "# Full disk\n\n**Owner**: Ops\n\n## Step 1: a\n"
        parsed = runbook.parse(text, filename="disk.md")
        self.assertEqual(parsed.header.code, "DISK")
        self.assertEqual(runbook.export(items_of(parsed), filename="disk.md"), text)
        self.assertIn("**Code**: DISK", runbook.export(items_of(parsed)))

    def test_canonical_step(self):
        step = Step(
            "Look",
            "Step",
            "2",
            objective="See it",
            instructions="Read **all** of it.",
            commands=(
                Command("Queue: length", "bash", "```\nls"),
                Command("Ok", "sql", "SELECT 1", "verification"),
            ),
            expected_result="- a\n- b",
            duration=Duration.of(5),
            mandatory=False,
            choices=(Choice("Yes", "Step 4"),),
        )
        self.assertEqual(
            runbook.render("step", step),
            "### Step 2: Look\n\n**Objective**: See it\n\n**Expected time**: 5 min\n\n"
            "**Optional**: yes\n\nRead **all** of it.\n\n**Queue: length**:\n\n"
            "````bash\n```\nls\n````\n\n**Expected Result**:\n\n- a\n- b\n\n"
            "**Choices**:\n\n- Yes → Step 4\n\n**Verification**:\n\nOk:\n\n"
            "```sql\nSELECT 1\n```\n",
        )

    def test_canonical_prerequisites(self):
        items = (
            Prerequisite("psql", "Required Tools"),
            Prerequisite("Patience", "", True),
            Prerequisite("jq", "Required Tools"),
        )
        # Below a sub-heading "Patience" would become a tool.
        self.assertEqual(
            runbook.render("prerequisites", Prerequisites(items=items, body="Ask.")),
            "## Prerequisites\n\n- [x] Patience\n\n### Required Tools\n\n"
            "- [ ] psql\n- [ ] jq\n\nAsk.\n",
        )

    def test_unknown_kind(self):
        for call in (
            partial(runbook.render, "chapter", Text("a")),
            partial(runbook.parse_part, "chapter", "# a"),
        ):
            with self.assertRaisesRegex(ValueError, "chapter.*use one of header"):
                call()
