"""Terms of a runbook's text that name records, in both directions.

Nothing here imports Odoo.
"""

import re
from dataclasses import replace

ERROR_CODES_LABEL = "Error codes"
# On a fence: the command is for every category, whatever its caption begins with.
EVERY_CATEGORY = "ALL"

_VERSION = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,2}")
_CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")
_SOP_CODE = re.compile(r"\b[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+\b")
_MONTHS = {
    "monthly": 1,
    "quarterly": 3,
    "semi annually": 6,
    "semiannually": 6,
    "half yearly": 6,
    "every six months": 6,
    "annually": 12,
    "annual": 12,
    "yearly": 12,
    "every year": 12,
}
_EVERY = re.compile(r"(?:every )?(\d{1,3}) (month|year)s?")
_WORDS_OF_MONTHS = {1: "Monthly", 3: "Quarterly", 6: "Every 6 months", 12: "Annually"}
_NUMBERED = re.compile(r"(?:([a-z]+)\s+)?#?(\d+(?:\.\d+)*[a-z]?)", re.I)
_ENDS = frozenset(
    {"end", "the end", "done", "stop", "finish", "finished", "end of procedure"}
)
_NEXT = frozenset({"next", "next step", "continue", "the next step"})
_CATEGORY_LABEL = re.compile(r"category\s*:?\s+", re.I)


def version_of(header):
    """Return the version that a header states, as a revision has it, or ``""``.

    :param runbook.Header header:
    :rtype: str
    """
    found = _VERSION.search(header.version)
    return found[0] if found else ""


def months_of(text):
    """Return a review cycle in months, or ``None`` where it is no such time.

    :param str text: such as ``Quarterly`` or ``every 6 months``
    """
    words = " ".join(re.findall(r"[a-z]+|\d+", text.lower()))
    if match := _EVERY.fullmatch(words):
        months = int(match[1]) * (12 if match[2] == "year" else 1)
    else:
        months = _MONTHS.get(words)
    return months if months is not None and 0 < months <= 120 else None


def words_of_months(months):
    """Return a review cycle as people write it; ``""`` for 0 months."""
    return _WORDS_OF_MONTHS.get(months, f"Every {months} months") if months else ""


def error_codes(header):
    """Return the error codes that a header line lists, in order.

    :param runbook.Header header:
    :rtype: list[str]
    """
    for label, value in header.extra:
        if label.lower() == ERROR_CODES_LABEL.lower():
            return list(dict.fromkeys(_CODE.findall(value)))
    return []


def with_error_codes(extra, codes):
    """Return header lines with a list of error codes; without one for none.

    :param tuple extra: ``((label, value), …)``
    :param list[str] codes: in the order in which they are written
    :rtype: tuple
    """
    lines, written = [], False
    for label, value in extra:
        if label.lower() != ERROR_CODES_LABEL.lower():
            lines.append((label, value))
        elif codes and not written:
            lines.append((label, ", ".join(codes)))
            written = True
    if codes and not written:
        lines.append((ERROR_CODES_LABEL, ", ".join(codes)))
    return tuple(lines)


def sop_codes(related):
    """Return ``{code: reference}`` of the SOPs that related documents name.

    :param runbook.Related related:
    :rtype: dict[str, runbook.Reference]
    """
    codes = {}
    for item in related.items:
        for code in _SOP_CODE.findall(item.title):
            codes.setdefault(code, item)
    return codes


class Categories:
    """The error categories as texts name them.

    :param dict codes: ``{id: code}``
    :param dict names: ``{id: name}``
    """

    def __init__(self, codes, names):
        self._ids = {}
        for number, code in codes.items():
            for word in (names.get(number), code):
                if word:
                    self._ids[word.casefold()] = number
        self.codes = codes
        words = sorted(map(re.escape, self._ids), key=len, reverse=True)
        self._start = re.compile(rf"(?:{'|'.join(words) or '(?!)'})\b", re.I)

    def named(self, text):
        """Return the id of the category that a text is the name of, or ``False``."""
        return self._ids.get(_CATEGORY_LABEL.sub("", text.strip()).casefold(), False)

    def of_caption(self, caption):
        """Return the id of the category that a caption starts with, or ``False``."""
        found = self._start.match(caption)
        return self._ids[found[0].casefold()] if found else False

    def of_command(self, command):
        """Return the id of the category that a command is for, or ``False``.

        :param Command command: its fence may say ``category=DATABASE``,
            else the first word of its caption counts
        """
        if command.category:
            return self._ids.get(command.category.casefold(), False)
        return self.of_caption(command.name)

    def code_of(self, command):
        """Return the code of the category that a command is for, or ``""``."""
        return self.codes.get(self.of_command(command), "")

    def with_category(self, command, category):
        """Return a command that reads back with a category.

        :param runbook.Command command:
        :param category: id of the category, or ``False`` for every one
        """
        if self.of_command(command) == category:
            return command
        bare = command.for_category("")
        if self.of_caption(bare.name) == category:
            return bare
        return bare.for_category(self.codes[category] if category else EVERY_CATEGORY)


class Steps:
    """Steps as choices name them.

    :param list steps: ``runbook.Step``, in order
    """

    def __init__(self, steps):
        self._by_number, self._by_name = {}, {}
        for index, step in enumerate(steps):
            number = step.number.lower()
            for key in ((step.label.lower(), number), ("", number)):
                self._by_number.setdefault(key, index)
            self._by_name.setdefault(step.name.casefold(), index)
            if not step.number:
                self._by_number.setdefault(("step", str(index + 1)), index)

    def find(self, text):
        """Return the index of the step that a text names, or ``None``."""
        if match := _NUMBERED.fullmatch(text):
            label, number = (match[1] or "").lower(), match[2].lower()
            found = self._by_number.get((label, number))
            if found is None and label == "step":
                found = self._by_number.get(("", number))
            if found is not None:
                return found
        return self._by_name.get(text.casefold())


def read_target(text, steps, categories):
    """Understand where a choice leads.

    :param str text: ``Step 4``, ``DATABASE``, ``DATABASE, Step 3``, ``End``,
        ``next step`` or the name of a step
    :param Steps steps:
    :param Categories categories:
    :return: index of the step or ``None``, id of the category or ``False``, and
        whether the procedure ends; ``None`` where the text is none of that
    :rtype: tuple | None
    """
    step, category, ends = None, False, False
    whole = steps.find(text.strip())
    if whole is not None:
        return whole, False, False
    for piece in re.split(r"\s*[,;]\s*|\s+and\s+", text.strip().rstrip(".")):
        word = piece.casefold()
        if word in _ENDS and not ends:
            ends = True
        elif word in _NEXT:
            continue
        elif not category and categories.named(piece):
            category = categories.named(piece)
        elif step is None and (found := steps.find(piece)) is not None:
            step = found
        else:
            return None
    return None if ends and step is not None else (step, category, ends)


def write_target(step, category, ends):
    """Return the text from which ``read_target`` reads the same.

    :param runbook.Step | None step: the step it leads to
    :param str category: code of the category, or ""
    :param bool ends: whether the procedure ends
    :rtype: str
    """
    pieces = [category] if category else []
    if ends:
        pieces.append("End")
    elif step is not None:
        pieces.append(f"{step.label or 'Step'} {step.number}")
    return ", ".join(pieces) or "Next step"


def renumbered(steps, moved):
    """Return steps with numbers in the order they now have.

    :param list steps: ``runbook.Step``, in order
    :param bool moved: whether the order is another one than as written; else
        only those without a number get one
    :rtype: list[runbook.Step]
    """
    numbered = [bool(step.number) for step in steps]
    if not any(numbered) or (all(numbered) and not moved):
        return steps
    label = next((step.label for step in steps if step.label), "")
    filled = [
        step if step.number or step.label else replace(step, label=label)
        for step in steps
    ]
    counts, result = {}, []
    for step in filled:
        if step.number and not step.number.isdecimal():
            result.append(step)
            continue
        if step.label not in counts:
            written = [
                int(other.number)
                for other in filled
                if other.label == step.label and other.number.isdecimal()
            ]
            counts[step.label] = min(written, default=1)
        result.append(replace(step, number=str(counts[step.label])))
        counts[step.label] += 1
    return result
