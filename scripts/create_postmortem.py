#!/usr/bin/env python3
"""Write the post-mortem of an incident, as a record and as a Markdown file."""

import hashlib
import os
import re
import sys

import create_rca
import qms_cli as cli
from qms_client import RefusedError

PURPOSE = """\
Begin the post-mortem of an incident in Odoo, or go on with its draft, and write it to
docs/postmortems/YYYY-MM-DD-slug.md, whose path is printed. A new one starts with what
the incident, its runs and their analyses say; what is given goes before that. Texts
are Markdown; empty ones count as not given. With --from it is taken over from a file
in the shape of a runbook's template.

Where it could be worded without blame is hinted at on stderr.

A file that somebody has changed since it was written is kept, unless --force is given.
Publishing is a signature, which takes a person's password or passkey: it is done in
Odoo, not with an API key.
"""
EXAMPLES = """\
python scripts/create_postmortem.py --incident-id "$INCIDENT_ID" \\
    --title "Deployment health check timeout due to DB connection leak" \\
    --root-cause "Missing connection cleanup in exception handlers" \\
    --fix "Added finally blocks to ensure connection cleanup" \\
    --preventive-measures "Added connection pool monitoring, automated alerts"
python scripts/create_postmortem.py --incident-id INC-20251226-001 --json
python scripts/create_postmortem.py --from old/2024-01-15-sign-in.md --dry-run
python scripts/create_postmortem.py --incident-id 12 --from notes.md --review
"""
# Flags for a text, and what they are for
TEXTS = {
    "title": "what happened, in a line (default: that of the incident)",
    "summary": "what happened, in a paragraph",
    "root_cause": "why it happened",
    "fix": "what was done about it",
    "verification": "how it was seen that the fix works",
    "preventive_measures": "what keeps it from happening again",
    "impact": "on users, operations, data, compliance",
    "detection": "how it was noticed",
    "timeline": "a table (default: the timeline of the incident)",
    "went_well": "what went well",
    "went_wrong": "what went wrong",
    "lucky": "where there was luck",
    "knowledge": "what is known now that was not known before",
    "follow_up": "what else is to happen",
}
FOLDER = os.path.join("docs", "postmortems")
FILE_LIMIT = 1024 * 1024
_FILENAME = re.compile(r"\d{4}-\d{2}-\d{2}-[a-z0-9-]+\.md")
# Tells whether somebody has changed a file since it was written here
_STAMP = re.compile(
    rb"\n<!-- qms-postmortem (?P<incident>INC-[0-9-]+) sha256:(?P<hash>[0-9a-f]{64})"
    rb" -->\n$"
)
_INCIDENT = re.compile(rb"^\*\*Incident:\*\* (INC-\d{8}-\d+)", re.M)


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES)
    add = parser.add_argument
    add(
        "--incident-id",
        type=cli.text,
        metavar="INCIDENT",
        help="id or number (INC-20251226-001); may be left out if the file of --from "
        "names it",
    )
    for name, purpose in TEXTS.items():
        add(f"--{name.replace('_', '-')}", type=cli.text, help=purpose)
    add(
        "--factor",
        type=cli.text,
        action="append",
        default=[],
        dest="factors",
        help="a contributing factor; may be repeated",
    )
    add(
        "--why",
        type=create_rca.why,
        action="append",
        default=[],
        dest="whys",
        metavar='"QUESTION => ANSWER"',
        help='one of the five whys, "… => … => evidence" where there is some; may be '
        "repeated",
    )
    add("--kind", choices=("full", "quick"), help="quick is for minor incidents")
    add("--author", type=cli.text, metavar="LOGIN", help="who wrote it")
    add(
        "--participant",
        type=cli.text,
        action="append",
        default=[],
        dest="participants",
        metavar="LOGIN",
        help="who reviews it; may be repeated (default: who had a part in it)",
    )
    add("--meeting-at", type=cli.moment, metavar="TIME", help="when it is talked about")
    add(
        "--from",
        type=cli.text,
        dest="source",
        metavar="FILE",
        help="take it over from this Markdown file (- is stdin)",
    )
    add(
        "--dry-run",
        action="store_true",
        help="with --from: print what is understood of the file, and change nothing",
    )
    add("--review", action="store_true", help="hand it in for review")
    add(
        "--publish",
        action="store_true",
        help="is refused: publishing is signed by a person, in Odoo",
    )
    add(
        "--output-dir",
        type=cli.text,
        default=FOLDER,
        metavar="DIR",
        help="folder of the file, made if needed (default: %(default)s; - is stdout)",
    )
    add(
        "--slug",
        type=cli.text,
        help="what the file is called after the day (default: the error code of the "
        "incident, or the title)",
    )
    add("--force", action="store_true", help="replace a file that somebody changed")
    cli.add_key(parser)
    return parser


def check(args):
    """Refuse what cannot be meant.

    :param argparse.Namespace args: the arguments
    :raise cli.UsageError: saying what to give instead
    """
    if args.publish:
        raise cli.UsageError(
            "--publish: a post-mortem is published by a signature, which takes the "
            "password or passkey of a person; an API key cannot sign. Hand it in with "
            "--review, and publish it in Odoo."
        )
    if not args.incident_id and not args.source:
        raise cli.UsageError("Give --incident-id; is its variable set?")
    if args.dry_run and not args.source:
        raise cli.UsageError("--dry-run goes with --from.")
    args.factors = [factor for factor in args.factors if factor]
    args.participants = [login for login in args.participants if login]


def given(args):
    """Return what the flags say, by the names that the server gives it.

    :param argparse.Namespace args: the arguments
    :rtype: dict
    """
    values = {name: getattr(args, name) for name in TEXTS}
    values |= {
        "contributing_factors": args.factors,
        "whys": args.whys,
        "kind": args.kind,
        "author": args.author,
        "participants": args.participants,
        "meeting_at": args.meeting_at,
    }
    return {name: value for name, value in values.items() if value}


def read_source(path):
    """Return the text of the file that is taken over.

    :param str path: the file, or ``-``
    :rtype: str
    :raise cli.UsageError: if it cannot be read, is too large or no text
    """
    data = cli.read_bytes(path, FILE_LIMIT, "--from")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise cli.UsageError(
            f"--from: {path!r} is not UTF-8 (byte {error.start})."
        ) from None


def outline(found):
    """Return what is understood of a file, as lines for people.

    :param dict found: answer of ``preview_markdown``
    :rtype: list[str]
    """
    state = f"goes on with {found['postmortem']}" if found["postmortem"] else "new"
    lines = [f"{found['incident']}: {found['title']} ({found['kind']}, {state})"]
    for section in found["sections"]:
        where = f"{section['line'] or '':>6}"
        words = len(section["text"].split())
        lines.append(
            f"{where}  section {section['heading']}: {words} words, {section['change']}"
        )
    for why in found["whys"]:
        lines.append(f"        why: {why['question']} {why['answer']}")
    for entry in found["entries"]:
        known = " (is there already)" if entry["known"] else ""
        lines.append(f"        entry {entry['at']}: {entry['text']}{known}")
    for action in found["actions"]:
        parts = [
            action["owner"] or "no owner",
            action["priority"],
            action["due_date"],
            action["state"],
        ]
        told = ", ".join(filter(None, parts))
        known = " (is there already)" if action["known"] else ""
        lines.append(f"        action {action['title']} [{told}]{known}")
        lines += [f"               in its description: {one}" for one in action["kept"]]
    return [*lines, *(f"note: {remark}" for remark in found["remarks"])]


def write_file(folder, name, incident, content, force):
    """Write a post-mortem to its file, unless that would lose something.

    The post-mortem of another incident that has the same name is left alone: this one
    gets the number of the incident at the end of its name.

    :param str folder: where; made if it is not there
    :param str name: as the server gives it
    :param str incident: number of the incident
    :param str content: Markdown
    :param bool force: replace a file that somebody has changed
    :return: path of the file, and whether it was written
    :rtype: tuple[str, bool]
    :raise RefusedError: if somebody has changed it, or it cannot be written
    """
    if not _FILENAME.fullmatch(name):
        # A server is not trusted to say where on this machine is written.
        raise RefusedError(f"{name!r} is no name for the file of a post-mortem.")
    data = content.encode()
    digest = hashlib.sha256(data).hexdigest()
    data += f"\n<!-- qms-postmortem {incident} sha256:{digest} -->\n".encode()
    path = os.path.join(folder, name)
    try:
        os.makedirs(folder, exist_ok=True)
        there = _read(path)
        if there is not None and _whose(there) not in (incident, None):
            stem = name.removesuffix(".md")
            path = os.path.join(folder, f"{stem}-{incident.lower()}.md")
            there = _read(path)
        if there == data:
            return path, False
        if there is not None and not force and _is_changed(there):
            raise RefusedError(
                f"The post-mortem is kept in Odoo, but not written: {path!r} was "
                "changed since it was written here, or comes from elsewhere. --from "
                "takes it over, --force replaces it."
            )
        draft = f"{path}.{os.getpid()}.tmp"
        with open(draft, "wb") as file:
            file.write(data)
        os.replace(draft, path)
    except OSError as error:
        raise RefusedError(f"{path!r}: {error.strerror}.") from None
    return path, True


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _whose(data):
    """Return which incident a file is about, if it says that."""
    found = _STAMP.search(data) or _INCIDENT.search(data)
    return found[1].decode() if found else None


def _is_changed(data):
    """Tell whether a file is not as it was written here."""
    stamp = _STAMP.search(data)
    if not stamp:
        return True
    return hashlib.sha256(data[: stamp.start()]).hexdigest().encode() != stamp["hash"]


def main():
    args = make_parser().parse_args()
    check(args)
    content = read_source(args.source) if args.source else None
    client = cli.connect(args)
    key = cli.base_key(args)
    model = "qms.postmortem"
    if args.dry_run:
        found = client.call(
            model, "preview_markdown", content=content, incident=args.incident_id
        )
        cli.result(args, found, "\n".join(outline(found)))
        return
    if args.source:
        postmortem = client.call(
            model,
            "import_markdown",
            content=content,
            incident=args.incident_id,
            values=given(args) or None,
            idempotency_key=key,
        )
        for remark in postmortem["remarks"]:
            cli.note(args, remark)
    else:
        postmortem = client.call(
            model,
            "create_for",
            incident=args.incident_id,
            values=given(args),
            idempotency_key=key,
        )
    ids = [postmortem["id"]]
    existing = postmortem["existing"]
    if args.review and postmortem["state"] == "draft":
        moved = client.call(
            model, "move", ids=ids, state="in_review", idempotency_key=f"{key}/review"
        )
        postmortem = {**postmortem, **moved}
    file = client.call(model, "export_markdown", ids=ids, slug=args.slug)
    cli.note(
        args,
        f"{postmortem['name']} {'was there' if existing else 'begun'} "
        f"({postmortem['state'].replace('_', ' ')}): {postmortem['url']}",
    )
    if postmortem["state"] == "draft":
        for hint in client.call(model, "wording_hints", ids=ids):
            told = f"{hint['heading']}: “{hint['sentence']}” {hint['better']}"
            cli.note(args, f"hint: {told}")
    if args.output_dir == "-":
        if args.json:
            cli.result(args, {**postmortem, "content": file["content"]}, None)
        else:
            sys.stdout.write(file["content"])
        return
    path, written = write_file(
        args.output_dir,
        file["name"],
        postmortem["incident"],
        file["content"],
        args.force,
    )
    cli.result(args, {**postmortem, "path": path, "written": written}, path)


if __name__ == "__main__":
    cli.run_script(main)
