"""Action items and whys of a post-mortem, as they are written in Markdown.

Nothing of Odoo is needed here.
"""

import re
from typing import NamedTuple

from .timeline_text import cells_of, columns_of

# What a title of a column means; the others are kept under their titles.
_COLUMNS = {
    "title": r"actions?( items?)?|tasks?|what|items?|description",
    "reference": r"ids?|no\.?|#|number|reference",
    "owner": r"owners?|assignees?|assigned to|responsible|who",
    "due": r"due( date)?|deadline|by when|target date|when",
    "priority": r"priority|severity",
    "type": r"type|category|kind",
    "status": r"status|state|completion|done",
}
_SEPARATOR = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")
_BULLET = re.compile(
    r"(?:[-*+]|\d{1,3}[.)])\s+(?:\[(?P<box>[ xX])\]\s+)?(?P<text>\S.*)"
)
_DETAIL = re.compile(
    r"\s+(?:[-*+]\s+)?(?:\*\*)?(?P<label>owner|due( date)?|priority|type|status)"
    r"(?:\*\*)?\s*:(?:\*\*)?\s*(?P<text>.*)",
    re.I,
)
_ARROW = re.compile(r"(?:→|->|=>)\s*")
_WHY = (
    # 1. **Why …?** Because …
    re.compile(r"(?P<number>\d{1,2})[.)]\s+\*\*(?P<question>.+?)\*\*\s*(?P<answer>.*)"),
    # **1. Why …?** and below it: → Because …
    re.compile(r"\*\*(?P<number>\d{1,2})[.)]\s+(?P<question>.+?)\*\*\s*(?P<answer>.*)"),
    # 1. Why …? Because …
    re.compile(r"(?P<number>\d{1,2})[.)]\s+(?P<question>[^?]+\?)\s*(?P<answer>.*)"),
)
_CAUSE = re.compile(r"\*\*root cause(?::\*\*|\*\*:)[ \t]*", re.I)


class Item(NamedTuple):
    """An action, every part of it as it is written.

    :ivar int line: in the text, from 1
    :ivar bool done: whether its box is ticked
    :ivar tuple more: what has no place here: pairs of a title and a text
    """

    line: int
    title: str
    reference: str = ""
    owner: str = ""
    due: str = ""
    priority: str = ""
    type: str = ""
    status: str = ""
    done: bool = False
    more: tuple = ()


class Why(NamedTuple):
    """A question, its answer and what shows that this is true."""

    question: str
    answer: str
    evidence: str = ""


def read_items(text):
    """Read the actions of a section: tables with a column for them, and lists.

    :param str text: Markdown
    :return: the actions, and the rest of the text
    :rtype: tuple[list[Item], str]
    """
    lines = text.split("\n")
    items, rest = [], []
    position = 0
    while position < len(lines):
        if end := _table_end(lines, position):
            titles = cells_of(lines[position])
            columns = _columns(titles)
            if "title" not in columns:
                rest += lines[position:end]
            else:
                for number in range(position + 2, end):
                    item = _row(number + 1, titles, columns, cells_of(lines[number]))
                    if item:
                        items.append(item)
                    else:
                        rest.append(lines[number])
            position = end
            continue
        found = _BULLET.fullmatch(lines[position].rstrip())
        if not found:
            rest.append(lines[position])
            position += 1
            continue
        end = position + 1
        while end < len(lines) and lines[end].startswith((" ", "\t")):
            end += 1
        items.append(_bullet(position + 1, found, lines[position + 1 : end]))
        position = end
    return items, "\n".join(rest).strip("\n")


def _table_end(lines, position):
    """Return where a table ends that begins in a line; ``None``: none does."""
    if "|" not in lines[position] or position + 1 >= len(lines):
        return None
    below = lines[position + 1]
    if "|" not in below or not _SEPARATOR.fullmatch(below):
        return None
    end = position + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end


def _columns(titles):
    columns = {}
    for position, title in enumerate(titles):
        for name, pattern in _COLUMNS.items():
            if re.fullmatch(pattern, title.lower()):
                columns.setdefault(name, position)
                break
    return columns


def _row(line, titles, columns, cells):
    cells = [_said(cell) for cell in cells] + [""] * (len(titles) - len(cells))
    found = {name: cells[position] for name, position in columns.items()}
    if not found["title"]:
        return None
    more = tuple(
        (title, cell)
        for position, (title, cell) in enumerate(zip(titles, cells, strict=False))
        if cell and position not in columns.values()
    )
    return Item(line, **found, more=more)


def _said(cell):
    """Return what a cell says, without emphasis.

    A lone dash is nothing, nor is what a template has to be filled in: ``[date]``.
    """
    cell = cell.strip()
    if cell in ("-", "–", "—") or re.fullmatch(r"\[[^\]]*\]", cell):
        return ""
    found = re.fullmatch(r"(\*\*|__|\*|_)(?=\S)(.+)(?<=\S)\1", cell)
    return found[2] if found and found[1] not in found[2] else cell


def _bullet(line, found, below):
    values, more = {}, []
    for text in below:
        detail = _DETAIL.fullmatch(text.rstrip())
        name = detail and detail["label"].lower().split()[0]
        if name and name not in values:
            values[name] = _said(detail["text"])
        else:
            more.append(re.sub(r"^\s*(?:[-*+]\s+)?", "", text).rstrip())
    told = "\n".join(more)
    return Item(
        line,
        found["text"].strip(),
        **values,
        done=(found["box"] or "") in ("x", "X"),
        more=(("", told),) if told else (),
    )


def table_of(text):
    """Return the table that a text consists of.

    :param str text: Markdown
    :return: titles and rows of cells, as long as the titles; ``None`` when the text is
        more than one table, or none
    :rtype: tuple[list[str], list[list[str]]] | None
    """
    lines = text.strip("\n").split("\n")
    if _table_end(lines, 0) != len(lines):
        return None
    titles = cells_of(lines[0])
    rows = [cells_of(line) for line in lines[2:]]
    width = len(titles)
    return titles, [[*row, *[""] * width][:width] for row in rows]


def with_dates(text, moments):
    """Return a timeline whose times say their day, and are those of UTC.

    :param str text: Markdown with one table
    :param moments: naive datetimes in UTC, one for each row
    :return: the text; as it is when it has no such table
    :rtype: str
    """
    lines = text.split("\n")
    begin = next((at for at in range(len(lines)) if _table_end(lines, at)), None)
    if begin is None:
        return text
    position = columns_of(cells_of(lines[begin])).get("time")
    end = _table_end(lines, begin)
    if position is None or end - begin - 2 != len(moments):
        return text
    titles = cells_of(lines[begin])
    if not re.search(r"\bUTC\b", titles[position]):
        lines[begin] = _put(lines[begin], position, f"{titles[position]} (UTC)")
    for line, moment in zip(range(begin + 2, end), moments, strict=True):
        lines[line] = _put(lines[line], position, f"{moment:%Y-%m-%d %H:%M:%S}")
    return "\n".join(lines)


def _put(line, position, text):
    """Return a row of a table with another text in one of its cells."""
    cells = re.split(r"(?<!\\)\|", line)
    cells[position + line.lstrip().startswith("|")] = f" {text} "
    return "|".join(cells)


def read_whys(text, sure=False):
    """Read the five whys out of a text.

    :param str text: Markdown
    :param bool sure: whether the text is known to be whys; otherwise only questions
        are taken for some
    :return: the whys, and the rest of the text; no whys where one has no answer
    :rtype: tuple[list[Why], str]
    """
    whys, rest, last = [], [], None
    for line in text.split("\n"):
        why = _why(line.strip(), sure)
        if why:
            whys.append(why)
            last = "why"
        elif last and re.match(r"\s*evidence:", line, re.I):
            evidence = line.partition(":")[2].strip()
            whys[-1] = whys[-1]._replace(evidence=evidence)
        elif last and _ARROW.match(line.strip()):
            whys[-1] = _more(whys[-1], _ARROW.sub("", line.strip(), count=1))
        elif last and line.startswith((" ", "\t")) and line.strip():
            whys[-1] = _more(whys[-1], line.strip())
        elif line.strip():
            rest.append(_CAUSE.sub("", line))
            last = None
        elif rest and rest[-1]:
            rest.append("")
    if not whys or not all(why.answer for why in whys):
        return [], text
    return whys, "\n".join(rest).strip("\n")


def _why(line, sure):
    for pattern in _WHY:
        found = pattern.fullmatch(line)
        if found and (sure or found["question"].rstrip().endswith("?")):
            answer = _ARROW.sub("", found["answer"].strip(), count=1)
            return Why(found["question"].strip(), answer)
    return None


def _more(why, text):
    return why._replace(answer=f"{why.answer} {text}".strip())
