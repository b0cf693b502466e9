"""Many RE2 patterns against one log, in time linear in the size of the log.

RE2 (https://github.com/google/re2) never backtracks, so no pattern that a user
saves can hang the server. This module knows nothing of Odoo.
"""

import re
import time
from dataclasses import dataclass

import re2

# A compiled pattern above this many instructions (counted repetitions multiply
# them) costs more than a second per megabyte in the worst case.
MAX_PROGRAM_SIZE = 1000
# The log is read in pieces of whole lines: only patterns whose fixed words are in the
# piece are tried on it, and the time limit is looked at in between. Measured: larger
# pieces cost up to three times as much on ordinary logs, smaller ones gain nothing on
# logs that are all errors. A single line longer than this is read in pieces too.
CHUNK_BYTES = 1 << 17
MAX_EXCERPT = 500

_ANSI_COLOUR = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class PatternError(ValueError):
    """A pattern that cannot be used.

    :ivar str reason: ``empty``, ``newline``, ``matches_empty``, ``too_large`` or
        ``syntax``
    :ivar str message: RE2's own words, for ``syntax`` and ``too_large``
    """

    def __init__(self, reason, message=""):
        super().__init__(message or reason)
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class Hit:
    """Where one pattern matched.

    :ivar int lines: how many lines match
    :ivar int line_number: the first of them, counted from 1
    :ivar str line: its text around the match, at most ``MAX_EXCERPT`` characters
    """

    lines: int
    line_number: int
    line: str


@dataclass(frozen=True)
class Scan:
    """What a log contains.

    :ivar dict hits: pattern position -> :class:`Hit`
    :ivar int lines_read: lines looked at
    :ivar bool complete: whether that is the whole log (else time ran out)
    :ivar int | None slowest: position of the pattern that took most time
    """

    hits: dict
    lines_read: int
    complete: bool
    slowest: int | None


def _options():
    options = re2.Options()
    options.never_nl = True  # a match stays within its line
    options.never_capture = True
    options.log_errors = False
    return options


def _line_pattern(pattern):
    """The pattern ignoring case, ``^`` and ``$`` meaning line ends, and taking
    the rest of the line with it, so that a line counts once."""
    return f"(?im:{pattern})[^\\n]*".encode()


def compile_pattern(pattern):
    """Compile a pattern in RE2 syntax the way logs are searched with it.

    :param str pattern: RE2 syntax; case is ignored
    :return: an object with ``search(bytes)`` and ``finditer(bytes)``
    :raise PatternError: when it is empty, not RE2 syntax, too large, or matches
        the empty string (it would match every line)
    """
    if not pattern or not pattern.strip():
        raise PatternError("empty")
    options = _options()
    try:
        # On its own first: "a)(b" would be fine inside the group below.
        bare = re2.compile(pattern.encode(), options)
        compiled = re2.compile(_line_pattern(pattern), options)
    except re2.error as error:
        message = error.args[0]
        if isinstance(message, bytes):
            message = message.decode(errors="replace")
        reason = "too_large" if message.startswith("pattern too large") else "syntax"
        raise PatternError(reason, message) from None
    except UnicodeEncodeError as error:
        raise PatternError("syntax", str(error)) from None
    if "\n" in pattern or "\r" in pattern:
        raise PatternError("newline")
    if any(_matches_nothing(bare, probe) for probe in (b"", b"a", b" ")):
        raise PatternError("matches_empty")
    if compiled.programsize > MAX_PROGRAM_SIZE:
        raise PatternError("too_large", str(compiled.programsize))
    return compiled


def _matches_nothing(compiled, probe):
    """Whether a match of no characters at all is found (``x*``, ``^``, ``\\b``)."""
    match = compiled.search(probe)
    return match is not None and match.start() == match.end()


def clean_log(text):
    """Bring a log to the form patterns are written for.

    Line ends become ``\\n``; colour codes of terminals and NUL characters go;
    what is not valid UTF-8 becomes a replacement character.

    :param text: ``str``, or ``bytes`` in UTF-8 or (with a byte order mark) UTF-16
    :return: UTF-8
    :rtype: bytes
    """
    if isinstance(text, bytes):
        if text.startswith((b"\xff\xfe", b"\xfe\xff")):
            text = text.decode("utf-16", errors="replace")
        else:
            text = text.decode("utf-8-sig", errors="replace")
    data = text.encode("utf-8", errors="replace")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\0" in data:
        data = data.replace(b"\0", b"")
    if b"\x1b" in data:
        data = _ANSI_COLOUR.sub(b"", data)
    return data


def excerpt(data, start, limit=MAX_EXCERPT):
    """The line around a position, shortened at both ends when it is long.

    :param bytes data: UTF-8 text
    :param int start: byte offset of the match
    :param int limit: characters, the marks of omission included
    :rtype: str
    """
    line_start = data.rfind(b"\n", 0, start) + 1
    line_end = data.find(b"\n", start)
    if line_end < 0:
        line_end = len(data)
    # Four bytes are the most a character takes in UTF-8.
    head_start = max(line_start, start - 4 * limit)
    head = data[head_start:start].decode(errors="ignore")
    tail = data[start : min(line_end, start + 4 * limit)].decode(errors="ignore")
    if head_start == line_start and len(head) + len(tail) <= limit:
        return (head + tail).strip()
    if len(head) > limit // 4:
        head = "…" + head[-(limit // 4) + 1 :]
    room = limit - len(head)
    if len(tail) > room:
        tail = tail[: room - 1] + "…"
    return (head + tail).strip()


class LogMatcher:
    """A set of patterns, compiled once and searched together.

    The fixed words of all patterns are looked for in one pass; only patterns
    whose words are there are tried. Immutable, so it may be shared and cached.
    """

    def __init__(self, patterns):
        """
        :param list[str] patterns: patterns that :func:`compile_pattern` accepts
        :raise PatternError: for one that it does not
        """
        self._compiled = [compile_pattern(pattern) for pattern in patterns]
        self._filter = None
        if self._compiled:
            self._filter = re2.Filter()
            options = _options()
            for pattern in patterns:
                self._filter.Add(_line_pattern(pattern), options)
            self._filter.Compile()

    def scan(self, data, seconds=10.0):
        """Find every pattern in a log.

        :param bytes data: what :func:`clean_log` returns
        :param float seconds: when to stop and return what was found so far
        :rtype: Scan
        """
        deadline = time.monotonic() + seconds
        first = {}
        lines = {}
        cost = {}
        position = 0
        line_number = 1
        complete = True
        while position < len(data):
            end = self._chunk_end(data, position)
            chunk = data[position:end]
            for index in self._candidates(chunk):
                started = time.monotonic()
                if started > deadline:
                    complete = False
                    break
                found = -1
                count = 0
                for match in self._compiled[index].finditer(chunk):
                    if not count:
                        found = match.start()
                    count += 1
                if count:
                    lines[index] = lines.get(index, 0) + count
                    if index not in first:
                        first[index] = (
                            line_number + chunk.count(b"\n", 0, found),
                            excerpt(data, position + found),
                        )
                cost[index] = cost.get(index, 0.0) + time.monotonic() - started
            if not complete:
                break
            line_number += chunk.count(b"\n")
            position = end
        read = line_number - (1 if not data or data.endswith(b"\n") else 0)
        return Scan(
            hits={index: Hit(lines[index], *first[index]) for index in first},
            lines_read=read if complete else line_number - 1,
            complete=complete,
            slowest=max(cost, key=cost.get, default=None),
        )

    def _candidates(self, chunk):
        if self._filter is None:
            return ()
        return self._filter.Match(chunk, potential=True) or ()

    @staticmethod
    def _chunk_end(data, position):
        """Where the piece that begins at ``position`` ends: after a line if it can."""
        end = position + CHUNK_BYTES
        if end >= len(data):
            return len(data)
        newline = data.rfind(b"\n", position, end)
        return end if newline < 0 else newline + 1
