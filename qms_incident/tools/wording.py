"""Wordings that look for somebody to blame, where a text should look for causes.

People who fear blame tell less, and the next incident has the same cause. This finds
phrases, and judges nobody: what is found is shown as a hint. Nothing of Odoo is needed.
"""

import re
from typing import NamedTuple

_PEOPLE = (
    r"(?:he|she|they|somebody|someone|engineers?|developers?|operators?|admins?|"
    r"administrators?|colleagues?|team|users?|on-call|responders?|reviewers?)"
)
_BLAMING = (
    r"(?:forgot|failed|neglected|ignored|missed|overlooked|broke|caused|deleted|"
    r"dropped|misconfigured|misread|did not|didn['’]t|was not|wasn['’]t|should|"
    r"could have|ought)"
)
# What each phrase is an instance of; the advice follows from that.
_PATTERNS = {
    "hindsight": (
        r"(?:should|could|ought to|needed to) (?:not |never |easily )?have|"
        r"shouldn['’]t have|"
        r"if only|in hindsight|with hindsight"
    ),
    "human_error": r"(?:human|user|operator|manual|pilot) errors?|human mistakes?",
    "forgetting": r"forg(?:o|e)t(?:ten|s|ting)?\b(?: to)?|neglected to",
    "fault": (
        r"\w+['’]s? (?:own )?(?:fault|mistake|error|negligence)|"
        r"(?:fault|mistake|error|negligence) (?:of|by) (?:the |our |a )?"
        + _PEOPLE
        + r"|"
        r"(?:is|are|was|were) to blame|to blame for|blam(?:e|ed|es|ing)|culprits?|"
        r"guilty|responsible for the (?:outage|incident|failure)|"
        r"made (?:a|the|this) mistake"
    ),
    "judging": (
        r"careless(?:ly|ness)?|negligen(?:t|tly|ce)|sloppy|sloppiness|lazy|laziness|"
        r"incompeten(?:t|tly|ce)|reckless(?:ly|ness)?|stupid(?:ly|ity)?|inattentive|"
        r"irresponsibl[ey]|(?:not paying|paid no|didn['’]t pay|lack of) attention|"
        r"(?:didn['’]t|did not) bother"
    ),
    "obvious": (
        r"obviously|clearly should|common sense|everybody knows|everyone knows|"
        r"any (?:competent|good|decent) \w+|simply had to|just had to|only had to"
    ),
    "person": _PEOPLE + r" (?:\w+ly )?(?:failed to|ignored|broke|misconfigured)",
}
_COMPILED = [
    (kind, re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE))
    for kind, pattern in _PATTERNS.items()
]
KINDS = (*_PATTERNS,)
# Code is quoted as it is.
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+(?=\s|$)|[.!?](?=\S)[^.!?\n]*)*[.!?]*")
_MARKS = " \t-*>#|0123456789.)"
_MAX_SENTENCE = 240


class Hint(NamedTuple):
    """A phrase that could be said better.

    :ivar str kind: one of :data:`KINDS`
    :ivar str phrase: as it stands there
    :ivar str sentence: that it stands in
    """

    kind: str
    phrase: str
    sentence: str


def hints(text, names=()):
    """Return phrases of a text that look for somebody to blame.

    :param str text: Markdown, or a false value; what is marked as code is left out
    :param names: of people; with a verb such as "forgot" they are a hint
    :return: in the order of the text, each phrase of a sentence once
    :rtype: list[Hint]
    """
    patterns = [*_COMPILED, *_of_people(names)]
    found = []
    for match in _SENTENCE.finditer(_CODE.sub(" ", text or "")):
        sentence = match[0].strip().lstrip(_MARKS).strip()
        hits = [
            (hit.start(), hit.end(), kind)
            for kind, pattern in patterns
            for hit in pattern.finditer(sentence)
        ]
        last = 0
        for start, end, kind in sorted(hits, key=lambda hit: (hit[0], -hit[1])):
            # Of phrases that overlap, the first and longest one says it.
            if start >= last:
                found.append(Hint(kind, sentence[start:end], _cut(sentence)))
                last = end
    return found


def _of_people(names):
    """Return the patterns of people together with what they are blamed for."""
    known = set()
    for name in names:
        known |= {name.strip(), *name.split()[:1]}
    known = sorted((name for name in known if len(name) > 2), key=len, reverse=True)
    if not known:
        return []
    people = "|".join(map(re.escape, known))
    pattern = rf"(?<!\w)(?:{people}) (?:\w+ly )?{_BLAMING}(?!\w)"
    return [("person", re.compile(pattern))]


def _cut(sentence):
    if len(sentence) <= _MAX_SENTENCE:
        return sentence
    return f"{sentence[:_MAX_SENTENCE].rstrip()}…"
