"""What a person at a terminal reads and answers: on stderr, and from stdin."""

import os
import shutil
import sys

from qms_client import QmsError, clean
from qms_masking import is_secret

_STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}
_ASCII = {
    "─": "-",
    "━": "=",
    "│": "|",
    "✓": "ok",
    "✗": "failed:",
    "·": "-",
    "…": "...",
    "▸": ">",
    "↷": "skipped:",
    "“": '"',
    "”": '"',
    "–": "-",
}


class NoAnswerError(QmsError):
    """A question came up that nobody is there to answer."""

    exit_code = 2


class QuitError(Exception):
    """The person wants to go."""


class Terminal:
    """Writes to stderr, with colours where it is a terminal that wants them.

    :param bool quiet: write questions only, and what they are about
    """

    def __init__(self, quiet=False):
        self.quiet = quiet
        stream = sys.stderr
        is_terminal = stream.isatty()
        self.colours = (
            is_terminal
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM", "dumb") != "dumb"
        )
        self.width = min(shutil.get_terminal_size((80, 24)).columns, 100)
        encoding = (stream.encoding or "ascii").lower().replace("-", "")
        self._table = None if encoding.startswith("utf") else str.maketrans(_ASCII)

    def style(self, text, *styles):
        """Return a text in a style.

        :param str text: what is written; no control characters
        :param str styles: names of styles
        :rtype: str
        """
        if not self.colours or not text:
            return text
        codes = ";".join(_STYLES[name] for name in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def say(self, text="", *styles, indent=0):
        """Write a text, unless quiet.

        :param str text: any number of lines; what steers a terminal is removed
        :param str styles: names of styles
        :param int indent: columns
        """
        if not self.quiet:
            self._write(text, styles, indent)

    def _write(self, text, styles=(), indent=0, end="\n"):
        lines = []
        for line in clean(text).split("\n"):
            line = f"{' ' * indent}{line}" if line else line
            if self._table:
                line = line.translate(self._table)
            lines.append(self.style(line, *styles))
        try:
            print("\n".join(lines), end=end, file=sys.stderr, flush=True)
        except OSError:
            # The terminal is gone; the work is not.
            self.quiet = True

    def rule(self, title, *styles, line="─"):
        """Write a title in a line across the screen, unless quiet.

        :param str title: the title
        """
        title = clean(title)
        filled = f"{line * 2} {title} "
        self.say(filled + line * max(2, self.width - len(filled)), *styles)

    def output(self, line):
        """Write a line that a command printed, unless quiet.

        :param str line: without its end
        """
        self._marked("│", line)

    def command(self, text):
        """Write a command as it is typed, unless quiet.

        :param str text: any number of lines
        """
        for number, line in enumerate(text.split("\n")):
            self._marked(">" if number else "$", line, "cyan")

    def _marked(self, mark, line, *styles):
        if self.quiet:
            return
        if self._table:
            mark, line = mark.translate(self._table), line.translate(self._table)
        try:
            print(
                self.style(f"  {mark} ", "dim") + self.style(clean(line), *styles),
                file=sys.stderr,
                flush=True,
            )
        except OSError:
            self.quiet = True

    # -- questions -----------------------------------------------------------

    def ask(self, question):
        """Return what a person answers.

        :param str question: ends without a colon
        :return: the answer, without white space around it
        :rtype: str
        :raise QuitError: at the end of the input
        """
        self._write(f"{question}: ", ("bold",), end="")
        line = sys.stdin.readline()
        if not line:
            self._write("")
            raise QuitError
        if not sys.stdin.isatty():
            self._write(line.rstrip("\n"))
        return clean(line).strip()

    def ask_secret(self, question):
        """Return what a person answers, without showing it on a terminal.

        :param str question: ends without a colon
        :rtype: str
        :raise QuitError: at the end of the input
        """
        if not sys.stdin.isatty():
            return self.ask(question)
        import getpass

        try:
            return getpass.getpass(f"{question}: ", sys.stderr)
        except EOFError:
            raise QuitError from None

    def ask_variable(self, name):
        """Return the value of a variable; one named like a secret is not shown.

        :param str name: the variable
        :rtype: str
        :raise QuitError: at the end of the input
        """
        question = f"  {name} is not known; its value"
        return self.ask_secret(question) if is_secret(name) else self.ask(question)

    def ask_text(self, question, required=True):
        """Return a text that a person types; asks again while it is empty.

        :param str question: ends without a colon
        :param bool required: whether it must not be empty
        :rtype: str
        """
        while True:
            answer = self.ask(question)
            if answer or not required:
                return answer

    def ask_key(self, question, keys):
        """Return one of some letters; ``q`` quits.

        :param str question: what it is about
        :param dict keys: ``{letter: what it does}``; the words begin with the letter
        :rtype: str
        :raise QuitError: for ``q`` and at the end of the input
        """
        keys = {**keys, "q": "quit"}
        shown = " · ".join(f"[{key}]{word[1:]}" for key, word in keys.items())
        while True:
            answer = self.ask(f"{question}  {shown}").casefold()
            for key, word in keys.items():
                if answer in (key, word):
                    if key == "q":
                        raise QuitError
                    return key

    def ask_yes(self, question):
        """Return whether a person says yes; there is no default.

        :param str question: ends without a question mark
        :rtype: bool
        """
        while True:
            answer = self.ask(f"{question}? [y/n]").casefold()
            if answer in ("y", "yes"):
                return True
            if answer in ("n", "no"):
                return False

    def ask_which(self, question, labels, required=True):
        """Return one of some labels.

        :param str question: what it is about
        :param list labels: the answers there are
        :param bool required: whether one has to be chosen
        :return: the label; empty when none was chosen
        :rtype: str
        """
        for number, label in enumerate(labels, 1):
            self._write(f"  {number}  {label}")
        hint = f"1–{len(labels)}" + ("" if required else ", or Enter for none")
        while True:
            answer = self.ask(f"{question} [{hint}]")
            if not answer and not required:
                return ""
            for number, label in enumerate(labels, 1):
                if answer.casefold() in (str(number), label.casefold()):
                    return label
