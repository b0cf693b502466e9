"""What differs between two revisions of a text, and of a list of parts.

No Odoo here: texts and names go in, positions and words come out.
"""

import re
from bisect import bisect_left
from difflib import SequenceMatcher

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
_WORD = re.compile(r"\w+")
# SequenceMatcher takes time in the product of both lengths; above this, words
# (about 2,000 on each side) give way to whole lines, and likeness to names.
_MAX_WORK = 4_000_000
_MAX_PAIRS = 2_500
# Below this, two parts of different names are two parts, not one rewritten.
_ALIKE = 0.6


def compare_words(old, new):
    """Tell which words of two texts differ.

    Lines are compared first and words only within the lines that changed, so
    that a long command with one other flag shows that flag.

    :param str old: the earlier text
    :param str new: the later text
    :return: two lists of ``(changed, text)``, for the old and the new text;
        joined, their texts are ``old`` and ``new``
    :rtype: tuple[list[tuple[bool, str]], list[tuple[bool, str]]]
    """
    before, after = [], []
    old_lines, new_lines = old.splitlines(True), new.splitlines(True)
    for tag, i1, i2, j1, j2 in _opcodes(old_lines, new_lines):
        gone, come = "".join(old_lines[i1:i2]), "".join(new_lines[j1:j2])
        if tag != "replace":
            _append(before, tag != "equal", gone)
            _append(after, tag != "equal", come)
            continue
        for changed, text in _words(gone, come, old_side=True):
            _append(before, changed, text)
        for changed, text in _words(gone, come, old_side=False):
            _append(after, changed, text)
    return before, after


def align(old, new):
    """Pair the parts of two revisions.

    Parts of the same name belong together, wherever they stand; of the rest,
    those whose words are alike (a part that was renamed) do.

    :param old: ``(name, text)`` of every part of the earlier revision, in order
    :param new: the same of the later revision
    :return: ``(old index or None, new index or None, moved)`` in the order of
        the later revision, removed parts standing where they stood;
        ``moved`` tells that a part changed its place among the others
    :rtype: list[tuple[int | None, int | None, bool]]
    """
    partner = _pair_by_name([part[0] for part in old], [part[0] for part in new])
    _pair_by_likeness(partner, old, new)
    kept = _longest_rising([partner[j] for j in sorted(partner)])
    rows = [
        (partner.get(j), j, j in partner and partner[j] not in kept)
        for j in range(len(new))
    ]
    for i in sorted(set(range(len(old))) - set(partner.values())):
        place = next(
            (
                position + 1
                for position in range(len(rows) - 1, -1, -1)
                if rows[position][0] is not None
                and rows[position][0] < i
                and not rows[position][2]
            ),
            0,
        )
        rows.insert(place, (i, None, False))
    return rows


def _opcodes(old, new):
    return SequenceMatcher(None, old, new, autojunk=False).get_opcodes()


def _words(old, new, old_side):
    """Yield ``(changed, text)`` of one side of two texts."""
    old_words, new_words = _TOKEN.findall(old), _TOKEN.findall(new)
    if len(old_words) * len(new_words) > _MAX_WORK:
        yield True, old if old_side else new
        return
    pieces = [
        (tag != "equal", "".join(old_words[i1:i2] if old_side else new_words[j1:j2]))
        for tag, i1, i2, j1, j2 in _opcodes(old_words, new_words)
    ]
    for place, (changed, text) in enumerate(pieces):
        # A blank between two changed words is part of one change.
        between = 0 < place < len(pieces) - 1 and not text.strip()
        yield changed or between, text


def _append(segments, changed, text):
    """Add a piece of text, to the last one when both are of the same kind."""
    if not text:
        return
    if segments and segments[-1][0] == changed:
        text = segments.pop()[1] + text
    segments.append((changed, text))


def _pair_by_name(old, new):
    """Return ``{new index: old index}`` of equal names, nearest in order first."""
    partner = {}
    for i, j, size in SequenceMatcher(
        None, old, new, autojunk=False
    ).get_matching_blocks():
        partner.update(zip(range(j, j + size), range(i, i + size), strict=True))
    free = {}
    taken = set(partner.values())
    for i, name in enumerate(old):
        if i not in taken:
            free.setdefault(name, []).append(i)
    for j, name in enumerate(new):
        if j not in partner and free.get(name):
            partner[j] = free[name].pop(0)
    return partner


def _pair_by_likeness(partner, old, new):
    """Pair what is left over when the words are alike, the most alike first."""
    taken = set(partner.values())
    gone = [i for i in range(len(old)) if i not in taken]
    come = [j for j in range(len(new)) if j not in partner]
    if len(gone) * len(come) > _MAX_PAIRS:
        return
    scores = []
    for j in come:
        words = SequenceMatcher(None, b=_WORD.findall(" ".join(new[j])), autojunk=False)
        for i in gone:
            words.set_seq1(_WORD.findall(" ".join(old[i])))
            if words.quick_ratio() >= _ALIKE and (ratio := words.ratio()) >= _ALIKE:
                scores.append((-ratio, i, j))
    for _score, i, j in sorted(scores):
        if i not in taken and j not in partner:
            partner[j] = i
            taken.add(i)


def _longest_rising(numbers):
    """Return the numbers of a longest rising subsequence (patience sorting)."""
    tops, ends, before = [], [], {}
    for number in numbers:
        place = bisect_left(tops, number)
        before[number] = ends[place - 1] if place else None
        tops[place:] = [number]
        ends[place:] = [number]
    rising, number = set(), ends[-1] if ends else None
    while number is not None:
        rising.add(number)
        number = before[number]
    return rising
