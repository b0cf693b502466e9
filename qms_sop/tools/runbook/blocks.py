"""Block structure, from markdown-it-py, and the few inline rules we need."""

import re
from functools import lru_cache
from typing import NamedTuple

from markdown_it import MarkdownIt

# Longer than any heading or caption that somebody reads.
_INLINE_LIMIT = 1000
_MARKUP = re.compile(r"[*_`\[\]<>&\\!]")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_OPEN = "_open"


class Block(NamedTuple):
    """A top-level block: its token type and its lines, 0-based, end excluded."""

    type: str
    start: int
    end: int
    level: int = 0
    text: str = ""


class Fence(NamedTuple):
    """A fenced block at any depth of lists; ``depth`` 0 is top level."""

    start: int
    end: int
    info: str
    code: str
    depth: int
    leads: str


@lru_cache(maxsize=1)
def parser():
    """The one Markdown parser of this package.

    HTML is recognised so that a heading in a comment is none; nothing is ever
    rendered from here. Reference definitions stay paragraphs: as definitions they
    would give no token, and their lines would be lost.
    """
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    return markdown.disable("reference")


def tokenize(text):
    """Return the block tokens of a text; inline content stays as written."""
    tokens = []
    markdown = parser()
    markdown.block.parse(text, markdown, {}, tokens)
    return tokens


_FENCE = re.compile(r" {0,3}(?:(`{3,})[ \t]*([^`]*)|(~{3,})[ \t]*(.*))$")
_TEMPLATE = re.compile(r"^ {0,3}```[ \t]*(?:markdown|md)[ \t]*$", re.I | re.M)
_TEMPLATE_LINES = 500


def nested(lines):
    """Return lines in which a Markdown template may hold fences of its own.

    People put ```` ```sql ```` inside ```` ```markdown ````. CommonMark ends the
    template where the inner fence ends, and what was meant as its end then opens
    a fence that swallows the headings below. Here the template's fence is made
    longer: to the end that was meant where there is one, else to CommonMark's.

    :param list[str] lines: of a text
    :return: as many lines
    :rtype: list[str]
    """
    if not _TEMPLATE.search("\n".join(lines)):
        return lines
    lines = list(lines)
    index = 0
    while index < len(lines):
        mark, info = _fence(lines[index])
        # An indented one may be the end of a fence that began in a list.
        if not mark or lines[index][0] == " ":
            index += 1
            continue
        end = _fence_close(lines, index, mark)
        if mark == "```" and info.lower() in ("markdown", "md") and end < len(lines):
            if _holds_fence(lines, index, end):
                end = _template_end(lines, index) or end
                longer = "`" * (max(map(_run, lines[index : end + 1])) + 1)
                lines[index], lines[end] = f"{longer}{info}", longer
        index = end + 1
    return lines


def _fence(line):
    """Return the mark and the info of a line that may open or close a fence."""
    match = _FENCE.match(line)
    if not match:
        return "", ""
    return match[1] or match[3], (match[2] or match[4] or "").strip()


def _run(line):
    return max(map(len, re.findall(r"`+", line)), default=0)


def _fence_close(lines, index, mark):
    for end in range(index + 1, len(lines)):
        found, info = _fence(lines[end])
        if found.startswith(mark) and not info:
            return end
    return len(lines)


def _holds_fence(lines, index, end):
    return any(all(_fence(line)) for line in lines[index + 1 : end])


def _template_end(lines, index):
    """Return the line that was meant to end a template, or ``None``."""
    inside = ""
    for end in range(index + 1, min(index + _TEMPLATE_LINES, len(lines))):
        mark, info = _fence(lines[end])
        if not mark:
            continue
        if inside:
            if mark.startswith(inside) and not info:
                inside = ""
        elif info or mark[0] == "~":
            inside = mark
        else:
            return end
    return None


def top_level(tokens, lines):
    """Return the top-level blocks, without blank lines at their ends.

    :param tokens: of ``tokenize``
    :param list[str] lines: the text that was tokenized
    :rtype: list[Block]
    """
    blocks = []
    for index, token in enumerate(tokens):
        if token.level or not token.map or token.nesting < 0:
            continue
        start, end = token.map
        while end > start + 1 and not lines[end - 1].strip():
            end -= 1
        kind = token.type.removesuffix(_OPEN)
        if kind == "heading":
            content = tokens[index + 1].content
            blocks.append(Block(kind, start, end, int(token.tag[1]), plain(content)))
        else:
            blocks.append(Block(kind, start, end))
    return blocks


def fences(tokens):
    """Return the fences at top level and in lists, with the list item's lead-in.

    :rtype: list[Fence]
    """
    found, open_lists, quotes, lead = [], 0, 0, ""
    for token in tokens:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            open_lists += 1
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            open_lists -= 1
        elif token.type == "list_item_open":
            lead = ""
        elif token.type.startswith("blockquote"):
            quotes += token.nesting
        elif token.type == "inline" and open_lists:
            lead = token.content
        elif token.type == "fence" and not quotes:
            found.append(
                Fence(
                    *token.map,
                    token.info.strip(),
                    token.content.removesuffix("\n"),
                    open_lists,
                    lead if open_lists else "",
                )
            )
    return found


@lru_cache(maxsize=4096)
def plain(content):
    """Return inline Markdown on one line, without marks of emphasis.

    Code, links and images stay as written; escapes and entities are resolved.
    """
    content = one_line(content)
    if not _MARKUP.search(content):
        return content
    if len(content) > _INLINE_LIMIT:
        return content
    (inline,) = parser().parseInline(content)
    pieces, targets = [], []
    for token in inline.children:
        if token.type in ("text", "html_inline"):
            pieces.append(token.content)
        elif token.type == "code_inline":
            pieces.append(f"{token.markup}{token.content}{token.markup}")
        elif token.type == "link_open":
            targets.append(token.attrs["href"])
            pieces.append("[")
        elif token.type == "link_close":
            pieces.append(f"]({targets.pop()})")
        elif token.type == "image":
            pieces.append(f"![{token.content}]({token.attrs['src']})")
    return one_line("".join(pieces))


def one_line(text):
    """Return text with every run of white space as one space."""
    return re.sub(r"[ \t\n\r\f\v]+", " ", text).strip()


def written(name, before="", after=""):
    """Return inline Markdown that reads back as a name, between two marks.

    :param str name: one line, as ``plain`` returns it
    :param str before: what precedes it on the line, such as ``**``
    :param str after: what follows it
    """
    expected = (before.lstrip("# ") + name + after).replace("**", "")
    wanted = "heading" if before.startswith("#") else "paragraph"
    for candidate in (name, _PUNCTUATION.sub(r"\\\1", name)):
        line = f"{before}{candidate}{after}"
        tokens = tokenize(line)
        if len(tokens) == 3 and tokens[0].type == wanted + _OPEN:
            if plain(tokens[1].content) == expected.strip():
                break
    return line


def split_lead(line):
    """Split a line that begins with a bold lead-in.

    ``**Label**: text`` and ``**Label:** text`` give ``("Label", "text")``;
    a line that is nothing but bold gives the text ``""``.

    :return: label and text, or ``None`` where the line has no lead-in
    :rtype: tuple[str, str] | None
    """
    match = re.match(r" {0,3}(\*\*|__)(?=\S)([^*\n]{1,300}?)\1(\s*:)?(.*)$", line)
    if not match:
        return None
    _mark, label, colon, rest = match.groups()
    label = label.strip()
    if label.endswith(":"):
        return label[:-1].strip(), rest.lstrip()
    if colon or not rest.strip():
        return label, rest.lstrip()
    return None


def key_of(text):
    """Return text for comparisons: lower-case words and digits only."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def closed(text):
    """Return Markdown that ends in no open fence or comment."""
    sentinel = "\n\nsentinel"
    for end in ("", None, "\n-->"):
        if end is None:
            end = _fence_end(text)
        if end is None:
            continue
        tokens = tokenize(text + end + sentinel)
        if tokens[-1].type == "paragraph_close" and tokens[-2].content == "sentinel":
            return text + end
    return text


def _fence_end(text):
    last = tokenize(text)[-1] if text else None
    return f"\n{last.markup}" if last is not None and last.type == "fence" else None


def demoted(text, level):
    """Return Markdown whose top-level headings are all deeper than a level.

    :param int level: 0 to 5
    """
    if not any(mark in text for mark in "#=-"):
        return text
    lines = text.split("\n")
    blocks = [b for b in top_level(tokenize(text), lines) if b.type == "heading"]
    shift = max((level + 1 - block.level for block in blocks), default=0)
    if shift <= 0:
        return text
    for block in reversed(blocks):
        depth = min(block.level + shift, 6)
        lines[block.start : block.end] = [written(block.text, "#" * depth + " ")]
    return "\n".join(lines)
