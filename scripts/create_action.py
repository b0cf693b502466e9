#!/usr/bin/env python3
"""Raise an action that keeps it from happening again, and print its id."""

import argparse

import qms_cli as cli

PURPOSE = """\
Raise a corrective or preventive action, or an improvement: from a run, from a
root-cause analysis, from an SOP, from an audit, or from elsewhere. The id of the
action is printed. Empty values count as not given.
"""
EXAMPLES = """\
python scripts/create_action.py --run-id 12 --title "Add a check of migrations to CI"
python scripts/create_action.py --rca-id 5 --title "Alert at 80 % of the pool" \\
    --kind preventive --type monitoring --priority P1 --owner jane@example.com \\
    --due 2026-03-20 --criteria "No pool error for 30 days"
python scripts/create_action.py --incident INC-20251226-001 --priority high \\
    --title "Add a check of migrations to CI" --type automation --due 2025-12-30
python scripts/create_action.py --source audit --source-note "Finding 3" \\
    --title "Restore test every quarter" --horizon long --print reference
"""
PRINTABLE = ("id", "reference", "number", "due_date", "url")


def day(value):
    """Take a date.

    :param str value: the argument; empty: not given
    :return: ISO 8601
    :rtype: str | None
    """
    value = value.strip()
    if not value:
        return None
    from datetime import date

    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a date, such as 2026-03-01"
        ) from None


def number(value):
    """Take an id, or a number of days.

    :param str value: the argument; empty: not given
    :rtype: int | None
    """
    value = value.strip()
    if not value:
        return None
    if not (value.isascii() and value.isdecimal() and int(value) <= cli.MAX_INTEGER):
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from 0 up")
    return int(value)


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES)
    add = parser.add_argument
    add("--title", type=cli.required, required=True, help="what is to be done")
    add("--description", type=cli.text, help="what exactly, and why")
    add(
        "--kind",
        type=cli.text,
        help="corrective (by default), preventive or improvement",
    )
    add(
        "--type",
        type=cli.text,
        help="code, configuration, automation, monitoring, testing, documentation, "
        "database, infrastructure, process, training or other",
    )
    add("--priority", type=cli.text, help="critical, high, medium, low or P0 to P3")
    add(
        "--horizon",
        type=cli.text,
        help="immediate (0-7 days), short (1-4 weeks) or long (1-3 months)",
    )
    add("--owner", type=cli.text, help="login of who answers for its being done")
    add("--due", type=day, metavar="DATE", help="such as 2026-03-20")
    add("--criteria", type=cli.text, help="what will show that it worked")
    add(
        "--check-after", type=number, metavar="DAYS", help="when to look whether it did"
    )
    add("--checker", type=cli.text, help="login of who looks")
    add("--error-code", type=cli.text, help="a code of the error catalogue")
    add("--run-id", type=cli.text, help="id or name of the run that it comes from")
    add("--incident", type=cli.text, help="id or number of the incident")
    add("--rca-id", type=number, help="id of the root-cause analysis")
    add("--sop-code", type=cli.text, help="code of the SOP")
    add("--source", type=cli.text, help="audit or other, where it is none of these")
    add("--source-note", type=cli.text, help="which audit, for example")
    add("--print", choices=PRINTABLE, default="id", help="what to print on stdout")
    cli.add_key(parser)
    return parser


def main():
    args = make_parser().parse_args()
    sources = [
        flag
        for flag, value in (
            ("--run-id", args.run_id),
            ("--incident", args.incident),
            ("--rca-id", args.rca_id),
            ("--sop-code", args.sop_code),
        )
        if value is not None
    ]
    if len(sources) > 1:
        raise cli.UsageError(f"Give one of {' and '.join(sources)}.")
    if args.incident and (args.source or args.source_note):
        raise cli.UsageError(
            "--source is for what comes from no record: an incident is."
        )
    client = cli.connect(args)
    values = {
        "title": args.title,
        "description": args.description,
        "kind": args.kind,
        "type": args.type,
        "priority": args.priority,
        "horizon": args.horizon,
        "owner": args.owner,
        "due_date": args.due,
        "check_criteria": args.criteria,
        "check_days": args.check_after,
        "checker": args.checker,
        "error_code": args.error_code,
        "idempotency_key": cli.base_key(args),
    }
    if args.incident:
        incident = cli.find_incident(client, args.incident)
        action = client.call(
            "qms.incident", "create_action", ids=[incident["id"]], **values
        )
    else:
        action = client.call(
            "qms.action",
            "create_action",
            **values,
            run_id=cli.find_run(client, args.run_id) if args.run_id else None,
            rca_id=args.rca_id,
            sop_code=args.sop_code,
            source_type=args.source,
            source_note=args.source_note,
        )
    owner = action["owner"] or "nobody"
    cli.note(
        args,
        f"{action['reference']} raised, due {action['due_date']}, owner: {owner}. "
        f"{action['url']}",
    )
    cli.result(args, action, action[args.print])


if __name__ == "__main__":
    cli.run_script(main)
