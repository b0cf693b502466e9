"""An Odoo server on a scratch database, for as long as the benchmarks run."""

import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2 import sql

ROOT = Path(__file__).resolve().parents[1]
_START_TIMEOUT = 120.0

# An automation user has a key and no password: with a password every authentication
# would first spend about a second on hashing (see the README).
_CREATE_USER = """
import json
from odoo.fields import Command
user = env["res.users"].create({
    "name": "Benchmark",
    "login": "benchmark",
    "group_ids": [
        Command.link(env.ref(f"qms_error_code.group_qms_{role}").id)
        for role in ("automation", "author", "auditor")
    ],
})
key = env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", "bench", None)
industry = env["res.partner.industry"].create({"name": "Yardstick"})
# What is measured must not be the waiting for a new minute.
env["ir.config_parameter"].set_param("qms_sop.api_rate_limit", "0")
examples = env["qms.error.pattern"].search([("example", "!=", False)])
env.cr.commit()
print("BENCH " + json.dumps({
    "login": user.login,
    "uid": user.id,
    "key": key,
    "industry_id": industry.id,
    "examples": examples.mapped("example"),
}))
"""
# The perf fields of Odoo's request log: "GET /x HTTP/1.1" 200 - 12 0.010 0.005. RPC
# requests carry what they called: "POST /xmlrpc/2/object#res.users.read HTTP/1.1".
_REQUEST = re.compile(r'"(?P<request>\S+ \S+) HTTP/[\d.]+" \d+ \S+ (?P<queries>\d+) ')


class ScratchError(Exception):
    """Odoo could not be brought up; the message says what it said."""


@dataclass
class Connection:
    """How the benchmarks reach the server.

    :ivar str url: base URL
    :ivar str db: name of the scratch database
    :ivar str login: login of the automation user
    :ivar int uid: id of the automation user
    :ivar str key: API key of the automation user
    :ivar int industry_id: the record that the bearer yardstick reads
    :ivar list examples: the sample lines of the catalogue's patterns
    :ivar Path log: the server's log file
    """

    url: str
    db: str
    login: str
    uid: int
    key: str
    industry_id: int
    examples: list
    log: Path

    def queries(self, request):
        """Return the SQL queries of every answered request, oldest first.

        :param str request: method and path as the server logs it, e.g.
            ``GET /web/health``
        :rtype: list[int]
        """
        return [
            int(match["queries"])
            for match in _REQUEST.finditer(self.log.read_text(errors="replace"))
            if match["request"] == request
        ]


def _odoo_command(odoo):
    """Return the command that runs Odoo and the environment it needs.

    :param Path odoo: folder that holds the ``odoo`` package (a checkout, or the
        unpacked Debian package's ``dist-packages``)
    """
    if (
        not (odoo / "odoo" / "__init__.py").exists()
        and not (odoo / "odoo" / "release.py").exists()
    ):
        raise ScratchError(
            f"No Odoo in {odoo}. Run `make up` once, or name a checkout in ODOO_HOME."
        )
    addons = [
        odoo / "odoo" / "addons",
        odoo / "addons",
        ROOT,
        ROOT / "benchmarks/addons",
    ]
    # PYTHONPATH leads, so that this Odoo is found before any other.
    environment = {**os.environ, "PYTHONPATH": str(odoo)}
    command = [sys.executable, "-m", "odoo"]
    return command, ",".join(str(path) for path in addons if path.is_dir()), environment


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextlib.contextmanager
def _database(host, user, template):
    name = f"qms_bench_{secrets.token_hex(4)}"

    def execute(statement, *identifiers):
        server = psycopg2.connect(host=host, user=user, dbname="postgres")
        try:
            server.autocommit = True
            with server.cursor() as cursor:
                cursor.execute(
                    sql.SQL(statement).format(*map(sql.Identifier, identifiers))
                )
        finally:
            server.close()

    try:
        execute("CREATE DATABASE {} TEMPLATE {} ENCODING 'unicode'", name, template)
    except psycopg2.Error as error:
        raise ScratchError(
            f"No scratch database from {template!r}: {str(error).strip()}"
        ) from None
    try:
        yield name
    finally:
        execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _run(command, environment, log, **options):
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, **options
    )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise ScratchError(f"Odoo ended with {done.returncode}:\n{tail}")
    return done.stdout


@contextlib.contextmanager
def scratch_odoo(odoo, pg_host, pg_user, template, folder):
    """Bring up Odoo with the add-ons on a new database; take both down at the end.

    One threaded process without cron jobs, so that nothing else runs meanwhile.

    :param Path odoo: folder that holds the ``odoo`` package
    :param str pg_host: host or socket folder of PostgreSQL
    :param str pg_user: PostgreSQL user who may create databases
    :param str template: database to start from; ``template0`` works, and one that has
        Odoo's own modules installed saves a minute
    :param Path folder: where the server's log goes
    :return: context manager giving a :class:`Connection`
    :raise ScratchError: Odoo or its database cannot be brought up
    """
    command, addons, environment = _odoo_command(odoo)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "odoo.log"
    log.unlink(missing_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="qms-bench-") as data,
        _database(pg_host, pg_user, template) as db,
    ):
        options = [
            f"--database={db}",
            f"--db_host={pg_host}",
            f"--db_user={pg_user}",
            f"--addons-path={addons}",
            f"--data-dir={data}",
            f"--logfile={log}",
            # Every XML-RPC call would log a deprecation warning.
            "--log-handler=odoo.addons.rpc.controllers.xmlrpc:ERROR",
        ]
        _run(
            [*command, *options, "-i", "qms_bench", "--stop-after-init", "--no-http"],
            environment,
            log,
        )
        said = _run(
            [*command, "shell", *options, "--no-http"],
            environment,
            log,
            input=_CREATE_USER,
        )
        made = json.loads(said.partition("BENCH ")[2].splitlines()[0])
        port = _free_port()
        server = subprocess.Popen(
            [
                *command,
                *options,
                "--http-interface=127.0.0.1",
                f"--http-port={port}",
                "--workers=0",
                "--max-cron-threads=0",
                f"--db-filter=^{db}$",
            ],
            env=environment,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_answering(url, server, log)
            yield Connection(url=url, db=db, log=log, **made)
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_until_answering(url, server, log):
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            with urllib.request.urlopen(f"{url}/web/health", timeout=5):
                return
        except OSError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise ScratchError(
                    f"Odoo does not answer ({error}), see {log}"
                ) from None
            time.sleep(0.2)
