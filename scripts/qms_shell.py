"""Run one command of a procedure: watched, timed, stopped in time, and recorded.

A command is given to the shell exactly as it is written. What the run knows goes
beside it, as variables of its environment, so that no text can become part of
the command. Its process group is its own: it can be stopped with all its children,
and Ctrl-C reaches this program first.
"""

import codecs
import os
import re
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass

# Languages that a shell runs; an SOP that names none means the shell.
SHELLS = {"": "bash", "bash": "bash", "console": "bash", "shell": "bash", "sh": "sh"}
# Linux takes no longer argument (MAX_ARG_STRLEN).
LONGEST_COMMAND = 128 * 1024 - 1
# Of the output, this much is kept at the head and at the tail; both together stay
# below what the server takes as one piece of evidence.
KEPT = 10 * 1024 * 1024
NOT_FOUND = 127
# A variable that tells the processes of a command from all others.
MARK = "QMS_COMMAND_KEY"
# Variables that the shell itself sets.
SHELL_VARIABLES = frozenset(
    """BASH BASHPID BASH_VERSION COLUMNS EUID FUNCNAME GROUPS HOSTNAME HOSTTYPE IFS
    LINENO LINES MACHTYPE OLDPWD OPTARG OPTIND OSTYPE PIPESTATUS PPID PS4 PWD RANDOM
    REPLY SECONDS SHELL SHELLOPTS SHLVL SRANDOM UID EPOCHSECONDS EPOCHREALTIME
    """.split()
)
# How long a process may take to end when it is asked to.
_GRACE = 5.0
# How long to read on when a process outlives the command that started it.
_LINGER = 0.5
_LONGEST_LINE = 64 * 1024
_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[@-Z\\-_])"
)
_TRANSCRIPT = re.compile(r"^\$ ", re.MULTILINE)


def shell_for(language, command):
    """Return the shell that runs a command, or None when a person has to.

    What is recorded of a session (``$ ls`` and what it answered) is no command.

    :param str language: as the SOP names it
    :param str command: as it is written
    :rtype: str | None
    """
    if language == "console" and _TRANSCRIPT.search(command):
        return None
    return SHELLS.get(language.lower())


@dataclass
class Outcome:
    """What became of a command.

    :param int exit_code: of the shell; negative: the signal that ended it
    :param float seconds: how long it ran
    :param bool timed_out: it was stopped because its time was over
    :param str output: stdout and stderr in the order they came, masked; of a very
        long one, head and tail
    :param int lines: lines of the output
    :param bool left_running: a process it started still holds its output open
    """

    exit_code: int
    seconds: float
    timed_out: bool
    output: str
    lines: int
    left_running: bool

    @property
    def ending(self):
        """How it ended, for people.

        :rtype: str
        """
        if self.timed_out:
            return f"stopped after {duration(self.seconds)}, its time was over"
        after = f"after {duration(self.seconds)}"
        if self.exit_code < 0:
            try:
                name = signal.Signals(-self.exit_code).name
            except ValueError:
                name = f"signal {-self.exit_code}"
            return f"ended by {name} {after}"
        return f"exit {self.exit_code} {after}"


def fault(outcome, expected=""):
    """Say what is wrong with how a command ended.

    :param Outcome outcome: of the command
    :param str expected: text that its output must contain
    :return: empty when it is good
    :rtype: str
    """
    if outcome.timed_out or outcome.exit_code:
        hint = " (command not found)" if outcome.exit_code == NOT_FOUND else ""
        return outcome.ending + hint
    if expected and expected not in outcome.output:
        return f"{outcome.ending}, but the output does not contain “{expected}”"
    return ""


class Interrupted(BaseException):
    """The person wants to stop; the command was stopped with its children.

    :param BaseException cause: what stopped it
    """

    def __init__(self, cause):
        super().__init__()
        self.cause = cause


def run(command, shell, *, environment, timeout, masker, show, folder=None):
    """Run a command to its end, its time limit or an interrupt.

    :param str command: as it is written
    :param str shell: program that runs it
    :param dict environment: its variables, :data:`MARK` among them
    :param float timeout: seconds
    :param masker: with ``line()``, see ``qms_masking.Masker``
    :param show: called with each line of output, masked, without its end
    :param folder: where it runs; here, when missing
    :rtype: Outcome
    :raise OSError: if the shell cannot be started
    :raise Interrupted: after Ctrl-C and its like
    """
    program = shutil.which(shell)
    if not program:
        raise FileNotFoundError(f"there is no {shell} on this machine")
    output = _Output(masker, show)
    mark = environment.get(MARK, "")
    begin = time.monotonic()
    process = None
    try:
        process = subprocess.Popen(
            [program, "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        os.set_blocking(process.stdout.fileno(), False)
        timed_out, left_running = _watch(process, output, begin + timeout, mark)
    except BaseException as error:
        if process:
            _stop(process, output, mark)
        else:
            # Perhaps it was being started just then.
            time.sleep(0.1)
            _kill(mark)
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(error) from None
        raise
    finally:
        if process:
            process.stdout.close()
    output.close()
    return Outcome(
        process.returncode,
        time.monotonic() - begin,
        timed_out,
        output.text(),
        output.lines,
        left_running,
    )


def _watch(process, output, deadline, mark):
    """Read the output until the process is over or its time is.

    :return: whether its time was over, whether something still runs
    :rtype: tuple[bool, bool]
    """
    pipe = process.stdout
    over = None
    while True:
        now = time.monotonic()
        if now >= deadline:
            _stop(process, output, mark)
            return True, False
        if over is None and process.poll() is not None:
            over = now
        if over is not None and now - over > _LINGER:
            # A child that talks on does not keep its command alive.
            return False, True
        ready, _, _ = select.select([pipe], [], [], min(0.1, deadline - now))
        if ready:
            data = os.read(pipe.fileno(), 65536)
            if not data:
                return _wait(process, output, deadline, mark), False
            output.add(data)


def _wait(process, output, deadline, mark):
    """Wait for a process that closed its output; tell whether time was over."""
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _stop(process, output, mark)
        return True
    return False


def _stop(process, output, mark):
    """End a process and its children, kindly first; those that left its group too."""
    for sig, grace in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, 1.0)):
        try:
            os.killpg(process.pid, sig)
        except (ProcessLookupError, PermissionError):
            break
        end = time.monotonic() + grace
        try:
            while time.monotonic() < end and _group_lives(process):
                _drain(process.stdout, output)
                time.sleep(0.02)
        except KeyboardInterrupt:
            continue  # whoever presses Ctrl-C twice does not want to wait
    _kill(mark)
    process.wait()
    _drain(process.stdout, output)


def _kill(mark):
    """End what a command left running outside of its process group."""
    for pid in processes(mark):
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _group_lives(process):
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _drain(pipe, output):
    try:
        while data := os.read(pipe.fileno(), 65536):
            output.add(data)
    except BlockingIOError:
        pass


class _Output:
    """Takes what a command prints: in lines, masked, and not without limit."""

    def __init__(self, masker, show):
        from collections import deque

        self.lines = 0
        self._masker = masker
        self._show = show
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._head, self._head_size = [], 0
        self._tail, self._tail_size = deque(), 0
        self._left_out = 0

    def add(self, data, final=False):
        """Take the next bytes."""
        text = self._rest + self._decode(data, final)
        # A line that is written over (progress) counts as a line.
        text = text.replace("\r\n", "\n")
        held = "\r" if text.endswith("\r") and not final else ""
        text = text[: len(text) - len(held)].replace("\r", "\n")
        *lines, rest = text.split("\n")
        for line in lines:
            self._take(line)
        while len(rest) > _LONGEST_LINE:
            # Rather between two words than within a secret
            cut = rest.rfind(" ", 1, _LONGEST_LINE) + 1 or _LONGEST_LINE
            self._take(rest[:cut])
            rest = rest[cut:]
        self._rest = rest + held

    def close(self):
        """Take what stands after the last line end."""
        self.add(b"", final=True)
        if self._rest:
            self._take(self._rest)
            self._rest = ""

    def _take(self, line):
        masked = self._masker.line(f"{_ANSI.sub('', line)}\n")
        if not masked:
            return
        self.lines += 1
        self._show(masked[:-1])
        size = len(masked.encode("utf-8", "replace"))
        if self._head_size + size <= KEPT and not self._tail:
            self._head.append(masked)
            self._head_size += size
            return
        self._tail.append(masked)
        self._tail_size += size
        while self._tail_size > KEPT:
            self._tail_size -= len(self._tail.popleft().encode("utf-8", "replace"))
            self._left_out += 1

    def text(self):
        """Return what was kept.

        :rtype: str
        """
        gap = [_gap(self._left_out)] if self._left_out else []
        return "".join([*self._head, *gap, *self._tail])


def read_masked(path, masker, see):
    """Return the text of a file, masked; of a very long one, head and tail.

    :param str path: the file
    :param masker: see :func:`run`
    :param see: called with each line, masked, without its end
    :return: the text, or None when the file is not text
    :rtype: str | None
    :raise OSError: if it cannot be read
    """
    output = _Output(masker, see)
    with open(path, "rb") as file:
        data = file.read(8192)
        if b"\0" in data:
            return None
        while data:
            output.add(data)
            data = file.read(65536)
    output.close()
    return output.text()


def _gap(lines):
    return f"[… {lines} line{'s' if lines != 1 else ''} left out …]\n"


def excerpt(text, first=10, last=15, width=300):
    """Return the head and the tail of an output.

    :param str text: the output
    :param int first: lines kept at the head
    :param int last: lines kept at the tail
    :param int width: characters kept of each line
    :rtype: str
    """
    lines = text.splitlines()
    left_out = len(lines) - first - last
    if left_out > 1:
        lines[first : len(lines) - last] = [_gap(left_out).rstrip("\n")]
    return "\n".join(
        line if len(line) <= width else f"{line[:width]}…" for line in lines
    )


def duration(seconds):
    """Return a duration for people: ``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 4 min``.

    :param float seconds: the duration
    :rtype: str
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def processes(mark):
    """Return the processes of a command that run, as far as this system tells.

    A process keeps the variables it was started with, wherever it went.

    :param str mark: the value of :data:`MARK` that the command was given
    :return: their ids; empty where there is no ``/proc``
    :rtype: list[int]
    """
    if not mark or not os.path.isdir("/proc/self"):
        return []
    wanted = f"{MARK}={mark}".encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue
    return sorted(found)
