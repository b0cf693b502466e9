"""Getting Prometheus and Alertmanager, without installing them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tools import apt, process
from tools.errors import SetupError
from tools.odoo_source import dangling_links
from tools.stamps import Stamp

# Where Debian's Alertmanager looks for its templates, and what is put in the place of
# that: as long, and relative to the folder that has bin/ and share/, in which
# examples/monitoring_stack.py starts it.
_TEMPLATES = b"/usr/share/prometheus/alertmanager"
_RELATIVE = b".////share/prometheus/alertmanager"
_PACKAGES = ("prometheus", "prometheus-alertmanager")
# Debian's name first; upstream calls the second one by its own name.
_PROGRAMS = {
    "prometheus": ("prometheus",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "promtool": ("promtool",),
    "amtool": ("amtool",),
}


@dataclass(frozen=True)
class Monitoring:
    """Programs that watch a service and tell of it.

    :param Path prometheus: evaluates rules
    :param Path alertmanager: sends alerts
    :param Path promtool: checks the configuration of the first
    :param Path amtool: checks that of the second
    """

    prometheus: Path
    alertmanager: Path
    promtool: Path
    amtool: Path

    def environment(self):
        """Return the variables by which the tests and the demo find them.

        :rtype: dict
        """
        return {f"QMS_{name.upper()}": str(getattr(self, name)) for name in _PROGRAMS}


def ensure(settings, console):
    """Get Prometheus and Alertmanager if they can be had.

    They are the machine's own, else Debian's packages, unpacked. What needs them is
    left out where there are none.

    :return: the Monitoring or None, and what was done, for people
    """
    own = _find(None)
    if own:
        return own, "this machine's own"
    folder = settings.made("monitoring")
    stamp = Stamp(settings, "monitoring")
    kept = stamp.read()
    if kept and (found := _find(folder)):
        return found, kept
    try:
        origin = _from_debian(settings, console, folder)
    except SetupError as error:
        shutil.rmtree(folder, ignore_errors=True)
        return None, f"left out: {error.problem.rstrip('.')}"
    stamp.write(origin)
    return _find(folder), origin


def _find(folder):
    """Return the programs in a folder, None when one is missing.

    :param folder: where packages were unpacked, None for the machine's own
    """
    found = {}
    for name, candidates in _PROGRAMS.items():
        if folder is None:
            path = process.which(*candidates)
        else:
            paths = (folder / "usr" / "bin" / one for one in candidates)
            path = next((one for one in paths if one.is_file()), None)
        if not path:
            return None
        found[name] = Path(path)
    return Monitoring(**found)


def _from_debian(settings, console, target):
    """Unpack Debian's packages; returns what they are, for people.

    :raise SetupError: when they cannot be had
    """
    if not process.which("apt-get") or not process.which("dpkg-deb"):
        raise SetupError("this machine has no apt", "install them")
    mirror = apt.find_mirror()
    codename = apt.os_release().get("VERSION_CODENAME")
    if mirror is None or not codename:
        raise SetupError("this machine has no Debian package source", "install them")
    log = settings.logs / "monitoring.log"
    private = apt.PrivateApt(settings.made("apt-monitoring"), mirror, [codename], log)
    shutil.rmtree(target, ignore_errors=True)
    with console.activity("Reading Debian's package lists"):
        private.prepare()
    with console.activity("Downloading Prometheus and Alertmanager") as activity:
        files = private.download(_PACKAGES, settings.made("downloads"), activity)
    target.mkdir()
    for file in files:
        process.run(["dpkg-deb", "-x", file, target], "Unpacking monitoring", log)
        file.unlink()
    shutil.rmtree(settings.made("apt-monitoring"), ignore_errors=True)
    # The consoles' scripts are in packages of their own; nobody looks at them here.
    for link in dangling_links(target):
        (target / link).unlink()
    _relocate(target)
    if not _find(target):
        raise SetupError("Debian's packages are laid out differently", "install them")
    versions = {file.name.split("_")[0]: file.name.split("_")[1] for file in files}
    return ", ".join(f"{name} {versions[name].split('+')[0]}" for name in _PACKAGES)


def _relocate(target):
    """Have the unpacked Alertmanager find its templates where they were unpacked."""
    program = target / "usr" / "bin" / _PROGRAMS["alertmanager"][0]
    if program.is_file():
        program.write_bytes(program.read_bytes().replace(_TEMPLATES, _RELATIVE))
