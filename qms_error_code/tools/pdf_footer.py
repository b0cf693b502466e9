"""A line at the foot of every page of a PDF.

wkhtmltopdf prints headers and footers only when built with a patched Qt, which
Debian's is not; so the line is drawn onto the finished pages.
"""

import io
from functools import lru_cache

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen import canvas

from odoo.tools.pdf import PdfReader, PdfWriter

_SIZE = 7  # points
_BASELINE = 20  # points above the lower edge: inside the bottom margin
_INDENT = 45  # points: the side margin


def add_footer(stream, text):
    """Write a text, and "page of pages", at the foot of every page.

    :param io.BytesIO stream: a PDF
    :param str text: one line, cut off where the page number begins
    :return: the PDF with the line
    :rtype: io.BytesIO
    """
    reader, writer = PdfReader(stream), PdfWriter()
    for page in reader.pages:
        writer.add_page(page)
    # Only a page that belongs to a writer takes another one's content.
    pages = list(writer.pages)
    footers = _footers([page.mediabox for page in pages], text)
    for page, footer in zip(pages, footers, strict=True):
        page.merge_page(footer)
        page.compress_content_streams()  # merging has unpacked them
    result = io.BytesIO()
    writer.write(result)
    result.seek(0)
    return result


def _footers(boxes, text):
    """Return one page per given size, with nothing but the line on it."""
    font = _font()
    if font == "Helvetica":  # has Latin-1 only
        text = text.encode("latin-1", "replace").decode("latin-1")
    buffer = io.BytesIO()
    # One document for all of them, so that the font is in it once.
    paper = canvas.Canvas(buffer)
    for number, box in enumerate(boxes, 1):
        width, height = float(box.width), float(box.height)
        paper.setPageSize((width, height))
        paper.setFont(font, _SIZE)
        paper.setStrokeGray(0.6)
        paper.setFillGray(0.25)
        paper.line(_INDENT, _BASELINE + 9, width - _INDENT, _BASELINE + 9)
        paper.drawString(_INDENT, _BASELINE, _shorten(text, font, width))
        paper.drawRightString(width - _INDENT, _BASELINE, f"{number} / {len(boxes)}")
        paper.showPage()
    paper.save()
    return list(PdfReader(io.BytesIO(buffer.getvalue())).pages)


def _shorten(text, font, width):
    """Cut a text off before the page number."""
    room = width - 2 * _INDENT - 40
    if pdfmetrics.stringWidth(text, font, _SIZE) <= room:
        return text
    while text and pdfmetrics.stringWidth(f"{text}...", font, _SIZE) > room:
        text = text[:-1]
    return f"{text.rstrip()}..."


@lru_cache(maxsize=1)
def _font():
    """Return the name of a font that has most alphabets, where there is one."""
    try:
        pdfmetrics.registerFont(TTFont("DejaVuSans", "DejaVuSans.ttf"))
    except TTFError:
        return "Helvetica"
    return "DejaVuSans"
