"""Times as people write them: 5-15 min, <10 min, Within 5 days, Varies."""

import math
import re
from dataclasses import replace

from .blocks import key_of
from .model import Duration

_MINUTES = {"s": 1 / 60, "m": 1, "h": 60, "d": 1440, "w": 10080}
_UNIT = r"(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?)\b\.?"
_NUMBER = r"(\d{1,5}(?:\.\d{1,2})?)"
_RANGE = re.compile(
    rf"(?:about |approx\.? |ca\.? |~ ?)?{_NUMBER} ?(?:{_UNIT} ?)?"
    rf"(?:-|–|—|to|and) ?{_NUMBER} ?{_UNIT}",
    re.I,
)
_SINGLE = re.compile(
    r"(<=?|≤|>=?|≥|~|within|under|below|up to|at most|max\.?|less than|first|"
    r"about|approx\.?|ca\.?|at least|more than|over|target:?)? ?"
    rf"{_NUMBER} ?(\+)? ?{_UNIT}",
    re.I,
)
_VARIES = frozenset({"varies", "variable", "ongoing", "as needed", "depends"})
_AT_LEAST = frozenset({">", ">=", "≥", "at least", "more than", "over"})
_EXACT = frozenset({"", "~", "about", "approx", "ca"})
# "Slow pages (>2s)" says when, not how long.
_THRESHOLD = re.compile(r"^\s*(>|≥|over\b|more\b|<.*\d ?s(ec\w*)?$)", re.I)
_HEADING = re.compile(r"^(.*\S)\s*[(\[]([^()\[\]]{1,40})[)\]]$")


def read(text):
    """Read a time that stands alone.

    :param str text: such as ``5-15 min``
    :return: the duration; ``None`` where the text is no time
    :rtype: Duration | None
    """
    text = text.strip().rstrip(".").strip()
    if key_of(text) in _VARIES:
        return Duration(text=text)
    if match := _RANGE.fullmatch(text):
        low, low_unit, high, high_unit = match.groups()
        unit = _MINUTES[high_unit[0].lower()]
        first = _MINUTES[low_unit[0].lower()] if low_unit else unit
        return Duration(_whole(low, first), _whole(high, unit), text)
    if match := _SINGLE.fullmatch(text):
        word, number, plus, unit = match.groups()
        word = (word or "").lower().rstrip(".:")
        minutes = _whole(number, _MINUTES[unit[0].lower()])
        if plus or word in _AT_LEAST:
            return Duration(minutes, 0, text)
        return Duration(minutes if word in _EXACT else 0, minutes, text)
    return None


def _whole(number, unit):
    return math.ceil(float(number) * unit)


def split_heading(text):
    """Take the time off the end of a heading.

    :param str text: such as ``TRIAGE (5-15 min)``
    :return: the heading without it, and the duration or ``None``
    :rtype: tuple[str, Duration | None]
    """
    match = _HEADING.match(text)
    if match and not _THRESHOLD.search(match[2]) and (duration := read(match[2])):
        return match[1], duration
    return text, None


def complete(parts, tables):
    """Give steps the times that the document states elsewhere.

    A table of stages and times may name a step; ranges that follow on from each
    other (0-5, 5-15, 15-20) are read off one clock.

    :param list[Part] parts: of a whole document
    :param list[Table] tables: of the same
    :rtype: list[Part]
    """
    steps = {i: part.values for i, part in enumerate(parts) if part.kind == "step"}
    found = {i: step.duration for i, step in steps.items() if step.duration.text}
    missing = {i: step.name for i, step in steps.items() if i not in found}
    for table in tables:
        if table.kind == "duration" and not table.template and missing:
            found.update(_from_table(table, missing))
    for index in _one_clock(found) if len(found) == len(steps) else ():
        found[index] = replace(found[index], elapsed=True)
    return [
        replace(part, values=replace(part.values, duration=found[i]))
        if i in found and found[i] is not part.values.duration
        else part
        for i, part in enumerate(parts)
    ]


def _one_clock(found):
    """Return the steps whose ranges follow on from each other, from 0 on."""
    ranges = [i for i, time in found.items() if _RANGE.fullmatch(time.text)]
    times = [found[i] for i in ranges]
    joined = all(
        first.maximum == second.minimum
        for first, second in zip(times, times[1:], strict=False)
    )
    return ranges if len(ranges) > 2 and not times[0].minimum and joined else []


def _from_table(table, names):
    column = next(
        (
            i
            for i, header in enumerate(table.headers)
            if i and re.search(r"\btime\b|duration|minutes", key_of(header))
        ),
        None,
    )
    if column is None:
        return {}
    stems = {index: _stems(name) for index, name in names.items()}
    times = {}
    for row in table.rows:
        wanted, duration = _stems(row[0]), read(row[column])
        matches = [i for i, stem in stems.items() if wanted == stem] or [
            i for i, stem in stems.items() if wanted and wanted < stem
        ]
        if duration and len(matches) == 1:
            times.setdefault(matches[0], duration)
    return times


def _stems(name):
    """Return the beginnings of the words: "Gathering" and "Gather" are alike."""
    words = key_of(name).split()
    return frozenset(
        word.rstrip("s")[:6] for word in words if word not in ("the", "a", "of")
    )
