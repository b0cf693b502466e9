"""Words that a text can be found by; no Odoo."""

import re

_MOST = 8
_STEM = 6
_SHORTEST = 3
_WORD = re.compile(r"[^\W_]+")
# Stand in every other title, and say nothing of what happened
_EMPTY = frozenset(
    "and are but can cannot for from has have not our that the their there this was "
    "were when with".split()
)


def telling_words(text):
    """Return what is worth looking for in other texts: beginnings of its words.

    Cut, so that "schedules" finds "scheduling"; without numbers, which are ids and
    times most of all.

    :param str text: any text
    :return: up to eight, in small letters, each once, in their order
    :rtype: list[str]
    """
    words = (word.lower() for word in _WORD.findall(text))
    stems = (
        word[:_STEM]
        for word in words
        if len(word) >= _SHORTEST and not word.isdecimal() and word not in _EMPTY
    )
    return list(dict.fromkeys(stems))[:_MOST]


def first_line(text, longest=200):
    """Return the first line of a text that says something, cut to a length.

    :param str text: any text
    :param int longest: characters
    :rtype: str
    """
    lines = (" ".join(line.split()) for line in text.splitlines())
    return next(filter(None, lines), "")[:longest]
