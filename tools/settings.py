"""What a person chooses (PORT, DB, ODOO_HOME, ARGS) and where everything lies."""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tools.errors import SetupError

DEFAULT_PORT = 8069
DEFAULT_DB = "qms_demo"
# Names of databases that the tools make for themselves.
BASE_PREFIX, TEST_PREFIX = "qms_base_", "qms_test_"
_RESERVED = ("postgres", "template0", "template1")
# A Unix socket's path is at most 107 bytes (sun_path, unix(7)).
_LONGEST_SOCKET = 107


@dataclass(frozen=True)
class Settings:
    """The choices of one call, checked.

    :param Path root: the checkout
    :param port: TCP port asked for, or None when the person left it open
    :param db: database asked for, or None when the person left it open
    :param odoo_home: an Odoo 19 checkout to use, or None
    :param bool ci: whether a machine is watching instead of a person
    :param list args: more arguments for pytest or the benchmark
    """

    root: Path
    port: int | None = None
    db: str | None = None
    odoo_home: Path | None = None
    ci: bool = False
    args: tuple = ()

    @classmethod
    def from_environment(cls, environ, root):
        """Read the choices from environment variables.

        :param dict environ: PORT, DB, ODOO_HOME, CI, ARGS; each may be missing or empty
        :param Path root: the checkout
        :raise SetupError: when one of them cannot be used
        """
        return cls(
            root=Path(root).resolve(),
            port=_port(environ.get("PORT")),
            db=_database(environ.get("DB")),
            odoo_home=_folder(environ.get("ODOO_HOME")),
            ci=environ.get("CI", "").lower() not in ("", "0", "false", "no"),
            args=_arguments(environ.get("ARGS")),
        )

    @property
    def work(self):
        """Folder of everything that is made."""
        return self.root / ".qms"

    def made(self, *parts):
        """Return a path in the folder of everything that is made."""
        return self.work.joinpath(*parts)

    @property
    def logs(self):
        return self.made("log")

    @property
    def data(self):
        """Odoo's data folder (filestore, sessions)."""
        return self.made("data")

    @property
    def python(self):
        """The virtual environment's interpreter."""
        return self.made("venv", "bin", "python")

    @property
    def socket_folder(self):
        """Where PostgreSQL's socket is: the `host` of every connection."""
        return self.made("pg", "run")

    def prepare(self):
        """Make the folder of everything that is made, and check that it is usable.

        :raise SetupError: when it cannot be written to or its path is too long
        """
        socket = str(self.socket_folder / ".s.PGSQL.5432")
        excess = len(os.fsencode(socket)) - _LONGEST_SOCKET
        if excess > 0:
            raise SetupError(
                f"The path of this checkout is {excess} bytes too long for "
                f"PostgreSQL's socket ({socket}).",
                "clone into a shorter path",
            )
        try:
            for folder in (self.work, self.logs, self.made("stamps")):
                folder.mkdir(exist_ok=True)
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise PermissionError(13, "Permission denied", str(folder))
        except PermissionError as error:
            raise SetupError(
                f"This user may not write to {error.filename}.",
                "run as the owner of the checkout, or clone into a folder of your "
                f"own; if another user made it: sudo rm -rf {self.work}",
            ) from error
        except FileExistsError as error:
            raise SetupError(
                f"{error.filename} is a file where a folder is needed.",
                f"remove it: rm {error.filename}",
            ) from error


def _port(text):
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise SetupError(
            f"PORT is {text!r}, which is no TCP port.",
            "give a number from 1024 to 65535, for example PORT=8070 make demo",
        )
    if int(text) < 1024 and os.geteuid() != 0:
        raise SetupError(
            f"PORT is {text}, and only root may use a port below 1024.",
            "give a number from 1024 to 65535, for example PORT=8070 make demo",
        )
    return int(text)


def _database(text):
    if not text:
        return None
    if (
        not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", text)
        or text in _RESERVED
        or text.startswith((BASE_PREFIX, TEST_PREFIX))
    ):
        raise SetupError(
            f"DB is {text!r}, which cannot be the name of the database.",
            "use lower-case letters, digits and _, beginning with a letter, and none "
            f"of {', '.join(_RESERVED)}, {BASE_PREFIX}…, {TEST_PREFIX}…",
        )
    return text


def _folder(text):
    if not text:
        return None
    folder = Path(text).expanduser().resolve()
    if not folder.is_dir():
        raise SetupError(
            f"ODOO_HOME is {text}, and there is no such folder.",
            "set it to a checkout of Odoo 19.0, or unset it to get Odoo fetched",
        )
    return folder


def _arguments(text):
    try:
        return tuple(shlex.split(text or ""))
    except ValueError as error:
        raise SetupError(
            f"ARGS is {text!r}, which cannot be split into arguments ({error}).",
            "close its quotes, for example ARGS=\"tests -k 'one or two'\"",
        ) from error
