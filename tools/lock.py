"""One command at a time in a checkout."""

import fcntl
import os
from contextlib import contextmanager

from tools.errors import SetupError


@contextmanager
def hold(settings, command):
    """Keep other commands out of this checkout's `.qms` while this one works.

    :param str command: its name, to be told to the others
    :raise SetupError: when another command is at work
    """
    with open(settings.made("lock"), "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "Another command"
            raise SetupError(
                f"{holder} is at work in this checkout.",
                "wait until it is done, or stop it with Ctrl-C where it runs",
            ) from error
        file.truncate(0)
        file.write(f"make {command} (process {os.getpid()})")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
