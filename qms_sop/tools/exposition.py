"""Metrics as Prometheus reads them."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


class _Families:
    """A collector of metrics that are known already."""

    def __init__(self, families):
        self._families = families

    def collect(self):
        return self._families


def render(families, accept=""):
    """Return metrics in the format that a scraper asks for.

    :param list families: metric families of prometheus-client
    :param str accept: the ``Accept`` header; Prometheus' text format unless it
        asks for OpenMetrics
    :return: body and content type
    :rtype: tuple[bytes, str]
    """
    # One registry a scrape: prometheus-client's own counts in the process, of
    # which Odoo has several.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
