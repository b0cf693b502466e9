"""What a person sees while the set-up works: numbered steps and how far each is."""

import os
import shutil
import sys
import threading
import time
from contextlib import contextmanager

_INDENT = " " * 6


def human_size(count):
    """Return a number of bytes for people: 532 B, 61 kB, 123 MB, 1.2 GB."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def human_time(seconds):
    """Return a duration in seconds for people: 0.4 s, 12 s, 2 min 05 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s"


class Console:
    """Writes progress to a stream: live on a terminal, plain lines elsewhere.

    :param stream: text stream to write to (standard output by default)
    """

    def __init__(self, stream=None):
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = self.live and "NO_COLOR" not in os.environ
        self._number = 0
        self._total = 0
        self._lock = threading.Lock()

    def paint(self, text, style):
        """Return the text in a style (bold, dim, red, green) where colours show."""
        code = {"bold": "1", "dim": "2", "red": "31", "green": "32"}[style]
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def mark(self, good):
        """Return the sign of a good or a bad ending."""
        return self.paint("✓", "green") if good else self.paint("✗", "red")

    def line(self, text=""):
        """Write one line."""
        with self._lock:
            self.stream.write(text + "\n")
            self.stream.flush()

    def title(self, text, steps):
        """Begin a command of so many steps."""
        self._number, self._total = 0, steps
        self.line(self.paint(text, "bold"))

    def note(self, text):
        """Write one line that belongs to the step under way."""
        self.line(_INDENT + text)

    @contextmanager
    def step(self, name):
        """Announce the next step; yields a function that says how it ended, which
        takes a text and whether that is good."""
        self._number += 1
        start = time.monotonic()
        head = self.paint(f"[{self._number}/{self._total}]", "bold") + f" {name}"
        self.line(head)
        said = [("done", True)]
        yield lambda text, good=True: said.append((text, good))
        spent = time.monotonic() - start
        ending, good = said[-1]
        if spent >= 1:
            ending += f" ({human_time(spent)})"
        self.note(f"{self.mark(good)} {ending}")

    @contextmanager
    def activity(self, text):
        """Show something that takes long; yields an `Activity` to say how far it is."""
        activity = Activity(self, text)
        activity.start()
        try:
            yield activity
        except BaseException:
            activity.stop(None)
            raise
        activity.stop("done")


class Activity:
    """One long-running thing, with its elapsed time and what it is at."""

    heartbeat = 30  # seconds between two lines where the output is not a terminal

    def __init__(self, console, text):
        self.console = console
        self.text = text
        self._detail = ""
        self._start = time.monotonic()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def detail(self, text):
        """Say what it is at, or how far ("45 of 123 MB, 37 %")."""
        self._detail = text

    def progress(self, done, total):
        """Say how many bytes of how many are done."""
        share = f", {100 * done // total} %" if total else ""
        self.detail(f"{human_size(done)} of {human_size(total)}{share}")

    def start(self):
        if not self.console.live:
            self.console.note(f"{self.text} …")
        self._ticker.start()

    def stop(self, ending):
        self._over.set()
        self._ticker.join()
        if self.console.live:
            self._draw("\r\033[K")
        elif ending:
            spent = time.monotonic() - self._start
            if spent >= self.heartbeat:
                self.console.note(f"{self.text}: {ending} in {human_time(spent)}")

    def _tick(self):
        interval = 0.2 if self.console.live else self.heartbeat
        while not self._over.wait(interval):
            spent = human_time(time.monotonic() - self._start)
            detail = f" · {self._detail}" if self._detail else ""
            if self.console.live:
                width = shutil.get_terminal_size().columns - 1
                text = f"{_INDENT}{self.text} · {spent}{detail}"[:width]
                self._draw(f"\r\033[K{self.console.paint(text, 'dim')}")
            else:
                self.console.note(f"{self.text} · {spent}{detail}")

    def _draw(self, text):
        with self.console._lock:
            self.console.stream.write(text)
            self.console.stream.flush()
