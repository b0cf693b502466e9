"""The machine's own Debian sources, and what can be had from them."""

import os
import platform
import re
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from tools import process
from tools.errors import SetupError

# Suites by which a source is known to be Debian's main archive.
_SUITES = {
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldstable",
    "stable",
    "testing",
    "unstable",
}
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Mirror:
    """Where the machine gets Debian packages from.

    :param str uri: address of the archive
    :param str signed_by: path of a keyring, a key block, or "" for the trusted ones
    """

    uri: str
    signed_by: str


def parse_list(text):
    """Yield (uris, suites, components, signed_by) of a one-line-style `.list` file.

    Format: sources.list(5), "ONE-LINE-STYLE FORMAT".
    """
    for line in text.splitlines():
        match = re.match(
            r"deb\s+(?:\[(?P<options>[^]]*)]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)"
            r"(?P<components>(?:\s+[^\s#]+)*)",
            line.strip(),
        )
        if not match:
            continue
        options = dict(
            option.split("=", 1)
            for option in (match["options"] or "").split()
            if "=" in option
        )
        yield (
            [match["uri"]],
            [match["suite"]],
            match["components"].split(),
            options.get("signed-by", ""),
        )


def parse_sources(text):
    """Yield (uris, suites, components, signed_by) of a deb822-style `.sources` file.

    Format: sources.list(5), "DEB822-STYLE FORMAT".
    """
    for paragraph in re.split(r"\n\s*\n", text):
        fields, name = {}, None
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, _colon, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        if "deb" in fields.get("types", "").split():
            yield (
                fields.get("uris", "").split(),
                fields.get("suites", "").split(),
                fields.get("components", "").split(),
                fields.get("signed-by", ""),
            )


def find_mirror(folder=Path("/etc/apt")):
    """Find the Debian mirror among the machine's own package sources.

    :param Path folder: apt's configuration folder
    :return: a Mirror, or None when the machine has no source of Debian's main archive
    """
    entries = []
    parts = folder / "sources.list.d"
    for path in sorted(parts.glob("*.sources")) if parts.is_dir() else ():
        entries += parse_sources(path.read_text(errors="replace"))
    lists = sorted(parts.glob("*.list")) if parts.is_dir() else []
    for path in [folder / "sources.list", *lists]:
        if path.is_file():
            entries += parse_list(path.read_text(errors="replace"))
    for uris, suites, components, signed_by in entries:
        if "main" in components and _SUITES.intersection(suites):
            for uri in uris:
                if not uri.startswith(("cdrom:", "file:")):
                    return Mirror(uri, signed_by)
    return None


def os_release(path=Path("/etc/os-release")):
    """Return the fields of os-release(5), {} when there is none."""
    if not path.is_file():
        return {}
    found = re.findall(r"^(\w+)=[\"']?(.*?)[\"']?$", path.read_text(), re.MULTILINE)
    return dict(found)


class PrivateApt:
    """apt with lists, cache and sources of its own, so that no root is needed.

    :param Path folder: where its lists and cache may lie
    :param Mirror mirror: the archive to use
    :param list suites: suites to read
    :param Path log: where its output goes
    """

    def __init__(self, folder, mirror, suites, log):
        self.folder = folder
        self.mirror = mirror
        self.suites = suites
        self.log = log

    def prepare(self):
        """Write the sources and read the archive's lists."""
        for name in ("sources", "lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        signed_by = self.mirror.signed_by or (
            str(_KEYRING) if _KEYRING.is_file() else ""
        )
        source = (
            f"Types: deb\nURIs: {self.mirror.uri}\n"
            f"Suites: {' '.join(self.suites)}\nComponents: main\n"
        )
        if signed_by:
            source += f"Signed-By: {signed_by}\n"
        (self.folder / "sources" / "debian.sources").write_text(source)
        process.run(
            ["apt-get", *self._options(), "update"],
            "Reading Debian's package lists",
            self.log,
            env={"LC_ALL": "C"},
        )

    def download(self, packages, folder, activity):
        """Download packages ("name" or "name/suite") into a folder.

        :return: list of the files' paths
        """
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {}
        process.run(
            ["apt-get", *self._options(), "-qq", "--print-uris", "download", *packages],
            "Looking up the Debian packages",
            self.log,
            watch=lambda line: wanted.update(_announced(line)),
            cwd=folder,
            env={"LC_ALL": "C"},
        )
        total = sum(wanted.values())
        if shutil.disk_usage(folder).free < total:
            raise SetupError(
                "The disk is full.",
                "free some space (about 4 GB are needed), "
                "then run the same command again",
            )
        watcher = _FolderWatcher(folder, wanted, total, activity)
        with watcher:
            process.run(
                ["apt-get", *self._options(), "download", *packages],
                "Downloading the Debian packages",
                self.log,
                cwd=folder,
                env={"LC_ALL": "C"},
            )
        return [folder / name for name in wanted]

    def _options(self):
        options = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self.folder / "sources",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State::Lists": self.folder / "lists",
            "Dir::Cache": self.folder / "cache",
            # apt's own helper user cannot enter a private checkout.
            "APT::Sandbox::User": "root",
            "APT::Default-Release": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
        }
        # The packages are the same for every architecture, but apt wants one.
        return [f"-o{name}={value}" for name, value in options.items()]


def _announced(line):
    """Read one line of `apt-get --print-uris download`: 'uri' file size hash."""
    match = re.match(r"'[^']+' (\S+) (\d+)", line)
    return {match[1]: int(match[2])} if match else {}


class _FolderWatcher:
    """Tells an activity how much of the announced files has arrived."""

    def __init__(self, folder, wanted, total, activity):
        self.folder, self.wanted = folder, wanted
        self.total, self.activity = total, activity
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_exception):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(0.3):
            done = 0
            for name in self.wanted:
                for path in (self.folder / name, self.folder / f"{name}.FAILED"):
                    if path.is_file():
                        done += path.stat().st_size
            self.activity.progress(done, self.total)


def can_install():
    """Tell whether packages can be installed here without asking anyone."""
    return os.geteuid() == 0 and bool(process.which("apt-get"))


def install_line(packages):
    """Return the one line that installs packages, for an ordinary user to run."""
    return f"sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


def install(packages, console, log):
    """Install Debian packages when we may; otherwise say which line does.

    :param list packages: names of packages
    :raise SetupError: with that line when this user may not install
    """
    if not packages:
        return
    names = ", ".join(packages)
    if not can_install():
        way_out = (
            install_line(packages)
            if process.which("apt-get")
            else f"install {names} with the package manager of {platform.system()}"
        )
        verb = "is" if len(packages) == 1 else "are"
        raise SetupError(f"{names} {verb} needed and not installed.", way_out)
    environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    with console.activity("Reading the package lists"):
        process.run(["apt-get", "update"], "apt-get update", log, env=environment)
    with console.activity(f"Installing {names}") as activity:
        process.run(
            ["apt-get", "install", "-y", "--no-install-recommends", *packages],
            f"Installing {names}",
            log,
            watch=lambda line: activity.detail(line.strip()[:60]),
            env=environment,
        )
