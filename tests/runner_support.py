"""What the tests of the runner stand on: SOPs to run, and a way to the server that
breaks when a test wants it to."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import uuid

import scripts_support as support
from scripts_support import RecordingServer, close, forward

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def make_sop(orm, steps, code=None):
    """Make an approved SOP.

    :param orm: the fixture
    :param list steps: dicts of field values; ``commands`` and ``choices`` are lists of
        such dicts, a choice's ``to`` is the position of a step
    :param str | None code: its code; a new one when missing
    :return: its code
    :rtype: str
    """
    code = code or f"SOP-RUNNER-{uuid.uuid4().hex[:8].upper()}"
    orm(
        """
        document = env["qms.sop.document"].create({
            "code": code,
            "name": "Procedure of the runner's tests",
            "owner": "Tests",
            "purpose": "To be tested.",
            "author_id": env.ref("base.user_admin").id,
        })
        made = []
        for position, values in enumerate(steps, 1):
            commands = values.pop("commands", [])
            choices = values.pop("choices", [])
            for command in commands:
                if command.get("category"):
                    category = env["qms.error.category"]._resolve(command["category"])
                    command["category_id"] = category.id
                command.pop("category", None)
            made.append((env["qms.sop.step"].create({
                "document_id": document.id,
                "sequence": position,
                "name": f"Step {position}",
                "command_ids": [
                    (0, 0, {"name": f"Command {n}", "sequence": n, **command})
                    for n, command in enumerate(commands, 1)
                ],
                **values,
            }), choices))
        for step, choices in made:
            for n, choice in enumerate(choices, 1):
                to = choice.pop("to", None)
                target = made[to - 1][0].id if to else False
                step.choice_ids = [
                    (0, 0, {"sequence": n, "next_step_id": target, **choice})
                ]
        document.action_submit()
        document.action_approve()
        """,
        steps=steps,
        code=code,
    )
    return code


def run_of(orm, run_id):
    """Return what the database says of a run.

    :rtype: dict
    """
    return orm(
        """
        run = env["qms.sop.run"].browse(int(run_id))
        result = {
            "state": run.state,
            "reason": run.state_reason or "",
            "resolution": run.resolution or "",
            "steps": [
                {
                    "state": step.state,
                    "result": step.actual_result or "",
                    "choice": step.choice_id.name or "",
                    "skip_reason": step.skip_reason or "",
                }
                for step in run.step_ids
            ],
            "errors": [
                [error.error_code_id.name, error.error_message]
                for error in run.error_ids
            ],
            "evidence": {
                evidence.name: {
                    "sha256": evidence.sha256,
                    "source": evidence.source,
                    "text": __import__("base64").b64decode(evidence.datas).decode(),
                }
                for evidence in run.evidence_ids
            },
            "evidence_count": len(run.evidence_ids),
        }
        """,
        run_id=run_id,
    )


def run_runner(name, *arguments, env, stdin=b"", timeout=60):
    """Run a script whose output may quote tracebacks, but must not end in one.

    :rtype: subprocess.CompletedProcess
    """
    done = subprocess.run(
        [sys.executable, str(support.SCRIPTS / name), *arguments],
        env={**support.BARE, **env},
        input=stdin,
        capture_output=True,
        timeout=timeout,
        cwd=support.ROOT,
        check=False,
    )
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    assert not re.search(r"^Traceback \(most", done.stderr, re.MULTILINE), done.stderr
    return done


def wait_for(condition, seconds=20.0):
    """Wait until something is so.

    :param condition: a function without arguments
    :return: what it returned
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{condition} did not come true within {seconds} s")


def start_script(name, *arguments, env, stdin=subprocess.DEVNULL):
    """Start a script in the background.

    :rtype: subprocess.Popen
    """
    return subprocess.Popen(
        [sys.executable, str(support.SCRIPTS / name), *arguments],
        env={**support.BARE, **env},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=support.ROOT,
    )


class Relay(RecordingServer):
    """A way to the live server that a test can close.

    :param odoo_server: the live server
    """

    def __init__(self, odoo_server):
        self.is_closed = lambda: False
        # Calls with this in their body arrive, but their answer does not.
        self.swallow = None
        self.swallowed = False
        self._forward = forward(odoo_server)
        super().__init__(self._answer)

    def _answer(self, handler):
        if self.is_closed():
            close(handler)
        elif self.swallow and self.swallow(handler.body.decode("utf-8", "replace")):
            self._swallow(handler)
        else:
            self._forward(handler)

    def _swallow(self, handler):
        """Let the server do it, and keep the answer back for good."""

        class Sink:
            headers, command, path = handler.headers, handler.command, handler.path
            body = handler.body

            def __getattr__(self, _name):
                return lambda *_arguments: None

        sink = Sink()
        sink.wfile = open(os.devnull, "wb")
        self._forward(sink)
        sink.wfile.close()
        self.swallowed = True
        time.sleep(60)


class TerminalSession:
    """A script on a terminal, and somebody who reads and types.

    :param list arguments: the script and its arguments
    :param dict env: variables on top of the bare environment
    """

    def __init__(self, *arguments, env):
        self.screen = ""
        self._seen = 0
        self.pid, self._fd = pty.fork()
        if not self.pid:
            os.chdir(support.ROOT)
            program = [sys.executable, str(support.SCRIPTS / arguments[0])]
            environment = {**support.BARE, "TERM": "xterm", **env}
            os.execve(sys.executable, [*program, *arguments[1:]], environment)

    def wait_for(self, text, seconds=20.0):
        """Read until a text appears, after what was waited for before.

        :param str text: without colours
        """
        end = time.monotonic() + seconds
        while text not in self.screen[self._seen :]:
            if time.monotonic() > end or not self._read(0.2):
                if text in self.screen[self._seen :]:
                    break
                raise AssertionError(
                    f"{text!r} did not appear; the screen:\n{self.screen}"
                )
        self._seen = self.screen.index(text, self._seen) + len(text)

    def type(self, text):
        """Type a line."""
        os.write(self._fd, text.encode() + b"\r")

    def answer(self, question, answer):
        """Wait for a question and answer it."""
        self.wait_for(question)
        self.type(answer)

    def press(self, key):
        """Press a key, such as ``b"\\x03"`` for Ctrl-C."""
        os.write(self._fd, key)

    def end(self, seconds=20.0):
        """Wait for the end.

        :return: exit code
        :rtype: int
        """
        end = time.monotonic() + seconds
        while self._read(0.2):
            assert time.monotonic() < end, self.screen
        _pid, status = os.waitpid(self.pid, 0)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)

    def _read(self, seconds):
        """Take what is on the screen; tell whether there may be more."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            data = b""
        self.screen += ANSI.sub("", data.decode("utf-8", "replace"))
        return bool(data)


def records(folder):
    """Return the results that are kept on disk, in order.

    :param pathlib.Path folder: home of the user
    :rtype: list[dict]
    """
    spool = folder / "state" / "qms-sop" / "spool"
    return [
        json.loads(path.read_text())
        for path in sorted(spool.glob("*/*/*.json"))
        if path.stem.isdecimal()
    ]
