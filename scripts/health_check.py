#!/usr/bin/env python3
"""Check the health of one or several URLs, and tell Odoo of outages."""

import argparse
import base64
import hashlib
import json
import re
import socket
import ssl
import threading
import time
from calendar import timegm
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import quote, unquote, urljoin, urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

import qms_cli as cli
import qms_client

PURPOSE = """\
Check one or several URLs: HTTP status, response time, TLS certificate, body. A
URL that fails is tried again before it counts as unhealthy. One line per URL is
printed. Nothing of Odoo is needed for that.

With --open-run an unhealthy URL opens a run of an SOP: one per outage, however
often the check is called. The response is attached to it as evidence. A later
call adds to the open run only what is new: another failure than the last one
recorded. When the URL is healthy again, that is recorded in the run, once, with
the time it took; and the run is completed if its steps allow that. As long as
mandatory steps are open it stays open, for the cause is still to be found
(--keep-open never completes). User names, passwords and secret query parameters
in URLs are masked wherever they are shown or recorded.
"""
EXAMPLES = """\
python scripts/health_check.py --url https://app.example.com/health
python scripts/health_check.py --url https://a.example.com \\
    --url https://b.example.com --max-time 2 --min-tls-days 14 --json
python scripts/health_check.py --url https://app.example.com/health \\
    --expect-status 200,204 --expect-body-regex '"status": *"(ok|pass)"' --open-run
"""
EXIT_CODES = """\
exit codes:
  0  healthy
  1  unhealthy (also when Odoo could not be told)
  2  wrong usage, or a setting is missing
  3  healthy, but --open-run failed: authentication
  4  healthy, but --open-run failed: Odoo unreachable or timed out
  5  healthy, but --open-run failed: refused by Odoo
"""
REFUSED = 5
DEFAULT_SOP = "SOP-TRIAGE-001"
DEFAULT_ERROR_CODE = "HEALTH_CHECK_FAILURE"
REDIRECTS = 5
BODY_LIMIT = 1024 * 1024
BODY_KEPT = 1024
# Certificates are renewed by hand in a working week or two.
TLS_WARNING_DAYS = 14
FAILED = "health-check-failed"
GREEN = "health-check-green"
_SECRET_HEADER = re.compile(
    r"cookie|auth|token|secret|key|session|signature|password", re.IGNORECASE
)


class Statuses:
    """The HTTP statuses that are healthy.

    :param str value: such as ``200``, ``2xx``, ``301-308``, separated by commas
    """

    def __init__(self, value):
        self.text = value.replace(" ", "").lower()
        self._ranges = []
        for part in self.text.split(","):
            match = re.fullmatch(r"([1-5])xx|([1-5]\d\d)(?:-([1-5]\d\d))?", part)
            if not match:
                raise argparse.ArgumentTypeError(
                    f"{part!r} is not a status (200), a class (2xx) or a range "
                    "(301-308)"
                )
            hundreds, first, last = match.groups()
            low = int(hundreds) * 100 if hundreds else int(first)
            high = low + 99 if hundreds else int(last or first)
            self._ranges.append((low, high))

    def __contains__(self, status):
        return any(low <= status <= high for low, high in self._ranges)


def regex(value):
    """Take a regular expression.

    :param str value: in Python's syntax
    :rtype: re.Pattern
    """
    try:
        return re.compile(value)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a regular expression: {error}"
        ) from None


def header(value):
    """Take a request header.

    :param str value: ``Name: value``
    :rtype: tuple[str, str]
    """
    name, colon, content = value.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z0-9-]+", name.strip()):
        raise argparse.ArgumentTypeError("expected 'Name: value'")
    content = content.strip()
    if not content.isprintable():
        raise argparse.ArgumentTypeError(f"the value of {name} is not one line")
    return name.strip(), content


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES, EXIT_CODES)
    add = parser.add_argument
    add(
        "--url",
        type=cli.required,
        action="append",
        required=True,
        help="what to check; may be repeated",
    )
    add("--method", choices=("GET", "HEAD"), default="GET", help="(default: GET)")
    add(
        "--header",
        type=header,
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="request header; may be repeated",
    )
    add(
        "--expect-status",
        type=Statuses,
        default=Statuses("2xx"),
        metavar="LIST",
        help="such as 200,204 or 2xx or 301-308 (default: 2xx, after redirects)",
    )
    add(
        "--no-redirects",
        action="store_true",
        help=f"do not follow redirects (default: up to {REDIRECTS})",
    )
    add(
        "--max-time",
        type=cli.seconds,
        metavar="S",
        help="slower than this is unhealthy",
    )
    add(
        "--check-timeout",
        type=cli.seconds,
        default=10.0,
        metavar="S",
        help="an attempt ends after this time (default: %(default)g)",
    )
    add(
        "--min-tls-days",
        type=cli.count,
        default=0,
        metavar="N",
        help="a certificate that expires within N days is unhealthy (default: 0; "
        f"within {TLS_WARNING_DAYS} days it is warned of)",
    )
    add("--expect-body", type=cli.text, metavar="TEXT", help="text the body holds")
    add(
        "--expect-body-regex",
        type=regex,
        metavar="RE",
        help="regular expression that matches in the body",
    )
    add(
        "--attempts",
        type=cli.count,
        default=3,
        metavar="N",
        help="attempts before a URL is unhealthy (default: %(default)s)",
    )
    add(
        "--delay",
        type=cli.seconds,
        default=2.0,
        metavar="S",
        help="pause between attempts (default: %(default)g)",
    )
    group = parser.add_argument_group("outages as runs")
    group.add_argument(
        "--open-run", action="store_true", help="open a run when unhealthy"
    )
    group.add_argument("--sop-code", type=cli.text, help=f"(default: {DEFAULT_SOP})")
    group.add_argument(
        "--error-code", type=cli.text, help=f"(default: {DEFAULT_ERROR_CODE})"
    )
    group.add_argument(
        "--severity", type=cli.text, help="(default: that of the error code)"
    )
    group.add_argument(
        "--keep-open",
        action="store_true",
        help="leave it to people to complete the run",
    )
    return parser


# -- one request -----------------------------------------------------------


class Fetcher:
    """Sends the requests of one URL and keeps to a limit of time.

    :param argparse.Namespace args: the checks
    """

    def __init__(self, args):
        self._args = args
        self._expires = None
        self._socket = None
        self._late = False

    def fetch(self, url):
        """Get a URL, following redirects.

        :param str url: http or https
        :return: status, headers, body (up to 1 MiB), final_url, tls_expires
            (seconds since 1970, None without TLS)
        :rtype: dict
        :raise CheckError: if there is no answer in time
        """
        self._expires = None
        self._late = False
        timer = threading.Timer(self._args.check_timeout, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            return self._follow(url)
        finally:
            timer.cancel()

    def _give_up(self):
        # A server that sends a byte now and then never meets a socket timeout.
        self._late = True
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _watch(self, sock):
        self._socket = sock
        self._check_time()

    def _check_time(self):
        if self._late:
            limit = self._args.check_timeout
            raise CheckError(f"no answer within {limit:g} s") from None

    def _follow(self, url):
        origin = urlsplit(url)
        headers = dict(self._args.header)
        if origin.username:
            headers.setdefault("Authorization", _basic(origin))
        for _number in range(REDIRECTS + 1):
            status, answer, body = self._request(url, headers)
            target = answer.get("Location")
            redirected = status in (301, 302, 303, 307, 308) and target
            if self._args.no_redirects or not redirected:
                return {
                    "status": status,
                    "headers": answer,
                    "body": body,
                    "final_url": url,
                    "tls_expires": self._expires,
                }
            url = urljoin(url, target)
            try:
                parts = qms_client.split_url(url, "redirect")
            except qms_client.UsageError as error:
                raise CheckError(str(error).rstrip(".")) from None
            if (parts.scheme, parts.netloc) != (origin.scheme, origin.netloc):
                # Whoever is redirected to must not learn the credentials.
                headers = {}
        raise CheckError(f"more than {REDIRECTS} redirects")

    def _request(self, url, headers):
        fetcher, timeout = self, self._args.check_timeout

        class Plain(HTTPConnection):
            def connect(self):
                super().connect()
                fetcher._watch(self.sock)

        class Secure(HTTPSConnection):
            def connect(self):
                super().connect()
                fetcher._watch(self.sock)
                fetcher._note_certificate(self.sock)

        class PlainHandler(HTTPHandler):
            def http_open(self, request):
                return self.do_open(Plain, request)

        class SecureHandler(HTTPSHandler):
            def https_open(self, request):
                return self.do_open(Secure, request, context=fetcher._tls())

        opener = OpenerDirector()
        for handler in (ProxyHandler, PlainHandler, SecureHandler):
            opener.add_handler(handler())
        parts = qms_client.split_url(url, "--url")
        bare = parts._replace(
            netloc=parts.netloc.rpartition("@")[2], fragment=""
        ).geturl()
        request = Request(
            quoted(bare),
            method=self._args.method,
            headers={"User-Agent": qms_client.USER_AGENT, "Accept": "*/*", **headers},
        )
        try:
            with opener.open(request, timeout=timeout) as response:
                body = response.read(BODY_LIMIT)
                self._check_time()
                # With a size, read() takes a short body for the end of it.
                if len(body) < BODY_LIMIT and response.length:
                    raise CheckError("the answer ended too early")
                return response.status, response.headers, body
        except (OSError, HTTPException, ValueError) as error:
            self._check_time()
            raise CheckError(qms_client.describe_failure(error, timeout)[0]) from None

    def _tls(self):
        return qms_client.tls_context(self._args.ca_file, self._args.insecure)

    def _note_certificate(self, sock):
        expires = sock.getpeercert().get("notAfter")
        if expires:
            seconds = ssl.cert_time_to_seconds(expires)
            self._expires = min(self._expires or seconds, seconds)


class CheckError(Exception):
    """There was no answer to judge."""


def _basic(parts):
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def quoted(url):
    """Encode what HTTP cannot carry in a URL (IDNA for the host, % for the rest).

    :param str url: as people write it
    :rtype: str
    """
    if url.isascii():
        return url
    parts = urlsplit(url)
    host, colon, port = parts.netloc.partition(":")
    try:
        netloc = host.encode("idna").decode("ascii") + colon + port
    except UnicodeError:
        raise CheckError(f"{host!r} is not a host name") from None
    safe = "/%:@!$&'()*+,;=~-._"
    return parts._replace(
        netloc=netloc,
        path=quote(parts.path, safe=safe),
        query=quote(parts.query, safe=safe + "?"),
    ).geturl()


# -- one URL ---------------------------------------------------------------


def check_once(args, url):
    """Check a URL once.

    :param argparse.Namespace args: the checks
    :param str url: http or https
    :return: the result, as in ``--json``
    :rtype: dict
    """
    started = time.monotonic()
    outcome = {
        "url": qms_client.mask_url(url),
        "healthy": False,
        "checked_at": rfc3339(time.time()),
        "status": None,
        "seconds": None,
        "final_url": None,
        "tls_expires_at": None,
        "tls_days_left": None,
        "problems": [],
        "headers": {},
        "body_start": "",
    }
    problems = outcome["problems"]
    try:
        answer = Fetcher(args).fetch(url)
    except CheckError as error:
        problems.append(str(error))
        outcome["seconds"] = round(time.monotonic() - started, 3)
        return outcome
    elapsed = time.monotonic() - started
    body = answer["body"].decode("utf-8", "replace")
    outcome["seconds"] = round(elapsed, 3)
    outcome["status"] = answer["status"]
    outcome["final_url"] = qms_client.mask_url(answer["final_url"])
    outcome["headers"] = {
        name: "***"
        if _SECRET_HEADER.search(name)
        else qms_client.mask_url(value)
        if name.lower() in ("location", "content-location", "refresh")
        else value
        for name, value in answer["headers"].items()
    }
    outcome["body_start"] = qms_client.clean(body[:BODY_KEPT])
    if answer["status"] not in args.expect_status:
        problems.append(f"status {answer['status']}, not {args.expect_status.text}")
    if args.max_time and elapsed > args.max_time:
        problems.append(f"slower than {args.max_time:g} s")
    if args.expect_body and args.expect_body not in body:
        problems.append(f"the body does not hold {args.expect_body!r}")
    if args.expect_body_regex and not args.expect_body_regex.search(body):
        problems.append(f"the body does not match {args.expect_body_regex.pattern!r}")
    if answer["tls_expires"]:
        days = (answer["tls_expires"] - time.time()) / 86400
        outcome["tls_expires_at"] = rfc3339(answer["tls_expires"])
        outcome["tls_days_left"] = int(days)
        if days < args.min_tls_days:
            problems.append(
                f"the TLS certificate expires within {args.min_tls_days} days, at "
                f"{outcome['tls_expires_at']}"
            )
    outcome["healthy"] = not problems
    return outcome


def check(args, url):
    """Check a URL as often as it takes to call it unhealthy.

    :param argparse.Namespace args: the checks
    :param str url: http or https
    :return: the last result, with the number of ``attempts``
    :rtype: dict
    """
    for attempt in range(1, args.attempts + 1):
        outcome = check_once(args, url)
        outcome["attempts"] = attempt
        if outcome["healthy"] or attempt == args.attempts:
            return outcome
        cli.note(
            args,
            f"{outcome['url']}: {'; '.join(outcome['problems'])}; "
            f"trying again in {args.delay:g} s ({attempt} of {args.attempts}).",
        )
        time.sleep(args.delay)
    raise AssertionError("at least one attempt")


def check_all(args):
    """Check all URLs, side by side.

    :param argparse.Namespace args: the checks
    :return: the results, in the order of the URLs
    :rtype: list[dict]
    """
    if len(args.url) == 1:
        return [check(args, args.url[0])]
    outcomes = [None] * len(args.url)
    limit = threading.BoundedSemaphore(16)

    def work(number, url):
        with limit:
            outcomes[number] = check(args, url)

    # Daemons, so that Ctrl-C does not wait for the slowest.
    threads = [
        threading.Thread(target=work, args=pair, daemon=True)
        for pair in enumerate(args.url)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def rfc3339(moment):
    """Write a time in UTC.

    :param float moment: seconds since 1970
    :rtype: str
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


# -- outages as runs -------------------------------------------------------


def dedup_key(url):
    """Return the key that all checks of one URL share.

    Credentials are not part of it, nor is a query in clear text, because the
    key is stored and shown.

    :param str url: http or https
    :rtype: str
    """
    parts = qms_client.split_url(url, "--url")
    port = f":{parts.port}" if parts.port else ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    key = f"health-check:{parts.scheme}://{host}{port}{parts.path or '/'}"
    if parts.query or len(key) > 200:
        digest = hashlib.sha256(f"{parts.path}?{parts.query}".encode()).hexdigest()
        key = f"{key[:200]}#{digest[:16]}"
    return key


class Reporter:
    """Keeps the runs of Odoo in step with the health of URLs.

    :param argparse.Namespace args: the flags
    :param qms_client.Client client: the connection
    :param str source: who is checking
    """

    def __init__(self, args, client, source):
        self._args = args
        self._client = client
        self._source = source

    def report(self, url, outcome):
        """Open, extend or close the run of one URL.

        :param str url: what was checked
        :param dict outcome: as :func:`check` returns it
        :return: the run (id, name, state, url) and the ``action`` taken: opened,
            extended, unchanged, recovered or completed; None if there is no
            outage to speak of
        :rtype: dict | None
        :raise qms_client.QmsError: if Odoo refuses or cannot be reached
        """
        key = dedup_key(url)
        if outcome["healthy"]:
            return self._report_healthy(key, outcome)
        return self._report_unhealthy(key, outcome)

    def _call(self, method, run=None, **arguments):
        return self._client.call(
            "qms.sop.run",
            method,
            ids=[run["id"]] if run else None,
            **arguments,
            idempotency_key=qms_client.new_key(),
        )

    def _report_unhealthy(self, key, outcome):
        args = self._args
        message = f"{outcome['url']}: {'; '.join(outcome['problems'])}"
        error_code = args.error_code or DEFAULT_ERROR_CODE
        run = self._call(
            "start_run",
            sop_code=args.sop_code or DEFAULT_SOP,
            error_code=error_code,
            severity=args.severity,
            trigger="automated",
            source=self._source,
            summary=f"Health check failed: {message}",
            dedup_key=key,
        )
        last = self._last(run) if run["existing"] else None
        if last and last == (FAILED, message):
            return self._done(run, "unchanged")
        # The message last: a call that dies in between is made up for next time.
        self._attach(run, FAILED, outcome)
        self._call("log_error", run, error_message=message, error_code=error_code)
        return self._done(run, "extended" if run["existing"] else "opened")

    def _report_healthy(self, key, outcome):
        run = self._client.call("qms.sop.run", "find_open_run", dedup_key=key)
        if not run:
            return None
        action = "unchanged"
        kind, _message = self._last(run)
        if kind != GREEN:
            action = "recovered"
            line = f"Healthy again at {outcome['checked_at']}{_since(run, outcome)}."
            self._attach(run, GREEN, {**outcome, "note": line})
            summary = "\n".join(filter(None, (run["summary"], line)))
            run = {**run, **self._call("update_run", run, summary=summary)}
        if self._args.keep_open:
            return self._done(run, action)
        try:
            run = self._call(
                "complete",
                run,
                resolution=f"{outcome['url']} is healthy again; "
                "all mandatory steps are done.",
            )
        except qms_client.RefusedError as error:
            return self._done(run, action, still_open_because=str(error))
        return self._done(run, "completed")

    def _attach(self, run, kind, outcome):
        content = json.dumps(outcome, indent=2, ensure_ascii=False).encode()
        stamp = outcome["checked_at"].replace(":", "").replace("-", "")
        self._call(
            "add_evidence",
            run,
            name=f"{kind}-{stamp}.json",
            content=base64.b64encode(content).decode("ascii"),
            source=self._source,
            mimetype="application/json",
        )

    def _last(self, run):
        """Return what the checks recorded last in a run.

        :param dict run: with its id
        :return: FAILED, GREEN or None; and the last error message or None
        :rtype: tuple[str | None, str | None]
        """

        def newest(model, domain, field):
            found = self._client.call(
                model,
                "search_read",
                domain=[["run_id", "=", run["id"]], *domain],
                fields=[field],
                order="id desc",
                limit=1,
            )
            return found[0][field] if found else None

        name = newest(
            "qms.sop.run.evidence", [["name", "=like", "health-check-%"]], "name"
        )
        kinds = [kind for kind in (FAILED, GREEN) if name and name.startswith(kind)]
        return kinds[0] if kinds else None, newest(
            "qms.sop.run.error", [], "error_message"
        )

    @staticmethod
    def _done(run, action, **more):
        fields = ("id", "name", "state", "url")
        return {**{name: run[name] for name in fields}, "action": action, **more}


def _since(run, outcome):
    """Say how long the outage lasted, if the run knows when it began."""
    try:
        began, ended = (
            timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))
            for moment in (run["start_time"], outcome["checked_at"])
        )
    except (TypeError, ValueError):
        return ""
    if ended < began:
        return ""
    minutes, seconds = divmod(ended - began, 60)
    return f", {minutes} min {seconds} s after the run was opened"


SENTENCES = {
    "opened": "{name} opened: {url}",
    "extended": "{name} is open already; the new failure was added: {url}",
    "unchanged": "{name} is open already; nothing new to add: {url}",
    "recovered": "{name}: recovery recorded: {url}",
    "completed": "{name}: recovery recorded and run completed: {url}",
}


# -- the script ------------------------------------------------------------


def line(outcome):
    """Return the line of a result for people.

    :param dict outcome: as :func:`check` returns it
    :rtype: str
    """
    parts = ["healthy  " if outcome["healthy"] else "unhealthy", outcome["url"]]
    if outcome["status"]:
        parts.append(f"{outcome['status']} in {outcome['seconds']:.3f} s")
    if outcome["tls_days_left"] is not None:
        parts.append(f"TLS {outcome['tls_days_left']} days")
    if outcome["problems"]:
        parts.append("; ".join(outcome["problems"]))
    return "  ".join(parts)


def main():
    parser = make_parser()
    args = parser.parse_args()
    for url in args.url:
        qms_client.split_url(url, "--url")
    if not args.attempts:
        raise cli.UsageError("--attempts must be at least 1.")
    if args.method == "HEAD" and (args.expect_body or args.expect_body_regex):
        raise cli.UsageError("The answer to HEAD has no body: use --method GET.")
    args.url = list(dict.fromkeys(args.url))
    if args.ca_file:
        qms_client.tls_context(args.ca_file)
    client = cli.connect(args) if args.open_run else None
    outcomes = check_all(args)
    code = 0 if all(outcome["healthy"] for outcome in outcomes) else 1
    if not args.json:
        for outcome in outcomes:
            print(qms_client.clean(line(outcome)), flush=True)
    for outcome in outcomes:
        days = outcome["tls_days_left"]
        if outcome["healthy"] and days is not None and days < TLS_WARNING_DAYS:
            cli.warn(args, f"{outcome['url']}: TLS certificate expires in {days} days.")
    if client:
        source = cli.default_source(parser)
        code = report(args, Reporter(args, client, source), outcomes, code)
    if args.json:
        shown = {"healthy": code != 1, "results": outcomes}
        print(json.dumps(shown, indent=2))
    return code


def report(args, reporter, outcomes, code):
    """Tell Odoo of every result; a failure there never hides an outage.

    :param argparse.Namespace args: the flags
    :param Reporter reporter: the runs
    :param list[dict] outcomes: the results; each gets a ``run``
    :param int code: the exit code so far
    :return: the exit code
    :rtype: int
    """
    for outcome in outcomes:
        outcome["run"] = None
    for url, outcome in zip(args.url, outcomes, strict=True):
        try:
            outcome["run"] = reporter.report(url, outcome)
        except qms_client.QmsError as error:
            outcome["run_error"] = str(error)
            cli.complain(f"{outcome['url']}: Odoo was not told: {error}")
            failure = REFUSED if error.exit_code == 1 else error.exit_code
            code = code or failure
            if error.exit_code in (3, 4):
                break
            continue
        if outcome["run"]:
            sentence = SENTENCES[outcome["run"]["action"]]
            cli.note(args, sentence.format_map(outcome["run"]))
            reason = outcome["run"].get("still_open_because")
            if reason:
                cli.note(args, f"{outcome['run']['name']} stays open: {reason}")
    return code


if __name__ == "__main__":
    cli.run_script(main)
