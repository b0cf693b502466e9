"""From bytes to text: decoding, line ends and the repair of mis-decoded text."""

import re
import unicodedata

import ftfy.bad_codecs  # noqa: F401  (registers sloppy-windows-1252)
from ftfy.badness import is_bad

from .model import Note, RunbookError

# UTF-8 that was read as one of these and saved again. The "sloppy" table keeps
# the five bytes that Windows-1252 leaves undefined.
_CODECS = ("sloppy-windows-1252", "latin-1", "mac-roman")
_RUN = re.compile(r"[^\x00-\x7f]+")
_SYMBOLS = frozenset({"So", "Sm", "Sc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Cf", "Mn"})


def decode(data, limits):
    """Return the text of a file with ``\\n`` line ends and without a BOM.

    :param data: str, or bytes in UTF-8
    :param Limits limits: ``size`` is checked before anything else
    :raise RunbookError: too large, binary, not UTF-8 or empty
    """
    if isinstance(data, str):
        data = _encode(data, limits)
    _check_size(len(data), limits)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RunbookError("This file is UTF-16. Save it as UTF-8.")
    if (zero := data.find(b"\0")) >= 0:
        raise RunbookError(
            f"This is a binary file (zero byte at position {zero}), not Markdown.",
            _line_of(data, zero),
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        line = _line_of(data, start)
        column = start - (data.rfind(b"\n", 0, start) + 1) + 1
        raise RunbookError(
            f"This is not UTF-8: byte 0x{data[start]:02x} at position {start} "
            f"(byte {column} of the line). Save the file as UTF-8.",
            line,
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise RunbookError("The file is empty.")
    return text


def _encode(text, limits):
    _check_size(len(text), limits)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RunbookError(
            f"The text has half a character at position {error.start}.",
            text.count("\n", 0, error.start) + 1,
        ) from error


def _check_size(size, limits):
    if size > limits.size:
        raise RunbookError(
            f"The file has {size} bytes; {limits.size} are accepted.",
        )


def _line_of(data, position):
    return data.count(b"\n", 0, position) + 1


def repair(text):
    """Repair text that was decoded with the wrong table, where only one way fits.

    A run of characters beyond ASCII is replaced as a whole or not at all, so
    neither spaces nor text that is fine are touched.

    :param str text: LF line ends
    :return: the text, and a note for each line that was or should be repaired
    :rtype: tuple[str, list[Note]]
    """
    if text.isascii():
        return text, []
    lines, notes = text.split("\n"), []
    for index, line in enumerate(lines):
        if line.isascii():
            continue
        fixed = _RUN.sub(_repaired_run, line)
        if fixed != line:
            notes.append(Note(index + 1, line, fixed))
            lines[index] = fixed
        elif any(map(_looks_damaged, _RUN.findall(line))):
            notes.append(Note(index + 1, line, line))
    return "\n".join(lines).removeprefix("\ufeff"), notes


def _repaired_run(match):
    run = match[0]
    if len(run) < 2:
        return run
    readings = {reading for codec in _CODECS if (reading := _reading(run, codec))}
    if len(readings) > 1:
        readings = {text for text in readings if all(map(_is_letter, text))}
    if len(readings) != 1:
        return run
    reading = readings.pop()
    return reading if _is_symbols(reading) or is_bad(run) else run


def _reading(run, codec):
    """Return what a run was before it was read with a codec, or ``None``."""
    try:
        text = run.encode(codec).decode("utf-8")
    except UnicodeError:
        return None
    # "Cn" and "Cc": no text ever had these.
    return None if any(unicodedata.category(c) in ("Cn", "Cc") for c in text) else text


def _is_letter(character):
    return unicodedata.category(character).startswith("L")


def _is_symbols(text):
    """Whether text is arrows, emoji, box drawing, typographic signs only."""
    return all(ord(c) > 0x7FF and unicodedata.category(c) in _SYMBOLS for c in text)


# The first bytes of a four-byte sequence of UTF-8 (every emoji), read wrongly.
_DAMAGED = re.compile("ðŸ|\uf8ffü|ï¸|Ô∏|â€|‚Ä")


def _looks_damaged(run):
    return bool(_DAMAGED.search(run)) or (len(run) > 1 and is_bad(run))
