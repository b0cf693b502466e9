#!/usr/bin/env python3
"""Open a run of an SOP and print its id."""

import sys

import qms_cli as cli

PURPOSE = """\
Open a run of the effective revision of an SOP, with all its steps, and print
the id of the run. Category and severity come from the error code, or from the
log, unless they are given. Empty values count as not given.
"""
EXAMPLES = """\
RUN_ID=$(python scripts/create_sop_run.py --sop-code SOP-TRIAGE-001)
python scripts/create_sop_run.py --sop-code SOP-TRIAGE-001 --log-file app.log
python scripts/create_sop_run.py --sop-code SOP-TRIAGE-001 \\
    --error-code DB_DEADLOCK --severity P1 --json
python scripts/create_sop_run.py --sop-code SOP-TRIAGE-001 --severity P0 \\
    --occurred-at 2026-03-01T11:40:00Z --acknowledge
"""
# What the catalogue classifies in one call; errors stand at the end of a log.
LOG_LIMIT = 10 * 1024 * 1024
PRINTABLE = {
    "id": "id",
    "name": "name",
    "state": "state",
    "url": "url",
    "api-url": "api_url",
    "status-url": "status_url",
}


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES)
    parser.add_argument(
        "--sop-code", type=cli.required, required=True, help="such as SOP-TRIAGE-001"
    )
    parser.add_argument(
        "--error-code", type=cli.text, help="a code of the error catalogue"
    )
    parser.add_argument(
        "--severity", type=cli.text, help="critical, high, medium, low or P0 to P3"
    )
    parser.add_argument("--category", type=cli.text, help="such as DATABASE")
    parser.add_argument(
        "--trigger",
        type=cli.text,
        help="manual, automated or scheduled (default: manual)",
    )
    parser.add_argument(
        "--source",
        type=cli.text,
        help="who or what opens the run (default: this script and machine)",
    )
    parser.add_argument("--summary", type=cli.text, help="what is seen, in a sentence")
    parser.add_argument(
        "--log-file",
        type=cli.text,
        metavar="FILE",
        help="log that tells category, code and severity (- is stdin)",
    )
    parser.add_argument(
        "--dedup-key",
        type=cli.text,
        metavar="KEY",
        help="return the open run with this key, if there is one",
    )
    parser.add_argument(
        "--occurred-at",
        type=cli.moment,
        metavar="TIME",
        help="when the trouble began: 2026-03-01T12:00:00Z or seconds since 1970",
    )
    parser.add_argument(
        "--detected-at",
        type=cli.moment,
        metavar="TIME",
        help="when it was noticed; the SLA clocks begin then (default: now)",
    )
    parser.add_argument(
        "--acknowledge",
        action="store_true",
        help="take the run on at once: you are working on it",
    )
    parser.add_argument(
        "--print",
        choices=[*PRINTABLE, "status-token"],
        default="id",
        help="what to print on stdout (default: id)",
    )
    cli.add_key(parser)
    return parser


def read_log(args):
    """Return the end of the log, as far as the server takes it.

    :param argparse.Namespace args: with ``log_file``
    :rtype: str | None
    """
    if not args.log_file:
        return None
    try:
        if args.log_file == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(args.log_file, "rb") as file:
                size = file.seek(0, 2) if file.seekable() else 0
                if size:
                    file.seek(max(0, size - LOG_LIMIT - 1))
                data = file.read()
    except OSError as error:
        raise cli.UsageError(
            f"--log-file: {args.log_file!r} cannot be read: {error.strerror}."
        ) from None
    if len(data) > LOG_LIMIT:
        cli.note(args, f"Only the last {LOG_LIMIT // 1024 // 1024} MB are classified.")
        data = data[-LOG_LIMIT:]
    return data.decode("utf-8", "replace")


def main():
    parser = make_parser()
    args = parser.parse_args()
    log_text = read_log(args)
    client = cli.connect(args)
    key = cli.base_key(args)
    run = client.call(
        "qms.sop.run",
        "start_run",
        sop_code=args.sop_code.strip(),
        error_code=args.error_code,
        severity=args.severity,
        category=args.category,
        trigger=args.trigger or "manual",
        source=args.source or cli.default_source(parser),
        summary=args.summary,
        log_text=log_text,
        dedup_key=args.dedup_key,
        occurred_at=args.occurred_at,
        detected_at=args.detected_at,
        idempotency_key=key,
    )
    if args.acknowledge and not run.get("acknowledged_at"):
        acknowledged = client.call(
            "qms.sop.run",
            "acknowledge",
            ids=[run["id"]],
            idempotency_key=f"{key}/acknowledge",
        )
        run = {**acknowledged, "existing": run["existing"]}
    classified = [run["severity"], run["category"], run["error_code"]]
    cli.note(
        args,
        f"{run['name']} {'is already open' if run['existing'] else 'opened'} on "
        f"{run['sop_code']} {run['sop_version']}"
        f" ({', '.join(filter(None, classified)) or 'not classified'}): {run['url']}",
    )
    if args.print == "status-token":
        value = run["status_url"].rstrip("/").rpartition("/")[2]
    else:
        value = run[PRINTABLE[args.print]]
    cli.result(args, run, value)


if __name__ == "__main__":
    cli.run_script(main)
