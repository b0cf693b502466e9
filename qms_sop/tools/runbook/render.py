"""From parts back to Markdown."""

from dataclasses import replace

from . import blocks, header, lists, steps
from .model import KINDS, RunbookError, Step
from .parse import parse, parse_part

_RENDER = {
    "header": header.render,
    "purpose": lists.render_text,
    "scope": lists.render_text,
    "triggers": lists.render_triggers,
    "prerequisites": lists.render_prerequisites,
    "step": steps.render,
    "related": lists.render_related,
    "section": lists.render_text,
    "footer": header.render_footer,
}


def render(kind, values):
    """Return a part as Markdown, ending in one line break.

    :param str kind: one of ``KINDS``
    :param values: the dataclass of that kind
    :return: Markdown from which ``parse_part`` reads ``canonical(kind, values)``
    :rtype: str
    :raise ValueError: for another kind
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}: use one of {', '.join(KINDS)}")
    return _RENDER[kind](values)


def canonical(kind, values):
    """Return values as they read after being written: what ``parse`` would give.

    Headings in texts become deeper than the part's own, a text that reads as
    "**Verification**: …" goes to that field, open fences are closed.

    :param str kind: one of ``KINDS``
    :param values: the dataclass of that kind
    """
    return parse_part(kind, render(kind, values))


def render_document(header_values, parts):
    """Return a document that was written in Odoo as Markdown.

    :param Header header_values:
    :param parts: ``[(kind, values), …]`` in order; steps without a number get
        the next one, so that they read back as steps
    :rtype: str
    """
    pieces, number = [header.render(header_values)], 0
    for kind, values in parts:
        if isinstance(values, Step):
            number += 1
            if not values.number:
                values = replace(
                    values, label=values.label or "Step", number=str(number)
                )
        pieces.append(render(kind, values))
    return "\n".join(pieces)


def export(parts, *, filename=None):
    """Return a document with its edits, and byte for byte where there are none.

    :param parts: ``[(kind, source, values), …]`` in order; ``source`` is the
        Markdown that was imported, ``None`` or "" for a part made in Odoo
    :param str | None filename: that the code was made from at import
    :rtype: str
    """
    known = _known(parts, filename)
    text, as_written = "", True
    for index, (kind, source, values) in enumerate(parts):
        unchanged = bool(source) and known[index] == values
        piece = source if unchanged else _rendered(kind, source, values)
        if text and not text.endswith("\n"):
            text += "\n\n"
        elif text and not (as_written and unchanged) and not text.endswith("\n\n"):
            text += "\n"
        text, as_written = text + piece, unchanged
    return text


def _rendered(kind, source, values):
    """Return an edited or new part, with the end that its source had."""
    piece = render(kind, values)
    return piece.rstrip("\n") + (_tail(source) or "\n") if source else piece


def _known(parts, filename):
    """Return what the source of each part says, in the whole where possible."""
    whole = "".join(source or "" for _kind, source, _values in parts)
    try:
        read = parse(whole, filename=filename).parts
    except RunbookError:
        read = ()
    found = iter(read)
    known = []
    current = next(found, None)
    for kind, source, _values in parts:
        if not source:
            known.append(None)
        elif current and (current.kind, current.source) == (kind, source):
            known.append(current.values)
            current = next(found, None)
        else:
            current = None
            known.append(_alone(kind, source))
    return known


def _alone(kind, source):
    try:
        return parse_part(kind, source)
    except RunbookError:
        return None


def _tail(source):
    """Return the line break that ends a source, its blank lines and rules."""
    lines = blocks.nested(source.split("\n"))
    top = blocks.top_level(blocks.tokenize("\n".join(lines)), lines)
    while top and top[-1].type == "hr":
        top.pop()
    return "\n" + "\n".join(lines[top[-1].end :]) if top else ""
