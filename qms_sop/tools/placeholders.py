"""Shell placeholders in commands: which there are, and what a run fills in.

Only an exact ``$NAME`` or ``${NAME}`` in capitals is a placeholder, and only where
a shell would expand it: not within single quotes, not in a comment, not after a
backslash, and not once the command sets that variable itself.

What is filled in ends up in somebody's terminal. The values are therefore ids,
codes and times out of closed alphabets (:data:`KNOWN`), in which no character
means anything to a shell, quoted or not; text that people or log files supply
is never filled in.
"""

import re

# The one table of names: what each stands for, and the alphabet of its values.
KNOWN = {
    "RUN_ID": ("id of the run", re.compile(r"[0-9]+")),
    "RUN_NAME": ("number of the run", re.compile(r"RUN-[0-9]+")),
    "SOP_CODE": ("code of the SOP", re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)*")),
    "SOP_VERSION": ("version of the SOP", re.compile(r"[0-9]+(\.[0-9]+)*")),
    "ERROR_CODE": ("error code of the run", re.compile(r"[A-Z][A-Z0-9_]*")),
    "CATEGORY": ("category of the run", re.compile(r"[A-Z][A-Z0-9_]*")),
    "SEVERITY": ("severity of the run", re.compile(r"[a-z][a-z0-9_]*")),
    "START_TIME": ("start of the run, epoch seconds", re.compile(r"[0-9]+")),
    "END_TIME": ("end of the run, epoch seconds", re.compile(r"[0-9]+")),
    "INCIDENT_ID": ("id of the incident", re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)*")),
}
SHELLS = frozenset({"", "bash", "console", "sh", "shell", "zsh"})

_PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9_]*")
_NAME = r"(?P<name>\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*)))"
_ESCAPE = r"(?P<escape>\\.)"
# What has a meaning to a shell within "…", …
_QUOTED = re.compile(
    rf"""{_ESCAPE} | (?P<double>") | (?P<open>\$\() | {_NAME}""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
# … and outside of it.
_PLAIN = re.compile(
    rf"""{_ESCAPE} | (?P<single>'[^']*'?) | (?P<double>") | (?P<open>\$?\()
    | (?P<close>\)) | (?P<comment>(?<![^\s;&|(])\#[^\n]*) | (?P<string><<<)
    | (?P<here><<-?[ \t]*(?P<literal>['"\\]?)(?P<end>[A-Za-z_]\w*)['"]?)
    | (?P<newline>\n) | {_NAME}""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_IN_HEREDOC = re.compile(rf"{_ESCAPE} | {_NAME}", re.VERBOSE | re.DOTALL | re.ASCII)
# Where a command sets a variable; that holds from the next command on.
_ASSIGNS = re.compile(
    r"(?:^|[;&|(]|\bdo\b|\bthen\b)[ \t]*(?:(?:export|local|readonly|declare)[ \t]+)?"
    r"([A-Z][A-Z0-9_]*)=.*?(?:[;\n]|&&|$)",
    re.MULTILINE,
)
_LOOPS = re.compile(
    r"\bfor[ \t]+([A-Z][A-Z0-9_]*)[ \t]+in\b"
    r"|\bread[ \t]+(?:-\w+[ \t]+)*([A-Z][A-Z0-9_]*)"
)


def find(command):
    """Return the placeholders of a shell command.

    :param str command: as it is typed
    :return: ``(start, end, name)`` of each, in order
    :rtype: list[tuple[int, int, str]]
    """
    own = {}
    for pattern in (_ASSIGNS, _LOOPS):
        for match in pattern.finditer(command):
            name = match[match.lastindex]
            own[name] = min(match.end(), own.get(name, match.end()))
    return [
        (start, end, name)
        for start, end, name in _expansions(command)
        if _PLACEHOLDER.fullmatch(name) and start < own.get(name, len(command))
    ]


def _expansions(command):
    """Yield ``(start, end, name)`` of what a shell would expand in a command."""
    # Whether we are within "…"; a $(…) in there is outside of it again.
    quoted = [False]
    heredocs = []
    position = 0
    while match := (_QUOTED if quoted[-1] else _PLAIN).search(command, position):
        position = match.end()
        kind = match.lastgroup
        if kind == "name":
            yield _expansion(match)
        elif kind == "open" or (kind == "double" and not quoted[-1]):
            quoted.append(kind == "double")
        elif kind in ("double", "close"):
            # A ")" without its "(" belongs to a case, not to us.
            del quoted[max(1, len(quoted) - 1) :]
        elif kind == "here":
            heredocs.append((match["end"], bool(match["literal"])))
        elif kind == "newline" and heredocs:
            position = yield from _heredoc(command, position, *heredocs.pop(0))


def _expansion(match):
    # The two ways to write a name are the groups after the one called "name".
    first = match.re.groupindex["name"] + 1
    return match.start(), match.end(), match[first] or match[first + 1]


def _heredoc(command, start, delimiter, literal):
    """Yield the expansions in a here-document, and return where it ends."""
    closing = re.compile(rf"^\t*{delimiter}$", re.MULTILINE).search(command, start)
    end = closing.start() if closing else len(command)
    if not literal:
        for match in _IN_HEREDOC.finditer(command, start, end):
            if match.lastgroup == "name":
                yield _expansion(match)
    return closing.end() if closing else len(command)


def fill(command, values, language=""):
    """Split a command into what stands there and what a run fills in.

    :param str command: as it is typed
    :param dict values: ``{name: text or None}`` of the names in :data:`KNOWN`
    :param str language: only commands of a shell have placeholders
    :return: dicts with ``text`` (what to show and copy), and for a placeholder
        ``name``, ``kind`` (``value``; ``missing``: the run does not say; ``shell``:
        to be set in the shell that runs it) and ``written``. The texts of all
        but the values, joined with ``written``, are the command as typed.
    :rtype: list[dict]
    """
    parts = []
    position = 0
    placeholders = find(command) if (language or "").lower() in SHELLS else ()
    for start, end, name in placeholders:
        if start > position:
            parts.append({"text": command[position:start]})
        written = command[start:end]
        known = KNOWN.get(name)
        value = values.get(name) if known else None
        # A value outside its alphabet has no business in a terminal.
        if value and known[1].fullmatch(value):
            part = {"text": value, "kind": "value"}
        else:
            part = {"text": written, "kind": "missing" if known else "shell"}
        parts.append({**part, "name": name, "written": written})
        position = end
    if position < len(command):
        parts.append({"text": command[position:]})
    return parts
