import hashlib
import json

from odoo.tests import BaseCase, tagged

from ..tools import audit_chain
from ..tools.audit_chain import GENESIS, PLAIN, Anchors, Keys, Root, Verifier

SECRET = "a-secret-of-enough-characters"
COLUMNS = len(audit_chain.COLUMNS)


def make_chain(keys, root_id=1, length=5):
    """Return the rows of a good chain, as lists that a test can spoil."""
    rows, previous = [], GENESIS
    for sequence in range(1, length + 1):
        said = {
            "root_model": "qms.sop.run",
            "root_id": root_id,
            "sequence": sequence,
            "root_name": f"RUN-{root_id:06d}",
            "model": "qms.sop.run.step",
            "res_id": 7,
            "kind": "state",
            "user_id": 2,
            "company_id": 1,
            "occurred_at": f"2026-01-01T00:00:0{sequence}.000000Z",
            "recorded_at": f"2026-01-01T00:00:0{sequence}.000000Z",
            "changes": {"state": ["pending", "in_progress"]},
        }
        content = audit_chain.canonical(said)
        digest = keys.digest(keys.version, previous, content)
        columns = [said[name] for name in audit_chain.COLUMNS]
        rows.append([*columns, keys.version, previous, digest, content])
        previous = digest
    return rows


def rehash(rows, keys, start=0):
    """Chain rows again, as whoever changed one of them would."""
    previous = rows[start - 1][-2] if start else GENESIS
    for row in rows[start:]:
        row[COLUMNS:-1] = [
            keys.version,
            previous,
            keys.digest(keys.version, previous, row[-1]),
        ]
        previous = row[-2]


@tagged("post_install", "-at_install")
class TestAuditChain(BaseCase):
    """The pure part of the trail: every way to spoil a chain is found and named."""

    def setUp(self):
        super().setUp()
        self.keys = Keys(f"k1:{SECRET}")
        self.rows = make_chain(self.keys)

    def verify(self, rows=None, root=None, keys=None, **options):
        """Return what is found, as ``{(kind, sequence)}``."""
        rows = self.rows if rows is None else rows
        if root is None:
            good = make_chain(self.keys)
            root = Root(1, 5, good[-1][-2])
        found = []
        verifier = Verifier(
            self.keys if keys is None else keys, found.append, **options
        )
        done = list(verifier.check("qms.sop.run", [tuple(row) for row in rows], [root]))
        self.assertEqual(done, [1])
        return {(finding.kind, finding.sequence) for finding in found}

    def test_good(self):
        self.assertEqual(self.verify(), set())

    def test_hash_is_hmac_over_previous_and_content(self):
        # So that anybody can check it with other tools.
        message = f"{GENESIS}\n{self.rows[0][-1]}".encode()
        self.assertEqual(
            Keys().digest(PLAIN, GENESIS, self.rows[0][-1]),
            hashlib.sha256(message).hexdigest(),
        )
        self.assertNotEqual(self.rows[0][-2], hashlib.sha256(message).hexdigest())

    def test_edited_content(self):
        self.rows[2][-1] = self.rows[2][-1].replace("in_progress", "completed")
        self.assertEqual(self.verify(), {("edited", 3)})

    def test_edited_column(self):
        self.rows[2][audit_chain.COLUMNS.index("user_id")] = 3
        self.assertEqual(self.verify(), {("edited", 3)})

    def test_unreadable_content(self):
        self.rows[2][-1] = "{"
        rehash(self.rows, self.keys)
        head = Root(1, 5, self.rows[-1][-2])
        self.assertEqual(self.verify(root=head), {("edited", 3)})

    def test_missing(self):
        del self.rows[2]
        self.assertEqual(self.verify(), {("missing", 3)})

    def test_missing_and_renumbered(self):
        del self.rows[2]
        for sequence, row in enumerate(self.rows, 1):
            row[2] = sequence
        self.assertLessEqual({("reordered", 3), ("reordered", 4)}, self.verify())

    def test_reordered(self):
        self.rows[1][2], self.rows[2][2] = 3, 2
        self.rows[1], self.rows[2] = self.rows[2], self.rows[1]
        self.assertEqual(self.verify(), {("reordered", 2), ("reordered", 3)})

    def test_moved_from_another_record(self):
        other = make_chain(self.keys, root_id=2)
        self.rows[2] = [*other[2]]
        self.rows[2][1] = 1
        self.assertEqual(self.verify(), {("reordered", 3)})

    def test_twice(self):
        self.rows.insert(2, [*self.rows[1]])
        self.assertIn(("reordered", 2), self.verify())

    def test_truncated(self):
        del self.rows[3:]
        self.assertEqual(self.verify(), {("truncated", 4)})

    def test_truncated_with_its_head(self):
        anchored = Root(1, 3, self.rows[2][-2], 5, self.rows[4][-2])
        del self.rows[3:]
        self.assertEqual(self.verify(root=anchored), {("truncated", 4)})

    def test_deleted(self):
        for root in (Root(1, 5, "x"), Root(1, 0, "", 5, "x")):
            self.assertEqual(self.verify([], root), {("deleted", 0)})

    def test_head(self):
        digest = self.rows[-1][-2]
        for root in (Root(1, 3, digest), Root(1, 5, "x"), Root(1)):
            self.assertEqual(self.verify(root=root), {("head", 0)})

    def test_rehashed_with_another_key(self):
        self.rows[2][-1] = self.rows[2][-1].replace("in_progress", "completed")
        guessed = Keys("k1:another-secret-of-enough-characters")
        rehash(self.rows, guessed, 2)
        found = self.verify(root=Root(1, 5, self.rows[-1][-2]))
        self.assertEqual(found, {("edited", 3), ("edited", 4), ("edited", 5)})

    def test_rehashed_without_the_key(self):
        rehash(self.rows, Keys(), 2)
        found = self.verify(root=Root(1, 5, self.rows[-1][-2]))
        self.assertEqual(found, {("rehashed", number) for number in (3, 4, 5)})

    def test_rehashed_without_the_key_but_labelled(self):
        rehash(self.rows, Keys(), 2)
        for row in self.rows[2:]:
            row[COLUMNS] = self.keys.version
        found = self.verify(root=Root(1, 5, self.rows[-1][-2]))
        self.assertEqual(found, {("rehashed", number) for number in (3, 4, 5)})

    def test_rehashed_as_a_whole(self):
        # A chain without a key may be from before there was one …
        rehash(self.rows, Keys())
        head = Root(1, 5, self.rows[-1][-2])
        self.assertEqual(self.verify(root=head), set())
        # … but not once an anchor was made with it, unless that vouches for it.
        found = self.verify(root=head, anchored_by_key=True)
        self.assertEqual(found, {("rehashed", number) for number in range(1, 6)})
        vouched = Root(1, 5, head.hash, 5, head.hash)
        self.assertEqual(self.verify(root=vouched, anchored_by_key=True), set())
        before = Root(1, 5, head.hash, 5, make_chain(self.keys)[-1][-2])
        self.assertEqual(
            self.verify(root=before, anchored_by_key=True), {("rewritten", 5)}
        )

    def test_unlinked(self):
        # One event is exchanged for another good one, made with the key.
        self.rows[2][-1] = self.rows[2][-1].replace("in_progress", "completed")
        row = self.rows[2]
        row[-2] = self.keys.digest(self.keys.version, row[-3], row[-1])
        self.assertEqual(self.verify(), {("unlinked", 4)})

    def test_clock(self):
        rows = make_chain(self.keys)
        late = rows[1][-1].replace("00:00:02", "09:00:02")
        rows[1][-1] = late
        rows[1][9] = rows[1][10] = "2026-01-01T09:00:02.000000Z"
        rehash(rows, self.keys, 1)
        found = self.verify(rows, Root(1, 5, rows[-1][-2]))
        self.assertEqual(found, {("clock", 3)})

    def test_old_keys_stay_verifiable(self):
        fresh = Keys(f"k2:another-{SECRET},k1:{SECRET}")
        rehash(self.rows, fresh, 3)
        head = Root(1, 5, self.rows[-1][-2])
        self.assertEqual(
            [row[COLUMNS] for row in self.rows],
            ["hmac-sha256:k1"] * 3 + ["hmac-sha256:k2"] * 2,
        )
        self.assertEqual(self.verify(root=head, keys=fresh), set())
        self.assertEqual(self.verify(root=head), {("key", 4), ("key", 5)})

    def test_keys(self):
        self.assertEqual(Keys("").version, "sha256")
        self.assertEqual(Keys(SECRET).version, "hmac-sha256:1")
        for text in ("short", f"k1:{SECRET},k1:{SECRET}", "k 1:secret", "a:b:c"):
            with self.assertRaises(audit_chain.KeyFormatError) as caught:
                Keys(text)
            self.assertNotIn(SECRET, str(caught.exception))

    def test_many_chains_and_resuming(self):
        rows, roots = [], []
        for root_id in (2, 3, 5):
            chain = make_chain(self.keys, root_id)
            rows += map(tuple, chain)
            roots.append(Root(root_id, 5, chain[-1][-2]))
        roots.insert(0, Root(1, 4, "gone"))
        roots.append(Root(9, 0, "", 2, "gone too"))
        found = []
        verifier = Verifier(self.keys, found.append)
        self.assertEqual(
            list(verifier.check("qms.sop.run", rows, roots)), [1, 2, 3, 5, 9]
        )
        self.assertEqual(
            [(finding.kind, finding.root_id) for finding in found],
            [("deleted", 1), ("deleted", 9)],
        )
        self.assertEqual((verifier.events, verifier.roots), (15, 5))

    def purge(self, **wrong):
        """Return the rows of a chain that was purged, and its head."""
        remains = audit_chain.Remains()
        for row in self.rows:
            remains.add(row)
            row[-1] = ""
        at = "2036-01-01T00:00:00.000000Z"
        said = {
            **{"root_model": "qms.sop.run", "root_id": 1, "sequence": 6},
            **{"root_name": "RUN-000001", "model": "qms.sop.run", "res_id": 1},
            **{"kind": "purged", "user_id": 2, "company_id": 1},
            **{"occurred_at": at, "recorded_at": at},
            "data": {
                "erased": remains.count,
                "remains": remains.hexdigest(),
                "kept_until": "2035-12-31",
                **wrong,
            },
        }
        self.append(said)
        return Root(1, 6, self.rows[-1][-2])

    def append(self, said, keys=None):
        content = audit_chain.canonical(said)
        previous = self.rows[-1][-2]
        keys = keys or self.keys
        digest = keys.digest(keys.version, previous, content)
        columns = [said[name] for name in audit_chain.COLUMNS]
        self.rows.append([*columns, keys.version, previous, digest, content])

    def test_purged(self):
        good = self.rows[-1][-2]
        root = self.purge()
        self.assertEqual(self.verify(root=root), set())
        anchored = Root(1, 6, root.hash, 5, good)
        self.assertEqual(self.verify(root=anchored), set())
        self.assertEqual(
            self.verify(root=Root(1, 6, root.hash, 5, "f" * 64)), {("rewritten", 5)}
        )

    def test_purged_without_a_tombstone(self):
        self.rows[1][-1] = ""
        self.assertEqual(self.verify(), {("purged", 2)})

    def test_purged_too_early(self):
        self.assertEqual(
            self.verify(root=self.purge(kept_until="2036-01-01")), {("purged", 6)}
        )

    def test_purged_and_changed_afterwards(self):
        root = self.purge()
        for name, value in (("user_id", 9), ("root_name", "RUN-9")):
            row = [*self.rows[2]]
            row[audit_chain.COLUMNS.index(name)] = value
            rows = [*self.rows[:2], row, *self.rows[3:]]
            self.assertEqual(self.verify(rows, root), {("purged", 1)}, name)
        self.assertIn(("missing", 3), self.verify(self.rows[:2] + self.rows[3:], root))

    def test_purged_by_whoever_has_no_key(self):
        root = self.purge()
        rehash(self.rows, Keys(), start=5)
        root = Root(1, 6, self.rows[-1][-2])
        self.assertEqual(
            self.verify(root=root, anchored_by_key=True),
            {("rehashed", 6), ("purged", 1)},
        )

    def test_purged_and_gone_on(self):
        self.purge()
        said = json.loads(self.rows[-1][-1])
        self.append({**said, "sequence": 7, "kind": "changed"})
        root = Root(1, 7, self.rows[-1][-2])
        self.assertEqual(self.verify(root=root), {("purged", 7)})

    def test_tombstone_of_a_part(self):
        said = json.loads(self.rows[-1][-1])
        self.append({**said, "sequence": 6, "kind": "purged"})
        said = json.loads(self.rows[-1][-1])
        self.append({**said, "sequence": 7, "kind": "changed"})
        self.assertEqual(self.verify(root=Root(1, 7, self.rows[-1][-2])), set())


@tagged("post_install", "-at_install")
class TestAuditAnchors(BaseCase):
    """The pure part of the anchors: the file, and every way to spoil it."""

    def setUp(self):
        super().setUp()
        self.keys = Keys(f"k1:{SECRET}")

    def file(self, keys=None, anchors=3):
        lines, previous = [], GENESIS
        for number in range(1, anchors + 1):
            digest = hashlib.sha256()
            heads = [["qms.sop.run", number, 5, "h" * 64]]
            line = audit_chain.heads_line(number, heads) + "\n"
            digest.update(line.encode())
            closing = audit_chain.closing_line(
                self.keys if keys is None else keys,
                number,
                previous,
                digest,
                1,
                "now",
                "db",
            )
            lines += [line, audit_chain.canonical(closing) + "\n"]
            previous = closing["hash"]
        return lines

    def parsed(self, lines, keys=None):
        """Return the numbers of the good anchors, and what is found."""
        found = []
        reader = Anchors(keys or self.keys, found.append)
        good = [
            number for what, number, _value in reader.parse(lines) if what == "anchor"
        ]
        return good, [finding.detail for finding in found]

    def test_good(self):
        self.assertEqual(self.parsed(self.file()), ([1, 2, 3], []))

    def test_heads_changed(self):
        lines = self.file()
        lines[2] = lines[2].replace(",5,", ",4,")
        good, found = self.parsed(lines)
        self.assertEqual(good, [1])
        self.assertIn("its heads were changed", found[0])

    def test_closing_changed(self):
        lines = self.file()
        closing = json.loads(lines[3])
        closing["content"] = closing["content"].replace("now", "then")
        lines[3] = audit_chain.canonical(closing) + "\n"
        good, found = self.parsed(lines)
        self.assertEqual(good, [1])
        self.assertIn("it was changed", found[0])

    def test_anchor_left_out(self):
        lines = self.file()
        del lines[2:4]
        good, found = self.parsed(lines)
        self.assertEqual(good, [1])
        self.assertIn("does not follow", found[0])

    def test_made_without_the_key(self):
        lines = self.file()[:4] + self.file(Keys())[4:]
        good, found = self.parsed(lines)
        self.assertEqual(good, [1, 2])
        self.assertTrue(found)

    def test_not_closed(self):
        # A power cut; the next anchor begins anew.
        lines = self.file()
        lines.insert(4, audit_chain.heads_line(3, [["qms.sop.run", 9, 1, "x"]]))
        steps = list(Anchors(self.keys, self.fail).parse(lines[:5]))
        self.assertEqual(steps[-1][:2], ("bad", 3))

    def test_garbage(self):
        good, found = self.parsed([*self.file(), "what?\n"])
        self.assertEqual(good, [1, 2, 3])
        self.assertIn("cannot be read", found[0])
