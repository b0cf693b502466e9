"""Prometheus and Alertmanager are fetched where they can be, and left out elsewhere."""

import os
from pathlib import Path

import pytest

from tools import apt, monitoring, process
from tools.errors import SetupError
from tools.settings import Settings

PROGRAMS = ("prometheus", "prometheus-alertmanager", "promtool", "amtool")


class Console:
    """Takes what is shown, and shows nothing."""

    def activity(self, _text):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        pass


@pytest.fixture
def settings(tmp_path):
    made = Settings.from_environment({}, tmp_path)
    made.prepare()
    return made


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(
        process, "which", lambda *names: None if names[0] in PROGRAMS else names[0]
    )


def unpack(folder):
    for name in PROGRAMS:
        program = folder / "usr" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_bytes(b"\x7fELF /usr/share/prometheus/alertmanager/ui/ end")


def test_what_is_installed_is_used(settings, monkeypatch):
    monkeypatch.setattr(process, "which", lambda *names: f"/usr/bin/{names[0]}")
    found, text = monitoring.ensure(settings, Console())
    assert found.alertmanager == Path("/usr/bin/prometheus-alertmanager")
    assert text == "this machine's own"
    assert found.environment() == {
        "QMS_PROMETHEUS": "/usr/bin/prometheus",
        "QMS_ALERTMANAGER": "/usr/bin/prometheus-alertmanager",
        "QMS_PROMTOOL": "/usr/bin/promtool",
        "QMS_AMTOOL": "/usr/bin/amtool",
    }


@pytest.mark.usefixtures("nothing_installed")
def test_packages_are_unpacked_once(settings, monkeypatch):
    calls = []

    def fetch(_settings, _console, folder):
        calls.append(folder)
        unpack(folder)
        return "prometheus 2.42.0"

    monkeypatch.setattr(monitoring, "_from_debian", fetch)
    for _time in range(2):
        found, text = monitoring.ensure(settings, Console())
        assert found.prometheus.is_relative_to(settings.made("monitoring"))
        assert text == "prometheus 2.42.0"
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("which", "mirror", "reason"),
    [
        (None, None, "left out: this machine has no apt"),
        ("/usr/bin/apt-get", None, "left out: this machine has no Debian package"),
    ],
)
def test_without_a_source_they_are_left_out(
    settings, monkeypatch, which, mirror, reason
):
    monkeypatch.setattr(
        process, "which", lambda *names: None if names[0] in PROGRAMS else which
    )
    monkeypatch.setattr(apt, "find_mirror", lambda: mirror)
    found, text = monitoring.ensure(settings, Console())
    assert found is None
    assert text.startswith(reason)


@pytest.mark.usefixtures("nothing_installed")
def test_without_a_network_they_are_left_out(settings, monkeypatch):
    def fail(*_arguments):
        raise SetupError("The network cannot be reached.", "check the connection")

    monkeypatch.setattr(monitoring, "_from_debian", fail)
    found, text = monitoring.ensure(settings, Console())
    assert (found, text) == (None, "left out: The network cannot be reached")


def test_the_unpacked_alertmanager_finds_its_templates(tmp_path):
    unpack(tmp_path)
    program = tmp_path / "usr" / "bin" / "prometheus-alertmanager"
    size = program.stat().st_size
    monitoring._relocate(tmp_path)
    assert program.stat().st_size == size, "offsets in the program must not move"
    told = program.read_bytes().split()[1].decode()
    assert os.path.normpath(told) == "share/prometheus/alertmanager/ui"
