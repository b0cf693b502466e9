#!/usr/bin/env python3
"""Update a run of an SOP: evidence, errors, steps, state and resolution."""

import argparse
import os

import qms_cli as cli

PURPOSE = """\
Update a run. With --step the state, result and reason belong to that step,
without it to the run. Everything may be given in one invocation; it is done in
this order: evidence, logged error, times, step or run. The state of the run is
printed. When something is refused, what was done before it stays done: repeat
the same line with the same --idempotency-key to do only the rest.
--error-code goes with --log-error where that is given, with the step where
--step and --state are given, and with the run otherwise.
"""
EXAMPLES = """\
python scripts/update_sop_run.py --run-id 12 --evidence app.log --classify
python scripts/update_sop_run.py --run-id RUN-000012 --step 2 --state completed \\
    --result "Logs of the last hour collected"
python scripts/update_sop_run.py --run-id 12 --step 4 --state failed \\
    --error-message "Deploy refused: quota exceeded"
psql -c 'SELECT * FROM pg_stat_activity' | python scripts/update_sop_run.py \\
    --run-id 12 --step 2 --evidence - --evidence-name activity.txt
python scripts/update_sop_run.py --run-id 12 --acknowledge
python scripts/update_sop_run.py --run-id 12 --mitigated-at 2026-03-01T12:10:00Z \\
    --reason "Traffic was back then, says the proxy"
python scripts/update_sop_run.py --run-id 12 --state completed \\
    --resolution "Connections are closed again" --resolution-time 2700
"""
# $((END_TIME - START_TIME)) is this large only when START_TIME is unset.
LONGEST = 10 * 365 * 86400
RUN_FLAGS = ("resolution", "resolution_time", "severity", "category", "summary")
EVIDENCE_FLAGS = ("evidence_name", "evidence_source", "classify")
MILESTONES = ("acknowledge", "mitigate", "resolve")
TIMES = ("occurred_at", "detected_at", "acknowledged_at", "mitigated_at", "resolved_at")
_HAPPENED = {
    "occurred_at": "began (2026-03-01T12:00:00Z, or seconds since 1970)",
    "detected_at": "was noticed",
    "acknowledged_at": "was taken on",
    "mitigated_at": "was mitigated",
    "resolved_at": "was resolved",
}
PRINTABLE = ("state", "id", "name", "url", "progress", "sla")


def duration(value):
    """Take a resolution time in whole seconds.

    :param str value: the argument
    :rtype: int | None
    """
    value = value.strip()
    if not value:
        return None
    try:
        number = int(value)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a whole number of seconds"
        ) from None
    if not 0 <= number <= LONGEST:
        raise argparse.ArgumentTypeError(
            f"{number} s cannot be; are START_TIME and END_TIME set?"
        )
    return number


def step_number(value):
    """Take the number of a step.

    :param str value: the argument
    :rtype: int
    """
    if not (value.isascii() and value.isdecimal() and 0 < int(value) <= 100000):
        raise argparse.ArgumentTypeError(f"{value!r} is not the number of a step (1…)")
    return int(value)


def make_parser():
    parser = cli.make_parser(PURPOSE, EXAMPLES)
    add = parser.add_argument
    add("--run-id", type=cli.required, required=True, help="id or name of the run")
    add("--step", type=step_number, metavar="N", help="the step, counted from 1")
    add(
        "--state",
        type=cli.text,
        help="of the run: in_progress, on_hold, completed, failed, cancelled; "
        "of a step: in_progress, completed, failed, skipped",
    )
    add(
        "--reason",
        type=cli.text,
        help="why it fails, is held, skipped or cancelled, or how a time is known",
    )
    add("--result", type=cli.text, help="what the step brought")
    add(
        "--choice",
        type=cli.text,
        metavar="ANSWER",
        help="the answer found, where the step offers several ways to go on",
    )
    add("--error-message", type=cli.text, metavar="TEXT", help="how the step failed")
    add("--resolution", type=cli.text, help="what solved it")
    add(
        "--resolution-time",
        type=duration,
        metavar="S",
        help="seconds from start to resolution; 0 counts as not known",
    )
    add("--error-code", type=cli.text, help="a code of the error catalogue")
    add("--severity", type=cli.text, help="critical, high, medium, low or P0 to P3")
    add("--category", type=cli.text, help="such as DATABASE")
    add("--summary", type=cli.text, help="what is seen, in a sentence")
    add("--acknowledge", action="store_true", help="take the run on, now")
    add(
        "--mitigate",
        action="store_true",
        help="from now on, users no longer suffer from it",
    )
    add("--resolve", action="store_true", help="from now on, its cause is removed")
    for name in TIMES:
        add(
            f"--{name.replace('_', '-')}",
            type=cli.moment,
            metavar="TIME",
            help=f"tell or correct when it {_HAPPENED[name]}; needs --reason",
        )
    add("--log-error", type=cli.text, metavar="TEXT", help="record an error")
    add(
        "--evidence",
        type=cli.text,
        action="append",
        default=[],
        metavar="FILE",
        help="attach a file of up to 25 MB (- is stdin); may be repeated",
    )
    add("--evidence-name", type=cli.text, metavar="NAME", help="its name in the run")
    add(
        "--evidence-source",
        type=cli.text,
        metavar="TEXT",
        help="where it comes from (default: path and machine)",
    )
    add(
        "--classify",
        action="store_true",
        help="match the evidence with the catalogue; a run without an error code "
        "takes the best match",
    )
    add("--print", choices=PRINTABLE, default="state", help="what to print on stdout")
    cli.add_key(parser)
    return parser


def check(args):
    """Refuse combinations of flags that mean nothing.

    :param argparse.Namespace args: the arguments
    :raise cli.UsageError: naming the flags
    """
    args.evidence = [path for path in args.evidence if path]
    if args.step is not None:
        _refuse(args, RUN_FLAGS, "belongs to the run; give it without --step")
    if args.step is None or args.state is None:
        _refuse(args, ("result", "choice"), "needs --step and --state")
        _refuse(
            args,
            ("error_message",),
            "needs --step and --state; --log-error records an error of the run",
        )
        if args.step is not None and not _times(args):
            _refuse(args, ("reason",), "needs --state with --step")
    if _times(args) and not args.reason:
        name = next(iter(_times(args))).replace("_", "-")
        raise cli.UsageError(f"--{name}: say with --reason how it is known.")
    for milestone, name in zip(MILESTONES, TIMES[2:], strict=True):
        if getattr(args, milestone) and getattr(args, name):
            flag = name.replace("_", "-")
            raise cli.UsageError(f"Give either --{milestone} or --{flag}.")
    if args.evidence.count("-") > 1:
        raise cli.UsageError("--evidence: stdin can be attached once only.")
    if not args.evidence:
        _refuse(args, EVIDENCE_FLAGS, "needs --evidence")
    if len(args.evidence) > 1:
        _refuse(args, ("evidence_name",), "goes with one --evidence only")
    for path in args.evidence:
        if path != "-":
            _check_file(path)


def _times(args):
    """Return the times that are given.

    :rtype: dict[str, str]
    """
    return {name: getattr(args, name) for name in TIMES if getattr(args, name)}


def tell_times(args, client, run_id, key):
    """Tell what was reached, and correct times.

    :return: the run after the last of it, or ``None`` when there was nothing to tell
    :rtype: dict | None
    """
    run = None
    times = _times(args)
    if times:
        run = client.call(
            "qms.sop.run",
            "correct_times",
            ids=[run_id],
            reason=args.reason,
            **times,
            idempotency_key=f"{key}/times",
        )
    for milestone in MILESTONES:
        if getattr(args, milestone):
            run = client.call(
                "qms.sop.run",
                milestone,
                ids=[run_id],
                idempotency_key=f"{key}/{milestone}",
            )
    return run


def _refuse(args, names, why):
    """Refuse the first of some flags that is given."""
    for name in names:
        if getattr(args, name) not in (None, False):
            raise cli.UsageError(f"--{name.replace('_', '-')} {why}.")


def _check_file(path):
    """Refuse a file that cannot be attached, before anything is sent."""
    if os.path.isdir(path):
        raise cli.UsageError(f"--evidence: {path!r} is a folder.")
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise cli.UsageError(
            f"--evidence: {path!r} cannot be read: {error.strerror}."
        ) from None
    if size > cli.EVIDENCE_LIMIT:
        raise cli.UsageError(
            f"--evidence: {path!r} has {size / 1024 / 1024:.1f} MB, the limit is "
            f"{cli.EVIDENCE_LIMIT // 1024 // 1024} MB; attach the part that matters."
        )


def add_evidence(args, client, run_id, key):
    """Attach the files, one by one.

    :return: what the server says of each
    :rtype: list[dict]
    """
    import base64
    import socket

    added = []
    for number, path in enumerate(args.evidence, 1):
        content = cli.read_bytes(path, cli.EVIDENCE_LIMIT, "--evidence")
        name = "stdin.txt" if path == "-" else os.path.basename(path)
        where = "stdin" if path == "-" else os.path.abspath(path)
        evidence = client.call(
            "qms.sop.run",
            "add_evidence",
            ids=[run_id],
            name=args.evidence_name or name,
            content=base64.b64encode(content).decode("ascii"),
            source=args.evidence_source or f"{where} on {socket.gethostname()}",
            step=args.step,
            classify=args.classify,
            idempotency_key=f"{key}/evidence/{number}",
        )
        added.append(evidence)
        cli.note(
            args,
            f"Evidence {evidence['name']} attached: {evidence['size']} bytes, "
            f"SHA-256 {evidence['sha256']}.",
        )
        for match in (evidence.get("classification") or [])[:3]:
            cli.note(
                args,
                f"  {match['code'] or match['category']}: {match['why']}",
            )
    return added


def main():
    parser = make_parser()
    args = parser.parse_args()
    check(args)
    if args.resolution_time == 0:
        cli.warn(args, "--resolution-time 0 counts as not known and is left blank.")
        args.resolution_time = None
    client = cli.connect(args)
    key = cli.base_key(args)
    run_id = cli.find_run(client, args.run_id)
    done = {}
    code = args.error_code
    if args.evidence:
        done["added_evidence"] = add_evidence(args, client, run_id, key)
    if args.log_error:
        done["logged_error"] = client.call(
            "qms.sop.run",
            "log_error",
            ids=[run_id],
            error_message=args.log_error,
            error_code=code,
            step=args.step,
            idempotency_key=f"{key}/error",
        )
        code = None
        cli.note(args, "Error recorded.")
    told = tell_times(args, client, run_id, key)
    if args.step is not None and args.state is not None:
        run = client.call(
            "qms.sop.run",
            "update_step",
            ids=[run_id],
            step=args.step,
            state=args.state,
            result=args.result,
            choice=args.choice,
            reason=args.reason,
            error_code=code,
            error_message=args.error_message,
            idempotency_key=f"{key}/step",
        )
    else:
        values = {
            "state": args.state,
            "resolution": args.resolution,
            "resolution_time": args.resolution_time,
            # A reason alone is that of the times.
            "reason": args.reason if args.state or not _times(args) else None,
            "summary": args.summary,
            "severity": args.severity,
            "error_code": code,
            "category": args.category,
        }
        if any(value is not None for value in values.values()):
            run = client.call(
                "qms.sop.run",
                "update_run",
                ids=[run_id],
                **values,
                idempotency_key=f"{key}/run",
            )
        elif told:
            run = told
        elif done:
            run = client.call("qms.sop.run", "get_run", ids=[run_id])
        else:
            raise cli.UsageError(
                "Nothing to do: give --state, --acknowledge, --resolution, --evidence, "
                "--log-error or another change."
            )
    cli.note(args, f"{run['name']} is {run['state']}, {run['progress']:g} % done.")
    cli.result(args, {**run, **done}, run[args.print])


if __name__ == "__main__":
    cli.run_script(main)
