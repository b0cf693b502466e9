"""Getting the source of Odoo 19, and how to start what was got."""

import ast
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tools import apt, process
from tools.console import human_size
from tools.errors import SetupError
from tools.stamps import Stamp, digest

SERIES = "19.0"
REPOSITORY = "https://github.com/odoo/odoo.git"

_PACKAGE = "odoo-19"
# The web client links to files of these packages. Odoo wants Font Awesome 4.7, which
# the stable suites have and sid no longer does.
_LINKED = (
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
    "fonts-montserrat",
    "fonts-roboto-unhinted",
    "fonts-ocr-b",
    "fonts-glyphicons-halflings",
)
_LINKED_STABLE = ("fonts-font-awesome", "fonts-inconsolata")
_STABLE_SUITES = ("bookworm", "trixie")
# Debian leaves this file out for its licence; asset bundles name it all the same.
_LEFT_OUT = Path(
    "odoo/addons/mail/static/lib/selfie_segmentation/selfie_segmentation.js"
)


@dataclass(frozen=True)
class OdooSource:
    """An Odoo 19 that can be started.

    :param Path python_path: folder to put on PYTHONPATH
    :param tuple addons: its folders of add-ons
    :param str origin: where it came from, for people
    :param str fingerprint: changes when the source does
    """

    python_path: Path
    addons: tuple
    origin: str
    fingerprint: str


def release_of(folder):
    """Return Odoo's version_info in a source folder, e.g. (19, 0, 0, "final", 0, "").

    Only literals are read; nothing of the folder is executed.

    :raise SetupError: when the folder holds no Odoo
    """
    release = folder / "odoo" / "release.py"
    try:
        tree = ast.parse(release.read_text())
    except (OSError, SyntaxError) as error:
        raise SetupError(
            f"{folder} is no checkout of Odoo (it has no odoo/release.py).",
            "set ODOO_HOME to a checkout of Odoo 19.0, or unset it to get Odoo fetched",
        ) from error
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "version_info":
            return tuple(
                part.value if isinstance(part, ast.Constant) else part.id
                for part in node.value.elts
            )
    raise SetupError(f"{release} does not say its version.", "use Odoo 19.0")


def from_folder(folder, origin):
    """Describe the Odoo in a folder.

    :param Path folder: what has `odoo/` in it
    :param str origin: where it came from, for people
    :raise SetupError: when it is not Odoo 19.0
    """
    version = release_of(folder)
    if version[:2] != (19, 0):
        series = ".".join(map(str, version[:2]))
        raise SetupError(
            f"{folder} holds Odoo {series}, and these add-ons are for Odoo {SERIES}.",
            "set ODOO_HOME to a checkout of Odoo 19.0, or unset it to get Odoo fetched",
        )
    addons = [folder / "odoo" / "addons", folder / "addons"]
    # The Debian package has a bare `addons` folder beside `odoo`: not the add-ons.
    addons = [path for path in addons if any(path.glob("*/__manifest__.py"))]
    if not any((path / "web" / "__manifest__.py").is_file() for path in addons):
        raise SetupError(
            f"The Odoo in {folder} has no add-on `web`.",
            "use a complete checkout (addons/ beside odoo/)",
        )
    commit = process.output(["git", "-C", folder, "rev-parse", "HEAD"])
    own = (folder / ".git").exists() and commit
    fingerprint = digest(str(folder), own or folder / "odoo" / "release.py")
    return OdooSource(folder, tuple(addons), origin, fingerprint)


def ensure(settings, console):
    """Get Odoo 19: ODOO_HOME, else Debian's package, else a clone.

    :return: an OdooSource
    """
    if settings.odoo_home:
        return from_folder(settings.odoo_home, "ODOO_HOME")
    stamp = Stamp(settings, "odoo")
    kept = stamp.read()
    if kept and (root := _python_path(settings.made("odoo"))):
        return from_folder(root, kept)
    reasons = []
    for get in (_from_debian, _from_git):
        target = settings.made("odoo.new")
        shutil.rmtree(target, ignore_errors=True)
        try:
            origin = get(settings, console, target)
            break
        except SetupError as error:
            reasons.append(error)
            shutil.rmtree(target, ignore_errors=True)
            if "disk is full" in error.problem:
                raise
    else:
        raise _neither(reasons)
    final = settings.made("odoo")
    shutil.rmtree(final, ignore_errors=True)
    target.rename(final)
    stamp.write(origin)
    return from_folder(_python_path(final), origin)


def _neither(reasons):
    """Say why Odoo could not be had, network trouble first."""
    for reason in reasons:
        if "network" in reason.problem:
            return SetupError(
                "Odoo 19 has to be downloaded, and the network cannot be reached.",
                "check the connection (and proxy settings) and run the same command "
                "again, or set ODOO_HOME to a checkout of Odoo 19.0",
            )
    said = "; ".join(reason.problem.rstrip(".") for reason in reasons)
    return SetupError(
        f"Odoo 19 could not be had: {said}.",
        "set ODOO_HOME to a checkout of Odoo 19.0",
    )


def _python_path(folder):
    """Return what to put on PYTHONPATH, or None when there is no Odoo in a folder."""
    for path in (folder / "usr" / "lib" / "python3" / "dist-packages", folder):
        if (path / "odoo" / "release.py").is_file():
            return path
    return None


def require_space(settings):
    """Refuse to begin what the disk has no room for.

    :raise SetupError: when less is free than what is still to be made takes
    """
    there = settings.odoo_home or Stamp(settings, "odoo").read()
    needed = 0.3e9 if there else 4e9
    free = shutil.disk_usage(settings.work).free
    if free < needed:
        raise SetupError(
            f"The disk is full: {human_size(free)} are free and about "
            f"{human_size(needed)} are needed.",
            "free some space, then run the same command again",
        )


def _from_debian(settings, console, target):
    """Unpack Debian's package and the packages its web client links to."""
    if not process.which("apt-get") or not process.which("dpkg-deb"):
        raise SetupError("this machine has no apt", "use git")
    mirror = apt.find_mirror()
    if mirror is None:
        raise SetupError("this machine has no Debian package source", "use git")
    codename = apt.os_release().get("VERSION_CODENAME")
    stable = codename if codename in _STABLE_SUITES else _STABLE_SUITES[-1]
    log = settings.logs / "odoo-source.log"
    private = apt.PrivateApt(settings.made("apt"), mirror, ["sid", stable], log)
    downloads = settings.made("downloads")
    with console.activity("Reading Debian's package lists"):
        private.prepare()
    with console.activity("Downloading Debian's odoo-19") as activity:
        files = private.download(
            [f"{name}/sid" for name in (_PACKAGE, *_LINKED)]
            + [f"{name}/{stable}" for name in _LINKED_STABLE],
            downloads,
            activity,
        )
    with console.activity("Unpacking (1.2 GB)") as activity:
        target.mkdir()
        for number, file in enumerate(sorted(files), start=1):
            activity.detail(f"{number} of {len(files)}")
            process.run(["dpkg-deb", "-x", file, target], "Unpacking Odoo", log)
            file.unlink()
    shutil.rmtree(settings.made("apt"), ignore_errors=True)
    root = _python_path(target)
    if root is None:
        raise SetupError("Debian's package is laid out differently by now", "use git")
    left_out = root / _LEFT_OUT
    left_out.parent.mkdir(parents=True, exist_ok=True)
    if not left_out.exists():
        left_out.write_text("// Not part of Debian's package.\n")
    dangling = dangling_links(target)
    if dangling:
        raise SetupError(
            f"Debian's package links to files that are not there ({dangling[0]}"
            + (f" and {len(dangling) - 1} more)" if len(dangling) > 1 else ")"),
            "use git",
        )
    version = next(file.name for file in files if file.name.startswith(_PACKAGE))
    return f"Debian package {version.split('_')[1]}"


def dangling_links(folder):
    """Return the symbolic links below a folder that lead nowhere."""
    found = []
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink() and not path.exists():
                found.append(path.relative_to(folder))
    return found


def _from_git(settings, console, target):
    """Clone the newest commit of Odoo's branch 19.0."""
    if not process.which("git"):
        raise SetupError("git is not installed", "install git")
    with console.activity(f"Cloning Odoo's branch {SERIES}") as activity:
        process.run(
            ["git", "clone", "--depth", "1", "--branch", SERIES, "--single-branch"]
            + ["--progress", REPOSITORY, target],
            f"Cloning Odoo's branch {SERIES}",
            settings.logs / "odoo-source.log",
            watch=lambda line: activity.detail(line.strip().rpartition("\r")[2]),
            env={"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        )
    return f"clone of branch {SERIES}"
