#!/usr/bin/env python3
"""Add a code to the error catalogue, or update it, and print the code."""

import qms_cli as cli

PURPOSE = """\
Add a code to the error catalogue, or update the one that is there. Only what is
given changes; empty values count as not given. The code is printed. Repeating
the same line changes nothing more.
"""
EXAMPLES = """\
python scripts/update_error_code.py --code DB_DEADLOCK --severity high
python scripts/update_error_code.py --code CACHE_STAMPEDE --category APPLICATION \\
    --severity P2 --title "Cache stampede" --causes "All entries expire at once" \\
    --pattern "cache miss storm on \\S+"
"""


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES)
    add = parser.add_argument
    add("--code", type=cli.required, required=True, help="such as DB_DEADLOCK")
    add("--title", type=cli.text, help="what it is, in a few words")
    add("--category", type=cli.text, help="such as DATABASE")
    add("--severity", type=cli.text, help="critical, high, medium, low or P0 to P3")
    add("--description", type=cli.text, help="what the error is")
    add("--causes", type=cli.text, help="common causes")
    add("--resolution", type=cli.text, help="how it is solved")
    add("--prevention", type=cli.text, help="how it is kept from coming back")
    add(
        "--pattern",
        type=cli.text,
        action="append",
        metavar="RE2",
        help="regular expression (RE2) that finds it in a log; may be repeated",
    )
    return parser


def main():
    args = make_parser().parse_args()
    given = {
        "title": args.title,
        "category": args.category,
        "severity": args.severity,
        "description": args.description,
        "common_causes": args.causes,
        "resolution": args.resolution,
        "prevention": args.prevention,
        "patterns": [pattern for pattern in args.pattern or [] if pattern] or None,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if not values:
        raise cli.UsageError(
            "Nothing to do: give --severity, --description, --resolution or another "
            "change."
        )
    answer = cli.connect(args).call(
        "qms.error.code", "upsert_code", code=args.code.strip(), values=values
    )
    if answer["created"]:
        done = "was added to the error catalogue"
    elif answer["updated"]:
        done = f"was updated ({', '.join(answer['updated'])})"
    else:
        done = "says all that already"
    cli.note(args, f"{answer['code']} {done}.")
    cli.result(args, answer, answer["code"])


if __name__ == "__main__":
    cli.run_script(main)
