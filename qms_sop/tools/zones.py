"""Times as people read them, with their zone."""

import pytz


def local_time(value, zone):
    """Return a time on the clock of somebody.

    :param datetime value: naive, in UTC
    :param str zone: IANA name of a zone; an unknown one is taken for UTC
    :rtype: datetime
    """
    try:
        there = pytz.timezone(zone or "UTC")
    except pytz.UnknownTimeZoneError:
        there = pytz.utc
    return pytz.utc.localize(value).astimezone(there)


def in_utc(value):
    """Return a time to the minute, in UTC.

    :param datetime value: naive, in UTC; or a false value
    :return: such as ``2026-03-01 12:00 UTC``; ``None`` without a time
    :rtype: str | None
    """
    return f"{value:%Y-%m-%d %H:%M} UTC" if value else None


def in_zone(value, zone):
    """Return a time as it was on the clock of somebody, with the zone.

    :param datetime value: naive, in UTC; or a false value
    :param str zone: IANA name of a zone; an unknown one is taken for UTC
    :return: such as ``2026-03-01 13:00:00 CET (UTC+01:00)``; empty without a time
    :rtype: str
    """
    if not value:
        return ""
    local = local_time(value, zone)
    offset = local.strftime("%z")
    name = local.tzname()
    shown = f"UTC{offset[:3]}:{offset[3:]}"
    # Many zones have no short name but their offset.
    place = zone if name[:1] in "+-" else name
    if place == "UTC":
        return f"{local:%Y-%m-%d %H:%M:%S} UTC"
    return f"{local:%Y-%m-%d %H:%M:%S} {place} ({shown})"
