#!/usr/bin/env python3
"""Make an issue at GitHub about a run or an action, and print its address."""

import re
import time

import qms_cli as cli
from qms_client import MAX_INTEGER, RefusedError, UnreachableError

PURPOSE = """\
Make an issue at GitHub about a run or an action: what happened, the cause, a
checklist, and links. Odoo makes it, in a repository and with a token that a manager
configured there; this script needs neither. The address of the issue is printed. There
is one issue about a run in each repository: asked again, the script prints the same.
"""
EXAMPLES = """\
python scripts/create_github_issue.py --run-id "$RUN_ID"
python scripts/create_github_issue.py --run-id 12 --dry-run
python scripts/create_github_issue.py --run-id 12 \\
    --title "[TECH-DEBT] Audit all database operations" \\
    --label tech-debt --label database --tracker example/service
python scripts/create_github_issue.py --action AI-001 --body-file issue.md"""
EXIT_CODES = """\
exit codes:
  0  done
  1  refused by the server, or by GitHub
  2  wrong usage, or a setting is missing
  3  authentication failed
  4  server unreachable, or no issue within --wait; Odoo goes on trying
"""
FILE_LIMIT = 1024 * 1024
PRINTABLE = ("url", "number", "id", "state")
# Seconds between two questions whether it has been made
_PAUSE = 0.5
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


def waiting(value):
    """Take a number of seconds from 0 up.

    :param str value: the argument
    :rtype: float
    """
    if value == "0":
        return 0.0
    return cli.seconds(value)


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES, exit_codes=EXIT_CODES)
    about = parser.add_mutually_exclusive_group(required=True)
    about.add_argument("--run-id", type=cli.required, help="id or name of the run")
    about.add_argument(
        "--action", type=cli.required, help="id or reference of the action"
    )
    add = parser.add_argument
    add("--title", type=cli.text, help="one line (default: from the run)")
    add(
        "--body-file",
        type=cli.text,
        metavar="FILE",
        help="Markdown (- is stdin; default: from the run)",
    )
    add(
        "--label",
        type=cli.text,
        action="append",
        metavar="LABEL",
        help="may be repeated (default: those of the tracker)",
    )
    add(
        "--tracker",
        type=cli.text,
        metavar="REPOSITORY",
        help="owner/name, or the name of the tracker (default: the first one)",
    )
    add("--dry-run", action="store_true", help="print the issue, and make none")
    add(
        "--wait",
        type=waiting,
        default=30.0,
        metavar="S",
        help="seconds to wait until it is made (default: %(default)g)",
    )
    add("--print", choices=PRINTABLE, default="url", help="what to print on stdout")
    cli.add_key(parser)
    return parser


def find_action(client, value):
    """Return the id of the action that ``--action`` names.

    :param Client client: the connection
    :param str value: an id (``7``) or a reference
    :rtype: int
    :raise cli.UsageError: if it is neither
    :raise RefusedError: if there is no such action
    """
    value = value.strip()
    if value.isascii() and value.isdecimal():
        if not 0 < int(value) <= MAX_INTEGER:
            raise RefusedError(f"There is no action {value}.")
        return int(value)
    if not _REFERENCE.fullmatch(value):
        raise cli.UsageError(f"--action: {value!r} is neither an id nor a reference.")
    found = client.call(
        "qms.action",
        "search_read",
        domain=["|", ["reference", "=", value], ["number", "=", value]],
        fields=["reference"],
        limit=2,
    )
    if len(found) > 1:
        names = ", ".join(action["reference"] for action in found)
        raise RefusedError(f"More than one action is named {value}: {names}.")
    if not found:
        raise RefusedError(f"There is no action {value}, or you may not see it.")
    return found[0]["id"]


def read_body(args):
    """Return the text of ``--body-file``, if it was given.

    :param argparse.Namespace args: with ``body_file``
    :rtype: str | None
    :raise cli.UsageError: if it cannot be read or is empty
    """
    if not args.body_file:
        return None
    content = cli.read_bytes(args.body_file, FILE_LIMIT, "--body-file")
    body = content.decode("utf-8-sig", "replace").strip()
    if not body:
        raise cli.UsageError(f"--body-file {args.body_file!r} is empty.")
    return body


def wait_for(client, issue, seconds):
    """Ask until an issue is made, given up, or the time is over.

    :param Client client: the connection
    :param dict issue: as ``create_issue`` answers
    :param float seconds: how long to wait
    :return: as ``get_issue`` answers
    :rtype: dict
    """
    deadline = time.monotonic() + seconds
    # It is usually made while the first answer is on its way.
    while issue["state"] in ("queued", "sending"):
        issue = client.call("qms.issue", "get_issue", ids=[issue["id"]])
        left = deadline - time.monotonic()
        if issue["state"] in ("queued", "sending"):
            if left <= 0:
                break
            time.sleep(min(_PAUSE, left))
    return issue


def main():
    args = make_parser().parse_args()
    body = read_body(args)
    client = cli.connect(args)
    if args.run_id:
        model, record = "qms.sop.run", cli.find_run(client, args.run_id)
    else:
        model, record = "qms.action", find_action(client, args.action)
    labels = [label for label in args.label or [] if label] or None
    if args.dry_run:
        draft = client.call(model, "preview_issue", ids=[record], tracker=args.tracker)
        draft |= {
            name: value
            for name, value in (
                ("title", args.title),
                ("body", body),
                ("labels", labels),
            )
            if value
        }
        cli.note(args, f"To be made in {draft['repository']}:")
        shown = ", ".join(draft["labels"])
        cli.result(args, draft, f"{draft['title']}\n\n{draft['body']}\n\n{shown}")
        return
    asked = client.call(
        model,
        "create_issue",
        ids=[record],
        title=args.title,
        body=body,
        labels=labels,
        tracker=args.tracker,
        idempotency_key=cli.base_key(args),
    )
    issue = {**asked, **wait_for(client, asked, args.wait)}
    if issue["state"] == "failed":
        raise RefusedError(f"No issue was made: {issue['error']}")
    if issue["state"] != "made" and args.wait:
        problem = f" ({issue['error']})" if issue["error"] else ""
        raise UnreachableError(
            f"No issue was made within {args.wait:g} s{problem}; Odoo goes on trying."
        )
    if issue["state"] == "made":
        again = ", which was there already" if issue["existing"] else ""
        cli.note(args, f"{issue['repository']}#{issue['number']}{again}.")
        if issue["error"]:
            cli.warn(args, issue["error"])
    cli.result(args, issue, issue[args.print] or "")


if __name__ == "__main__":
    cli.run_script(main)
