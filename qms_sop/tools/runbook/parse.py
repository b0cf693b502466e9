"""From Markdown to the parts of a runbook."""

import re
from bisect import bisect_left, bisect_right
from dataclasses import replace

from . import blocks, durations, header, lists, steps, tables, text
from .model import KINDS, Limits, Part, Runbook, RunbookError

_SECTIONS = {
    "purpose": "purpose",
    "objective": "purpose",
    "objectives": "purpose",
    "purpose and scope": "purpose",
    "goal": "purpose",
    "goals": "purpose",
    "scope": "scope",
    "applicability": "scope",
    "trigger": "triggers",
    "triggers": "triggers",
    "trigger conditions": "triggers",
    "when to use": "triggers",
    "when to use this": "triggers",
    "when to use this runbook": "triggers",
    "when to use this playbook": "triggers",
    "prerequisite": "prerequisites",
    "prerequisites": "prerequisites",
    "preconditions": "prerequisites",
    "requirements": "prerequisites",
    "before you begin": "prerequisites",
    "before you start": "prerequisites",
    "references": "related",
    "see also": "related",
    "further reading": "related",
}
_RELATED = re.compile(
    r"related( (documents?|documentation|runbooks?|sops?|procedures?|links?))?"
)
# These say what a document is for, in one that has no section named so.
_OPENINGS = frozenset({"overview", "introduction", "summary", "about"})
_FOOTER_BLOCKS = 3


class _Start:
    """The first line of a part, its kind and the level of its heading."""

    __slots__ = ("kind", "level", "line")

    def __init__(self, line, kind, level=0):
        self.line = line
        self.kind = kind
        self.level = level


def parse(data, limits=None, *, filename=None):
    """Understand a runbook.

    :param data: Markdown as str, or as bytes in UTF-8
    :param Limits | None limits: what is refused
    :param str | None filename: gives the code where the text states none
    :rtype: Runbook
    :raise RunbookError: too large, binary, not UTF-8, empty, without a title or
        with too many steps or parts; it names the line
    """
    limits = limits or Limits()
    content, notes = text.repair(text.decode(data, limits))
    written = content.split("\n")
    lines = blocks.nested(written)
    taken, front = header.front_matter(lines)
    tokens = _tokenize(lines, taken)
    top = blocks.top_level(tokens, lines)
    starts = _starts(top, tokens, front, lines)
    _check(starts, limits)
    parts = _parts(written, lines, top, starts, front)
    if filename and not parts[0].values.code:
        code = header.code_from_filename(filename)
        parts[0] = replace(parts[0], values=replace(parts[0].values, code=code))
    begins = [start.line for start in starts]
    found = tables.tables(tokens, begins)
    return Runbook(
        parts=tuple(durations.complete(parts, found)),
        tables=tuple(found),
        trees=tuple(tables.trees(tokens, begins)),
        notes=tuple(notes),
    )


def _tokenize(lines, taken):
    """Tokenize a text in which the front matter is left blank."""
    return blocks.tokenize("\n".join([""] * taken + lines[taken:]))


def _check(starts, limits):
    count = 0
    for start in starts:
        count += start.kind == "step"
        if count > limits.steps:
            raise RunbookError(
                f"The document has more than {limits.steps} steps.", start.line + 1
            )
    if len(starts) > limits.parts:
        raise RunbookError(
            f"The document has more than {limits.parts} sections.",
            starts[limits.parts].line + 1,
        )


# -- where the parts begin


def _starts(top, tokens, front, lines):
    title = header.title_index(top, front)
    after = top[title + 1 :] if title is not None else top
    if after and _is_subtitle(after, lines) and title is not None:
        after = after[1:]
    headings = [block for block in after if block.type == "heading"]
    kinds = _known_kinds(headings)
    candidates = [h for h in headings if h.start not in kinds]
    candidates = _without_section_numbers(headings, kinds, candidates)
    chosen = steps.choose(candidates, _commanded(headings, tokens))
    for line in chosen:
        kinds[line] = "step"
    starts = [_Start(0, "header")]
    for heading in headings:
        kind = kinds.get(heading.start, "section")
        open_level = starts[-1].level
        if kind == "section" and open_level and heading.level > open_level:
            # Only a section of its own has no deeper headings in it.
            if starts[-1].kind != "section":
                continue
        starts.append(_Start(heading.start, kind, heading.level))
    footer = _footer_line(top, starts[-1])
    if footer is not None:
        starts.append(_Start(footer, "footer"))
    return starts


def _is_subtitle(after, lines):
    """Whether a heading right below the title goes with the control data."""
    return (
        len(after) > 1
        and after[0].type == "heading"
        and bool(header.data_lines(after[1], lines))
    )


def _known_kinds(headings):
    """Return ``{first line: kind}`` of the headings that name their section."""
    kinds, seen = {}, set()
    for heading in headings:
        kind = _known_kind(heading)
        if kind and (kind == "related" or kind not in seen):
            kinds[heading.start] = kind
            seen.add(kind)
    if "purpose" not in seen and headings:
        opening = headings[0]
        names = [blocks.key_of(heading.text) for heading in headings[:3]]
        for heading, name in zip(headings[:3], names, strict=False):
            if name in _OPENINGS and heading.level == opening.level:
                kinds[heading.start] = "purpose"
                break
    return kinds


def _known_kind(heading):
    if heading.level > 3:
        return None
    shape = steps.shape_of(heading.text)
    name = shape.name if shape and shape.kind == "numbered" else heading.text
    name = blocks.key_of(name)
    return "related" if _RELATED.fullmatch(name) else _SECTIONS.get(name)


def _without_section_numbers(headings, kinds, candidates):
    """Drop numbered headings where the numbers count sections, not steps.

    "1. Purpose, 2. Scope, 3. Procedure" is how many procedures are laid out.
    """
    counted = {
        (heading.level, shape.number.count("."))
        for heading in headings
        if heading.start in kinds
        and (shape := steps.shape_of(heading.text))
        and shape.kind == "numbered"
    }
    if not counted:
        return candidates
    return [
        heading
        for heading in candidates
        if not (
            (shape := steps.shape_of(heading.text))
            and shape.kind == "numbered"
            and (heading.level, shape.number.count(".")) in counted
        )
    ]


def _commanded(headings, tokens):
    lines = [heading.start for heading in headings]
    found = set()
    for fence in blocks.fences(tokens):
        index = bisect_right(lines, fence.start) - 1
        if index >= 0 and steps.is_typed(fence.info, fence.code):
            found.add(lines[index])
    return found


def _footer_line(top, last):
    """Return the line of the last rule, when only closing lines follow it."""
    if last.kind == "header":
        return None
    rest = []
    for block in reversed(top):
        if block.start <= last.line or len(rest) > _FOOTER_BLOCKS:
            return None
        if block.type == "hr":
            return block.start if rest else None
        if block.type != "paragraph":
            return None
        rest.append(block)
    return None


# -- what the parts say


def _parts(written, lines, top, starts, front):
    ends = [start.line for start in starts[1:]] + [len(lines)]
    firsts = [block.start for block in top]
    parts = []
    for start, end in zip(starts, ends, strict=True):
        own = lines[start.line : end]
        source = "\n".join(written[start.line : end])
        source += "\n" if end < len(lines) else ""
        inside = top[bisect_left(firsts, start.line) : bisect_left(firsts, end)]
        shifted = [_shift(block, -start.line) for block in inside]
        values = _values(start.kind, own, shifted, front)
        parts.append(Part(start.kind, source, start.line + 1, values))
    return parts


def _shift(block, by):
    return block._replace(start=block.start + by, end=block.end + by)


def _values(kind, lines, top, front=()):
    """Return the values of a part.

    :param str kind: one of ``KINDS``
    :param list[str] lines: of the part
    :param list[Block] top: its top-level blocks
    :param front: entries of the front matter, for a header
    """
    if kind == "header":
        return header.parse(lines, top, front)
    if kind == "footer":
        return header.parse_footer(lines, top)
    name, level, height = "", 0, 0
    if top and top[0].type == "heading":
        name, level, height = top[0].text, top[0].level, top[0].end
        top = [_shift(block, -height) for block in top[1:]]
    below = lines[height:]
    if kind == "step":
        return steps.parse(name, level, below)
    if kind in _LISTS:
        return _LISTS[kind](name, level, below)
    return lists.parse_text(name, level, below, top)


_LISTS = {
    "triggers": lists.parse_triggers,
    "prerequisites": lists.parse_prerequisites,
    "related": lists.parse_related,
}


def parse_part(kind, source):
    """Understand one part by itself.

    A code from a file's name, and times from elsewhere in the document, are not
    in it.

    :param str kind: one of ``KINDS``
    :param str source: Markdown of the part
    :return: its values
    :raise ValueError: for another kind
    :raise RunbookError: a header without a title
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: use one of {', '.join(KINDS)}")
    lines = blocks.nested(source.split("\n"))
    taken, front = header.front_matter(lines) if kind == "header" else (0, [])
    top = blocks.top_level(_tokenize(lines, taken), lines)
    return _values(kind, lines, top, front)
