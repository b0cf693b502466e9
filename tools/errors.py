"""The one way in which a step of the set-up fails: a sentence and the way out."""

import errno
import re

# What tools write when the machine, and not our request, is at fault. The first
# pattern that matches the end of their output names the problem.
_MACHINE_TROUBLE = (
    (
        r"No space left on device|enough free (disk )?space|Disk quota exceeded",
        "The disk is full.",
        "free some space (about 4 GB are needed), then run the same command again",
    ),
    (
        r"Temporary failure (in name resolution|resolving)|Could not resolve"
        r"|Name or service not known|Network is unreachable|NameResolutionError"
        r"|No route to host|EAI_AGAIN|ENOTFOUND|Failed to establish a new connection"
        r"|Connection (timed out|refused)|ETIMEDOUT|ECONNREFUSED|Proxy Error",
        "The network cannot be reached.",
        "check the connection (and proxy settings), then run the same command again",
    ),
    (
        r"Read-only file system",
        "The folder of the checkout is on a read-only file system.",
        "use a checkout on a disk that can be written to",
    ),
)


class SetupError(Exception):
    """A failure to be shown as it is.

    :param str problem: one sentence on what is wrong
    :param str way_out: what to do about it, worded to follow "Way out: "
    """

    def __init__(self, problem, way_out):
        super().__init__(problem)
        self.problem = problem
        self.way_out = way_out


class CommandError(SetupError):
    """A program that we ran ended badly.

    :param str what: what it was doing, for people ("Installing Python packages")
    :param int status: its exit status
    :param list tail: its last lines of output
    :param log: path of the file that has all of its output
    """

    def __init__(self, what, status, tail, log):
        self.status = status
        self.tail = list(tail)
        reason = _last_telling_line(self.tail) or f"exit status {status}"
        problem, way_out = explain("\n".join(self.tail)) or (
            f"{what} failed: {reason}",
            f"see {log}",
        )
        super().__init__(problem, way_out)


def explain(output):
    """Name the trouble with the machine that a program's output tells of.

    :param str output: text that a program wrote
    :return: (problem, way out), or None when the output tells of no such trouble
    """
    for pattern, problem, way_out in _MACHINE_TROUBLE:
        if re.search(pattern, output, re.IGNORECASE):
            return problem, way_out
    return None


def from_os_error(error):
    """Put an OSError that nobody expected into words.

    :param OSError error: what was raised
    :return: a SetupError
    """
    place = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError(*_MACHINE_TROUBLE[0][1:])
    if error.errno == errno.EROFS:
        return SetupError(*_MACHINE_TROUBLE[2][1:])
    if error.errno in (errno.EACCES, errno.EPERM):
        return SetupError(
            f"This user may not write there{place}.",
            "run as the owner of the checkout, or remove what another user made: "
            "sudo rm -rf .qms",
        )
    return SetupError(
        f"The system refused{place}: {error.strerror or error}.",
        "put that right, then run the same command again",
    )


def _last_telling_line(lines):
    """Return the last line that names an error, else the last one with text."""
    lines = [line.strip() for line in lines if line.strip()]
    for pattern in (
        r"^([\w.]*(Error|Exception)|ERROR|E|fatal|npm error):? .*\w",
        r"\b(error|critical|failed|cannot)\b",
    ):
        for line in reversed(lines):
            if re.search(pattern, line):
                return line[:300]
    return lines[-1][:300] if lines else ""
