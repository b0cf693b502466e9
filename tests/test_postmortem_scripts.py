"""create_postmortem.py: the record, its file, and files that are taken over."""

import json
import os
import shlex
import uuid

import pytest
from scripts_support import ROOT, SCRIPTS, run_script, run_shell

# As it stands in the triage SOP
COMMAND = """\
python scripts/create_postmortem.py \\
  --incident-id "$INCIDENT_ID" \\
  --title "Deployment health check timeout due to DB connection leak" \\
  --root-cause "Missing connection cleanup in exception handlers" \\
  --fix "Added finally blocks to ensure connection cleanup" \\
  --preventive-measures "Added connection pool monitoring, automated alerts"
"""
NAME = "2025-11-01-db-connection-leak.md"
FULL = """\
# Postmortem: Sign-in was down

**Date:** 2024-01-15
**Author:** John Doe

---

## Summary
Nobody could sign in.

## Timeline (All times UTC)
| Time | Event |
|------|-------|
| 14:35 | Alert |

## Root Cause
The pool

## Action Items
| Action | Owner | Due Date | Priority |
|--------|-------|----------|----------|
| Larger pool | DevOps Lead | 2024-01-16 | P0 |
"""


@pytest.fixture(scope="module")
def env(make_user, odoo_server, tmp_path_factory, orm):
    """The variables of a client who works incidents, with a key."""
    user = make_user("qms_error_code.group_qms_operator")
    orm(
        """
        if not env["qms.error.code"].search([("name", "=", "DB_CONNECTION_LEAK")]):
            env["qms.error.code"].create({
                "name": "DB_CONNECTION_LEAK",
                "title": "Connections are not given back",
                "category_id": env["qms.error.category"]._resolve("DATABASE").id,
                "severity_id": env["qms.severity"]._resolve("high").id,
            })
        """
    )
    return {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "ODOO_URL": odoo_server.url,
        "ODOO_DB": odoo_server.db,
        "ODOO_USER": user.login,
        "ODOO_API_KEY": user.api_key,
    }


def run(env, *arguments, **options):
    return run_script("create_postmortem.py", *arguments, env=env, **options)


def ok(env, *arguments, **options):
    done = run(env, *arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


def opened(env, *arguments):
    """Return the number of a new incident of 1 November 2025."""
    done = run_script(
        "create_incident.py",
        *("--title", "Health checks time out", "--detected-at", "2025-11-01T09:30:00Z"),
        *("--severity", "low", "--print", "name", *arguments),
        env=env,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_as_in_the_triage_sop(env, tmp_path):
    number = opened(env, "--error-code", "DB_CONNECTION_LEAK")
    # The line, where its file may be written
    command = f"cd {shlex.quote(str(tmp_path))}\n" + COMMAND.replace(
        "scripts/", f"{shlex.quote(str(SCRIPTS))}/"
    )
    done = run_shell(command, {**env, "INCIDENT_ID": number})
    assert done.returncode == 0, done.stderr
    path = f"docs/postmortems/{NAME}"
    assert done.stdout == f"{path}\n"
    content = (tmp_path / path).read_text()
    for line in (
        "# Postmortem: Deployment health check timeout due to DB connection leak",
        f"**Incident:** {number}  ",
        "**Date:** 2025-11-01  ",
        "## Root Cause",
        "Missing connection cleanup in exception handlers",
        "## Resolution",
        "Added finally blocks to ensure connection cleanup",
        "## Preventive Measures",
        "Added connection pool monitoring, automated alerts",
        "### What Went Well",
        "_Not written yet._",
    ):
        assert f"\n{line}\n" in f"\n{content}"
    # Again, with more: the draft goes on, and so does its file.
    folder = str(tmp_path / "docs" / "postmortems")
    told = json.loads(
        ok(
            env,
            *("--incident-id", number, "--lucky", "It was a Saturday", "--json"),
            *("--factor", "No limit", "--why", "Why? => No cleanup => trace"),
            *("--output-dir", folder),
        )
    )
    assert told["existing"] and told["written"] and told["state"] == "draft"
    assert told["path"] == os.path.join(folder, NAME)
    assert told["contributing_factors"] == ["No limit"]
    content = (tmp_path / path).read_text()
    assert "It was a Saturday" in content
    assert "1. **Why?** No cleanup" in content
    done = run(env, "--incident-id", number, "--output-dir", folder, "--json")
    assert json.loads(done.stdout)["written"] is False


def test_nobody_loses_a_text(env, tmp_path):
    first = opened(env, "--error-code", "DB_CONNECTION_LEAK")
    line = ("--output-dir", str(tmp_path))
    path = tmp_path / NAME
    assert ok(env, "--incident-id", first, *line) == str(path)
    path.write_text(path.read_text().replace("_Not written yet._", "Mine", 1))
    done = run(env, "--incident-id", first, "--knowledge", "x", *line)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "--from takes it over, --force replaces it" in done.stderr
    assert "Mine" in path.read_text()
    # What was written by hand is taken over, and is ours again.
    assert ok(env, "--from", str(path), "--force", *line) == str(path)
    assert "Mine" in path.read_text() and "\nx\n" in path.read_text()
    # Another incident of that day has the same error code.
    second = opened(env, "--error-code", "DB_CONNECTION_LEAK")
    name = f"2025-11-01-db-connection-leak-{second.lower()}.md"
    for _again in range(2):
        found = ok(env, "--incident-id", second, "--title", "Other", *line)
        assert found == str(tmp_path / name)
    assert f"**Incident:** {first}" in path.read_text()
    # A text that is no post-mortem of ours
    own = tmp_path / "2025-11-01-own.md"
    own.write_text("Shopping list\n")
    done = run(env, "--incident-id", second, "--slug", "Own", *line)
    assert done.returncode == 1
    assert own.read_text() == "Shopping list\n"
    assert ok(env, "--incident-id", second, "--slug", "own", "--force", *line) == str(
        own
    )
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(
        [NAME, name, own.name]
    )


def test_to_stdout_and_quick(env):
    number = opened(env)
    out = ok(
        env,
        *("--incident-id", number, "--kind", "quick", "--fix", "Restarted"),
        *("--output-dir", "-"),
    )
    assert out.startswith("# Quick Incident Report: Health checks time out\n")
    assert "\n**Fix:** Restarted\n" in out
    line = ("--incident-id", number, "--output-dir", "-", "--json")
    done = run(env, *line, "--root-cause", "Somebody forgot to close it.")
    assert "hint: Root Cause: “Somebody forgot to close it.” Say what" in done.stderr
    assert "hint" not in run(env, *line, "--root-cause", "No limit").stderr
    told = json.loads(ok(env, *line))
    assert told["kind"] == "quick" and "**Fix:** Restarted" in told["content"]


def test_taken_over_from_a_file(env, tmp_path):
    number = opened(env)
    source = tmp_path / "old.md"
    source.write_text(FULL)
    line = ("--incident-id", number, "--from", str(source))
    seen = ok(env, *line, "--dry-run")
    assert f"{number}: Sign-in was down (full, new)" in seen
    assert "section Root Cause: 2 words, new" in seen
    assert "entry 2024-01-15T14:35:00Z: Alert" in seen
    assert "action Larger pool [no owner, p0, 2024-01-16, open]" in seen
    assert "in its description: Owner: DevOps Lead" in seen
    assert "note: Author: “John Doe” is in the file only" in seen
    key = str(uuid.uuid4())
    folder = ("--output-dir", str(tmp_path))
    for _again in range(2):
        done = run(env, *line, *folder, "--idempotency-key", key, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["entries_added"], told["actions_added"]) == (1, 1)
        assert not told["existing"]
        assert "John Doe" in done.stderr
    assert told["path"].endswith("2025-11-01-sign-in-was-down.md")
    content = (tmp_path / told["path"]).read_text()
    assert "| AI-001 | Larger pool | - | P0 | - | 2024-01-16 | Open |" in content
    again = json.loads(ok(env, "--from", told["path"], *folder, "--json"))
    assert (again["entries_added"], again["actions_added"]) == (0, 0)
    assert again["written"] is False
    piped = ok(
        env,
        *("--incident-id", number, "--from", "-", "--dry-run", "--json"),
        stdin=FULL.encode(),
    )
    assert json.loads(piped)["actions"][0]["known"]


def test_what_is_refused(env, tmp_path):
    number = opened(env)
    for arguments, code, said in (
        ((), 2, "Give --incident-id"),
        (("--incident-id", ""), 2, "Give --incident-id"),
        (("--incident-id", number, "--publish"), 2, "an API key cannot sign"),
        (("--incident-id", number, "--dry-run"), 2, "goes with --from"),
        (("--incident-id", number, "--kind", "odd"), 2, "invalid choice"),
        (("--incident-id", number, "--why", "Why?"), 2, "question => answer"),
        (("--from", str(tmp_path / "none.md")), 2, "cannot be read"),
        (("--incident-id", "INC-19990101-001"), 1, "no incident"),
        (("--incident-id", number, "--author", "ghost"), 1, "login 'ghost'"),
        (("--incident-id", number, "--review"), 1, "[root_cause]"),
    ):
        done = run(env, *arguments, "--output-dir", str(tmp_path))
        assert done.returncode == code, (arguments, done.stderr)
        assert said in done.stderr, (arguments, done.stderr)
        assert done.stdout == ""
    bad = tmp_path / "bad.md"
    bad.write_bytes(b"\xff\xfe\x00")
    done = run(env, "--from", str(bad))
    assert done.returncode == 2 and "not UTF-8" in done.stderr
    bad.write_text("Hello")
    done = run(env, "--incident-id", number, "--from", str(bad))
    assert done.returncode == 1 and "none of its headings" in done.stderr


def test_what_is_in_review_stays(env, tmp_path):
    number = opened(env)
    line = ("--incident-id", number, "--output-dir", str(tmp_path))
    written = (
        *("--summary", "Slow", "--root-cause", "A leak", "--fix", "Closed"),
        *("--impact", "All", "--detection", "Alert", "--went-well", "Fast"),
        *("--preventive-measures", "Limits"),
    )
    told = json.loads(ok(env, *line, *written, "--review", "--json"))
    assert told["state"] == "in_review"
    done = run(env, *line, "--summary", "Fast")
    assert done.returncode == 1
    assert "In review" in done.stderr
    assert "in review" in run(env, *line).stderr
    assert "**Status:** In review" in (tmp_path / told["path"]).read_text()


def test_help_names_every_flag():
    done = run_script("create_postmortem.py", "--help")
    assert done.returncode == 0
    assert 'create_postmortem.py --incident-id "$INCIDENT_ID"' in done.stdout
    assert "docs/postmortems" in done.stdout
    assert str(ROOT) not in done.stdout
