"""The outbox between processes: two workers at once, and one that is killed."""

import json
import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import Orm

MESSAGES, CHANNELS = 60, 3
SETUP = """
    parameters = env["ir.config_parameter"]
    parameters.set_param("qms_sop.notification_schemes", "json")
    parameters.set_param("qms_sop.notification_hosts", "127.0.0.1")
    channels = env["qms.notification.channel"]
    for number in range(count):
        channels |= channels.create(
            {"name": f"Peer {number}", "new_url": f"json://127.0.0.1:{port}/{number}"}
        )
    runs = env["qms.sop.run"]
    run = runs.browse(runs.start_run("SOP-TRIAGE-001")["id"])
    for number in range(messages):
        told = env["qms.notification"]._enqueue(
            "run_opened", run, key=f"live:{number}", channels=channels[number % count]
        )
        assert len(told) == 1
    result = run.id
"""
SEND = 'env["qms.notification"]._cron_send()\nresult = True'
LOOK = """
    told = env["qms.notification"].search([("key", "like", "live:")])
    result = told.read(["state", "attempts", "losses"])
"""


class Peer(ThreadingHTTPServer):
    """Keeps the ids of what it is sent; calls ``before_answer`` first."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ids = []
        self.before_answer = lambda: None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """Whoever was killed does not wait for the answer."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.ids.append(body["id"])
        self.server.before_answer()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        """Tests are quiet."""


@pytest.fixture
def peer():
    server = Peer()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def workers(database_copy, monkeypatch):
    """Two processes on a database of their own, where nobody else sends."""
    with database_copy("notify") as name:
        monkeypatch.setenv("QMS_TEST_DB", name)
        with closing(Orm()) as one, closing(Orm()) as two:
            yield one, two


def test_two_workers_and_a_killed_one(workers, peer):
    one, two = workers
    one(SETUP, port=peer.server_address[1], count=CHANNELS, messages=MESSAGES)

    # Two at once: each message arrives once.
    with ThreadPoolExecutor(2) as pool:
        for answer in [pool.submit(worker, SEND) for worker in workers]:
            assert answer.result(timeout=60)
    assert len(peer.ids) == MESSAGES
    assert set(Counter(peer.ids).values()) == {1}
    rows = one(LOOK)
    assert len(rows) == MESSAGES
    assert {(row["state"], row["attempts"]) for row in rows} == {("sent", 1)}

    # Killed after the message went out, before it could be noted.
    one(
        """
        run = env["qms.sop.run"].search([], order="id desc", limit=1)
        channel = env["qms.notification.channel"].search([("name", "=", "Peer 0")])
        env["qms.notification"]._enqueue(
            "run_opened", run, key="live:last", channels=channel
        )
        result = True
        """
    )
    del peer.ids[:]
    peer.before_answer = lambda: os.kill(two._process.pid, signal.SIGKILL)
    with pytest.raises(AssertionError, match="process with Odoo's ORM ended"):
        two(SEND)
    peer.before_answer = lambda: None
    assert len(peer.ids) == 1
    (row,) = one(LOOK.replace("like", "=").replace("live:", "live:last"))
    assert row["state"] == "sending"

    # Nobody touches it as long as the worker could still be alive; then, once more.
    one(SEND)
    assert len(peer.ids) == 1
    for _again in range(2):
        one(
            """
            env.cr.execute(
                "UPDATE qms_notification"
                "   SET claimed_at = claimed_at - interval '16 minutes'"
                " WHERE key = 'live:last'"
            )
            result = True
            """
        )
        one(SEND)
    assert len(peer.ids) == 2
    assert len(set(peer.ids)) == 1, "the receiver can tell that it is the same"
    (row,) = one(LOOK.replace("like", "=").replace("live:", "live:last"))
    assert (row["state"], row["losses"]) == ("sent", 1)
