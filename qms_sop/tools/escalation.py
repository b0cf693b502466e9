"""When a rule tells of a run: plain arithmetic, without the database.

Times are naive and in UTC.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from . import working_time

CLOCKS = ("response", "mitigation", "resolution")
# What ends a wait; whatever comes later ends it as well.
_REACHED_BY = {
    "acknowledged": ("acknowledged_at", "mitigated_at", "resolved_at"),
    "mitigated": ("mitigated_at", "resolved_at"),
    "resolved": ("resolved_at",),
}
_WAITS_FOR = {
    "not_acknowledged": "acknowledged",
    "not_mitigated": "mitigated",
    "not_resolved": "resolved",
}
_STOPS_CLOCK = {
    "response": "acknowledged",
    "mitigation": "mitigated",
    "resolution": "resolved",
}


class Rule(NamedTuple):
    """One line of a policy. Minutes count from the beginning of the clocks, or from
    the mark of a clock that the condition names; ``since`` is from when it is in
    force."""

    id: int
    policy_id: int
    level: int
    condition: str
    clock: str
    minutes: int
    hours: str
    repeat_count: int
    repeat_minutes: int
    stops_at: str
    message: str
    since: datetime
    role_ids: tuple[int, ...]
    user_ids: tuple[int, ...]
    channel_ids: tuple[int, ...]


class Policy(NamedTuple):
    """A row of a matrix; what is empty does not matter."""

    id: int
    matrix_id: int
    company_id: int
    severity_ids: frozenset[int]
    category_ids: frozenset[int]
    error_code_ids: frozenset[int]
    words: tuple[str, ...]
    sop_code: str
    rules: tuple[Rule, ...]

    def matches(self, subject):
        """Tell whether the policy is for a run.

        Severity, SOP and company all have to fit. Categories, error codes and words
        say together which kind of trouble is meant: one of them has to fit.

        :param Subject subject: what is known of the run
        :rtype: bool
        """
        if self.company_id and self.company_id != subject.company_id:
            return False
        if self.severity_ids and subject.severity_id not in self.severity_ids:
            return False
        if self.sop_code and self.sop_code != subject.sop_code:
            return False
        if not (self.category_ids or self.error_code_ids or self.words):
            return True
        return (
            subject.category_id in self.category_ids
            or subject.error_code_id in self.error_code_ids
            or bool(self.words and _finder(self.words).search(subject.text))
        )


class Subject(NamedTuple):
    """What policies are matched on. The text is that of the run in plain words."""

    company_id: int
    severity_id: int
    category_id: int
    error_code_id: int
    sop_code: str
    text: str


class Facts(NamedTuple):
    """How far a run has come.

    ``times`` has ``acknowledged_at``, ``mitigated_at``, ``resolved_at`` and, for each
    clock, ``<clock>_at_risk_at`` and ``<clock>_deadline``; false values for what is
    not known. ``holds`` are pairs of begin and end, in order.
    """

    begin: datetime
    times: dict
    holds: tuple
    # From a Monday to the opening times of its week, for what may wait
    weeks: Callable | None
    immediately: bool


class Due(NamedTuple):
    """A telling that is due: which time it is (0: the first), and since when."""

    rule: Rule
    repetition: int
    moment: datetime


def applicable(policies, subject):
    """Return the rules for a run: of each matrix, those of the first policy that fits.

    :param policies: :class:`Policy`, in order
    :param Subject subject: what is known of the run
    :rtype: list[Rule]
    """
    seen, rules = set(), []
    for policy in policies:
        if policy.matrix_id not in seen and policy.matches(subject):
            seen.add(policy.matrix_id)
            rules.extend(policy.rules)
    return rules


def look(rule, facts, last, now):
    """Return what is due by a rule, and when to look again.

    What was missed is told once, by the latest repetition.

    :param Rule rule: one that applies
    :param Facts facts: of the run
    :param int last: the last repetition that was told; -1: none
    :param datetime now: when it is
    :return: :class:`Due` or ``None``; a moment or ``None``
    :rtype: tuple
    """
    if _reached(rule.stops_at, facts) or (last < 0 and _over(rule, facts)):
        return None, None
    base = _base(rule, facts, told=last >= 0)
    if base is None:
        return None, None
    # What may wait waits for opening times; holds do not count either way.
    weeks = None if immediate(rule, facts) else facts.weeks
    due = None
    for number in range(last + 1, rule.repeat_count + 1):
        minutes = rule.minutes + number * rule.repeat_minutes
        moment = working_time.due(base, minutes, weeks, facts.holds)
        if moment is None:
            break
        if moment > now:
            return due, moment
        # What was over before the rule was made is none of its business.
        if moment >= rule.since:
            due = Due(rule, number, moment)
    return due, None


def immediate(rule, facts):
    """Tell whether a rule tells at any hour.

    :rtype: bool
    """
    return rule.hours == "always" or (rule.hours == "severity" and facts.immediately)


def _reached(what, facts):
    return any(facts.times[name] for name in _REACHED_BY[what])


def _over(rule, facts):
    """Tell whether what a rule waits for has happened before it told anybody."""
    waits_for = _WAITS_FOR.get(rule.condition)
    return bool(waits_for and _reached(waits_for, facts))


def _base(rule, facts, told):
    """Return from when the minutes of a rule count."""
    if rule.condition in _WAITS_FOR:
        return facts.begin
    name = "at_risk_at" if rule.condition == "at_risk" else "deadline"
    clocks = CLOCKS if rule.clock == "any" else (rule.clock,)
    moments = [
        facts.times[f"{clock}_{name}"]
        for clock in clocks
        if told or not _reached(_STOPS_CLOCK[clock], facts)
    ]
    return min(filter(None, moments), default=None)


@lru_cache(maxsize=256)
def _finder(words):
    """Return a pattern that finds any of some words, as whole words, in any case."""
    alternatives = "|".join(re.escape(word) for word in words)
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE)
