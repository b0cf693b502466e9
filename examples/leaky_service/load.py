#!/usr/bin/env python3
"""A bounded load on the order service: the same requests in the same order.

Every second request asks for the large customer, whose query exceeds the statement
timeout; every tenth one is a health check. Prints one JSON object.
"""

import argparse
import collections
import ipaddress
import json
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from schema import LARGE_CUSTOMER

MAX_REQUESTS = 1000
MAX_CONCURRENCY = 16
TIMEOUT = 30.0


def paths(count):
    """Return the paths of a load.

    :param int count: number of requests
    :rtype: list[str]
    """
    return [
        "/health"
        if number % 10 == 9
        else f"/orders?customer={number % 40 + 2 if number % 2 else LARGE_CUSTOMER}"
        for number in range(count)
    ]


def ask(url):
    """Ask for a URL once.

    :return: HTTP status, or 0 when no answer came within :data:`TIMEOUT` seconds
    :rtype: int
    """
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            response.read()
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def run(url, count, concurrency):
    """Put the load on a service and wait for all its answers.

    :param str url: base URL of the service
    :param int count: number of requests
    :param int concurrency: number of requests under way at the same time
    :return: ``{"requests", "seconds", "health": {status: n}, "orders": {status: n}}``
    :rtype: dict
    """
    asked = paths(count)
    started = time.monotonic()
    with ThreadPoolExecutor(concurrency) as executor:
        statuses = list(executor.map(lambda path: ask(url + path), asked))
    seconds = time.monotonic() - started
    by_resource = {"health": collections.Counter(), "orders": collections.Counter()}
    for path, status in zip(asked, statuses, strict=True):
        by_resource[urlsplit(path).path[1:]][status] += 1
    return {
        "requests": count,
        "seconds": round(seconds, 2),
        **{name: dict(sorted(counts.items())) for name, counts in by_resource.items()},
    }


def _loopback(text):
    # A load generator is not something to point at other people's machines.
    url = urlsplit(text)
    host = url.hostname or ""
    if url.scheme == "http" and host == "localhost":
        return text.rstrip("/")
    try:
        if url.scheme == "http" and ipaddress.ip_address(host).is_loopback:
            return text.rstrip("/")
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not an http URL on this machine")


def _up_to(limit):
    def parse(text):
        value = int(text)
        if not 1 <= value <= limit:
            raise argparse.ArgumentTypeError(f"{text} is not between 1 and {limit}")
        return value

    parse.__name__ = "integer"
    return parse


def main(arguments=None):
    """Put the load on the service named on the command line; always returns 0."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", type=_loopback, required=True)
    parser.add_argument("--requests", type=_up_to(MAX_REQUESTS), default=60)
    parser.add_argument("--concurrency", type=_up_to(MAX_CONCURRENCY), default=4)
    options = parser.parse_args(arguments)
    print(json.dumps(run(options.url, options.requests, options.concurrency)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
