"""Title, control data, front matter and closing lines of a document."""

import re
from dataclasses import replace

from . import blocks
from .labels import field_of
from .model import Footer, Header, RunbookError

# In the order in which they are written.
_LABELS = {
    "code": "Code",
    "version": "Version",
    "date": "Date",
    "effective_date": "Effective Date",
    "last_updated": "Last Updated",
    "owner": "Owner",
    "author": "Author",
    "classification": "Classification",
    "status": "Status",
    "review_cycle": "Review Cycle",
    "next_review": "Next Review",
    "approved_by": "Approved By",
}
# SOP-TRIAGE-001: Error Investigation. "API: limits" names no code.
_CODED = re.compile(r"([A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-\d+)\s*(?::|–|—|-\s)\s*(\S.*)")
_PLAIN_LINE = re.compile(r"([A-Z][A-Za-z ]{1,30}?)\s*:(?:\s+(.*))?$")
_FRONT_LINE = re.compile(r"([A-Za-z_][\w .-]{0,60}?)\s*:(?:\s+(.*)|\s*)$")
_FRONT_LIMIT = 200


def front_matter(lines):
    """Find the front matter: simple ``key: value`` lines between two rules.

    :param list[str] lines: of the whole text
    :return: number of lines it takes (0: none) and its entries
    :rtype: tuple[int, list[tuple[str, str]]]
    """
    if lines[0].rstrip() != "---":
        return 0, []
    entries = []
    for index, line in enumerate(lines[1:_FRONT_LIMIT], 1):
        stripped = line.rstrip()
        if stripped in ("---", "..."):
            return (index + 1, entries) if entries else (0, [])
        if not stripped or stripped.startswith("#"):
            continue
        match = _FRONT_LINE.fullmatch(stripped)
        if match:
            entries.append((match[1], (match[2] or "").strip()))
        elif entries and re.match(r"\s+\S|- ", stripped):
            key, value = entries[-1]
            entries[-1] = (key, f"{value}\n{stripped}")
        else:
            return 0, []
    return 0, []


def unquoted(value):
    """Return a YAML scalar without its quotes."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def title_index(top, front):
    """Return the index of the block that is the title.

    :param list[Block] top: top-level blocks of the text
    :param list front: entries of the front matter
    :return: the index, or ``None`` where the front matter has the title
    :raise RunbookError: there is no title
    """
    index = next((i for i, b in enumerate(top) if b.type == "heading"), None)
    if index is not None and top[index].level == 1 and top[index].text:
        return index
    if any(field_of(key) == "title" and value for key, value in front):
        return None
    first = top[index if index is not None else 0].start + 1 if top else 1
    raise RunbookError(
        "There is no title. Begin with a line such as '# SOP-DEPLOY-001: Deploy a "
        "service', or give 'title:' in the front matter.",
        first,
    )


def data_lines(block, lines):
    """Return the control data of a block, when it is nothing else.

    :param Block block: top-level block
    :param list[str] lines: of the whole text
    :return: ``[(label, value), …]``, or ``[]``
    """
    if block.type not in ("paragraph", "bullet_list"):
        return []
    pairs = []
    for line in lines[block.start : block.end]:
        if block.type == "bullet_list":
            line = re.sub(r"^[-*+] +", "", line)
        pair = blocks.split_lead(line)
        if pair is None and block.type == "paragraph":
            match = _PLAIN_LINE.match(line.strip())
            if match and field_of(match[1]):
                pair = match[1], match[2] or ""
        if pair is None or not (pair[1] or ":" in line):
            return []
        pairs.append((pair[0], pair[1].rstrip().rstrip("\\").rstrip()))
    known = any(field_of(label) for label, _value in pairs)
    return pairs if known else []


def parse(lines, top, front):
    """Understand everything before the first section.

    :param list[str] lines: of the header, front matter included
    :param list[Block] top: its top-level blocks
    :param list front: entries of the front matter
    :rtype: Header
    """
    index = title_index(top, front)
    title = top[index].text if index is not None else ""
    before = top[:index] if index is not None else []
    rest = top[index + 1 :] if index is not None else top
    subtitle = ""
    if rest and rest[0].type == "heading":
        subtitle, rest = rest[0].text, rest[1:]
    pairs = []
    while rest and (found := data_lines(rest[0], lines)):
        pairs += found
        rest = rest[1:]
    body = [b for b in before + rest if b.type != "hr"]
    header = Header(title=title, subtitle=subtitle, body=_joined(body, lines))
    return _with_code(_with_front(header, front).completed(pairs))


def _joined(chosen, lines):
    return "\n\n".join("\n".join(lines[b.start : b.end]) for b in chosen)


def _with_front(header, front):
    values, unknown = {}, []
    for key, value in front:
        name = field_of(key)
        scalar = unquoted(value)
        if name == "title" and header.title and scalar != header.title:
            unknown.append((key, value))
        elif name and scalar and "\n" not in value and name not in values:
            values[name] = scalar
        else:
            unknown.append((key, value))
    return replace(header, **values, front=tuple(unknown))


def _with_code(header):
    match = _CODED.fullmatch(header.title)
    if match and header.code in ("", match[1]):
        return replace(header, code=match[1], title=match[2])
    return header


def parse_footer(lines, top):
    """Understand the closing lines of a document.

    :param list[str] lines: of the footer
    :param list[Block] top: its top-level blocks
    :rtype: Footer
    """
    pairs, body = [], []
    for block in top:
        if found := data_lines(block, lines):
            pairs += found
        elif block.type != "hr":
            body.append(block)
    return Footer(tuple(pairs), _joined(body, lines))


def code_from_filename(filename):
    """Return an SOP code made from a file's name, such as ``DISK-FULL``.

    :param str filename: with or without folders and extension
    :return: capital letters and digits in parts joined by hyphens, or ``""``
    """
    stem = re.sub(r"\.\w{1,8}$", "", re.split(r"[\\/]", filename)[-1])
    return "-".join(re.findall(r"[A-Z0-9]+", stem.upper()))


def render(header):
    """Return a header as Markdown."""
    coded = f"{header.code}: {header.title}"
    in_title = bool(header.code and _CODED.fullmatch(coded))
    title = blocks.written(
        blocks.one_line(header.title), f"# {header.code}: " if in_title else "# "
    )
    pairs = [
        (label, blocks.one_line(getattr(header, name)))
        for name, label in _LABELS.items()
        if getattr(header, name) and not (in_title and name == "code")
    ]
    pairs += header.extra
    pieces = []
    if header.front:
        entries = "\n".join(f"{key}: {value}".rstrip() for key, value in header.front)
        pieces.append(f"---\n{entries}\n---")
    pieces.append(title)
    if header.subtitle:
        subtitle = blocks.one_line(header.subtitle)
        if any(field_of(label) for label, _value in pairs):
            pieces.append(blocks.written(subtitle, "## "))
        else:
            pairs.insert(0, ("Subtitle", subtitle))
    if pairs:
        pieces.append(_data_paragraph(pairs))
    if header.body:
        pieces.append(blocks.closed(header.body.strip("\n")))
    return "\n\n".join(pieces) + "\n"


def _data_paragraph(pairs):
    # Two spaces: a line break that every renderer shows.
    return "  \n".join(
        f"**{label}**: {blocks.one_line(value)}".rstrip() for label, value in pairs
    )


def render_footer(footer):
    """Return closing lines as Markdown."""
    pieces = ["---"]
    if footer.lines:
        pieces.append(_data_paragraph(footer.lines))
    if footer.body:
        pieces.append(blocks.closed(footer.body.strip("\n")))
    return "\n\n".join(pieces) + "\n"
