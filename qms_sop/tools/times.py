"""Times as clients give them."""

from datetime import datetime, timezone


def from_rfc3339(text):
    """Return the time that a text stands for.

    :param str text: RFC 3339, such as ``2026-03-01T12:00:00Z``; without an offset, and
        also with a space in place of the T, it is taken for UTC
    :return: naive, in UTC, with microseconds
    :rtype: datetime
    :raises ValueError: when it is no time
    """
    # Python 3.10 does not know the Z.
    text = text.strip()
    value = datetime.fromisoformat(f"{text[:-1]}+00:00" if text[-1:] in "Zz" else text)
    if value.tzinfo:
        value = value.astimezone(timezone.utc).replace(tzinfo=None)
    return value
