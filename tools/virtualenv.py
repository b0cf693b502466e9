"""The virtual environment that Odoo, the tests and the lint run in."""

import platform
import shutil
import sys

from tools import process
from tools.stamps import Stamp, digest

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")


def ensure(settings, console):
    """Make the virtual environment, or bring it up to date.

    :return: what was done, for people
    """
    folder = settings.made("venv")
    stamp = Stamp(settings, "venv")
    # A virtual environment holds absolute paths, so a moved checkout needs a new one.
    base = digest(str(folder), sys.executable, platform.python_version())
    wanted = digest(*(settings.root / name for name in REQUIREMENTS))
    made_with, _colon, holds = stamp.read().partition(":")
    if made_with == base and holds == wanted and settings.python.exists():
        return f"up to date (Python {platform.python_version()})"
    stamp.clear()
    log = settings.logs / "pip.log"
    if made_with != base or not settings.python.exists():
        shutil.rmtree(folder, ignore_errors=True)
        with console.activity("Making the virtual environment"):
            process.run(
                [sys.executable, "-m", "venv", folder],
                "Making the virtual environment",
                log,
            )
    pip_install(
        settings,
        console,
        "Installing Python packages",
        [part for name in REQUIREMENTS for part in ("-r", settings.root / name)],
    )
    stamp.write(f"{base}:{wanted}")
    return f"Python {platform.python_version()}"


def pip_install(settings, console, what, arguments):
    """Install Python packages with the virtual environment's pip.

    :param str what: the doing, for people
    :param list arguments: what to install, as for `pip install`
    """
    with console.activity(what) as activity:

        def watch(line):
            words = line.split()
            if words[:1] in (["Collecting"], ["Downloading"], ["Building"]):
                activity.detail(" ".join(words[:2])[:60])
            elif words[:1] == ["Installing"]:
                activity.detail(f"{len(words) - 3} packages into place")

        process.run(
            [settings.python, "-m", "pip", "install", "--no-input"]
            + ["--disable-pip-version-check", "--progress-bar", "off", *arguments],
            what,
            settings.logs / "pip.log",
            watch=watch,
        )
