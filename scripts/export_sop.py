#!/usr/bin/env python3
"""Write SOPs back to Markdown files."""

import os
import re
import sys

import qms_cli as cli
from qms_client import RefusedError

PURPOSE = """\
Write SOPs as Markdown: one to stdout, or any number as files into a folder. Taken
is the effective revision of a code, or the newest one where none is effective. A
file that has other content is kept, unless --force is given. The path of each
file is printed.
"""
EXAMPLES = """\
python scripts/export_sop.py SOP-DISK-001 > disk_full.md
python scripts/export_sop.py SOP-DISK-001 SOP-CPU-001 --output runbooks/
python scripts/export_sop.py --all --output runbooks/ --force
python scripts/export_sop.py SOP-DISK-001 --revision 1.0.0
"""
FIELDS = ["code", "version", "state", "revision"]
_FILENAME = re.compile(r"[\w .()+-]+\.(md|markdown|txt)")


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES)
    add = parser.add_argument
    add("codes", nargs="*", type=cli.required, metavar="CODE", help="such as SOP-X-001")
    add("--all", action="store_true", help="every SOP that is not retired")
    add("--output", type=cli.text, metavar="DIR", help="folder (- is stdout)")
    add("--revision", type=cli.text, metavar="VERSION", help="this version of it")
    add("--force", action="store_true", help="replace files with other content")
    return parser


def check(args):
    """Refuse what cannot be meant.

    :param argparse.Namespace args:
    :raise cli.UsageError: saying what to give instead
    """
    if bool(args.codes) == args.all:
        raise cli.UsageError("Give codes of SOPs, or --all.")
    if args.revision and len(args.codes) != 1:
        raise cli.UsageError("--revision goes with one code.")
    if not args.output and (args.all or len(args.codes) > 1):
        raise cli.UsageError("Give --output DIR for more than one SOP (- is stdout).")
    if args.output and args.output != "-" and not os.path.isdir(args.output):
        raise cli.UsageError(f"--output: there is no folder {args.output!r}.")


def find_revisions(client, args):
    """Return id, code and version of what is to be exported, by code.

    :param client: the connection
    :param argparse.Namespace args:
    :rtype: list[dict]
    :raise RefusedError: naming the codes of which there is nothing
    """
    domain = [["code", "in", args.codes]] if args.codes else []
    if args.revision:
        domain.append(["version", "=", args.revision])
    found = client.call(
        "qms.sop.document",
        "search_read",
        domain=domain,
        fields=FIELDS,
        context={"active_test": not args.codes},
    )
    chosen = {}
    for document in found:
        known = chosen.get(document["code"])
        if known is None or _rank(document) > _rank(known):
            chosen[document["code"]] = document
    missing = [code for code in args.codes if code not in chosen]
    if missing:
        version = f" in version {args.revision}" if args.revision else ""
        raise RefusedError(f"There is no SOP {', '.join(missing)}{version}.")
    return [chosen[code] for code in args.codes or sorted(chosen)]


def _rank(document):
    return document["state"] == "approved", document["revision"]


def write_file(folder, name, content, force):
    """Write a file, unless that would lose something.

    :param str folder: where
    :param str name: name of the file, as the server gave it
    :param str content: Markdown
    :param bool force: replace other content
    :return: path of the file, and whether it was written
    :rtype: tuple[str, bool]
    :raise cli.UsageError: if it is there with other content, or cannot be written
    """
    if not _FILENAME.fullmatch(name):
        # A server is not trusted to say where on this machine is written.
        raise cli.UsageError(f"{name!r} is no name for a Markdown file.")
    path = os.path.join(folder, name)
    data = content.encode()
    try:
        try:
            with open(path, "rb") as file:
                if file.read() == data:
                    return path, False
            if not force:
                raise cli.UsageError(
                    f"{path!r} is there with other content; --force replaces it."
                )
        except FileNotFoundError:
            pass
        draft = f"{path}.{os.getpid()}.tmp"
        with open(draft, "wb") as file:
            file.write(data)
        os.replace(draft, path)
    except OSError as error:
        raise cli.UsageError(f"{path!r}: {error.strerror}.") from None
    return path, True


def main():
    args = make_parser().parse_args()
    check(args)
    client = cli.connect(args)
    to_stdout = args.output in (None, "-")
    results, failed, taken = [], 0, set()
    for document in find_revisions(client, args):
        answer = client.call(
            "qms.sop.document", "export_markdown", ids=[document["id"]]
        )
        result = {"code": document["code"], "version": document["version"]}
        if to_stdout:
            result["content"] = answer["content"]
            if not args.json:
                sys.stdout.write(answer["content"])
        else:
            name = answer["filename"]
            if name in taken:
                # Two SOPs came from files of the same name in different folders.
                name = document["code"].lower().replace("-", "_") + ".md"
            taken.add(name)
            try:
                result["path"], result["written"] = write_file(
                    args.output, name, answer["content"], args.force
                )
            except cli.UsageError as error:
                failed += 1
                result["error"] = str(error)
                cli.complain(f"{document['code']}: {error}")
            else:
                if not args.json:
                    print(cli.clean(result["path"]))
        results.append(result)
    if args.json:
        import json

        print(json.dumps({"files": results}, indent=2))
    if not to_stdout:
        written = sum(result.get("written", False) for result in results)
        cli.note(
            args,
            f"{len(results)} SOPs: {written} written, "
            f"{len(results) - written - failed} unchanged, {failed} failed.",
        )
    return 1 if failed else 0


if __name__ == "__main__":
    cli.run_script(main)
