"""The parts of tools/ that need neither Odoo nor PostgreSQL."""

import ast
import errno
import io
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import (
    __main__ as entry,
)
from tools import (
    apt,
    commands,
    console,
    databases,
    demo,
    errors,
    lock,
    odoo_source,
    ports,
    postgres,
    process,
    pytest_workers,
    server,
    settings,
    stamps,
    system_packages,
    testing,
)
from tools import odoo as odoo_tools

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def checkout(tmp_path):
    """Settings of an empty checkout."""
    chosen = settings.Settings.from_environment({}, tmp_path)
    chosen.prepare()
    return chosen


# === Choices ===


def test_defaults_are_left_open(tmp_path):
    chosen = settings.Settings.from_environment({"PORT": "", "CI": "false"}, tmp_path)
    assert (chosen.port, chosen.db, chosen.odoo_home) == (None, None, None)
    assert chosen.ci is False
    assert chosen.work == tmp_path / ".qms"


def test_choices_are_read(tmp_path):
    environ = {
        "PORT": "8070",
        "DB": "qms_two",
        "ODOO_HOME": str(tmp_path),
        "CI": "true",
        "ARGS": "tests -k 'one or two'",
    }
    chosen = settings.Settings.from_environment(environ, tmp_path)
    assert (chosen.port, chosen.db, chosen.ci) == (8070, "qms_two", True)
    assert chosen.odoo_home == tmp_path
    assert chosen.args == ("tests", "-k", "one or two")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("PORT", "http", "PORT is 'http', which is no TCP port."),
        ("PORT", "0", "PORT is '0', which is no TCP port."),
        ("PORT", "65536", "PORT is '65536', which is no TCP port."),
        ("PORT", "٨٠٦٩", "PORT is '٨٠٦٩', which is no TCP port."),
        ("DB", "Demo", "DB is 'Demo', which cannot be the name"),
        ("DB", "a; DROP", "DB is 'a; DROP', which cannot be the name"),
        ("DB", "postgres", "DB is 'postgres', which cannot be the name"),
        ("DB", "qms_test_live", "DB is 'qms_test_live', which cannot be the name"),
        (
            "ODOO_HOME",
            "/no/such",
            "ODOO_HOME is /no/such, and there is no such folder.",
        ),
        ("ARGS", "'", 'ARGS is "\'", which cannot be split'),
    ],
)
def test_wrong_choice_is_refused_in_a_sentence(tmp_path, name, value, problem):
    with pytest.raises(errors.SetupError) as caught:
        settings.Settings.from_environment({name: value}, tmp_path)
    assert caught.value.problem.startswith(problem)
    assert caught.value.way_out


def test_path_too_long_for_a_socket_is_refused_with_the_excess(tmp_path):
    root = tmp_path / ("x" * 100)
    excess = len(str(root / ".qms/pg/run/.s.PGSQL.5432")) - 107
    with pytest.raises(errors.SetupError, match=f"is {excess} bytes too long"):
        settings.Settings(root).prepare()
    assert not root.exists()


def test_longest_path_that_fits_is_taken(tmp_path):
    room = 107 - len(str(tmp_path / "" / "x/.qms/pg/run/.s.PGSQL.5432"))
    if room < 0:
        pytest.fail("the temporary folder itself is too deep for this test")
    root = tmp_path / ("x" * (room + 1))
    root.mkdir()
    settings.Settings(root).prepare()
    with socket.socket(socket.AF_UNIX) as probe:
        folder = root / ".qms/pg/run"
        folder.mkdir(parents=True)
        probe.bind(str(folder / ".s.PGSQL.5432"))


def test_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    # Root may write everywhere, so what the system says is put on.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(errors.SetupError, match="may not write to .*/.qms"):
        settings.Settings(tmp_path).prepare()


def test_file_in_the_way_is_named(tmp_path):
    (tmp_path / ".qms").touch()
    with pytest.raises(errors.SetupError, match=r"\.qms is a file where a folder"):
        settings.Settings(tmp_path).prepare()


# === Errors ===


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("dpkg-deb: error: No space left on device", "The disk is full."),
        ("E: You don't have enough free space in /x", "The disk is full."),
        (
            "W: Temporary failure resolving 'mirror'",
            "The network cannot be reached.",
        ),
        (
            "fatal: unable to access: Could not resolve host: x",
            "The network cannot be reached.",
        ),
        ("npm error code EAI_AGAIN", "The network cannot be reached."),
        (
            "Failed to establish a new connection: [Errno -3]",
            "The network cannot be reached.",
        ),
        ("mkdir: Read-only file system", "The folder of the checkout is on a read"),
    ],
)
def test_trouble_of_the_machine_is_recognised(said, problem):
    found, way_out = errors.explain(f"working\n{said}\n")
    assert found.startswith(problem)
    assert way_out


def test_other_output_is_not_explained_away():
    assert errors.explain("SyntaxError: invalid syntax") is None


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (errno.ENOSPC, "The disk is full."),
        (errno.EROFS, "The folder of the checkout is on a read-only file system."),
        (errno.EACCES, "This user may not write there (/x)."),
        (errno.EIO, "The system refused (/x): Input/output error."),
    ],
)
def test_errors_of_the_system_are_put_into_words(number, problem):
    error = errors.from_os_error(OSError(number, os.strerror(number), "/x"))
    assert error.problem == problem


def test_failing_program_is_told_by_the_line_that_names_its_error(tmp_path):
    script = (
        "print('ValueError: the colour is wrong'); print('bye'); raise SystemExit(3)"
    )
    log = tmp_path / "log"
    with pytest.raises(errors.CommandError) as caught:
        process.run([sys.executable, "-c", script], "Painting", log)
    assert caught.value.problem == ("Painting failed: ValueError: the colour is wrong")
    assert caught.value.way_out == f"see {log}"
    assert caught.value.status == 3
    assert "bye" in log.read_text()


def test_missing_program_is_named(tmp_path):
    with pytest.raises(errors.SetupError, match="no-such-program is not installed"):
        process.run(["no-such-program"], "Trying", tmp_path / "log")


def test_program_is_watched_and_fed(tmp_path):
    lines = []
    script = "import sys; print(sys.stdin.read().upper())"
    process.run(
        [sys.executable, "-c", script],
        "Shouting",
        tmp_path / "log",
        watch=lines.append,
        stdin="hear",
    )
    assert lines == ["HEAR\n"]


def _call(monkeypatch, tmp_path, function):
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.setitem(commands.COMMANDS, "demo", (function, ""))
    for name in ("PORT", "DB", "ODOO_HOME", "ARGS"):
        monkeypatch.delenv(name, raising=False)
    return commands.main(["demo"])


def test_refusal_is_a_sentence_and_the_way_out(monkeypatch, tmp_path, capsys):
    def refuse(*_arguments):
        raise errors.SetupError("It rains.", "take an umbrella")

    assert _call(monkeypatch, tmp_path, refuse) == 1
    assert capsys.readouterr().err == "\n✗ It rains.\n  Way out: take an umbrella\n"


def test_nobody_is_shown_a_stack_trace(monkeypatch, tmp_path, capsys):
    def stumble(*_arguments):
        raise KeyError("knob")

    assert _call(monkeypatch, tmp_path, stumble) == 1
    shown = capsys.readouterr().err
    assert "This should not happen (KeyError: 'knob')." in shown
    assert "Traceback" not in shown
    kept = tmp_path / ".qms/log/tools-error.log"
    assert str(kept) in shown
    assert "Traceback" in kept.read_text()


@pytest.mark.parametrize("ci", ["", "true"])
def test_end_of_a_log_is_shown_where_nobody_can_open_it(
    monkeypatch, tmp_path, capsys, ci
):
    def fail(*_arguments):
        raise errors.CommandError("Baking", 1, ["flour", "Error: no oven"], "/log")

    monkeypatch.setenv("CI", ci)
    assert _call(monkeypatch, tmp_path, fail) == 1
    shown = capsys.readouterr().err
    assert "✗ Baking failed: Error: no oven\n  Way out: see /log\n" in shown
    assert ("\nflour\n" in shown) is bool(ci)


def test_full_disk_anywhere_is_a_sentence(monkeypatch, tmp_path, capsys):
    def fill(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert _call(monkeypatch, tmp_path, fill) == 1
    assert "✗ The disk is full." in capsys.readouterr().err


def test_interruption_is_no_failure_of_ours(monkeypatch, tmp_path, capsys):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    assert _call(monkeypatch, tmp_path, interrupt) == 130
    assert "Stopped." in capsys.readouterr().err


# === The entry point and the Makefile ===


def test_entry_point_is_readable_to_an_old_python():
    source = (ROOT / "tools" / "__main__.py").read_text()
    ast.parse(source, feature_version=(3, 4))


def test_old_python_is_refused_in_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert entry.main() == 1
    shown = capsys.readouterr().err
    assert shown.startswith(
        "This is Python 3.9, and Odoo 19 runs on Python 3.10 to 3.13."
    )


def test_newest_supported_python_is_taken_instead(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    there = {"python3.12": "/usr/bin/python3.12", "python3.10": "/usr/bin/python3.10"}
    monkeypatch.setattr("shutil.which", there.get)
    assert entry.supported_python() == "/usr/bin/python3.12"


def test_makefile_and_commands_agree():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split()
    assert set(targets) == {"help", *commands.COMMANDS}
    assert ".DEFAULT_GOAL := help" in makefile


def test_help_names_every_command(capsys):
    assert commands.main([]) == 0
    shown = capsys.readouterr().out
    for name in commands.COMMANDS:
        assert f"make {name}" in shown


def test_down_where_nothing_was_made(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    assert commands.main(["down"]) == 0
    assert "Nothing was made here" in capsys.readouterr().out
    assert not (tmp_path / ".qms").exists()


def test_ci_runs_lint_and_test_in_strict_bash():
    script = (ROOT / ".ci" / "run").read_text()
    assert script.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)
    assert script.index(" lint ||") < script.index(" test ||")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


# === Stamps ===


def test_digest_follows_content_and_names(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_text("1")
    before = stamps.digest(tmp_path / "a")
    assert stamps.digest(tmp_path / "a") == before
    (tmp_path / "a" / "one").write_text("2")
    changed = stamps.digest(tmp_path / "a")
    (tmp_path / "a" / "one").rename(tmp_path / "a" / "two")
    renamed = stamps.digest(tmp_path / "a")
    assert len({before, changed, renamed}) == 3


def test_digest_leaves_out_what_python_leaves_behind(tmp_path):
    (tmp_path / "one.py").write_text("1")
    before = stamps.digest(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "one.pyc").write_bytes(b"x")
    assert stamps.digest(tmp_path) == before


def test_digest_tells_parts_apart():
    assert stamps.digest("ab", "c") != stamps.digest("a", "bc")
    assert stamps.digest(None) != stamps.digest("None")


def test_stamp_fits_what_was_written_until_cleared(checkout):
    stamp = stamps.Stamp(checkout, "step")
    assert not stamp.fits("1")
    stamp.write("1")
    assert stamps.Stamp(checkout, "step").fits("1")
    assert not stamp.fits("2")
    stamp.clear()
    stamp.clear()
    assert stamp.read() == ""


def _addon(root, name, manifest="{}"):
    (root / name).mkdir()
    (root / name / "__manifest__.py").write_text(manifest)


def test_addons_are_the_folders_with_a_manifest(tmp_path):
    _addon(tmp_path, "b")
    _addon(tmp_path, "a")
    (tmp_path / "scripts").mkdir()
    assert odoo_tools.find_addons(tmp_path) == ["a", "b"]


def test_changed_test_needs_no_update_of_the_database(tmp_path):
    _addon(tmp_path, "a")
    (tmp_path / "a" / "tests").mkdir()
    before = odoo_tools.addons_digest(tmp_path, ["a"])
    (tmp_path / "a" / "tests" / "test_a.py").write_text("1")
    assert odoo_tools.addons_digest(tmp_path, ["a"]) == before
    (tmp_path / "a" / "models.py").write_text("1")
    assert odoo_tools.addons_digest(tmp_path, ["a"]) != before


def _odoo(checkout):
    return odoo_tools.Odoo(checkout, None, None, None)


def test_base_modules_are_those_of_odoo_that_the_addons_need(checkout):
    _addon(checkout.root, "one", "{'depends': ['portal', 'mail']}")
    _addon(checkout.root, "two", "{'depends': ['one']}")
    assert databases.base_modules(_odoo(checkout)) == [
        *("base", "mail", "portal", "resource", "rpc", "web"),
    ]


def test_broken_manifest_is_named(checkout):
    _addon(checkout.root, "one", "{'depends': [")
    with pytest.raises(errors.SetupError, match=r"one/__manifest__\.py is no manifest"):
        databases.base_modules(_odoo(checkout))


# === Package sources ===

_MIRROR = "http://mirror.example/debian"


def test_mirror_of_a_deb822_file(tmp_path):
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "debian.sources").write_text(
        textwrap.dedent(
            f"""\
            # a comment
            Types: deb deb-src
            URIs: {_MIRROR}
            # another
            Suites: trixie trixie-updates
            Components: main contrib
            Signed-By: /usr/share/keyrings/x.gpg

            Types: deb
            URIs: {_MIRROR}-security
            Suites: trixie-security
            Components: main
            """
        )
    )
    assert apt.find_mirror(tmp_path) == apt.Mirror(_MIRROR, "/usr/share/keyrings/x.gpg")


def test_key_block_of_a_deb822_file_is_kept():
    block = "-----BEGIN\n .\n abc\n -----END"
    text = f"Types: deb\nURIs: u\nSuites: sid\nComponents: main\nSigned-By:\n {block}\n"
    [(_uris, _suites, _components, signed_by)] = apt.parse_sources(text)
    assert signed_by == f"\n {block}"


def test_source_that_is_switched_off_does_not_count(tmp_path):
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "x.sources").write_text(
        f"Enabled: no\nTypes: deb\nURIs: {_MIRROR}\nSuites: sid\nComponents: main\n"
    )
    assert apt.find_mirror(tmp_path) is None


def test_mirror_of_a_one_line_file(tmp_path):
    (tmp_path / "sources.list").write_text(
        textwrap.dedent(
            f"""\
            # deb http://commented.example/debian bookworm main
            deb cdrom:[Debian]/ bookworm main
            deb-src http://source.example/debian bookworm main
            deb [arch=amd64 signed-by=/x.gpg] {_MIRROR} bookworm main non-free # here
            """
        )
    )
    assert apt.find_mirror(tmp_path) == apt.Mirror(_MIRROR, "/x.gpg")


def test_other_distributions_have_no_debian_mirror(tmp_path):
    (tmp_path / "sources.list").write_text("deb http://u.example/ubuntu noble main\n")
    assert apt.find_mirror(tmp_path) is None
    assert apt.find_mirror(tmp_path / "nowhere") is None


def test_announced_downloads_are_read():
    line = "'http://m.example/o.deb' odoo-19_19.0_all.deb 122533504 SHA256:abc\n"
    assert apt._announced(line) == {"odoo-19_19.0_all.deb": 122533504}
    assert apt._announced("W: something\n") == {}


def test_os_release_is_read(tmp_path):
    path = tmp_path / "os-release"
    path.write_text('ID=debian\nVERSION_CODENAME=trixie\nNAME="Debian GNU/Linux"\n')
    found = apt.os_release(path)
    assert (found["VERSION_CODENAME"], found["NAME"]) == ("trixie", "Debian GNU/Linux")


def test_ordinary_user_gets_one_line_with_everything(monkeypatch, checkout):
    monkeypatch.setattr(apt, "can_install", lambda: False)
    monkeypatch.setattr(process, "which", lambda *names: names[0] == "apt-get")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(errors.SetupError) as caught:
        system_packages.ensure(system_packages.FOR_TESTS, checkout, None)
    assert caught.value.way_out == (
        "sudo apt-get install -y --no-install-recommends "
        "python3-venv chromium wkhtmltopdf curl jq"
    )


def test_nothing_is_installed_when_nothing_is_missing(monkeypatch, checkout):
    monkeypatch.setattr(process, "which", lambda *names: names[0])
    assert system_packages.ensure(system_packages.FOR_LINT, checkout, None) == []


# === Odoo's source ===


def _source(folder, version="(19, 0, 0, FINAL, 0, '')", addons=("addons/web",)):
    (folder / "odoo").mkdir(parents=True)
    (folder / "odoo" / "release.py").write_text(f"version_info = {version}\n")
    for addon in addons:
        (folder / addon).mkdir(parents=True)
        (folder / addon / "__manifest__.py").touch()
    return folder


def test_checkout_of_odoo_19_is_taken(tmp_path):
    folder = _source(tmp_path, addons=("addons/web", "odoo/addons/base"))
    source = odoo_source.from_folder(folder, "ODOO_HOME")
    assert source.addons == (folder / "odoo" / "addons", folder / "addons")
    assert source.python_path == folder


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        ({"version": "(18, 0, 0, FINAL, 0, '')"}, "holds Odoo 18.0, and these"),
        ({"version": "('saas~18', 4, 0, FINAL, 0, '')"}, "holds Odoo saas~18.4"),
        ({"addons": ("odoo/addons/base",)}, "has no add-on `web`"),
    ],
)
def test_wrong_checkout_is_refused(tmp_path, made, problem):
    _source(tmp_path, **made)
    with pytest.raises(errors.SetupError, match=problem):
        odoo_source.from_folder(tmp_path, "ODOO_HOME")


def test_folder_without_odoo_is_refused(tmp_path):
    with pytest.raises(errors.SetupError, match="is no checkout of Odoo"):
        odoo_source.from_folder(tmp_path, "ODOO_HOME")


def test_dangling_links_are_found(tmp_path):
    (tmp_path / "there").touch()
    (tmp_path / "good").symlink_to("there")
    (tmp_path / "bad").symlink_to("nowhere")
    assert odoo_source.dangling_links(tmp_path) == [Path("bad")]


def test_full_disk_is_refused_before_the_download(monkeypatch, checkout):
    usage = type("Usage", (), {"free": 1_200_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(errors.SetupError, match=r"1\.2 GB are free and about 4\.0 GB"):
        odoo_source.require_space(checkout)
    stamps.Stamp(checkout, "odoo").write("Debian package")
    odoo_source.require_space(checkout)


# === Requirements ===


def _requirements(name):
    lines = (ROOT / name).read_text().splitlines()
    return {
        requirement.name.lower().replace("_", "-"): requirement
        for requirement in (
            Requirement(line) for line in lines if line and not line.startswith("#")
        )
    }


def test_requirements_are_those_of_the_manifests_and_the_scripts():
    wanted = {"requests"}  # scripts/
    for addon in odoo_tools.find_addons(ROOT):
        manifest = ast.literal_eval((ROOT / addon / "__manifest__.py").read_text())
        wanted.update(manifest.get("external_dependencies", {}).get("python", ()))
    assert wanted == set(_requirements("requirements.txt"))


# What Odoo 19's requirements.txt pins of that which ours could touch.
_PINNED = {
    "requests": ("2.25.1", "2.31.0"),
    "werkzeug": ("2.3.8", "3.1.6"),
    "lxml": ("4.8.0", "4.9.3", "5.2.1"),
    "jinja2": ("3.0.3", "3.1.2"),
    "idna": ("2.10", "3.6"),
    "urllib3": ("1.26.20", "2.6.3"),
}


def test_requirements_move_nothing_that_odoo_pins():
    for name, requirement in _requirements("requirements.txt").items():
        for version in _PINNED.get(name, ()):
            assert requirement.specifier.contains(version), name
        # No upper bound: it could clash with what an official image has.
        assert all(one.operator == ">=" for one in requirement.specifier), name


def test_requirements_files_do_not_repeat_each_other():
    ours, more = (
        _requirements("requirements.txt"),
        _requirements("requirements-dev.txt"),
    )
    assert not set(ours) & set(more)
    assert str(more["werkzeug"].specifier) == "==3.1.3"


# === Ports, processes, locks ===

_LISTEN = (
    "import socket, time; s = socket.create_server(('127.0.0.1', 0)); "
    "print(s.getsockname()[1], flush=True); time.sleep(60)"
)


@pytest.fixture
def listening():
    """Start a process that listens on a port: (process, port), with more arguments."""
    started = []

    def start(*arguments):
        one = subprocess.Popen(
            [sys.executable, "-c", _LISTEN, *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(one)
        return one, int(one.stdout.readline())

    yield start
    for one in started:
        one.kill()
        one.communicate()


def test_taken_port_says_by_whom_and_which_is_free(listening):
    other, port = listening()
    assert not ports.is_free(port)
    assert ports.listener(port) == other.pid
    error = ports.taken(port, "make demo")
    assert re.fullmatch(
        rf"Port {port} is taken by python\S* \(process {other.pid}\)\.", error.problem
    )
    suggested = int(re.fullmatch(r"PORT=(\d+) make demo", error.way_out)[1])
    assert suggested != port
    assert ports.is_free(suggested)


def test_port_taken_by_another_checkout_names_it(listening):
    other, port = listening("-c", "/home/x/other/.qms/conf/demo.conf")
    assert ports.taken(port, "make demo").problem == (
        f"Port {port} is taken by the Odoo of /home/x/other (process {other.pid})."
    )


def test_port_taken_by_someone_unknown(monkeypatch, listening):
    _other, port = listening()
    monkeypatch.setattr(ports, "listener", lambda port: None)
    assert ports.taken(port, "make up").problem == (
        f"Port {port} is taken by another program."
    )


def test_free_port_has_no_listener():
    port = ports.free_port()
    assert ports.is_free(port)
    assert ports.listener(port) is None


def test_process_is_known_by_id_and_start(listening):
    one, _port = listening()
    born = process.started_at(one.pid)
    assert born
    assert process.end(one.pid)
    one.wait()
    assert process.started_at(one.pid) is None
    assert process.end(one.pid) is False


def test_process_that_will_not_go_is_ended_by_force():
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print(1, flush=True); time.sleep(60)"
    )
    one = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    one.stdout.readline()
    start = time.monotonic()
    assert process.end(one.pid, patience=0.3)
    assert one.wait(5) == -9
    assert time.monotonic() - start < 5
    one.stdout.close()


def test_one_command_at_a_time(checkout):
    with lock.hold(checkout, "demo"):
        with pytest.raises(errors.SetupError) as caught:
            with lock.hold(checkout, "test"):
                pytest.fail("two commands at once")
    assert caught.value.problem == (
        f"make demo (process {os.getpid()}) is at work in this checkout."
    )
    with lock.hold(checkout, "test"):
        pass


# === The demo's server ===


def _state(checkout, pid, **more):
    chosen = server.Server(checkout, "demo")
    chosen.state_file.parent.mkdir()
    state = {"pid": pid, "born": process.started_at(pid) or "1", "code": "", **more}
    chosen.state_file.write_text(str(state).replace("'", '"'))


def test_running_server_keeps_its_port_and_database(checkout):
    _state(checkout, os.getpid(), port=8075, db="qms_two")
    shown = demo.Demo(checkout)
    assert (shown.port, shown.db) == (8075, "qms_two")


def test_stopped_server_is_remembered_only_by_up(checkout, listening):
    one, _port = listening()
    one.kill()
    one.wait()
    _state(checkout, one.pid, port=8075, db="qms_two")
    assert demo.Demo(checkout).port == 8069
    assert demo.Demo(checkout).db == "qms_demo"
    assert demo.Demo(checkout, remember=True).port == 8075


def test_choice_of_the_person_goes_first(tmp_path):
    chosen = settings.Settings(tmp_path, port=8076, db="qms_three")
    chosen.prepare()
    _state(chosen, os.getpid(), port=8075, db="qms_two")
    shown = demo.Demo(chosen)
    assert (shown.port, shown.db) == (8076, "qms_three")


def test_process_id_in_use_again_is_not_our_server(checkout):
    _state(checkout, os.getpid(), port=8075, db="qms_two")
    chosen = server.Server(checkout, "demo")
    text = chosen.state_file.read_text()
    chosen.state_file.write_text(re.sub(r'"born": "[^"]*"', '"born": "1"', text))
    assert chosen.running() == {}
    assert chosen.last()["port"] == 8075
    assert chosen.stop() is False


def test_links_follow_the_port():
    url = "http://localhost:8069/odoo/qms-runs/7?a=b"
    assert demo._moved(url, 8075) == "http://localhost:8075/odoo/qms-runs/7?a=b"


def test_demo_says_where_its_incident_is(tmp_path):
    chosen = settings.Settings(tmp_path, port=8076, db="qms_three")
    chosen.prepare()
    link = "http://localhost:8069/odoo"
    story = {
        "incident": {"name": "INC-1", "state": "reviewed", "url": f"{link}/qms-i/1"},
        "postmortem": {"name": "PM", "state": "in_review", "url": f"{link}/qms-p/2"},
        "status_page": "/qms/status",
    }
    place = "http://localhost:8076"
    lines = demo.Demo(chosen)._incident_lines(story)
    assert lines == [
        ("Incident", f"INC-1, reviewed: {place}/odoo/qms-i/1"),
        ("Post-mortem", f"PM, in review: {place}/odoo/qms-p/2"),
        ("Dashboard", f"{place}/odoo/qms-incident-dashboard"),
        ("Outside", f"{place}/qms/status"),
    ]
    del story["status_page"]
    assert demo.Demo(chosen)._incident_lines(story) == lines[:3]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            "INFO x\nTraceback …\nModuleNotFoundError: No module named 'x'\n",
            "Odoo ended as soon as it was started: "
            "ModuleNotFoundError: No module named 'x'",
        ),
        ("", "Odoo ended as soon as it was started: it gave no reason"),
        ("OSError: [Errno 28] No space left on device", "The disk is full."),
    ],
)
def test_server_that_ends_at_once_says_why(said, problem):
    assert server._why_ended(said, Path("/log"), 8069).problem == problem


def test_health_of_a_port_nobody_answers_on():
    assert server.healthy(ports.free_port()) is False


# === PostgreSQL ===


def _fake_postgres(folder, version, names=("initdb", "psql", "pg_ctl", "postgres")):
    folder.mkdir()
    for name in names:
        script = folder / name
        script.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        script.chmod(0o755)
    return folder


def test_newest_postgresql_that_odoo_can_use_is_taken(tmp_path):
    folders = [
        _fake_postgres(tmp_path / "15", "15.18 (Debian 15.18-0)"),
        _fake_postgres(tmp_path / "18", "18beta1"),
        _fake_postgres(tmp_path / "12", "12.3"),
        _fake_postgres(tmp_path / "17", "17.1", names=("psql", "postgres")),
        tmp_path / "nowhere",
    ]
    assert postgres._usable(folders) == [
        postgres.Binaries(tmp_path / "18", 18),
        postgres.Binaries(tmp_path / "15", 15),
    ]


def _killed_cluster(checkout):
    """A cluster with what a killed server leaves behind; its id is in use again."""
    cluster = postgres.Cluster(checkout, None)
    for folder in (cluster.data, cluster.run_folder):
        folder.mkdir(parents=True)
    left = [
        cluster.data / "postmaster.pid",
        cluster.run_folder / ".s.PGSQL.5432.lock",
        cluster.run_folder / ".s.PGSQL.5432",
    ]
    for path in left:
        path.write_text(f"{os.getpid()}\n{cluster.data}\n")
    return cluster, left


def test_lock_files_of_a_killed_postgresql_are_removed(checkout):
    cluster, left = _killed_cluster(checkout)
    assert not cluster.is_running()
    cluster._remove_stale_files()
    assert not any(path.exists() for path in left)


def test_lock_files_stay_while_a_process_works_on_the_data(checkout, monkeypatch):
    cluster, left = _killed_cluster(checkout)
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr("tools.postgres.time.monotonic", lambda: next(clock))
    worker = subprocess.Popen(["sleep", "60"], cwd=cluster.data)
    try:
        with pytest.raises(errors.SetupError, match=rf"still work in .*: {worker.pid}"):
            cluster._remove_stale_files()
    finally:
        worker.kill()
        worker.wait()
    assert all(path.exists() for path in left)


def test_cluster_of_a_missing_version_is_refused(checkout, monkeypatch, tmp_path):
    cluster = postgres.Cluster(checkout, None)
    cluster.data.mkdir(parents=True)
    (cluster.data / "PG_VERSION").write_text("14\n")
    (cluster.folder / "made").touch()
    there = [postgres.Binaries(tmp_path, 15)]
    monkeypatch.setattr(postgres, "installed", lambda: there)
    with pytest.raises(errors.SetupError) as caught:
        cluster.binaries()
    assert "made by PostgreSQL 14, which is not installed" in caught.value.problem
    assert caught.value.way_out == "install postgresql-14, or begin anew: make clean"


def test_postgresql_that_does_not_start_is_quoted():
    said = "LOG:  starting\nFATAL:  data directory has wrong ownership\nLOG:  bye\n"
    error = postgres._why_not_started(said, Path("/log"))
    assert error.problem == (
        "PostgreSQL does not start: data directory has wrong ownership."
    )


# === Tests and lint ===


def test_paths_are_told_from_options(checkout):
    (checkout.root / "tests").mkdir()
    (checkout.root / "tests" / "test_a.py").touch()
    arguments = ("-k", "health", "tests/test_a.py::test_one", "-x", "--lf")
    assert testing.paths_in(checkout, arguments) == ["tests/test_a.py::test_one"]


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        ([], True),
        (["tests"], True),
        (["tests/test_a.py::test_one"], True),
        (["qms_sop"], False),
        (["qms_sop/tests/test_b.py", "tests/test_a.py"], True),
    ],
)
def test_server_is_started_for_tests_that_may_need_it(checkout, paths, wanted):
    (checkout.root / "tests").mkdir()
    assert testing.wants_live_server(checkout, paths) is wanted


@pytest.mark.parametrize(
    ("cores", "paths", "args", "workers"),
    [
        (2, [], (), 2),
        (1, [], (), 0),
        (64, [], (), testing.MAX_WORKERS),
        (2, ["tests"], ("tests",), 0),
        (2, [], ("-n0",), 0),
    ],
)
def test_cores_share_the_tests_unless_some_are_asked_for(
    checkout, monkeypatch, cores, paths, args, workers
):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    chosen = replace(checkout, args=args)
    assert testing.count_workers(chosen, paths) == workers


def test_what_talks_to_the_live_server_stays_together():
    groups = {
        name: pytest_workers.group_of(f"{name}::test_it[a::b]")
        for name in (
            "qms_sop/tests/test_views.py",
            "qms_sop/tests/test_tours.py",
            "tests/test_rpc.py",
            "tests/test_scripts_live.py",
            "tests/test_api_schemathesis.py",
        )
    }
    assert len(set(groups.values())) == 4
    assert groups["tests/test_rpc.py"] == groups["tests/test_scripts_live.py"]
    for name in pytest_workers.APART:
        assert (ROOT / "tests" / name).is_file()


def test_skipped_browser_test_has_failed(pytester):
    package = pytester.mkpydir("odoo")
    (package / "tests.py").write_text(
        "import unittest\nclass HttpCase(unittest.TestCase):\n    pass\n"
    )
    pytester.makepyfile(
        """
        import unittest
        from odoo.tests import HttpCase

        class TestBrowser(HttpCase):
            def test_tour(self):
                raise unittest.SkipTest("Chrome executable not found")

            def test_other(self):
                pass

        class TestPlain(unittest.TestCase):
            @unittest.skip("for a reason")
            def test_skipped(self):
                pass
        """
    )
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment["PYTHONPATH"] = f"{ROOT}:{pytester.path}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tools.pytest_strict"],
        cwd=pytester.path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "1 failed, 1 passed, 1 skipped" in done.stdout
    assert "must run, and was skipped" in done.stdout
    assert "Chrome executable not found" in done.stdout
    assert done.returncode == 1


# === What a person sees ===


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (61384, "61 kB"), (122533504, "123 MB")]
    + [(1_234_000_000, "1.2 GB"), (78_400_000_000, "78.4 GB")],
)
def test_sizes_for_people(count, text):
    assert console.human_size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4 s"), (12.3, "12 s"), (125.4, "2 min 05 s")]
)
def test_times_for_people(seconds, text):
    assert console.human_time(seconds) == text


def test_steps_are_numbered_and_plain_where_nobody_watches():
    stream = io.StringIO()
    shown = console.Console(stream)
    shown.title("Demo", 2)
    with shown.step("Odoo 19") as done:
        with shown.activity("Unpacking"):
            pass
        done("up to date")
    with pytest.raises(errors.SetupError):
        with shown.step("PostgreSQL"):
            raise errors.SetupError("no", "yes")
    assert stream.getvalue() == (
        "Demo\n[1/2] Odoo 19\n      Unpacking …\n      ✓ up to date\n[2/2] PostgreSQL\n"
    )


def test_progress_moves_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    with console.Console(stream).activity("Downloading") as activity:
        activity.progress(45_000_000, 123_000_000)
        time.sleep(0.5)
    assert "Downloading · 0." in stream.getvalue()
    assert "45 MB of 123 MB, 36 %" in stream.getvalue()
    assert stream.getvalue().endswith("\r\033[K")
