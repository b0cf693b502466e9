"""What a log says most often, and where its tracebacks end."""

import re
from collections import Counter

# Beyond this many different messages, those seen once are forgotten.
_MOST = 20_000
_LONGEST = 300
_ERROR = re.compile(
    r"\b(?:ERROR|CRITICAL|FATAL|PANIC|SEVERE|EMERG|ALERT)\b|\b\w*(?:Error|Exception)\b"
)
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s*File "([^"]+)", line (\d+)(?:, in (.+))?')
_RAISED = re.compile(r"([A-Za-z_][\w.]*)(?::|$)")
# What comes before the message: time, process, level, in any order
_PREFIX = re.compile(
    r"""^(?:
    \[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?
        (?:Z|[+-]\d\d:?\d\d|[ ][A-Z]{3,4}(?=[ ]))?\]?
    |[A-Z][a-z]{2}[ ][ \d]\d[ ]\d\d:\d\d:\d\d
    |\d\d:\d\d:\d\d(?:[.,]\d+)?
    |\[?\d+\]?
    |\[?(?:ERROR|CRITICAL|FATAL|PANIC|SEVERE|ALERT|EMERG)\]?
    |[|:-]
    )[\s:]+""",
    re.VERBOSE,
)
# What differs from one occurrence to the next
_VARYING = (
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.I), "<uuid>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<ip>"),
    (re.compile(r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{12,64}\b", re.I), "<hex>"),
    (re.compile(r"'[^'\n]{1,200}'|\"[^\"\n]{1,200}\""), "<text>"),
    (re.compile(r"\b\d+(?:\.\d+)?"), "<n>"),
)


def normalise(line):
    """Return a log line without what differs from one occurrence to the next.

    :param str line: without its end
    :return: the message; numbers, addresses and quoted texts are placeholders
    :rtype: str
    """
    text = line[: 4 * _LONGEST].strip()
    while (match := _PREFIX.match(text)) and match.end() < len(text):
        text = text[match.end() :]
    for pattern, placeholder in _VARYING:
        text = pattern.sub(placeholder, text)
    return " ".join(text.split())[:_LONGEST]


class LogSummary:
    """Counts the errors and tracebacks of some logs, in one pass over each.

    One log may be an excerpt of another (``grep ERROR app.log > errors.log``), so the
    counts of different logs are not added up.
    """

    def __init__(self):
        self._messages = {}
        self._tracebacks = {}

    def reader(self, name):
        """Return a function that takes the lines of one log.

        :param str name: the log
        :return: called with each line, without its end
        """
        messages = self._messages.setdefault(name, Counter())
        tracebacks = self._tracebacks.setdefault(name, Counter())
        frame = prefix = None

        def take(line):
            nonlocal frame, prefix
            if _TRACEBACK in line:
                # What a collector of logs puts before every line: "web-1  | "
                prefix = line[: line.index(_TRACEBACK)]
                frame = ""
                return
            if frame is not None:
                text = line[len(prefix) :] if line.startswith(prefix) else line
                if found := _FRAME.match(text):
                    place = f" in {found[3].strip()}" if found[3] else ""
                    frame = f"{found[1]}:{found[2]}{place}"
                    return
                if text[:1] in (" ", "\t", ""):
                    return
                last, frame = frame, None
                if raised := _RAISED.match(text):
                    tracebacks[(raised[1], last or "?")] += 1
                    messages[normalise(text)] += 1
                    return
            if _ERROR.search(line, 0, 2000):
                messages[normalise(line)] += 1
                if len(messages) > _MOST:
                    for text in [t for t, n in messages.items() if n == 1]:
                        del messages[text]

        return take

    def errors(self, top):
        """Return the most frequent messages.

        :param int top: how many
        :return: dicts with ``count`` (in the log where it is most frequent), ``log``
            (that one), ``logs`` (how many have it) and ``message``
        :rtype: list[dict]
        """
        best = {}
        for log, counts in self._messages.items():
            for message, count in counts.items():
                known = best.setdefault(
                    message, {"count": 0, "log": log, "logs": 0, "message": message}
                )
                known["logs"] += 1
                if count > known["count"]:
                    known.update(count=count, log=log)
        ranked = sorted(best.values(), key=lambda e: (-e["count"], e["message"]))
        return ranked[:top]

    def tracebacks(self):
        """Return the tracebacks, the most frequent first.

        :return: dicts with ``count``, ``log``, ``exception`` and ``last_frame``
        :rtype: list[dict]
        """
        best = {}
        for log, counts in self._tracebacks.items():
            for key, count in counts.items():
                if count > best.get(key, (0, ""))[0]:
                    best[key] = count, log
        return [
            {"count": count, "log": log, "exception": exception, "last_frame": frame}
            for (exception, frame), (count, log) in sorted(
                best.items(), key=lambda item: (-item[1][0], item[0])
            )
        ]
