"""collect_evidence.py against a live Odoo."""

import hashlib
import json
import uuid
from pathlib import Path

import pytest
import scripts_support as support
from runner_support import Relay, TerminalSession, make_sop, run_of, run_runner
from scripts_support import run_script

SCRIPT = "collect_evidence.py"
LOG = """\
2026-11-21 06:10:01,123 42 ERROR shop odoo.http: request 1 failed, password=hunter2
Traceback (most recent call last):
  File "/srv/app/pool.py", line 99, in get
    raise PoolError("exhausted")
shop.PoolError: connection pool exhausted
2026-11-21 06:10:02,123 42 ERROR shop odoo.http: request 2 failed, password=hunter2
2026-11-21 06:10:03,123 42 INFO shop odoo.http: fine
"""
SOURCES = [
    ("Application log", "bash", 'cat "$LOG_FILE" > application.log'),
    ("Lines with errors", "bash", "grep ERROR application.log"),
    ("Of an unknown tool", "bash", "no-such-tool --all > tool.log"),
    ("Fails later", "bash", "cd . && no-such-tool"),
    ("Needs a variable", "bash", 'echo "$NOBODY_KNOWS"'),
    ("The error itself", "bash", 'echo "run $RUN_ID: $ERROR_MESSAGE"; touch empty.txt'),
    ("Risky", "bash", "# Check before: nobody works\necho risky"),
    ("The console", "text", "Open the developer tools."),
    ("Rows", "sql", "SELECT 1"),
]


@pytest.fixture(scope="module")
def automation(make_user):
    return make_user("qms_error_code.group_qms_automation")


def make_category(orm, sources):
    """Make a category of errors with sources of evidence.

    :return: its code
    :rtype: str
    """
    code = f"TEST_{uuid.uuid4().hex[:8].upper()}"
    orm(
        """
        env["qms.error.category"].create({
            "name": code,
            "code": code,
            "evidence_source_ids": [
                (0, 0, {"name": n, "sequence": s, "language": l, "command": c})
                for s, (n, l, c) in enumerate(sources)
            ],
        })
        """,
        code=code,
        sources=sources,
    )
    return code


@pytest.fixture(scope="module")
def category(orm):
    """A category with sources of every kind."""
    return make_category(orm, SOURCES)


@pytest.fixture(scope="module")
def sop(orm):
    return make_sop(orm, [{}, {}])


@pytest.fixture
def env(odoo_server, automation, tmp_path):
    log = tmp_path / "shop.log"
    log.write_text(LOG)
    return support.environment(
        tmp_path,
        ODOO_URL=odoo_server.url,
        ODOO_DB=odoo_server.db,
        ODOO_USER=automation.login,
        ODOO_API_KEY=automation.api_key,
        XDG_STATE_HOME=str(tmp_path / "state"),
        LOG_FILE=str(log),
        TMPDIR=str(tmp_path),
        NO_PROXY="*",
    )


@pytest.fixture
def run_id(env, sop, category):
    done = run_script(
        "create_sop_run.py",
        *("--sop-code", sop, "--category", category, "--summary", "x $(touch y)"),
        env=env,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def collect(env, run_id, *arguments, **more):
    return run_runner(SCRIPT, "--run-id", run_id, *arguments, env=env, **more)


def test_collects_attaches_and_summarises(orm, env, run_id, category, tmp_path):
    before = set(tmp_path.iterdir())
    done = collect(env, run_id, "--yes", "--step", "2")
    assert done.returncode == 0, done.stderr
    evidence = run_of(orm, run_id)["evidence"]
    prefix = f"evidence-{category.lower().replace('_', '-')}"
    assert sorted(evidence) == sorted(
        [
            "application.log",
            f"{prefix}-lines-with-errors.txt",
            f"{prefix}-fails-later.txt",
            f"{prefix}-the-error-itself.txt",
            "evidence-summary.txt",
        ]
    )
    log = evidence["application.log"]
    assert log["text"] == LOG.replace("hunter2", "***")
    assert log["sha256"] == hashlib.sha256(log["text"].encode()).hexdigest()
    assert log["sha256"] in done.stderr
    assert log["source"].startswith('cat "$LOG_FILE" > application.log (exit 0 after')
    assert " UTC), collect_evidence.py on " in log["source"]
    text = evidence[f"{prefix}-the-error-itself.txt"]["text"]
    assert text == f"run {run_id}: x $(touch y)\n"
    assert len(done.stdout.split()) == 5
    for line in (
        "Of an unknown tool  no-such-tool is not installed",
        "Needs a variable    NOBODY_KNOWS not set",
        "Risky               to be checked before: nobody works",
        "The console         to be collected by hand",
        "Rows                to be collected by hand",
        "2 × shop odoo.http: request <n> failed, password=***  [application.log]",
        "1 × shop.PoolError at /srv/app/pool.py:99 in get  [application.log]",
    ):
        assert line in done.stderr
        assert line in evidence["evidence-summary.txt"]["text"]
    assert "(command not found)" in done.stderr
    assert "empty.txt is empty" in done.stderr
    assert "hunter2" not in done.stderr
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "state"}, "it tidies up"
    steps = orm(
        """
        run = env["qms.sop.run"].browse(int(run_id))
        result = run.evidence_ids.step_id.mapped("number")
        """,
        run_id=run_id,
    )
    assert steps == [2]


def test_json_and_logs_of_ones_own(orm, env, run_id, tmp_path):
    log, blob = tmp_path / "own.log", tmp_path / "core"
    log.write_text(LOG * 3)
    blob.write_bytes(b"\x7fELF\0\0\0password=hunter2")
    folder = tmp_path / "kept"
    done = collect(
        env,
        run_id,
        *("--yes", "--json", "--top", "1", "--directory", str(folder)),
        *("--log", str(log), "--log", str(blob)),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["errors"] == [
        {
            "count": 6,
            "log": "own.log",
            "logs": 3,
            "message": "shop odoo.http: request <n> failed, password=***",
        }
    ]
    assert result["tracebacks"][0]["count"] == 3
    assert result["pending"] == 0
    assert "own.log" in [piece["name"] for piece in result["attached"]]
    assert "core is not text" in done.stderr
    assert "core" not in run_of(orm, run_id)["evidence"]
    assert (folder / "application.log").read_text() == LOG


def test_dry_run_does_nothing(orm, env, run_id, tmp_path):
    before = set(tmp_path.iterdir())
    done = collect(env, run_id, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    actions = {s["source"]: s["action"] for s in json.loads(done.stdout)["sources"]}
    assert actions["Application log"] == "to be run"
    assert actions["Of an unknown tool"] == "no-such-tool is not installed"
    assert run_of(orm, run_id)["evidence_count"] == 0
    assert set(tmp_path.iterdir()) == before


def test_another_category(env, run_id):
    done = collect(env, run_id, "--category", "application", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "category APPLICATION" in done.stderr
    done = collect(env, run_id, "--category", "NONSENSE", "--dry-run")
    assert done.returncode == 1
    assert "DATABASE" in done.stderr


def test_a_run_without_category(env, sop):
    done = run_script("create_sop_run.py", "--sop-code", sop, env=env)
    done = collect(env, done.stdout.strip(), "--yes")
    assert done.returncode == 1
    assert "has no category yet" in done.stderr


def test_a_command_that_takes_too_long(orm, env, run_id):
    slow = make_category(orm, [("Slow", "bash", "echo begun; sleep 60")])
    done = collect(env, run_id, "--category", slow, "--yes", "--timeout", "1")
    assert done.returncode == 0, done.stderr
    assert "its time was over" in done.stderr
    evidence = run_of(orm, run_id)["evidence"]
    (name,) = [name for name in evidence if name.endswith("slow.txt")]
    assert evidence[name]["text"] == "begun\n"


def test_the_server_goes_away(orm, env, run_id, odoo_server, tmp_path):
    with Relay(odoo_server) as relay:
        away = {**env, "ODOO_URL": relay.url}
        relay.is_closed = lambda: len(relay.requests) > 3 and relay.broken
        relay.broken = True
        done = collect(away, run_id, "--yes", "--retries", "0")
        assert done.returncode == 4
        assert "kept in" in done.stderr
        assert run_of(orm, run_id)["evidence_count"] < 5
        relay.broken = False
        # Whichever of the two scripts comes next sends them.
        sent = run_runner("execute_sop_run.py", "--run-id", run_id, "--yes", env=away)
        assert "Sent what was kept of run" in sent.stderr
        assert run_of(orm, run_id)["evidence_count"] == 5
        left = [path for path in Path(tmp_path, "state").rglob("*") if path.is_file()]
        assert left == []


def test_from_within_a_step(orm, env, category):
    command = f'python scripts/{SCRIPT} --run-id "$RUN_ID" --step 1 --yes'
    sop = make_sop(orm, [{"commands": [{"command": command}]}])
    done = run_runner(
        "execute_sop_run.py",
        *("--sop-code", sop, "--category", category, "--yes"),
        env={**env, "ERROR_MESSAGE": "x"},
    )
    assert done.returncode == 0, done.stderr
    run = run_of(orm, done.stdout)
    assert run["state"] == "completed"
    assert "application.log" in run["evidence"]


def test_roles(env, run_id, make_user):
    auditor = make_user("qms_error_code.group_qms_auditor")
    as_auditor = {**env, "ODOO_USER": auditor.login, "ODOO_API_KEY": auditor.api_key}
    done = collect(as_auditor, run_id, "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "may read" in done.stderr
    assert not list(Path(env["HOME"]).glob("qms-evidence-*"))


def test_at_a_terminal(orm, env, run_id):
    session = TerminalSession(SCRIPT, "--run-id", run_id, env=env)
    session.answer("Run it?", "r")
    session.wait_for("Attached to the run: application.log")
    session.answer("Run it?", "s")
    session.wait_for("not wanted")
    session.answer("Run it?", "r")
    session.wait_for("(command not found)")
    session.wait_for("Not known: NOBODY_KNOWS")
    session.answer("Run it?", "r")
    session.answer("NOBODY_KNOWS is not known", "told $(touch x)")
    session.wait_for("│ told $(touch x)")
    session.answer("Run it?", "q")
    assert session.end() == 1
    assert "Ended before the end" in session.screen
    evidence = run_of(orm, run_id)["evidence"]
    assert "application.log" in evidence and "evidence-summary.txt" in evidence


@pytest.mark.parametrize(
    "arguments",
    [(), ("--run-id", "1", "--log", "/no/such/file"), ("--run-id", "1", "--top", "x")],
)
def test_wrong_flags(env, arguments):
    done = run_script(SCRIPT, *arguments, env=env)
    assert (done.returncode, done.stdout) == (2, "")


def test_starts_without_any_package():
    done = run_script(SCRIPT, "--help", python=("-S", "-E", "-s"))
    assert done.returncode == 0
    for part in ("examples:", "exit codes:", "environment:", SCRIPT):
        assert part in done.stdout
