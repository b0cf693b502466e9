#!/usr/bin/env python3
"""Update an incident: what it says, its runs, roles, timeline and state."""

import argparse

import qms_cli as cli

PURPOSE = """\
Update an incident, and print its state. Everything may be given in one invocation;
it is done in this order: what the incident says, run, role, entry, imported timeline,
state, update for stakeholders. When something is refused, what was done before it
stays done: repeat the same line with the same --idempotency-key to do only the rest.
What closing it still needs is told by --missing, and by the refusal of --state closed,
in the same words.
"""
EXAMPLES = """\
python scripts/update_incident.py --incident INC-20251226-001 --state triaged
python scripts/update_incident.py --incident 7 --entry "Migration applied" \\
    --entry-at 2025-12-26T14:42:00Z --entry-component Backend \\
    --entry-evidence "alembic upgrade head"
python scripts/update_incident.py --incident 7 --users-affected 40 \\
    --operations-affected "Generating schedules" --no-workaround \\
    --data-integrity intact --data-checks "No orphans" --compliance maintained
python scripts/update_incident.py --incident 7 --import-timeline notes.md
python scripts/update_incident.py --incident 7 --update "Cause found, being mended" \\
    --public-text "We are working on it." --channel "Incident room"
python scripts/update_incident.py --incident 7 --missing
python scripts/update_incident.py --incident 7 --timeline markdown > timeline.md
"""
# Flags that are called otherwise than what they fill
_FLAGS = {"channels": "channel", "users": "tell"}
PRINTABLE = ("state", "id", "name", "url")
TIMELINE_LIMIT = 1024 * 1024
TEXTS = {
    "title": "what happens, in a line",
    "severity": "critical, high, medium, low or P0 to P3",
    "category": "such as DATABASE",
    "error_code": "a code of the error catalogue",
    "description": "what users or systems experienced",
    "responsible": "login of who is responsible",
    "parent": "id or number of the larger incident",
    "occurred_at": "when it began: RFC 3339, UTC without an offset",
    "detected_at": "when it was detected",
    "detection_method": "monitoring, health_check, user, team or other",
    "detected_by": "the monitor or person that noticed it",
    "detection_faster": "yes or no: could it have been detected sooner",
    "detection_note": "how it could have been",
    "groups_affected": "which users",
    "operations_affected": "what could not be done",
    "workaround": "what users could do meanwhile",
    "data_integrity": "intact, inconsistent or corrupted",
    "data_checks": "how the data was checked, and what that showed",
    "compliance": "maintained, at_risk or violated",
    "compliance_checks": "how compliance was checked",
    "prevention": "what keeps it from happening again",
    "documentation": "which documents were corrected",
    "team_told": "who was told what was learned, and where",
    "postmortem_link": "where the post-mortem can be read",
    "public_title": "what it is called on the status page",
}


def number(kind):
    """Return what takes a number from 0 up.

    :param type kind: int or float
    """

    def take(value):
        if not value.strip():
            return None
        try:
            taken = kind(value)
        except ValueError:
            taken = -1
        if not 0 <= taken < 1e12:
            raise argparse.ArgumentTypeError(f"{value!r} is no number from 0 up")
        return taken

    return take


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES)
    add = parser.add_argument
    add(
        "--incident",
        type=cli.required,
        required=True,
        metavar="INCIDENT",
        help="id or number of the incident",
    )
    for name, text in TEXTS.items():
        flag = f"--{name.replace('_', '-')}"
        add(flag, type=cli.text, metavar="TEXT", help=text)
    add(
        "--system",
        type=cli.text,
        action="append",
        default=[],
        dest="systems",
        metavar="NAME",
        help="an affected system; may be repeated, and replaces those there are",
    )
    add("--users-affected", type=number(int), metavar="N", help="how many users")
    add("--cost-estimate", type=number(float), metavar="N", help="what it cost")
    add("--no-workaround", action="store_true", help="there was no workaround")
    add("--link-run", type=cli.text, metavar="RUN", help="a run that belongs to it")
    add("--assign", type=cli.text, metavar="ROLE", help="such as incident_commander")
    add("--to", type=cli.text, metavar="LOGIN", help="who gets the role (on duty)")
    add("--note", type=cli.text, help="what the next one has to know")
    add("--entry", type=cli.text, metavar="TEXT", help="add to the timeline")
    add("--entry-at", type=cli.text, metavar="TIME", help="when it happened (now)")
    add("--entry-component", type=cli.text, metavar="TEXT", help="what it is about")
    add("--entry-evidence", type=cli.text, metavar="TEXT", help="where it can be seen")
    add(
        "--import-timeline",
        type=cli.text,
        metavar="FILE",
        help="a log, CSV file or Markdown table with times (- is stdin)",
    )
    add("--day", type=cli.text, metavar="DATE", help="of times without a date")
    add("--timezone", type=cli.text, metavar="ZONE", help="of those times (UTC)")
    add(
        "--state",
        type=cli.text,
        help="triaged, mitigated, resolved, reviewed, closed, duplicate or "
        "false_positive; triaged reopens what was resolved",
    )
    add(
        "--update",
        type=cli.text,
        metavar="TEXT",
        help="tell stakeholders what is new",
    )
    add(
        "--update-kind",
        type=cli.text,
        metavar="KIND",
        help="detected, update or resolved (default: update)",
    )
    add("--public-text", type=cli.text, metavar="TEXT", help="what is said outside")
    add(
        "--channel",
        type=cli.text,
        action="append",
        default=[],
        dest="channels",
        metavar="NAME",
        help="who is told (those that subscribe to updates); may be repeated",
    )
    add(
        "--tell",
        type=cli.text,
        action="append",
        default=[],
        dest="users",
        metavar="LOGIN",
        help="a person to tell; may be repeated",
    )
    add(
        "--next-minutes",
        type=number(int),
        metavar="N",
        help="until the next update (by severity); 0: when there is news",
    )
    add("--reason", type=cli.text, help="why it is reopened or a false positive")
    add("--at", type=cli.text, metavar="TIME", help="when it got there (now)")
    add("--duplicate-of", type=cli.text, metavar="INCIDENT", help="id or number")
    add(
        "--missing",
        action="store_true",
        help="print what closing still needs, a reason a line, in place of the state",
    )
    add(
        "--timeline",
        choices=("markdown", "csv"),
        help="print the timeline in place of the state",
    )
    add("--print", choices=PRINTABLE, default="state", help="what to print on stdout")
    cli.add_key(parser)
    return parser


def check(args):
    """Refuse combinations of flags that mean nothing.

    :param argparse.Namespace args: the arguments
    :raise cli.UsageError: naming the flags
    """
    for name in ("systems", "channels", "users"):
        setattr(args, name, [value for value in getattr(args, name) if value])
    if args.next_minutes is not None and not args.update:
        raise cli.UsageError("--next-minutes needs --update.")
    for owner, names in (
        ("entry", ("entry_at", "entry_component", "entry_evidence")),
        ("import_timeline", ("day", "timezone")),
        ("state", ("reason", "at", "duplicate_of")),
        ("assign", ("to", "note")),
        ("update", ("update_kind", "public_text", "channels", "users")),
    ):
        for name in names:
            if getattr(args, name) and not getattr(args, owner):
                flag = _FLAGS.get(name, name).replace("_", "-")
                raise cli.UsageError(f"--{flag} needs --{owner.replace('_', '-')}.")
    if args.workaround and args.no_workaround:
        raise cli.UsageError("Give --workaround or --no-workaround, not both.")


def changes(args):
    """Return what the incident is to say.

    :param argparse.Namespace args: the arguments
    :rtype: dict
    """
    values = {name: getattr(args, name) for name in TEXTS}
    values |= {
        "users_affected": args.users_affected,
        "cost_estimate": args.cost_estimate,
        "systems": args.systems or None,
    }
    if args.workaround or args.no_workaround:
        values["workaround_available"] = "yes" if args.workaround else "no"
    return {name: value for name, value in values.items() if value is not None}


def calls(args):
    """Yield what is to be done, in order.

    :param argparse.Namespace args: the arguments
    :return: names of methods, and their arguments
    """
    values = changes(args)
    if values:
        yield "update_incident", {"values": values}
    if args.link_run:
        yield "link_run", {"run": args.link_run}
    if args.assign:
        yield "assign_role", {"role": args.assign, "user": args.to, "note": args.note}
    if args.entry:
        yield (
            "add_timeline_entry",
            {
                "text": args.entry,
                "occurred_at": args.entry_at,
                "component": args.entry_component,
                "evidence": args.entry_evidence,
            },
        )
    if args.import_timeline:
        data = cli.read_bytes(args.import_timeline, TIMELINE_LIMIT, "--import-timeline")
        yield (
            "import_timeline",
            {
                "text": data.decode("utf-8", "replace"),
                "day": args.day,
                "timezone": args.timezone,
            },
        )
    if args.state:
        yield (
            "move",
            {
                "state": args.state,
                "reason": args.reason,
                "at": args.at,
                "duplicate_of": args.duplicate_of,
            },
        )
    if args.update:
        yield (
            "send_update",
            {
                "message": args.update,
                "kind": args.update_kind or "update",
                "public_text": args.public_text,
                "channels": args.channels or None,
                "users": args.users or None,
                "next_minutes": args.next_minutes,
            },
        )


def main():
    args = make_parser().parse_args()
    check(args)
    todo = list(calls(args))
    if not (todo or args.missing or args.timeline):
        raise cli.UsageError(
            "Nothing to do: give --state, --entry, --missing or another change."
        )
    client = cli.connect(args)
    key = cli.base_key(args)
    incident = cli.find_incident(client, args.incident)
    ids = [incident["id"]]
    for method, arguments in todo:
        answer = client.call(
            "qms.incident",
            method,
            ids=ids,
            **arguments,
            idempotency_key=f"{key}/{method}",
        )
        if method == "import_timeline":
            tell_import(args, answer)
    incident = client.call("qms.incident", "get_incident", ids=ids)
    cli.note(args, f"{incident['name']} is {incident['state']}: {incident['url']}")
    value = incident[args.print]
    if args.missing:
        missing = client.call("qms.incident", "what_is_missing", ids=ids)
        incident["missing"] = missing
        value = "\n".join(f"{one['code']}: {one['text']}" for one in missing)
    if args.timeline:
        table = client.call(
            "qms.incident", "export_timeline", ids=ids, format=args.timeline
        )
        incident["timeline"] = table["content"]
        value = table["content"].rstrip("\n")
    cli.result(args, incident, value)


def tell_import(args, answer):
    """Say what became of the lines of an imported timeline."""
    cli.note(
        args,
        f"{answer['added']} entries added, {answer['known']} were there already.",
    )
    for problem in answer["problems"][:10]:
        cli.warn(
            args, f"line {problem['line']}: {problem['why']} ({problem['text']!r})"
        )


if __name__ == "__main__":
    cli.run_script(main)
