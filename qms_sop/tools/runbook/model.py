"""What a runbook consists of, once it is understood."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from .labels import field_of
from .topics import topic

KINDS = (
    "header",
    "purpose",
    "scope",
    "triggers",
    "prerequisites",
    "step",
    "related",
    "section",
    "footer",
)


class RunbookError(ValueError):
    """A file that cannot be read as a runbook.

    :ivar str reason: what is wrong, as a sentence
    :ivar int line: 1-based line in the file
    """

    def __init__(self, reason, line=1):
        super().__init__(f"Line {line}: {reason}")
        self.reason = reason
        self.line = line


@dataclass(frozen=True)
class Limits:
    """What is refused before work is spent on it.

    :ivar int size: bytes of the file, in UTF-8
    :ivar int steps: steps of a document
    :ivar int parts: parts of a document, steps included
    """

    size: int = 2 * 1024 * 1024
    steps: int = 2_000
    parts: int = 10_000


class Note(NamedTuple):
    """Something about the text that whoever imports it should know.

    ``after`` differs from ``before`` where mis-decoded text was repaired. They
    are equal where text looks mis-decoded but more than one repair is possible.
    """

    line: int
    before: str
    after: str


def as_date(text):
    """Read a date as people write it in a header.

    :param str text: ``2025-08-24``, ``August 24, 2025``, ``24 August 2025`` …
    :return: the date, or ``None`` where the text names no single day
    :rtype: datetime.date | None
    """
    text = re.sub(r"\s+", " ", text.strip())
    formats = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%B %d, %Y", "%b %d, %Y")
    for pattern in (*formats, "%d %B %Y", "%d %b %Y"):
        try:
            return datetime.strptime(text, pattern).date()
        except ValueError:
            continue
    return None


@dataclass(frozen=True)
class Header:
    """Title, control data and opening text. Every field is as written.

    :ivar tuple front: front matter that has no field here, ``((key, value), …)``
    :ivar tuple extra: header lines that have no field here, ``((label, value), …)``
    :ivar str body: Markdown between the header lines and the first section
    """

    title: str
    subtitle: str = ""
    code: str = ""
    version: str = ""
    owner: str = ""
    classification: str = ""
    status: str = ""
    author: str = ""
    date: str = ""
    effective_date: str = ""
    last_updated: str = ""
    next_review: str = ""
    review_cycle: str = ""
    approved_by: str = ""
    front: tuple[tuple[str, str], ...] = ()
    extra: tuple[tuple[str, str], ...] = ()
    body: str = ""

    def completed(self, pairs):
        """Return the header with its empty fields filled.

        :param pairs: ``[(label, value), …]``; what has no field goes to ``extra``
        :rtype: Header
        """
        values, extra = {}, list(self.extra)
        for label, value in pairs:
            name = field_of(label)
            if name and value and not (values.get(name) or getattr(self, name)):
                values[name] = value
            else:
                extra.append((label, value))
        return replace(self, **values, extra=tuple(extra))


@dataclass(frozen=True)
class Text:
    """Purpose, scope, or a section that has no kind of its own.

    :ivar str heading: text of the heading, without emphasis; "" without a heading
    :ivar int level: 1 to 6; 0 without a heading
    :ivar str body: Markdown
    """

    heading: str
    level: int = 2
    body: str = ""


class Trigger(NamedTuple):
    """What starts the procedure; ``kind`` is automated, manual or scheduled."""

    kind: str
    name: str


@dataclass(frozen=True)
class Triggers:
    """:ivar str body: Markdown of the section that is no plain list item"""

    heading: str = "Triggers"
    level: int = 2
    items: tuple[Trigger, ...] = ()
    body: str = ""


PREREQUISITE_GROUPS = {
    "access": "Required Access",
    "tool": "Required Tools",
    "other": "",
}
_ACCESS_WORDS = re.compile(r"access|permission|credential|account|role", re.I)
_TOOL_WORDS = re.compile(r"tool|software|cli\b|utilit|package|install", re.I)


class Prerequisite(NamedTuple):
    """:ivar str group: text of the sub-heading or lead-in above it, or "" """

    name: str
    group: str = ""
    checked: bool = False

    @property
    def kind(self):
        """``access``, ``tool`` or ``other``, as the group says."""
        if _ACCESS_WORDS.search(self.group):
            return "access"
        return "tool" if _TOOL_WORDS.search(self.group) else "other"


@dataclass(frozen=True)
class Prerequisites:
    """:ivar str body: Markdown of the section that is no plain list item"""

    heading: str = "Prerequisites"
    level: int = 2
    items: tuple[Prerequisite, ...] = ()
    body: str = ""


class Reference(NamedTuple):
    """A related document, as the Markdown of its list item."""

    text: str

    @property
    def target(self):
        """Path or address that the item names first, or ``""``."""
        found = re.search(r"\]\(\s*<?([^)\s>]+)|`([^`\s]+)`|(https?://\S+)", self.text)
        return next(filter(None, found.groups()), "") if found else ""

    @property
    def title(self):
        """The words of the first link, else of the whole item."""
        found = re.search(r"\[([^\]]+)\]\(", self.text)
        return found[1] if found else self.text.replace("`", "")


@dataclass(frozen=True)
class Related:
    """:ivar str body: Markdown of the section that is no plain list item"""

    heading: str = "Related Documents"
    level: int = 2
    items: tuple[Reference, ...] = ()
    body: str = ""


@dataclass(frozen=True)
class Duration:
    """A time as written.

    :ivar int minimum: minutes; 0 where none is stated
    :ivar int maximum: minutes; 0 where it is open or not stated
    :ivar str text: as written, such as ``5-15 min``; "Varies" states none
    :ivar bool elapsed: the times are read off a clock that runs through all
        steps (0-5, 5-15, 15-20), so that the step itself takes the difference; the
        neighbours say so, hence it is not compared
    """

    minimum: int = 0
    maximum: int = 0
    text: str = ""
    elapsed: bool = field(default=False, compare=False)

    @property
    def minutes(self):
        """The time to plan with; 0 where none is stated."""
        if self.elapsed and self.maximum:
            return self.maximum - self.minimum
        return self.maximum or self.minimum

    @classmethod
    def of(cls, minutes):
        """Return the duration for a whole number of minutes; 0 states none."""
        return cls(minutes, minutes, f"{minutes} min") if minutes else cls()


class Command(NamedTuple):
    """A fenced command.

    :ivar str name: its caption; never empty
    :ivar str language: as on the fence, such as ``bash``
    :ivar str code: the lines, without the last line break
    :ivar str purpose: ``action``, or ``verification`` below that label
    :ivar str options: what follows the language on the fence
    :ivar str expected_output: what the output must contain; "" says nothing of it
    """

    name: str
    language: str
    code: str
    purpose: str = "action"
    options: str = ""
    expected_output: str = ""

    @property
    def category(self):
        """The error category of ``category=DATABASE`` on the fence, or ``""``."""
        found = re.search(r"(?:^|\s)category=(\w+)", self.options)
        return found[1] if found else ""

    def for_category(self, category):
        """Return the command with another error category; "" for every one.

        :param str category: code of an error category, such as ``DATABASE``
        """
        rest = re.sub(r"(?:^|\s)category=\w+", "", self.options).strip()
        chosen = f"category={category}" if category else ""
        return self._replace(options=f"{chosen} {rest}".strip())


class Choice(NamedTuple):
    """An answer and where it leads: ``Step 4``, ``DATABASE``, …"""

    name: str
    target: str


@dataclass(frozen=True)
class Step:
    """One step. Texts are Markdown, and without the commands.

    :ivar str label: the word before the number: Step, Phase, Issue …; or ""
    :ivar str number: as written; or ""
    :ivar int level: level of the heading
    :ivar str instructions: all that has no field of its own, in order:
        symptoms, tables and decision trees included
    """

    name: str
    label: str = ""
    number: str = ""
    level: int = 3
    objective: str = ""
    instructions: str = ""
    commands: tuple[Command, ...] = ()
    expected_result: str = ""
    verification: str = ""
    duration: Duration = Duration()
    mandatory: bool = True
    evidence_required: bool = False
    choices: tuple[Choice, ...] = ()

    def topic(self, name):
        """Return one sub-section of the instructions as Markdown, or ``""``.

        :param str name: symptoms, diagnosis, solutions or prevention
        :raise KeyError: for another name
        """
        return topic(self.instructions, name)


@dataclass(frozen=True)
class Footer:
    """Closing lines of a document, below its last rule.

    :ivar tuple lines: control data, ``((label, value), …)``
    :ivar str body: Markdown of the rest
    """

    lines: tuple[tuple[str, str], ...] = ()
    body: str = ""


@dataclass(frozen=True)
class Part:
    """One piece of a runbook.

    :ivar str kind: one of ``KINDS``
    :ivar str source: its Markdown, exactly as written
    :ivar int line: 1-based line at which it starts
    :ivar values: ``Header``, ``Text`` (purpose, scope, section), ``Triggers``,
        ``Prerequisites``, ``Step``, ``Related`` or ``Footer``
    """

    kind: str
    source: str
    line: int
    values: object


class Table(NamedTuple):
    """A table, offered as records.

    :ivar str kind: severity, error_code, error_message, escalation, action_items,
        metrics, timeline, duration; ``other`` when unsure
    :ivar tuple headers: column titles
    :ivar tuple rows: tuples of cells, as long as ``headers``; emphasis around a
        whole cell is taken off
    :ivar int line: 1-based
    :ivar int part_index: index into ``Runbook.parts``
    :ivar bool template: inside a fenced Markdown block, so an example to fill in
    """

    kind: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    line: int
    part_index: int
    template: bool = False


class Branch(NamedTuple):
    """One answer of a decision tree and what it leads to."""

    question: str
    answer: str
    target: str


class Tree(NamedTuple):
    """A decision tree drawn in characters.

    :ivar tuple branches: in the order of the drawing
    :ivar int line: 1-based
    :ivar int part_index: index into ``Runbook.parts``
    """

    branches: tuple[Branch, ...]
    line: int
    part_index: int


@dataclass(frozen=True)
class Runbook:
    """A document in Markdown, understood without losing a line.

    :ivar tuple parts: in order; their sources joined are the text
    :ivar tuple tables: every table
    :ivar tuple trees: every decision tree that could be read
    :ivar tuple notes: repaired and damaged text
    """

    parts: tuple[Part, ...]
    tables: tuple[Table, ...] = ()
    trees: tuple[Tree, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def text(self):
        """The whole document, as written."""
        return "".join(part.source for part in self.parts)

    @property
    def header(self):
        """Control data of the header, completed from the footer.

        :rtype: Header
        """
        footer = [part.values for part in self.parts if part.kind == "footer"]
        header = self.parts[0].values
        return header.completed(footer[0].lines) if footer else header

    @property
    def steps(self):
        """:rtype: tuple[Step, ...]"""
        return tuple(part.values for part in self.parts if part.kind == "step")

    def first(self, kind):
        """Return the values of the first part of a kind, or ``None``.

        :param str kind: one of ``KINDS``
        """
        return next((part.values for part in self.parts if part.kind == kind), None)
