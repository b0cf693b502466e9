"""When something recurs, on the clock of a place.

The rules are those of RFC 5545, by dateutil. They are worked out on the wall clock
and only then put on the time line, so that "09:00" stays 09:00 when the clock is
changed.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone

from dateutil import rrule, tz

FREQUENCIES = {
    "daily": rrule.DAILY,
    "weekly": rrule.WEEKLY,
    "monthly": rrule.MONTHLY,
    "yearly": rrule.YEARLY,
}
# As in RFC 5545; Monday is 0 as in Python.
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SHORTEST_MONTH = 28
# A rule may be well-formed and never come true.
_LOOK_AHEAD = timedelta(days=366 * 30)


@dataclass(frozen=True)
class Recurrence:
    """A rule as people say it.

    :param freq: ``daily``, ``weekly``, ``monthly`` or ``yearly``
    :param start: the first day that counts
    :param at: wall-clock time
    :param zone: IANA name of the place whose clock counts
    :param interval: every how many days, weeks, months or years
    :param weekdays: weekly: numbers, Monday is 0
    :param month_day: monthly and yearly: day of the month; where the month is
        shorter, its last day
    :param month_weekday: monthly and yearly, instead of ``month_day``: which one
        (1 to 4, -1 for the last) and which weekday
    :param month: yearly: 1 to 12
    :param until: the last day that counts
    :param count: how many times in all
    """

    freq: str
    start: date
    at: time
    zone: str = "UTC"
    interval: int = 1
    weekdays: tuple = ()
    month_day: int | None = None
    month_weekday: tuple | None = None
    month: int | None = None
    until: date | None = None
    count: int | None = None
    _rule: rrule.rrule = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "_rule", self._make_rule())

    def _make_rule(self):
        by = {}
        if self.freq == "weekly":
            by["byweekday"] = tuple(self.weekdays)
        if self.freq in ("monthly", "yearly"):
            if self.month_weekday:
                position, weekday = self.month_weekday
                by["byweekday"] = rrule.weekday(weekday, position)
            else:
                day = self.month_day
                # The day itself, or the last one before it that the month has.
                by["bymonthday"] = tuple(range(min(day, _SHORTEST_MONTH), day + 1))
                by["bysetpos"] = -1
        if self.freq == "yearly":
            by["bymonth"] = self.month
        return rrule.rrule(
            FREQUENCIES[self.freq],
            dtstart=datetime.combine(self.start, self.at),
            interval=self.interval,
            count=self.count,
            until=datetime.combine(self.until, time.max) if self.until else None,
            **by,
        )

    def __str__(self):
        """Return the rule as RFC 5545 has it, without its start."""
        return next(
            line.removeprefix("RRULE:")
            for line in str(self._rule).splitlines()
            if line.startswith("RRULE:")
        )

    def moments(self, after=None, limit=None, before=None):
        """Yield when it is time, in order.

        A time that the clock leaps over counts when the clock has been put forward
        (02:30 is 03:30 then); of a time that comes twice, the first counts.

        :param datetime after: naive UTC; only later ones. None: from the start
        :param int limit: how many at most
        :param datetime before: naive UTC; only up to then
        :return: aware datetimes on the clock of the place
        """
        # Also where the system knows no zones.
        zone = tz.gettz(self.zone)
        # The wall clock is never a day away from UTC in either direction.
        start = datetime.combine(self.start, self.at)
        first = after - timedelta(days=1) if after else start
        last = max(first, start) + _LOOK_AHEAD
        found = 0
        for wall in self._rule.xafter(first, inc=True):
            if wall > last or (limit is not None and found >= limit):
                return
            moment = tz.resolve_imaginary(wall.replace(tzinfo=zone, fold=0))
            at = to_utc(moment)
            if after and at <= after:
                continue
            if before and at > before:
                return
            found += 1
            yield moment


def to_utc(moment):
    """Return an aware datetime as Odoo stores it.

    :param datetime moment: aware
    :return: naive, in UTC
    :rtype: datetime
    """
    return moment.astimezone(timezone.utc).replace(tzinfo=None)
