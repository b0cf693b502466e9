"""Steps: the shapes of their headings, and what their text says."""

import re
from collections import Counter
from typing import NamedTuple

from . import blocks, durations
from .model import Choice, Command, Duration, Step

# A procedure is made of these; the others name cases that stand side by side.
_PROCEDURE_WORDS = ("step", "phase", "stage")
_CASE_WORDS = ("issue", "incident", "scenario", "problem", "case", "task", "playbook")
_WORDS = "|".join((*_PROCEDURE_WORDS, *_CASE_WORDS))
_LABELLED = re.compile(
    rf"({_WORDS})\s+#?(\d+(?:\.\d+)*[a-z]?)\s*(?:[:.)\]]|[-–—]\s)?\s*(.*)", re.I
)
_NUMBERED = re.compile(r"(\d+(?:\.\d+)*)[.):]?\s+(\S.*)")
_PLAYBOOK = re.compile(r"\bplaybook\b", re.I)
# Emoji and such, but no quotation marks and no ASCII.
_DECORATION = re.compile(r"^[^\x21-\x7f\w“”„«»‘’‚€£¥§¿¡…–—→]+")
_KEYCAP = re.compile("([0-9])\ufe0f?\u20e3")

# Fences in these languages are text to read. One without a language is, too,
# unless it starts at a prompt.
_TEXT_LANGUAGES = frozenset(
    "ascii diff dot log markdown md mermaid none output plain plaintext plantuml rst "
    "text txt".split()
)
_PROMPT = re.compile(r"\s*\$ \S")
# Headings alone make a step only above something that is typed in.
_SHELL_LANGUAGES = frozenset(
    "bash bat cmd console fish powershell ps1 pwsh python psql sh shell shell-session "
    "sql terminal zsh".split()
)

_LABELS = {
    "objective": "objective",
    "goal": "objective",
    "aim": "objective",
    "purpose": "objective",
    "expected result": "expected_result",
    "expected results": "expected_result",
    "expected outcome": "expected_result",
    "expected outcomes": "expected_result",
    "success criteria": "expected_result",
    "verification": "verification",
    "verification steps": "verification",
    "verify": "verification",
    "validation": "verification",
    "how to verify": "verification",
    "expected time": "duration",
    "expected duration": "duration",
    "estimated time": "duration",
    "estimated duration": "duration",
    "time estimate": "duration",
    "duration": "duration",
    "time": "duration",
    "mandatory": "mandatory",
    "optional": "optional",
    "evidence": "evidence_required",
    "choices": "choices",
    "instructions": "instructions",
}
_TEXTS = ("objective", "expected_result", "verification")
_CHOICE = re.compile(r"(.+?)\s*(?:→|->|=>)\s*(\S.*)")
_COMMENT = re.compile(r"\s*(?:#+|--|//|::|REM\b)\s*(\S.*)")
_CAPTION_LIMIT = 160
# Below a command, in a code span: prose says what to look for, not what to compare.
_EXPECTED = re.compile(
    r"(?:(\*\*|__)expected output(?:\1\s*:|:\1)|expected output\s*:)"
    r"\s*(?P<mark>`+)(?!`)(?P<text>.+?)(?<!`)(?P=mark)\.?",
    re.I,
)
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])(?:\s|$)")


class Shape(NamedTuple):
    """How a heading says that it is a step."""

    kind: str
    number: str
    name: str


def undecorated(text):
    """Return a heading without emoji and other signs in front of its words."""
    return _KEYCAP.sub(r"\1.", _DECORATION.sub("", text)) or text


def shape_of(text):
    """Return the shape of a heading, or ``None`` for a plain one.

    :param str text: heading, without emphasis
    :rtype: Shape | None
    """
    text = undecorated(text)
    if match := _LABELLED.fullmatch(text):
        return Shape(match[1].lower(), match[2], match[3])
    if match := _NUMBERED.fullmatch(text):
        return Shape("numbered", match[1], match[2])
    return Shape("playbooks", "", text) if _PLAYBOOK.search(text) else None


def is_command(info, code):
    """Whether a fence holds something to run rather than to read.

    :param str info: what stands on the fence
    :param str code: its content
    """
    language, _space, options = info.partition(" ")
    if not code.strip():
        return False
    if not language:
        return bool(_PROMPT.match(code))
    return language.lower() not in _TEXT_LANGUAGES or "command" in options.split()


def is_typed(info, code):
    """Whether a fence is a command for a shell, a database or an interpreter."""
    language = info.partition(" ")[0].lower()
    return is_command(info, code) and (not language or language in _SHELL_LANGUAGES)


def choose(headings, commanded):
    """Decide which headings are the steps of a document.

    The strongest shape wins, and only one: Step, Phase or Stage with a number;
    else the largest numbered family (Issue 1 …, or ``1. …`` on one level); else
    playbooks; else plain headings with commands right below them. The rest are
    alternatives to the procedure, and stay sections.

    :param list[Block] headings: candidates, in order
    :param set[int] commanded: first lines of headings with a command below
    :return: the first lines of the chosen ones
    :rtype: set[int]
    """
    families = {}
    for heading in headings:
        if shape := shape_of(heading.text):
            key = shape.kind
            if key == "numbered":
                key = (key, heading.level, shape.number.count("."))
            families.setdefault(key, []).append(heading)
    for word in _PROCEDURE_WORDS:
        if word in families:
            return _outermost(families[word])
    counts = Counter(
        {key: len(found) for key, found in families.items() if _is_family(key, found)}
    )
    if counts:
        # most_common keeps the order of the document among equals
        return _outermost(families[counts.most_common(1)[0][0]])
    if "playbooks" in families:
        return _outermost(families["playbooks"])
    return _outermost([h for h in headings if h.start in commanded])


def _is_family(key, found):
    if isinstance(key, tuple):
        return len(found) > 1
    return key in _CASE_WORDS


def _outermost(headings):
    """Return the first lines of the headings that lie in none of the others.

    A deeper one counts as inside until a heading as high as its parent follows.
    """
    chosen, level = set(), None
    for heading in headings:
        if level is None or heading.level <= level:
            level = heading.level
            chosen.add(heading.start)
    return chosen


class _Piece(NamedTuple):
    """Lines of a step that belong together; ``kind`` is a block type or "lead"."""

    kind: str
    start: int
    end: int
    text: str
    level: int = 0
    heading: str = ""


def parse(heading, level, lines):
    """Understand a step.

    :param str heading: its text, without emphasis
    :param int level: 1 to 6
    :param list[str] lines: below the heading
    :rtype: Step
    """
    return _Reader(lines).step(heading, level)


def _title(heading):
    """Return label, number, name and duration of a heading."""
    text, duration = durations.split_heading(undecorated(heading))
    shape = shape_of(text)
    if shape is None or shape.kind == "playbooks":
        return "", "", text, duration
    if shape.kind == "numbered":
        return "", shape.number, shape.name, duration
    word = text.split()[0]
    label = word.capitalize() if word.isupper() or word.islower() else word
    return label, shape.number, shape.name or text, duration


class _Reader:
    """Sorts the blocks of one step into its fields."""

    def __init__(self, lines):
        tokens = blocks.tokenize("\n".join(lines))
        self.lines = lines
        self.top = blocks.top_level(tokens, lines)
        while self.top and self.top[-1].type == "hr":
            self.top.pop()
        self.fences = {
            fence.start: fence
            for fence in blocks.fences(tokens)
            if is_command(fence.info, fence.code)
        }
        # What a command's output must contain, by the first line of its fence
        self.expected = {}
        self.fields = {
            "duration": None,
            "mandatory": None,
            "evidence_required": None,
            "choices": None,
        }
        self.texts = {name: [] for name in (*_TEXTS, "instructions")}
        self.commands = []

    def step(self, heading, level):
        label, number, name, duration = _title(heading)
        self._sort(self._pieces())
        commands = [c for c in self.commands if c.purpose == "action"]
        commands += [c for c in self.commands if c.purpose == "verification"]
        fields = self.fields
        return Step(
            name=name,
            label=label,
            number=number,
            level=level,
            objective=self._text("objective"),
            instructions=self._text("instructions"),
            commands=tuple(commands),
            expected_result=self._text("expected_result"),
            verification=self._text("verification"),
            duration=duration or fields["duration"] or Duration(),
            mandatory=fields["mandatory"] is not False,
            evidence_required=bool(fields["evidence_required"]),
            choices=fields["choices"] or (),
        )

    # -- from blocks to pieces

    def _pieces(self):
        """Return the blocks, paragraphs split where a line has a bold lead-in."""
        pieces = []
        for block in self.top:
            if block.type == "paragraph":
                pieces += self._split(block)
            else:
                pieces.append(self._piece(block.type, block.start, block.end, block))
        return self._without_expected(pieces)

    def _without_expected(self, pieces):
        """Note what stands below a command of its output, and leave it out."""
        kept = []
        for piece in pieces:
            above = kept[-1].start if kept and kept[-1].kind == "fence" else None
            if above in self.fences and above not in self.expected:
                if text := read_expected(piece.text):
                    self.expected[above] = text
                    kept[-1] = kept[-1]._replace(end=piece.end)
                    continue
            kept.append(piece)
        return kept

    def _split(self, block):
        start, kind = block.start, self._line_kind(block.start)
        for line in range(block.start + 1, block.end):
            lead = blocks.split_lead(self.lines[line])
            if lead and blocks.key_of(lead[0]) in _LABELS:
                yield self._piece(kind, start, line)
                start, kind = line, "lead"
        yield self._piece(kind, start, block.end)

    def _line_kind(self, line):
        return "lead" if blocks.split_lead(self.lines[line]) else "paragraph"

    def _piece(self, kind, start, end, block=None):
        text = "\n".join(self.lines[start:end])
        level, heading = (block.level, block.text) if block else (0, "")
        return _Piece(kind, start, end, text, level, heading)

    # -- from pieces to fields

    def _sort(self, pieces):
        index = 0
        while index < len(pieces):
            piece = pieces[index]
            name, rest = self._label(piece)
            following = self._extent(pieces, index) if name else index
            taken = pieces[index + 1 : following]
            if name is None or not self._set(name, rest, taken, piece.kind):
                following = self._section_end(pieces, index)
                self._instruct(pieces[index:following])
            index = following

    def _label(self, piece):
        """Return the field that a piece starts, and the text beside the label."""
        if piece.kind == "heading":
            return _LABELS.get(blocks.key_of(piece.heading)), ""
        if piece.kind == "lead":
            first, _newline, rest = piece.text.partition("\n")
            label, beside = blocks.split_lead(first)
            text = "\n".join(filter(None, (beside, rest))).rstrip()
            return _LABELS.get(blocks.key_of(label)), text
        return None, ""

    def _extent(self, pieces, index):
        """Return the index after the last piece of a field."""
        first = pieces[index]
        name, beside = self._label(first)
        if beside and name not in ("expected_result", "verification"):
            return index + 1
        if name == "instructions":
            return index + 1
        if name == "choices" or (name == "objective" and first.kind == "lead"):
            return index + 1 + self._is_text(pieces, index + 1)
        end = index + 1
        while end < len(pieces):
            piece = pieces[end]
            if self._label(piece)[0]:
                break
            if first.kind == "heading":
                if piece.kind == "heading" and piece.level <= first.level:
                    break
            elif piece.kind in ("heading", "lead"):
                break
            elif beside and piece.kind != "fence":
                break
            end += 1
        return end

    def _is_text(self, pieces, index):
        return index < len(pieces) and pieces[index].kind not in ("heading", "lead")

    def _section_end(self, pieces, index):
        """Return the index after the text that stands below one heading."""
        end = index + 1
        while end < len(pieces) and not (
            pieces[end].kind == "heading" or self._label(pieces[end])[0]
        ):
            end += 1
        return end

    def _set(self, name, beside, taken, kind):
        if name == "instructions":
            self.texts[name].append(_Joined([beside] if beside else []))
            return True
        if name in _TEXTS:
            purpose = "verification" if name == "verification" else None
            kept = [beside] if beside else []
            kept += self._kept(taken, purpose)
            self.texts[name].append(_Joined(kept))
            return True
        if name == "choices":
            found = _choices(taken) if not beside else None
            self.fields["choices"] = (self.fields["choices"] or ()) + (found or ())
            return found is not None
        if self.fields[name if name != "optional" else "mandatory"] is not None:
            return False
        return self._set_value(name, beside, taken)

    def _set_value(self, name, beside, taken):
        if name == "duration":
            value = durations.read(beside) if beside else None
        elif name == "evidence_required":
            value = True if blocks.key_of(beside) in ("required", "yes") else None
        else:
            flag = {"yes": True, "no": False}.get(blocks.key_of(beside))
            value = (not flag if name == "optional" else flag) if beside else None
            value = None if flag is None else value
            name = "mandatory"
        if value is None or taken:
            return False
        self.fields[name] = value
        return True

    def _instruct(self, pieces):
        """Take the text below one heading as instructions and commands."""
        before = len(self.commands)
        first = pieces[0]
        headed = first.kind == "heading"
        below = pieces[1:] if headed else pieces
        kept = self._kept(below, "action")
        found = self.commands[before:]
        bare = all(text.kind == "hr" for text in kept)
        if headed and found and bare and not self._has_deeper(first):
            self._prefix(before, first.heading)
            return
        if headed:
            kept = [first, *kept]
        self.texts["instructions"].append(_Joined(kept))

    def _has_deeper(self, heading):
        after = [b for b in self.top if b.type == "heading" and b.start > heading.start]
        return bool(after) and after[0].level > heading.level

    def _prefix(self, start, heading):
        commands = self.commands[start:]
        for index, command in enumerate(commands, start):
            name = heading
            if len(commands) > 1 or not _is_derived(command):
                name = _name(f"{heading}: {command.name}")
            self.commands[index] = command._replace(name=name)

    def _kept(self, pieces, purpose):
        """Return the pieces without captions and commands, and note the commands.

        :param purpose: of the commands; ``None`` leaves them in the text
        """
        kept = []
        for piece in pieces:
            if purpose is None:
                kept.append(piece)
            elif piece.kind == "fence" and piece.start in self.fences:
                caption = kept[-1] if kept else None
                if caption and not (name := self._caption(caption, piece)):
                    caption, name = None, ""
                if caption:
                    kept.pop()
                self._add(self.fences[piece.start], name if caption else "", purpose)
            elif piece.kind in ("bullet_list", "ordered_list"):
                kept.append(self._without_fences(piece, purpose))
            else:
                kept.append(piece)
        return kept

    def _caption(self, piece, fence):
        """Return the caption that a piece is for the fence below it, or ``""``."""
        if not isinstance(piece, _Piece) or "\n" in piece.text:
            return ""
        if any(self.lines[line].strip() for line in range(piece.end, fence.start)):
            return ""
        text = blocks.plain(piece.text)
        if piece.kind == "lead":
            return _name(text)
        if piece.kind == "paragraph" and (
            text.endswith(":") or len(text) <= _CAPTION_LIMIT
        ):
            return _name(text)
        return ""

    def _without_fences(self, piece, purpose):
        inside = [
            self.fences[line]
            for line in range(piece.start, piece.end)
            if line in self.fences
        ]
        if not inside:
            return piece
        gone = {}
        for fence in inside:
            lead = _name(blocks.plain(fence.leads.partition("\n")[0]))
            gone.update(self._expected_in_list(fence, piece.end))
            self._add(fence, lead, purpose)
            gone.update(dict.fromkeys(range(fence.start, fence.end), ""))
            # "1. ```bash": the command's name takes its place in the list.
            mark = re.split(r"`{3}|~{3}", self.lines[fence.start])[0]
            if mark.strip():
                gone[fence.start] = mark + blocks.written(self.commands[-1].name)
        rest = []
        for line in range(piece.start, piece.end):
            text = gone.get(line, self.lines[line]).rstrip()
            if text or (line not in gone and rest and rest[-1]):
                rest.append(text if line in gone else self.lines[line])
        while rest and not rest[-1].strip():
            rest.pop()
        return piece._replace(text="\n".join(rest))

    def _expected_in_list(self, fence, end):
        """Note what the line below a command in a list says of its output.

        :param int end: line after the list
        :return: the line that is said with that, as ``{line: ""}``
        """
        below = self.lines[fence.end : min(fence.end + 2, end)]
        text = read_expected(below[0].strip()) if below else ""
        if not text or (
            len(below) > 1 and below[1].strip() and not _ITEM.match(below[1])
        ):
            return {}
        self.expected[fence.start] = text
        return {fence.end: ""}

    def _add(self, fence, caption, purpose):
        language, _space, options = fence.info.partition(" ")
        command = Command(
            caption or _derived(fence.code),
            language,
            fence.code,
            purpose,
            blocks.one_line(options),
            self.expected.get(fence.start, ""),
        )
        self.commands.append(command)

    def _text(self, name):
        return _join_all(self.texts[name], self.lines)


class _Joined(NamedTuple):
    """Pieces, or a string beside a label, that make up one stretch of text."""

    pieces: list


def _join_all(stretches, lines):
    """Join pieces; those that were neighbours keep the lines between them."""
    text, end = "", None
    pieces = [piece for stretch in stretches for piece in stretch.pieces]
    while pieces and isinstance(pieces[-1], _Piece) and pieces[-1].kind == "hr":
        pieces.pop()
    for piece in pieces:
        if isinstance(piece, str):
            text, end = f"{text}\n\n{piece}" if text else piece, None
            continue
        if not piece.text.strip():
            continue
        if not text:
            gap = ""
        elif piece.kind in ("heading", "hr") or end is None:
            gap = "\n\n"
        elif not any(map(str.strip, lines[end : piece.start])):
            gap = "\n" * (piece.start - end + 1)
        else:
            gap = "\n\n"
        text, end = f"{text}{gap}{piece.text}", piece.end
    return text.rstrip()


def _name(text):
    return blocks.one_line(text).rstrip(": ")


def _derived(code):
    """Return a name for a command without a caption: its first comment or line."""
    first = next(line for line in code.split("\n") if line.strip())
    match = _COMMENT.match(first)
    name = _name((match[1] if match else first)[:_CAPTION_LIMIT])
    return name or "Command"


def _is_derived(command):
    return command.name == _derived(command.code)


def read_expected(text):
    """Return what a line below a command says that its output must contain.

    :param str text: such as "Expected output: `0 rows`"
    :return: the text in the code span; ``""`` where the line says something else
    """
    match = _EXPECTED.fullmatch(text.rstrip()) if "`" in text else None
    if not match or match["mark"] in re.findall("`+", match["text"]):
        return ""
    inside = match["text"]
    if inside.strip() and inside[0] == inside[-1] == " ":
        # As in any code span, one space on either side only keeps marks apart.
        inside = inside[1:-1]
    return inside if inside.strip() else ""


def _choices(pieces):
    """Return the choices of a list in which every item has an arrow."""
    if len(pieces) != 1 or pieces[0].kind != "bullet_list":
        return None
    found = []
    for line in pieces[0].text.split("\n"):
        match = _CHOICE.fullmatch(re.sub(r"^[-*+] +", "", line).strip())
        if not match:
            return None
        found.append(Choice(*match.groups()))
    return tuple(found)


# -- writing


def render(step):
    """Return a step as Markdown.

    :param Step step:
    """
    pieces = [_heading(step)]
    pieces += _labelled("Objective", step.objective, step.level)
    if step.duration.text or step.duration.minutes:
        text = step.duration.text or Duration.of(step.duration.minutes).text
        pieces.append(f"**Expected time**: {blocks.one_line(text)}")
    if not step.mandatory:
        pieces.append("**Optional**: yes")
    if step.evidence_required:
        pieces.append("**Evidence**: required")
    below = _with_commands(step)
    if below and any(piece.startswith("#") for piece in pieces[1:]):
        # The objective has a heading, which must not go on below it.
        pieces.append(f"{'#' * min(step.level + 1, 6)} Instructions")
    pieces += below
    pieces += _labelled("Expected Result", step.expected_result, step.level)
    if step.choices:
        lines = [
            f"- {blocks.one_line(c.name)} → {blocks.one_line(c.target)}"
            for c in step.choices
        ]
        pieces += ["**Choices**:", "\n".join(lines)]
    checks = [c for c in step.commands if c.purpose == "verification"]
    pieces += _labelled("Verification", step.verification, step.level, bool(checks))
    pieces += [_fenced(command) for command in checks]
    return "\n\n".join(pieces) + "\n"


def _heading(step):
    before = "#" * step.level + " "
    if step.label and step.number:
        before += f"{step.label} {step.number}: "
    elif step.number:
        before += f"{step.number}. "
    return blocks.written(blocks.one_line(step.name), before)


def _labelled(label, text, level, forced=False):
    """Return a field below its label; below a heading where it needs one."""
    text = text.strip("\n")
    if not text.strip():
        return [f"**{label}**:"] if forced else []
    text = blocks.closed(text)
    lines = text.split("\n")
    top = blocks.top_level(blocks.tokenize(text), lines)
    if (label == "Objective" and len(top) > 1) or any(
        block.type == "heading"
        or (block.type == "paragraph" and blocks.split_lead(lines[block.start]))
        for block in top
    ):
        text = blocks.demoted(text, min(level + 1, 5))
        return [f"{'#' * min(level + 1, 6)} {label}", text]
    plain = len(top) == 1 and top[0].type == "paragraph" and text[0] != " "
    if plain and not forced:
        return [f"**{label}**: {text}"]
    return [f"**{label}**:", text]


def _with_commands(step):
    """Return instructions and the commands behind their last text."""
    text = step.instructions.strip("\n")
    actions = [_fenced(c) for c in step.commands if c.purpose != "verification"]
    if not text.strip():
        return actions
    text = blocks.demoted(blocks.closed(text), min(step.level, 5))
    if not actions:
        return [text]
    lines = text.split("\n")
    top = blocks.top_level(blocks.tokenize(text), lines)
    # Below a heading that has no text of its own, a command would take its name.
    end = len(top)
    while end and top[end - 1].type in ("heading", "hr"):
        end -= 1
    cut = top[end].start if end < len(top) else len(lines)
    head, tail = "\n".join(lines[:cut]), "\n".join(lines[cut:])
    return [piece for piece in (head.rstrip("\n"), *actions, tail) if piece]


def _fenced(command):
    """Return a command as a fence below its caption."""
    name = _name(command.name) or _derived(command.code)
    plain = command.purpose == "verification" or blocks.key_of(name) in _LABELS
    if plain:
        caption = blocks.written(name, "", ":")
    else:
        caption = blocks.written(name, "**", "**:")
    code = command.code.replace("\r\n", "\n")
    runs = [len(run) for run in re.findall(r"`{3,}", code)]
    mark = "`" * max([3, *(run + 1 for run in runs)])
    info = _info(command)
    below = _expected_line(command.expected_output)
    return f"{caption}\n\n{mark}{info}\n{code}\n{mark}{below}"


def _expected_line(text):
    """Return the line below a command from which ``read_expected`` reads a text."""
    text = re.sub(r"[\r\n\v\f]+", " ", text)
    if not text.strip():
        return ""
    runs = re.findall("`+", text)
    mark = next(m for n in range(1, len(runs) + 2) if (m := "`" * n) not in runs)
    apart = "`" in (text[0], text[-1]) or text[0] == text[-1] == " "
    gap = " " if apart else ""
    return f"\nExpected output: {mark}{gap}{text}{gap}{mark}"


def _info(command):
    language = re.sub(r"[\s`]+", "-", command.language.strip())
    options = blocks.one_line(command.options.replace("`", ""))
    if not is_command(f"{language} {options}".strip(), command.code):
        if language:
            options = f"{options} command".strip()
        else:
            language = "sh"
    return f"{language or 'sh'} {options}".strip() if options else language
