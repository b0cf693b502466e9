"""What is shown of a run to the person who works on it."""

import re
from datetime import datetime, timezone

import qms_plan as planning
import qms_shell as shell


def introduce(terminal, plan):
    """Say which run this is, of which approved content, and how far it is.

    :param Terminal terminal: where to say it
    :param dict plan: of the run
    """
    sop, run = plan["sop"], plan["run"]
    name = f"{run['name']} · " if run else ""
    terminal.rule(f"{name}{sop['code']} {sop['version']} · {sop['title']}", "bold")
    terminal.say(
        f"{sop['state'].capitalize()} content, SHA-256 {sop['content_hash'] or '?'}",
        "dim",
    )
    if run:
        facts = [
            f"{name} {run[field]}"
            for name, field in (
                ("severity", "severity"),
                ("category", "category"),
                ("error code", "error_code"),
            )
            if run[field]
        ]
        terminal.say(" · ".join(facts) or "not classified yet", "dim")
        terminal.say(run["url"], "dim")
        if run["summary"]:
            terminal.say(run["summary"])
    done = sum(not planning.is_unfinished(step) for step in plan["steps"])
    if done:
        total = len(plan["steps"])
        terminal.say(f"{done} of {total} steps are done already.", "green")


def show_step(terminal, plan, step):
    """Show what a step is about.

    :param Terminal terminal: where to show it
    :param dict plan: of the run
    :param dict step: of the plan
    """
    minutes = step["expected_duration"]
    facts = [
        "mandatory" if step["mandatory"] else "optional",
        f"about {shell.duration(minutes * 60)}" if minutes else "time varies",
        *(["needs evidence"] if step["evidence_required"] else []),
        *(["tried before, failed"] if step["state"] == "failed" else []),
        *(["begun before"] if step["state"] == "in_progress" else []),
    ]
    terminal.say()
    terminal.rule(
        f"Step {step['number']} of {len(plan['steps'])} · {step['name']}",
        "bold",
        "cyan",
        line="━",
    )
    terminal.say(" · ".join(facts), "dim")
    for text in (step["objective"], step["instructions"]):
        if text:
            terminal.say()
            terminal.say(text.strip())


def show_command(terminal, title, command, environment, texts):
    """Show a command with what is filled in, and what is not known.

    :param Terminal terminal: where to show it
    :param str title: what kind of command it is
    :param dict command: of a plan
    :param dict environment: the variables it will see
    :param dict texts: those whose text is shown beside it, never in it
    """
    language = command["language"] or "shell"
    only = f" · only for {command['category']}" if command.get("category") else ""
    terminal.say()
    terminal.say(f"▸ {title}: {command['name']} ({language}{only})", "bold")
    text = "".join(part["text"] for part in command["parts"])
    if planning.shell_of(command):
        terminal.command(text)
    else:
        for line in text.split("\n"):
            terminal.output(line)
    check = planning.check_before(command)
    if check:
        terminal.say(f"Check before: {check}", "bold", "yellow", indent=2)
    if command.get("expected_output"):
        terminal.say(
            f"Its output has to contain “{command['expected_output']}”.", indent=2
        )
    for name in dict.fromkeys(p["name"] for p in command["parts"] if p.get("name")):
        if name in texts:
            terminal.say(f"{name} is {texts[name]!r}", "dim", indent=2)
    unknown = planning.missing(command, environment)
    if unknown:
        terminal.say(f"Not known: {', '.join(unknown)}", "yellow", indent=2)


def show_kept(terminal, name, size, sha256, sent):
    """Tell where an output is kept.

    :param Terminal terminal: where to tell it
    :param str name: of the evidence
    :param int size: bytes
    :param str sha256: of the content
    :param sent: whether the server has it
    """
    where = "Attached to the run" if sent else "Kept on this machine, to be sent"
    terminal.say(f"{where}: {name}, {size} bytes", "dim", indent=2)
    terminal.say(f"SHA-256 {sha256}", "dim", indent=2)


def slug(name):
    """Return a name as a part of a file name.

    :param str name: any text
    :rtype: str
    """
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:60] or "command"


def clock(moment):
    """Return a moment of this machine as UTC, for people.

    :param float moment: epoch seconds
    :rtype: str
    """
    return f"{datetime.fromtimestamp(moment, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def where(program):
    """Name a program on this machine, as the source of what it records.

    :param str program: file name
    :rtype: str
    """
    import socket

    return f"{program} on {socket.gethostname()}"
