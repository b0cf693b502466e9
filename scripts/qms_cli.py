"""What the command-line scripts have in common: arguments, output, exit codes.

The result goes to stdout and nothing else does, so that a shell can take it
(``RUN_ID=$(…)``); what is meant for people goes to stderr.
"""

import argparse
import os
import sys

from qms_client import (
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    MAX_INTEGER,
    TRANSPORTS,
    Client,
    QmsError,
    RefusedError,
    UsageError,
    clean,
    new_key,
)

# The limit of qms.sop.run.evidence, checked here before 25 MB travel for nothing.
EVIDENCE_LIMIT = 25 * 1024 * 1024

EXIT_CODES = """\
exit codes:
  0  done
  1  refused by the server
  2  wrong usage, or a setting is missing
  3  authentication failed
  4  server unreachable or timed out
"""
ENVIRONMENT = """\
environment:
  ODOO_URL       address of the server (https://odoo.example.com)
  ODOO_DB        name of the database
  ODOO_USER      login of the user
  ODOO_API_KEY   API key of the user, or ODOO_PASSWORD
  Proxies are taken from HTTPS_PROXY, HTTP_PROXY and NO_PROXY. The user id is
  remembered in $XDG_CACHE_HOME/qms-sop (~/.cache/qms-sop), without any secret.
"""


def text(value):
    """Take an optional argument; an empty one counts as not given.

    A pipeline passes ``"$SEVERITY"`` whether it is set or not.

    :param str value: the argument
    :rtype: str | None
    """
    return value if value.strip() else None


def required(value):
    """Take a mandatory argument, which must not be empty.

    :param str value: the argument
    :rtype: str
    """
    if not value.strip():
        raise argparse.ArgumentTypeError("the value is empty; is its variable set?")
    return value


def seconds(value):
    """Take a positive number of seconds.

    :param str value: the argument
    :rtype: float
    """
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= 86400:
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a number of seconds above 0 and up to 86400"
        )
    return number


def moment(value):
    """Take a date and time: RFC 3339, or seconds since 1970 as ``date +%s`` has them.

    :param str value: the argument; empty: not given
    :return: RFC 3339
    :rtype: str | None
    """
    value = value.strip()
    if not value:
        return None
    # Loading it takes a moment that most calls do not need.
    from datetime import datetime, timezone

    try:
        if value.isascii() and value.isdecimal():
            found = datetime.fromtimestamp(int(value), timezone.utc)
        else:
            zulu = value[-1:] in "Zz"
            found = datetime.fromisoformat(f"{value[:-1]}+00:00" if zulu else value)
            if len(value) < len("2026-03-01T12:00"):
                raise ValueError(value)
            if not found.tzinfo:
                found = found.replace(tzinfo=timezone.utc)
            found = found.astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a time, such as 2026-03-01T12:00:00Z (UTC without an "
            f"offset), or seconds since 1970"
        ) from None
    return f"{found.replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def count(value):
    """Take a whole number from 0 to 100.

    :param str value: the argument
    :rtype: int
    """
    if not (value.isascii() and value.isdecimal() and int(value) <= 100):
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a whole number from 0 to 100"
        )
    return int(value)


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one sentence (exit code 2)."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\nSee {self.prog} --help.\n")


def make_parser(purpose, examples, exit_codes=EXIT_CODES, timeout="--timeout"):
    """Return a parser with the connection and output flags of every script.

    :param str purpose: one paragraph
    :param str examples: command lines, one per line
    :param str exit_codes: the paragraph on exit codes
    :param str timeout: the flag for the time an answer of Odoo may take, where
        ``--timeout`` is the time that something else may take
    :rtype: Parser
    """
    shown = "".join(f"  {line}\n" for line in examples.strip().splitlines())
    parser = Parser(
        description=purpose,
        epilog=f"examples:\n{shown}\n{exit_codes}\n{ENVIRONMENT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # An abbreviation that works today breaks when a flag is added.
        allow_abbrev=False,
    )
    group = parser.add_argument_group("connection to Odoo")
    group.add_argument("--odoo-url", type=text, metavar="URL", help="ODOO_URL")
    group.add_argument("--odoo-db", type=text, metavar="NAME", help="ODOO_DB")
    group.add_argument("--odoo-user", type=text, metavar="LOGIN", help="ODOO_USER")
    for what, variable in (("api-key", "API_KEY"), ("password", "PASSWORD")):
        group.add_argument(
            f"--{what}",
            type=text,
            metavar="SECRET",
            help=f"ODOO_{variable}; others on this machine can see it: "
            f"prefer the variable or --{what}-file",
        )
        group.add_argument(
            f"--{what}-file",
            type=text,
            metavar="FILE",
            help=f"read ODOO_{variable} from the first line of this file",
        )
    group.add_argument(
        "--transport",
        choices=TRANSPORTS,
        default="auto",
        help="auto: XML-RPC, or JSON-2 where the server has no XML-RPC",
    )
    group.add_argument(
        timeout,
        dest="timeout",
        type=seconds,
        default=DEFAULT_TIMEOUT,
        metavar="S",
        help="seconds to wait for an answer (default: %(default)g)",
    )
    group.add_argument(
        "--retries",
        type=count,
        default=DEFAULT_RETRIES,
        metavar="N",
        help="further attempts when the transport fails (default: %(default)s)",
    )
    group.add_argument(
        "--ca-file",
        type=text,
        metavar="FILE",
        help="PEM file of the certificate authority to trust",
    )
    group.add_argument(
        "--insecure", action="store_true", help="accept any TLS certificate"
    )
    group = parser.add_argument_group("output")
    group.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout"
    )
    group.add_argument(
        "--quiet", action="store_true", help="print errors only on stderr"
    )
    return parser


def add_key(parser):
    """Add ``--idempotency-key``; every invocation has one.

    :param Parser parser: the parser
    """
    parser.add_argument(
        "--idempotency-key",
        type=text,
        metavar="KEY",
        help="the same key never does the same thing twice "
        "(default: a new one per invocation)",
    )


def connect(args):
    """Return a client for the connection flags; warn of what is not safe.

    :param argparse.Namespace args: parsed by a parser of :func:`make_parser`
    :rtype: Client
    :raise UsageError: if a setting is missing or a file cannot be read
    """
    secrets = {}
    for name in ("api_key", "password"):
        path = getattr(args, f"{name}_file")
        secrets[name] = getattr(args, name)
        if path and secrets[name]:
            flag = name.replace("_", "-")
            raise UsageError(f"Give --{flag} or --{flag}-file, not both.")
        if path:
            secrets[name] = _first_line(path)
        elif secrets[name]:
            flag = name.replace("_", "-")
            warn(
                args,
                f"--{flag} is visible in the process list; prefer "
                f"ODOO_{name.upper()} or --{flag}-file.",
            )
    client = Client.from_environment(
        url=args.odoo_url,
        db=args.odoo_db,
        user=args.odoo_user,
        **secrets,
        transport=args.transport,
        timeout=args.timeout,
        retries=args.retries,
        ca_file=args.ca_file,
        insecure=args.insecure,
        on_retry=lambda message: warn(args, message),
    )
    if client.is_plain_http:
        warn(args, f"{client.url} is not encrypted: the key travels in clear text.")
    if args.insecure:
        warn(args, "--insecure: the identity of the server is not verified.")
    return client


def _first_line(path):
    try:
        with open(path, encoding="utf-8") as file:
            secret = file.readline(4096).strip()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"{path!r} cannot be read: {reason}.") from None
    if not secret:
        raise UsageError(f"{path!r} has nothing in its first line.")
    return secret


def find_run(client, value):
    """Return the id of the run that ``--run-id`` names.

    :param Client client: the connection
    :param str value: an id (``12``) or a name (``RUN-000012``)
    :rtype: int
    :raise UsageError: if it is neither
    :raise RefusedError: if there is no such run, or more than one
    """
    value = value.strip()
    if value.isascii() and value.isdecimal():
        if not 0 < int(value) <= MAX_INTEGER:
            raise RefusedError(f"There is no run {value}.")
        return int(value)
    if not value.upper().startswith("RUN-") or not value[4:].isalnum():
        raise UsageError(
            f"--run-id: {value!r} is neither an id (12) nor a name (RUN-000012)."
        )
    found = client.call(
        "qms.sop.run",
        "search_read",
        domain=[["name", "=", value.upper()]],
        fields=["name"],
        limit=2,
    )
    if len(found) > 1:
        raise RefusedError(f"More than one run is named {value}; give its id.")
    if not found:
        raise RefusedError(f"There is no run {value}, or you may not see it.")
    return found[0]["id"]


def find_incident(client, value):
    """Return the incident that a flag names.

    :param Client client: the connection
    :param str value: an id (``12``) or a number (``INC-20260301-001``)
    :rtype: dict
    :raise RefusedError: if there is no such incident
    """
    return client.call("qms.incident", "find_incident", reference=value.strip())


def read_bytes(path, limit, stdin_name):
    """Read a file, or stdin for ``-``, up to a limit.

    :param str path: the file
    :param int limit: bytes
    :param str stdin_name: the flag, for messages
    :rtype: bytes
    :raise UsageError: if it cannot be read or is larger
    """
    try:
        if path == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(limit + 1)
    except OSError as error:
        raise UsageError(
            f"{stdin_name}: {path!r} cannot be read: {error.strerror}."
        ) from None
    if len(data) > limit:
        shown = "stdin" if path == "-" else repr(path)
        raise UsageError(
            f"{stdin_name}: {shown} is larger than the limit of "
            f"{limit // 1024 // 1024} MB; attach the part that matters."
        )
    return data


def base_key(args):
    """Return the idempotency key of this invocation.

    :param argparse.Namespace args: with ``idempotency_key``
    :rtype: str
    """
    return args.idempotency_key or new_key()


def default_source(parser):
    """Name this script and machine, as the source of what it sends.

    :param Parser parser: the parser of the script
    :rtype: str
    """
    import socket

    return f"{parser.prog} on {socket.gethostname()}"


def result(args, data, value):
    """Print the result: one JSON object, or the one value that scripts take.

    :param argparse.Namespace args: with ``json``
    :param dict data: the whole result
    :param value: what is printed without ``--json``
    """
    if args.json:
        import json

        print(json.dumps(data, indent=2))
    else:
        print(clean(str(value)))


def note(args, message):
    """Tell a person something, on stderr, unless ``--quiet``.

    :param argparse.Namespace args: with ``quiet``
    :param str message: one sentence
    """
    if not args.quiet:
        complain(message)


def warn(args, message):
    """Warn a person of something, on stderr, unless ``--quiet``.

    :param argparse.Namespace args: with ``quiet``
    :param str message: one sentence
    """
    note(args, f"warning: {message}")


def complain(message):
    """Tell a person something, on stderr, in any case.

    :param str message: one sentence
    """
    # What a server says is not trusted to steer the terminal.
    print(clean(message), file=sys.stderr, flush=True)


def run_script(main):
    """Run ``main()`` and end the process with its exit code.

    :param main: a function without arguments that returns an exit code or None
    """
    prog = os.path.basename(sys.argv[0])
    # A terminal that lacks a character gets a question mark, not an error.
    sys.stdout.reconfigure(errors="replace")
    try:
        code = main() or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        complain(f"{prog}: interrupted.")
        code = 130
    except BrokenPipeError:
        # The reader went away; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except QmsError as error:
        complain(f"{prog}: {error}")
        code = error.exit_code
    except Exception as error:
        if os.environ.get("QMS_DEBUG"):
            raise
        complain(
            f"{prog}: unexpected {type(error).__name__}: {error} "
            "(QMS_DEBUG=1 shows where)"
        )
        code = 1
    sys.exit(code)
