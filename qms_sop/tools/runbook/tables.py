"""Tables and decision trees, offered as records."""

import re
from bisect import bisect_right

from . import blocks
from .model import Branch, Table, Tree

_WRAPPED = re.compile(r"(\*\*|__|\*|_)(?=\S)(.+?)(?<=\S)\1")
_BRANCH = re.compile(r"(?P<answer>[^→]{1,60}?)\s*(?:→|->|=>|↓)\s*(?P<target>.*)")
_DRAWING = re.compile(r"^[\s│├└─┬┼┐┌|+`\\-]*")
_MARKDOWN = frozenset({"markdown", "md"})
_TREE_LINES = 500


def tables(tokens, starts):
    """Return every table of a document.

    :param tokens: of the document
    :param list[int] starts: first line of each part, 0-based, ascending
    :rtype: list[Table]
    """
    found = []
    for token, rows in _tables(tokens):
        index = bisect_right(starts, token.map[0]) - 1
        found.append(_record(rows, token.map[0] + 1, index, False))
    for fence in tokens:
        if fence.type == "fence" and fence.info.strip().lower() in _MARKDOWN:
            index = bisect_right(starts, fence.map[0]) - 1
            for token, rows in _tables(blocks.tokenize(fence.content)):
                line = fence.map[0] + token.map[0] + 2
                found.append(_record(rows, line, index, True))
    return sorted(found, key=lambda table: table.line)


def _tables(tokens):
    opening, rows = None, []
    for token in tokens:
        if token.type == "table_open":
            opening, rows = token, []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and opening:
            rows[-1].append(_cell(token.content))
        elif token.type == "table_close":
            yield opening, rows
            opening = None


def _cell(content):
    content = content.strip()
    match = _WRAPPED.fullmatch(content)
    return match[2] if match and match[1] not in match[2] else content


def _record(rows, line, index, template):
    headers = tuple(rows[0])
    body = tuple(map(tuple, rows[1:]))
    return Table(kind_of(headers, body), headers, body, line, index, template)


def kind_of(headers, rows):
    """Say what a table lists, by its column titles.

    :param tuple headers: column titles
    :param tuple rows: of cells
    :return: a kind of ``Table``; ``other`` when unsure
    :rtype: str
    """
    titles = [blocks.key_of(header) for header in headers]
    first, words = titles[0] if titles else "", " ".join(titles)

    def has(pattern, text=words):
        return re.search(rf"\b({pattern})\b", text) is not None

    rules = (
        (
            "severity",
            has("severity|level|priority", first)
            and has("criteria|definition|impact|description|examples?|response time")
            and any(
                has("critical|p0|p1|sev ?1", blocks.key_of(row[0])) for row in rows
            ),
        ),
        (
            "error_code",
            first in ("code", "error code") and has("severity|category|causes?|resol"),
        ),
        (
            "error_message",
            has("error message|message", first) and has("causes?|solution|resolution"),
        ),
        ("escalation", has("level 1|escalate to|first contact|primary contact")),
        (
            "escalation",
            has("time elapsed|elapsed", first) and len(titles) > 2,
        ),
        (
            "action_items",
            has("action|action item|task") and has("owner|assignee|responsible"),
        ),
        ("metrics", has("metrics?", first) and has("threshold|alert level|alert")),
        ("timeline", has("time|timestamp", first) and has("event")),
        (
            "duration",
            has("stage|step|phase|activity", first)
            and any(has("time|duration|minutes", title) for title in titles[1:]),
        ),
    )
    return next((kind for kind, fits in rules if fits), "other")


def trees(tokens, starts):
    """Return the decision trees that are drawn in fences and can be read.

    :param tokens: of the document
    :param list[int] starts: first line of each part, 0-based, ascending
    :rtype: list[Tree]
    """
    found = []
    for token in tokens:
        if token.type != "fence" or token.info.strip().lower() not in ("", "text"):
            continue
        branches = read_tree(token.content)
        if branches:
            index = bisect_right(starts, token.map[0]) - 1
            found.append(Tree(tuple(branches), token.map[0] + 1, index))
    return found


def read_tree(drawing):
    """Read questions and answers out of a drawing.

    A line with an arrow is an answer; its question is the nearest line above
    that begins further left. "NO ↓" leads to the next question.

    :param str drawing: lines
    :return: the branches; ``[]`` where the drawing is no decision tree
    :rtype: list[Branch]
    """
    lines = drawing.split("\n")
    if len(lines) > _TREE_LINES or "?" not in drawing:
        return []
    branches, above = [], []
    open_answer = None
    for column, text in _drawn(lines):
        while above and above[-1][0] >= column:
            above.pop()
        match = _BRANCH.fullmatch(text)
        if match and (answer := match["answer"].strip()):
            target = match["target"].strip(" ↓")
            if not above:
                continue
            branches.append(Branch(above[-1][1], answer, target))
            if target:
                above.append((column, target))
            else:
                open_answer = len(branches) - 1
        elif text.strip("↓→ |"):
            if open_answer is not None:
                branches[open_answer] = branches[open_answer]._replace(target=text)
                open_answer = None
            above.append((column, text))
    return branches if _is_tree(branches) else []


def _drawn(lines):
    """Yield column and text of what a drawing says, questions on their own."""
    for line in lines:
        column = len(_DRAWING.match(line)[0])
        text = line[column:].rstrip()
        if not text:
            continue
        question, mark, rest = text.partition("? ")
        if mark and "→" in rest and "→" not in question:
            yield column, f"{question}?"
            yield column + len(question) + 1, rest.strip()
        else:
            yield column, text


def _is_tree(branches):
    asked = [branch.question for branch in branches if branch.question.endswith("?")]
    return len(asked) > 1 and len(branches) > 1 and all(b.target for b in branches)
