"""What the rows of a recognised table say, column by column."""

import re
from typing import NamedTuple

from . import blocks, durations
from .steps import undecorated

_NAME = "name"
# Titles of columns, as ``blocks.key_of`` gives them.
_COLUMNS = {
    "error_code": {
        _NAME: r"(error )?codes?",
        "title": r"(error |short )?(title|name)|error",
        "category": r"(error )?category",
        "severity": r"(default )?severity",
        "description": r"description|meaning|what it means",
        "common_causes": r"((common|likely|possible|root) )?causes?",
        "resolution": r"resolutions?|solutions?|fix(es)?|how to fix( it)?",
        "prevention": r"preventions?|preventive measures?|how to prevent( it)?",
    },
    "severity": {
        _NAME: r"(severity|priority)( level)?|level",
        "response_target": (
            r"((initial|first|target) )?response( (time|target|sla|within))?"
            r"|time to respond|respond within"
        ),
        "mitigation_target": (
            r"mitigation( (time|target|sla|within))?|time to mitigate|mitigate within"
        ),
        "resolution_target": (
            r"(resolution|(root cause )?fix)( (time|target|sla|within))?"
            r"|time to (resolve|fix)|(resolve|fix) within"
        ),
        "update_interval": (
            r"((stakeholder|status|communication) )?updates?"
            r"( (interval|frequency|every))?|communication frequency"
        ),
    },
}
_TARGETS = frozenset(_COLUMNS["severity"]) - {_NAME}
_NOTHING = frozenset({"", "-", "–", "—", "n/a", "na", "none", "tbd", "?", "…", "..."})
_BREAK = re.compile(r"<br\s*/?>", re.I)
_MARKS = re.compile(r"\s+[-–—]+\s+|\s*[:/|,()\[\]]\s*")


class Row(NamedTuple):
    """What one row says.

    :ivar int line: 1-based
    :ivar str name: the code, or the level of severity; "" for an empty cell
    :ivar dict cells: ``{field: text}`` of the other known columns; without those
        in which the row says nothing
    """

    line: int
    name: str
    cells: dict[str, str]


def rows(table):
    """Return what the rows of a table say.

    :param Table table: of kind ``error_code`` or ``severity``
    :return: one for each row, in order
    :rtype: list[Row]
    :raise KeyError: for another kind
    """
    columns = _columns(table)
    found = []
    # Below the titles comes the line of dashes.
    for line, cells in enumerate(table.rows, table.line + 2):
        said = {
            field: text
            for field, index in columns.items()
            if (text := _said(cells[index]))
        }
        found.append(Row(line, said.pop(_NAME, "").strip("`"), said))
    return found


def _columns(table):
    columns, known = {}, _COLUMNS[table.kind]
    for index, header in enumerate(table.headers):
        title = blocks.key_of(header)
        for field, pattern in known.items():
            if field not in columns and re.fullmatch(pattern, title):
                columns[field] = index
                break
    return columns


def _said(cell):
    lines = [blocks.plain(line) for line in _BREAK.split(cell)]
    text = "\n".join(filter(None, lines))
    return "" if text.casefold() in _NOTHING else text


def is_target(field):
    """Whether a field of a row of severities is a time."""
    return field in _TARGETS


def minutes_of(text):
    """Return a time limit in whole minutes.

    :param str text: such as ``<15 min``, ``1 hour`` or ``5-10 minutes``
    :return: the latest time that it allows; ``None`` where it names none, as in
        ``Immediate`` or ``> 1 hour``
    :rtype: int | None
    """
    duration = durations.read(text)
    return (duration.maximum or None) if duration else None


def words_of(text):
    """Return the words that a cell gives one thing: "P0 - Critical" gives two.

    :rtype: list[str]
    """
    pieces = (undecorated(piece).strip(" `") for piece in _MARKS.split(text))
    return [piece for piece in pieces if piece]
