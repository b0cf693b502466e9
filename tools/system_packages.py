"""Programs that only the machine's package manager can give."""

import importlib.util

from tools import apt, process

# What a command needs: Debian's package, and how to tell that it is there.
_VENV = ("python3-venv", lambda: importlib.util.find_spec("ensurepip") is not None)
_BROWSER = (
    "chromium",
    lambda: process.which(
        "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"
    ),
)
_PDF = ("wkhtmltopdf", lambda: process.which("wkhtmltopdf"))
# The verification command of SOP-TRIAGE-001 is tested as it stands there.
_CURL = ("curl", lambda: process.which("curl"))
_JQ = ("jq", lambda: process.which("jq"))
_NODE = ("nodejs", lambda: process.which("node", "nodejs"))
_NPM = ("npm", lambda: process.which("npm"))

FOR_ODOO = (_VENV,)
FOR_TESTS = (_VENV, _BROWSER, _PDF, _CURL, _JQ)
FOR_LINT = (_VENV, _NODE, _NPM)


def missing(needs):
    """Return the Debian packages of those needs that are not met."""
    return [package for package, is_there in needs if not is_there()]


def ensure(needs, settings, console):
    """Install what is missing, or stop with the line that does.

    :param needs: FOR_ODOO, FOR_TESTS or FOR_LINT
    :return: list of the packages that were installed
    :raise SetupError: when something is missing and this user may not install it
    """
    packages = missing(needs)
    apt.install(packages, console, settings.logs / "apt.log")
    return packages
