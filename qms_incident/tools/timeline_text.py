"""Timelines as text: read from a log, a CSV file or a table, and written as a table.

Nothing of Odoo is needed here.
"""

import csv
import io
import re
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

import pytz

MAX_ENTRIES = 500
_MAX_TEXT = 1_000
# Each column, and what a heading begins with that means it
_HEADINGS = {
    "time": ("time", "timestamp", "at", "when", "date"),
    "text": ("event", "what", "message", "description", "text", "entry"),
    "component": ("component", "system", "service", "source", "where"),
    "evidence": ("evidence", "proof", "link", "reference"),
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun")
_MONTHS += ("jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)"
_STAMP = re.compile(
    r"\s*\[?\s*"
    r"(?:(?P<iso>\d{4}-\d{2}-\d{2})[T ]"
    rf"|(?P<month>[A-Za-z]{{3}}) +(?P<day>\d{{1,2}}) )?{_CLOCK}"
    r"\s*(?P<offset>Z|UTC|GMT|[+-]\d{2}:?\d{2})?\s*\]?(?=[\s|:,;-]|$)\s*[-–:|]?\s*"
)
# A clock that goes back by more than this has passed midnight.
_MIDNIGHT = timedelta(hours=12)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Entry(NamedTuple):
    """One line of a timeline.

    :ivar datetime at: naive, in UTC, to the second
    :ivar str text: what happened
    :ivar str component: what it is about; may be empty
    :ivar str evidence: where that can be seen; may be empty
    """

    at: datetime
    text: str
    component: str = ""
    evidence: str = ""


class Problem(NamedTuple):
    """A line that cannot be read.

    :ivar int line: its number, from 1
    :ivar str text: its beginning
    :ivar str why: what is wrong with it
    """

    line: int
    text: str
    why: str


def read(text, day, zone="UTC"):
    """Read what happened when from a text that somebody pasted.

    That is a Markdown table or a CSV file with a heading for the time, or a log whose
    lines begin with a time; lines of a log without one go with the line before.

    :param str text: the text
    :param datetime.date day: of times that come without a date
    :param str zone: IANA name of the zone of times that come without an offset
    :return: the entries in the order of the text, and what could not be read
    :rtype: tuple[list[Entry], list[Problem]]
    """
    clock = _Clock(day, zone)
    lines = text.replace("\r\n", "\n").split("\n")
    filled = [line for line in lines if line.strip()]
    if filled and filled[0].lstrip().startswith("|"):
        rows = [
            (number, cells_of(line))
            for number, line in enumerate(lines, 1)
            if line.strip().startswith("|")
        ]
        rows = [row for row in rows if not all(set(c) <= set("-: ") for c in row[1])]
        return _read_table(rows, clock)
    if filled and (delimiter := _delimiter(filled[0])):
        reader = csv.reader(io.StringIO(text), delimiter=delimiter)
        rows = [(reader.line_num, row) for row in reader if any(row)]
        return _read_table(rows, clock)
    return _read_log(lines, clock)


def _delimiter(heading):
    """Return what separates the columns of a CSV file, by its first line."""
    for delimiter in (";", "\t", ","):
        if {"time", "text"} <= columns_of(heading.split(delimiter)).keys():
            return delimiter
    return None


def columns_of(cells):
    """Return which column is what.

    :param list cells: of the heading
    :return: ``{name: position}``, names as in :data:`_HEADINGS`
    """
    columns = {}
    for position, cell in enumerate(cells):
        word = re.match(r"\w*", cell.strip().strip('"').lower())[0]
        for name, words in _HEADINGS.items():
            if word in words:
                columns.setdefault(name, position)
    return columns


def _read_table(rows, clock):
    entries, problems = [], []
    if not rows:
        return entries, problems
    number, heading = rows[0]
    columns = columns_of(heading)
    if not {"time", "text"} <= columns.keys():
        why = "the heading has to name a column for the time and one for the event"
        return [], [Problem(number, " | ".join(heading)[:80], why)]
    if re.search(r"\b(UTC|GMT)\b", heading[columns["time"]]):
        clock.zone = pytz.utc
    for number, cells in rows[1:]:
        found = {
            name: _plain(cells[position]) if position < len(cells) else ""
            for name, position in columns.items()
        }
        match = _STAMP.match(found["time"])
        if not match or match.end() < len(found["time"].rstrip()):
            why = "no time such as 14:30:15 or 2026-03-01T14:30:15Z"
            problems.append(Problem(number, found["time"][:80], why))
            continue
        _add(
            entries,
            problems,
            number,
            clock,
            match,
            found["text"],
            found.get("component", ""),
            found.get("evidence", ""),
        )
    return entries, problems


def _read_log(lines, clock):
    entries, problems = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = _STAMP.match(line)
        if match:
            _add(entries, problems, number, clock, match, line[match.end() :])
        elif entries:
            last = entries[-1]
            more = f"{last.text}\n{line.rstrip()}"[:_MAX_TEXT]
            entries[-1] = last._replace(text=more)
        else:
            why = "it does not begin with a time, and no line before it does"
            problems.append(Problem(number, line.strip()[:80], why))
    return entries, problems


def _add(entries, problems, number, clock, match, text, component="", evidence=""):
    text = text.strip()[:_MAX_TEXT]
    if not text:
        why = "it says when, but not what happened"
        problems.append(Problem(number, match.string.strip()[:80], why))
        return
    try:
        at = clock.moment(match)
    except (ValueError, OverflowError):
        why = "there is no such time"
        problems.append(Problem(number, match[0].strip()[:80], why))
        return
    entries.append(Entry(at, text, component[:200], evidence[:_MAX_TEXT]))


def cells_of(line):
    """Return the cells of a row of a Markdown table, as :func:`to_markdown` has them.

    :param str line: the row
    :rtype: list[str]
    """
    line = line.strip().removeprefix("|")
    # A bar behind a backslash belongs to its cell.
    cells = re.split(r"(?<!\\)\|", re.sub(r"(?<!\\)\|$", "", line))
    return [
        re.sub(r"\\([\\|])", r"\1", cell).replace("&lt;", "<").strip() for cell in cells
    ]


def _plain(cell):
    """Return a cell without the marks of Markdown; a lone dash is nothing."""
    cell = cell.strip().replace("`", "").replace("**", "")
    return "" if cell in ("-", "–", "—") else cell


class _Clock:
    """Turns the times of a text into moments, from its first line to its last."""

    def __init__(self, day, zone):
        self.day = day
        self.zone = pytz.timezone(zone)
        self._last = None

    def moment(self, match):
        """Return the moment that a match of :data:`_STAMP` means.

        :return: naive, in UTC, to the second
        :raises ValueError: when there is no such time
        """
        parts = [int(part) for part in re.split(r"[:.,]", match["clock"])[:3]]
        clock = time(*parts)
        zone = self.zone
        if offset := match["offset"]:
            zone = pytz.utc if offset[0] not in "+-" else _offset(offset)
        if match["iso"]:
            day = date.fromisoformat(match["iso"])
        elif match["month"]:
            month = _MONTHS.index(match["month"].lower()) + 1
            day = date(self.day.year, month, int(match["day"]))
        else:
            day = self._day_of(clock)
        local = datetime.combine(day, clock)
        self._last = local
        return zone.localize(local).astimezone(pytz.utc).replace(tzinfo=None)

    def _day_of(self, clock):
        if not self._last:
            return self.day
        day = self._last.date()
        if self._last - datetime.combine(day, clock) > _MIDNIGHT:
            day += timedelta(days=1)
        return day


def _offset(text):
    minutes = 60 * int(text[1:3]) + int(text[-2:])
    return pytz.FixedOffset(-minutes if text[0] == "-" else minutes)


def to_markdown(rows):
    """Write a timeline as a Markdown table.

    :param rows: dicts with ``time``, ``event``, ``component`` and ``evidence``
    :rtype: str
    """
    lines = ["| Time (UTC) | Event | Component | Evidence |", "|---|---|---|---|"]
    for row in rows:
        cells = (row["time"], row["event"], row["component"], row["evidence"])
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _cell(text):
    text = " ".join((text or "").split()) or "-"
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def to_csv(rows):
    """Write a timeline as CSV (RFC 4180), in UTF-8.

    A spreadsheet takes a cell that begins like a formula for one; such a cell gets an
    apostrophe in front.

    :param rows: as for :func:`to_markdown`, and ``recorded``, ``who`` and ``run``
    :rtype: str
    """
    names = ("time", "event", "component", "evidence", "who", "run", "recorded")
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([name.capitalize() for name in names])
    for row in rows:
        cells = [row[name] or "" for name in names]
        writer.writerow(
            [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells]
        )
    return buffer.getvalue()
