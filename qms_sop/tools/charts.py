"""Charts as inline SVG, drawn by the server.

wkhtmltopdf draws them without running a script, and they stay sharp. Tags and
attributes are lower case throughout, but for ``viewBox``: Odoo's HTML parser makes
them so, and the renderer knows how to read only that one again.
"""

import math
from dataclasses import dataclass

from markupsafe import Markup, escape

_FONT = "DejaVu Sans, Liberation Sans, Arial, sans-serif"
_INK, _GREY, _LINE = "#1f2328", "#626a73", "#d8dce1"
_SIZE = 13  # of texts, in pixels; on paper these are about 0.56 points each
_LETTER = 0.62 * _SIZE  # width of one, about


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a stacked chart."""

    key: str
    label: str
    colour: str


def columns(buckets, series, width, height):
    """Return a chart of stacked columns, with an axis and a legend.

    :param list buckets: ``(label, {series key: count})``, from left to right
    :param list series: :class:`Series`, from bottom to top
    :param int width: in CSS pixels
    :param int height: ditto
    :rtype: markupsafe.Markup
    """
    left, right, top, bottom = 36, 4, 30, 24
    plot_width, plot_height = width - left - right, height - top - bottom
    highest = max((sum(counts.values()) for _label, counts in buckets), default=0)
    step, ceiling = scale(highest)
    parts = _legend(series, left)
    for tick in range(0, ceiling + 1, step):
        y = top + plot_height * (1 - tick / ceiling)
        parts.append(
            f'<path d="M{left} {y:.1f}h{plot_width}" stroke="{_LINE}" fill="none">'
            "</path>"
        )
        parts.append(_text(left - 6, y + 4.5, tick, anchor="end", colour=_GREY))
    slot = plot_width / max(len(buckets), 1)
    every = math.ceil(len(buckets) * 5.5 * _SIZE / plot_width) or 1
    bar = min(slot * 0.72, 46)
    for place, (label, counts) in enumerate(buckets):
        x, y = left + slot * place + (slot - bar) / 2, top + plot_height
        for one in series:
            tall = plot_height * counts.get(one.key, 0) / ceiling
            if tall:
                y -= tall
                parts.append(_rect(x, y, bar, tall, one.colour))
        if place % every == 0:
            parts.append(
                _text(x + bar / 2, height - 6, label, anchor="middle", colour=_GREY)
            )
    return _svg(width, height, parts)


def bars(rows, series, width, label_width=170):
    """Return a chart of lying stacked bars, each with its sum behind it.

    :param list rows: ``(label, {series key: count})``, from top to bottom
    :param list series: :class:`Series`, from left to right
    :param int width: in CSS pixels
    :param int label_width: ditto, of the column of labels
    :rtype: markupsafe.Markup
    """
    tall, gap = 17, 8
    plot = width - label_width - 46
    highest = max((sum(counts.values()) for _label, counts in rows), default=0) or 1
    parts = []
    for place, (label, counts) in enumerate(rows):
        y, x = place * (tall + gap), label_width
        room = int(label_width / _LETTER)
        shown = label if len(label) <= room else f"{label[: room - 1]}…"
        parts.append(_text(label_width - 8, y + 13, shown, anchor="end"))
        for one in series:
            wide = plot * counts.get(one.key, 0) / highest
            if wide:
                parts.append(_rect(x, y, wide, tall, one.colour))
                x += wide
        parts.append(_text(x + 6, y + 13, sum(counts.values()), colour=_GREY))
    return _svg(width, max(len(rows) * (tall + gap), 1), parts)


def scale(highest):
    """Return the step and the end of an axis of whole numbers.

    :param int highest: the largest value there is
    :return: a step of 1, 2 or 5 times a power of ten that gives at most five of
        them, and the first multiple of it that is not below ``highest``
    :rtype: tuple[int, int]
    """
    rough = max(highest, 1) / 5
    power = 10 ** max(math.floor(math.log10(rough)), 0)
    step = next(
        (factor * power for factor in (1, 2, 5) if factor * power >= rough),
        10 * power,
    )
    return step, max(math.ceil(highest / step), 1) * step


def _legend(series, left):
    parts, x = [], left
    for one in series:
        parts.append(_rect(x, 3, 12, 12, one.colour))
        parts.append(_text(x + 17, 13.5, one.label))
        x += 17 + len(one.label) * _LETTER + 20
    return parts


def _rect(x, y, width, height, colour):
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'fill="{colour}"></rect>'
    )


def _text(x, y, text, anchor="start", colour=_INK):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="{_FONT}" font-size="{_SIZE}" '
        f'text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
    )


def _svg(width, height, parts):
    return Markup(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'
    )
