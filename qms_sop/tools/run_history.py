"""What a list of runs adds up to. Pure Python: no records, no queries."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import fmean, median

OPEN = ("draft", "in_progress", "on_hold")
OUTCOMES = ("completed", "failed", "cancelled", "open")
# Up to this many days a chart has a column for each day, then for each week, …
_DAYS, _WEEKS = 35, 200


@dataclass(slots=True)
class RunLine:
    """One run of the history.

    Times are in the zone of the reader. ``None`` is what nobody knows; it is never
    counted as 0.
    """

    id: int
    name: str
    state: str
    sop_code: str
    sop_version: str
    title: str
    severity: str | None  # code
    category: str | None  # code
    error_code: str | None
    trigger: str
    source: str | None
    responsible: str | None
    opened_by: str | None
    started: datetime
    ended: datetime | None
    duration: float | None  # minutes, of a run that has ended
    elapsed: float | None  # minutes so far, ended or not
    expected: int | None  # minutes; None where the time of a step varies
    errors: int
    outcome: str | None  # resolution, or reason
    archived: bool = False

    @property
    def result(self):
        """How the run ended: one of :data:`OUTCOMES`."""
        return "open" if self.state in OPEN else self.state

    @property
    def over(self):
        """Minutes beyond the expected time; 0 when within it, ``None`` unknown.

        A cancelled run had no chance to keep the time, so it is not judged.
        """
        if self.state == "cancelled" or self.expected is None or self.elapsed is None:
            return None
        return max(0.0, self.elapsed - self.expected)


@dataclass(slots=True)
class Totals:
    """What some runs add up to; grows by :meth:`add`."""

    runs: int = 0
    errors: int = 0
    judged: int = 0  # runs of which it is known whether they took too long
    overdue: int = 0
    results: Counter = field(default_factory=Counter)
    durations: list = field(default_factory=list)  # minutes, of completed runs

    def add(self, line):
        """Count one run.

        :param RunLine line: the run
        """
        self.runs += 1
        self.errors += line.errors
        self.results[line.result] += 1
        if line.state == "completed" and line.duration is not None:
            self.durations.append(line.duration)
        if line.over is not None:
            self.judged += 1
            self.overdue += line.over > 0

    @property
    def success(self):
        """Share of completed runs among completed and failed ones, 0 to 1.

        ``None`` while there are none of either.
        """
        decided = self.results["completed"] + self.results["failed"]
        return self.results["completed"] / decided if decided else None

    @property
    def median(self):
        """Median minutes of completed runs, ``None`` without any."""
        return median(self.durations) if self.durations else None

    @property
    def mean(self):
        """Mean minutes of completed runs, ``None`` without any."""
        return fmean(self.durations) if self.durations else None

    @property
    def longest(self):
        """Minutes of the longest completed run, ``None`` without any."""
        return max(self.durations, default=None)

    @property
    def late(self):
        """Number of runs over their expected time, ``None`` when none is judged."""
        return self.overdue if self.judged else None


class Summary:
    """The totals of a period: altogether, by group, by severity and over time.

    :param date first: first day of the period
    :param date last: last day of it
    :param group: function that returns the group of a line, or ``None``
    """

    def __init__(self, first, last, group=None):
        self.total = Totals()
        self.groups = {}
        self.severities = Counter()
        self.unit, starts = _buckets(first, last)
        self.buckets = {start: Counter() for start in starts}
        self._group = group

    def add(self, line):
        """Count one run.

        :param RunLine line: the run
        """
        self.total.add(line)
        self.severities[line.severity] += 1
        self.buckets[_start_of(line.started.date(), self.unit)][line.result] += 1
        if self._group:
            self.groups.setdefault(self._group(line), Totals()).add(line)


def _buckets(first, last):
    """Return the unit of the time axis, and the first days of its buckets."""
    days = (last - first).days + 1
    if days <= _DAYS:
        return "day", [first + timedelta(days=n) for n in range(days)]
    if days <= _WEEKS:
        monday = first - timedelta(days=first.weekday())
        return "week", [
            monday + timedelta(weeks=n) for n in range((last - monday).days // 7 + 1)
        ]
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return "month", [date(month // 12, month % 12 + 1, 1) for month in months]


def _start_of(day, unit):
    """Return the first day of the bucket that a day belongs to."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day
