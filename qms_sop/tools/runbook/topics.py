"""The sub-sections of a step that have a meaning of their own."""

import re

from . import blocks

_TOPICS = {
    "symptoms": re.compile(r"^(symptoms?|signs?)\b"),
    "diagnosis": re.compile(r"^(diagnos\w*|investigat\w*)\b"),
    "solutions": re.compile(
        r"\bsolutions?\b|^(resolution|fix|fixe|mitigation)s?( steps?)?$"
    ),
    "prevention": re.compile(r"^prevention( steps?| measures?)?$"),
}


def topic(instructions, name):
    """Return one sub-section of instructions, by heading or bold lead-in.

    :param str instructions: Markdown
    :param str name: symptoms, diagnosis, solutions or prevention
    :return: Markdown, without the heading; ``""`` where there is none
    :raise KeyError: for another name
    """
    pattern = _TOPICS[name]
    lines = instructions.split("\n")
    found, level = [], None
    for block in blocks.top_level(blocks.tokenize(instructions), lines):
        text = "\n".join(lines[block.start : block.end])
        lead = blocks.split_lead(lines[block.start])
        if block.type == "heading":
            if level is not None and block.level > level:
                found.append(text)
                continue
            wanted = pattern.search(blocks.key_of(block.text))
            level = block.level if wanted else None
        elif level in (None, 7) and block.type == "paragraph" and lead:
            level = 7 if pattern.search(blocks.key_of(lead[0])) else None
            rest = "\n".join([lead[1], *lines[block.start + 1 : block.end]]).strip()
            found += [rest] if level and rest else []
        elif level is not None:
            found.append(text)
    return "\n\n".join(found)
