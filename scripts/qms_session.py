"""The work on one run of an SOP: what is run, asked, recorded and sent."""

import base64
import hashlib
import os
import sys
import time

import qms_cli as cli
import qms_plan as planning
import qms_screen as screen
import qms_shell as shell
from qms_client import UnreachableError, new_key
from qms_masking import Masker, secrets_of
from qms_outbox import Outbox
from qms_terminal import NoAnswerError

PROGRAM = "execute_sop_run.py"
MARKS = {"completed": "✓", "skipped": "↷", "failed": "✗"}
COLOURS = {"completed": "green", "skipped": "yellow", "failed": "red"}


class Session(Outbox):
    """The work on one run.

    :param argparse.Namespace args: the arguments
    :param Client client: the connection
    :param Spool spool: the results of the run
    :param Terminal terminal: where a person reads and answers
    """

    def __init__(self, args, client, spool, terminal):
        super().__init__(client, spool, terminal)
        self.args = args
        self.can_ask = not args.yes or sys.stdin.isatty()
        self.choices = dict(args.choice)
        self.results = dict(args.result)
        self.given = {}
        self.plan = None
        self.begun = time.monotonic()
        self.left_open = {}
        self.executed = []

    # -- the server -----------------------------------------------------------

    def fetch(self):
        """Get the plan of the run, as it is now.

        :raise UnreachableError: if results cannot be sent, or the plan not be had
        :raise cli.RefusedError: if a command is not what was approved
        """
        if not self.flush(now=True):
            raise UnreachableError(
                f"{self.client.url} is away, and it knows how the run goes on."
            )
        self.plan = self.client.call(
            "qms.sop.run", "execution_plan", ids=[self.spool.run_id]
        )
        planning.check_plan(self.plan)
        for step in self.plan["steps"]:
            if step["state"] not in ("pending", "in_progress"):
                self.spool.forget_step(step["number"])

    # -- the walk -------------------------------------------------------------

    def work(self):
        """Walk through the steps.

        :return: exit code
        :rtype: int
        """
        self.fetch()
        screen.introduce(self.terminal, self.plan)
        if self.plan["run"]["state"] == "completed":
            self.spool.forget_sent()
            self.terminal.say("The run is completed; nothing is left to do.", "green")
            return 0
        if self.plan["blocked"]:
            raise cli.RefusedError(self.plan["blocked"])
        planning.check_answers(self.args, self.plan, self.choices)
        if not self.can_ask:
            planning.check_variables(self.args, self.plan, self.results)
        while step := self.next_step():
            if not self.work_step(step):
                return 1
        return self.finish()

    def next_step(self):
        """Return the next step to work on, or None."""
        for step in planning.wanted_steps(self.args, self.plan):
            if step["state"] == "waiting":
                raise cli.RefusedError(
                    f"Step {step['number']} is waiting; nothing after it is run."
                )
            if planning.is_open(step) and step["number"] not in self.left_open:
                return step
        return None

    def work_step(self, step):
        """Do one step, or leave it open.

        :param dict step: of the plan
        :return: whether to go on with the next one
        :rtype: bool
        """
        number = step["number"]
        self.begun = time.monotonic()
        screen.show_step(self.terminal, self.plan, step)
        manual = planning.why_manual(step, self.plan["category"])
        answered = number in self.results or number in self.choices
        if manual and not answered and (self.args.only_automated or not self.can_ask):
            return self.leave(step, manual)
        attended = planning.why_attended(self.args, step)
        if attended and not self.can_ask:
            return self.leave(step, attended)
        if step["needs_choice"] and number not in self.choices and not self.can_ask:
            return self.leave(step, "a choice has to be made in it")
        if step["state"] != "in_progress":
            self.put("update_step", step=number, state="in_progress")
            step["state"] = "in_progress"
        seconds = self.run_commands(step)
        if seconds is None:
            return step["state"] == "skipped"
        if manual and self.can_ask and not answered:
            if not self.confirm_manual(step):
                return step["state"] == "skipped"
        elif self.can_ask and not self.args.yes and not self.confirm(step):
            return False
        return self.complete_step(step, seconds)

    def leave(self, step, reason):
        """Leave a step open, if the run can go on without it.

        :raise NoAnswerError: if it cannot
        """
        number = step["number"]
        if step["needs_choice"] and number not in self.choices:
            offered = " or ".join(f'"{number}={label}"' for label in step["choices"])
            raise NoAnswerError(
                f"Step {number} decides how the run goes on; answer with "
                f"--choice {offered}."
            )
        if step["state"] == "failed":
            raise NoAnswerError(
                f"Step {number} failed before, and is done by hand ({reason}); nothing "
                f'after it is run. --result "{number}=…" says what came out of it.'
            )
        if not self.args.only_automated:
            raise NoAnswerError(
                f"Step {number} needs a person: {reason}. Without --yes, you are "
                f'asked; --result "{number}=…" says what came out of what is done by '
                "hand, --checks-done that what commands ask for was checked; "
                "--only-automated leaves the step open."
            )
        self.left_open[number] = reason
        self.terminal.say(f"Left open: {reason}.", "yellow")
        return True

    # -- the commands of a step -------------------------------------------------

    def run_commands(self, step):
        """Run the commands of a step that did not run yet.

        :return: seconds that they took; None when the step ended with one of them
        :rtype: float | None
        """
        known = self.known(step)
        spent = 0.0
        commands = step["commands"]
        for position, command in enumerate(commands, 1):
            title = f"{command['purpose'].capitalize()} {position} of {len(commands)}"
            self.show_command(title, command)
            if not planning.shell_of(command):
                self.terminal.say("To be done by hand.", "yellow", indent=2)
                continue
            told = known.get(command["id"])
            if told:
                self.terminal.say(f"Done before: {told['ending']}.", "dim", indent=2)
            while True:
                if not told:
                    told = self.try_command(
                        step, command, self.args.step_timeout - spent
                    )
                    if not told:
                        return None
                    spent += told.get("seconds", 0)
                if told["ok"]:
                    break
                decision = self.after_failure(command)
                if decision == "k":
                    told = self.accept(step, command, told)
                elif decision == "f":
                    self.fail_step(step, told["why"] + told_output(told))
                    return None
                else:
                    told = None
        return sum(told.get("seconds", 0) for told in self.known(step).values())

    def known(self, step):
        """Return what is known of the commands of a step, the last of each.

        :rtype: dict[int, dict]
        """
        records = self.spool.of_step(step["number"])
        return {record["local"]["command"]: record["local"] for record in records}

    def try_command(self, step, command, timeout):
        """Ask whether to run a command, and run it.

        :param float timeout: seconds that are left
        :return: what to remember of it; None when the step ended instead
        :rtype: dict | None
        """
        noted = self.spool.running()
        interrupted = bool(noted) and (noted["step"], noted["command"]) == (
            step["number"],
            command["id"],
        )
        if interrupted:
            self.check_interrupted(noted, command)
        to_check = planning.check_before(command) and not self.args.checks_done
        doubtful = interrupted and not self.args.rerun_interrupted
        if not self.args.yes or doubtful or to_check:
            key = self.terminal.ask_key(
                "Run it?",
                {
                    "r": "run",
                    "s": "skip this command",
                    "n": "not this step",
                    "f": "fail",
                },
            )
            if key == "s":
                reason = self.ask_text("Why is it skipped")
                return self.remember(
                    step, command, ok=True, ending=f"skipped: {reason}", skipped=reason
                )
            if key == "n":
                return self.skip_step(step)
            if key == "f":
                return self.fail_step(step, self.ask_text("What went wrong"))
        environment = {**planning.variables(self.plan), **self.given}
        for name in planning.missing(command, environment):
            environment[name] = self.given[name] = self.ask_variable(name)
        return self.run_command(step, command, environment, max(timeout, 1.0))

    def check_interrupted(self, noted, command):
        """Say that a command was interrupted before; refuse to run it a second time
        while it still runs, or when nobody can say whether that does harm."""
        at = screen.clock(noted["time"])
        alive = " ".join(map(str, shell.processes(noted["key"])))
        if alive:
            raise cli.RefusedError(
                f"“{command['name']}” was started at {at} and still runs (process "
                f"{alive}). Wait for its end, or end it: kill {alive}"
            )
        what = f"“{command['name']}” was interrupted at {at}; it may have done its work"
        if self.args.rerun_interrupted:
            self.terminal.say(f"{what}. It is run again.", "yellow", indent=2)
        elif self.can_ask:
            self.terminal.say(f"{what}, or a part of it.", "yellow", indent=2)
        else:
            raise NoAnswerError(
                f"{what}, or a part of it. --rerun-interrupted runs it again; without "
                "--yes, you are asked."
            )

    def ask_text(self, question, required=True):
        """Ask for a text that goes into the record."""
        return self.masker.text(self.terminal.ask_text(question, required))

    def ask_variable(self, name):
        """Ask for a variable of a command."""
        if not self.can_ask:
            raise NoAnswerError(f"Variable {name} is not set, and a command needs it.")
        value = self.terminal.ask_variable(name)
        self.masker = Masker(secrets_of({**os.environ, **self.given, name: value}))
        return value

    def run_command(self, step, command, environment, timeout):
        """Run a command and record what became of it.

        :return: what to remember of it
        :rtype: dict
        """
        key = new_key()
        about = (key, step["number"], command["id"])
        self.spool.begin(*about)
        began = time.time()
        try:
            outcome = shell.run(
                command["command"],
                planning.shell_of(command),
                environment={**environment, shell.MARK: key},
                timeout=timeout,
                masker=self.masker,
                show=self.terminal.output,
            )
        except shell.Interrupted as interrupt:
            raise interrupt.cause from None
        except OSError as error:
            self.spool.end()
            raise cli.UsageError(f"Nothing can be run: {error}.") from None
        why = shell.fault(outcome, command["expected_output"])
        ok = not why
        self.terminal.say(
            f"{'✗' if why else '✓'} {why or outcome.ending}",
            "red" if why else "green",
            indent=2,
        )
        if outcome.left_running:
            self.terminal.say(
                "It left a process running, whose output is not recorded any more.",
                "yellow",
                indent=2,
            )
        told = self.remember(
            step,
            command,
            key=key,
            output=outcome.output,
            ok=ok,
            why=f"“{command['name']}”: {why}" if why else "",
            ending=why or outcome.ending,
            exit_code=outcome.exit_code,
            seconds=outcome.seconds,
            began=began,
            excerpt=shell.excerpt(outcome.output),
        )
        self.spool.end()
        return told

    def remember(self, step, command, key=None, output="", **told):
        """Write down what became of a command; its output goes to the run.

        :return: what is remembered
        :rtype: dict
        """
        number = step["number"]
        local = {"command": command["id"], "name": command["name"], **told}
        if not output:
            self.put(step=number, local=local, key=key)
            self.spool.end()
            self.executed.append({"step": number, **local})
            return local
        content = output.encode("utf-8", "replace")
        local["evidence"] = f"step-{number}-{screen.slug(command['name'])}.txt"
        local["sha256"] = hashlib.sha256(content).hexdigest()
        record = self.put(
            "add_evidence",
            step=number,
            local=local,
            key=key,
            name=local["evidence"],
            content=base64.b64encode(content).decode("ascii"),
            source=f"{command['name']}: {told['ending']} ({screen.where(PROGRAM)})",
            mimetype="text/plain",
        )
        answer = record["answer"] or {}
        if answer.get("sha256", local["sha256"]) != local["sha256"]:
            raise cli.RefusedError(
                f"{local['evidence']} did not arrive as it was sent (SHA-256 "
                f"{answer['sha256']} instead of {local['sha256']})."
            )
        screen.show_kept(
            self.terminal, local["evidence"], len(content), local["sha256"], answer
        )
        self.executed.append({"step": number, **local})
        return local

    def after_failure(self, command):
        """Decide what to do about a command that failed.

        :return: ``a`` again, ``k`` go on all the same, ``f`` fail
        :rtype: str
        """
        if not self.can_ask or self.args.yes:
            return "f"
        keys = {"a": "again", "k": "keep going", "f": "fail the step"}
        if command["purpose"] == "verification":
            # What is to be verified holds, or the step has failed.
            del keys["k"]
        return self.terminal.ask_key("What now?", keys)

    def accept(self, step, command, told):
        """Note why it is all right that a command failed."""
        reason = self.ask_text("Why is that all right")
        accepted = {**told, "ok": True, "accepted": reason}
        self.put(step=step["number"], local=accepted)
        return accepted

    # -- closing a step -----------------------------------------------------------

    def confirm(self, step):
        """Let a person look at what the commands cannot tell.

        :return: whether the step goes on to be completed
        """
        if not self.show_expectations(step):
            return True
        key = self.terminal.ask_key("Is it so?", {"y": "yes", "f": "fail the step"})
        if key == "f":
            self.fail_step(step, self.ask_text("What is not"))
        return key == "y"

    def confirm_manual(self, step):
        """Ask what came out of a step that a person does.

        :return: whether the step goes on to be completed
        """
        self.show_expectations(step)
        self.terminal.say()
        key = self.terminal.ask_key(
            "Done by hand?", {"d": "done", "s": "skip the step", "f": "fail"}
        )
        if key == "s":
            self.skip_step(step)
        elif key == "f":
            self.fail_step(step, self.ask_text("What went wrong"))
        else:
            self.results[step["number"]] = self.ask_text(
                "Result (what was done and seen)"
            )
        return key == "d"

    def complete_step(self, step, seconds):
        """Complete a step with what came out of it.

        :param float seconds: that its commands took
        """
        number = step["number"]
        choice = self.choose(step)
        if step["evidence_required"]:
            self.ask_evidence(step)
        known = list(self.known(step).values())
        result = describe(known, self.results.get(number), screen.where(PROGRAM))
        if self.args.yes and step["verification"] and number not in self.results:
            result += "\n\nNobody was asked whether this holds: "
            result += step["verification"].strip()
        self.put(
            "update_step",
            step=number,
            state="completed",
            result=result,
            **({"choice": choice} if choice else {}),
        )
        took = shell.duration(time.monotonic() - self.begun)
        commands = f", its commands took {shell.duration(seconds)}" if known else ""
        self.closed(step, "completed", f"Step {number} completed in {took}{commands}.")
        if choice:
            # It may lead past steps, and name the category that selects commands.
            self.fetch()
        return True

    def choose(self, step):
        """Return which choice of a step it is; empty for none."""
        number = step["number"]
        if not step["choices"] or number in self.choices or not self.can_ask:
            return self.choices.get(number, "")
        if self.args.yes and not step["needs_choice"]:
            return ""
        return self.terminal.ask_which(
            "Which is it?", step["choices"], required=step["needs_choice"]
        )

    def ask_evidence(self, step):
        """Ask for the file that a step needs, if nothing was attached to it."""
        if step["evidence_count"] or not self.can_ask:
            return
        if any(told.get("evidence") for told in self.known(step).values()):
            return
        while True:
            path = self.terminal.ask_text("This step needs evidence; attach the file")
            try:
                content = cli.read_bytes(path, cli.EVIDENCE_LIMIT, "The file")
                text = shell.read_masked(path, self.masker, lambda line: None)
            except (OSError, cli.UsageError) as error:
                cli.complain(str(error))
                continue
            if text is not None:
                content = text.encode("utf-8", "replace")
            self.put(
                "add_evidence",
                step=step["number"],
                name=path.rpartition("/")[2],
                content=base64.b64encode(content).decode("ascii"),
                source=f"{path} ({screen.where(PROGRAM)})",
            )
            return

    def skip_step(self, step):
        """Skip a step, for a reason."""
        reason = self.ask_text("Why is the step skipped")
        self.spool.end()
        self.put("update_step", step=step["number"], state="skipped", reason=reason)
        self.closed(step, "skipped", f"Step {step['number']} skipped: {reason}")

    def fail_step(self, step, message):
        """Fail a step, and the run with it: no step follows one that failed."""
        number = step["number"]
        self.spool.end()
        self.put(
            "update_step",
            step=number,
            state="failed",
            error_message=self.masker.text(message),
        )
        self.closed(step, "failed", f"Step {number} failed.")
        keep_open = self.args.keep_open
        if not keep_open and self.can_ask and not self.args.yes:
            keep_open = not self.terminal.ask_yes(
                "End the run as failed (no: it stays open, to be tried again)"
            )
        if keep_open:
            self.say_how_to_go_on()
            return
        first = self.masker.text(message).splitlines()[0]
        self.put(
            "update_run",
            state="failed",
            reason=f"Step {number} ({step['name']}) failed: {first}",
        )
        if not self.spool.pending():
            self.spool.forget_sent()
        self.terminal.say(f"{self.plan['run']['name']} has failed.", "bold", "red")

    def closed(self, step, state, sentence):
        """Note that a step is closed, and say so."""
        step["state"] = state
        self.terminal.say()
        self.terminal.say(f"{MARKS[state]} {sentence}", "bold", COLOURS[state])
        if not self.spool.pending():
            self.spool.forget_step(step["number"])

    # -- the end --------------------------------------------------------------------

    def finish(self):
        """Complete the run, if all is done and it is wanted.

        :return: exit code
        :rtype: int
        """
        if not self.flush(now=True):
            raise UnreachableError(f"{self.client.url} is away.")
        self.terminal.say()
        open_steps = [
            step for step in self.plan["steps"] if planning.is_unfinished(step)
        ]
        if open_steps:
            named = ", ".join(f"{step['number']} {step['name']}" for step in open_steps)
            self.terminal.say(f"Still open: {named}.", "yellow")
            self.say_how_to_go_on()
            return 0
        wanted = self.args.complete
        if wanted is None:
            wanted = self.args.yes or self.terminal.ask_yes(
                "All steps are done. Complete the run"
            )
        if not wanted:
            self.terminal.say("All steps are done; the run is left in progress.")
            return 0
        resolution = self.args.resolution
        if not resolution and not self.args.yes:
            resolution = self.ask_text(
                "Resolution in one sentence (Enter for none)", required=False
            )
        self.put(
            "update_run",
            state="completed",
            **({"resolution": resolution} if resolution else {}),
        )
        if not self.flush(now=True):
            raise UnreachableError(f"{self.client.url} is away.")
        self.spool.forget_sent()
        self.terminal.say(f"✓ {self.plan['run']['name']} completed.", "bold", "green")
        return 0

    def say_how_to_go_on(self):
        """Tell how the run is taken up again."""
        self.terminal.say(
            f"To go on: python scripts/execute_sop_run.py --run-id {self.spool.run_id}",
            "cyan",
        )

    def result(self):
        """Return what ``--json`` prints.

        :rtype: dict
        """
        try:
            run = self.client.call("qms.sop.run", "get_run", ids=[self.spool.run_id])
        except UnreachableError:
            run = self.plan["run"]
        return {
            **run,
            "executed": self.executed,
            "left_open": [
                {"step": number, "reason": reason}
                for number, reason in self.left_open.items()
            ],
            "pending": len(self.spool.pending()),
        }

    # -- what is shown ----------------------------------------------------------------

    def show_command(self, title, command):
        environment = {**planning.variables(self.plan), **self.given}
        screen.show_command(
            self.terminal, title, command, environment, self.plan["texts"]
        )

    def show_expectations(self, step):
        """Show what should have come out, and how it is seen.

        :return: whether the SOP says anything about it
        :rtype: bool
        """
        said = False
        for title, name in (
            ("Expected result", "expected_result"),
            ("Verification", "verification"),
        ):
            if step[name]:
                self.terminal.say()
                self.terminal.say(title, "bold")
                self.terminal.say(step[name].strip(), indent=2)
                said = True
        return said


def told_output(told):
    """Return the end of an output, to go with the error it explains."""
    return f"\n{told['excerpt']}" if told.get("excerpt") else ""


def describe(known, result, where):
    """Return what came out of a step, as it is recorded in the run.

    :param list known: what is remembered of its commands
    :param str | None result: what a person says
    :param str where: program and machine
    :rtype: str
    """
    parts = [result] if result else []
    ran = [told for told in known if "began" in told]
    if ran:
        commands = "1 command" if len(ran) == 1 else f"{len(ran)} commands"
        seconds = sum(told["seconds"] for told in ran)
        parts.append(
            f"{commands} run by {where}, first at {screen.clock(ran[0]['began'])}, "
            f"{shell.duration(seconds)} in all."
        )
    for told in known:
        lines = [f"{told['name']}: {told['ending']}"]
        if told.get("accepted"):
            lines.append(f"All right, because: {told['accepted']}")
        if told.get("evidence"):
            lines.append(f"Output: {told['evidence']}, SHA-256 {told['sha256']}")
        if told.get("excerpt"):
            lines += [f"  {line}" for line in told["excerpt"].splitlines()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) or "Done."
