"""Post-mortems as Markdown: written in the shape of the runbooks' templates, and read.

There are three shapes: the full post-mortem, whose sections are headings; the incident
review, which is the same with other names and one level deeper; and the quick report,
five labelled lines. Nothing of Odoo is needed here.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import NamedTuple

from markdown_it import MarkdownIt

from .postmortem_sections import FULL, LESSONS, OF_LESSONS, QUICK, UNDER

HEADINGS, LABELS = dict(FULL), dict(QUICK)

BLANK = "_Not written yet._"
# Labels of the header, in the order in which they are written
HEADER = {
    "incident": "Incident",
    "date": "Date",
    "author": "Author",
    "severity": "Severity",
    "duration": "Duration",
    "systems": "Affected Systems",
    "reported_by": "Reported By",
    "status": "Status",
}
_HEADER_WORDS = {
    "incident": "incident|incident id|id",
    "date": "date|date/time|date and time|when",
    "author": "author|authors|written by|facilitator|owner",
    "severity": "severity|priority",
    "duration": "duration|outage",
    "systems": "affected systems|systems|affected services|services|components",
    "reported_by": "reported by|detected by",
    "status": "status",
}
# Headings that are the section, in other words: they are not kept.
_SAME = {
    "summary": "summary|executive summary|incident summary|overview",
    "timeline": "timeline|incident timeline|timeline of events|timeline reconstruction",
    "root_cause": "root causes?|root cause analysis|cause",
    "whys": "(5|five)[ -]?whys?( investigation| analysis| methodology)?",
    "factors": "contributing (factors|causes)|factors",
    "impact": "impact|impact assessment",
    "resolution": "resolution|fix|fix applied|resolution documentation",
    "verification": "verification",
    "detection": "detection",
    "actions": "action items?|actions|follow[ -]?up actions|corrective actions",
    "lessons": "lessons( learned)?|retrospective",
    "went_well": "what went well",
    "went_wrong": "what went (wrong|poorly|badly)|what could be improved"
    "|what (didn.t|did not) go well",
    "lucky": "where we got lucky|what was lucky|luck",
    "knowledge": "knowledge gained|what we learned",
    "preventive_measures": "preventive (measures|actions)|prevention( measures)?",
    "follow_up": "follow[ -]?ups?|next steps",
}
# Headings of a part of a section: they are kept in it.
_PART = {
    "summary": "problem statement|issue|description|what happened",
    "impact": r"[\w -]+ impact|[\w -]*data integrity( assessment)?"
    r"|[\w -]*compliance impact|operations affected|users affected",
    "resolution": "immediate actions( taken)?|mitigation|recovery|remediation"
    "|resolution and recovery|workaround",
    "preventive_measures": "(short|long)[ -]term prevention"
    "|(short|long)[ -]term (measures|actions)",
}
# Sections below another one that are no part of it
_BELOW = {
    "lessons": OF_LESSONS,
    "root_cause": ("whys", "factors"),
    "resolution": ("verification",),
}
# Where a heading of a text goes when it is written: below all sections
_OWN_LEVEL = 4
_TITLE = re.compile(
    r"(?P<kind>post[- ]?mortem|(?P<quick>quick (incident )?report)"
    r"|incident (report|review|post[- ]?mortem)|incident id)"
    r"\s*(?:(?:[:–—]|-(?=\s))\s*(?P<rest>.*))?",
    re.I,
)
_LABEL = re.compile(
    r"^(?:[-*] )?\*\*(?P<label>[^*\n]{1,40}?)(?::\*\*|\*\*\s*:)[ \t]*(?P<text>.*)$"
)
_NAMES = "|".join(LABELS.values())
_QUICK = {label.lower(): key for key, label in LABELS.items()}
_QUICK_LABEL = re.compile(
    rf"^\*\*(?P<label>{_NAMES})(?::\*\*|\*\*:)[ \t]*(?P<text>.*)$", re.I
)
# The same in a text, where it is no label: with a backslash more than it had
_QUOTED_LABEL = re.compile(rf"^(\*\*(?:{_NAMES})(?:\*\*)?)(\\*):", re.I | re.M)
_STAMP = re.compile(r"<!-- qms-postmortem [^<>]* -->")
_ATX = re.compile(r"^ {0,3}#{1,6}(?=[ \t]|$)")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_MARKS = re.compile(r"[\\`*\[\]<&]|(?<!\w)_|_(?!\w)|#(?=#*$)")
_WORD_MARKS = re.compile(
    r"^\W*(?:(?:phase|step|part) \d+\s*[:.–-]\s*|\d+[.)]\s+)?", re.I
)
_BRACKETS = re.compile(r"\s*\(([^()]*)\)")


@dataclass(frozen=True)
class Postmortem:
    """What a file says.

    :ivar str title: without "Postmortem:"; may be empty
    :ivar str kind: ``full`` or ``quick``
    :ivar dict header: values by the keys of :data:`HEADER`, plain text
    :ivar dict sections: Markdown by the keys of ``postmortem_sections``; those that
        say something
    :ivar tuple notes: what no section is for: pairs of a heading and Markdown
    :ivar str zone_hint: what the heading of the timeline has in brackets
    :ivar dict lines: at which line of the file each section begins, from 1
    """

    title: str = ""
    kind: str = "full"
    header: dict = field(default_factory=dict)
    sections: dict = field(default_factory=dict)
    notes: tuple = ()
    zone_hint: str = field(default="", compare=False)
    lines: dict = field(default_factory=dict, compare=False)


def _block_parser():
    """Return a parser that finds out what a block is, and leaves its text alone."""
    parser = MarkdownIt("js-default")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


_MARKDOWN = _block_parser()


class _Heading(NamedTuple):
    begin: int
    end: int
    level: int
    text: str


# === Writing ===


def render(title, header, sections, kind="full"):
    """Write a post-mortem as Markdown.

    :param str title: plain text
    :param header: pairs of a label and plain text; those without a text are left out
    :param sections: pairs of a key and Markdown (or nothing, which the file then
        says), in the order of ``postmortem_sections``
    :param str kind: ``full`` or ``quick``
    :rtype: str
    """
    name = "Quick Incident Report" if kind == "quick" else "Postmortem"
    title = _line(title)
    lines = [f"# {name}: {title}" if title else f"# {name}", ""]
    # Two spaces: a line of its own
    lines += [f"**{label}:** {_line(text)}  " for label, text in header if _line(text)]
    blocks = ["\n".join(lines).rstrip(), "---"]
    around = None
    for key, text in sections:
        text = tidy(text) or BLANK
        if kind == "quick":
            blocks.append(_labelled(LABELS[key], text))
            continue
        parent = UNDER.get(key)
        if parent == LESSONS != around:
            blocks.append(f"## {LESSONS}")
        around = parent or HEADINGS[key]
        blocks += [f"{'###' if parent else '##'} {HEADINGS[key]}", text]
    return "\n\n".join(blocks) + "\n"


def _labelled(label, text):
    text = _QUOTED_LABEL.sub(r"\1\2\\:", text)
    # A list or a table cannot begin in the line of its label.
    short = text == BLANK or re.fullmatch(r"[^\W\d_].*", text)
    return f"**{label}:**{' ' if short else chr(10) * 2}{text}"


def _line(text):
    """Return plain text as one line of Markdown."""
    text = "".join(
        " " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char
        for char in text or ""
    )
    return _MARKS.sub(lambda mark: f"\\{mark[0]}", " ".join(text.split()))


def _plain(line):
    """Return what one line of Markdown says; the inverse of :func:`_line`."""
    return _ESCAPED.sub(r"\1", _unwrapped(line)).strip()


def _unwrapped(line):
    line = line.strip()
    found = re.fullmatch(r"(\*\*|__)(?=\S)(.+)(?<=\S)\1", line)
    return found[2] if found and found[1] not in found[2] else line


def tidy(text):
    """Return Markdown that can stand in a section: it neither ends that nor the file.

    Headings go below those of the sections, a fence that is left open is closed, and
    rules at the beginning and the end are taken off.

    :param text: Markdown, or nothing
    :return: the text; empty when it says nothing
    :rtype: str
    """
    lines = _lines(text or "")
    tokens = _strip(lines)
    if not tokens:
        return "\n".join(lines)
    last = tokens[-1]
    if last.type == "fence" and not _is_closed(last, lines):
        lines.append(last.markup)
    elif last.type != "fence":
        lines[-1] = lines[-1].rstrip()
    _break_labels(tokens, lines)
    headings = _headings(tokens, lines)
    deeper = max(0, _OWN_LEVEL - min((one.level for one in headings), default=6))
    for heading in reversed(headings):
        level = min(6, heading.level + deeper)
        lines[heading.begin : heading.end] = [f"{'#' * level} {heading.text}".rstrip()]
    return "\n".join(lines)


def _strip(lines):
    """Take blank lines and rules off the beginning and the end of a text.

    :param list lines: changed
    :return: the blocks of what is left
    :rtype: list
    """
    _strip_blank(lines)
    tokens = _tokens(lines)
    begin = 0
    for token in tokens:
        if token.type != "hr" or any(
            line.strip() for line in lines[begin : token.map[0]]
        ):
            break
        begin = token.map[1]
    end = len(lines)
    for token in reversed(tokens):
        if token.type != "hr" or token.map[0] < begin:
            break
        if any(line.strip() for line in lines[token.map[1] : end]):
            break
        end = token.map[0]
    if begin == 0 and end == len(lines):
        return tokens
    lines[:] = lines[begin:end]
    _strip_blank(lines)
    return _tokens(lines)


def _strip_blank(lines):
    while lines and not lines[-1].strip():
        lines.pop()
    filled = (position for position, line in enumerate(lines) if line.strip())
    del lines[: next(filled, 0)]


def _break_labels(tokens, lines):
    """Keep labelled lines from running together: each stays a line of its own."""
    for token in tokens:
        if token.type != "paragraph_open":
            continue
        begin, end = token.map
        if all(_LABEL.match(line) for line in lines[begin:end]):
            for position in range(begin, end - 1):
                line = lines[position]
                if not line.endswith(("  ", "\\")):
                    lines[position] = f"{line.rstrip()}  "


def _is_closed(fence, lines):
    begin, end = fence.map
    closing = lines[end - 1].strip()
    return (
        end - begin > 1
        and len(closing) >= len(fence.markup)
        and set(closing) == {fence.markup[0]}
    )


def _lines(text):
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")


def _tokens(lines):
    """Return the outermost blocks of a text, and the texts of headings."""
    return [
        token
        for token in _MARKDOWN.parse("\n".join(lines))
        if token.level == 0 or token.type == "inline"
    ]


def _headings(tokens, lines):
    """Return the headings that are not inside of anything.

    :rtype: list[_Heading]
    """
    found = []
    for token, content in zip(tokens, tokens[1:], strict=False):
        if token.type != "heading_open":
            continue
        begin, end = token.map
        told = lines[begin:end]
        text = " ".join(content.content.split("\n"))
        if not _ATX.match(lines[begin]):
            # A rule right below the header is meant as one.
            if any(_LABEL.match(one) or _QUOTED_LABEL.match(one) for one in told):
                continue
            text = re.sub(r"#(?=#*$)", r"\#", text)
        found.append(_Heading(begin, end, int(token.tag[1:]), text))
    return found


def parted(text):
    """Part a text after its first block.

    :param str text: Markdown
    :return: that block, and the rest
    :rtype: tuple[str, str]
    """
    lines = _lines(text)
    first = next((token for token in _tokens(lines) if token.map), None)
    end = first.map[1] if first else len(lines)
    return "\n".join(lines[:end]), "\n".join(lines[end:]).strip("\n")


def entries_of(text):
    """Return the entries of a list in Markdown, one per line.

    :param str text: Markdown
    :return: the entries; ``None`` when it is more than a list of single lines
    :rtype: str | None
    """
    found = [
        re.fullmatch(r"(?:[-*+]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?(\S.*)", line.rstrip())
        for line in _lines(text)
        if line.strip()
    ]
    return "\n".join(one[1] for one in found) if found and all(found) else None


def duration_text(begin, end):
    """Say how long something took.

    :param begin: naive datetime in UTC, or nothing
    :param end: naive datetime in UTC, or nothing
    :return: such as ``47 minutes (14:35 - 15:22 UTC)``; empty when it is not known
    :rtype: str
    """
    if not begin or not end or end < begin:
        return ""
    minutes = round((end - begin).total_seconds() / 60, 1)
    hours, rest = divmod(minutes, 60)
    if hours < 2:
        hours, rest = 0, minutes
    parts = []
    for number, unit in ((hours, "hour"), (round(rest, 1), "minute")):
        if number or (unit == "minute" and not parts):
            parts.append(f"{number:g} {unit}{'' if number == 1 else 's'}")
    if begin.date() == end.date():
        span = f"{begin:%H:%M} - {end:%H:%M} UTC"
    else:
        span = f"{begin:%Y-%m-%d %H:%M} - {end:%Y-%m-%d %H:%M} UTC"
    return f"{' '.join(parts)} ({span})"


def slug(text):
    """Return a text as a part of the name of a file.

    :param str text: a title, or a code such as ``DB_CONNECTION_LEAK``
    :return: lower-case letters, digits and hyphens; ``incident`` if nothing is left
    :rtype: str
    """
    text = unicodedata.normalize("NFKD", text or "").encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", text.lower())
    short = ""
    for word in words:
        if short and len(short) + 1 + len(word) > 60:
            break
        short = f"{short}-{word}" if short else word[:60]
    return short or "incident"


# === Reading ===


def parse(text):
    """Read a post-mortem in the shape of one of the runbooks' templates.

    Headings are known by many names and at any level. What stands below one that is
    not known is kept: in the section around it, or as a note.

    :param str text: Markdown
    :rtype: Postmortem
    """
    # What scripts/create_postmortem.py writes at the end is no part of it.
    lines = [line for line in _lines(text) if not _STAMP.fullmatch(line)]
    headings = _headings(_tokens(lines), lines)
    title, quick, named, begin = "", False, {}, 0
    if headings and _is_title(headings[0]):
        found = headings.pop(0)
        title, quick, named = _read_title(found)
        begin = found.end
        # Whatever stands above the title comes after it.
        lines[:begin] = [*[""] * (found.end - found.begin), *lines[: found.begin]]
        begin = found.end - found.begin
    end = headings[0].begin if headings else len(lines)
    header, rest = _read_header(lines[begin:end])
    header = {**header, **named}
    labelled = any(map(_QUICK_LABEL.match, rest))
    if labelled and (quick or not headings):
        sections, notes = _read_quick([*rest, *lines[end:]])
        begins = dict.fromkeys(sections, begin + 1)
        return Postmortem(title, "quick", header, sections, notes, "", begins)
    sections, notes, zone, begins = _read_sections(headings, rest, lines, begin)
    kind = "quick" if quick else "full"
    return Postmortem(title, kind, header, sections, notes, zone, begins)


def _is_title(heading):
    if _TITLE.fullmatch(_words(heading)):
        return True
    return heading.level == 1 and not _key_of(heading)[0]


def _words(heading):
    """Return a heading without emphasis, numbers and pictures before it."""
    return _WORD_MARKS.sub("", _unwrapped(heading.text), count=1)


def _key_of(heading):
    """Return which section a heading begins, and whether it says more than that.

    :return: key or ``None``, and whether the heading itself is to be kept
    :rtype: tuple[str | None, bool]
    """
    words = _BRACKETS.sub("", _words(heading)).strip(" :*_").lower()
    words = words.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    for known, kept in ((_SAME, False), (_PART, True)):
        for key, pattern in known.items():
            if re.fullmatch(pattern, words):
                return key, kept
    return None, True


def _read_title(heading):
    """Return the title, whether the form is the quick one, and what else it says."""
    words = _words(heading)
    found = _TITLE.fullmatch(words)
    if not found:
        return _plain(words), False, {}
    rest = _plain(found["rest"] or "")
    number = re.match(r"INC-\d{8}-\d{3,}(?!\w)", rest, re.I)
    if number and found["kind"].lower() == "incident id":
        title = rest[number.end() :].strip(" :-–—")
        return title, False, {"incident": number[0].upper()}
    return rest, bool(found["quick"]), {}


def _read_header(lines):
    """Take the labelled lines of a header off the text before the first section.

    :return: values by the keys of :data:`HEADER`, and the other lines
    :rtype: tuple[dict, list]
    """
    values, rest = {}, []
    for position, line in enumerate(lines):
        # A backslash at the end is a line break.
        found = _LABEL.match(re.sub(r"(?<!\\)((?:\\\\)*)\\$", r"\1", line.rstrip()))
        if _QUICK_LABEL.match(line) or (values and line.strip() and not found):
            return values, [*rest, *lines[position:]]
        key = found and _header_key(found["label"])
        if key and key not in values and _plain(found["text"]):
            values[key] = _plain(found["text"])
        else:
            rest.append(line)
    return values, rest


def _header_key(label):
    label = label.strip().lower()
    for key, pattern in _HEADER_WORDS.items():
        if re.fullmatch(pattern, label):
            return key
    return None


def _read_quick(lines):
    """Read the quick form: below each label a text, up to the next one.

    :return: Markdown by key, and notes
    :rtype: tuple[dict, tuple]
    """
    texts, key = {}, None
    for line in lines:
        label = _QUICK_LABEL.match(line)
        name = label and _QUICK[label["label"].lower()]
        if name and name not in texts:
            key, line = name, label["text"]
        texts.setdefault(key, []).append(line)
    found = {}
    for key, body in texts.items():
        text = tidy("\n".join(body))
        text = _QUOTED_LABEL.sub(lambda one: f"{one[1]}{one[2][:-1]}:", text)
        if text and text != BLANK:
            found[key] = text
    note = found.pop(None, None)
    return found, (("", note),) if note else ()


def _read_sections(headings, intro, lines, begin):
    """Distribute the text of a file over the sections.

    :param list headings: those after the title
    :param list intro: lines before the first of them
    :param list lines: of the whole file
    :param int begin: at which of them the text before the first heading begins
    :return: Markdown by key, notes, the zone that the timeline names, and lines
    :rtype: tuple[dict, tuple, str, dict]
    """
    levels = [one.level for one in headings if _key_of(one)[0]]
    if not levels:
        rest = lines[headings[0].begin :] if headings else []
        text = tidy("\n".join([*intro, *rest]))
        return {}, (("", text),) if text else (), "", {}
    level = min(levels)
    texts, notes, begins, zone = {}, [], {}, ""
    around = None
    current = texts["summary"] = _lines(tidy("\n".join(intro)))
    if any(current):
        begins["summary"] = begin + 1
    ends = [*(one.begin for one in headings[1:]), len(lines)]
    for heading, end in zip(headings, ends, strict=False):
        key, kept = _key_of(heading)
        below = heading.level == level + 1 and key in _BELOW.get(around, ())
        if heading.level > level and not below:
            current += lines[heading.begin : end]
            continue
        if not below:
            around = key
        if key:
            begins.setdefault(key, heading.begin + 1)
            current = texts.setdefault(key, [])
            while current and not current[-1].strip():
                current.pop()
            kept_line = [f"{'#' * heading.level} {heading.text}", ""] if kept else []
            body = "\n".join(lines[heading.end : end]).lstrip("\n")
            current += ["", *kept_line, *body.split("\n")]
        else:
            current = lines[heading.end : end]
            notes.append((_plain(_unwrapped(heading.text)), current))
        if key == "timeline":
            zone = zone or " ".join(_BRACKETS.findall(heading.text))
    found = {key: tidy("\n".join(body)) for key, body in texts.items()}
    if "lessons" in found:
        lessons = (found.pop("lessons"), found.get("knowledge"))
        found["knowledge"] = "\n\n".join(filter(None, lessons))
        begins.setdefault("knowledge", begins.pop("lessons"))
    found = {key: text for key, text in found.items() if text and text != BLANK}
    kept_notes = [(name, tidy("\n".join(body))) for name, body in notes]
    begins = {key: line for key, line in begins.items() if key in found}
    return found, tuple(kept_notes), zone, begins


def with_notes(text, notes):
    """Append notes to a section, each below its heading.

    :param text: Markdown, or nothing
    :param notes: pairs of a heading and Markdown
    :rtype: str
    """
    blocks = [text] if text else []
    for heading, note in notes:
        blocks += [f"{'#' * _OWN_LEVEL} {_line(heading)}"] if heading else []
        blocks += [note] if note else []
    return "\n\n".join(blocks)
