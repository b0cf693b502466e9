"""What a run wants done, as the server tells it: checked, and judged by a program."""

import hashlib
import os
import re
import time

import qms_shell as shell
from qms_client import RefusedError, UsageError

# How the runbooks mark a command that a person has to think about first.
_CHECK = re.compile(r"^[ \t]*#[ \t]*Check before:[ \t]*(\S.*)$", re.MULTILINE | re.I)
# Steps that can be worked on; a failed one is tried again.
OPEN = ("pending", "in_progress", "failed")


def check_command(command):
    """Refuse a command that did not arrive as it was approved.

    XML cannot carry every character, and a proxy in between is not trusted.

    :param dict command: of a plan, with ``name``, ``command`` and ``sha256``
    :raise RefusedError: naming the command
    """
    text = command["command"]
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    if digest != command["sha256"]:
        raise RefusedError(
            f"Command “{command['name']}” did not arrive as it is written in the SOP "
            "(its SHA-256 differs); try --transport json2."
        )
    if len(text.encode()) > shell.LONGEST_COMMAND and shell_of(command):
        raise RefusedError(
            f"Command “{command['name']}” is longer than "
            f"{shell.LONGEST_COMMAND // 1024} KiB; no shell takes that."
        )


def check_plan(plan):
    """Refuse a plan with a command that did not arrive as it was approved.

    :param dict plan: as ``qms.sop.run.execution_plan()`` returns it
    :raise RefusedError: naming the command
    """
    for step in plan["steps"]:
        for command in step["commands"]:
            check_command(command)


def shell_of(command):
    """Return the shell that runs a command, or None when a person has to do it.

    :param dict command: of a plan
    :rtype: str | None
    """
    return shell.shell_for(command["language"], command["command"])


def variables(plan):
    """Return the environment for the commands of a plan.

    It is that of this process, with what the run knows. While the run goes on,
    END_TIME is now: what is asked for is the time that passed so far.

    :param dict plan: with ``values`` and ``texts``
    :rtype: dict[str, str]
    """
    known = {**plan["values"], **plan["texts"]}
    known["END_TIME"] = known.get("END_TIME") or str(int(time.time()))
    return {**os.environ, **{name: text for name, text in known.items() if text}}


def missing(command, environment):
    """Return the variables of a command that nobody has set, each once.

    :param dict command: of a plan, with ``parts``
    :param dict environment: the variables there are
    :rtype: list[str]
    """
    names = [part["name"] for part in command["parts"] if part.get("name")]
    return [
        name
        for name in dict.fromkeys(names)
        if name not in environment and name not in shell.SHELL_VARIABLES
    ]


def why_manual(step, category):
    """Say why a program alone cannot do a step.

    :param dict step: of a plan
    :param category: that of the run, if it has one
    :return: empty when it can
    :rtype: str
    """
    commands = step["commands"]
    if not any(map(shell_of, commands)):
        return "it has no command that a shell runs"
    for command in commands:
        if not shell_of(command):
            return f"“{command['name']}” ({command['language']}) is done by hand"
        if command["category"] and not category:
            return (
                f"“{command['name']}” is only for {command['category']}, and the run "
                "has no category"
            )
    return ""


def check_before(command):
    """Return what a command asks a person to check before it is run.

    :param dict command: of a plan
    :return: empty when it asks nothing
    :rtype: str
    """
    return "; ".join(_CHECK.findall(command["command"]))


def why_attended(args, step):
    """Say why a step is not done while nobody is there.

    :param argparse.Namespace args: with ``checks_done``
    :param dict step: of a plan
    :return: empty when it can be
    :rtype: str
    """
    for command in filter(shell_of, step["commands"]):
        if not args.checks_done and (check := check_before(command)):
            return f"“{command['name']}” says to check before: {check}"
    return ""


def resolve_choice(step, label):
    """Return a choice of a step as it is written.

    :param dict step: of a plan
    :param str label: in any case
    :rtype: str
    :raise UsageError: listing the choices there are
    """
    for choice in step["choices"]:
        if choice.strip().casefold() == label.strip().casefold():
            return choice
    offered = ", ".join(repr(choice) for choice in step["choices"]) or "none"
    raise UsageError(
        f"--choice: step {step['number']} does not offer {label!r}. "
        f"Accepted: {offered}."
    )


def is_open(step):
    """Tell whether a step can be worked on."""
    return step["state"] in OPEN and not step["off_path"]


def is_unfinished(step):
    """Tell whether a step keeps its run from being completed as done."""
    return step["state"] not in ("completed", "skipped")


def wanted_steps(args, plan):
    """Return the steps that were asked for.

    :rtype: list[dict]
    """
    return [s for s in plan["steps"] if not args.step or s["number"] in args.step]


def check_answers(args, plan, choices):
    """Refuse flags about steps and choices that there are not.

    :param dict choices: of the flags; set to what the SOP writes
    :raise UsageError: naming the flag
    :raise RefusedError: if a step asked for is not on the path
    """
    steps = {step["number"]: step for step in plan["steps"]}
    for flag, numbers in (
        ("--step", args.step or ()),
        ("--choice", choices),
        ("--result", dict(args.result)),
    ):
        for number in numbers:
            if number not in steps:
                raise UsageError(
                    f"{flag}: there is no step {number} (the run has {len(steps)})."
                )
    for number, label in choices.items():
        choices[number] = resolve_choice(steps[number], label)
    for number in args.step or ():
        if steps[number]["off_path"]:
            raise RefusedError(f"Step {number} is not on the path of this run.")


def lacking_variables(args, plan, results):
    """Return the variables that commands will need and nobody has set.

    As far as the path is known: up to the first decision.

    :return: ``{name: numbers of the steps}``
    :rtype: dict[str, list[int]]
    """
    environment = variables(plan)
    lacking = {}
    for step in filter(is_open, wanted_steps(args, plan)):
        manual = why_manual(step, plan["category"])
        if args.yes and why_attended(args, step):
            continue
        if not manual or step["number"] in results:
            for command in filter(shell_of, step["commands"]):
                for name in missing(command, environment):
                    lacking.setdefault(name, {})[step["number"]] = True
        if step["needs_choice"]:
            break
    return {name: list(numbers) for name, numbers in lacking.items()}


def check_variables(args, plan, results):
    """Refuse to begin while variables are missing that nobody can be asked for.

    :raise UsageError: naming all of them
    """
    lacking = lacking_variables(args, plan, results)
    if lacking:
        named = ", ".join(
            f"{name} (step {', '.join(map(str, numbers))})"
            for name, numbers in lacking.items()
        )
        raise UsageError(
            f"Commands need variables that are not set: {named}. Nothing was run."
        )
