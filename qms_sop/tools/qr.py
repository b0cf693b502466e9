"""QR codes as inline SVG: sharp on paper, and nothing to fetch for the renderer."""

import qrcode
from markupsafe import Markup

_QUIET = 2  # modules of white around the code; the paper is white anyway


def qr_svg(text, size):
    """Return a QR code.

    :param str text: what it says, such as a URL
    :param int size: of its side, in CSS pixels
    :rtype: markupsafe.Markup
    """
    code = qrcode.QRCode(border=_QUIET)
    code.add_data(text)
    matrix = code.get_matrix()
    # One path with a bar for each run of black modules in a line.
    bars = "".join(
        f"M{start} {y}h{length}v1h-{length}z"
        for y, row in enumerate(matrix)
        for start, length in _bars(row)
    )
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{0}" '
        'viewBox="0 0 {1} {1}"><path d="{2}" fill="#000"></path></svg>'
    ).format(size, len(matrix), bars)


def _bars(row):
    """Yield start and length of what is black in a line."""
    start = None
    for position, black in enumerate([*row, False]):
        if black and start is None:
            start = position
        elif not black and start is not None:
            yield start, position - start
            start = None
