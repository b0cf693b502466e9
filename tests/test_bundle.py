"""The auditor bundle: taken from a live Odoo, verified offline, and tampered with."""

import base64
import copy
import hashlib
import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import scripts_support as support
from scripts_support import run_script

ROOT = Path(__file__).resolve().parents[1]
VERIFIER = ROOT / "scripts" / "verify_bundle.py"
KEY = "k1:the-key-of-the-tests-is-long"
# The add-on itself cannot be imported without Odoo.
_spec = importlib.util.spec_from_file_location(
    "audit_chain", ROOT / "qms_sop" / "tools" / "audit_chain.py"
)
audit_chain = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = audit_chain
_spec.loader.exec_module(audit_chain)
LOG = b"2025-11-05 ERROR connection pool exhausted\n"


@pytest.fixture(scope="module")
def run(orm):
    """A finished run with evidence, anchored."""
    return orm(
        """
        run = env["qms.sop.run"].browse(
            env["qms.sop.run"].start_run("SOP-TRIAGE-001", summary="Slow")["id"]
        )
        run.log_error("No space left on device")
        run.add_evidence("app.log", log)
        env.cr.flush()
        run.fail("A test of bundles")
        env.cr.flush()
        run.amend("Typing mistake", "It was the other disk.")
        env.cr.flush()
        env["qms.audit.anchor"]._take()
        result = {"id": run.id, "name": run.name}
        """,
        log=base64.b64encode(LOG).decode(),
    )


def settings(server, user, folder):
    return support.environment(
        folder,
        ODOO_URL=server.url,
        ODOO_DB=server.db,
        ODOO_USER=user.login,
        ODOO_API_KEY=user.api_key,
    )


@pytest.fixture(scope="module")
def auditor(make_user):
    return make_user("qms_error_code.group_qms_auditor")


@pytest.fixture(scope="module")
def exported(odoo_server, auditor, run, tmp_path_factory):
    """The ZIP, as the script wrote it."""
    folder = tmp_path_factory.mktemp("bundle")
    path = folder / "bundle.zip"
    done = run_script(
        "export_bundle.py",
        *("--run-id", run["name"], "--output", str(path)),
        env=settings(odoo_server, auditor, folder),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{path}\n"
    manifest = hashlib.sha256(zipfile.ZipFile(path).read("manifest.json")).hexdigest()
    assert manifest in done.stderr
    return path


@pytest.fixture
def files(exported):
    """The files of the bundle, by name."""
    archive = zipfile.ZipFile(exported)
    return {name: archive.read(name) for name in archive.namelist()}


def verify(bundle, *arguments, script=VERIFIER):
    return subprocess.run(
        [sys.executable, "-I", script, *map(str, arguments), bundle],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def disproved(tmp_path):
    """Verify files as a ZIP that is wrong: `disproved(files)` -> what is printed."""

    def check(files, *arguments):
        path = tmp_path / "tampered.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        done = verify(path, *arguments)
        assert done.stderr == ""
        assert done.returncode == 1, done.stdout
        assert done.stdout.endswith("\nDISPROVED\n")
        return done.stdout

    return check


def seal(files, keys=None):
    """Make the manifest and the seal again, as an intruder without the key would."""
    keys = keys or audit_chain.Keys()
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in files.items()
        if name not in ("manifest.json", "seal.json")
    }
    text = audit_chain.canonical(manifest)
    files["manifest.json"] = text.encode()
    files["seal.json"] = audit_chain.canonical(
        {
            "hash_version": keys.version,
            "hash": keys.digest(keys.version, "qms-audit-bundle", text),
        }
    ).encode()


def read_lines(files, name):
    return [json.loads(line) for line in files[name].splitlines()]


def write_lines(files, name, lines):
    files[name] = "".join(f"{audit_chain.canonical(one)}\n" for one in lines).encode()


def chain(files, events, name, keys=None):
    """Hash a trail again, and set its head."""
    keys, previous = keys or audit_chain.Keys(), audit_chain.GENESIS
    for event in events:
        event["hash_version"], event["previous_hash"] = keys.version, previous
        previous = event["hash"] = keys.digest(keys.version, previous, event["content"])
    write_lines(files, name, events)
    model, _dash, root_id = name[len("chain/") : -len(".jsonl")].rpartition("-")
    heads = [
        [model, int(root_id), len(events), previous]
        if head[:2] == [model, int(root_id)]
        else head
        for head in read_lines(files, "heads.jsonl")
    ]
    write_lines(files, "heads.jsonl", heads)


def keyed(files):
    """Return the bundle as a server with a key would have made it."""
    files, keys = copy.copy(files), audit_chain.Keys(KEY)
    for name in [name for name in files if name.startswith("chain/")]:
        chain(files, read_lines(files, name), name, keys)
    line = audit_chain.heads_line(1, read_lines(files, "heads.jsonl")) + "\n"
    digest = hashlib.sha256(line.encode())
    count = len(read_lines(files, "heads.jsonl"))
    closing = audit_chain.closing_line(
        keys, 1, audit_chain.GENESIS, digest, count, "2026-01-01T00:00:00Z", "db"
    )
    text = line + audit_chain.canonical(closing) + "\n"
    files["anchors.jsonl"] = text.encode()
    seal(files, keys)
    return files


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    return path


@pytest.fixture
def trail(run):
    return f"chain/qms.sop.run-{run['id']}.jsonl"


@pytest.fixture
def record(run):
    return f"runs/{run['name']}.json"


@pytest.fixture
def evidence():
    return f"evidence/{hashlib.sha256(LOG).hexdigest()}-app.log"


def flip(content):
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


# -- taking it ----------------------------------------------------------------


def test_proved(exported, files, tmp_path, evidence):
    done = verify(exported)
    assert (done.returncode, done.stderr) == (0, "")
    # The server of the tests has no key, and nobody said what to expect.
    assert done.stdout.endswith("\nCONSISTENT\n")
    assert "Not checked: who made the hashes: the server had no key" in done.stdout
    assert "Not checked: whether all of it" in done.stdout
    assert files[evidence] == LOG
    manifest = hashlib.sha256(files["manifest.json"]).hexdigest()
    assert f"SHA-256 of manifest.json: {manifest}" in done.stdout
    done = verify(exported, "--manifest-sha256", manifest)
    assert done.returncode == 0
    assert done.stdout.endswith("\nPROVED\n")
    assert "whether all of it" not in done.stdout
    done = verify(exported, "--manifest-sha256", "0" * 64)
    assert done.returncode == 1
    assert "manifest.json: its SHA-256 is" in done.stdout


def test_unpacked_with_its_own_script(exported, files, tmp_path):
    zipfile.ZipFile(exported).extractall(tmp_path)
    for _time in range(2):
        done = verify(tmp_path, script=tmp_path / "verify_bundle.py")
        assert done.returncode == 0, done.stdout
    (tmp_path / "link").symlink_to("/etc/passwd")
    done = verify(tmp_path)
    assert done.returncode == 1
    assert "link: it is no ordinary file" in done.stdout


def test_same_bytes(odoo_server, auditor, run, exported, tmp_path):
    again = tmp_path / "again.zip"
    done = run_script(
        "export_bundle.py",
        *("--run-id", str(run["id"]), "--output", str(again)),
        *("--transport", "json2", "--json"),
        env=settings(odoo_server, auditor, tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == exported.read_bytes()
    answer = json.loads(done.stdout)
    assert answer["path"] == str(again)
    assert answer["sha256"] == hashlib.sha256(again.read_bytes()).hexdigest()


def test_period(odoo_server, auditor, tmp_path):
    path = tmp_path / "period.zip"
    done = run_script(
        "export_bundle.py",
        *("--since", "2000-01-01T00:00:00Z", "--until", "2000-01-02T00:00:00Z"),
        *("--output", str(path)),
        env=settings(odoo_server, auditor, tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert "0 runs" in done.stderr
    assert verify(path).returncode == 0


def test_refusals(odoo_server, auditor, make_user, run, tmp_path):
    env = settings(odoo_server, auditor, tmp_path)
    path = tmp_path / "bundle.zip"
    output = ("--output", str(path))
    for arguments, message in (
        (output, "Give --run-id or --incident-id, or --since"),
        (("--run-id", "1", "--since", "x", *output), "Give --run-id or --inc"),
        (("--run-id", "1", "--output", "/no/such/b.zip"), "there is no folder"),
    ):
        done = run_script("export_bundle.py", *arguments, env=env)
        assert done.returncode == 2
        assert message in done.stderr
    operator = make_user("qms_error_code.group_qms_operator")
    done = run_script(
        "export_bundle.py",
        *("--run-id", str(run["id"]), *output),
        env=settings(odoo_server, operator, tmp_path),
    )
    assert done.returncode == 1
    assert "Only auditors and QMS managers" in done.stderr
    assert not path.exists()
    path.write_text("mine")
    done = run_script("export_bundle.py", "--run-id", "1", *output, env=env)
    assert done.returncode == 2
    assert path.read_text() == "mine"


def test_usage(tmp_path, exported):
    assert verify(tmp_path / "none.zip").returncode == 2
    for text in ("", "short\n"):
        (tmp_path / "key").write_text(text)
        done = verify(exported, "--key-file", tmp_path / "key")
        assert done.returncode == 2
        assert "--key-file" in done.stderr
    (tmp_path / "no.zip").write_bytes(exported.read_bytes()[:500])
    done = verify(tmp_path / "no.zip")
    assert done.returncode == 1
    assert "it is no ZIP that can be read" in done.stdout


# -- tampering with it ---------------------------------------------------------


@pytest.mark.parametrize(
    "which", ["evidence", "record", "trail", "sops", "anchors.jsonl", "verify"]
)
def test_a_byte_is_changed(which, request, files, disproved):
    if which in ("evidence", "record", "trail"):
        name = request.getfixturevalue(which)
    else:
        name = next(name for name in files if name.startswith(which))
    files[name] = flip(files[name])
    assert f"{name}: it was changed" in disproved(files)


def test_the_manifest_is_changed(files, disproved):
    manifest = json.loads(files["manifest.json"])
    manifest["counts"]["runs"] = 2
    files["manifest.json"] = audit_chain.canonical(manifest).encode()
    assert "manifest.json: it was changed" in disproved(files)


def test_a_byte_of_the_zip_is_changed(exported, tmp_path, evidence):
    content = bytearray(exported.read_bytes())
    info = zipfile.ZipFile(exported).getinfo(evidence)
    content[info.header_offset + 30 + len(evidence) + 20 + 5] ^= 1
    path = tmp_path / "bundle.zip"
    path.write_bytes(content)
    done = verify(path)
    assert done.returncode == 1
    assert f"{evidence}: it was changed" in done.stdout


def test_files_are_missing_or_too_many(files, disproved, evidence, record, trail):
    for name in (evidence, record, trail, "manifest.json", "seal.json", "heads.jsonl"):
        rest = {other: files[other] for other in files if other != name}
        assert f"{name}: it is " in disproved(rest), name
    more = {**files, "evidence/more.txt": b"more"}
    assert "evidence/more.txt: it is not in the manifest" in disproved(more)


def test_files_are_missing_from_the_manifest_as_well(
    files, disproved, evidence, record, trail
):
    sop = next(name for name in files if name.startswith("sops/"))
    for name, message in (
        (evidence, f"its file {evidence} is missing"),
        (record, f"{trail}: there is no record"),
        (trail, f"{trail}: it is missing"),
        (sop, "is not there"),
    ):
        rest = {other: files[other] for other in files if other != name}
        seal(rest)
        assert message in disproved(rest), name


def test_evidence_is_exchanged(files, disproved, run, record, trail, evidence):
    """With its record and the manifest; the trail has the hash that was collected."""
    forged = LOG.replace(b"ERROR", b"INFO ")
    said = json.loads(files[record])
    digest = hashlib.sha256(forged).hexdigest()
    files[evidence] = forged
    said["evidence"][0]["sha256"] = digest
    files[record] = audit_chain.canonical(said).encode()
    seal(files)
    found = disproved(files)
    assert f"{record}, evidence" in found
    assert f"its sha256 is not what event 3 of {trail} tells" in found


def test_records_are_changed(files, disproved, record, trail):
    for change, message in (
        (lambda said: said.update(state="completed"), "its state is not what event"),
        (lambda said: said["errors"].clear(), "is missing, of which event 2 of"),
        (lambda said: said["evidence"].clear(), "is missing, of which event 3 of"),
        (
            lambda said: said["amendments"][0].update(text="It was this disk."),
            "its text is not what event 5 of",
        ),
        (
            lambda said: said["steps"][0].update(state="completed"),
            "its state is not what chain/",
        ),
    ):
        forged = dict(files)
        said = json.loads(files[record])
        change(said)
        forged[record] = audit_chain.canonical(said).encode()
        seal(forged)
        found = disproved(forged)
        assert message in found
        assert trail in found


def test_an_sop_is_changed(files, disproved):
    name = next(n for n in files if n.startswith("sops/") and n.endswith(".json"))
    said = json.loads(files[name])
    said["content"]["purpose"] = "Another one"
    files[name] = audit_chain.canonical(said).encode()
    files[f"{name[:-5]}.md"] += b"\nmore\n"
    seal(files)
    found = disproved(files)
    assert f"{name}: its content does not have its content_hash" in found
    assert f"{name[:-5]}.md: it is not the text" in found


def test_an_event_is_changed(files, disproved, trail):
    events = read_lines(files, trail)
    events[1]["content"] = events[1]["content"].replace("No space", "Much space")
    write_lines(files, trail, events)
    seal(files)
    assert f"{trail}, event 2: Changed afterwards" in disproved(files)


def test_events_are_missing_moved_or_cut_off(files, disproved, trail):
    events = read_lines(files, trail)
    swapped = [events[0], events[2], events[1], *events[3:]]
    for forged, message in (
        (events[:1] + events[2:], f"{trail}, event 2: Missing"),
        (swapped, f"{trail}, event 2: Moved or put in"),
        (events[:-1], f"{trail}, event {len(events)}: Cut off at the end"),
    ):
        tampered = dict(files)
        write_lines(tampered, trail, forged)
        seal(tampered)
        assert message in disproved(tampered)


def forge(files, trail, keys=None):
    """Change an event, and make all that depends on it again but the anchors."""
    events = read_lines(files, trail)
    events[1]["content"] = events[1]["content"].replace("No space", "Much space")
    chain(files, events, trail, keys)
    seal(files, keys)


def test_a_trail_is_hashed_again(files, disproved, trail):
    forge(files, trail)
    found = disproved(files)
    assert f"{trail}, event {len(read_lines(files, trail))}: Not what was" in found


def test_the_end_is_cut_off_with_its_head(files, disproved, trail):
    events = read_lines(files, trail)
    chain(files, events[:-1], trail)
    seal(files)
    assert f"{trail}, event {len(events)}: Cut off at the end" in disproved(files)


# -- with the key ---------------------------------------------------------------


def test_proved_with_the_key(files, tmp_path, key_file):
    path = tmp_path / "keyed"
    for name, content in keyed(files).items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    done = verify(path, "--key-file", key_file)
    assert done.returncode == 0, done.stdout
    assert "Not checked" not in done.stdout
    assert done.stdout.endswith("\nPROVED\n")
    done = verify(path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("\nCONSISTENT\n")
    assert "Not checked: the seal of the manifest" in done.stdout
    assert "events made with hmac-sha256:k1" in done.stdout


def test_hashed_again_without_the_key(files, disproved, trail, key_file):
    tampered = keyed(files)
    forge(tampered, trail)
    found = disproved(tampered, "--key-file", key_file)
    assert f"{trail}, event 5: Not what was anchored" in found
    assert "seal.json: it was made without the key" in found
    # Also when it is labelled as keyed.
    events = read_lines(tampered, trail)
    for event in events:
        event["hash_version"] = "hmac-sha256:k1"
    write_lines(tampered, trail, events)
    seal(tampered)
    found = disproved(tampered, "--key-file", key_file)
    assert f"{trail}, event 2: Hashed again without the key" in found
    # Without the key, the anchors tell.
    assert f"{trail}, event 5: Not what was anchored" in disproved(tampered)


def test_with_another_key(files, disproved, trail, key_file):
    tampered = keyed(files)
    forge(tampered, trail, audit_chain.Keys("k1:another-key-of-16-or-more"))
    found = disproved(tampered, "--key-file", key_file)
    assert f"{trail}, event 2: Changed afterwards" in found
    assert "manifest.json: it was changed: it does not have its seal" in found


def test_everything_made_again(files, tmp_path, trail):
    """What nobody can find without something from elsewhere; it is not called proof."""
    noted = hashlib.sha256(files["manifest.json"]).hexdigest()
    anchors = files.pop("anchors.jsonl")
    events = read_lines(files, trail)
    events[1]["content"] = events[1]["content"].replace("No space", "Much space")
    chain(files, events, trail)
    for name in [name for name in files if name.startswith("runs/")]:
        files[name] = files[name].replace(b"No space", b"Much space")
    seal(files)
    path = tmp_path / "again.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    done = verify(path)
    assert done.stdout.endswith("\nCONSISTENT\n"), done.stdout
    assert "no anchors to compare" in done.stdout
    assert "PROVED" not in done.stdout
    assert verify(path, "--manifest-sha256", noted).returncode == 1
    # Nor by the anchors of somebody who was sent them by mail.
    elsewhere = tmp_path / "mailed.jsonl"
    elsewhere.write_bytes(anchors)
    done = verify(path, "--anchors", elsewhere)
    assert done.returncode == 1
    assert f"{trail}, event {len(events)}: Not what was anchored" in done.stdout
    assert verify(path, "--anchors", tmp_path / "none").returncode == 2


def test_links_are_checked_without_the_key(files, disproved, trail):
    tampered = keyed(files)
    events = read_lines(tampered, trail)
    events[1]["hash"] = "0" * 64
    write_lines(tampered, trail, events)
    seal(tampered)
    found = disproved(tampered)
    assert f"{trail}, event 3: Not the one that followed" in found


# -- what is sent to harm the verifier -------------------------------------------


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a\\b", "a/../../x", "a//b", "."])
def test_names_that_lead_elsewhere(files, disproved, name):
    assert "no name of a file in a bundle" in disproved({**files, name: b"x"})


def test_twice_the_same_name(files, tmp_path, evidence):
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(evidence, b"another")
    done = verify(path)
    assert done.returncode == 1
    assert f"{evidence}: it is there twice" in done.stdout


def test_bombs(files, tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("evidence/bomb", bytes(50_000_000))
        for name, content in files.items():
            archive.writestr(name, content)
    done = verify(path, "--max-bytes", 10_000_000)
    assert done.returncode == 1
    assert "more than --max-bytes" in done.stdout


@pytest.mark.parametrize("text", ["null", "[]", '{"files": 1}', "[" * 100_000, "\\"])
def test_json_that_is_something_else(files, disproved, text, record, trail):
    for name in ("manifest.json", "heads.jsonl", "anchors.jsonl", record, trail):
        tampered = {**files, name: text.encode()}
        if name != "manifest.json":
            seal(tampered)
        assert name in disproved(tampered)


# -- incidents ----------------------------------------------------------------


@pytest.fixture(scope="module")
def incident(orm):
    """An incident with a role, an update and a post-mortem."""
    return orm(
        """
        incidents = env["qms.incident"]
        incident = incidents.browse(
            incidents.open_incident("Schedules fail", severity="high")["id"]
        )
        env.cr.flush()
        incident.assign_role("incident_commander", "admin")
        incident.send_update("We are on it", users=["admin"])
        incident.update_incident({"users_affected": 0})
        incident.move("triaged")
        env.cr.flush()
        told = incident.create_postmortem(root_cause="No check of migrations")
        env.cr.flush()
        result = {"id": incident.id, "name": incident.name, "postmortem": told["id"]}
        """
    )


@pytest.fixture(scope="module")
def taken(odoo_server, auditor, incident, tmp_path_factory):
    """The files of the bundle of the incident."""
    folder = tmp_path_factory.mktemp("incident")
    path = folder / "incident.zip"
    done = run_script(
        "export_bundle.py",
        *("--incident-id", incident["name"], "--output", str(path)),
        env=settings(odoo_server, auditor, folder),
    )
    assert done.returncode == 0, done.stderr
    assert "0 runs, 1 incidents, " in done.stderr
    done = verify(path)
    assert done.returncode == 0, done.stdout
    archive = zipfile.ZipFile(path)
    return {name: archive.read(name) for name in archive.namelist()}


def test_incident_is_tampered_with(taken, incident, disproved):
    name = f"incidents/{incident['name']}.json"
    postmortem = f"postmortems/{incident['name']}.json"
    for file, change, told in (
        (name, {"title": "Nothing"}, "its title is not what event"),
        (name, {"users_affected": None}, "its users_affected is not what event"),
        (name, {"detected_at": "2020-01-01T00:00:00Z"}, "its detected_at is not"),
        (name, {"state": "closed"}, "its state is not what event"),
        (name, {"updates": []}, "is missing, of which event"),
        (name, {"assignments": []}, "is missing, of which event"),
        (postmortem, {"root_cause": None}, "its root_cause is not what event"),
        (postmortem, {"incident_id": 0}, "its incident_id is not what event"),
        (postmortem, {"state": "published"}, "its state is not what"),
    ):
        files = dict(taken)
        said = {**json.loads(files[file]), **change}
        files[file] = audit_chain.canonical(said).encode()
        seal(files)
        said = disproved(files)
        assert f"{file}" in said and told in said, (change, said)
    files = dict(taken)
    del files[postmortem]
    seal(files)
    told = f"chain/qms.postmortem-{incident['postmortem']}.jsonl: there is no record"
    assert told in disproved(files)


def test_unknown_incident(odoo_server, auditor, tmp_path):
    done = run_script(
        "export_bundle.py",
        *("--incident-id", "INC-20000101-001", "--output", str(tmp_path / "x.zip")),
        env=settings(odoo_server, auditor, tmp_path),
    )
    assert done.returncode == 1
    assert "There is no incident 'INC-20000101-001'" in done.stderr
