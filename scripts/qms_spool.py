"""Results on disk until the server has them: nothing lost, nothing done twice.

Each call that changes something is written down before it is sent, with its
idempotency key, and is marked when it was answered. Whatever happens in between
(no network, Ctrl-C, ``kill -9``), it is sent again later, in the same order, and the
server gives the same answer instead of doing it again.

The records of a run also tell which of its commands were finished here, until the
server knows the step they belong to.

    $XDG_STATE_HOME/qms-sop/spool/<connection>/<run id>/00000001.json
"""

import fcntl
import hashlib
import json
import os
import time
from contextlib import contextmanager

from qms_client import RefusedError, new_key

# The server remembers the keys for a day; after that, it has to be asked whether
# it has a result.
_KEY_LIFETIME = 20 * 3600
# Of the answers
_REMEMBERED = ("id", "name", "state", "sha256", "size")
_RUNNING = "running.json"
_LOCK = "lock"


class BusyError(RefusedError):
    """Another process works on the same run."""


def _folder(client):
    """Return where the results for one connection are."""
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".local", "state")
    parts = "\0".join((client.url, client.db, client.user))
    digest = hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:16]
    return os.path.join(base, "qms-sop", "spool", digest)


def _write(path, data):
    """Replace a file in one step, so that it survives a power cut as a whole."""
    draft = f"{path}.new"
    with open(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        "w",
        encoding="utf-8",
    ) as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def folders_with_results(client):
    """Return which runs have results here.

    :param Client client: the connection
    :return: ``(run id, name)`` of each folder, see :func:`open_spool`
    :rtype: list[tuple[int, str]]
    """
    try:
        folders = os.listdir(_folder(client))
    except FileNotFoundError:
        return []
    parts = (folder.partition("-") for folder in folders)
    return sorted((int(run), name) for run, _dash, name in parts if run.isdecimal())


@contextmanager
def open_spool(client, run_id, name=""):
    """Open the results of one run, which no other process works on meanwhile.

    :param Client client: the connection
    :param int run_id: id of the run
    :param str name: of a folder beside that of the steps; those who use another one
        are not kept out
    :return: a context manager that gives a :class:`Spool`
    :raise BusyError: if another process has it
    """
    folder = os.path.join(_folder(client), f"{run_id}-{name}" if name else str(run_id))
    while True:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = os.path.join(folder, _LOCK)
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue  # its last user has just tidied up
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20).decode("ascii", "replace").strip()
            os.close(lock)
            raise BusyError(
                f"Another process works on run {run_id}"
                f"{f' (process {owner})' if owner else ''}."
            ) from None
        try:
            if os.stat(path).st_ino == os.fstat(lock).st_ino:
                break
        except FileNotFoundError:
            pass
        os.close(lock)
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        spool = Spool(client, run_id, folder)
        try:
            yield spool
        finally:
            spool._tidy()
    finally:
        os.close(lock)


class Spool:
    """The results of one run that are kept here.

    A record is a dict: ``number`` (order), ``key`` (idempotency), ``time`` (epoch
    seconds), ``step`` (number or None), ``method`` and ``arguments`` (the call; empty
    when there is nothing to tell the server), ``local`` (what this program wants to
    remember), ``sent`` and ``answer``.
    """

    def __init__(self, client, run_id, folder):
        self._client = client
        self.run_id = run_id
        self.folder = folder
        names = sorted(n for n in os.listdir(folder) if n[:-5].isdecimal())
        self._records = [_read(os.path.join(folder, name)) for name in names]

    def add(self, method="", arguments=None, *, step=None, local=None, key=None):
        """Write a result down.

        :param str method: of ``qms.sop.run``; empty: nothing is to be sent
        :param dict | None arguments: its arguments
        :param int | None step: number of the step it belongs to
        :param dict | None local: what to remember, JSON-serializable
        :param str | None key: idempotency key; a new one when missing
        :return: the record
        :rtype: dict
        """
        number = max((record["number"] for record in self._records), default=0) + 1
        record = {
            "number": number,
            "key": key or new_key(),
            "time": time.time(),
            "step": step,
            "method": method,
            "arguments": arguments or {},
            "local": local or {},
            "sent": not method,
            "answer": None,
        }
        self._save(record)
        self._records.append(record)
        return record

    def _path(self, record, suffix=".json"):
        return os.path.join(self.folder, f"{record['number']:08d}{suffix}")

    def _save(self, record):
        _write(self._path(record), record)

    def pending(self):
        """Return the records that the server does not have yet, in order.

        :rtype: list[dict]
        """
        return [record for record in self._records if not record["sent"]]

    def of_step(self, step):
        """Return what is remembered of a step, in order.

        :param int step: number of the step
        :rtype: list[dict]
        """
        return [r for r in self._records if r["step"] == step and r["local"]]

    def forget_step(self, step):
        """Forget what the server knows of a step by now.

        :param int step: number of the step
        """
        self._drop([r for r in self._records if r["step"] == step and r["sent"]])

    def forget_sent(self):
        """Forget everything that the server has."""
        self._drop([record for record in self._records if record["sent"]])

    def is_over(self):
        """Tell whether an answer said that the run is finished.

        :rtype: bool
        """
        return any(
            record["method"] == "update_run"
            and (record["answer"] or {}).get("state") in ("completed", "failed")
            for record in self._records
        )

    def _drop(self, records):
        for record in records:
            os.unlink(self._path(record))
        self._records = [r for r in self._records if r not in records]

    def send(self):
        """Send what is pending, in order.

        A result that the server refuses is set aside in a file of its own and does
        not hold up the others.

        :return: what was refused: ``(record, error, path of the file)``
        :rtype: list[tuple[dict, RefusedError, str]]
        :raise UnreachableError: if the server is away; the rest stays pending
        :raise AuthenticationError: if it refuses the user; the rest stays pending
        """
        refused = []
        for record in self.pending():
            try:
                if not self._is_known(record):
                    answer = self._client.call(
                        "qms.sop.run",
                        record["method"],
                        ids=[self.run_id],
                        **record["arguments"],
                        idempotency_key=record["key"],
                    )
                    record["answer"] = {
                        name: answer[name] for name in _REMEMBERED if name in answer
                    }
            except RefusedError as error:
                path = self._path(record, ".refused")
                _write(path, {**record, "refused": str(error)})
                self._drop([record])
                refused.append((record, error, path))
                continue
            # The content is with the server now; here it would only take room.
            record["arguments"].pop("content", None)
            record["sent"] = True
            self._save(record)
        return refused

    def _is_known(self, record):
        """Tell whether the server has a result whose key it may have forgotten."""
        if 0 <= time.time() - record["time"] < _KEY_LIFETIME:
            return False
        arguments = record["arguments"]
        if record["method"] == "add_evidence":
            import base64

            content = base64.b64decode(arguments["content"])
            domain = [
                ["run_id", "=", self.run_id],
                ["name", "=", arguments["name"]],
                ["sha256", "=", hashlib.sha256(content).hexdigest()],
            ]
            found = self._client.call(
                "qms.sop.run.evidence", "search_read", domain=domain, fields=["sha256"]
            )
            return bool(found)
        run = self._client.call("qms.sop.run", "get_run", ids=[self.run_id])
        if record["method"] == "update_step":
            states = {step["number"]: step["state"] for step in run["steps"]}
            return states.get(arguments["step"]) == arguments["state"]
        return run["state"] == arguments.get("state")

    # -- the command that runs ----------------------------------------------

    def running(self):
        """Return what :meth:`begin` noted, unless that command was finished.

        :rtype: dict | None
        """
        noted = _read(os.path.join(self.folder, _RUNNING))
        if noted and any(noted["key"] == record["key"] for record in self._records):
            return None
        return noted

    def begin(self, key, step, command):
        """Note that a command is about to run.

        :param str key: of the record that will say how it ended
        :param int step: number of the step
        :param int command: id of the command
        """
        noted = {"key": key, "step": step, "command": command, "time": time.time()}
        _write(os.path.join(self.folder, _RUNNING), noted)

    def end(self):
        """Forget the command that ran; its record says how it ended."""
        try:
            os.unlink(os.path.join(self.folder, _RUNNING))
        except FileNotFoundError:
            pass

    def _tidy(self):
        """Leave no folder behind that holds nothing."""
        if self._records or set(os.listdir(self.folder)) - {_LOCK}:
            return
        os.unlink(os.path.join(self.folder, _LOCK))
        try:
            os.rmdir(self.folder)
        except OSError:
            pass
