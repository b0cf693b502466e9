"""What the service tells Prometheus (text format, ``GET /metrics``)."""

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _Pool:
    """Asks the pool when Prometheus asks; it needs no connection for that."""

    def __init__(self, pool):
        self._pool = pool

    def collect(self):
        usage = self._pool.usage()
        for key, text in (
            ("max", "Connections that may be in use at the same time"),
            ("in_use", "Connections in use"),
            ("leaked", "Connections in use for so long that nobody will return them"),
        ):
            yield GaugeMetricFamily(
                f"db_pool_connections_{key}", text, value=usage[key]
            )


class Metrics:
    """The numbers of one service.

    :param pool: its pool of connections
    """

    def __init__(self, pool):
        self._registry = CollectorRegistry()
        self._registry.register(_Pool(pool))
        self._requests = Counter(
            "http_requests",
            "Requests answered",
            ("path", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time to answer a request",
            ("path",),
            registry=self._registry,
        )

    def count(self, path, status, seconds):
        """Count a request.

        :param str path: one of the service's resources; others count as ``other``, so
            that strangers cannot invent series
        :param int status: HTTP status of the answer
        :param float seconds: time it took
        """
        self._requests.labels(path, str(int(status))).inc()
        self._seconds.labels(path).observe(seconds)

    def text(self):
        """Return the numbers in Prometheus' text format.

        :rtype: bytes
        """
        return generate_latest(self._registry)
