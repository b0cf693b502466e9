#!/usr/bin/env python3
"""Walk through a run of an SOP on this machine: show, run, verify, record."""

import argparse
import signal
import sys

import qms_cli as cli
import qms_plan as planning
import qms_screen as screen
from qms_client import AuthenticationError, QmsError, UnreachableError
from qms_outbox import send_kept
from qms_session import Session
from qms_spool import open_spool
from qms_terminal import QuitError, Terminal

PURPOSE = """\
Carry out a run of an SOP, step by step, on this machine. Each command is shown
and asked about before it runs; it runs exactly as the approved revision has it.
Its output, how it ended and how long it took are recorded in the run. A step
is completed when its commands ended with exit code 0 and its verifications say
so; when one fails, the error is logged, and the step and the run have failed.
Commands with a comment "# Check before: …" are not run while nobody is there.

What was interrupted (Ctrl-C, lost network, kill -9) goes on with --run-id and
repeats nothing that finished. Results that the server could not take are kept in
$XDG_STATE_HOME/qms-sop/spool (~/.local/state) and sent at the next start.

Commands see the variables of this process and RUN_ID, RUN_NAME, SOP_CODE,
SOP_VERSION, ERROR_CODE, ERROR_MESSAGE, CATEGORY, SEVERITY, START_TIME and
END_TIME (now), as far as they are known. Each runs in a shell of its own, in
this folder, without stdin. The id of the run is printed.
"""
EXAMPLES = """\
python scripts/execute_sop_run.py --sop-code SOP-TRIAGE-001 --category DATABASE
python scripts/execute_sop_run.py --run-id RUN-000012
python scripts/execute_sop_run.py --run-id 12 --dry-run
python scripts/execute_sop_run.py --run-id 12 --step 2 --yes
python scripts/execute_sop_run.py --sop-code SOP-DEPLOY-001 --yes \\
    --choice "2=Staging is healthy" --result "3=Approved by the release manager"
"""
EXIT_CODES = """\
exit codes:
  0  done: what was asked for is finished
  1  a step failed, the server refused, or the work was ended before its end (q)
  2  wrong usage, a setting or variable is missing, or a question came up that
     nobody was there to answer
  3  authentication failed
  4  server unreachable; results that it does not have are kept on this machine
  130, 143, 129  interrupted (Ctrl-C, SIGTERM, SIGHUP); --run-id goes on
"""
DEFAULT_TIMEOUT = 600.0


def of_step(value):
    """Take ``N=TEXT``.

    :param str value: the argument
    :rtype: tuple[int, str]
    """
    number, equals, text = value.partition("=")
    if not (equals and number.strip().isdecimal() and text.strip()):
        raise argparse.ArgumentTypeError(
            f"{value!r} is not the number of a step, =, and a text (2=Yes)"
        )
    return int(number), text.strip()


def step_number(value):
    """Take the number of a step.

    :param str value: the argument
    :rtype: int
    """
    if not (value.isascii() and value.isdecimal() and 0 < int(value) <= 100000):
        raise argparse.ArgumentTypeError(f"{value!r} is not the number of a step (1…)")
    return int(value)


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES, EXIT_CODES, timeout="--odoo-timeout")
    add = parser.add_mutually_exclusive_group(required=True).add_argument
    add("--run-id", type=cli.required, help="id or name of the run to go on with")
    add("--sop-code", type=cli.required, help="open a run of this SOP")
    group = parser.add_argument_group("a new run (--sop-code)")
    for name in ("error-code", "severity", "category", "summary"):
        group.add_argument(f"--{name}", type=cli.text, help="of the run")
    group.add_argument(
        "--dedup-key",
        type=cli.text,
        metavar="KEY",
        help="go on with the open run that has this key, if there is one",
    )
    cli.add_key(group)
    group = parser.add_argument_group("what to do")
    add = group.add_argument
    add("--step", type=step_number, action="append", metavar="N", help="only this one")
    add(
        "--only-automated",
        action="store_true",
        help="only steps that a program can do; the others are left open",
    )
    add("--dry-run", action="store_true", help="show what would be done; do nothing")
    add(
        "--timeout",
        dest="step_timeout",
        type=cli.seconds,
        default=DEFAULT_TIMEOUT,
        metavar="S",
        help="seconds that the commands of a step may take (default: %(default)g)",
    )
    add(
        "--rerun-interrupted",
        action="store_true",
        help="run a command again that was interrupted and may have done its work",
    )
    add(
        "--keep-open",
        action="store_true",
        help="when a step fails, leave the run in progress, so that it can be retried",
    )
    group.add_argument(
        "--complete",
        action=argparse.BooleanOptionalAction,
        help="complete the run when its steps are done (default: ask; --yes: do)",
    )
    add("--resolution", type=cli.text, help="what solved it, when the run is completed")
    group = parser.add_argument_group("answers given beforehand")
    add = group.add_argument
    add("--yes", action="store_true", help="run commands without asking")
    add(
        "--checks-done",
        action="store_true",
        help="with --yes: run commands with “# Check before: …” too; it was checked",
    )
    for name, what in (("choice", "the answer found"), ("result", "what came out")):
        add(
            f"--{name}",
            type=of_step,
            action="append",
            default=[],
            metavar="N=TEXT",
            help=f"{what} in step N; may be repeated",
        )
    return parser


# -- before the walk --------------------------------------------------------------


def preview(args, client):
    """Return what a run would want done that is not opened yet.

    :return: as ``qms.sop.run.execution_plan()``
    :rtype: dict
    """
    plan = client.call(
        "qms.sop.run",
        "preview_execution",
        sop_code=args.sop_code.strip(),
        error_code=args.error_code,
        severity=args.severity,
        category=args.category,
    )
    # These, the run will know.
    plan["values"].update(RUN_ID="0", RUN_NAME="RUN-000000", START_TIME="0")
    if args.summary:
        plan["texts"]["ERROR_MESSAGE"] = args.summary.strip().splitlines()[0]
    return plan


def open_run(args, parser, client):
    """Open a run, or return the open one with the same deduplication key.

    :return: id of the run
    :rtype: int
    :raise cli.UsageError: if it could not be carried out, before it is opened
    """
    if args.yes:
        plan = preview(args, client)
        planning.check_answers(args, plan, dict(args.choice))
        if not sys.stdin.isatty():
            planning.check_variables(args, plan, dict(args.result))
    run = client.call(
        "qms.sop.run",
        "start_run",
        sop_code=args.sop_code.strip(),
        error_code=args.error_code,
        severity=args.severity,
        category=args.category,
        summary=args.summary,
        dedup_key=args.dedup_key,
        trigger="automated" if args.yes else "manual",
        source=cli.default_source(parser),
        idempotency_key=cli.base_key(args),
    )
    what = "is already open" if run["existing"] else "opened"
    cli.note(args, f"{run['name']} {what}: --run-id {run['id']} goes on with it.")
    return run["id"]


def dry_run(args, client, terminal):
    """Show what would be done.

    :return: exit code
    :rtype: int
    """
    if args.run_id:
        run_id = cli.find_run(client, args.run_id)
        plan = client.call("qms.sop.run", "execution_plan", ids=[run_id])
    else:
        plan = preview(args, client)
    planning.check_plan(plan)
    choices = dict(args.choice)
    planning.check_answers(args, plan, choices)
    screen.introduce(terminal, plan)
    environment = planning.variables(plan)
    shown = []
    for step in planning.wanted_steps(args, plan):
        shown.append(preview_step(args, plan, step, environment, terminal))
    terminal.say()
    lacking = planning.lacking_variables(args, plan, dict(args.result))
    if lacking:
        terminal.say(f"Variables to set: {', '.join(lacking)}.", "yellow")
    counted = {}
    for step in shown:
        counted[step["action"]] = counted.get(step["action"], 0) + 1
    terminal.say(
        "Nothing was done. Steps: "
        + ", ".join(f"{count} {action}" for action, count in counted.items())
        + ".",
        "bold",
    )
    if args.json:
        cli.result(args, {**plan, "steps": shown, "variables_to_set": lacking}, "")
    if plan["blocked"]:
        raise cli.RefusedError(plan["blocked"])
    return 0


def preview_step(args, plan, step, environment, terminal):
    """Show what would be done about a step.

    :return: what ``--json`` tells of it
    :rtype: dict
    """
    manual = planning.why_manual(step, plan["category"])
    attended = planning.why_attended(args, step) if args.yes else ""
    answered = step["number"] in dict(args.result) or step["number"] in dict(
        args.choice
    )
    decides = step["needs_choice"] and step["number"] not in dict(args.choice)
    if not planning.is_open(step):
        action, why = (
            "closed",
            "not on this path" if step["off_path"] else step["state"],
        )
    elif manual and not answered:
        action, why = "left open" if args.only_automated else "by hand", manual
    elif attended:
        action, why = "left open" if args.only_automated else "to be checked", attended
    else:
        action, why = "to be run", ""
    screen.show_step(terminal, plan, step)
    terminal.say()
    terminal.say(
        f"▸ {action.capitalize()}{f': {why}' if why else ''}.",
        *(("green",) if action == "to be run" else ("yellow",)),
    )
    commands = []
    for position, command in enumerate(step["commands"], 1):
        commands.append(
            {
                **{
                    name: command[name] for name in ("id", "name", "purpose", "command")
                },
                "runs": bool(planning.shell_of(command)) and action == "to be run",
                "not_known": planning.missing(command, environment),
            }
        )
        if action != "closed":
            title = f"{command['purpose'].capitalize()} {position}"
            title = f"{title} of {len(step['commands'])}"
            screen.show_command(terminal, title, command, environment, plan["texts"])
    if decides and action != "closed":
        labels = ", ".join(step["choices"])
        terminal.say(f"A choice decides how it goes on: {labels}.", "yellow")
    return {
        **{name: step[name] for name in ("number", "name", "state", "choices")},
        "action": action,
        "reason": why,
        "decides": decides,
        "commands": commands,
    }


# -- the program --------------------------------------------------------------------


class _StopError(KeyboardInterrupt):
    """A signal that asks this program to end.

    :param int number: of the signal
    """

    def __init__(self, number):
        super().__init__()
        self.number = number


def _stop(number, _frame):
    raise _StopError(number)


def walk(args, client, terminal, run_id):
    """Work on a run until it is done, or cannot be worked on.

    :return: exit code
    :rtype: int
    """
    with open_spool(client, run_id) as spool:
        session = Session(args, client, spool, terminal)
        try:
            code = session.work()
        except QuitError:
            code = 1
            terminal.say("Ended before the end; the run stays open.", "yellow")
            session.say_how_to_go_on()
        except KeyboardInterrupt as stop:
            code = 128 + getattr(stop, "number", signal.SIGINT)
            terminal.say("\nInterrupted; what was finished is kept.", "yellow")
            session.say_how_to_go_on()
            session.leave_traces()
            return code
        except QmsError as error:
            is_away = isinstance(error, (UnreachableError, AuthenticationError))
            session.leave_traces(send=not is_away)
            raise
        session.leave_traces()
        if args.json:
            cli.result(args, session.result(), "")
        return 4 if spool.pending() else code


def main():
    parser = make_parser()
    args = parser.parse_args()
    for name in ("error_code", "severity", "category", "summary", "dedup_key"):
        if args.run_id and getattr(args, name):
            flag = name.replace("_", "-")
            raise cli.UsageError(f"--{flag} goes with --sop-code only.")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    terminal = Terminal(args.quiet)
    client = cli.connect(args)
    if args.dry_run:
        return dry_run(args, client, terminal)
    run_id = cli.find_run(client, args.run_id) if args.run_id else None
    send_kept(client, args, (run_id, ""))
    if run_id is None:
        run_id = open_run(args, parser, client)
    at_terminal = sys.stdout.isatty()
    if not args.json and not at_terminal:
        # At once: whoever has it can go on, whatever happens.
        cli.result(args, {}, run_id)
        sys.stdout.flush()
    code = walk(args, client, terminal, run_id)
    if not args.json and at_terminal:
        cli.result(args, {}, run_id)
    return code


if __name__ == "__main__":
    cli.run_script(main)
