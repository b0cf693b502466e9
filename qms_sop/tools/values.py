"""Values as they leave the server."""


def to_rfc3339(value):
    """Return a UTC date and time as RFC 3339, or ``None``.

    :param value: naive ``datetime`` in UTC, or a false value
    :rtype: str | None
    """
    return f"{value.isoformat(timespec='seconds')}Z" if value else None


def without_none(value):
    """Return a JSON-like value with ``False`` for ``None``, for XML-RPC.

    :param value: str, number, bool, None, or dicts and lists of them
    """
    if value is None:
        return False
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_none(item) for item in value]
    return value
