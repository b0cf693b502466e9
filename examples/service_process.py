"""Start and stop the leaky service, on a database that lives as long as it does."""

import contextlib
import secrets
import subprocess
import sys
import threading
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import make_dsn

SERVICE = Path(__file__).parent / "leaky_service" / "service.py"
LOAD = Path(__file__).parent / "leaky_service" / "load.py"

_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 15.0


class ServiceError(Exception):
    """The service did not start or did not stop as it should."""


class ServiceProcess:
    """One process of the leaky service; a context manager that stops it.

    :param str variant: ``leaky`` or ``fixed``
    :param str dsn: libpq connection string of the service's database
    :param log: path of the log file, appended to
    :param int port: 0 for any free port
    :raise ServiceError: it did not answer within 30 seconds, with what it said
    """

    def __init__(self, variant, dsn, log, port=0):
        self.variant = variant
        self.log = Path(log)
        self.arguments = [
            *("--variant", variant, "--port", str(port)),
            *("--dsn", dsn, "--log", str(log)),
        ]
        self._process = subprocess.Popen(
            [sys.executable, SERVICE, *self.arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches the whole group: who started it stops it, in order.
            start_new_session=True,
        )
        self.pid = self._process.pid
        try:
            self.url = self._wait_until_listening()
        except BaseException:
            self._process.kill()
            self._process.communicate()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.stop()

    def _wait_until_listening(self):
        # readline() has no time limit: a service that hangs is killed, which ends it.
        limit = threading.Timer(_START_TIMEOUT, self._process.kill)
        limit.start()
        try:
            line = self._process.stdout.readline()
        finally:
            limit.cancel()
        prefix = "listening on "
        if not line.startswith(prefix):
            self._process.kill()
            said = (line + self._process.communicate()[1]).strip()
            raise ServiceError(said or "The service ended without a word.")
        return line.removeprefix(prefix).strip()

    def stop(self):
        """Ask the service to end and wait for it; safe to call again.

        :return: its exit code
        :rtype: int
        :raise ServiceError: it had to be killed after 15 seconds
        """
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.communicate(timeout=_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise ServiceError("The service did not end and was killed.") from None
        return self._process.returncode


@contextlib.contextmanager
def temporary_database(prefix="leaky_demo", **connection):
    """Create a database with a name of its own and drop it at the end.

    :param str prefix: beginning of the database's name
    :param connection: libpq parameters of the server, e.g. ``host`` (a socket folder)
        and ``user``, who must be allowed to create databases
    :return: context manager giving the new database's libpq connection string
    :raise psycopg2.Error: the server refused
    """
    name = f"{prefix}_{secrets.token_hex(4)}"

    def execute(statement):
        server = psycopg2.connect(**{**connection, "dbname": "postgres"})
        try:
            server.autocommit = True
            with server.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(sql.Identifier(name)))
        finally:
            server.close()

    try:
        execute("CREATE DATABASE {} TEMPLATE template0")
        yield make_dsn(**{**connection, "dbname": name})
    finally:
        execute("DROP DATABASE IF EXISTS {} WITH (FORCE)")
