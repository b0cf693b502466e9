"""`make lint` and `make format`: what can be said of the code without running it."""

import os
import shutil
import subprocess

from tools import process
from tools.errors import CommandError, SetupError
from tools.stamps import Stamp, digest

_XML_PLUGIN = "node_modules/@prettier/plugin-xml/src/plugin.js"
_NODE_FILES = ("package.json", "package-lock.json")


def ensure_prettier(settings, console):
    """Have prettier with its XML plugin under `.qms/node`; says what was done."""
    folder = settings.made("node")
    stamp = Stamp(settings, "node")
    wanted = digest(*(settings.root / name for name in _NODE_FILES))
    if stamp.fits(wanted) and (folder / _XML_PLUGIN).is_file():
        return "up to date"
    stamp.clear()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in _NODE_FILES:
        shutil.copy(settings.root / name, folder / name)
    with console.activity("Installing prettier"):
        process.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            "Installing prettier",
            settings.logs / "npm.log",
            cwd=folder,
        )
    stamp.write(wanted)
    return "installed"


def check_source(settings, console, addons):
    """Check what can be checked without running anything.

    :param list addons: names of our add-ons
    :return: the names of the checks that complain; what they say is shown
    """
    return _run(settings, console, _source_checks(settings, addons))


def check_logs(settings, console, logs):
    """Check that Odoo warns of nothing in some logs.

    :param dict logs: what was done -> path of its log
    :return: as `check_source`
    """
    checklog = settings.made("venv", "bin", "checklog-odoo")
    checks = [
        (f"checklog-odoo: {what} without a warning", [checklog, "--no-echo", log])
        for what, log in logs.items()
    ]
    return _run(settings, console, checks)


def _run(settings, console, checks):
    complaints = []
    for name, argv in checks:
        done = subprocess.run(
            [str(part) for part in argv],
            cwd=settings.root,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        console.note(f"{console.mark(not done.returncode)} {name}")
        if done.returncode:
            complaints.append(name)
            for line in done.stdout.rstrip().splitlines():
                console.note(f"  {line}")
    return complaints


def apply_format(settings, console, addons):
    """Let ruff and prettier correct what they can."""
    ruff = [settings.python, "-m", "ruff"]
    troubles = []
    for what, argv in (
        # What it cannot correct, `make lint` tells.
        ("Correcting Python", [*ruff, "check", "--fix-only", "--quiet", "."]),
        ("Formatting Python", [*ruff, "format", "."]),
        *(
            ("Formatting XML and JavaScript", argv)
            for argv in _prettier(settings, addons, "--write")
        ),
    ):
        try:
            process.run(
                argv,
                what,
                settings.logs / "format.log",
                env=_environment(settings),
                cwd=settings.root,
            )
        except CommandError as error:
            troubles.append(error)
    changed = process.output(["git", "diff", "--stat"], cwd=settings.root)
    for line in (changed or "git sees no change").splitlines():
        console.note(line)
    if troubles:
        raise troubles[0]


def _source_checks(settings, addons):
    """Return (name, command) of each check of the source."""
    ruff = [settings.python, "-m", "ruff"]
    found = [
        ("ruff: code", [*ruff, "check", "."]),
        ("ruff: format", [*ruff, "format", "--check", "."]),
    ]
    if addons:
        pylint = [settings.python, "-m", "pylint", "--jobs=2", "--rcfile=.pylintrc"]
        found.append(("pylint-odoo: mandatory checks", [*pylint, *addons]))
    found += [
        ("prettier: format of XML and JavaScript", argv)
        for argv in _prettier(settings, addons, "--check")
    ]
    return found


def _prettier(settings, addons, mode):
    """Return the one command that runs prettier, or none when there is no file."""
    folder = settings.made("node")
    files = [
        path.relative_to(settings.root)
        for addon in addons
        for path in sorted((settings.root / addon).rglob("*"))
        # What lies in static/lib was written by others.
        if path.suffix in (".xml", ".js") and "lib" not in path.parts
    ]
    if not files:
        return []
    node = process.which("node", "nodejs")
    prettier = folder / "node_modules/prettier/bin/prettier.cjs"
    # Without --ignore-path it would leave out all that .gitignore names.
    return [
        [node, prettier, f"--plugin={folder / _XML_PLUGIN}", "--log-level=warn"]
        + ["--config", settings.root / "package.json", mode, *files]
    ]


def _environment(settings):
    # pylint-odoo's cache goes where everything that is made goes.
    return {
        **os.environ,
        "PYLINTHOME": str(settings.made("pylint")),
        "RUFF_CACHE_DIR": str(settings.made("ruff")),
        "NO_COLOR": "1",
    }


def verdict(complaints):
    """Say in words how a group of checks ended, and whether that is good."""
    if not complaints:
        return "nothing to complain of", True
    verb = "complains" if len(complaints) == 1 else "complain"
    return f"{len(complaints)} of these {verb}", False


def refuse(complaints):
    """Return the error that ends a lint with complaints."""
    return SetupError(
        f"Lint complains: {'; '.join(complaints)}.",
        "make format corrects what is only format; the rest is told above",
    )
