"""The benchmark's instruments measure what they say."""

import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import measures  # noqa: E402
import run as bench  # noqa: E402
from scratch_odoo import Connection  # noqa: E402


@pytest.fixture
def slow_server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            time.sleep(0.3)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_ratio_is_that_of_pairs():
    calls = []

    def take(name, duration):
        def call():
            calls.append(name)
            time.sleep(duration)

        return call

    found = measures.compare(take("a", 0.03), take("b", 0.01), pairs=6, warm_up=1)
    assert found.ratio.median == pytest.approx(3, rel=0.3)
    assert found.ratio.low <= found.ratio.median <= found.ratio.high
    # After the warm-up each pair has both, and the order alternates.
    assert calls[2:] == ["b", "a", "a", "b"] * 3


def test_own_time_leaves_the_waiting_out(slow_server):
    with measures.relay(slow_server) as relay:
        code = f"import urllib.request as r; r.urlopen('{relay.url}/x').read()"
        own = measures.own_time([sys.executable, "-c", code], {}, relay, times=4)
        waited = relay.spent
    assert waited >= 6 * 0.3, "two warm-up runs and four that count"
    assert 0 < own.median < 0.3


def test_peak_memory_sees_what_a_script_allocates():
    small, large = (
        measures.peak_memory([sys.executable, "-c", f"bytearray({size})"], {})
        for size in (1, 50_000_000)
    )
    assert small < 30
    assert large - small == pytest.approx(50, abs=3)


def test_command_that_fails_is_not_measured():
    with pytest.raises(measures.MeasureError, match=r"exit 1: no way"):
        measures.run_command([sys.executable, "-c", "raise SystemExit('no way')"], {})


def test_log_is_the_same_every_time_and_holds_the_samples():
    log = measures.make_log(100_000, ["first kind", "second kind"], every=10)
    assert log == measures.make_log(100_000, ["first kind", "second kind"], every=10)
    assert 99_800 <= len(log) <= 100_000
    lines = log.splitlines()
    assert [n for n, line in enumerate(lines) if " kind" in line] == list(
        range(9, len(lines), 10)
    )
    assert "first kind" in lines[9] and "second kind" in lines[19]
    assert "ERROR" not in measures.make_log(10_000)


def test_queries_are_read_from_the_request_log(tmp_path):
    log = tmp_path / "odoo.log"
    log.write_text(
        '… werkzeug: 127.0.0.1 - - [x] "GET /a HTTP/1.1" 200 - 4 0.002 0.006\n'
        '… werkzeug: 127.0.0.1 - - [x] "POST /xmlrpc/2/object#m.f HTTP/1.1" 200 - 15 '
        "0.004 0.007\n"
        '… werkzeug: 127.0.0.1 - - [x] "GET /a HTTP/1.1" 200 - 7 0.002 0.006\n'
    )
    connection = Connection("", "", "", 1, "", 1, [], log)
    assert connection.queries("GET /a") == [4, 7]
    assert connection.queries("POST /xmlrpc/2/object#m.f") == [15]


def test_row_over_its_budget_fails(capsys):
    rows = [
        bench.Row("within", 1.99, "x", 2.0, 1.9, 2.1),
        bench.Row("over", 2.01, "x", 2.0, 1.9, 2.1),
        bench.Row("for information", 99, "ms"),
    ]
    assert [row.passed for row in rows] == [True, False, True]
    bench.print_table(rows)
    verdicts = re.findall(r"ok|OVER", capsys.readouterr().out)
    assert verdicts == ["ok", "OVER"]


def test_unknown_bench_is_refused():
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "run.py", "nothing"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "no such bench: nothing" in done.stderr


@pytest.mark.parametrize(("value", "code"), [(2.0, 0), (2.01, 1)])
def test_exit_code_and_file_tell_whether_budgets_are_kept(
    monkeypatch, tmp_path, value, code
):
    monkeypatch.setattr(
        bench, "scratch_odoo", lambda *_: contextlib.nullcontext("a connection")
    )
    monkeypatch.setitem(
        bench.BENCHES, "start", lambda *_: [bench.Row("start", value, "x", 2.0)]
    )
    assert bench.main(["start", "--folder", str(tmp_path)]) == code
    (file,) = tmp_path.glob("bench-*.json")
    (row,) = json.loads(file.read_text())["rows"]
    assert (row["value"], row["passed"]) == (value, not code)
