"""The periods that incidents are looked at in, and those that they are held up to."""

from datetime import date, timedelta
from typing import NamedTuple

from dateutil.relativedelta import relativedelta

PERIODS = ("this_month", "last_month", "last_90_days", "last_12_months", "custom")
# Of a period of one's own; what is longer is no reading, and a chart of dots.
LONGEST = timedelta(days=3660)
_DAY = timedelta(days=1)


class Period(NamedTuple):
    """Days, all of them inclusive: those of a period, and of the one before it."""

    since: date
    until: date
    before_since: date
    before_until: date


def resolve(name, today, since=None, until=None):
    """Return the days of a period.

    A month that has not ended is held up to the same days of the month before, so
    that both are as long.

    >>> resolve("this_month", date(2026, 3, 31))[2:]
    (datetime.date(2026, 2, 1), datetime.date(2026, 2, 28))

    :param str name: one of :data:`PERIODS`
    :param date today: where the company is
    :param date since: the first day of a ``custom`` period
    :param date until: its last day
    :rtype: Period
    """
    month = today.replace(day=1)
    back = relativedelta(months=1)
    if name == "this_month":
        return Period(month, today, month - back, today - back)
    if name == "last_month":
        return Period(month - back, month - _DAY, month - 2 * back, month - back - _DAY)
    if name == "last_12_months":
        since, year = month - 11 * back, relativedelta(years=1)
        return Period(since, today, since - year, today - year)
    if name == "last_90_days":
        since, until = today - 89 * _DAY, today
    length = until - since + _DAY
    return Period(since, until, since - length, until - length)
