#!/usr/bin/env python3
"""Prove or disprove an auditor bundle, offline, with nothing but Python."""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import sys
import zipfile
import zlib

PURPOSE = """\
Prove or disprove an auditor bundle, offline: every file against the manifest, every
trail event by event, the evidence against the records and the trail, the SOPs against
their fingerprints, the ends of the trails against the anchors.

Nothing of the bundle is run or unpacked. Whoever can change a bundle can change the
copy of this script inside it: use one that you have from elsewhere.
"""
EXIT_CODES = """\
exit codes:
  0  PROVED by the key or by --manifest-sha256; or CONSISTENT: nothing is wrong, but
     nothing from elsewhere was given that could prove it (see what was not checked)
  1  disproved; every file and event that is wrong is named
  2  wrong usage
"""
MANIFEST, SEAL, HEADS, ANCHORS = (
    "manifest.json",
    "seal.json",
    "heads.jsonl",
    "anchors.jsonl",
)
# What the hash of the manifest is made with, in the place of a previous hash
SEALED = "qms-audit-bundle"
# A bundle that claims to be more than this is not read.
MAX_FILES = 2_000_000
MAX_JSON = 256 * 1024 * 1024
MAX_LINE = 64 * 1024 * 1024
_CHUNK = 1024 * 1024
_SHOWN = 1000
_CHAIN = re.compile(r"chain/([a-z0-9_.]{1,100})-([0-9]{1,10})\.jsonl")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z")
# What somebody else's JSON can do to code that reads it
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
# Where a record's field stands in the record, by what the trail calls it. Here are the
# records of every add-on that puts some into bundles: whoever verifies one has no Odoo.
FIELDS = {
    "qms.sop.run": {
        name: name
        for name in ("state", "summary", "resolution", "state_reason", "incident_id")
    },
    "qms.sop.run.error": {"error_message": "error_message"},
    "qms.sop.run.evidence": {"sha256": "sha256", "size": "size"},
    "qms.sop.run.amendment": {"text": "text", "reason": "reason"},
    "qms.signature": {"content_hash": "sha256", "meaning": "meaning"},
    "qms.sop.run.step": {
        "state": "state",
        "actual_result": "result",
        "skip_reason": "skip_reason",
    },
    "qms.rca": {"root_cause": "root_cause", "state": "state"},
    "qms.sop.document": {"content_hash": "content_hash"},
    "qms.action": {
        "state": "state",
        "name": "title",
        "description": "description",
        "result": "result",
        "effectiveness": "effectiveness",
        "state_reason": "state_reason",
        "incident_id": "incident_id",
        "postmortem_id": "postmortem_id",
    },
    "qms.incident": {
        "user_id": "responsible_id",
        **{
            name: name
            for name in (
                "title",
                "state",
                "active",
                "state_reason",
                "severity_id",
                "category_id",
                "error_code_id",
                "duplicate_of_id",
                "parent_id",
                "description",
                "first_error",
                "occurred_at",
                "detected_at",
                "triaged_at",
                "mitigated_at",
                "resolved_at",
                "reviewed_at",
                "closed_at",
                "detection_method",
                "detected_by",
                "detection_faster",
                "detection_note",
                "users_affected",
                "groups_affected",
                "operations_affected",
                "workaround_available",
                "workaround",
                "data_integrity",
                "data_checks",
                "compliance",
                "compliance_checks",
                "cost_estimate",
                "public_status",
                "public_title",
                "public_withdrawn",
                "prevention",
                "documentation",
                "team_told",
                "postmortem_link",
                "override_reason",
                "override_missing",
            )
        },
    },
    "qms.incident.assignment": {
        name: name for name in ("role_id", "user_id", "since", "until", "note")
    },
    "qms.incident.update": {
        name: name
        for name in (
            "kind",
            "message",
            "public_text",
            "told",
            "sent_at",
            "user_id",
            "next_update_at",
        )
    },
    "qms.postmortem": {
        name: name
        for name in (
            "incident_id",
            "title",
            "kind",
            "state",
            "state_reason",
            "summary",
            "timeline",
            "root_cause",
            "factors",
            "impact",
            "resolution",
            "verification",
            "detection",
            "went_well",
            "went_wrong",
            "lucky",
            "knowledge",
            "preventive_measures",
            "follow_up",
            "author_id",
            "meeting_at",
            "scheduled_at",
            "published_at",
            "published_by_id",
            "review_waiver",
        )
    },
    "qms.postmortem.why": {
        name: name for name in ("sequence", "question", "answer", "evidence")
    },
    "qms.postmortem.participant": {
        name: name for name in ("user_id", "role", "verdict", "reviewed_at", "comment")
    },
    "qms.postmortem.amendment": {"text": "text", "reason": "reason"},
}
# Folders with records, by the model of what is in them
FOLDERS = {
    "runs": "qms.sop.run",
    "sops": "qms.sop.document",
    "actions": "qms.action",
    "incidents": "qms.incident",
    "postmortems": "qms.postmortem",
}
# What a field is that no event tells of; the others are empty then
INITIAL = {
    "qms.sop.run.step": {"state": "pending"},
    "qms.action": {"state": "open"},
    "qms.incident": {"state": "detected", "active": True},
    "qms.postmortem": {"state": "draft"},
}
_SIGNATURES = {"qms.signature": "signatures"}
# Lists in the file of a record, by the model of what is in them
_LISTS = {
    "qms.sop.run": {
        "qms.sop.run.step": "steps",
        "qms.sop.run.error": "errors",
        "qms.sop.run.evidence": "evidence",
        "qms.sop.run.amendment": "amendments",
        "qms.rca": "rca",
        **_SIGNATURES,
    },
    "qms.sop.document": _SIGNATURES,
    "qms.action": _SIGNATURES,
    "qms.incident": {
        "qms.incident.assignment": "assignments",
        "qms.incident.update": "updates",
        **_SIGNATURES,
    },
    "qms.postmortem": {
        "qms.postmortem.why": "whys",
        "qms.postmortem.participant": "participants",
        "qms.postmortem.amendment": "amendments",
        **_SIGNATURES,
    },
}


def _load_chain():
    """Import audit_chain.py, which lies next to this file."""
    folder = os.path.dirname(os.path.realpath(__file__))
    name = "qms_audit_chain"
    path = os.path.join(folder, "audit_chain.py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # A folder that is verified gets no file more.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


audit_chain = _load_chain()


class BundleError(Exception):
    """There is nothing there that could be verified."""


class ZipSource:
    """The files of a ZIP, which is never unpacked."""

    def __init__(self, path):
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise BundleError(f"it is no ZIP that can be read: {error}") from None
        self.names = [info.filename for info in self._zip.infolist()]
        self._sizes = {info.filename: info.file_size for info in self._zip.infolist()}

    def size(self, name):
        return self._sizes[name]

    def open(self, name):
        info = self._zip.getinfo(name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NotImplementedError("it is compressed in an unusual way")
        return self._zip.open(info)


class FolderSource:
    """The files of a folder; links are not followed."""

    def __init__(self, path):
        self._root = path
        self.names = []
        for folder, folders, files in os.walk(path):
            links = [
                name for name in folders if os.path.islink(os.path.join(folder, name))
            ]
            for name in files + links:
                full = os.path.relpath(os.path.join(folder, name), path)
                self.names.append(full.replace(os.sep, "/"))

    def _path(self, name):
        path = os.path.join(self._root, *name.split("/"))
        if os.path.islink(path) or not os.path.isfile(path):
            raise OSError("it is no ordinary file")
        return path

    def size(self, name):
        return os.path.getsize(self._path(name))

    def open(self, name):
        return open(self._path(name), "rb")


class Verification:
    """One bundle, while it is verified.

    :param source: where the files are
    :param audit_chain.Keys keys: the keys at hand
    :param int limit: bytes of all files together
    :param str anchors: path of a copy of the anchors that is not from the bundle
    :ivar list problems: what is wrong, as lines
    :ivar list notes: what could not be checked, as lines
    :ivar bool proved: the key, or the SHA-256 that was noted, vouches for it
    """

    def __init__(self, source, keys, limit, anchors=None):
        self.problems, self.notes = [], []
        self.manifest_hash = ""
        self.counts = dict.fromkeys(
            ("files", "events", "trails", "evidence", "purged"), 0
        )
        # Something from elsewhere says that the manifest is the one that was made.
        self.proved = False
        self._source, self._keys, self._limit = source, keys, limit
        self._anchors = anchors
        self._known = {audit_chain.PLAIN}
        self._known |= {f"{audit_chain.KEYED}:{key}" for key in keys.secrets}
        # Of each file that is there: its SHA-256 and size
        self._found = {}
        self._unchecked = {}
        self._used = set()

    # === The whole ===

    def run(self, expected=None):
        """Verify everything.

        :param str expected: SHA-256 that the manifest has to have
        """
        names = self._safe_names()
        manifest = self._read_manifest(names, expected)
        if manifest is None:
            return
        self._check_files(names, manifest)
        heads = self._read_heads()
        anchored, keyed = self._read_anchors(set(heads))
        self._check_trails(heads, anchored, keyed)
        self._tell_unchecked()

    def problem(self, where, what):
        self.problems.append(f"{where}: {what}")

    def _safe_names(self):
        """Return the names of the files that are there and may be read."""
        names, total = set(), 0
        for name in self._source.names[: MAX_FILES + 1]:
            if not _NAME.fullmatch(name) or len(name) > 300:
                self.problem(repr(name[:300]), "no name of a file in a bundle")
                continue
            if name in names:
                self.problem(name, "it is there twice")
            names.add(name)
            try:
                total += self._source.size(name)
            except OSError as error:
                self.problem(name, str(error))
                names.discard(name)
        if len(self._source.names) > MAX_FILES:
            raise BundleError(f"it has more than {MAX_FILES} files")
        if total > self._limit:
            raise BundleError(
                f"its files have {total} bytes, more than --max-bytes {self._limit}"
            )
        return names

    def _read(self, name, limit=MAX_JSON):
        """Return a small file.

        :rtype: bytes
        :raises ValueError: when it is too large
        """
        with self._source.open(name) as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise ValueError(f"it is larger than {limit} bytes")
        return content

    def _json(self, name):
        """Return what a JSON file says, or ``None`` when it cannot be read."""
        try:
            said = json.loads(self._read(name))
            if not isinstance(said, dict):
                raise TypeError("it is no record")
            return said
        except (*_UNREADABLE, *_BROKEN) as error:
            self.problem(name, f"it cannot be read: {error}")
            return None

    def _read_manifest(self, names, expected):
        if MANIFEST not in names:
            self.problem(MANIFEST, "it is not there")
            return None
        try:
            text = self._read(MANIFEST)
            self.manifest_hash = hashlib.sha256(text).hexdigest()
            manifest = json.loads(text)
            files = {
                name: (said["sha256"], said["size"])
                for name, said in manifest["files"].items()
            }
        except (*_UNREADABLE, *_BROKEN) as error:
            self.problem(MANIFEST, f"it cannot be read: {error}")
            return None
        if expected and expected != self.manifest_hash:
            self.problem(MANIFEST, f"its SHA-256 is {self.manifest_hash}")
        self.proved = bool(expected)
        self._check_seal(names, text)
        return files

    def _check_seal(self, names, text):
        """Compare the manifest with the hash that the server made with its key."""
        if SEAL not in names:
            self.problem(SEAL, "it is not there")
            return
        try:
            said = json.loads(self._read(SEAL, 4096))
            version, found = said["hash_version"], said["hash"]
            expected = self._keys.digest(version, SEALED, text.decode())
        except audit_chain.UnknownKeyError:
            if self._keys:
                self.problem(SEAL, f"it was made with {version}, not a key at hand")
            else:
                self._unchecked[f"the seal of the manifest, made with {version}"] = 0
            return
        except (*_UNREADABLE, *_BROKEN) as error:
            self.problem(SEAL, f"it cannot be read: {error}")
            return
        if expected != found:
            self.problem(MANIFEST, "it was changed: it does not have its seal")
        elif self._keys and version == audit_chain.PLAIN:
            self.problem(SEAL, "it was made without the key")
        elif version == audit_chain.PLAIN:
            self._unchecked[
                "who made the hashes: the server had no key, so anybody could have"
            ] = 0
        else:
            self.proved = True

    def _check_files(self, names, files):
        for name in sorted(names - files.keys() - {MANIFEST, SEAL}):
            self.problem(name, "it is not in the manifest")
        for name in sorted(files.keys() - names):
            self.problem(name, "it is missing")
        for name in sorted(names & files.keys()):
            digest, size = hashlib.sha256(), 0
            try:
                with self._source.open(name) as file:
                    while chunk := file.read(_CHUNK):
                        digest.update(chunk)
                        size += len(chunk)
            except _BROKEN as error:
                self.problem(name, f"it was changed: it cannot be read ({error})")
                continue
            self._found[name] = digest.hexdigest(), size
            self.counts["files"] += 1
            if self._found[name] != files[name]:
                self.problem(name, "it was changed: it is not what the manifest says")

    # === Trails ===

    def _lines(self, name):
        """Yield the lines of a file; what comes after one that is too long is lost."""
        try:
            with self._source.open(name) as file:
                while line := file.readline(MAX_LINE + 1):
                    if len(line) > MAX_LINE:
                        self.problem(name, "it has a line that is too long")
                        return
                    yield line.decode(errors="replace")
        except _BROKEN as error:
            self.problem(name, f"it cannot be read: {error}")

    def _read_heads(self):
        """Return ``{(model, id): (sequence, hash)}``."""
        heads = {}
        if HEADS not in self._found:
            return heads
        for position, line in enumerate(self._lines(HEADS), 1):
            try:
                model, root_id, sequence, text = json.loads(line)
                heads[str(model), int(root_id)] = int(sequence), str(text)
            except _UNREADABLE:
                self.problem(HEADS, f"line {position} cannot be read")
        return heads

    def _read_anchors(self, roots):
        """Return what anchors say of trails, and whether one was made with a key.

        :param set roots: the trails of the bundle
        :rtype: tuple[dict, bool]
        """
        anchored, loading, unknown = {}, {}, None
        where = self._anchors or ANCHORS
        if not self._anchors and ANCHORS not in self._found:
            self.notes.append("there are no anchors to compare the trails with")
            return anchored, False

        def report(finding):
            nonlocal unknown
            if "key is unknown" in finding.detail and not self._keys:
                unknown = finding.sequence, finding.root_id
                self._count("anchors", "a key")
            else:
                number = finding.root_id
                self.problem(f"{where}, anchor {number}", finding.detail)

        reader = audit_chain.Anchors(self._keys, report)
        lines = self._lines(ANCHORS) if not self._anchors else _lines_of(where)
        parsed = _until_unreadable(
            reader.parse(lines),
            lambda error: self.problem(where, f"it cannot be read: {error}"),
        )
        for what, _number, value in parsed:
            if what == "heads":
                try:
                    loading |= {
                        (model, root_id): (int(sequence), str(text))
                        for model, root_id, sequence, text in value
                        if (model, root_id) in roots
                    }
                except _UNREADABLE:
                    self.problem(where, "it has a line that cannot be read")
                continue
            if what == "anchor" or unknown:
                anchored |= loading
            loading, unknown = {}, None
        return anchored, reader.keyed

    def _count(self, what, version):
        text = f"{what} made with {version}"
        self._unchecked[text] = self._unchecked.get(text, 0) + 1

    def _check_trails(self, heads, anchored, keyed):
        seen, records = set(), self._records()
        for name in sorted(self._found):
            match = _CHAIN.fullmatch(name)
            if not match:
                continue
            place = match[1], int(match[2])
            seen.add(place)
            root = audit_chain.Root(
                place[1], *heads.get(place, (0, "")), *anchored.get(place, (0, ""))
            )
            trail = Trail(self, name, place[0], root)
            verifier = audit_chain.Verifier(self._keys, trail.report, keyed)
            checked = _until_unreadable(
                verifier.check(place[0], trail.rows(), [root]), trail.unreadable
            )
            for _root_id in checked:
                pass
            trail.close()
            self.counts["events"] += verifier.events
            self.counts["trails"] += 1
            if place in records:
                self._check_record(*records.pop(place), trail)
            elif trail.purged:
                self.counts["purged"] += 1
            else:
                self.problem(name, "there is no record that it belongs to")
        for model, root_id in sorted(set(heads) - seen):
            self.problem(f"chain/{model}-{root_id}.jsonl", "it is missing")
        for name, _said in records.values():
            self.problem(name, "there is no trail of it")
        for name in sorted(self._found):
            if name.startswith("evidence/") and name not in self._used:
                self.problem(name, "no record has this evidence")

    def _tell_unchecked(self):
        for what, number in self._unchecked.items():
            self.notes.append(f"{number} {what}" if number else what)
        if not self.proved:
            self.notes.append(
                "whether all of it, hashes, trails and anchors included, was made "
                "again by somebody else. What tells is the key of the server "
                "(--key-file), the SHA-256 that was noted when the bundle was made "
                "(--manifest-sha256), or anchors from elsewhere (--anchors)"
            )

    # === Records ===

    def _records(self):
        """Return ``{(model, id): (name of the file, what it says)}``.

        Only what is compared with the trail is kept.
        """
        records, revisions, wanted = {}, set(), set()
        for name in sorted(self._found):
            folder, _slash, file = name.partition("/")
            if folder not in FOLDERS or not file.endswith(".json"):
                continue
            said = self._json(name)
            try:
                place = FOLDERS[folder], said["id"]
                if folder == "runs":
                    wanted.add((name, said["sop_code"], said["sop_version"]))
                elif folder == "sops":
                    revisions.add((said["code"], said["version"]))
                    self._check_sop(name, said)
                records[place] = name, _essence(place[0], said)
            except _UNREADABLE:
                if said is not None:
                    self.problem(name, "it does not say what it has to")
        for name, code, version in sorted(wanted):
            if (code, version) not in revisions:
                self.problem(name, f"its SOP {code} {version} is not there")
        return records

    def _check_sop(self, name, said):
        content = {
            key: value
            for key, value in said["content"].items()
            if key not in ("change_summary", "effective_date")
        }
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        found = hashlib.sha256(text.encode()).hexdigest()
        if found != said["content_hash"]:
            self.problem(name, "its content does not have its content_hash")
        markdown = f"{name[:-5]}.md"
        if self._found.get(markdown, ("",))[0] != said["markdown_sha256"]:
            self.problem(markdown, f"it is not the text that {name} has the hash of")

    def _check_record(self, name, lists, trail):
        """Compare a record and its evidence with what the trail tells."""
        parts = _LISTS[trail.model]
        for model, by_id in lists.items():
            for one_id, said in by_id.items():
                label = parts.get(model)
                where = f"{name}, {label} {one_id}" if label else name
                if model == "qms.sop.run.evidence":
                    self._check_evidence(where, said)
                told = trail.told.get((model, one_id))
                if told is None:
                    self.problem(where, "the trail does not know of it")
                    continue
                for field, key in FIELDS[model].items():
                    initial = INITIAL.get(model, {}).get(field)
                    sequence, value = told.get(field, (0, initial))
                    if same(value, said.get(key)):
                        continue
                    event = f"event {sequence} of " if sequence else ""
                    self.problem(
                        where, f"its {key} is not what {event}{trail.name} tells"
                    )
        for (model, one_id), told in trail.told.items():
            if model in parts and one_id not in lists.get(model, {}):
                sequence = max(
                    [sequence for sequence, _value in told.values()], default=0
                )
                self.problem(
                    name,
                    f"{parts[model]} {one_id} is missing, of which event {sequence} "
                    f"of {trail.name} tells",
                )

    def _check_evidence(self, where, said):
        file = said.get("file")
        if not file or not isinstance(file, str):
            self.problem(
                where,
                f"{said.get('name')} was damaged on the server: it has the SHA-256 "
                f"{said.get('found_sha256')}, the one collected {said.get('sha256')}",
            )
            return
        self._used.add(file)
        self.counts["evidence"] += 1
        if file not in self._found:
            self.problem(where, f"its file {file} is missing or cannot be read")
        elif self._found[file] != (said.get("sha256"), said.get("size")):
            self.problem(file, f"it is not the evidence of {where}")


# What a file can fail with while it is read
_BROKEN = (
    OSError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
)


class Told(dict):
    """What a trail tells of records: ``{(model, id): {field: (sequence, value)}}``.

    Only of the fields in :data:`FIELDS`; records that were removed are not in it.

    :ivar set made: the records that it tells the making of
    """

    def __init__(self):
        super().__init__()
        self.made = set()

    def listen(self, sequence, content):
        """Note what an event says.

        :param int sequence: its number
        :param dict content: what it says
        """
        acts = [
            (content["model"], content["res_id"], content["kind"], content),
            *(
                (part["model"], part["id"], part["kind"], part)
                for part in content.get("parts") or ()
            ),
        ]
        for model, one_id, kind, act in acts:
            if model not in FIELDS:
                continue
            if kind in ("deleted", audit_chain.PURGED):
                self.pop((model, one_id), None)
                continue
            if kind == "damaged":
                continue
            known = self.get((model, one_id))
            if known is None:
                known = self[model, one_id] = {}
            if kind not in ("changed", "state"):
                self.made.add((model, one_id))
            for field, (_old, new) in (act.get("changes") or {}).items():
                if field in FIELDS[model]:
                    known[field] = sequence, new


def is_tombstone(content):
    """Tell whether an event is the tombstone of the record that its trail is of."""
    place = content["root_model"], content["root_id"], audit_chain.PURGED
    return (content["model"], content["res_id"], content["kind"]) == place


class Trail:
    """One trail, while it is read: what it tells, and links without the key."""

    def __init__(self, verification, name, model, root):
        self.name, self.model = name, model
        self.told = Told()
        # Whether it ends with the tombstone of its record
        self.purged = False
        self._verification, self._root = verification, root
        self._last, self._last_hash = 0, audit_chain.GENESIS
        self._last_known = True

    def report(self, finding):
        """Take a finding of the verifier; a lacking key is none, without any."""
        if finding.kind == "key" and not self._verification._keys:
            return
        self._problem(finding.sequence, finding.kind, finding.detail)

    def unreadable(self, error):
        """Tell that the rest could not be read."""
        self._problem(self._last, "edited", f"it cannot be read: {error}")

    def _problem(self, sequence, kind, detail):
        where = f"{self.name}, event {sequence}" if sequence else self.name
        self._verification.problem(where, f"{audit_chain.FINDINGS[kind]}: {detail}")

    def rows(self):
        """Yield the events as the verifier wants them."""
        for position, line in enumerate(self._verification._lines(self.name), 1):
            try:
                said = json.loads(line)
                sequence = said["sequence"]
                chained = tuple(
                    said[key]
                    for key in ("hash_version", "previous_hash", "hash", "content")
                )
                if type(sequence) is not int or not all(
                    isinstance(text, str) for text in chained
                ):
                    raise TypeError
                "".join(chained).encode()
            except _UNREADABLE:
                self._verification.problem(self.name, f"line {position} cannot be read")
                continue
            content = self._content(chained[3])
            if not chained[3]:
                content = self._remains(said.get("columns"))
            columns = [content.get(name) for name in audit_chain.COLUMNS]
            columns[:3] = self.model, self._root.id, sequence
            if not isinstance(columns[-1], str):
                columns[-1] = ""
            if chained[0] not in self._verification._known:
                self._check_link(sequence, content, *chained[:3])
            self._last, self._last_hash = sequence, chained[2]
            self._last_known = chained[0] in self._verification._known
            if chained[3]:
                self._listen(sequence, content)
            yield (*columns, *chained)

    def close(self):
        """Compare the end with the head, where the verifier could not."""
        if self._last_known or self._last < self._root.sequence:
            return
        if self._root.sequence == self._last and self._root.hash != self._last_hash:
            self._problem(0, "head", "it does not have the hash of the last event")

    def _content(self, text):
        try:
            content = json.loads(text)
        except _UNREADABLE:
            content = None
        return content if isinstance(content, dict) else {}

    def _remains(self, columns):
        """Return what is left of an event whose content was erased."""
        if not isinstance(columns, list) or len(columns) != len(audit_chain.COLUMNS):
            return {}
        return dict(zip(audit_chain.COLUMNS, columns, strict=True))

    def _check_link(self, sequence, content, version, previous, found):
        """Check the place of an event whose hash cannot be made again."""
        if not version.startswith(f"{audit_chain.KEYED}:"):
            self._problem(sequence, "key", f"there is no algorithm {version!r}")
            return
        self._verification._count("events", version)
        place = [content.get(name) for name in audit_chain.COLUMNS[:3]]
        if place != [self.model, self._root.id, sequence]:
            self._problem(sequence, "reordered", f"it was written as {place}")
        elif sequence <= self._last:
            self._problem(sequence, "reordered", "this number occurs twice")
        elif sequence == self._last + 1 and previous != self._last_hash:
            self._problem(sequence, "unlinked", "it was chained to another event")
        if sequence == self._root.anchored and found != self._root.anchored_hash:
            self._problem(sequence, "rewritten", "it was anchored with another hash")

    def _listen(self, sequence, content):
        try:
            self.purged = is_tombstone(content)
            self.told.listen(sequence, content)
        except _UNREADABLE:
            self._problem(sequence, "edited", "its content cannot be read")


def _lines_of(path):
    """Yield the lines of a file that the user has chosen."""
    with open(path, "rb") as file:
        while line := file.readline(MAX_LINE):
            yield line.decode(errors="replace")


def _until_unreadable(values, report):
    """Yield values until one cannot be read, which is reported."""
    try:
        yield from values
    except _UNREADABLE as error:
        report(error)


def _essence(model, said):
    """Return of a record what is compared: ``{model: {id: values}}``."""
    lists = {model: {said["id"]: _kept(model, said)}}
    for part, name in _LISTS[model].items():
        for one in said.get(name) or ():
            values = _kept(part, one)
            if part == "qms.sop.run.evidence":
                values |= {
                    key: one.get(key) for key in ("name", "file", "found_sha256")
                }
            lists.setdefault(part, {})[one["id"]] = values
    return lists


def _kept(model, said):
    return {key: said.get(key) for key in FIELDS[model].values()}


def same(told, value):
    """Tell whether a value is the one that an event tells.

    :param told: as the event has it; of a long text its SHA-256, of a record its id
    :param value: text, number, time as in the trail or to the second, or ``None``
    :rtype: bool
    """
    if isinstance(told, dict) and "sha256" in told:
        text = value if isinstance(value, str) else ""
        return hashlib.sha256(text.encode()).hexdigest() == told["sha256"]
    if isinstance(told, dict):
        told = told.get("id")
    # 0 is a finding, nothing is none.
    told, value = (
        None if one is False or one == "" else _second(one) for one in (told, value)
    )
    return told == value


def _second(value):
    """Return a time without what a record does not tell of it; else the value."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    return f"{match[1]}Z" if match else value


def read_keys(path):
    """Return the keys of a file: ``id:secret``, one in a line or after commas.

    :raises OSError: when it cannot be read
    :raises ValueError: when it holds no key
    """
    with open(path, encoding="utf-8") as file:
        text = file.read(65536)
    keys = audit_chain.Keys(",".join(text.split()))
    if not keys:
        raise ValueError("it holds no key")
    return keys


def main(arguments=None):
    """Verify a bundle; return the exit code."""
    parser = argparse.ArgumentParser(
        description=PURPOSE,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("bundle", metavar="BUNDLE.zip|FOLDER")
    parser.add_argument(
        "--key-file", metavar="FILE", help="the keys of the trail (qms_audit_key)"
    )
    parser.add_argument(
        "--manifest-sha256",
        metavar="HEX",
        help="what the manifest has to have, as it was told when the bundle was made",
    )
    parser.add_argument(
        "--anchors",
        metavar="FILE",
        help="anchors from elsewhere, such as from the mails; not those of the bundle",
    )
    parser.add_argument(
        "--max-bytes",
        type=int,
        default=100 * 1024**3,
        metavar="N",
        help="read no bundle whose files are larger together (default: 100 GiB)",
    )
    args = parser.parse_args(arguments)
    sys.stdout.reconfigure(errors="replace")
    keys = audit_chain.Keys()
    if args.key_file:
        try:
            keys = read_keys(args.key_file)
        except (OSError, ValueError) as error:
            # What is wrong with a key is told, never the key.
            why = getattr(error, "strerror", None) or error
            parser.error(f"--key-file {args.key_file!r}: {why}")
    for path in filter(None, (args.bundle, args.anchors)):
        if not os.path.exists(path):
            parser.error(f"there is no {path!r}")
    try:
        kind = FolderSource if os.path.isdir(args.bundle) else ZipSource
        verification = Verification(
            kind(args.bundle), keys, args.max_bytes, args.anchors
        )
        verification.run((args.manifest_sha256 or "").strip().lower() or None)
    except OSError as error:
        parser.error(f"{args.bundle!r} cannot be read: {error.strerror or error}")
    except (BundleError, *_UNREADABLE) as error:
        _say(f"{_clean(args.bundle)}: {_clean(str(error))}\nDISPROVED")
        return 1
    for line in verification.problems[:_SHOWN]:
        _say(_clean(line))
    if len(verification.problems) > _SHOWN:
        _say(f"… and {len(verification.problems) - _SHOWN} more")
    for line in verification.notes:
        _say(_clean(f"Not checked: {line}"))
    counts = verification.counts
    _say(
        f"{counts['files']} files, {counts['evidence']} pieces of evidence, "
        f"{counts['trails']} trails, {counts['events']} events, "
        f"{counts['purged']} records that were purged\n"
        f"SHA-256 of {MANIFEST}: {verification.manifest_hash or 'none'}"
    )
    verdict = "PROVED" if verification.proved else "CONSISTENT"
    _say("DISPROVED" if verification.problems else verdict)
    return 1 if verification.problems else 0


def _say(text):
    sys.stdout.write(f"{text}\n")


def _clean(text):
    """Return a text that cannot steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


if __name__ == "__main__":
    sys.exit(main())
