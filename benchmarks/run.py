#!/usr/bin/env python3
"""Measure what DESIGN.md sets budgets for, against a real Odoo.

Brings up Odoo on a scratch database, measures, prints a table, writes a JSON file and
takes everything down again. Exit code: 0 within all budgets, 1 over one of them,
2 usage, 3 it could not be measured, 130 interrupted. How to read the table: README.md.
"""

import argparse
import base64
import contextlib
import datetime
import gc
import http.client
import itertools
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import escalation
import psycopg2
from measures import (
    MeasureError,
    Spread,
    compare,
    count_queries,
    make_log,
    own_time,
    peak_memory,
    relay,
    run_command,
    seconds,
)
from psycopg2.extras import execute_values
from scratch_odoo import ROOT, ScratchError, scratch_odoo

SOP_CODE = "SOP-TRIAGE-001"

# "Numbers to stay under" of DESIGN.md, and the classification limit of the issue
# that brought it.
START_RUN_RATIO = 2.0
GET_RUN_RATIO = 1.15
SCRIPT_SECONDS = 0.150
SCRIPT_MEGABYTES = 60
CLASSIFY_SECONDS = 3.0
CLASSIFY_BYTES = 10_000_000
# At least 20 documents of 30 steps per second.
IMPORT_MILLISECONDS = 50
IMPORT_DOCUMENTS = 200
IMPORT_STEPS = 30
# At least 50,000 events per second.
AUDIT_MICROSECONDS = 20
AUDIT_EVENTS = 100_000
AUDIT_LENGTH = 10
# Eight on one run wait for their turn, and not for much else.
CONTENTION_RATIO = 2.0
CLIENTS = 8
CONTENTION_ACTS = 20
BUNDLE_EVENTS = 10_000
BUNDLE_SECONDS = 30
# With 100,000 open runs, 1,000 of them due, as with 1,000 that are all due.
ESCALATION_RATIO = 1.3
# What an alert that is taken in is answered with, and how many runs a list is cut from.
ALERT_STATUS = 202
LISTED_RUNS = 100_000

# One run a minute, most of them completed, of all severities and categories.
_FILL_RUNS = """
INSERT INTO qms_sop_run (name, sop_id, state, active, severity_id, category_id,
                         error_code_id, trigger, user_id, company_id, start_time,
                         end_time, duration, lock_version, create_date, write_date)
     SELECT 'FILLED-' || n, sop.id,
            CASE WHEN mod(n, 10) = 0 THEN 'failed' WHEN mod(n, 17) = 0 THEN 'cancelled'
                 ELSE 'completed' END,
            true, severity.ids[1 + mod(n, 4)], category.ids[1 + mod(n, 5)],
            code.ids[1 + mod(n, array_length(code.ids, 1))], 'automated', 2, 1,
            now() - n * interval '1 minute',
            now() - n * interval '1 minute' + interval '30 minutes', 30, 1, now(), now()
       FROM generate_series(1, %(count)s) n,
            (SELECT id FROM qms_sop_document
              WHERE code = %(sop)s AND state = 'approved') sop,
            (SELECT array_agg(id) AS ids FROM qms_severity) severity,
            (SELECT array_agg(id) AS ids FROM qms_error_category) category,
            (SELECT array_agg(id) AS ids FROM qms_error_code) code;
INSERT INTO qms_sop_run_step (run_id, step_id, sequence, state)
     SELECT run.id, step.id, step.sequence, 'completed'
       FROM qms_sop_run run
       JOIN qms_sop_step step ON step.document_id = run.sop_id
      WHERE run.name LIKE 'FILLED-%%'
"""
_REMOVE_RUNS = """
DELETE FROM qms_sop_run_step step USING qms_sop_run run
 WHERE run.id = step.run_id AND run.name LIKE 'FILLED-%%';
DELETE FROM qms_sop_run WHERE name LIKE 'FILLED-%%'
"""


@dataclass
class Row:
    """One line of the table.

    :ivar str name: what was measured
    :ivar float value: what counts, in ``unit``
    :ivar float low: first quartile of ``value``; None: measured once
    :ivar float high: third quartile of ``value``; None: measured once
    :ivar str unit: ``x`` (a ratio), ``µs``, ``ms``, ``s`` or ``MB``
    :ivar float budget: ``value`` must not exceed it; None: for information
    :ivar str note: what it came from
    """

    name: str
    value: float
    unit: str
    budget: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""

    @property
    def passed(self):
        """Tell whether the value is within its budget."""
        return self.budget is None or self.value <= self.budget


def _rpc(connection, url=None):
    models = xmlrpc.client.ServerProxy(f"{url or connection.url}/xmlrpc/2/object")

    def call(model, method, *args, **kwargs):
        return models.execute_kw(
            connection.db, connection.uid, connection.key, model, method, args, kwargs
        )

    return call


def _ratio_row(name, comparison, budget, queries):
    return Row(
        name,
        comparison.ratio.median,
        "x",
        budget,
        comparison.ratio.low,
        comparison.ratio.high,
        f"{1000 * comparison.subject.median:.1f} ms, {queries[0]} queries"
        f" : {1000 * comparison.baseline.median:.1f} ms, {queries[1]} queries",
    )


def bench_start_run(connection, options):
    """Starting a run against creating one bare record, both over XML-RPC."""
    call = _rpc(connection)
    numbers = itertools.count()

    def start_run():
        return call(
            "qms.sop.run",
            "start_run",
            SOP_CODE,
            error_code="DB_CONNECTION_LEAK",
            severity="high",
            trigger="manual",
            source="benchmark",
            idempotency_key=str(uuid.uuid4()),
        )

    def create_industry():
        return call(
            "res.partner.industry", "create", {"name": f"Industry {next(numbers)}"}
        )

    run = start_run()
    if len(run["steps"]) != 6:
        raise MeasureError(f"{SOP_CODE} has {len(run['steps'])} steps, not six.")
    comparison = compare(start_run, create_industry, options.pairs, options.warm_up)
    queries = [
        count_queries(connection, f"POST /xmlrpc/2/object#{method}", one)
        for method, one in (
            ("qms.sop.run.start_run", start_run),
            ("res.partner.industry.create", create_industry),
        )
    ]
    yield _ratio_row(
        "start_run, 6 steps : create one res.partner.industry",
        comparison,
        START_RUN_RATIO,
        queries,
    )


class _Bearer:
    """Calls REST routes of the scratch server, on one connection.

    :param Connection connection: the server
    """

    def __init__(self, connection):
        address = urlsplit(connection.url)
        self._client = http.client.HTTPConnection(address.hostname, address.port)
        self._headers = {"Authorization": f"Bearer {connection.key}"}

    def __call__(self, method, path, body=None, status=200):
        """Return the JSON of an answer.

        :param str method: HTTP method
        :param str path: path and query
        :param body: what is sent as JSON, if anything
        :param int status: the HTTP status that the answer must have
        :raise MeasureError: it has another one
        """
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
            headers["Idempotency-Key"] = str(uuid.uuid4())
            body = json.dumps(body)
        # The client reconnects when the server closes, as threaded Odoo does.
        self._client.request(method, path, body, headers)
        response = self._client.getresponse()
        answer = response.read()
        if response.status != status:
            raise MeasureError(f"{method} {path}: {response.status} {answer[:300]}")
        return json.loads(answer)


def _against_floor(connection, options, name, subject, request, budget=None):
    """Compare a request with the least an authenticated API can do.

    :param str name: of the row
    :param subject: function without arguments that makes the request
    :param str request: method and path under which the server logs it
    :rtype: Row
    """
    call = _Bearer(connection)
    path = f"/bench/v1/industries/{connection.industry_id}"

    def floor():
        return call("GET", path)

    if floor()["id"] != connection.industry_id:
        raise MeasureError(f"GET {path} gave another record")
    comparison = compare(subject, floor, options.pairs, options.warm_up)
    queries = [
        count_queries(connection, logged, one)
        for logged, one in ((request, subject), (f"GET {path}", floor))
    ]
    return _ratio_row(f"{name} : bearer route, one record", comparison, budget, queries)


def bench_get_run(connection, options):
    """Reading a run over REST against a bearer route that reads one record."""
    run = _rpc(connection)("qms.sop.run", "start_run", SOP_CODE)
    call = _Bearer(connection)
    path = f"/api/v1/sop-runs/{run['id']}"
    found = call("GET", path)
    if found["id"] != run["id"] or found["state"] != "in_progress":
        raise MeasureError(f"GET {path} gave {found}")
    yield _against_floor(
        connection,
        options,
        "GET sop-runs/<id>",
        lambda: call("GET", path),
        f"GET {path}",
        GET_RUN_RATIO,
    )


def bench_api(connection, options):
    """Opening runs over REST, by hand and by an alert, and listing 100,000."""
    call = _Bearer(connection)
    numbers = itertools.count()

    def post():
        body = {"sop_code": SOP_CODE, "error_code": "DB_CONNECTION_LEAK"}
        return call("POST", "/api/v1/sop-runs", body, status=201)

    if len(post()["steps"]) != 6:
        raise MeasureError(f"POST sop-runs gave {post()}")
    yield _against_floor(
        connection, options, "POST sop-runs, 6 steps", post, "POST /api/v1/sop-runs"
    )

    def deliver(fingerprint):
        alert = {
            "status": "firing",
            "labels": {"alertname": "HighErrorRate", "severity": "critical"},
            "annotations": {"summary": "Errors above 5 %"},
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph",
            "fingerprint": fingerprint,
        }
        body = {
            "version": "4",
            "groupKey": "{}:{}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "qms",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example",
            "alerts": [alert],
        }
        path = "/api/v1/alerts/alertmanager"
        return call("POST", path, body, status=ALERT_STATUS)

    for what, subject in (
        ("of a new outage", lambda: deliver(f"{next(numbers):016x}")),
        ("of a known outage", lambda: deliver("f" * 16)),
    ):
        yield _against_floor(
            connection,
            options,
            f"POST alert {what}",
            subject,
            "POST /api/v1/alerts/alertmanager",
        )

    _change_database(connection, options, _FILL_RUNS)
    for what, query in (
        ("newest", ""),
        ("completed, critical", "&state=completed&severity=critical"),
        ("with steps", "&include=steps"),
    ):
        path = f"/api/v1/sop-runs?limit=50{query}"
        if len(call("GET", path)["items"]) != 50:
            raise MeasureError(f"GET {path} gave less than 50 runs")
        yield _against_floor(
            connection,
            options,
            f"GET 50 of {LISTED_RUNS:,} sop-runs, {what}",
            lambda path=path: call("GET", path),
            f"GET {path}",
        )
    # The verification of the audit trail would find them, who have none.
    _change_database(connection, options, _REMOVE_RUNS)


def _change_database(connection, options, statements):
    """Execute SQL on the scratch database, and update its statistics."""
    database = psycopg2.connect(
        host=options.pg_host, user=options.pg_user, dbname=connection.db
    )
    with database, database.cursor() as cursor:
        cursor.execute(statements, {"count": LISTED_RUNS, "sop": SOP_CODE})
    database.autocommit = True
    with database.cursor() as cursor:
        cursor.execute("ANALYZE")
    database.close()


def _script_arguments(connection, run_id):
    """Return the arguments of each script for one useful call."""
    return {
        "create_sop_run.py": ["--sop-code", SOP_CODE, "--severity", "high"],
        "update_sop_run.py": ["--run-id", run_id, "--summary", "benchmark"],
        "create_rca.py": [
            *("--run-id", run_id, "--error-code", "DB_CONNECTION_LEAK"),
            *("--root-cause", "Exception handling doesn't close DB connections"),
            *("--contributing-factors", "High traffic, inefficient queries"),
        ],
        "update_error_code.py": [
            *("--code", "BENCHMARK_CODE", "--severity", "low"),
            *("--category", "UNKNOWN", "--description", "Made by the benchmark"),
        ],
        "health_check.py": ["--url", f"{connection.url}/web/health", "--open-run"],
    }


def bench_scripts(connection, options):
    """Own time and memory of every script, around the call it makes."""
    with relay(connection.url) as server:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("ODOO_")},
            "ODOO_URL": server.url,
            "ODOO_DB": connection.db,
            "ODOO_USER": connection.login,
            "ODOO_API_KEY": connection.key,
            # The remembered user id belongs to this run of the benchmark.
            "XDG_CACHE_HOME": str(options.folder / "cache"),
        }
        bare = own_time(
            [sys.executable, "-c", "pass"], environment, server, options.script_runs
        )
        yield Row(
            "python -c pass",
            1000 * bare.least,
            "ms",
            None,
            1000 * bare.low,
            1000 * bare.high,
            f"{peak_memory([sys.executable, '-c', 'pass'], environment):.1f} MB",
        )
        new_run = [
            *(sys.executable, ROOT / "scripts" / "create_sop_run.py"),
            *("--sop-code", SOP_CODE),
        ]
        run_id = run_command(new_run, environment).strip()
        relayed = argparse.Namespace(url=server.url)
        for name, arguments in _script_arguments(relayed, run_id).items():
            command = [sys.executable, ROOT / "scripts" / name, *arguments]
            own = own_time(command, environment, server, options.script_runs)
            yield Row(
                f"{name}: own time",
                # The work is the same each time, so what is above the fastest run
                # was other processes'.
                1000 * own.least,
                "ms",
                1000 * SCRIPT_SECONDS,
                1000 * own.low,
                1000 * own.high,
                "with the interpreter's start, without the server's answer",
            )
            memory = peak_memory(command, environment)
            yield Row(f"{name}: peak memory", memory, "MB", SCRIPT_MEGABYTES)


def bench_classify(connection, options):
    """Classifying a large log: without errors, with some, and of errors only."""
    call = _rpc(connection)
    kinds = f"{len(connection.examples)} kinds"
    for what, samples, every in (
        ("no errors", (), 1),
        (f"{kinds} of error in every 500th line", connection.examples, 500),
        (f"{kinds} of error in every line", connection.examples, 1),
    ):
        text = make_log(CLASSIFY_BYTES, samples, every)
        found = call("qms.error.code", "classify", text[:100_000])
        took = Spread.of(
            [
                seconds(lambda text=text: call("qms.error.code", "classify", text))
                for _ in range(5)
            ]
        )
        yield Row(
            f"classify 10 MB of log, {what}",
            took.least,
            "s",
            CLASSIFY_SECONDS,
            took.low,
            took.high,
            f"with its transfer; best: {found[0]['code'] or found[0]['category']}",
        )


def _make_sop(number):
    """Return an SOP of 30 steps as Markdown."""
    steps = "".join(
        f"### Step {step}: Do part {step} (5 min)\n\n"
        f"**Objective**: part {step} is done\n\n"
        f"Read this first, then run:\n\n```bash\necho {step} of {number}\n```\n\n"
        f"**Expected result**:\n- part {step} is there\n\n"
        f"**Verification**:\n```bash\ntest -e part{step}\n```\n\n"
        for step in range(1, IMPORT_STEPS + 1)
    )
    return (
        f"# SOP-BULK-{number:04d}: Generated {number}\n\n"
        "**Version**: 1.0.0\n**Owner**: Benchmark\n\n"
        f"## Purpose\n\nTo be measured.\n\n## Procedure\n\n{steps}"
    )


def bench_import(connection, options):
    """Importing SOPs from Markdown: new ones, then the same files again."""
    call = _rpc(connection)
    contents = [
        base64.b64encode(_make_sop(number).encode()).decode()
        for number in range(IMPORT_DOCUMENTS)
    ]

    def load(number, status):
        answer = call(
            "qms.sop.document", "import_markdown", f"{number}.md", contents[number]
        )
        if answer["status"] != status:
            raise MeasureError(f"document {number} was {answer['status']}")

    for what, status, budget in (
        ("new", "created", IMPORT_MILLISECONDS),
        ("unchanged", "unchanged", None),
    ):
        took = Spread.of(
            [
                seconds(lambda number=number, status=status: load(number, status))
                for number in range(IMPORT_DOCUMENTS)
            ]
        )
        yield Row(
            f"import an SOP of {IMPORT_STEPS} steps from Markdown, {what}",
            1000 * took.median,
            "ms",
            budget,
            1000 * took.low,
            1000 * took.high,
            f"{IMPORT_DOCUMENTS} documents, with their transfer",
        )


def _load_chain():
    """Return the module of the add-on that chains events."""
    sys.path.insert(0, str(ROOT / "qms_sop" / "tools"))
    import audit_chain

    return audit_chain


def _add_events(cursor, connection, place, head, count, kind="state"):
    """Add events of a usual size to a trail, and move its head.

    :param tuple place: model and id of the record
    :param tuple head: number and hash of its last event; ``(0, None)`` for a new one
    :param int count: how many
    """
    audit_chain = _load_chain()
    columns = (
        *audit_chain.COLUMNS,
        *("hash_version", "previous_hash", "hash", "content"),
    )
    keys = audit_chain.Keys(os.environ.get("QMS_AUDIT_KEY", ""))
    now = datetime.datetime.now(datetime.timezone.utc)
    now = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    model, root_id = place
    (last, previous), rows = head, []
    previous = previous or audit_chain.GENESIS
    for sequence in range(last + 1, last + count + 1):
        said = {
            **dict.fromkeys(("root_model", "model"), model),
            **{"root_id": root_id, "res_id": root_id, "sequence": sequence},
            **{"root_name": f"RUN-{root_id:06d}", "kind": kind},
            **{"user_id": connection.uid, "company_id": None},
            **{"occurred_at": now, "recorded_at": now, "channel": "xmlrpc"},
            "changes": {
                "actual_result": [None, "The pool was empty. " * 10],
                "next_state": ["in_progress", "completed"],
                "user_id": [None, {"id": 7, "name": "Automation"}],
            },
        }
        content = audit_chain.canonical(said)
        digest = keys.digest(keys.version, previous, content)
        values = [said[name] for name in audit_chain.COLUMNS]
        rows.append((*values, keys.version, previous, digest, content))
        previous = digest
    execute_values(
        cursor, f"INSERT INTO qms_audit_event ({', '.join(columns)}) VALUES %s", rows
    )
    cursor.execute(
        "INSERT INTO qms_audit_head (root_model, root_id, sequence, hash)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT (root_model, root_id)"
        " DO UPDATE SET sequence = EXCLUDED.sequence, hash = EXCLUDED.hash",
        [model, root_id, last + count, previous],
    )


def _fill_trail(connection, options):
    """Fill the audit trail with events of a usual size, in trails of ten.

    :return: number of events
    :rtype: int
    """
    with _database(connection, options) as cursor:
        for root_id in range(1, AUDIT_EVENTS // AUDIT_LENGTH + 1):
            place = "bench.audit", root_id
            _add_events(cursor, connection, place, (0, None), AUDIT_LENGTH)
    return AUDIT_EVENTS


@contextlib.contextmanager
def _database(connection, options):
    """Return a cursor of the database; what it did is committed at the end."""
    database = psycopg2.connect(
        host=options.pg_host, user=options.pg_user, dbname=connection.db
    )
    with contextlib.closing(database), database, database.cursor() as cursor:
        yield cursor


def bench_bundle(connection, options):
    """Taking an auditor bundle of a run with a long trail, and verifying it."""
    call = _rpc(connection)
    run_id = call("qms.sop.run", "start_run", SOP_CODE)["id"]
    with _database(connection, options) as cursor:
        cursor.execute(
            "SELECT sequence, hash FROM qms_audit_head"
            " WHERE root_model = 'qms.sop.run' AND root_id = %s",
            [run_id],
        )
        _add_events(
            cursor,
            connection,
            ("qms.sop.run", run_id),
            cursor.fetchone(),
            BUNDLE_EVENTS,
            "entry",
        )
    found = call("qms.audit.event", "verify", "qms.sop.run", run_id)
    if found["state"] != "passed":
        raise MeasureError(f"trail of run {run_id}: {found}")
    answers, took = [], []
    for _time in range(3):
        took.append(
            seconds(
                lambda: answers.append(
                    call("qms.audit.bundle", "export_bundle", [run_id])
                )
            )
        )
    if len({answer["sha256"] for answer in answers}) != 1:
        raise MeasureError("the same run made different bundles")
    spread = Spread.of(took)
    yield Row(
        f"take a bundle of {BUNDLE_EVENTS} events",
        spread.median,
        "s",
        BUNDLE_SECONDS,
        spread.low,
        spread.high,
        f"{answers[0]['size'] / 1e6:.1f} MB, over XML-RPC",
    )
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(base64.b64decode(answers[0]["content"]))
        file.flush()
        script = ROOT / "scripts" / "verify_bundle.py"
        command = [
            *(sys.executable, "-I", str(script), file.name),
            *("--manifest-sha256", answers[0]["manifest_sha256"]),
        ]
        took = []
        for _time in range(3):
            done = []
            took.append(
                seconds(
                    lambda done=done: done.append(
                        subprocess.run(command, capture_output=True, text=True)
                    )
                )
            )
            if not done[0].stdout.endswith("\nPROVED\n"):
                raise MeasureError(f"verify_bundle.py: {done[0].stdout[-500:]}")
    spread = Spread.of(took)
    yield Row(
        "prove that bundle offline",
        spread.median,
        "s",
        None,
        spread.low,
        spread.high,
        "verify_bundle.py, from its start to its end",
    )


def bench_contention(connection, options):
    """Eight clients at once, on one run and on eight."""
    call = _rpc(connection)
    body = {"error_message": "Oh", "error_code": "STEP_FAILURE"}

    def over_rpc(run_id):
        _rpc(connection)("qms.sop.run", "log_error", [run_id], *body.values())

    def over_rest(run_id):
        path = f"/api/v1/sop-runs/{run_id}/errors"
        _Bearer(connection)("POST", path, body, status=201)

    for kind, act in (("XML-RPC", over_rpc), ("REST", over_rest)):
        alone = _log_errors(call, act, clients=1, runs=1)
        together = _log_errors(call, act, CLIENTS, runs=1)
        apart = _log_errors(call, act, CLIENTS, runs=CLIENTS)
        for what, took in (("one run", together), ("eight runs", apart)):
            spread = Spread.of(took)
            yield Row(
                f"log an error, {CLIENTS} clients on {what}, {kind}",
                1000 * spread.median,
                "ms",
                None,
                1000 * spread.low,
                1000 * spread.high,
                f"{len(took)} calls, all in the trail; the slowest "
                f"{1000 * max(took):.0f} ms; one client alone "
                f"{1000 * Spread.of(alone).median:.1f} ms",
            )
        one, eight = Spread.of(together).high, Spread.of(apart).high
        yield Row(
            f"upper quartile, one run : eight runs, {kind}",
            one / eight,
            "x",
            CONTENTION_RATIO,
            note=f"{1000 * one:.1f} ms : {1000 * eight:.1f} ms",
        )


def _log_errors(call, act, clients, runs):
    """Let clients log errors all at once.

    :param call: see :func:`_rpc`
    :param act: function that logs an error in a run, given its id
    :param int clients: how many
    :param int runs: how many runs they share
    :return: how long the calls took, in seconds
    :rtype: list[float]
    :raise MeasureError: one of them is not in the trail, or the trail has a gap
    """
    ids = [call("qms.sop.run", "start_run", SOP_CODE)["id"] for _number in range(runs)]

    def write(client):
        run_id = ids[client % runs]
        return [seconds(lambda: act(run_id)) for _act in range(CONTENTION_ACTS)]

    with ThreadPoolExecutor(clients) as pool:
        took = [one for each in pool.map(write, range(clients)) for one in each]
    for run_id in ids:
        found = call("qms.audit.event", "verify", "qms.sop.run", run_id)
        expected = 1 + len(took) // runs
        if (found["state"], found["events"]) != ("passed", expected):
            raise MeasureError(f"trail of run {run_id}: {found}")
    return took


def bench_audit(connection, options):
    """Verifying the audit trail."""
    call = _rpc(connection)
    events = _fill_trail(connection, options)
    call("qms.audit.event", "verify", "bench.audit")
    took = []
    for _time in range(3):
        found = call("qms.audit.event", "verify", "bench.audit")
        if (found["state"], found["events"]) != ("passed", events):
            raise MeasureError(f"verification: {found}")
        # Of one core, as the promise is; the database reads on another one meanwhile.
        took.append(found["cpu_seconds"] / events)
    spread = Spread.of(took)
    yield Row(
        "verify the audit trail, one event",
        1e6 * spread.least,
        "µs",
        AUDIT_MICROSECONDS,
        1e6 * spread.low,
        1e6 * spread.high,
        f"{events} events, {1 / spread.least:.0f} a second; the last time"
        f" in {found['seconds']:.2f} s",
    )


def bench_escalation(connection, options):
    """A pass of the job that tells people of runs, among many and few open ones."""
    call = _Bearer(connection)
    database = {
        "host": options.pg_host,
        "user": options.pg_user,
        "dbname": connection.db,
    }
    ratio, many, few = escalation.measure(
        lambda path: call("POST", path, {}), database, SOP_CODE
    )
    took = [Spread.of([one["seconds"] for one in passes]) for passes in (many, few)]
    yield Row(
        f"escalation, {escalation.DUE:,} due of {escalation.OPEN:,} open : of as many",
        ratio.median,
        "x",
        ESCALATION_RATIO,
        ratio.low,
        ratio.high,
        " : ".join(
            f"{spread.median:.2f} s, {passes[0]['queries']} queries"
            for spread, passes in zip(took, (many, few), strict=True)
        ),
    )
    grown = [Spread.of([one["megabytes"] for one in passes]) for passes in (many, few)]
    yield Row(
        f"growth of the process in a pass, {escalation.OPEN:,} open",
        grown[0].median,
        "MB",
        None,
        grown[0].low,
        grown[0].high,
        f"with {escalation.DUE:,} open: {grown[1].median:.1f} MB",
    )


BENCHES = {
    "start": bench_start_run,
    "get": bench_get_run,
    "api": bench_api,
    "scripts": bench_scripts,
    "classify": bench_classify,
    "import": bench_import,
    "contention": bench_contention,
    "audit": bench_audit,
    "escalation": bench_escalation,
    "bundle": bench_bundle,
}


def _number(value, unit):
    digits = {"x": 3, "ms": 1, "s": 2, "MB": 1, "µs": 1}[unit]
    return f"{value:.{digits}f}"


def print_table(rows):
    """Print the rows, aligned, one line each."""
    cells = [("what", "value", "quartiles", "budget", "", "from")]
    for row in rows:
        quartiles = ""
        if row.low is not None:
            quartiles = f"{_number(row.low, row.unit)} - {_number(row.high, row.unit)}"
        verdict = "" if row.budget is None else "ok" if row.passed else "OVER"
        budget = "" if row.budget is None else f"{row.budget:g} {row.unit}"
        value = f"{_number(row.value, row.unit)} {row.unit}"
        cells.append((row.name, value, quartiles, budget, verdict, row.note))
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    for line in cells:
        name, *numbers, note = line
        print(
            "  ".join(
                [
                    name.ljust(widths[0]),
                    *(
                        number.rjust(width)
                        for number, width in zip(numbers, widths[1:], strict=True)
                    ),
                    note,
                ]
            ).rstrip()
        )


def write_json(rows, options, took):
    """Write the rows and where they were measured.

    :param dict took: seconds, by what they were spent on
    :return: path of the new file
    :rtype: Path
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    path = options.folder / f"bench-{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(
        json.dumps(
            {
                "measured_at": now.isoformat(timespec="seconds"),
                "python": platform.python_version(),
                "machine": platform.machine(),
                "cpus": os.cpu_count(),
                "pairs": options.pairs,
                "script_runs": options.script_runs,
                "seconds": {name: round(value, 1) for name, value in took.items()},
                "rows": [{**asdict(row), "passed": row.passed} for row in rows],
            },
            indent=2,
        )
        + "\n"
    )
    return path


def _at_least(limit):
    def parse(text):
        value = int(text)
        if value < limit:
            raise argparse.ArgumentTypeError(f"{text} is less than {limit}")
        return value

    parse.__name__ = "integer"
    return parse


def parse_arguments(arguments=None):
    """Read the command line; argparse exits with 2 on a mistake."""
    made = ROOT / ".qms"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "benches", nargs="*", metavar="BENCH", help=f"of {', '.join(BENCHES)}"
    )
    parser.add_argument("--pairs", type=_at_least(4), default=300)
    parser.add_argument("--warm-up", type=_at_least(1), default=20)
    parser.add_argument("--script-runs", type=_at_least(4), default=15)
    parser.add_argument(
        "--odoo",
        type=Path,
        default=os.environ.get("ODOO_HOME")
        or made / "odoo/usr/lib/python3/dist-packages",
        help="folder with Odoo 19; default: ODOO_HOME, else the one `make up` got",
    )
    parser.add_argument(
        "--pg-host", default=os.environ.get("QMS_PG_HOST") or str(made / "pg" / "run")
    )
    parser.add_argument("--pg-user", default=os.environ.get("QMS_PG_USER") or "odoo")
    parser.add_argument(
        "--template", default="template0", help="database to start from"
    )
    parser.add_argument(
        "--folder", type=Path, default=made / "bench", help="for logs and results"
    )
    options = parser.parse_args(arguments)
    unknown = set(options.benches) - set(BENCHES)
    if unknown:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    options.benches = options.benches or list(BENCHES)
    return options


def main(arguments=None):
    """Run the benchmarks of the command line.

    :return: exit code, see the module
    :rtype: int
    """
    options = parse_arguments(arguments)
    # Whoever ends this ends it as Ctrl-C does: Odoo is stopped on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    gc.disable()
    rows, took, began = [], {}, time.monotonic()
    try:
        print("Bringing up Odoo on a scratch database ...", file=sys.stderr)
        with scratch_odoo(
            options.odoo,
            options.pg_host,
            options.pg_user,
            options.template,
            options.folder,
        ) as connection:
            took["odoo"] = time.monotonic() - began
            for name in options.benches:
                print(f"Measuring {name} ...", file=sys.stderr)
                began = time.monotonic()
                rows += BENCHES[name](connection, options)
                took[name] = time.monotonic() - began
    except (ScratchError, MeasureError) as error:
        print_table(rows)
        print(error, file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    print_table(rows)
    print(f"\n{write_json(rows, options, took)}")
    spent = ", ".join(f"{name} {value:.0f}" for name, value in took.items())
    print(f"It took {sum(took.values()):.0f} s: {spent}.", file=sys.stderr)
    over = [row.name for row in rows if not row.passed]
    if over:
        print(f"Over budget: {'; '.join(over)}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
