#!/usr/bin/env python3
"""Make drafts of SOPs from Markdown files, and print what became of each file."""

import base64
import os
import sys

import qms_cli as cli
from qms_client import RefusedError

PURPOSE = """\
Make drafts of SOPs from Markdown files. A new code gets its first revision, a
draft is updated, an approved SOP gets a new draft revision, and a file that says
what the latest revision says changes nothing. A file that cannot be imported does
not keep the others away. For each file a line is printed: code, version, what
happened and the path, separated by tabs.

Tables of error codes and severities are offered to the catalogue: --dry-run shows
each row, --take takes over. Without --take nothing but the SOP is written.
"""
EXAMPLES = """\
python scripts/import_sop.py runbooks/disk_full.md
python scripts/import_sop.py --dry-run runbooks/
python scripts/import_sop.py --submit --json runbooks/*.md
python scripts/import_sop.py --take error-codes runbooks/
python scripts/import_sop.py --take severity:high:response_target policy.md
"""
EXIT_CODES = """\
exit codes:
  0  done
  1  a file was refused; the others were imported
  2  wrong usage, or a setting is missing
  3  authentication failed
  4  server unreachable or timed out
"""
# The limit of the server, checked here before more travels for nothing.
FILE_LIMIT = 2 * 1024 * 1024
OFFERS = ("error-codes", "error-code-changes", "severities")


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES, EXIT_CODES)
    parser.add_argument(
        "files",
        nargs="+",
        type=cli.required,
        metavar="FILE",
        help="Markdown file, or folder with *.md files at any depth (- is stdin)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print what is understood of each file, and change nothing",
    )
    parser.add_argument(
        "--submit", action="store_true", help="send the drafts to review"
    )
    parser.add_argument(
        "--take",
        action="append",
        default=[],
        type=offer,
        metavar="OFFER",
        help="take over what tables list: error-codes (add those that are missing, "
        "link all to the SOP), error-code-changes (replace what the catalogue says "
        "otherwise), severities (their targets; managers only), or one offer as "
        "--dry-run shows it; can be given several times",
    )
    cli.add_key(parser)
    return parser


def offer(text):
    """Return what ``--take`` names.

    :param str text: one of ``OFFERS``, or the key of an offer
    :rtype: str
    :raise argparse.ArgumentTypeError: for anything else
    """
    import argparse

    if text in OFFERS or text.startswith(("error_code:", "severity:")):
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is none of {', '.join(OFFERS)}, nor an offer such as "
        "error_code:DISK_FULL"
    )


def find_files(paths):
    """Return the files that the command line names, folders opened.

    :param list[str] paths: files, folders or ``-``
    :rtype: list[str]
    :raise cli.UsageError: if a folder has no Markdown in it
    """
    files = []
    for path in paths:
        if path == "-" or not os.path.isdir(path):
            files.append(path)
            continue
        found = [
            os.path.join(folder, name)
            for folder, _folders, names in os.walk(path)
            for name in names
            if name.lower().endswith(".md")
        ]
        if not found:
            raise cli.UsageError(f"There is no *.md file in {path!r}.")
        files += sorted(found)
    return list(dict.fromkeys(files))


def read_file(path):
    """Return the content of a file.

    :param str path: the file, or ``-``
    :rtype: bytes
    :raise cli.UsageError: if it cannot be read or is too large
    """
    try:
        if path == "-":
            data = sys.stdin.buffer.read(FILE_LIMIT + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(FILE_LIMIT + 1)
    except OSError as error:
        raise cli.UsageError(f"it cannot be read: {error.strerror}") from None
    if len(data) > FILE_LIMIT:
        raise cli.UsageError(
            f"Line 1: it has more than {FILE_LIMIT} bytes, which is the limit"
        )
    return data


def import_file(client, path, args, key):
    """Import one file.

    :param client: the connection
    :param str path: the file, or ``-``
    :param argparse.Namespace args: with ``submit``, ``dry_run`` and ``take``
    :param str key: idempotency key
    :return: the server's answer with ``path``; or ``path`` and ``error``
    :rtype: dict
    """
    try:
        answer = client.call(
            "qms.sop.document",
            "import_markdown",
            filename="" if path == "-" else os.path.basename(path),
            content=base64.b64encode(read_file(path)).decode(),
            submit=args.submit,
            dry_run=args.dry_run,
            take=args.take,
            idempotency_key=key,
        )
    except (RefusedError, cli.UsageError) as error:
        return {"path": path, "status": "failed", "error": str(error)}
    return {"path": path, **answer}


def outline(answer):
    """Return what was understood of a file, as lines for people.

    :param dict answer: of ``import_markdown``
    :rtype: list[str]
    """
    lines = [
        f"{answer['path']}: {answer['code']} {answer['version']} {answer['title']} "
        f"({answer['change']})"
    ]
    for item in answer["outline"]:
        where = f"{item['line']:>6}  "
        if item["kind"] != "step":
            lines.append(f"{where}{item['kind']}: {item['title']}".rstrip(": "))
            continue
        minutes = f", {item['minutes']} min" if item["minutes"] else ""
        optional = "" if item["mandatory"] else ", optional"
        lines.append(
            f"{where}step {item['number']}: {item['title']}{minutes}{optional}"
        )
        for command in item["commands"]:
            tags = filter(None, (command["language"], command["category"]))
            lines.append(f"            {command['name']} [{', '.join(tags)}]")
        for choice in item["choices"]:
            lines.append(f"            {choice['name']} → {choice['target']}")
    for table in answer["tables"]:
        kind = table["kind"].replace("_", " ")
        rows = "1 row" if table["row_count"] == 1 else f"{table['row_count']} rows"
        lines.append(f"{table['line']:>6}  table: {kind}, {rows}, kept as written")
    for item in answer["offers"]:
        what = {"none": "same", "problem": "problem"}.get(
            item["action"], f"offer {item['key']}"
        )
        taken = " (would be taken over)" if item["taken"] else ""
        lines.append(f"{item['line']:>6}  {what}: {item['text']}{taken}")
    lines += [f"{note['line']:>6}  note: {note['text']}" for note in answer["notes"]]
    return lines


class Progress:
    """A counter on the terminal; nothing where nobody is looking.

    :param argparse.Namespace args: with ``quiet``
    :param int total: number of files
    """

    def __init__(self, args, total):
        self._shown = total > 1 and not args.quiet and sys.stderr.isatty()
        self._total = total

    def show(self, done, path):
        """Say which file is next."""
        if self._shown:
            text = cli.clean(f"[{done}/{self._total}] {path}")[:78]
            print(f"\r{text:<78}", end="", file=sys.stderr, flush=True)

    def clear(self):
        """Make room for a line of text."""
        if self._shown:
            print(f"\r{'':<78}\r", end="", file=sys.stderr, flush=True)


def report(args, answer):
    """Print what became of one file."""
    if "error" in answer:
        cli.complain(f"{answer['path']}: {answer['error']}")
    elif args.json:
        return
    elif args.dry_run:
        print(cli.clean("\n".join(outline(answer))), flush=True)
    else:
        fields = (answer["code"], answer["version"], answer["status"], answer["path"])
        print(cli.clean("\t".join(fields)), flush=True)
        for item in answer["offers"]:
            if item["taken"]:
                cli.note(args, cli.clean(f"{answer['path']}: {item['text']}"))


def main():
    args = make_parser().parse_args()
    files = find_files(args.files)
    client = cli.connect(args)
    key = cli.base_key(args)
    progress = Progress(args, len(files))
    answers = []
    try:
        for number, path in enumerate(files, 1):
            progress.show(number, path)
            answer = import_file(client, path, args, f"{key}/{number}")
            answers.append(answer)
            progress.clear()
            report(args, answer)
    finally:
        # Also when the server went away in the middle: this much was done.
        progress.clear()
        counts = summarize(answers)
        if args.json:
            import json

            print(json.dumps({"summary": counts, "files": answers}, indent=2))
        told = ", ".join(f"{count} {status}" for status, count in counts.items())
        cli.note(args, f"{len(answers)} of {len(files)} files: {told or 'none done'}.")
    return 1 if counts.get("failed") else 0


def summarize(answers):
    """Count the files by what became of them.

    :param list[dict] answers: of :func:`import_file`
    :rtype: dict[str, int]
    """
    counts = {}
    for answer in answers:
        counts[answer["status"]] = counts.get(answer["status"], 0) + 1
    return counts


if __name__ == "__main__":
    cli.run_script(main)
