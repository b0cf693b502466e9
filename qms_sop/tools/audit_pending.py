"""What a transaction did, until it is written to the audit trail."""

from typing import NamedTuple

# Kinds of events that further acts of the same transaction may be told with
_OPEN = ("created", "changed", "state", "error", "evidence")

# Those of them that tell how a record came about
_BEGINNINGS = ("created", "error", "evidence")


class Ref(NamedTuple):
    """A record that a value refers to; its name is looked up when it is written."""

    model: str
    id: int


class Pending:
    """The acts of one transaction, told as few events as they make sense in.

    Plain values only: what is kept here must not hold on to records.
    """

    def __init__(self):
        self._entries = []

    def __bool__(self):
        return bool(self._entries)

    def entries(self):
        """Return the events, in order.

        :rtype: list[dict]
        """
        return self._entries

    def add(self, entry, alone=False):
        """Add an act on a record.

        Two acts on the same record become one event, unless each of them is a
        change of state: every transition is one event of its own.

        :param dict entry: content of an event, values as :class:`Ref` where they
            refer to records; ``began_at``, which is no part of it: when the record
            began, if this act says so
        :param bool alone: never put it together with another one
        """
        began_at = entry.pop("began_at", None)
        last = None if alone else self._last(entry)
        if last and last["kind"] in _BEGINNINGS and began_at:
            # It was not now that it came about.
            last["occurred_at"] = began_at
        if last and _merge(last, entry):
            if entry["kind"] == "state":
                # It stands where the transition was made.
                self._entries.remove(last)
                self._entries.append(last)
            return
        self._entries.append(entry)

    def add_part(self, owner, part):
        """Add an act on a part, which is told with the record that it belongs to.

        :param dict owner: content of an event about that record, in case there is
            none yet
        :param dict part: ``model``, ``id``, ``name``, ``kind``, ``changes``
        """
        last = self._last(owner)
        if not last:
            last = owner
            self._entries.append(owner)
        for other in last.setdefault("parts", []):
            if (other["model"], other["id"]) == (part["model"], part["id"]):
                if part["kind"] == "deleted":
                    other |= part
                else:
                    other["name"] = part["name"]
                    _join(other.setdefault("changes", {}), part.get("changes") or {})
                return
        last["parts"].append(part)

    def refs(self):
        """Return every :class:`Ref` in the values.

        :rtype: set
        """
        found = set()
        for entry in self._entries:
            _collect(entry.get("changes"), found)
            for part in entry.get("parts") or ():
                _collect(part.get("changes"), found)
        return found

    def _last(self, entry):
        """Return the last event on a record that more of the same user's acts on it
        can be told with."""
        for other in reversed(self._entries):
            if (other["model"], other["res_id"]) == (entry["model"], entry["res_id"]):
                fits = other["user_id"] == entry["user_id"] and other["kind"] in _OPEN
                return other if fits else None
        return None


def _merge(last, entry):
    """Put a further act on the same record into its event, where that is possible."""
    if last["kind"] == "state":
        # What follows a transition is not a part of it.
        return False
    if entry["kind"] == "state":
        if last["kind"] != "changed":
            return False
        last |= {"kind": "state", "occurred_at": entry["occurred_at"]}
    elif entry["kind"] != "changed":
        # The parts of a new record come before itself.
        if last["kind"] != "changed" or last["changes"]:
            return False
        last |= entry
    _join(last.setdefault("changes", {}), entry["changes"])
    for name in ("reason", "record_name", "root_name"):
        if entry.get(name):
            last[name] = entry[name]
    return True


def _join(changes, later):
    for name, (old, new) in later.items():
        first = changes[name][0] if name in changes else old
        if first == new:
            changes.pop(name, None)
        else:
            changes[name] = [first, new]


def _collect(value, found):
    if isinstance(value, Ref):
        found.add(value)
    elif isinstance(value, dict):
        for one in value.values():
            _collect(one, found)
    elif isinstance(value, (list, tuple)):
        for one in value:
            _collect(one, found)
