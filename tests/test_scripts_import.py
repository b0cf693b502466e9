"""Markdown files to a live Odoo and back, with the scripts."""

import json
import os
import pty
import re
import subprocess
import sys
import uuid
import xmlrpc.client

import pytest
import scripts_support as support
from scripts_support import Odoo, RecordingServer, run_script, status

SOP = """\
# {code}: Sweep the floor

**Version**: 1.0.0
**Owner**: Script Tests

## Purpose

Have a clean floor.

### Step 1: Look (5 min)

**Look around**:

```bash
ls -l
```

### Step 2: Sweep

```bash
rm -rf ./dust
```
"""
ANSWER = {
    "status": "created",
    "change": "created",
    "id": 7,
    "code": "SOP-X-001",
    "version": "1.0.0",
    "state": "draft",
    "title": "X",
    "filename": "x.md",
    "outline": [
        {"kind": "header", "line": 1, "title": "X"},
        {
            "kind": "step",
            "line": 9,
            "title": "Look",
            "number": 1,
            "minutes": 5,
            "mandatory": True,
            "commands": [
                {
                    "name": "List",
                    "language": "bash",
                    "category": "DATABASE",
                    "purpose": "action",
                }
            ],
            "choices": [{"name": "Fine", "target": "Step 3"}],
        },
    ],
    "notes": [{"line": 4, "text": "repaired"}],
    "tables": [
        {
            "kind": "error_code",
            "line": 20,
            "headers": ["Code"],
            "rows": [["A"]],
            "row_count": 1,
            "template": False,
        }
    ],
    "offers": [
        {"action": "add", "key": "error_code:A", "line": 22, "text": "Add A."}
        | {"taken": True},
        {"action": "problem", "key": "error_code:B", "line": 23, "text": "Bad B."}
        | {"taken": False},
        {"action": "none", "key": "error_code:C", "line": 24, "text": "C is there."}
        | {"taken": False},
    ],
}


def new_code():
    return f"SOP-IMP{uuid.uuid4().hex[:8].upper()}-001"


@pytest.fixture(scope="module")
def author(make_user):
    return make_user("qms_error_code.group_qms_author")


@pytest.fixture
def live(odoo_server, author, tmp_path):
    """Settings of a script that connects as an author."""
    return support.environment(
        tmp_path,
        ODOO_URL=odoo_server.url,
        ODOO_DB=odoo_server.db,
        ODOO_USER=author.login,
        ODOO_API_KEY=author.api_key,
    )


@pytest.fixture
def odoo():
    odoo = Odoo()
    odoo.methods = {
        "qms.sop.document.import_markdown": ANSWER,
        "qms.sop.document.search_read": [
            {
                "id": 7,
                "code": "SOP-X-001",
                "version": "1.0.0",
                "state": "approved",
                "revision": 1,
            }
        ],
        "qms.sop.document.export_markdown": {"filename": "x.md", "content": "# X\n"},
    }
    return odoo


@pytest.fixture
def server(odoo):
    with RecordingServer(odoo) as server:
        yield server


@pytest.fixture
def env(odoo, server, tmp_path):
    return support.environment(tmp_path, **odoo.settings(server.url))


# -- against a live Odoo


def test_there_and_back(live, tmp_path):
    code = new_code()
    text = SOP.format(code=code)
    file = tmp_path / "sweep.md"
    file.write_text(text)

    told = run_script("import_sop.py", "--dry-run", str(file), env=live)
    assert told.returncode == 0, told.stderr
    assert "step 1: Look, 5 min" in told.stdout
    assert "Look around [bash]" in told.stdout

    made = run_script("import_sop.py", str(file), env=live)
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"{code}\t1.0.0\tcreated\t{file}\n"

    again = run_script("import_sop.py", str(file), env=live)
    assert again.stdout == f"{code}\t1.0.0\tunchanged\t{file}\n"

    back = run_script("export_sop.py", code, env=live)
    assert (back.returncode, back.stdout) == (0, text)

    folder = tmp_path / "out"
    folder.mkdir()
    written = run_script("export_sop.py", code, "--output", str(folder), env=live)
    assert written.stdout == f"{folder / 'sweep.md'}\n"
    assert (folder / "sweep.md").read_text() == text

    file.write_text(text.replace("clean floor", "floor that shines"))
    changed = run_script("import_sop.py", str(file), "--json", env=live)
    answer = json.loads(changed.stdout)
    assert answer["summary"] == {"updated": 1}
    assert answer["files"][0]["state"] == "draft"

    kept = run_script("export_sop.py", code, "--output", str(folder), env=live)
    assert kept.returncode == 1
    assert "--force" in kept.stderr
    assert (folder / "sweep.md").read_text() == text
    forced = run_script(
        "export_sop.py", code, "--output", str(folder), "--force", env=live
    )
    assert forced.returncode == 0
    assert "floor that shines" in (folder / "sweep.md").read_text()

    submitted = run_script("import_sop.py", str(file), "--submit", "--json", env=live)
    assert json.loads(submitted.stdout)["files"][0]["state"] == "in_review"
    refused = run_script("import_sop.py", str(file), env=live)
    assert refused.returncode == 1
    assert "in review" in refused.stderr


@pytest.mark.parametrize("transport", ["xmlrpc", "json2"])
def test_folder_goes_on_after_a_bad_file(live, tmp_path, transport):
    folder = tmp_path / "runbooks"
    deep = folder / "deep" / "er"
    deep.mkdir(parents=True)
    codes = [new_code() for _ in range(3)]
    (folder / "a.md").write_text(SOP.format(code=codes[0]))
    (folder / "b.md").write_bytes(b"# Title\n\n\0\n")
    (folder / "c.md").write_text("no title\n")
    (folder / "d.md").write_text(" \n")
    (folder / "e.md").write_text(SOP.format(code=codes[1]))
    (folder / "notes.txt").write_text("not looked at")
    (deep / "f.MD").write_text(SOP.format(code=codes[2]))
    done = run_script("import_sop.py", "--transport", transport, str(folder), env=live)
    assert done.returncode == 1
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [
        codes[0],
        codes[2],
        codes[1],
    ]
    assert f"{folder / 'b.md'}: " in done.stderr
    assert "Line 3" in done.stderr
    assert "binary" in done.stderr
    assert "title" in done.stderr
    assert "empty" in done.stderr
    assert done.stderr.splitlines()[-1] == "6 of 6 files: 3 created, 3 failed."


def test_tables_are_offered_and_taken(live, tmp_path):
    new = f"IMP_{uuid.uuid4().hex[:8].upper()}_X"
    code = new_code()
    file = tmp_path / "tables.md"
    file.write_text(
        SOP.format(code=code) + "\n## Codes\n\n| Code | Category | Severity | Cause |\n"
        "|---|---|---|---|\n"
        f"| {new} | DATABASE | High | Age |\n"
        "| DB_DEADLOCK | DATABASE | Urgent | Locks |\n"
        "\n## Severities\n\n| Level | Criteria | Response time |\n|---|---|---|\n"
        "| P3 - Low | Looks | 3 days |\n| Critical | Down | 15 min |\n"
    )
    told = run_script("import_sop.py", "--dry-run", str(file), env=live)
    assert f"offer error_code:{new}: Add {new}" in told.stdout
    assert "offer error_code:DB_DEADLOCK: Link" in told.stdout
    assert "problem: " in told.stdout
    assert "Urgent" in told.stdout
    assert "offer severity:low:response_target: Low, Response: 1 week" in told.stdout

    made = run_script("import_sop.py", str(file), "--json", env=live)
    (answer,) = json.loads(made.stdout)["files"]
    assert not [item for item in answer["offers"] if item["taken"]]

    taken = run_script("import_sop.py", "--take", "error-codes", str(file), env=live)
    assert taken.returncode == 0, taken.stderr
    assert taken.stdout == f"{code}\t1.0.0\tupdated\t{file}\n"
    assert f"Add {new}" in taken.stderr
    again = run_script("import_sop.py", "--take", "error-codes", str(file), env=live)
    assert again.stdout == f"{code}\t1.0.0\tunchanged\t{file}\n"
    assert run_script("export_sop.py", code, env=live).stdout == file.read_text()

    refused = run_script("import_sop.py", "--take", "severities", str(file), env=live)
    assert refused.returncode == 1
    assert "Only a QMS manager" in refused.stderr
    missing = run_script(
        "import_sop.py", "--take", "error_code:NOT_THERE", str(file), env=live
    )
    assert missing.returncode == 1
    assert "not offered" in missing.stderr


def test_only_authors(live, make_user, tmp_path):
    file = tmp_path / "x.md"
    file.write_text(SOP.format(code=new_code()))
    for role in ("operator", "auditor", "automation"):
        user = make_user(f"qms_error_code.group_qms_{role}")
        env = {**live, "ODOO_USER": user.login, "ODOO_API_KEY": user.api_key}
        refused = run_script("import_sop.py", str(file), env=env)
        assert refused.returncode == 1, role
        assert refused.stdout == ""


def test_triage_is_exported(live):
    done = run_script("export_sop.py", "SOP-TRIAGE-001", "--json", env=live)
    (answer,) = json.loads(done.stdout)["files"]
    assert answer["version"] == "1.0.0"
    assert "python scripts/create_sop_run.py" in answer["content"]
    missing = run_script("export_sop.py", "SOP-NONE-001", env=live)
    assert missing.returncode == 1
    assert "There is no SOP SOP-NONE-001" in missing.stderr


def test_all_are_exported(live, tmp_path):
    for number in (1, 2):
        # Files of the same name, in two folders
        file = tmp_path / str(number) / "same.md"
        file.parent.mkdir()
        file.write_text(SOP.format(code=new_code()))
        assert run_script("import_sop.py", str(file), env=live).returncode == 0
    folder = tmp_path / "all"
    folder.mkdir()
    done = run_script("export_sop.py", "--all", "--output", str(folder), env=live)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in folder.iterdir()}
    assert {"sop_disk_001.md", "sop_dbconn_001.md"} <= names
    assert not [name for name in names if not name.endswith(".md")]
    again = run_script("export_sop.py", "--all", "--output", str(folder), env=live)
    assert again.returncode == 0
    assert " 0 written" in again.stderr


# -- against a server that does as the test says


def test_outline_is_told(env, tmp_path):
    file = tmp_path / "x.md"
    file.write_text("# X\n")
    told = run_script("import_sop.py", "--dry-run", str(file), env=env)
    for part in (
        "SOP-X-001 1.0.0 X (created)",
        "step 1: Look, 5 min",
        "List [bash, DATABASE]",
        "Fine → Step 3",
        "20  table: error code, 1 row, kept as written",
        "22  offer error_code:A: Add A. (would be taken over)",
        "23  problem: Bad B.",
        "24  same: C is there.",
        "4  note: repaired",
    ):
        assert part in told.stdout
    quiet = run_script("import_sop.py", "--quiet", str(file), env=env)
    assert quiet.stderr == ""


def test_what_is_taken_is_sent_and_told(env, odoo, tmp_path):
    file = tmp_path / "x.md"
    file.write_text("# X\n")
    done = run_script(
        "import_sop.py",
        "--take",
        "error-codes",
        "--take",
        "severity:high:response_target",
        str(file),
        env=env,
    )
    assert done.returncode == 0, done.stderr
    assert odoo.calls[0][-1]["take"] == ["error-codes", "severity:high:response_target"]
    assert done.stdout == f"SOP-X-001\t1.0.0\tcreated\t{file}\n"
    assert f"{file}: Add A." in done.stderr
    assert "Bad B." not in done.stderr
    run_script("import_sop.py", str(file), env=env)
    assert odoo.calls[-1][-1]["take"] == []


def test_every_file_has_its_own_key(env, odoo, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.md").write_text("# X\n")
    run_script("import_sop.py", str(tmp_path), "--idempotency-key", "k", env=env)
    keys = [kwargs["idempotency_key"] for *_call, kwargs in odoo.calls]
    assert keys == ["k/1", "k/2"]
    assert [kwargs["filename"] for *_call, kwargs in odoo.calls] == ["a.md", "b.md"]


def test_progress_over_200_files(env, odoo, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.md").write_text("# X\n")

    def answer(_ids, kwargs):
        if kwargs["filename"] == "120.md":
            raise xmlrpc.client.Fault(2, "120.md: Line 1: it is bad")
        return ANSWER

    odoo.methods["qms.sop.document.import_markdown"] = answer
    # Progress is for people, so for a terminal.
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(support.SCRIPTS / "import_sop.py"), str(folder)],
        env={**support.BARE, **env},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # how Linux tells that the other end is closed
            break
        shown += piece
    os.close(ours)
    lines = process.communicate(timeout=60)[0].decode().splitlines()
    assert process.returncode == 1
    assert len(lines) == 199
    told = shown.decode()
    counted = [int(number) for number in re.findall(r"\[(\d+)/200\]", told)]
    assert counted == list(range(1, 201))
    assert "Line 1: it is bad" in told
    assert told.rstrip().endswith("200 of 200 files: 199 created, 1 failed.")


def test_stdin(env, odoo):
    done = run_script("import_sop.py", "-", env=env, stdin=b"# X\n")
    assert done.stdout == "SOP-X-001\t1.0.0\tcreated\t-\n"
    assert odoo.calls[0][-1]["filename"] == ""


def test_large_and_missing_files_are_not_sent(env, odoo, tmp_path):
    (tmp_path / "large.md").write_bytes(b"x" * (2 * 1024 * 1024 + 1))
    done = run_script(
        "import_sop.py",
        str(tmp_path / "large.md"),
        str(tmp_path / "missing.md"),
        env=env,
    )
    assert done.returncode == 1
    assert "2097152" in done.stderr
    assert "cannot be read" in done.stderr
    assert odoo.calls == []


def test_usage(env, tmp_path):
    (tmp_path / "empty").mkdir()
    for script, *arguments in (
        ("import_sop.py",),
        ("import_sop.py", str(tmp_path / "empty")),
        ("import_sop.py", "--take", "tables", str(tmp_path / "empty")),
        ("export_sop.py",),
        ("export_sop.py", "--all"),
        ("export_sop.py", "--all", "SOP-X-001"),
        ("export_sop.py", "A", "B"),
        ("export_sop.py", "A", "B", "--revision", "1.0.0", "--output", "-"),
        ("export_sop.py", "A", "--output", str(tmp_path / "nowhere")),
    ):
        done = run_script(script, *arguments, env=env)
        assert done.returncode == 2, (script, arguments)
        assert done.stdout == ""


def test_server_goes_away_in_the_middle(env, server, odoo, tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.md").write_text("# X\n")
    server.plan = [odoo, odoo, *[status(503)] * 3]
    done = run_script(
        "import_sop.py", str(tmp_path), "--retries", "0", "--json", env=env
    )
    assert done.returncode == 4
    assert json.loads(done.stdout)["summary"] == {"created": 1}
    assert "1 of 3 files" in done.stderr


def test_wrong_key(env, tmp_path):
    (tmp_path / "a.md").write_text("# X\n")
    done = run_script(
        "import_sop.py", str(tmp_path), env={**env, "ODOO_API_KEY": "z" * 40}
    )
    assert done.returncode == 3


def test_names_of_the_server_stay_in_the_folder(env, odoo, tmp_path):
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    for name in ("../x.md", "/tmp/x.md", "..", ".bashrc", "a\n.md"):
        odoo.methods["qms.sop.document.export_markdown"] = {
            "filename": name,
            "content": "# X\n",
        }
        done = run_script("export_sop.py", "--all", "--output", str(folder), env=env)
        assert done.returncode == 1, name
    assert list(tmp_path.rglob("*x.md")) == []
    assert list(folder.iterdir()) == []
