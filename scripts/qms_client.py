"""Client for the QMS add-ons of an Odoo server, over XML-RPC or JSON-2.

Standard library only, and no Odoo import: the scripts run on any machine that
has Python 3.10. What is slow to import is imported where it is first needed.

    client = Client.from_environment()
    run = client.call("qms.sop.run", "start_run", sop_code="SOP-TRIAGE-001")
    client.call("qms.sop.run", "log_error", ids=[run["id"]], error_message="…")
"""

import json
import os
import time

VARIABLES = ("ODOO_URL", "ODOO_DB", "ODOO_USER", "ODOO_API_KEY", "ODOO_PASSWORD")
TRANSPORTS = ("auto", "xmlrpc", "json2")
DEFAULT_TIMEOUT = 30.0
DEFAULT_RETRIES = 3
USER_AGENT = "qms-scripts/1.0"

# A call without an idempotency key is sent again only when a second execution
# changes nothing. upsert_code sets what it is given, so repeating it is safe.
_REPEATABLE = frozenset(
    {
        "classify",
        "evidence_plan",
        "execution_plan",
        "export_markdown",
        "export_timeline",
        "fields_get",
        "find_incident",
        "find_open_run",
        "get_incident",
        "get_run",
        "preview_execution",
        "read",
        "search",
        "search_count",
        "search_read",
        "upsert_code",
        "what_is_missing",
    }
)
# Answers of a proxy or of a server that is starting, stopping or overloaded.
_PASSING = frozenset({429, 502, 503, 504})
_LONGEST_WAIT = 30.0
# What Odoo passes on when PostgreSQL is gone, stops, starts or has too many clients:
# the call was rolled back, or its answer is kept under its idempotency key.
_DATABASE_AWAY = (
    "psycopg2.OperationalError",
    "psycopg2.InterfaceError",
    "psycopg2.errors.AdminShutdown",
    "psycopg2.errors.CrashShutdown",
    "psycopg2.errors.CannotConnectNow",
    "psycopg2.errors.DeadlockDetected",
    "psycopg2.errors.SerializationFailure",
)
# XML-RPC knows 32-bit integers only.
MAX_INTEGER = 2**31 - 1

# faultCode values of Odoo's /xmlrpc/2 (odoo/addons/rpc/controllers/xmlrpc.py).
_FAULT_WARNING = 2
_FAULT_ACCESS_DENIED = 3
_FAULT_ACCESS_ERROR = 4


class QmsError(Exception):
    """An error with a message for people and the exit code of a script."""

    exit_code = 1


class RefusedError(QmsError):
    """The server understood the request and refused it, or failed on it."""

    exit_code = 1


class UsageError(QmsError):
    """The caller asked for something that cannot be sent."""

    exit_code = 2


class AuthenticationError(QmsError):
    """The server knows no such user, key, password or database."""

    exit_code = 3


class UnreachableError(QmsError):
    """No usable answer came back.

    :param str message: what happened
    :param bool passing: whether it makes sense to try again
    :param bool unsent: whether the request certainly did not reach the server
    :param float | None wait: seconds the server asked to wait (Retry-After)
    """

    exit_code = 4

    def __init__(self, message, passing=True, unsent=False, wait=None):
        super().__init__(message)
        self.passing = passing
        self.unsent = unsent
        self.wait = wait


class _NoEndpointError(Exception):
    """The server has no such transport (HTTP 404)."""


def new_key():
    """Return a new idempotency key, a random UUID (version 4).

    :rtype: str
    """
    import uuid

    return str(uuid.uuid4())


def clean(value):
    """Return ``value`` with the characters that no transport can carry removed.

    XML 1.0 has no control characters (a log is full of them: ANSI colours) and
    PostgreSQL has no NUL. Bytes of an argument or file that were not UTF-8
    become U+FFFD.

    :param value: a str, or lists and dicts of them; anything else is returned
    :return: the same structure
    """
    if isinstance(value, str):
        if value.isascii() and value.isprintable():
            return value
        text = value.encode("utf-8", "replace").decode("utf-8")
        return text.translate(_CONTROL_CHARACTERS)
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


_CONTROL_CHARACTERS = dict.fromkeys(
    [
        *(c for c in range(32) if c not in (9, 10, 13)),
        *range(127, 160),
        0xFFFE,
        0xFFFF,
    ]
)


def split_url(url, name):
    """Check the address of a server and cut it in parts.

    :param str url: what the user gave
    :param str name: the flag or variable it came from, for the message
    :return: the parts, with ``hostname`` set
    :rtype: urllib.parse.SplitResult
    :raise UsageError: if it is not an http or https URL with a host
    """
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises when it is no number up to 65535
    except ValueError as error:
        raise UsageError(f"{name}: {mask_url(url)!r} is not a URL ({error}).") from None
    if parts.scheme not in ("http", "https"):
        raise UsageError(
            f"{name}: {mask_url(url)!r} must start with https:// or http://."
        )
    if not parts.hostname:
        raise UsageError(
            f"{name}: {mask_url(url)!r} has no host; is a variable in it unset?"
        )
    if parts.hostname in ("http", "https") and parts.path.startswith("//"):
        raise UsageError(f"{name}: {mask_url(url)!r} names its scheme twice.")
    if any(c.isspace() or ord(c) < 32 for c in url):
        raise UsageError(f"{name}: {mask_url(url)!r} contains white space.")
    return parts


_SECRET_WORDS = ("key", "token", "secret", "passw", "pwd", "sig", "auth", "credential")


def mask_url(url):
    """Return ``url`` without what may be secret in it.

    User name and password become ``***``, and so does the value of every query
    parameter that is named like a secret.

    :param str url: any text
    :rtype: str
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", url
    cut = min((rest.find(c) for c in "/?#" if c in rest), default=len(rest))
    authority, tail = rest[:cut], rest[cut:]
    if "@" in authority:
        authority = "***@" + authority.rpartition("@")[2]
    path, question, query = tail.partition("?")
    if question:
        query, hash_mark, fragment = query.partition("#")
        pairs = []
        for pair in query.split("&"):
            name, equals, _value = pair.partition("=")
            secret = equals and any(word in name.lower() for word in _SECRET_WORDS)
            pairs.append(f"{name}=***" if secret else pair)
        tail = f"{path}?{'&'.join(pairs)}{hash_mark}{fragment}"
    return f"{scheme}{mark}{authority}{tail}"


def is_loopback(host):
    """Tell whether ``host`` is this machine.

    :param str host: a name or address
    :rtype: bool
    """
    return host == "localhost" or host == "::1" or host.startswith("127.")


def tls_context(ca_file=None, insecure=False):
    """Return the TLS settings of a connection; certificates are verified.

    :param str | None ca_file: PEM file of the authority to trust, instead of
        those of the machine
    :param bool insecure: accept any certificate
    :rtype: ssl.SSLContext
    :raise UsageError: if the file cannot be used
    """
    import ssl

    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"CA file {ca_file!r} cannot be used: {reason}.") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def describe_failure(error, timeout):
    """Say in a few words why a connection failed, and whether to try again.

    :param BaseException error: what urllib, http.client, ssl or socket raised
    :param float timeout: the limit that applied, in seconds
    :return: (text, passing, unsent) as for :class:`UnreachableError`
    :rtype: tuple[str, bool, bool]
    """
    import socket
    import ssl
    from http.client import HTTPException, IncompleteRead
    from urllib.error import URLError

    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its TLS certificate is refused: {error.verify_message}", False, True
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s", True, False
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION" in (error.reason or ""):
        return "it does not speak TLS (http:// instead of https://?)", False, True
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}", True, False
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved ({error.strerror})", True, True
    if isinstance(error, ConnectionRefusedError):
        return "connection refused", True, True
    if isinstance(error, IncompleteRead):
        return "the answer ended too early", True, False
    if isinstance(error, ConnectionError):
        return "the connection was closed without an answer", True, False
    if isinstance(error, HTTPException):
        return f"the answer is not HTTP ({type(error).__name__})", True, False
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return reason, True, False


class _Memory:
    """What is remembered of a server between invocations; never a secret.

    One small file (mode 0600) per server, database and user, because one file
    for all would need a lock. Whatever is wrong with it, it is as if there were
    none: the user id is looked up again.

    :param parts: the texts that identify the connection
    """

    def __init__(self, *parts):
        import hashlib

        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):
            base = os.path.join(os.path.expanduser("~"), ".cache")
        digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace"))
        self._folder = os.path.join(base, "qms-sop")
        self._path = os.path.join(self._folder, f"{digest.hexdigest()[:40]}.json")

    def load(self):
        """Return ``{"uid": int, "transport": str}``, or a part of it.

        :rtype: dict
        """
        try:
            with open(self._path, encoding="utf-8") as file:
                data = json.loads(file.read(4096))
        except (OSError, ValueError):
            return {}
        known = {}
        if isinstance(data, dict):
            uid = data.get("uid")
            if type(uid) is int and 0 < uid <= MAX_INTEGER:
                known["uid"] = uid
            if data.get("transport") in ("xmlrpc", "json2"):
                known["transport"] = data["transport"]
        return known

    def save(self, known):
        """Replace what is remembered, in one step; do nothing when impossible.

        :param dict known: as :meth:`load` returns it
        """
        draft = f"{self._path}.{os.getpid()}.{time.monotonic_ns()}"
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(draft, flags, 0o600), "w", encoding="utf-8") as file:
                json.dump(known, file)
            os.replace(draft, self._path)
        except OSError:
            try:
                os.unlink(draft)
            except OSError:
                pass


class _NoMemory:
    """Remembers nothing."""

    def load(self):
        return {}

    def save(self, known):
        pass


class Client:
    """A connection to the public methods of one Odoo database.

    :param str url: address of the server, ``https://odoo.example.com``
    :param str db: name of the database
    :param str | None user: login; not needed over JSON-2
    :param str | None api_key: API key of the user
    :param str | None password: used when there is no key; XML-RPC only
    :param str transport: one of :data:`TRANSPORTS`; ``auto`` is XML-RPC, and
        JSON-2 where the server has no XML-RPC any more
    :param float timeout: seconds without any answer before an attempt is given up
    :param int retries: further attempts after a transport failure
    :param float backoff: seconds before the first further attempt, doubled each time
    :param str | None ca_file: PEM file of the authority to trust
    :param bool insecure: accept any TLS certificate
    :param bool remember: keep the user id and the transport in the cache folder
    :param on_retry: called with one str before each further attempt
    :raise UsageError: if a setting is missing or cannot be used
    """

    def __init__(
        self,
        url,
        db,
        user=None,
        api_key=None,
        password=None,
        *,
        transport="auto",
        timeout=DEFAULT_TIMEOUT,
        retries=DEFAULT_RETRIES,
        backoff=0.5,
        ca_file=None,
        insecure=False,
        remember=True,
        on_retry=None,
    ):
        if transport not in TRANSPORTS:
            raise UsageError(
                f"Transport {transport!r} is not one of {', '.join(TRANSPORTS)}."
            )
        parts = split_url(url, "ODOO_URL")
        if parts.username or parts.password:
            raise UsageError(
                "ODOO_URL must not carry a user or password; "
                "set ODOO_USER and ODOO_API_KEY."
            )
        if parts.query or parts.fragment:
            raise UsageError(f"ODOO_URL: {mask_url(url)!r} must end with the path.")
        missing = []
        if not db:
            missing.append("ODOO_DB")
        if not user and transport != "json2":
            missing.append("ODOO_USER")
        if not (api_key or password):
            missing.append("ODOO_API_KEY")
        if missing:
            raise UsageError(f"Set {' and '.join(missing)}.")
        if transport == "json2" and not api_key:
            raise UsageError(
                "JSON-2 needs an API key: set ODOO_API_KEY (a password is not enough)."
            )
        self.url = url.rstrip("/")
        self.db = db
        self.user = user or ""
        self.timeout = timeout
        self.retries = retries
        self.backoff = backoff
        self.is_plain_http = parts.scheme == "http" and not is_loopback(parts.hostname)
        self._key = api_key
        self._secret = api_key or password
        for name, text in (("ODOO_API_KEY", self._secret), ("ODOO_DB", db)):
            if not (text.isascii() and text.isprintable()) and (
                api_key or name == "ODOO_DB"
            ):
                raise UsageError(f"{name} holds characters that cannot be sent.")
        self._transport = transport
        self._tls = (ca_file, insecure) if parts.scheme == "https" else None
        if ca_file and not os.path.isfile(ca_file):
            raise UsageError(f"CA file {ca_file!r} does not exist.")
        self._on_retry = on_retry or (lambda text: None)
        self._memory = _Memory(self.url, db, self.user) if remember else _NoMemory()
        self._known = self._memory.load()
        self._opener = None

    @classmethod
    def from_environment(cls, **settings):
        """Return a client set up by ``ODOO_*`` variables.

        :param settings: arguments of :class:`Client` that go before the
            environment; empty ones count as not given
        :rtype: Client
        :raise UsageError: naming every variable that is missing
        """
        given = {name: value for name, value in settings.items() if value is not None}
        for variable in VARIABLES:
            name = variable[5:].lower()
            given[name] = given.get(name) or os.environ.get(variable, "").strip()
        if settings.get("password") and not settings.get("api_key"):
            # A password given by hand goes before a key lying in the environment.
            given["api_key"] = None
        transport = given.get("transport", "auto")
        needed = {
            "url": "ODOO_URL",
            "db": "ODOO_DB",
            "user": None if transport == "json2" else "ODOO_USER",
        }
        missing = [v for name, v in needed.items() if v and not given[name]]
        if not (given["api_key"] or given["password"]):
            missing.append("ODOO_API_KEY (or ODOO_PASSWORD)")
        if missing:
            flags = "--odoo-url, --odoo-db, --odoo-user, --api-key-file"
            raise UsageError(
                f"Not connected to Odoo: set {', '.join(missing)} in the environment, "
                f"or use the flags {flags}."
            )
        return cls(given.pop("url"), given.pop("db"), **given)

    # -- the call ----------------------------------------------------------

    def call(self, model, method, /, ids=None, **arguments):
        """Call a public model method and return what it returns.

        A transport failure (no connection, timeout, 429, 502, 503, 504, an
        answer that breaks off) is tried again with growing pauses, if the call
        carries an ``idempotency_key``, only reads, or never reached the server.

        :param str model: technical name, ``qms.sop.run``
        :param str method: name of the method
        :param list[int] | None ids: the records, None for a method of the model
        :param arguments: named arguments; None means not given
        :raise RefusedError: if the server says no
        :raise AuthenticationError: if it does not know the user, key or database
        :raise UnreachableError: if there was no usable answer
        :raise UsageError: if a value cannot be sent
        """
        arguments = {
            name: clean(value) for name, value in arguments.items() if value is not None
        }
        repeatable = "idempotency_key" in arguments or method in _REPEATABLE
        if self._use_json2():
            try:
                return self._json2(model, method, ids, arguments, repeatable)
            except _NoEndpointError:
                if self._transport == "json2" or not self.user:
                    raise self._no_endpoint("JSON-2") from None
                self._remember("transport", None)
        try:
            return self._xmlrpc(model, method, ids, arguments, repeatable)
        except _NoEndpointError:
            if self._transport == "xmlrpc":
                raise self._no_endpoint("XML-RPC") from None
        if not self._key:
            raise UsageError(
                f"{self.url} has no XML-RPC, and JSON-2 needs an API key: "
                "set ODOO_API_KEY (a password is not enough)."
            )
        try:
            result = self._json2(model, method, ids, arguments, repeatable)
        except _NoEndpointError:
            raise self._no_endpoint("neither XML-RPC nor JSON-2") from None
        except (RefusedError, AuthenticationError):
            self._remember("transport", "json2")
            raise
        self._remember("transport", "json2")
        return result

    def _use_json2(self):
        if self._transport == "auto":
            return bool(self._key) and self._known.get("transport") == "json2"
        return self._transport == "json2"

    def _no_endpoint(self, what):
        verb = "answers" if what.startswith("neither") else "does not answer"
        return UnreachableError(
            f"{what[0].upper()}{what[1:]} {verb} at {self.url} for database "
            f"{self.db!r} (HTTP 404); check ODOO_URL and ODOO_DB.",
            passing=False,
        )

    def _remember(self, name, value):
        if self._known.get(name) == value:
            return
        self._known.pop(name, None)
        if value is not None:
            self._known[name] = value
        self._memory.save(self._known)

    # -- XML-RPC -----------------------------------------------------------

    def _xmlrpc(self, model, method, ids, arguments, repeatable):
        params = [self.db, 0, self._secret, model, method]
        params += [[] if ids is None else [list(ids)], arguments]
        remembered = "uid" in self._known
        uid = self._known["uid"] if remembered else self._authenticate()
        while True:
            params[1] = uid
            try:
                return self._xmlrpc_request("object", "execute_kw", params, repeatable)
            except (AuthenticationError, RefusedError) as error:
                # The user may have been created anew under another id, and what
                # Odoo says then is that record so-and-so is missing.
                unknown = isinstance(error, AuthenticationError) or (
                    f"res.users({uid},)" in str(error)
                )
                if not remembered or not unknown:
                    raise
                self._remember("uid", None)
                remembered = False
                uid, refused = self._authenticate(), uid
                if uid == refused:
                    raise

    def _authenticate(self):
        uid = self._xmlrpc_request(
            "common", "authenticate", [self.db, self.user, self._secret, {}], True
        )
        if not uid:
            what = "API key" if self._key else "password"
            raise AuthenticationError(
                f"{self.url} refuses the {what} of user {self.user!r} "
                f"on database {self.db!r}."
            )
        self._remember("uid", uid)
        return uid

    def _xmlrpc_request(self, service, method, params, repeatable):
        import xmlrpc.client
        from xml.parsers.expat import ExpatError

        try:
            body = xmlrpc.client.dumps(tuple(params), method, encoding="utf-8")
        except (OverflowError, TypeError) as error:
            raise UsageError(f"A value cannot be sent over XML-RPC: {error}.") from None

        def parse(status, headers, answer):
            self._check_status(status, headers, answer)
            try:
                (result,), _method = xmlrpc.client.loads(answer)
            except xmlrpc.client.Fault as fault:
                raise self._from_fault(fault) from None
            except (ExpatError, xmlrpc.client.Error, ValueError, TypeError, KeyError):
                raise self._broken("XML-RPC") from None
            return result

        return self._send(
            f"/xmlrpc/2/{service}",
            body.encode("utf-8"),
            {"Content-Type": "text/xml"},
            parse,
            repeatable,
        )

    def _from_fault(self, fault):
        message = str(fault.faultString).strip()
        if fault.faultCode == _FAULT_ACCESS_DENIED:
            return self._access_denied(message)
        if fault.faultCode in (_FAULT_WARNING, _FAULT_ACCESS_ERROR):
            return RefusedError(message)
        return self._server_error(message)

    # -- JSON-2 ------------------------------------------------------------

    def _json2(self, model, method, ids, arguments, repeatable):
        payload = dict(arguments)
        if ids is not None:
            payload["ids"] = list(ids)

        def parse(status, headers, answer):
            try:
                data = json.loads(answer)
            except ValueError:
                self._check_status(status, headers, answer)
                raise self._broken("JSON") from None
            if status == 200:
                return data
            if status in _PASSING or not isinstance(data, dict):
                self._check_status(status, headers, answer)
            raise self._from_json2(status, data)

        return self._send(
            f"/json/2/{model}/{method}",
            json.dumps(payload).encode("ascii"),
            {
                "Content-Type": "application/json",
                "Authorization": f"bearer {self._key}",
                # A server with several databases cannot know which one is meant.
                "X-Odoo-Database": self.db,
            },
            parse,
            repeatable,
        )

    def _from_json2(self, status, data):
        message = str(data.get("message") or data.get("name") or "").strip()
        name = str(data.get("name") or "")
        if status == 401:
            return AuthenticationError(
                f"{self.url} refuses the API key on database {self.db!r}"
                f" ({message or 'HTTP 401'})."
            )
        if name.endswith(".AccessDenied"):
            return self._access_denied(message)
        if status >= 500:
            return self._server_error(f"{name}: {message}")
        return RefusedError(message or f"HTTP {status}")

    # -- HTTP --------------------------------------------------------------

    def _send(self, path, body, headers, parse, repeatable):
        attempt = 0
        while True:
            try:
                return parse(*self._post(path, body, headers))
            except UnreachableError as error:
                if not error.passing or not (repeatable or error.unsent):
                    raise
                if attempt >= self.retries:
                    if attempt:
                        text = f"{str(error).rstrip('.')} ({attempt + 1} attempts)."
                        raise UnreachableError(text) from None
                    raise
                pause = self._pause(attempt, error.wait)
                attempt += 1
                self._on_retry(
                    f"{str(error).rstrip('.')}; trying again in {pause:.1f} s "
                    f"({attempt} of {self.retries})."
                )
                time.sleep(pause)

    def _pause(self, attempt, wait):
        if wait is not None:
            return min(wait, _LONGEST_WAIT)
        import random

        # Half of the pause is random, so that callers that failed together do
        # not come back together.
        pause = min(self.backoff * 2**attempt, _LONGEST_WAIT)
        return pause * (0.5 + random.random() / 2)

    def _post(self, path, body, headers):
        from http.client import HTTPException
        from urllib.request import (
            HTTPHandler,
            HTTPSHandler,
            OpenerDirector,
            ProxyHandler,
            Request,
            UnknownHandler,
        )

        if self._opener is None:
            # Not build_opener(): it would follow a redirect of the POST by a GET,
            # and turn every answer but 200 into an exception.
            self._opener = OpenerDirector()
            self._opener.add_handler(ProxyHandler())
            self._opener.add_handler(HTTPHandler())
            self._opener.add_handler(UnknownHandler())
            if self._tls:
                context = tls_context(*self._tls)
                self._opener.add_handler(HTTPSHandler(context=context))
        request = Request(
            self.url + path,
            data=body,
            headers={"User-Agent": USER_AGENT, **headers},
        )
        try:
            with self._opener.open(request, timeout=self.timeout) as response:
                return response.status, response.headers, response.read()
        except (OSError, HTTPException, ValueError) as error:
            text, passing, unsent = describe_failure(error, self.timeout)
            if "certificate" in text:
                text += " (--ca-file names another authority)"
            raise UnreachableError(
                f"{self.url} cannot be reached: {text}.", passing, unsent
            ) from None

    def _check_status(self, status, headers, answer):
        """Raise what an HTTP status other than 200 means.

        :param int status: HTTP status
        :param headers: the headers of the answer
        :param bytes answer: the body
        """
        if status == 200:
            return
        if status in (404, 410):
            raise _NoEndpointError
        if status in _PASSING:
            wait = headers.get("Retry-After", "")
            raise UnreachableError(
                f"{self.url} is not available: HTTP {status}.",
                wait=float(wait) if wait.isdecimal() else None,
            )
        if status == 401:
            raise AuthenticationError(f"{self.url} asks for a login (HTTP 401).")
        if 300 <= status < 400:
            target = mask_url(headers.get("Location", "elsewhere"))
            raise UnreachableError(
                f"{self.url} redirects to {target}; set ODOO_URL to where Odoo is.",
                passing=False,
            )
        if status == 413:
            raise RefusedError(f"{self.url} refuses a request that large (HTTP 413).")
        raise RefusedError(
            f"{self.url} answered HTTP {status}; the log of the server says why."
        )

    def _broken(self, what):
        return UnreachableError(f"The answer of {self.url} is not {what}.")

    # -- errors ------------------------------------------------------------

    def _access_denied(self, message):
        return AuthenticationError(
            f"{self.url} refuses user {self.user!r} on database {self.db!r}"
            f" ({message or 'access denied'})."
        )

    def _server_error(self, message):
        """Reduce a server traceback to its last line.

        :param str message: the traceback, or what is left of it
        :rtype: QmsError
        """
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        last = lines[-1] if lines else "no details"
        if "does not exist" in last and "database" in last:
            return AuthenticationError(
                f"Database {self.db!r} does not exist at {self.url}."
            )
        if any(sign in message for sign in _DATABASE_AWAY):
            return UnreachableError(f"{self.url} cannot use its database: {last[:500]}")
        return RefusedError(
            f"Unexpected error on the server: {last[:500]} "
            "(the log of the server has the details)"
        )
