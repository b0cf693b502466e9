#!/usr/bin/env python3
"""Open an incident and print its id."""

import qms_cli as cli

PURPOSE = """\
Open an incident and print its id. With --run-id it is opened for that run, from
which title, severity and detection come unless they are given; --alert-id does the same
for an alert, with or without a run. One that has an incident already gets no second
one. Empty values count as not given.
"""
EXAMPLES = """\
python scripts/create_incident.py --title "Logins fail" --severity P1
INC=$(python scripts/create_incident.py --run-id "$RUN_ID" --print name)
python scripts/create_incident.py --title "Schedules cannot be generated" --similar
python scripts/create_incident.py --title "Schedules cannot be generated" \\
    --error-code DB_CONNECTION_TIMEOUT --system "Backend API" \\
    --detection-method monitoring --detected-by Prometheus \\
    --occurred-at 2025-12-26T14:30:15Z --detected-at 2025-12-26T14:32:00Z
"""
PRINTABLE = {
    "id": "id",
    "name": "name",
    "state": "state",
    "url": "url",
    "api-url": "api_url",
}
# What a run that the incident is opened for says itself
_OF_THE_RUN = (
    "category",
    "error_code",
    "description",
    "systems",
    "detection_method",
    "detected_by",
    "detected_at",
    "occurred_at",
    "parent",
)


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES)
    add = parser.add_argument
    add("--title", type=cli.text, help="what happens, in a line")
    add("--run-id", type=cli.text, help="id or name of the run it is opened for")
    add("--alert-id", type=cli.text, help="id of the alert it is opened for")
    add("--severity", type=cli.text, help="critical, high, medium, low or P0 to P3")
    add("--category", type=cli.text, help="such as DATABASE")
    add("--error-code", type=cli.text, help="a code of the error catalogue")
    add("--description", type=cli.text, help="what users or systems experience")
    add(
        "--system",
        type=cli.text,
        action="append",
        default=[],
        dest="systems",
        metavar="NAME",
        help="an affected system; may be repeated",
    )
    add(
        "--detection-method",
        type=cli.text,
        metavar="HOW",
        help="monitoring, health_check, user, team or other",
    )
    add("--detected-by", type=cli.text, metavar="WHO", help="the monitor or person")
    add(
        "--detected-at",
        type=cli.text,
        metavar="TIME",
        help="RFC 3339, UTC without an offset (default: now)",
    )
    add("--occurred-at", type=cli.text, metavar="TIME", help="when it began, if known")
    add(
        "--parent",
        type=cli.text,
        metavar="INCIDENT",
        help="id or number of the larger incident that it is a part of",
    )
    add(
        "--similar",
        action="store_true",
        help="also tell, on stderr, of incidents like it and what mended them",
    )
    add("--print", choices=PRINTABLE, default="id", help="what to print (default: id)")
    cli.add_key(parser)
    return parser


def check(args):
    """Refuse combinations of flags that mean nothing.

    :param argparse.Namespace args: the arguments
    :raise cli.UsageError: naming the flags
    """
    args.systems = [name for name in args.systems if name]
    sources = {"run": args.run_id, "alert": args.alert_id}
    sources = [name for name, value in sources.items() if value]
    if len(sources) > 1:
        raise cli.UsageError("Give --run-id or --alert-id, not both.")
    if not sources and not args.title:
        raise cli.UsageError(
            "Give --title, or --run-id or --alert-id to take it from there."
        )
    if args.alert_id and not (args.alert_id.isascii() and args.alert_id.isdecimal()):
        raise cli.UsageError(f"--alert-id: {args.alert_id!r} is not an id.")
    given = [name for name in _OF_THE_RUN if getattr(args, name)]
    for source in sources if given else ():
        flag = given[0].removesuffix("s") if given[0] == "systems" else given[0]
        raise cli.UsageError(
            f"--{flag.replace('_', '-')} comes from the {source}; give it without "
            f"--{source}-id, or change it with update_incident.py."
        )


def tell_similar(args, client, incident):
    """Tell of incidents like the one that was opened.

    That one is open whatever comes of this.

    :param argparse.Namespace args: the arguments
    :param Client client: the connection
    :param dict incident: the incident
    """
    try:
        found = client.call("qms.incident", "get_similar", ids=[incident["id"]])
    except cli.QmsError as error:
        cli.warn(args, f"Similar incidents are not known: {error}")
        return
    for one in found:
        lines = [f"{one['name']} {one['title']} ({'; '.join(one['why'])})"]
        if one["open"]:
            lines.append("still open: it may be the same")
        for label, name in (("cause", "root_cause"), ("fix", "fix")):
            if one[name]:
                lines.append(f"{label}: {' '.join(one[name].split())}")
        cli.note(args, "\n  ".join([f"similar: {lines[0]}", *lines[1:]]))
    if not found:
        cli.note(args, "similar: none")


def main():
    args = make_parser().parse_args()
    check(args)
    client = cli.connect(args)
    key = cli.base_key(args)
    if args.run_id:
        incident = client.call(
            "qms.sop.run",
            "open_incident",
            ids=[cli.find_run(client, args.run_id)],
            title=args.title,
            severity=args.severity,
            idempotency_key=key,
        )
    elif args.alert_id:
        incident = client.call(
            "qms.alert",
            "open_incident",
            ids=[int(args.alert_id)],
            title=args.title,
            severity=args.severity,
            idempotency_key=key,
        )
    else:
        incident = client.call(
            "qms.incident",
            "open_incident",
            title=args.title,
            severity=args.severity,
            **{name: getattr(args, name) for name in _OF_THE_RUN if name != "systems"},
            systems=args.systems or None,
            idempotency_key=key,
        )
    classified = [incident["severity"], incident["category"], incident["error_code"]]
    cli.note(
        args,
        f"{incident['name']} "
        f"{'is already open' if incident.get('existing') else 'opened'}"
        f" ({', '.join(filter(None, classified)) or 'not classified'}): "
        f"{incident['url']}",
    )
    if args.similar:
        tell_similar(args, client, incident)
    cli.result(args, incident, incident[PRINTABLE[args.print]])


if __name__ == "__main__":
    cli.run_script(main)
