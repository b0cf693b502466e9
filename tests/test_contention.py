"""Many clients on one run, on a live server with two processes."""

import json
import threading
import urllib.request
import uuid
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest

WRITERS = 8
ACTS = 6


@pytest.fixture(scope="module")
def user(make_user):
    return make_user("qms_error_code.group_qms_automation")


class Client:
    """Logs errors in a run, over XML-RPC or REST."""

    def __init__(self, server, user):
        self.server, self.user = server, user
        self.proxy = xmlrpc.client.ServerProxy(f"{server.url}/xmlrpc/2/object")

    def rpc(self, method, *args):
        return self.proxy.execute_kw(
            self.server.db,
            self.user.id,
            self.user.api_key,
            "qms.sop.run",
            method,
            args,
        )

    def rest(self, run_id, text):
        request = urllib.request.Request(
            f"{self.server.url}/api/v1/sop-runs/{run_id}/errors",
            data=json.dumps(
                {"error_message": text, "error_code": "STEP_FAILURE"}
            ).encode(),
            headers={
                "Authorization": f"Bearer {self.user.api_key}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)


def test_collisions_wait_for_their_turn_only(orm, odoo_workers, user):
    run_id = Client(odoo_workers, user).rpc("start_run", "SOP-TRIAGE-001")["id"]
    log_before = len(odoo_workers.log.read_text())
    start = threading.Barrier(WRITERS)

    def write(writer):
        client, said = Client(odoo_workers, user), []
        start.wait(30)
        for _act in range(ACTS):
            said.append(uuid.uuid4().hex)
            if writer % 2:
                client.rest(run_id, said[-1])
            else:
                client.rpc("log_error", [run_id], said[-1], "STEP_FAILURE")
        return said

    with ThreadPoolExecutor(WRITERS) as pool:
        said = [text for texts in pool.map(write, range(WRITERS)) for text in texts]
    found = orm(
        """
        import json
        events = env["qms.audit.event"].search(
            [("root_model", "=", "qms.sop.run"), ("root_id", "=", run_id)],
            order="sequence",
        )
        run = env["qms.sop.run"].browse(run_id)
        result = {
            "sequences": events.mapped("sequence"),
            "errors": run.error_ids.mapped("error_message"),
            "findings": env["qms.audit.check"]._verify("qms.sop.run", run_id).findings,
        }
        """,
        run_id=run_id,
    )
    assert sorted(found["errors"]) == sorted(said)
    assert found["sequences"] == list(range(1, len(said) + 2))
    assert not found["findings"]
    # Odoo's own way: to wait for up to some seconds, and try again.
    log = odoo_workers.log.read_text()[log_before:]
    assert "try again in" not in log
    with closing(
        psycopg2.connect(
            dbname=odoo_workers.db,
            host=odoo_workers.pg_host,
            user=odoo_workers.pg_user,
        )
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE l.locktype = 'advisory' AND d.datname = %s",
            [odoo_workers.db],
        )
        assert cursor.fetchone() == (0,)
