"""Minutes, written the way people say them."""

_UNITS = (
    (7 * 24 * 60, "week"),
    (24 * 60, "day"),
    (60, "hour"),
    (1, "minute"),
)


def format_minutes(env, minutes):
    """Write a number of minutes in its largest whole units.

    >>> format_minutes(env, 90)
    '1 h 30 min'

    :param odoo.api.Environment env: gives the language
    :param int minutes: 0 or more
    :return: at most two units, ``""`` for 0 or nothing
    :rtype: str
    """
    labels = {
        "week": (env._("1 week"), lambda n: env._("%s weeks", n)),
        "day": (env._("1 day"), lambda n: env._("%s days", n)),
        "hour": (env._("1 h"), lambda n: env._("%s h", n)),
        "minute": (env._("1 min"), lambda n: env._("%s min", n)),
    }
    rest = minutes or 0
    parts = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            one, many = labels[unit]
            parts.append(one if count == 1 else many(count))
    return " ".join(parts[:2])


def format_duration(env, minutes):
    """Write a measured time, to the second below an hour.

    >>> format_duration(env, 4.5)
    '4 min 30 s'

    :param odoo.api.Environment env: gives the language
    :param minutes: 0 or more; ``False`` or ``None`` when unknown
    :return: ``""`` when unknown, which is not the same as no time at all
    :rtype: str
    """
    if minutes is False or minutes is None:
        return ""
    seconds = round(minutes * 60)
    if seconds >= 3600:
        return format_minutes(env, round(seconds / 60))
    whole, rest = divmod(seconds, 60)
    parts = [format_minutes(env, whole)] if whole else []
    if rest or not whole:
        parts.append(env._("%s s", rest))
    return " ".join(parts)
