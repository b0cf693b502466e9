"""Minutes that count: inside working hours, and outside of holds.

Times are naive and in UTC. Working hours come week by week, from a function that is
given the Monday of a week and returns its opening times as pairs, in order; ``None``
in its place means around the clock.
"""

from datetime import datetime, time, timedelta

# A calendar without opening times for so long has none at all.
_LONGEST_CLOSURE = 60
# No deadline is later than this.
_LONGEST = timedelta(days=3660)


def due(start, minutes, weeks=None, holds=()):
    """Return the moment at which so many minutes have been counted.

    :param datetime start: when counting begins
    :param float minutes: from 0 up
    :param weeks: working hours, see above
    :param holds: pairs of begin and end during which nothing counts, in order
    :return: ``None`` when it is never reached, as in a calendar that never opens
    :rtype: datetime | None
    """
    left = timedelta(minutes=minutes)
    for begin, end in _open_times(start, start + _LONGEST, weeks, holds):
        if begin + left <= end:
            return begin + left
        left -= end - begin
    return None


def counted(start, end, weeks=None, holds=()):
    """Return how many minutes count between two moments.

    :param datetime start: from when
    :param datetime end: until when; before ``start``, the result is negative
    :param weeks: working hours, see above
    :param holds: pairs of begin and end during which nothing counts, in order
    :rtype: float
    """
    if end < start:
        return -counted(end, start, weeks, holds)
    times = _open_times(start, end, weeks, holds)
    return sum(((till - since) for since, till in times), timedelta()) / timedelta(
        minutes=1
    )


def open_times(start, end, weeks, limit):
    """Return the first opening times in a period.

    :param datetime start: from when
    :param datetime end: until when
    :param weeks: working hours, see above
    :param int limit: how many at most
    :rtype: list[tuple[datetime, datetime]]
    """
    found = []
    for times in _open_times(start, end, weeks, ()):
        if len(found) == limit:
            break
        found.append(times)
    return found


def _open_times(start, end, weeks, holds):
    """Yield the times that count, in order, cut to a period."""
    for begin, till in _working_times(start, end, weeks):
        for hold_begin, hold_end in holds:
            if hold_end <= begin or hold_begin >= till:
                continue
            if hold_begin > begin:
                yield begin, hold_begin
            begin = min(hold_end, till)
        if begin < till:
            yield begin, till


def _working_times(start, end, weeks):
    if weeks is None:
        yield start, end
        return
    # The week of a zone begins up to a day before or after that of UTC.
    monday = (start - timedelta(days=1)).date()
    monday -= timedelta(days=monday.weekday())
    empty = 0
    while empty < _LONGEST_CLOSURE and datetime.combine(monday, time()) < (
        end + timedelta(days=1)
    ):
        times = weeks(monday)
        empty = 0 if times else empty + 1
        for begin, till in times:
            if till > start and begin < end:
                yield max(begin, start), min(till, end)
        monday += timedelta(days=7)
