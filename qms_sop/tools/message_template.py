"""Texts with placeholders, as people write them for notifications.

``{{name}}`` stands for a value. A value that is missing is said to be missing;
``{{name ||| other words}}`` says it in other words, and ``{{name?}}`` leaves out the
whole line instead. There is nothing else: no expression, no condition, no loop, so
whoever writes a text cannot run anything, and a value that looks like a placeholder
is not filled in again.
"""

import re

_PLACEHOLDER = re.compile(
    r"\{\{\s*(?P<name>[^{}|?]*?)\s*(?P<optional>\?)?\s*"
    r"(?:\|\|\|(?P<default>[^{}]*))?\}\}"
)
NAME = re.compile(r"[a-z][a-z0-9_]*")


class TemplateError(ValueError):
    """A text that cannot be filled in; says what is wrong with it."""


def names(text):
    """Return the names that a text has placeholders for.

    :param str text: the template
    :return: in order, each once
    :rtype: list[str]
    :raises TemplateError: when a placeholder is not one
    """
    found = {}
    for match in _PLACEHOLDER.finditer(text or ""):
        if not NAME.fullmatch(match["name"]):
            raise TemplateError(match[0])
        found[match["name"]] = True
    rest = _PLACEHOLDER.sub("", text or "")
    for brace in ("{{", "}}"):
        if brace in rest:
            start = rest.index(brace)
            raise TemplateError(rest[start : start + 30].splitlines()[0])
    return list(found)


def render(text, values, missing):
    """Fill in a text.

    :param str text: the template, see the module
    :param dict values: by name; ``None``, ``False`` and blank text are missing, ``0``
        is not
    :param str missing: what is said where a value is missing
    :rtype: str
    """
    lines = []
    for line in (text or "").split("\n"):
        left_out = False

        def fill(match):
            nonlocal left_out
            value = as_text(values.get(match["name"]))
            if value:
                return value
            if match["optional"]:
                left_out = True
            return (match["default"] or missing).strip()

        filled = _PLACEHOLDER.sub(fill, line)
        if not left_out:
            lines.append(filled.rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def as_text(value):
    """Return a value as it is written in a text; empty when there is none.

    :param value: text, number, list of those, ``None`` or ``False``
    :rtype: str
    """
    if value is None or value is False:
        return ""
    if isinstance(value, (list, tuple)):
        return "\n".join(filter(None, map(as_text, value)))
    return str(value).strip()
