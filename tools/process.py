"""Running other programs: their output kept in a log, their failure in one sentence."""

import collections
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tools.errors import CommandError, SetupError


def run(argv, what, log, watch=None, env=None, cwd=None, stdin=None, **options):
    """Run a program to its end.

    :param list argv: the program and its arguments
    :param str what: what it does, for people, should it fail
    :param Path log: file that its output is appended to
    :param watch: function called with each line of output
    :param dict env: variables to add to the environment
    :param stdin: text for its standard input, or None for none
    :param options: more for `subprocess.Popen` (user, group, …)
    :raise CommandError: when it exits with a status other than 0
    :raise SetupError: when there is no such program
    """
    tail = collections.deque(maxlen=40)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8", errors="replace") as kept:
        kept.write(f"$ {' '.join(map(str, argv))}\n")
        kept.flush()
        try:
            process = subprocess.Popen(
                [str(part) for part in argv],
                env={**os.environ, **(env or {})},
                cwd=cwd,
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                **options,
            )
        except FileNotFoundError as error:
            raise SetupError(
                f"{argv[0]} is not installed.", f"install {Path(argv[0]).name}"
            ) from error
        try:
            if stdin is not None:
                process.stdin.write(stdin)
                process.stdin.close()
            for line in process.stdout:
                kept.write(line)
                tail.append(line.rstrip())
                if watch:
                    watch(line)
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status:
        raise CommandError(what, status, tail, log)


def output(argv, **options):
    """Return what a program prints, stripped, or None when it fails or is missing."""
    try:
        done = subprocess.run(
            [str(part) for part in argv],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            **options,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def which(*names):
    """Return the path of the first of these programs that is installed, or None."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    return None


def started_at(pid):
    """Return when a process started, in clock ticks since boot as text, or None.

    Together with its id this names a process for good: ids are used again.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return output(["ps", "-o", "lstart=", "-p", pid]) or None
    # The second field is the name in parentheses, which may hold spaces (proc(5)).
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def command_line(pid):
    """Return the command line of a process as text, or "" when it cannot be read."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return output(["ps", "-o", "args=", "-p", pid]) or ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def end(pid, patience=20):
    """End a process: politely, and by force after `patience` seconds.

    :return: whether it was running
    """
    born = started_at(pid)
    if born is None:
        return False
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return True
        limit = time.monotonic() + patience
        while time.monotonic() < limit:
            if started_at(pid) != born:
                return True
            time.sleep(0.05)
    return True
