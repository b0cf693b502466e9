"""Entry point of `python3 -m tools COMMAND`.

This one file keeps to syntax that any Python 3 reads, so that a machine with an old
Python is told so in a sentence instead of a SyntaxError.
"""

import os
import sys

OLDEST, NEWEST = (3, 10), (3, 13)  # what Odoo 19 runs on (odoo/release.py)


def supported_python():
    """Return the path of a Python that Odoo 19 supports, or None when there is none.

    The running one is preferred; else the newest `python3.N` on the PATH.
    """
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    from shutil import which

    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = which("python3.%d" % minor)
        if found:
            return found
    return None


def main():
    """Hand over to `tools.commands` under a Python that Odoo supports."""
    python = supported_python()
    if python is None:
        sys.stderr.write(
            "This is Python %d.%d, and Odoo 19 runs on Python 3.%d to 3.%d.\n"
            "  Way out: install python3.%d with its venv module, "
            "then PYTHON=python3.%d make ...\n"
            % (sys.version_info[:2] + (OLDEST[1], NEWEST[1], NEWEST[1], NEWEST[1]))
        )
        return 1
    if python != sys.executable:
        os.execv(python, [python, "-m", "tools"] + sys.argv[1:])
    from tools import commands

    return commands.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
