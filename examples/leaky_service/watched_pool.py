"""A psycopg2 connection pool that knows who holds its connections."""

import logging
import os.path
import sys
import threading
import time
from dataclasses import dataclass, field

from psycopg2.pool import ThreadedConnectionPool

_logger = logging.getLogger("pool")


@dataclass
class _Loan:
    backend_pid: int
    borrower: str
    since: float = field(default_factory=time.monotonic)
    reported: bool = False


class WatchedPool(ThreadedConnectionPool):
    """A connection pool that reports connections nobody gave back.

    A thread looks through the loans and logs each one that is older than
    ``leak_after`` once, with the place in the code that borrowed it.

    :param int minconn: connections opened at once and kept open
    :param int maxconn: connections handed out at the same time, at most
    :param str dsn: libpq connection string
    :param float leak_after: seconds after which a loan is reported as a leak;
        must exceed what the slowest permitted statement may take
    :param options: further arguments of :func:`psycopg2.connect`
    """

    def __init__(self, minconn, maxconn, dsn, leak_after, **options):
        super().__init__(minconn, maxconn, dsn, **options)
        self._leak_after = leak_after
        self._loans = {}
        self._closing = threading.Event()
        self._watcher = threading.Thread(
            target=self._watch, name="pool-watcher", daemon=True
        )
        self._watcher.start()

    def getconn(self, key=None):
        """Borrow a connection.

        :raise psycopg2.pool.PoolError: all ``maxconn`` of them are in use
        """
        connection = super().getconn(key)
        caller = sys._getframe(1)
        file_name = os.path.basename(caller.f_code.co_filename)
        self._loans[connection] = _Loan(
            backend_pid=connection.info.backend_pid,
            borrower=f"{caller.f_code.co_name} ({file_name}:{caller.f_lineno})",
        )
        return connection

    def putconn(self, conn=None, key=None, close=False):
        """Give a connection back."""
        loan = self._loans.pop(conn, None)
        super().putconn(conn, key, close)
        if loan and loan.reported:
            _logger.info(
                "backend %d was returned after all, %.1f s after %s took it",
                loan.backend_pid,
                time.monotonic() - loan.since,
                loan.borrower,
            )

    def closeall(self):
        """Stop watching and close every connection, borrowed ones too."""
        self._closing.set()
        self._watcher.join()
        _logger.info("closing the pool, %d connection(s) in use", len(self._loans))
        self._loans.clear()
        super().closeall()

    def usage(self):
        """Return how the pool is used.

        :return: ``{"max", "in_use", "leaked"}``, numbers of connections; leaked
            are the ones in use for longer than ``leak_after``
        :rtype: dict
        """
        now = time.monotonic()
        loans = list(self._loans.values())
        return {
            "max": self.maxconn,
            "in_use": len(loans),
            "leaked": sum(now - loan.since > self._leak_after for loan in loans),
        }

    def _watch(self):
        while not self._closing.wait(self._leak_after / 4):
            now = time.monotonic()
            loans = list(self._loans.values())
            for loan in loans:
                if loan.reported or now - loan.since <= self._leak_after:
                    continue
                loan.reported = True
                _logger.warning(
                    "connection leak detected: backend %d was checked out %.1f s ago"
                    " by %s and never returned; %d of %d connections in use",
                    loan.backend_pid,
                    now - loan.since,
                    loan.borrower,
                    len(loans),
                    self.maxconn,
                )
