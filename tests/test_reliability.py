"""Power cuts: what a client was told is done must be there afterwards, once.

Odoo with two workers, and PostgreSQL, both of the test's own, are killed while
``create_sop_run.py`` opens runs; nothing but the scripts' own retries helps.
"""

import os
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
from odoo_process import OdooProcess
from scripts_support import BARE, ROOT, SCRIPTS

from tools.console import Console
from tools.postgres import Cluster
from tools.settings import Settings

CLIENTS = 4
DB = "reliable"

# A client is an automation that must not lose a run: it asks with the same key until
# it is told the run's id.
_MAKE_USER = """
user = env["res.users"].create({
    "name": "Pipeline",
    "login": "pipeline",
    "group_ids": [(4, env.ref("qms_error_code.group_qms_automation").id)],
})
keys = env["res.users.apikeys"].with_user(user).sudo()
print("KEY", keys._generate("rpc", "test", None))
env.cr.commit()
"""


@pytest.fixture(scope="module")
def cluster(odoo_server, tmp_path_factory):
    """A PostgreSQL of the test's own, with a copy of the template database."""
    root = tmp_path_factory.mktemp("pg")
    settings = Settings(root=root, ci=True)
    settings.prepare()
    cluster = Cluster(settings, Console())
    cluster.ensure()
    try:
        cluster.query(f"CREATE DATABASE {DB}")
        # The cluster of the tools does not wait for the disk; a real one does.
        cluster.query(f"ALTER DATABASE {DB} SET synchronous_commit = on")
        _copy(odoo_server, cluster)
        yield cluster
    finally:
        cluster.stop()


def _copy(odoo_server, cluster):
    """Copy the template with the add-ons from the cluster of the other tests."""
    binaries = cluster.binaries().folder
    source = [binaries / "pg_dump", "-h", odoo_server.pg_host, "-U", "odoo"]
    target = [binaries / "psql", "-h", cluster.run_folder, "-U", "odoo", "-X", "-q"]
    with subprocess.Popen(
        [*source, os.environ["QMS_TEST_TEMPLATE"]], stdout=subprocess.PIPE
    ) as dump:
        subprocess.run(
            [*target, "-v", "ON_ERROR_STOP=1", "-d", DB, "-o", os.devnull],
            stdin=dump.stdout,
            check=True,
        )
    assert dump.returncode == 0


@pytest.fixture(scope="module")
def server(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("odoo")
    server = OdooProcess(
        folder,
        os.environ["QMS_TEST_RC"],
        DB,
        f"--db_host={cluster.run_folder}",
        f"--data-dir={folder / 'data'}",
    )
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def pipeline(cluster, tmp_path_factory):
    """The variables of a client with a key."""
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run(
        [sys.executable, "-m", "odoo", "shell", "-c", os.environ["QMS_TEST_RC"]]
        + ["-d", DB, f"--db_host={cluster.run_folder}", "--no-http"],
        input=_MAKE_USER,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    key = next(
        line.split()[1] for line in done.stdout.splitlines() if line.startswith("KEY")
    )
    return {
        **BARE,
        "HOME": str(home),
        "ODOO_DB": DB,
        "ODOO_USER": "pipeline",
        "ODOO_API_KEY": key,
    }


class Load:
    """Clients that open runs all the time.

    ``acknowledged`` maps the idempotency key of each run to the id that the script
    printed; ``messages`` has what the scripts said when they gave up.
    """

    def __init__(self, url, environment):
        self.environment = {**environment, "ODOO_URL": url}
        self.acknowledged = {}
        self.messages = []
        self._ending = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._clients = [self._pool.submit(self._work) for _number in range(CLIENTS)]

    def wait_for(self, count, patience=90):
        """Wait until so many more runs were acknowledged."""
        goal = len(self.acknowledged) + count
        limit = time.monotonic() + patience
        while len(self.acknowledged) < goal:
            assert time.monotonic() < limit, self.messages[-5:]
            time.sleep(0.02)

    def end(self):
        """Let every client finish what it has begun."""
        self._ending.set()
        for client in self._clients:
            client.result(120)
        self._pool.shutdown()

    def _work(self):
        while not self._ending.is_set():
            key = str(uuid.uuid4())
            limit = time.monotonic() + 90
            while key not in self.acknowledged and time.monotonic() < limit:
                self._open(key)

    def _open(self, key):
        done = subprocess.run(
            [sys.executable, SCRIPTS / "create_sop_run.py"]
            + ["--sop-code", "SOP-TRIAGE-001", "--idempotency-key", key]
            + ["--summary", key, "--retries", "6"],
            env=self.environment,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        if done.returncode == 0:
            self.acknowledged[key] = int(done.stdout)
        else:
            # Only an outage may stop a script, never a half-done call.
            assert done.returncode == 4, done.stderr
            self.messages.append(done.stderr)


def _runs(cluster):
    """Return the ids of the runs in the database by what they were asked with."""
    connection = psycopg2.connect(
        host=str(cluster.run_folder), user="odoo", dbname=DB, connect_timeout=10
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT summary, array_agg(id) FROM qms_sop_run GROUP BY 1")
        found = dict(cursor.fetchall())
        cursor.execute(
            """SELECT count(*) FROM qms_sop_run run
                WHERE (SELECT count(*) FROM qms_sop_run_step WHERE run_id = run.id)
                      != (SELECT count(*) FROM qms_sop_step
                           WHERE document_id = run.sop_id)"""
        )
        assert cursor.fetchone() == (0,), "a run without all its steps"
    connection.close()
    return found


def _kill_odoo(server, cluster):
    server.kill()
    time.sleep(0.5)
    server.start()


def _kill_postgresql(server, cluster):
    pid = int(Path(cluster.data, "postmaster.pid").read_text().split()[0])
    # The children notice that their parent is gone, and end.
    subprocess.run(["kill", "-9", str(pid)], check=True)
    time.sleep(0.5)
    cluster.ensure()


@pytest.mark.parametrize(
    "cut", [_kill_odoo, _kill_postgresql], ids=["odoo", "postgresql"]
)
def test_no_acknowledged_run_is_lost_or_doubled(cluster, server, pipeline, cut):
    load = Load(server.url, pipeline)
    try:
        for _time in range(3):
            load.wait_for(5 * CLIENTS)
            cut(server, cluster)
        load.wait_for(5 * CLIENTS)
    finally:
        load.end()
    found = _runs(cluster)
    for key, run_id in load.acknowledged.items():
        assert found.get(key) == [run_id]
    # Nor may a call that nobody heard back from have opened two.
    assert not [ids for ids in found.values() if len(ids) > 1]
