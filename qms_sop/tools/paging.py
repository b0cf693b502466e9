"""Lists by pages that stay stable while records are added (keyset pagination)."""

import base64
import binascii
import hashlib
import json
from datetime import datetime

from odoo.exceptions import ValidationError
from odoo.fields import Domain

# What the sort value in a cursor can be, by the type of its field.
_TYPES = {
    "integer": int | None,
    "datetime": datetime | None,
    "date": str | None,
    "char": str | None,
}


def page(model, domain, query, *, sort="-id", filters=None, columns=None):
    """Return one page of records, in at most two queries and without counting.

    A cursor holds the sort value and the id of the last record, so records that
    are added or changed meanwhile are neither met twice nor make others be missed.
    Records without a value come last, in either direction.

    :param model: empty recordset with the reader's rights and context
    :param domain: what to list
    :param query: has ``limit`` (records a page) and ``cursor``
    :param str sort: a stored, indexed column, with ``-`` for descending
    :param filters: what else the list depends on (JSON-serializable); a cursor is
        good only for the same
    :param columns: names of the fields to fetch; all by default
    :return: the records, and the next cursor or ``None``
    :rtype: tuple[odoo.models.BaseModel, str | None]
    :raises ValidationError: for a cursor that is not of this list
    """
    name, descending = sort.lstrip("-"), sort.startswith("-")
    mark = _mark(model._name, sort, filters)
    after = _decode(query.cursor, mark) if query.cursor else None
    if after and not isinstance(after[0], _TYPES[model._fields[name].type]):
        raise _refusal()
    wanted = query.limit + 1
    direction = "desc" if descending else "asc"
    records = model
    if name == "id":
        if after:
            domain = Domain(domain) & Domain("id", "<" if descending else ">", after[1])
        records = model.search_fetch(
            domain, columns, limit=wanted, order=f"id {direction}"
        )
    else:
        if not after or after[0] is not None:
            records = model.search_fetch(
                Domain(domain) & _following(name, descending, after),
                columns,
                limit=wanted,
                order=f"{name} {direction}, id {direction}",
            )
        if len(records) < wanted:
            blank = Domain(name, "=", False)
            if after and after[0] is None:
                blank &= Domain("id", "<" if descending else ">", after[1])
            records += model.search_fetch(
                Domain(domain) & blank,
                columns,
                limit=wanted - len(records),
                order=f"id {direction}",
            )
    if len(records) < wanted:
        return records, None
    records = records[: query.limit]
    last = records[-1]
    return records, _encode(last[name] if name != "id" else None, last.id, mark)


def slice_page(items, query, key, *, filters=None):
    """Return one page of values that are already in memory.

    :param list items: in order
    :param query: has ``limit`` and ``cursor``
    :param key: function of an item: what it is ordered by, a unique JSON list
    :param filters: as for :func:`page`
    :return: the items of the page, and the next cursor or ``None``
    :raises ValidationError: for a cursor that is not of this list
    """
    mark = _mark("items", "", filters)
    if query.cursor:
        after = _decode(query.cursor, mark)[0]
        try:
            items = [item for item in items if key(item) > after]
        except TypeError:
            raise _refusal() from None
    if len(items) <= query.limit:
        return items, None
    items = items[: query.limit]
    return items, _encode(key(items[-1]), 0, mark)


def _following(name, descending, after):
    """Return the domain of what comes after a value and id."""
    if not after:
        return Domain(name, "!=", False)
    value, record_id = after
    sign = "<" if descending else ">"
    # The first term is implied by the second; it is what an index can be read by.
    return Domain(name, f"{sign}=", value) & (
        Domain(name, sign, value) | Domain("id", sign, record_id)
    )


def _mark(*parts):
    """Return what tells the cursors of one list from those of another."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _encode(value, record_id, mark):
    if isinstance(value, datetime):
        value = {"time": value.isoformat()}
    text = json.dumps([mark, value or None, record_id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor, mark):
    """Return the sort value and the id in a cursor."""
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        found, value, record_id = json.loads(base64.urlsafe_b64decode(padded))
        if isinstance(value, dict):
            value = datetime.fromisoformat(value["time"])
        good = found == mark and isinstance(record_id, int)
    except (binascii.Error, ValueError, TypeError, KeyError):
        good = False
    if not good:
        raise _refusal()
    return value, record_id


def _refusal():
    error = ValidationError(
        "cursor: this is not a cursor of this list; give next_cursor as it came, with "
        "the same filters and sort."
    )
    error.qms_field = "cursor"
    return error
