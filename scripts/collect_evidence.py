#!/usr/bin/env python3
"""Collect the evidence for the category of a run, and attach it to the run."""

import base64
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time

import qms_cli as cli
import qms_plan as planning
import qms_screen as screen
import qms_shell as shell
from qms_logs import LogSummary
from qms_masking import Masker, secrets_of
from qms_outbox import Outbox, send_kept
from qms_spool import open_spool
from qms_terminal import QuitError, Terminal

PURPOSE = """\
Run the commands that the error catalogue lists as sources of evidence for the
category of a run, and attach to the run what they print and the files that they
write: with SHA-256, time and command, secrets masked. Each command is asked about
before it runs. What cannot be had (a tool that is not installed, a variable that is
not set) is said and passed over. The most frequent errors and the tracebacks of
what was collected are summarised, and the summary is attached as well. The ids of
the attached evidence are printed, one per line.
"""
EXAMPLES = """\
python scripts/collect_evidence.py --run-id RUN-000012
python scripts/collect_evidence.py --run-id 12 --category INFRASTRUCTURE --yes
python scripts/collect_evidence.py --run-id 12 --dry-run
python scripts/collect_evidence.py --run-id 12 --yes --log /var/log/odoo/odoo.log
"""
SUMMARY = "evidence-summary.txt"
# Words that begin a command without being a program.
_BUILTINS = frozenset(
    """. : [ alias break case cd command declare do done echo elif else esac eval exec
    exit export false fi for function if kill local printf pwd read return select set
    shift source test then time trap true type ulimit umask unset until wait while {
    """.split()
)
_FIRST_WORD = re.compile(r"(?:\s*[A-Za-z_]\w*=\S*\s)*\s*([^\s;|&()<>$`\"'\\]+)")


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES, timeout="--odoo-timeout")
    add = parser.add_argument
    add("--run-id", type=cli.required, required=True, help="id or name of the run")
    add("--category", type=cli.text, help="another one than that of the run")
    add("--step", type=int, metavar="N", help="the step that the evidence belongs to")
    add("--yes", action="store_true", help="run the commands without asking")
    add("--dry-run", action="store_true", help="show what would be run; do nothing")
    add(
        "--timeout",
        dest="command_timeout",
        type=cli.seconds,
        default=120.0,
        metavar="S",
        help="seconds that each command may take (default: %(default)g)",
    )
    add(
        "--log",
        type=cli.text,
        action="append",
        default=[],
        metavar="FILE",
        help="a log to attach and to summarise with the others; may be repeated",
    )
    add(
        "--top",
        type=cli.count,
        default=10,
        metavar="N",
        help="how many messages the summary lists (default: %(default)s)",
    )
    add(
        "--directory",
        type=cli.text,
        metavar="DIR",
        help="where the commands run, and their files stay as they are "
        "(default: a temporary folder that is removed)",
    )
    return parser


class Collection(Outbox):
    """What is collected for one run.

    :param argparse.Namespace args: the arguments
    :param Client client: the connection
    :param Spool spool: where results are written down first
    :param Terminal terminal: where a person reads and answers
    :param dict plan: as ``qms.sop.run.evidence_plan()`` returns it
    """

    def __init__(self, args, client, spool, terminal, plan):
        super().__init__(client, spool, terminal)
        self.args = args
        self.plan = plan
        self.can_ask = not args.yes or sys.stdin.isatty()
        self.environment = planning.variables(plan)
        self.logs = LogSummary()
        self.rows = []
        self.attached = []

    def collect(self, folder):
        """Run the commands, one after the other, in one folder.

        :param str folder: where
        """
        for position, source in enumerate(self.plan["sources"], 1):
            title = f"Source {position} of {len(self.plan['sources'])}"
            screen.show_command(
                self.terminal, title, source, self.environment, self.plan["texts"]
            )
            reason = self.why_not(source)
            if reason:
                self.terminal.say(f"Passed over: {reason}", "yellow", indent=2)
                self.rows.append(_row(source["name"], reason))
                continue
            self.run_source(source, folder)
        for path in self.args.log:
            self.take_file(path, os.path.basename(path), f"--log {path}", path)

    def why_not(self, source):
        """Say why a source cannot be had, or is not wanted.

        :return: empty when it is to be run
        :rtype: str
        """
        if not planning.shell_of(source):
            return "to be collected by hand"
        tool = missing_tool(source["command"])
        if tool:
            return f"{tool} is not installed"
        check = planning.check_before(source)
        if check and self.args.yes:
            return f"to be checked before: {check}"
        unknown = planning.missing(source, self.environment)
        if unknown and self.args.yes:
            return f"{', '.join(unknown)} not set"
        if self.args.yes:
            return ""
        key = self.terminal.ask_key("Run it?", {"r": "run", "s": "skip it"})
        if key == "s":
            return "not wanted"
        for name in unknown:
            self.environment[name] = self.terminal.ask_variable(name)
        self.masker = Masker(secrets_of(self.environment))
        return ""

    def run_source(self, source, folder):
        """Run a command and attach what it prints and writes."""
        before = _files(folder)
        name = f"evidence-{screen.slug(self.plan['category'])}-"
        name += f"{screen.slug(source['name'])}.txt"
        see = self.logs.reader(name)

        def show(line):
            self.terminal.output(line)
            see(line)

        began = time.time()
        try:
            outcome = shell.run(
                source["command"],
                planning.shell_of(source),
                environment=self.environment,
                timeout=self.args.command_timeout,
                masker=self.masker,
                show=show,
                folder=folder,
            )
        except shell.Interrupted as interrupt:
            raise interrupt.cause from None
        except OSError as error:
            raise cli.UsageError(f"Nothing can be run: {error}.") from None
        why = shell.fault(outcome)
        self.terminal.say(
            f"{'✗' if why else '✓'} {why or outcome.ending}",
            "yellow" if why else "green",
            indent=2,
        )
        row = _row(source["name"], why or outcome.ending)
        self.rows.append(row)
        what = f"{source['command'].strip()} ({why or outcome.ending}"
        what += f", at {screen.clock(began)})"
        if outcome.output.strip():
            self.attach(name, outcome.output, what, row)
        for path, changed in sorted(_files(folder).items()):
            if before.get(path) != changed:
                self.take_file(os.path.join(folder, path), path, what, row=row)
        if not row["attached"]:
            row["result"] += ", nothing to attach"

    def take_file(self, path, name, what, log=None, row=None):
        """Attach a file that a command wrote, or that was given as a log."""
        row = row or _row(log)
        if log:
            self.rows.append(row)
        try:
            text = shell.read_masked(path, self.masker, self.logs.reader(name))
        except OSError as error:
            text, problem = "", f"cannot be read: {error.strerror}"
        else:
            problem = "is not text: attach it by hand" if text is None else "is empty"
        if text:
            row["result"] = row["result"] or "read"
            self.attach(name, text, what, row)
            return
        self.terminal.say(f"{name} {problem}.", "yellow", indent=2)
        row["result"] += f"{', ' if row['result'] else ''}{name} {problem}"

    def attach(self, name, text, what, row):
        """Attach a text to the run.

        :param str name: file name
        :param str text: masked
        :param str what: where it comes from
        :param dict row: of the table
        """
        content = text.encode("utf-8", "replace")
        digest = hashlib.sha256(content).hexdigest()
        record = self.put(
            "add_evidence",
            step=self.args.step,
            name=name,
            content=base64.b64encode(content).decode("ascii"),
            source=f"{what}, {screen.where('collect_evidence.py')}",
            mimetype="text/plain",
        )
        answer = record["answer"] or {}
        if answer.get("sha256", digest) != digest:
            raise cli.RefusedError(f"{name} did not arrive as it was sent (SHA-256).")
        piece = {
            "id": answer.get("id", False),
            "name": name,
            "size": len(content),
            "sha256": digest,
        }
        row["attached"].append(piece)
        self.attached.append(piece)
        screen.show_kept(self.terminal, name, len(content), digest, answer)

    def summarise(self):
        """Attach the summary, and return it.

        :rtype: dict
        """
        summary = {
            "category": self.plan["category"],
            "sources": list(self.rows),
            "errors": self.logs.errors(self.args.top),
            "tracebacks": self.logs.tracebacks(),
        }
        if self.attached:
            what = f"Evidence for {self.plan['category']} ({screen.clock(time.time())})"
            text = f"{what}\n\n" + "\n".join(table(summary, 120)) + "\n"
            self.attach(SUMMARY, text, what, _row(SUMMARY))
        return summary


def _row(name, result=""):
    return {"source": name, "result": result, "attached": []}


def _files(folder):
    """Return the files of a folder, with what tells that one was written."""
    found = {}
    for entry in os.scandir(folder):
        if entry.is_file(follow_symlinks=False):
            known = entry.stat()
            found[entry.name] = (known.st_mtime_ns, known.st_size)
    return found


def missing_tool(command):
    """Return the program that a command begins with, if it is not installed.

    :param str command: as it is written
    :return: its name; None when it is there, and when this cannot be told
    :rtype: str | None
    """
    lines = [line for line in command.splitlines() if not line.lstrip().startswith("#")]
    match = _FIRST_WORD.match("\n".join(lines))
    if not match or match[1] in _BUILTINS or shutil.which(match[1]):
        return None
    return match[1]


def table(summary, width):
    """Return a summary as lines of text.

    :param dict summary: as :meth:`Collection.summarise` returns it
    :param int width: columns
    :rtype: list[str]
    """
    longest = max((len(row["source"]) for row in summary["sources"]), default=0)
    longest = min(longest, 45)
    lines = []
    for row in summary["sources"]:
        names = ", ".join(
            f"{piece['name']} ({piece['size']} bytes)" for piece in row["attached"]
        )
        lines.append(f"{row['source']:{longest}}  {row['result']}")
        if names:
            lines.append(f"{'':{longest}}  → {names}")
    for title, rows, text in (
        ("Most frequent errors", summary["errors"], _error_line),
        ("Tracebacks", summary["tracebacks"], _traceback_line),
    ):
        lines += ["", title]
        lines += [f"{row['count']:>6} × {text(row)}"[:width] for row in rows]
        if not rows:
            lines.append("  none in what was collected")
    return lines


def _error_line(row):
    return f"{row['message']}  [{row['log']}]"


def _traceback_line(row):
    return f"{row['exception']} at {row['last_frame']}  [{row['log']}]"


def dry_run(args, plan, terminal):
    """Show what would be run."""
    environment = planning.variables(plan)
    sources = []
    for position, source in enumerate(plan["sources"], 1):
        title = f"Source {position} of {len(plan['sources'])}"
        screen.show_command(terminal, title, source, environment, plan["texts"])
        if not planning.shell_of(source):
            action = "to be collected by hand"
        elif tool := missing_tool(source["command"]):
            action = f"{tool} is not installed"
        elif unknown := planning.missing(source, environment):
            action = f"{', '.join(unknown)} not set"
        else:
            action = "to be run"
        style = "green" if action == "to be run" else "yellow"
        terminal.say(f"→ {action}", style, indent=2)
        sources.append({"id": source["id"], "source": source["name"], "action": action})
    terminal.say("\nNothing was done.", "bold")
    if args.json:
        cli.result(args, {"category": plan["category"], "sources": sources}, "")


def work(args, client, terminal, plan):
    """Collect, attach and summarise.

    :return: exit code
    :rtype: int
    """
    run_id = plan["run"]["id"]
    with open_spool(client, run_id, "evidence") as spool:
        collection = Collection(args, client, spool, terminal, plan)
        folder = args.directory or tempfile.mkdtemp(prefix="qms-evidence-")
        code = 0
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            collection.collect(folder)
        except QuitError:
            code = 1
            terminal.say("Ended before the end.", "yellow")
        except OSError as error:
            raise cli.UsageError(
                f"--directory: {folder!r} cannot be used: {error.strerror}."
            ) from None
        finally:
            if not args.directory:
                shutil.rmtree(folder, ignore_errors=True)
        summary = collection.summarise()
        terminal.say()
        terminal.rule(
            f"Evidence for {plan['category']} · {plan['run']['name']}", "bold"
        )
        for line in table(summary, terminal.width):
            terminal.say(line)
        collection.leave_traces()
        pending = len(spool.pending())
        spool.forget_sent()
        ids = [piece["id"] for piece in collection.attached if piece["id"]]
        if args.json:
            attached = {"run_id": run_id, "attached": collection.attached}
            cli.result(args, {**attached, **summary, "pending": pending}, "")
        elif ids:
            cli.result(args, {}, "\n".join(map(str, ids)))
        return 4 if pending else code


def main():
    parser = make_parser()
    args = parser.parse_args()
    for path in args.log:
        if not os.path.isfile(path):
            raise cli.UsageError(f"--log: {path!r} is not a file.")
    terminal = Terminal(args.quiet)
    client = cli.connect(args)
    run_id = cli.find_run(client, args.run_id)
    if not args.dry_run:
        send_kept(client, args, (run_id, "evidence"))
    plan = client.call(
        "qms.sop.run", "evidence_plan", ids=[run_id], category=args.category
    )
    for source in plan["sources"]:
        planning.check_command(source)
    facts = (plan["run"]["sop_code"], plan["run"]["title"])
    terminal.rule(f"{plan['run']['name']} · {' · '.join(facts)}", "bold")
    terminal.say(f"Evidence for errors of category {plan['category']}", "dim")
    if args.dry_run:
        dry_run(args, plan, terminal)
        return 0
    if plan["blocked"]:
        raise cli.RefusedError(plan["blocked"])
    return work(args, client, terminal, plan)


if __name__ == "__main__":
    cli.run_script(main)
