"""The audit trail under real concurrency: many clients, several server processes."""

import json
import threading
import urllib.request
import uuid
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor

import pytest

WRITERS = 8
ACTS = 5


class Rpc:
    """Calls methods of runs as one user, over XML-RPC, from any thread."""

    def __init__(self, server, user):
        self.url, self.db, self.user = server.url, server.db, user
        self._local = threading.local()

    def __call__(self, method, *args, **kwargs):
        if not hasattr(self._local, "proxy"):
            # A ServerProxy keeps one connection, which threads cannot share.
            self._local.proxy = xmlrpc.client.ServerProxy(f"{self.url}/xmlrpc/2/object")
        return self._local.proxy.execute_kw(
            self.db,
            self.user.id,
            self.user.api_key,
            "qms.sop.run",
            method,
            args,
            kwargs,
        )


@pytest.fixture(scope="module")
def user(make_user):
    return make_user("qms_error_code.group_qms_automation")


def trail(orm, run_id):
    """Return the trail of a run, with the texts of the errors that were logged."""
    return orm(
        """
        import json
        events = env["qms.audit.event"].search(
            [("root_model", "=", "qms.sop.run"), ("root_id", "=", run_id)],
            order="sequence",
        )
        said = [json.loads(event.content) for event in events]
        result = {
            "sequences": events.mapped("sequence"),
            "logged": [
                one["changes"]["error_message"][1]
                for one in said if one["kind"] == "error"
            ],
            "texts": [one["text"] for one in said if one["kind"] == "entry"],
            "agents": sorted({one.get("agent") for one in said}, key=str),
            "channels": sorted({one["channel"] for one in said}),
            "found": env["qms.audit.check"]._verify("qms.sop.run", run_id).findings,
        }
        """,
        run_id=run_id,
    )


@pytest.mark.parametrize("runs", [1, WRITERS], ids=["one run", "eight runs"])
def test_concurrent_writers_lose_nothing(orm, odoo_workers, user, runs):
    rpc = Rpc(odoo_workers, user)
    run_ids = [rpc("start_run", "SOP-TRIAGE-001")["id"] for _number in range(runs)]
    start = threading.Barrier(WRITERS)

    def write(writer):
        start.wait(30)
        said = []
        for _act in range(ACTS):
            said.append(uuid.uuid4().hex)
            rpc("log_error", [run_ids[writer % runs]], said[-1], "STEP_FAILURE")
        return said

    with ThreadPoolExecutor(WRITERS) as pool:
        said = list(pool.map(write, range(WRITERS)))
    for number, run_id in enumerate(run_ids):
        found = trail(orm, run_id)
        mine = [text for texts in said[number::runs] for text in texts]
        assert sorted(found["logged"]) == sorted(mine)
        assert found["sequences"] == list(range(1, len(mine) + 2))
        assert found["channels"] == ["xmlrpc"]
        assert found["agents"] == ["end-to-end test"]
        assert not found["found"]


def test_second_of_two_writers_is_run_again(orm, odoo_server, user):
    # Two connections that both have seen the same head.
    run_id = Rpc(odoo_server, user)("start_run", "SOP-TRIAGE-001")["id"]
    refused = orm(
        """
        from psycopg2.errors import SerializationFailure

        def note(cr, text):
            run = env(cr=cr)["qms.sop.run"].browse(run_id)
            env(cr=cr)["qms.audit.event"]._record(run, "entry", text=text)

        with env.registry.cursor() as first, env.registry.cursor() as second:
            second.execute("SELECT 1")  # from here on it sees no later commit
            note(first, "first")
            first.commit()
            note(second, "second")
            try:
                second.commit()
                result = False
            except SerializationFailure:
                result = True
            second.rollback()
            note(second, "second")
            second.commit()
        """,
        run_id=run_id,
    )
    assert refused
    found = trail(orm, run_id)
    assert found["texts"] == ["first", "second"]
    assert found["sequences"] == [1, 2, 3]
    assert not found["found"]


def test_trail_names_the_key_and_the_request(orm, odoo_server, user):
    request = urllib.request.Request(
        f"{odoo_server.url}/api/v1/sop-runs",
        data=json.dumps({"sop_code": "SOP-TRIAGE-001"}).encode(),
        headers={
            "Authorization": f"Bearer {user.api_key}",
            "Content-Type": "application/json",
            "X-Request-Id": "request-of-the-test",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        run_id = json.load(response)["id"]
    said = orm(
        """
        import json
        event = env["qms.audit.event"].search(
            [("root_model", "=", "qms.sop.run"), ("root_id", "=", run_id)]
        )
        result = json.loads(event.content)
        """,
        run_id=run_id,
    )
    assert said["channel"] == "rest"
    assert said["agent"] == "end-to-end test"
    assert said["request_id"] == "request-of-the-test"
    assert said["user_login"] == user.login
    assert "actor_id" not in said
