"""The example service fails, and is healed, the way its README says."""

import difflib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psycopg2
import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
sys.path.insert(0, str(EXAMPLES))

from service_process import (  # noqa: E402
    LOAD,
    SERVICE,
    ServiceError,
    ServiceProcess,
    temporary_database,
)


@pytest.fixture(scope="module")
def dsn():
    host = os.environ.get("QMS_PG_HOST") or str(ROOT / ".qms" / "pg" / "run")
    user = os.environ.get("QMS_PG_USER") or "odoo"
    with temporary_database("leaky_test", host=host, user=user) as dsn:
        yield dsn


@pytest.fixture
def start(dsn, tmp_path):
    services = []

    def start(variant, port=0):
        services.append(
            ServiceProcess(variant, dsn, tmp_path / f"{variant}.log", port=port)
        )
        return services[-1]

    yield start
    for service in services:
        service.stop()


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def put_load_on(url, *arguments):
    done = subprocess.run(
        [sys.executable, LOAD, "--url", url, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sessions(dsn):
    """Return the states of the service's database sessions, sorted."""
    connection = psycopg2.connect(dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name LIKE 'leaky_service %' ORDER BY 1"
            )
            return [state for (state,) in cursor.fetchall()]
    finally:
        connection.close()


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def test_leaky_variant_exhausts_its_pool_under_load(start, dsn):
    service = start("leaky")
    assert get(f"{service.url}/health")[0] == 200

    load = put_load_on(service.url)

    assert load["requests"] == 60
    assert load["orders"]["504"] >= 20, "every cancelled query leaks one connection"
    status, body = get(f"{service.url}/health")
    assert status == 500
    assert body["error"] == "connection pool exhausted"
    assert body["pool"]["in_use"] == body["pool"]["max"] == 20
    # PostgreSQL sees the same as the pool: transactions nobody ended.
    assert sessions(dsn) == ["idle in transaction (aborted)"] * 20

    wait_for(lambda: service.log.read_text().count("connection leak detected") == 20)
    log = service.log.read_text()
    assert "psycopg2.errors.QueryCanceled" in log
    assert "psycopg2.pool.PoolError: connection pool exhausted" in log
    leak = re.search(r"^(\S+) WARNING pool (connection leak detected: .*)$", log, re.M)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", leak[1])
    assert "find_orders (orders_leaky.py:" in leak[2]
    assert "never returned; " in leak[2]


def test_fixed_variant_keeps_its_pool_under_the_same_load(start, dsn):
    service = start("fixed")

    load = put_load_on(service.url)

    assert load["health"] == {"200": 6}
    assert set(load["orders"]) == {"200", "504"}
    assert load["orders"]["504"] >= 20, "the load must exceed the pool to prove a thing"
    status, body = get(f"{service.url}/health")
    assert (status, body["status"]) == (200, "ok")
    assert body["pool"] == {"max": 20, "in_use": 0, "leaked": 0}
    assert set(sessions(dsn)) == {"idle"}
    log = service.log.read_text()
    assert "QueryCanceled" in log
    assert "leak detected" not in log
    assert "PoolError" not in log


def test_variants_differ_only_in_how_the_connection_is_returned():
    leaky, fixed = (
        (EXAMPLES / "leaky_service" / f"orders_{variant}.py").read_text().splitlines()
        for variant in ("leaky", "fixed")
    )
    changes = [
        line
        for line in difflib.unified_diff(leaky, fixed, n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    assert changes == [
        "-        pool.putconn(connection)",
        "+    finally:",
        "+        pool.putconn(connection)",
    ]
    shown = subprocess.run(
        ["diff", "orders_leaky.py", "orders_fixed.py"],
        cwd=SERVICE.parent,
        capture_output=True,
        text=True,
    )
    assert shown.stdout in SERVICE.with_name("README.md").read_text()


def test_service_answers_orders_and_refuses_nonsense(start):
    url = start("fixed").url
    status, body = get(f"{url}/orders?customer=3")
    assert status == 200
    totals = [float(order["running_total"]) for order in body["orders"]]
    assert len(totals) == 4
    assert totals[-1] == pytest.approx(sum(float(o["amount"]) for o in body["orders"]))
    assert get(f"{url}/orders?customer=999999999")[1]["orders"] == []
    for nonsense in ("", "-1", "two", "1234567890", "%D9%A3"):
        status, body = get(f"{url}/orders?customer={nonsense}")
        assert status == 400, nonsense
        assert "is not a number of up to 9 digits" in body["error"]
    assert get(f"{url}/nothing")[0] == 404


def test_service_ends_in_order_when_told_to(start, dsn):
    service = start("leaky")
    get(f"{service.url}/orders?customer=1")
    assert service.stop() == 0
    assert "closing the pool, 1 connection(s) in use" in service.log.read_text()
    wait_for(lambda: sessions(dsn) == [])


def test_service_takes_the_port_of_its_predecessor(start):
    first = start("leaky")
    first.stop()
    assert start("fixed", port=int(first.url.rpartition(":")[2])).url == first.url


def test_service_that_cannot_start_says_why_in_a_sentence(dsn, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ServiceError, match=r"cannot start: .*already in use"):
            ServiceProcess("fixed", dsn, tmp_path / "log", taken.getsockname()[1])
    with pytest.raises(ServiceError, match=r"cannot start: .*does not exist") as error:
        ServiceProcess("fixed", f"{dsn} dbname=leaky_test_none", tmp_path / "log")
    assert "Traceback" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--variant", "half"], "invalid choice: 'half'"),
        (["--variant", "leaky", "--pool-max", "0"], "positive int value: '0'"),
    ],
)
def test_service_refuses_wrong_options(arguments, complaint):
    done = subprocess.run(
        [sys.executable, SERVICE, "--dsn", "dbname=none", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert complaint in done.stderr


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1", "http://example.org", "https://127.0.0.1", "file:///etc", "x"],
)
def test_load_stays_on_this_machine(url):
    done = subprocess.run(
        [sys.executable, LOAD, "--url", url], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "is not an http URL on this machine" in done.stderr


@pytest.mark.parametrize("option", ["--requests=1001", "--concurrency=17"])
def test_load_is_bounded(option):
    done = subprocess.run(
        [sys.executable, LOAD, "--url", "http://127.0.0.1:1", option],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "is not between 1 and" in done.stderr
