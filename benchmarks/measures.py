"""How the benchmarks measure: pairs, scripts, and throughput."""

import contextlib
import datetime
import http.client
import os
import random
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

# Writes the high-water mark of the interpreter's own memory when it ends. The
# rusage of a child also counts what its parent had before exec, so it is no use here.
_MEMORY_HOOK = """
import atexit, os
def _report(path=os.environ["BENCH_MEMORY_FILE"]):
    with open("/proc/self/status") as status, open(path, "w") as report:
        report.writelines(line for line in status if line.startswith("VmHWM:"))
atexit.register(_report)
"""

_LOG_START = datetime.datetime(2025, 1, 1)


class MeasureError(Exception):
    """What was to be measured did not do what it should."""


@dataclass
class Spread:
    """Smallest value, median and quartiles of a sample."""

    least: float
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        """Summarise at least two values."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(min(values), median, low, high)


@dataclass
class Comparison:
    """Outcome of :func:`compare`; times in seconds."""

    ratio: Spread
    subject: Spread
    baseline: Spread


def seconds(call):
    """Return how long a function without arguments takes, in seconds."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def compare(subject, baseline, pairs, warm_up):
    """Time two calls in pairs, one right after the other, in alternating order.

    Both halves of a pair meet the same machine, so the ratio of a pair does not
    depend on what else the machine does during the run.

    :param subject: function without arguments
    :param baseline: function without arguments
    :param int pairs: number of pairs that count
    :param int warm_up: number of pairs before, that do not count
    :rtype: Comparison
    """
    for _ in range(warm_up):
        subject()
        baseline()
    subjects, baselines = [], []
    for number in range(pairs):
        if number % 2:
            subjects.append(seconds(subject))
            baselines.append(seconds(baseline))
        else:
            baselines.append(seconds(baseline))
            subjects.append(seconds(subject))
    ratios = [one / other for one, other in zip(subjects, baselines, strict=True)]
    return Comparison(Spread.of(ratios), Spread.of(subjects), Spread.of(baselines))


def count_queries(connection, request, call, times=5):
    """Return the number of SQL queries that a call's request makes.

    They are counted by the server, for the whole request with its authentication.

    :param Connection connection: a running server
    :param str request: method and path under which the server logs the call
    :param call: function without arguments that makes one such request
    :return: median of ``times`` calls
    :rtype: int
    :raise MeasureError: the server did not log the requests
    """
    before = len(connection.queries(request))
    for _ in range(times):
        call()
    # The line is written after the answer was sent.
    deadline = time.monotonic() + 10
    while len(counts := connection.queries(request)[before:]) < times:
        if time.monotonic() > deadline:
            raise MeasureError(
                f"{len(counts)} of {times} {request} in the server's log"
            )
        time.sleep(0.05)
    return int(statistics.median(counts))


class _Relay(BaseHTTPRequestHandler):
    """Passes requests on to Odoo and adds up the time until the answer is there."""

    protocol_version = "HTTP/1.1"

    def _pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        started = time.perf_counter()
        upstream = http.client.HTTPConnection(*self.server.upstream)
        upstream.request(self.command, self.path, body, dict(self.headers))
        response = upstream.getresponse()
        answer = response.read()
        upstream.close()
        self.server.spent += time.perf_counter() - started
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in {"connection", "content-length", "server", "date"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self):
        """Relay a GET."""
        self._pass_on()

    def do_POST(self):
        """Relay a POST."""
        self._pass_on()

    def log_message(self, format, *args):
        """Stay silent: the output is the benchmark's."""


@contextlib.contextmanager
def relay(url):
    """Relay HTTP to a server, so that a client's waiting can be told from its work.

    :param str url: base URL of the server
    :return: context manager giving the relay; ``.url`` is its address, ``.spent`` the
        seconds spent waiting for the server so far
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Relay)
    upstream = urlsplit(url)
    server.upstream = (upstream.hostname, upstream.port)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.spent = 0.0
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}
    )
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run_command(command, environment):
    """Run a command to its end and return what it printed on stdout.

    :raise MeasureError: it ended with another exit code than 0; with its stderr
    """
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise MeasureError(
            f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stderr}"
        )
    return done.stdout


def own_time(command, environment, server, times, warm_up=2):
    """Measure what a command spends besides waiting for the server.

    Counted from before the process is started until it has ended, so the
    interpreter's start is part of it.

    :param list command: program and arguments
    :param dict environment: environment of the command
    :param server: the :func:`relay` it talks to
    :param int times: number of runs that count
    :return: seconds
    :rtype: Spread
    """
    own = []
    for number in range(-warm_up, times):
        spent = server.spent
        total = seconds(lambda: run_command(command, environment))
        if number >= 0:
            own.append(total - (server.spent - spent))
    return Spread.of(own)


def peak_memory(command, environment):
    """Return the peak resident memory of a Python command.

    :param list command: the interpreter and its arguments
    :param dict environment: environment of the command
    :return: MB (10^6 bytes)
    :rtype: float
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(_MEMORY_HOOK)
        report = Path(folder, "memory")
        run_command(
            command,
            {
                **environment,
                "PYTHONPATH": os.pathsep.join(
                    filter(None, [folder, environment.get("PYTHONPATH")])
                ),
                "BENCH_MEMORY_FILE": str(report),
            },
        )
        _, kilobytes, unit = report.read_text().split()
    if unit != "kB":
        raise MeasureError(f"VmHWM in {unit}")
    return int(kilobytes) * 1024 / 1e6


def make_log(size, samples=(), every=500, seed=19):
    """Make the log of a busy service.

    The same arguments always make the same text.

    :param int size: bytes
    :param samples: lines to strew in, in turn; none: a log in which nothing is wrong
    :param int every: number of ordinary lines between two of the samples
    :param int seed: seed of the ordinary lines
    :return: ASCII text of ``size`` characters at most 200 short of it
    :rtype: str
    """
    dice = random.Random(seed)
    lines, length = [], 0
    while True:
        number = len(lines)
        stamp = (_LOG_START + datetime.timedelta(seconds=number // 40)).isoformat()
        if samples and number % every == every - 1:
            sample = samples[number // every % len(samples)]
            line = f"{stamp} ERROR worker {' '.join(sample.split())[:150]}"
        else:
            line = (
                f"{stamp} INFO http {dice.choice(('GET', 'POST'))}"
                f" /shop/{dice.choice(('orders', 'customers', 'items'))}"
                f"/{dice.randrange(10**6)}?page={dice.randrange(50)}"
                f" {dice.choice((200, 200, 200, 201, 304))}"
                f" {dice.randrange(900)} ms {dice.randrange(2**32):08x}"
            )
        line = line.encode("ascii", "replace").decode()
        if length + len(line) + 1 > size:
            return "".join(f"{line}\n" for line in lines)
        lines.append(line)
        length += len(line) + 1
