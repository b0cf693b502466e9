"""The ZIP that an auditor takes away; the same files make the same bytes.

No Odoo here: names and bytes go in.
"""

import hashlib
import re
import zipfile
from contextlib import contextmanager
from pathlib import Path

from .audit_chain import canonical
from .verify_bundle import MANIFEST, SEAL, SEALED

# The first date that a ZIP knows
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 80
_SCRIPTS = ("audit_chain.py", "verify_bundle.py")

README = """\
Auditor bundle
==============

runs/          each run in full: steps, errors, evidence, analyses, signatures,
               amendments
incidents/     the incidents: impact, roles, updates, timeline, signatures
postmortems/   what was learned from them: reviews, amendments, signatures; and as
               Markdown, to be read
actions/       the actions that came from any of these
sops/          the revisions that they followed: as data, and as Markdown
evidence/      the files that were collected, named by their SHA-256
chain/         the audit trail of each of these records, an event a line: its text
               word for word, the hash of the event before, its own hash
heads.jsonl    where each trail ended when this bundle was made
anchors.jsonl  the anchors: where all trails of the system ended in earlier nights
manifest.json  SHA-256 and size of every file
seal.json      the hash of the manifest, made with the key of the server

To verify it, offline, with nothing but Python 3.10 or later:

    python3 -I verify_bundle.py BUNDLE.zip
    python3 -I verify_bundle.py BUNDLE.zip --key-file FILE

FILE holds the key of the trail (qms_audit_key of the server). With it, or with the
SHA-256 of manifest.json that was told to whoever made this bundle (--manifest-sha256),
it is PROVED. Without either it can be found CONSISTENT: nothing is missing and
everything fits together, but whoever made all of it again would not be found.

Folders are missing where there is nothing of their kind.

Of a record that was purged after its years of retention there is the trail alone. Its
events say who did what kind of thing when, and no more; the last one is its tombstone,
which vouches for them.

Whoever can change a bundle can change the copies of verify_bundle.py and
audit_chain.py in it as well: take them from the same release of qms_sop.
"""


class Bundle:
    """A bundle, while it is written.

    :param stream: a binary file that can be rewound
    :ivar dict files: SHA-256 and size of each file so far, by name
    """

    def __init__(self, stream):
        self._zip = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED)
        self.files = {}
        self._folded = set()

    def name(self, folder, stem, suffix, record_id):
        """Return the name of a file that is not there yet.

        :param str folder: in the bundle
        :param str stem: what it is called, in any characters
        :param str suffix: what it ends in, or an empty text
        :param int record_id: what tells it from another one of the same name
        :rtype: str
        """
        safe = _UNSAFE.sub("_", stem)[-_LONGEST:].lstrip(".") or "file"
        name = f"{folder}/{safe}{suffix}"
        # Not every disk tells upper from lower case.
        if name.lower() in self._folded:
            name = f"{folder}/{record_id}-{safe}{suffix}"
        self._folded.add(name.lower())
        return name

    def add(self, name, content):
        """Add a file.

        :param str name: in the bundle
        :param content: bytes, or text
        """
        with self.open(name) as write:
            write(content.encode() if isinstance(content, str) else content)

    @contextmanager
    def open(self, name):
        """Add a file piece by piece.

        :param str name: in the bundle
        :return: a function that takes bytes
        """
        info = zipfile.ZipInfo(name, _DATE)
        info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, 3
        info.external_attr = _MODE
        digest, size = hashlib.sha256(), 0
        with self._zip.open(info, "w", force_zip64=True) as file:

            def write(content):
                nonlocal size
                digest.update(content)
                size += len(content)
                file.write(content)

            yield write
        self.files[name] = {"sha256": digest.hexdigest(), "size": size}

    def close(self, keys, about):
        """Add what is in every bundle, and the manifest.

        :param audit_chain.Keys keys: the seal is made with the first of them
        :param dict about: what else the manifest says
        :return: SHA-256 of the manifest
        :rtype: str
        """
        self.add("README.txt", README)
        for script in _SCRIPTS:
            self.add(script, Path(__file__).with_name(script).read_bytes())
        manifest = canonical({**about, "files": self.files})
        self.add(MANIFEST, manifest)
        seal = {
            "hash_version": keys.version,
            "hash": keys.digest(keys.version, SEALED, manifest),
        }
        self.add(SEAL, canonical(seal))
        # The table of contents is sorted; the files come as they were written.
        self._zip.filelist.sort(key=lambda info: info.filename)
        self._zip.close()
        return self.files[MANIFEST]["sha256"]
