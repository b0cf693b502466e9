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
