#!/usr/bin/env python3
"""Record the root-cause analysis of a run and print its id."""

import argparse
import re

import qms_cli as cli

PURPOSE = """\
Record the root-cause analysis of a run: the chain of whys, the root cause, what
contributed, the fix and how it was verified, and raise the actions that follow from
it. The id of the analysis is printed.
Empty values count as not given.
"""
EXAMPLES = """\
python scripts/create_rca.py --run-id 12 \\
    --root-cause "The exception path does not close its connection" \\
    --contributing-factors "High traffic, no limit on the pool"
python scripts/create_rca.py --run-id RUN-000012 --root-cause "Disk full" \\
    --why "Why did writes fail? => The volume was full" \\
    --why "Why was it full? => Logs are never rotated => df.txt" \\
    --action "Rotate the logs" --confirm
python scripts/create_rca.py --run-id 12 --root-cause "…" --whys-file whys.txt

whys file: "question => answer" or "question => answer => evidence" on each line,
or the answer on a line of its own that begins with => (→ is the same); or a JSON
list of objects with question, answer and evidence."""
FILE_LIMIT = 1024 * 1024
PRINTABLE = ("id", "name", "state")
_ARROW = re.compile(r"\s*(?:=>|→)\s*")
_NUMBER = re.compile(r"^why\s*\d+\s*[:.)-]\s*", re.IGNORECASE)


def parse_why(line):
    """Cut ``question => answer => evidence`` in parts.

    :param str line: with one or two arrows
    :return: question, answer and, where given, evidence
    :rtype: dict[str, str]
    :raise ValueError: if it has another form
    """
    parts = [part.strip() for part in _ARROW.split(line.strip())]
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise ValueError('expected "question => answer" or "… => … => evidence"')
    parts[0] = _NUMBER.sub("", parts[0])
    return dict(zip(("question", "answer", "evidence"), parts, strict=False))


def why(value):
    """Take one why from the command line.

    :param str value: the argument
    :rtype: dict[str, str]
    """
    try:
        return parse_why(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value!r}: {error}") from None


def parse_whys(content):
    """Read the whys of a file; see the end of ``--help`` for its form.

    :param str content: the file
    :rtype: list[dict[str, str]]
    :raise ValueError: saying where it is wrong
    """
    if content.lstrip().startswith("["):
        return _from_json(content)
    lines = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        if _ARROW.match(line):
            if not lines:
                raise ValueError(f"line {number}: an answer without a question")
            lines[-1] = (lines[-1][0], f"{lines[-1][1]} {line.strip()}")
        else:
            lines.append((number, line))
    whys = []
    for number, line in lines:
        try:
            whys.append(parse_why(line))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return whys


def _from_json(content):
    import json

    try:
        items = json.loads(content)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    for number, item in enumerate(items, 1):
        good = isinstance(item, dict) and {"question", "answer"} <= item.keys()
        if not good or not item.keys() <= {"question", "answer", "evidence"}:
            raise ValueError(
                f"item {number}: expected question, answer and perhaps evidence"
            )
        if not all(isinstance(value, str) for value in item.values()):
            raise ValueError(f"item {number}: the values must be texts")
    return items


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES)
    add = parser.add_argument
    add("--run-id", type=cli.required, required=True, help="id or name of the run")
    add("--root-cause", type=cli.required, required=True, help="in a sentence")
    add("--error-code", type=cli.text, help="a code of the error catalogue")
    add(
        "--contributing-factors",
        type=cli.text,
        action="append",
        metavar="A,B",
        help="separated by commas; may be repeated",
    )
    add(
        "--why",
        type=why,
        action="append",
        default=[],
        metavar="Q=>A",
        help='"question => answer [=> evidence]"; repeated, in order',
    )
    add("--whys-file", type=cli.text, metavar="FILE", help="whys (- is stdin)")
    add("--fix", type=cli.text, help="what was changed")
    add(
        "--fix-type",
        type=cli.text,
        help="code, configuration, resource, dependency, database or process",
    )
    add("--verification", type=cli.text, help="how the fix was verified")
    add(
        "--action",
        type=cli.required,
        action="append",
        default=[],
        metavar="TITLE",
        help="an action that follows from it; repeated (create_action.py says more)",
    )
    add("--confirm", action="store_true", help="confirm the analysis")
    add("--print", choices=PRINTABLE, default="id", help="what to print on stdout")
    cli.add_key(parser)
    return parser


def read_whys(args):
    """Return the whys of the file, then those of the command line.

    :param argparse.Namespace args: with ``why`` and ``whys_file``
    :rtype: list[dict[str, str]] | None
    :raise cli.UsageError: if the file cannot be read
    """
    whys = []
    if args.whys_file:
        content = cli.read_bytes(args.whys_file, FILE_LIMIT, "--whys-file")
        try:
            whys = parse_whys(content.decode("utf-8-sig", "replace"))
        except ValueError as error:
            raise cli.UsageError(f"--whys-file {args.whys_file!r}: {error}.") from None
        if not whys:
            raise cli.UsageError(f"--whys-file {args.whys_file!r} is empty.")
    return [*whys, *args.why] or None


def main():
    args = make_parser().parse_args()
    whys = read_whys(args)
    client = cli.connect(args)
    factors = [factor for factor in args.contributing_factors or [] if factor]
    rca = client.call(
        "qms.sop.run",
        "record_rca",
        ids=[cli.find_run(client, args.run_id)],
        root_cause=args.root_cause,
        error_code=args.error_code,
        contributing_factors=", ".join(factors) or None,
        whys=whys,
        fix_type=args.fix_type,
        fix=args.fix,
        verification=args.verification,
        confirm=args.confirm,
        actions=[{"title": title} for title in args.action] or None,
        idempotency_key=cli.base_key(args),
    )
    cli.note(args, f"{rca['name']} recorded, {rca['state']}.")
    cli.result(args, rca, rca[args.print])


if __name__ == "__main__":
    cli.run_script(main)
