#!/usr/bin/env python3
"""Take an auditor bundle of runs and incidents: one ZIP that proves itself."""

import base64
import hashlib
import os

import qms_cli as cli
from qms_client import RefusedError

PURPOSE = """\
Write runs and incidents with everything that proves them into one ZIP: records, their
actions and post-mortems, SOP revisions, evidence, audit trail and anchors, and
verify_bundle.py, which verifies it offline. With an incident come its runs, with a run
its incident. The same data makes the same bytes. The path is printed, and the SHA-256
of its manifest on stderr: write it down. For auditors and QMS managers. Up to 64 MB;
larger ones are downloaded in Odoo (Auditing, Auditor bundle).
"""
EXAMPLES = """\
python scripts/export_bundle.py --run-id RUN-000012 --output RUN-000012.zip
python scripts/export_bundle.py --run-id 12 --run-id 13 --output runs.zip --force
python scripts/export_bundle.py --incident-id INC-20251226-001 --output incident.zip
python scripts/export_bundle.py --since 2026-01-01T00:00:00Z --output 2026.zip
"""


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES)
    add = parser.add_argument
    add(
        "--run-id",
        action="append",
        type=cli.required,
        metavar="RUN",
        help="id or name of a run; may be given several times",
    )
    add(
        "--incident-id",
        action="append",
        type=cli.required,
        metavar="INCIDENT",
        help="id or number of an incident; may be given several times",
    )
    add(
        "--since",
        type=cli.text,
        metavar="TIME",
        help="runs started, and incidents detected, at or after it",
    )
    add("--until", type=cli.text, metavar="TIME", help="those before it")
    add("--output", type=cli.required, required=True, metavar="FILE", help="the ZIP")
    add("--reports", action="store_true", help="with PDFs (which differ each time)")
    add("--force", action="store_true", help="replace a file that is there")
    return parser


def check(args):
    """Refuse what cannot be meant.

    :param argparse.Namespace args:
    :raise cli.UsageError: saying what to give instead
    """
    if bool(args.run_id or args.incident_id) == bool(args.since or args.until):
        raise cli.UsageError("Give --run-id or --incident-id, or --since and --until.")
    folder = os.path.dirname(args.output) or "."
    if not os.path.isdir(folder):
        raise cli.UsageError(f"--output: there is no folder {folder!r}.")
    if os.path.isdir(args.output):
        raise cli.UsageError(f"--output: {args.output!r} is a folder.")
    if os.path.lexists(args.output) and not args.force:
        raise cli.UsageError(f"{args.output!r} is there; --force replaces it.")


def write_file(path, content):
    """Write the file as a whole or not at all.

    :param str path: where
    :param bytes content: what
    :raise cli.UsageError: if it cannot be written
    """
    draft = f"{path}.{os.getpid()}.tmp"
    try:
        try:
            with open(draft, "xb") as file:
                file.write(content)
            os.replace(draft, path)
        finally:
            if os.path.exists(draft):
                os.remove(draft)
    except OSError as error:
        raise cli.UsageError(f"{path!r}: {error.strerror}.") from None


def main():
    args = make_parser().parse_args()
    check(args)
    client = cli.connect(args)
    arguments = {"reports": args.reports}
    if args.run_id:
        arguments["run_ids"] = [cli.find_run(client, value) for value in args.run_id]
    if args.incident_id:
        arguments["incident_ids"] = [
            cli.find_incident(client, value)["id"] for value in args.incident_id
        ]
    for name in ("since", "until"):
        if getattr(args, name):
            arguments[name] = getattr(args, name)
    answer = client.call("qms.audit.bundle", "export_bundle", **arguments)
    content = base64.b64decode(answer.pop("content"))
    if hashlib.sha256(content).hexdigest() != answer["sha256"]:
        raise RefusedError("The bundle did not arrive as it was sent; try again.")
    write_file(args.output, content)
    # A server without incidents does not count them.
    counts = [
        f"{answer[name]} {what}"
        for name, what in (
            ("runs", "runs"),
            ("incidents", "incidents"),
            ("purged", "that were purged"),
        )
        if answer.get(name) or name == "runs"
    ]
    cli.note(
        args,
        f"{', '.join(counts)}, {answer['size']} bytes. SHA-256 of the manifest: "
        f"{answer['manifest_sha256']}",
    )
    cli.result(args, {**answer, "path": args.output}, args.output)


if __name__ == "__main__":
    cli.run_script(main)
