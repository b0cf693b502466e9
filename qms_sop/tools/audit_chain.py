"""The audit trail as chains of hashes; without Odoo, so that it can be checked
anywhere.

An event is a text in canonical JSON. Its hash covers that text and the hash of the
event before it in the same chain, so no event can be changed, left out, put in or
moved without all later hashes being made again; and with a key that is not in the
database, those hashes cannot be made by whoever has nothing but the database.
"""

import hashlib
import hmac
import json
import math
import re
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

# What the first event of a chain has for the hash of the one before
GENESIS = "0" * 64
# Names of the algorithms; the keyed one is followed by a colon and the key's id
PLAIN = "sha256"
KEYED = "hmac-sha256"
# What the database repeats of the content, to search by it, in this order
COLUMNS = (
    "root_model",
    "root_id",
    "sequence",
    "root_name",
    "model",
    "res_id",
    "kind",
    "user_id",
    "company_id",
    "occurred_at",
    "recorded_at",
)
_WIDTH = len(COLUMNS)
_columns = itemgetter(*COLUMNS)
_KIND, _RECORDED = COLUMNS.index("kind"), COLUMNS.index("recorded_at")
# The kind of the last event of a record that was purged: its tombstone
PURGED = "purged"
_SHORTEST_SECRET = 16
_KEY = re.compile(r"(?:(?P<id>[A-Za-z0-9_.-]{1,32}):)?(?P<secret>[^\s,:]+)")

# What can be wrong, in words
FINDINGS = {
    "edited": "Changed afterwards",
    "rehashed": "Hashed again without the key",
    "missing": "Missing",
    "reordered": "Moved or put in",
    "unlinked": "Not the one that followed",
    "truncated": "Cut off at the end",
    "deleted": "Deleted as a whole",
    "rewritten": "Not what was anchored",
    "head": "Head of the chain tampered with",
    "clock": "Clock was wrong",
    "key": "Key unknown, not checked",
    "anchor": "Anchor missing or changed",
    "untracked": "Record without a trail",
    "differs": "Record changed past its trail",
    "vanished": "Record gone, and nothing says why",
    "purged": "Not purged as it should be",
    "trigger": "Protection switched off",
}


class KeyFormatError(ValueError):
    """The keys in the configuration cannot be read."""


class UnknownKeyError(LookupError):
    """An event was hashed with a key that is not at hand."""


def canonical(content):
    """Return content as the one text that stands for it.

    :param content: what JSON can carry; no NaN
    :return: JSON with sorted keys and without white space (as RFC 8785, for the
        strings and integers that events consist of)
    :rtype: str
    """
    return json.dumps(
        content,
        sort_keys=True,
        ensure_ascii=False,
        separators=(",", ":"),
        allow_nan=False,
    )


class Keys:
    """The keys of the trail; the first one is used, the others only verify.

    :param str text: ``id:secret`` separated by commas; a secret without an id has
        the id ``1``. Empty: no key, plain SHA-256
    :raises KeyFormatError: naming what is wrong, never the secret
    """

    def __init__(self, text=""):
        self.secrets = {}
        for position, part in enumerate(filter(None, (text or "").split(",")), 1):
            match = _KEY.fullmatch(part.strip())
            if not match:
                raise KeyFormatError(
                    f"key {position} is not of the form id:secret, without spaces"
                )
            if len(match["secret"]) < _SHORTEST_SECRET:
                raise KeyFormatError(
                    f"key {position} is shorter than {_SHORTEST_SECRET} characters"
                )
            key_id = match["id"] or "1"
            if key_id in self.secrets:
                raise KeyFormatError(f"key id {key_id} occurs twice")
            self.secrets[key_id] = match["secret"].encode()
        first = next(iter(self.secrets), None)
        self.version = PLAIN if first is None else f"{KEYED}:{first}"

    def __bool__(self):
        return bool(self.secrets)

    def digest(self, version, previous, content):
        """Return the hash of an event.

        :param str version: algorithm, and key id of a keyed one
        :param str previous: hash of the event before, or :data:`GENESIS`
        :param str content: canonical JSON
        :return: 64 hexadecimal digits
        :rtype: str
        :raises UnknownKeyError: for an algorithm or a key that is not at hand
        """
        message = f"{previous}\n{content}".encode()
        if version == PLAIN:
            return hashlib.sha256(message).hexdigest()
        algorithm, _colon, key_id = version.partition(":")
        if algorithm != KEYED or key_id not in self.secrets:
            raise UnknownKeyError(version)
        return hmac.digest(self.secrets[key_id], message, "sha256").hex()


class Remains:
    """The digest of what is left of the events whose content was erased.

    A tombstone has it, so that it vouches for what the hashes no longer can.

    :ivar int count: number of events
    """

    def __init__(self):
        self.count = 0
        self._digest = hashlib.sha256()

    def add(self, row):
        """Add an event.

        :param row: as for :meth:`Verifier.check`
        """
        self.count += 1
        self._digest.update(canonical(list(row[:-1])).encode() + b"\n")

    def hexdigest(self):
        return self._digest.hexdigest()


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with the trail.

    :ivar str kind: one of :data:`FINDINGS`
    :ivar str root_model: model of the record that the chain belongs to
    :ivar int root_id: its id
    :ivar int sequence: the event; 0: the chain as a whole
    :ivar str detail: in words
    """

    kind: str
    root_model: str
    root_id: int
    sequence: int
    detail: str


@dataclass(frozen=True)
class Root:
    """What is known of a chain from elsewhere.

    :ivar int id: id of the record
    :ivar int sequence: number of events, as the head says; 0: there is no head
    :ivar str hash: hash of the last one, as the head says
    :ivar int anchored: number of events when it was last anchored; 0: never
    :ivar str anchored_hash: hash of the last one then
    """

    id: int
    sequence: int = 0
    hash: str = ""
    anchored: int = 0
    anchored_hash: str = ""


class Verifier:
    """Checks chains, event by event, in constant memory.

    :param Keys keys: the keys at hand
    :param report: called with each :class:`Finding`
    :param bool anchored_by_key: an anchor was made with a key, so an event without
        one is accepted only as far as an anchor vouches for it
    :param str now: time after which no event can have been written yet, as in the rows
    :param listen: called with the number and the content of each event that could be
        read
    """

    def __init__(self, keys, report, anchored_by_key=False, listen=None, now=None):
        self.keys = keys
        self.events = 0
        self.roots = 0
        self._report = report
        self._strict = anchored_by_key
        self._listen, self._now = listen, now

    def check(self, model, rows, roots):
        """Check all the chains of one model.

        :param str model: the root model
        :param rows: iterable of rows, ordered by root id and sequence: the values of
            :data:`COLUMNS` (times as in the content), then ``hash_version``,
            ``previous_hash``, ``hash``, ``content``
        :param roots: iterable of :class:`Root`, ordered by id
        :return: yields the id of each chain once it was checked
        """
        roots = iter(roots)
        root = next(roots, None)
        # pylint: disable-next=bad-builtin-groupby
        for root_id, events in groupby(rows, key=itemgetter(1)):
            while root and root.id < root_id:
                self._check_chain(model, root, ())
                yield root.id
                root = next(roots, None)
            if root and root.id == root_id:
                known, root = root, next(roots, None)
            else:
                known = Root(root_id)
            self._check_chain(model, known, events)
            yield root_id
        while root:
            self._check_chain(model, root, ())
            yield root.id
            root = next(roots, None)

    def _check_chain(self, model, root, events):
        """Check one chain against its head and its anchor."""
        chain = _Chain(
            model,
            root,
            self.keys,
            self._report,
            self._strict,
            self._listen,
            self._now,
        )
        for row in events:
            chain.add(row)
        chain.close()
        self.roots += 1
        self.events += chain.count


class _Chain:
    """One chain, while it is read."""

    def __init__(self, model, root, keys, report, strict, listen=None, now=None):
        self.count = 0
        self._listen, self._now = listen, now or "9"
        self._model, self._root, self._keys = model, root, keys
        self._tell = report
        self._last, self._last_hash, self._last_time = 0, GENESIS, ""
        # How far an event without a key is accepted
        self._plain_until = root.anchored if keys and strict else math.inf
        # Of two events that do not fit together, one is told once.
        self._suspect = False
        self._remains, self._first_erased = Remains(), 0
        # Number of the event that ends the chain of a record that was purged
        self._tombstone, self._vouched = 0, False

    def add(self, row):
        """Check the next event."""
        self.count += 1
        sequence, recorded_at = row[2], row[_WIDTH - 1]
        version, previous, found, content = row[_WIDTH:]
        if content:
            problems = self._differences(row, version, previous, found, content)
        else:
            # What it said is gone; a tombstone has to answer for it.
            problems = None
            self._remains.add(row)
            self._first_erased = self._first_erased or sequence
        if self._tombstone:
            self._report("purged", sequence, "it follows the tombstone")
        elif content and row[_KIND] == PURGED and _is_readable(problems):
            self._read_tombstone(row)
        if problems is None:
            problems = self._misplaced(sequence, previous, found, recorded_at)
        elif sequence > self._last + 1:
            self._report_gap(sequence)
        for kind, detail in problems or ():
            self._report(kind, sequence, detail)
        if version != PLAIN:
            self._plain_until = 0
        self._suspect = bool(problems)
        self._last, self._last_hash, self._last_time = sequence, found, recorded_at

    def close(self):
        """Compare what was read with the head and the anchor."""
        root, last = self._root, self._last
        if self._remains.count and not self._vouched:
            detail = f"what {self._remains.count} events said is gone, unaccounted for"
            self._report("purged", self._first_erased, detail)
        known = max(root.sequence, root.anchored)
        if known and not self.count:
            self._report("deleted", 0, f"{known} events are gone")
        elif last < known:
            witness = "the anchor" if root.anchored >= root.sequence else "the head"
            self._report("truncated", last + 1, f"{witness} knows of {known}")
        elif root.sequence < last:
            self._report("head", 0, f"it counts {root.sequence} of {last} events")
        elif root.hash != self._last_hash and not self._suspect:
            self._report("head", 0, "it does not have the hash of the last event")

    def _differences(self, row, version, previous, found, content):
        """Return what is wrong with an event by itself, or ``None``."""
        try:
            expected = self._keys.digest(version, previous, content)
        except UnknownKeyError:
            return [("key", f"it was hashed with {version}")]
        if expected != found:
            if self._keys.digest(PLAIN, previous, content) == found:
                return [("rehashed", f"it says {version} but has no key")]
            return [("edited", "its content does not have its hash")]
        if version == PLAIN and row[2] > self._plain_until:
            return [("rehashed", "it was hashed without the key")]
        try:
            content = json.loads(content)
            said = _columns(content)
            if self._listen:
                self._listen(row[2], content)
        except (ValueError, LookupError, TypeError):
            return [("edited", "its content cannot be read")]
        if said == row[:_WIDTH]:
            return None
        if said[:3] != row[:3]:
            return [("reordered", f"it was written as {said[0]},{said[1]} #{said[2]}")]
        names = [
            name
            for name, one, other in zip(COLUMNS, said, row, strict=False)
            if one != other
        ]
        return [("edited", f"its columns differ from its content: {', '.join(names)}")]

    def _read_tombstone(self, row):
        """Check that a record was purged in time, and what its tombstone vouches for.

        One about a part of the record is no tombstone of it.
        """
        try:
            said = json.loads(row[-1])
            if (said["model"], said["res_id"]) != (said["root_model"], said["root_id"]):
                return
            self._tombstone = row[2]
            data = said["data"]
            kept_until = data["kept_until"]
            vouched = data["erased"], data["remains"]
        except (ValueError, LookupError, TypeError):
            self._report("purged", row[2], "its tombstone does not say what was purged")
            return
        self._vouched = vouched == (self._remains.count, self._remains.hexdigest())
        if not row[_RECORDED][:10] > str(kept_until):
            self._report("purged", row[2], f"it was to be kept until {kept_until}")

    def _misplaced(self, sequence, previous, found, recorded_at):
        """Return what is wrong with the place of an event, or ``None``."""
        problems = []
        if sequence > self._last + 1:
            self._report_gap(sequence)
        elif sequence <= self._last:
            problems.append(("reordered", "this number occurs twice"))
        elif previous != self._last_hash and not self._suspect:
            problems.append(("unlinked", "it was chained to another event"))
        if sequence == self._root.anchored and found != self._root.anchored_hash:
            problems.append(("rewritten", "it was anchored with another hash"))
        elif recorded_at < self._last_time:
            problems.append(("clock", f"{recorded_at}, after {self._last_time}"))
        if recorded_at > self._now:
            problems.append(("clock", f"{recorded_at} is still to come"))
        return problems

    def _report_gap(self, sequence):
        gap = f"events {self._last + 1} to {sequence - 1} are not there"
        self._report("missing", self._last + 1, gap)

    def _report(self, kind, sequence, detail):
        self._tell(Finding(kind, self._model, self._root.id, sequence, detail))


def _is_readable(problems):
    """Tell whether nothing is wrong with an event but that its key is not at hand."""
    return not problems or problems[0][0] == "key"


# === Anchors ===
#
# An anchor is kept outside the database, as lines of a file: lines with the heads that
# moved since the anchor before ({"anchor": number, "heads": [[model, id, sequence,
# hash], …]}), and one that closes it ({"content": canonical JSON, "hash_version",
# "previous_hash", "hash"}), chained to the closing line of the anchor before.


def heads_line(number, heads):
    """Return a line with heads of an anchor, without its end.

    :param int number: of the anchor
    :param list heads: ``[model, id, sequence, hash]`` each
    :rtype: str
    """
    return canonical({"anchor": number, "heads": heads})


def closing_line(keys, number, previous, digest, count, taken_at, database):
    """Close an anchor.

    :param Keys keys: its hash is made with the first of them
    :param int number: 1, 2, 3, …
    :param str previous: hash of the anchor before, or :data:`GENESIS`
    :param digest: hashlib object that was fed every line with heads and its end
    :param int count: number of heads in those lines
    :param str taken_at: RFC 3339
    :param str database: name of the database
    :return: ``content``, ``hash_version``, ``previous_hash``, ``hash``; written to the
        file as canonical JSON
    :rtype: dict
    """
    content = canonical(
        {
            "anchor": number,
            "database": database,
            "digest": digest.hexdigest(),
            "heads": count,
            "taken_at": taken_at,
        }
    )
    return {
        "content": content,
        "hash_version": keys.version,
        "previous_hash": previous,
        "hash": keys.digest(keys.version, previous, content),
    }


class Anchors:
    """Reads the anchors of a file, in constant memory.

    :param Keys keys: the keys at hand
    :param report: called with each :class:`Finding`
    :ivar int last: number of the last good anchor; 0: none
    :ivar str last_hash: its hash
    :ivar bool keyed: whether one of them was made with a key
    """

    def __init__(self, keys, report):
        self.keys = keys
        self.last, self.last_hash, self.keyed = 0, GENESIS, False
        self._report = report

    def parse(self, lines):
        """Read the file.

        :param lines: its lines
        :return: yields ``("heads", number, heads)`` for lines with heads, and
            ``("anchor", number, hash)`` or ``("bad", number, None)`` for what closes
            them; what is not closed, or badly, vouches for nothing
        """
        digest, count, open_number = hashlib.sha256(), 0, None
        for position, line in enumerate(lines, 1):
            try:
                said = json.loads(line)
                if "heads" in said:
                    number, heads = said["anchor"], said["heads"]
                    if number != open_number:
                        # Whoever wrote the lines before did not come to the end.
                        digest, count, open_number = hashlib.sha256(), 0, number
                        yield "bad", number, None
                    digest.update(line.rstrip("\n").encode() + b"\n")
                    count += len(heads)
                    yield "heads", number, heads
                    continue
                number, problem = self._close(said, digest, count)
            except (ValueError, LookupError, TypeError):
                number, problem = open_number or 0, "it cannot be read"
            if problem:
                self._tell(number, f"line {position}: {problem}")
                yield "bad", number, None
            else:
                yield "anchor", number, said["hash"]
            digest, count, open_number = hashlib.sha256(), 0, None
        if open_number is not None:
            yield "bad", open_number, None

    def _close(self, said, digest, count):
        """Check a closing line; return its number, and what is wrong with it."""
        content = json.loads(said["content"])
        number, version = content["anchor"], said["hash_version"]
        previous = said["previous_hash"]
        try:
            expected = self.keys.digest(version, previous, said["content"])
        except UnknownKeyError:
            return number, f"its key is unknown ({version})"
        if expected != said["hash"]:
            return number, "it was changed"
        if content["digest"] != digest.hexdigest() or content["heads"] != count:
            return number, "its heads were changed"
        if self.last and (number, previous) != (self.last + 1, self.last_hash):
            return number, f"it does not follow anchor {self.last}"
        if version == PLAIN and self.keyed:
            return number, "it was made without the key"
        self.keyed = self.keyed or version != PLAIN
        self.last, self.last_hash = number, said["hash"]
        return number, None

    def _tell(self, number, problem):
        self._report(Finding("anchor", "", number, 0, problem))
