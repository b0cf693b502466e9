"""How many requests an API key may make."""

import math
import threading
import time

from odoo.tools import config

from .problems import Problem

_MAX_BUCKETS = 10_000

_buckets = {}
_lock = threading.Lock()


def check_rate(request):
    """Count a request, and refuse it when its key has used up its share.

    A token bucket per key, in the memory of each HTTP worker: the limit is divided
    by the number of workers, so it is exact with one and approximate with more,
    and costs no query. A bucket holds one minute's worth of requests.

    :param odoo.http.Request request: an authenticated one
    :raises Problem: 429, with ``Retry-After``
    """
    per_minute = request.env["res.config.settings"]._qms_rate_limit()
    if not per_minute:
        return
    size = max(1.0, per_minute / max(1, config["workers"] or 1))
    # The first characters tell keys apart; Odoo itself looks keys up by them.
    header = request.httprequest.environ.get("HTTP_AUTHORIZATION", "")
    key = (request.db, request.env.uid, header.partition(" ")[2].strip()[:8])
    wait = _take(key, size, time.monotonic())
    if wait:
        raise Problem(
            "too-many-requests",
            f"This key may make {per_minute} requests a minute.",
            headers=[("Retry-After", str(math.ceil(wait)))],
        )


def _take(key, size, now):
    """Take a token from a bucket.

    :param tuple key: whose bucket
    :param float size: tokens in a full bucket; it fills in a minute
    :param float now: seconds
    :return: seconds until there is a token, 0.0 when there was one
    :rtype: float
    """
    per_second = size / 60
    with _lock:
        if len(_buckets) > _MAX_BUCKETS:
            _buckets.clear()
        tokens, then = _buckets.get(key, (size, now))
        tokens = min(size, tokens + (now - then) * per_second)
        if tokens < 1:
            _buckets[key] = (tokens, now)
            return (1 - tokens) / per_second
        _buckets[key] = (tokens - 1, now)
        return 0.0
