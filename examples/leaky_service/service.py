#!/usr/bin/env python3
"""A small order service with a PostgreSQL connection pool.

It exists to fail for real. With ``--variant leaky`` the data access module forgets
to return its connection when a query fails, so the pool runs dry under load and
``/health`` turns 500; with ``--variant fixed`` the same load leaves the pool intact.
See README.md.
"""

import argparse
import importlib
import json
import logging
import signal
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import psycopg2
import psycopg2.errors
import psycopg2.pool
import schema
from metrics import CONTENT_TYPE, Metrics
from watched_pool import WatchedPool

_logger = logging.getLogger("http")

VARIANTS = {"leaky": "orders_leaky", "fixed": "orders_fixed"}


class OrderService(ThreadingHTTPServer):
    """The HTTP server with its pool and its data access module.

    :param tuple address: host and port; port 0 lets the system choose
    :param WatchedPool pool: connections to the service's database
    :param orders: data access module, one of :data:`VARIANTS`
    """

    # Requests under way are answered before the pool is closed.
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, address, pool, orders):
        self.pool = pool
        self.orders = orders
        self.metrics = Metrics(pool)
        super().__init__(address, RequestHandler)


class RequestHandler(BaseHTTPRequestHandler):
    """Answers ``GET /health``, ``GET /orders?customer=<number>``, ``GET /metrics``."""

    timeout = 5

    def do_GET(self):
        """Answer one request, with a JSON object unless it asks for the metrics."""
        started = time.monotonic()
        url = urlsplit(self.path)
        if url.path == "/metrics":
            self._answer(HTTPStatus.OK, CONTENT_TYPE, self.server.metrics.text())
            return
        answer = {"/health": self._health, "/orders": self._orders}.get(url.path)
        if answer is None:
            status, body = HTTPStatus.NOT_FOUND, {"error": "no such resource"}
        else:
            status, body = self._guarded(answer, parse_qs(url.query))
        payload = json.dumps(body, default=str).encode()
        self._answer(status, "application/json", payload)
        seconds = time.monotonic() - started
        self.server.metrics.count(url.path if answer else "other", status, seconds)
        _logger.info(
            "%s %s %d %.0f ms", self.command, self.path, status, 1000 * seconds
        )

    def _answer(self, status, content_type, payload):
        self.send_response_only(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(payload)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format, *args):
        """Send what the base class has to say to the log."""
        _logger.warning(format, *args)

    def _guarded(self, answer, query):
        try:
            return answer(query)
        except psycopg2.errors.QueryCanceled:
            # Logged, with its traceback, where it happened.
            return HTTPStatus.GATEWAY_TIMEOUT, {"error": "the query took too long"}
        except (psycopg2.Error, psycopg2.pool.PoolError) as error:
            _logger.exception("%s %s failed", self.command, self.path)
            return HTTPStatus.INTERNAL_SERVER_ERROR, {
                "status": "unhealthy",
                "error": str(error).strip(),
                "pool": self.server.pool.usage(),
            }

    def _health(self, query):
        pool = self.server.pool
        connection = pool.getconn()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        finally:
            pool.putconn(connection)
        return HTTPStatus.OK, {"status": "ok", "pool": pool.usage()}

    def _orders(self, query):
        customer = query.get("customer", [""])[0]
        if not (customer.isascii() and customer.isdigit() and len(customer) < 10):
            return HTTPStatus.BAD_REQUEST, {
                "error": f"customer: {customer!r} is not a number of up to 9 digits"
            }
        orders = self.server.orders.find_orders(self.server.pool, int(customer))
        return HTTPStatus.OK, {
            "customer": int(customer),
            "orders": [
                {"id": id_, "placed": placed, "amount": amount, "running_total": total}
                for id_, placed, amount, total in orders
            ],
        }


def _positive(kind):
    def parse(text):
        value = kind(text)
        if value <= 0:
            raise ValueError(text)
        return value

    parse.__name__ = f"positive {kind.__name__}"
    return parse


def parse_arguments(arguments=None):
    """Read the command line; argparse exits with 2 on a mistake."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--variant", choices=sorted(VARIANTS), required=True)
    parser.add_argument(
        "--dsn", required=True, help="libpq connection string of the service's database"
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument(
        "--port", type=int, default=8080, help="0: any free one; default: %(default)s"
    )
    parser.add_argument("--log", help="log file; default: standard error")
    parser.add_argument(
        "--pool-max",
        type=_positive(int),
        default=20,
        help="connections in use at the same time, at most; default: %(default)s",
    )
    parser.add_argument(
        "--statement-timeout",
        type=_positive(int),
        default=400,
        metavar="MS",
        help="milliseconds a query may take; default: %(default)s",
    )
    parser.add_argument(
        "--leak-after",
        type=_positive(float),
        default=2.0,
        metavar="SECONDS",
        help="a connection in use for longer is logged as leaked; default: %(default)s",
    )
    return parser.parse_args(arguments)


def main(arguments=None):
    """Serve until SIGTERM or SIGINT, then close the pool.

    The first line on stdout is ``listening on <url>``, printed when requests are
    answered.

    :return: exit code: 0 after a signal, 1 when the service cannot start
    :rtype: int
    """
    options = parse_arguments(arguments)
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        filename=options.log,
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    try:
        pool = WatchedPool(
            2,
            max(options.pool_max, 2),
            options.dsn,
            options.leak_after,
            application_name=f"leaky_service {options.variant}",
            options=f"-c statement_timeout={options.statement_timeout}",
        )
        connection = psycopg2.connect(options.dsn)
        try:
            created = schema.prepare(connection)
        finally:
            connection.close()
        orders = importlib.import_module(VARIANTS[options.variant])
        server = OrderService((options.host, options.port), pool, orders)
    except (psycopg2.Error, OSError) as error:
        print(f"The service cannot start: {str(error).strip()}", file=sys.stderr)
        return 1

    def stop(signum, frame):
        # shutdown() waits for serve_forever(), which this thread is running.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    url = f"http://{options.host}:{server.server_port}"
    _logger.info(
        "%s variant listening on %s, pool of %d, %d row(s) created",
        options.variant,
        url,
        pool.maxconn,
        created,
    )
    print(f"listening on {url}", flush=True)
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()
        pool.closeall()
        _logger.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
