"""Sections that are lists: triggers, prerequisites, related documents."""

import re
from typing import NamedTuple

from . import blocks
from .model import (
    Prerequisite,
    Prerequisites,
    Reference,
    Related,
    Text,
    Trigger,
    Triggers,
)

_BOX = re.compile(r"\[([ xX])\](?:\s+|$)")
_KINDS = {
    "automated": "automated",
    "automatic": "automated",
    "alert": "automated",
    "alerts": "automated",
    "manual": "manual",
    "scheduled": "scheduled",
    "schedule": "scheduled",
}
_AUTOMATED = re.compile(r"\b(automat\w*|alert(s|ed)? (fires?|is raised)|pager)\b", re.I)
_SCHEDULED = re.compile(
    r"\b(scheduled?|daily|weekly|monthly|quarterly|yearly|annual(ly)?|"
    r"every (\d+|hour|day|night|morning|week|month|quarter|year|\w+day))\b",
    re.I,
)


class Entry(NamedTuple):
    """A list item that is one paragraph, or a block that is none."""

    text: str
    group: str = ""
    item: bool = False


def entries(lines, grouped=False):
    """Split a section into plain list items and other blocks.

    A list counts as plain when each of its items is one paragraph.

    :param list[str] lines: of the section, without its heading
    :param bool grouped: sub-headings and lead-ins name the items that follow
    :rtype: list[Entry]
    """
    tokens = blocks.tokenize("\n".join(lines))
    items = _plain_items(tokens)
    result, group = [], ""
    top = _without_rules(blocks.top_level(tokens, lines))
    for position, block in enumerate(top):
        text = "\n".join(lines[block.start : block.end])
        follower = top[position + 1] if position + 1 < len(top) else None
        if block.start in items:
            result += [Entry(item, group, True) for item in items[block.start]]
            continue
        name = _group_name(block, text) if grouped else None
        if name and follower and follower.start in items:
            group = name
            continue
        if block.type == "heading":
            group = ""
        result.append(Entry(text, group))
    return result


def _without_rules(top):
    while top and top[-1].type == "hr":
        top = top[:-1]
    return top


def _group_name(block, text):
    if block.type == "heading":
        return block.text
    lead = blocks.split_lead(text) if block.type == "paragraph" else None
    return blocks.plain(lead[0]) if lead and not lead[1] else None


def _plain_items(tokens):
    """Return ``{first line: [inline Markdown of each item]}`` of plain lists."""
    found = {}
    for index, token in enumerate(tokens):
        if token.level == 0 and token.type in ("bullet_list_open", "ordered_list_open"):
            end = index + 1
            while tokens[end].level:
                end += 1
            body = tokens[index + 1 : end]
            kinds = [item.type for item in body]
            item = (
                "list_item_open paragraph_open inline paragraph_close list_item_close"
            ).split()
            if kinds == item * (len(kinds) // 5) and kinds:
                found[token.map[0]] = [
                    blocks.one_line(inline.content) for inline in body[2::5]
                ]
    return found


def parse_triggers(heading, level, lines):
    """:rtype: Triggers"""
    items, body = [], []
    for entry in entries(lines):
        if entry.item:
            items.append(_trigger(entry.text))
        else:
            body.append(entry.text)
    return Triggers(heading, level, tuple(items), "\n\n".join(body))


def _trigger(text):
    text = _BOX.sub("", text, count=1) if _BOX.match(text) else text
    lead = blocks.split_lead(text)
    if lead and lead[1] and (kind := _KINDS.get(blocks.key_of(lead[0]))):
        return Trigger(kind, lead[1])
    if _AUTOMATED.search(text):
        return Trigger("automated", text)
    return Trigger("scheduled" if _SCHEDULED.search(text) else "manual", text)


def parse_prerequisites(heading, level, lines):
    """:rtype: Prerequisites"""
    items, body = [], []
    for entry in entries(lines, grouped=True):
        if not entry.item:
            body.append(entry.text)
            continue
        box = _BOX.match(entry.text)
        name = entry.text[box.end() :] if box else entry.text
        items.append(Prerequisite(name, entry.group, bool(box) and box[1] != " "))
    return Prerequisites(heading, level, tuple(items), "\n\n".join(body))


def parse_related(heading, level, lines):
    """:rtype: Related"""
    items, body = [], []
    for entry in entries(lines):
        (items if entry.item else body).append(entry.text)
    return Related(heading, level, tuple(map(Reference, items)), "\n\n".join(body))


def _list(body, items):
    """Return a plain list, with a mark that no list of the body has.

    :param str body: Markdown beside which the list will stand
    :param items: ``[(text before, text), …]``
    """
    used = {line.lstrip()[:1] for line in body.split("\n")}
    mark = next((mark for mark in "-*+" if mark not in used), "-")
    return "\n".join(_item(mark, before, text) for before, text in items)


def _item(mark, before, text):
    """Return a list item that reads back as a text."""
    text = blocks.one_line(text)
    for escape in ("", "\\"):
        line = f"{mark} {before}{escape}{text}"
        found = _plain_items(blocks.tokenize(line)).get(0)
        if found == [f"{before}{escape}{text}"]:
            break
    return line


def _body(body, level):
    text = blocks.closed(blocks.demoted(body.strip("\n"), level))
    return [text] if text else []


def heading_line(text, level):
    """Return a heading of one line."""
    return blocks.written(blocks.one_line(text), "#" * level + " ")


def render_triggers(values):
    """:param Triggers values:"""
    items = [(f"**{item.kind.capitalize()}**: ", item.name) for item in values.items]
    return _with_list(values, items)


def render_related(values):
    """:param Related values:"""
    return _with_list(values, [("", item.text) for item in values.items])


def _with_list(values, items):
    pieces = _body(values.body, values.level)
    return _section(values, pieces + ([_list(values.body, items)] if items else []))


def render_prerequisites(values):
    """:param Prerequisites values:"""
    groups = {}
    for item in values.items:
        groups.setdefault(blocks.one_line(item.group), []).append(item)
    pieces = []
    # Items without a group come first, and the text last: below a sub-heading
    # items belong to it.
    for group in sorted(groups, key=bool):
        if group:
            pieces.append(heading_line(group, min(values.level + 1, 6)))
        items = [("[x] " if i.checked else "[ ] ", i.name) for i in groups[group]]
        pieces.append(_list(values.body, items))
    return _section(values, pieces + _body(values.body, values.level))


def render_text(values):
    """:param Text values:"""
    if not values.level:
        return "\n\n".join(_body(values.body, 0)) + "\n"
    return _section(values, _body(values.body, values.level))


def parse_text(heading, level, lines, top):
    """Understand purpose, scope or any other section.

    :param list[str] lines: of the section, without its heading
    :param list[Block] top: its top-level blocks, in the same numbering
    :rtype: Text
    """
    top = _without_rules(top)
    if not top:
        return Text(heading, level)
    return Text(heading, level, "\n".join(lines[top[0].start : top[-1].end]))


def _section(values, pieces):
    return "\n\n".join([heading_line(values.heading, values.level), *pieces]) + "\n"
