"""The incident of the review workflow through the scripts, from detection to closure.

Schedules could not be generated: the connection pool was exhausted by queries without
an index, whose migration had been written but not applied.
"""

import base64
import json
import uuid

import pytest
from qms_client import Client
from scripts_support import run_script

NOTES = """\
| Time (UTC) | Event | Component | Evidence |
|------------|-------|-----------|----------|
| 14:30:15 | First error with status 500 | Backend API | `logs/backend.log:1234` |
| 14:30:42 | Connection pool exhausted | PostgreSQL | Maximum of connections |
| 14:38:15 | Cause found | - | Migration pending |
| 14:42:00 | Migration applied | Backend | `alembic upgrade head` |
| 14:45:30 | Service restored | All | Health checks |
"""
WHYS = (
    ("Why did the API answer 500?", "The connection pool was exhausted"),
    ("Why was it exhausted?", "Long queries held the connections"),
    ("Why were they long?", "The table of assignments had no index for them"),
    ("Why was there no index?", "Its migration had not been applied"),
    ("Why not?", "The deployment does not look at migrations"),
)


@pytest.fixture(scope="module")
def env(make_user, odoo_server, tmp_path_factory):
    """The variables of a client who works incidents, with a key."""
    user = make_user("qms_error_code.group_qms_operator")
    return {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "ODOO_URL": odoo_server.url,
        "ODOO_DB": odoo_server.db,
        "ODOO_USER": user.login,
        "ODOO_API_KEY": user.api_key,
    }


@pytest.fixture
def rpc(env):
    """A client for what no script of incidents does."""
    return Client.from_environment(
        url=env["ODOO_URL"],
        db=env["ODOO_DB"],
        user=env["ODOO_USER"],
        api_key=env["ODOO_API_KEY"],
    )


def ok(env, script, *arguments, **options):
    """Run a script that has to succeed; return its stdout without the line's end."""
    done = run_script(script, *arguments, env=env, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def refused(env, script, *arguments, code=1):
    """Run a script that has to fail; return what it says."""
    done = run_script(script, *arguments, env=env)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stdout == ""
    return done.stderr


def test_from_detection_to_closure(env, rpc, tmp_path):
    """The example incident; what is missing is refused until it is there."""
    line = (
        *("--title", "Schedules cannot be generated", "--severity", "P1"),
        *("--error-code", "DB_CONNECTION_TIMEOUT", "--system", "Backend API"),
        *("--system", "PostgreSQL", "--detection-method", "monitoring"),
        *("--detected-by", "Prometheus", "--occurred-at", "2025-12-26T14:30:15Z"),
        *("--detected-at", "2025-12-26T14:32:00Z"),
        *("--idempotency-key", str(uuid.uuid4())),
    )
    number = ok(env, "create_incident.py", *line, "--print", "name")
    assert number.startswith("INC-20251226-")
    assert ok(env, "create_incident.py", *line, "--print", "name") == number

    def update(*arguments, **options):
        return ok(
            env, "update_incident.py", "--incident", number, *arguments, **options
        )

    notes = tmp_path / "notes.md"
    notes.write_text(NOTES)
    assert update("--import-timeline", str(notes)) == "detected"
    assert update("--state", "triaged", "--at", "2025-12-26T14:33:30Z") == "triaged"
    run_id = ok(
        env,
        "create_sop_run.py",
        *("--sop-code", "SOP-TRIAGE-001", "--error-code", "DB_CONNECTION_TIMEOUT"),
    )
    update("--link-run", run_id)
    update("--assign", "technical_lead", "--to", env["ODOO_USER"])
    update(
        *("--update", "Cause found: a migration is missing", "--next-minutes", "30"),
        *("--public-text", "Generating schedules is disturbed", "--tell"),
        env["ODOO_USER"],
    )
    told = json.loads(update("--entry", "Stakeholders told", "--json"))
    assert told["public_status"] == "Generating schedules is disturbed"
    assert told["next_update_at"]
    update("--state", "mitigated", "--at", "2025-12-26T14:43:00Z")
    update("--state", "resolved", "--at", "2025-12-26T14:45:30Z")
    update("--state", "reviewed")

    missing = update("--missing").splitlines()
    codes = [reason.partition(":")[0] for reason in missing]
    assert {"runs", "impact.users", "root_cause", "actions", "postmortem"} < set(codes)
    assert "timeline.evidence" not in codes
    said = refused(env, "update_incident.py", "--incident", number, "--state", "closed")
    for reason in missing:
        code, _colon, text = reason.partition(": ")
        assert f"- {text} [{code}]" in said

    update(
        *("--users-affected", "0", "--operations-affected", "Generating schedules"),
        *("--no-workaround", "--data-integrity", "intact"),
        *("--data-checks", "No orphaned assignments", "--compliance", "maintained"),
        *("--prevention", "The deployment refuses pending migrations"),
        *("--documentation", "Deployment checklist", "--team-told", "Weekly review"),
        *("--postmortem-link", "docs/postmortems/2025-12-26-schedules.md"),
    )
    rpc.call(
        "qms.sop.run",
        "record_rca",
        ids=[int(run_id)],
        root_cause="The deployment does not check that migrations are applied",
        whys=[{"question": ask, "answer": answer} for ask, answer in WHYS],
        fix="Pending migration applied",
        verification="Queries take 15 ms in place of 300 ms",
        confirm=True,
        idempotency_key=str(uuid.uuid4()),
    )
    rpc.call(
        "qms.sop.run",
        "add_evidence",
        ids=[int(run_id)],
        name="explain.txt",
        content=base64.b64encode(b"Index Scan").decode(),
        idempotency_key=str(uuid.uuid4()),
    )
    rpc.call(
        "qms.sop.run",
        "cancel",
        ids=[int(run_id)],
        reason="Mended by hand",
        idempotency_key=str(uuid.uuid4()),
    )
    found = rpc.call("qms.incident", "find_incident", reference=number)
    action = rpc.call(
        "qms.incident",
        "create_action",
        ids=[found["id"]],
        title="Check migrations in CI",
        priority="high",
        idempotency_key=str(uuid.uuid4()),
    )
    assert action["reference"] == f"{number}/AI-001"
    assert update("--missing") == ""
    closed = json.loads(update("--state", "closed", "--json"))
    assert closed["state"] == "closed"
    assert closed["durations_minutes"] == {
        "detect": 1.75,
        "acknowledge": 1.5,
        "mitigate": 11,
        "resolve": 13.5,
    }
    assert closed["users_affected"] == 0
    table = update("--timeline", "markdown")
    assert table.startswith("| Time (UTC) | Event | Component | Evidence |")
    told = ("First error", "Detected: Schedules", "Migration applied", "Closed")
    order = [table.index(text) for text in told]
    assert order == sorted(order)
    assert "| Migration applied | Backend | alembic upgrade head |" in table


def test_open_for_a_run(env):
    run_id = ok(
        env,
        "create_sop_run.py",
        *("--sop-code", "SOP-TRIAGE-001", "--severity", "P1", "--summary", "Slow"),
    )
    first = json.loads(
        ok(env, "create_incident.py", "--run-id", run_id, "--json", "--quiet")
    )
    assert first["title"] == "Slow"
    assert ok(env, "create_incident.py", "--run-id", run_id) == str(first["id"])
    assert (
        ok(
            env,
            "update_incident.py",
            "--incident",
            str(first["id"]),
            "--state",
            "triaged",
        )
        == "triaged"
    )
    said = refused(
        env,
        *(
            "update_incident.py",
            "--incident",
            first["name"],
            "--state",
            "false_positive",
        ),
    )
    assert "say why" in said


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (("create_incident.py",), 2, "--title"),
        (("create_incident.py", "--run-id", "1", "--category", "X"), 2, "--category"),
        (("create_incident.py", "--title", "x", "--severity", "awful"), 1, "awful"),
        (("update_incident.py", "--incident", "7"), 2, "Nothing to do"),
        (("update_incident.py", "--incident", "7", "--at", "x"), 2, "--state"),
        (("update_incident.py", "--incident", "7", "--tell", "x"), 2, "--update"),
        (("update_incident.py", "--incident", "INC-1", "--missing"), 1, "INC-1"),
        (
            ("update_incident.py", "--incident", "7", "--users-affected", "many"),
            2,
            "--users-affected",
        ),
    ],
)
def test_what_is_refused(env, line, code, said):
    assert said in refused(env, *line, code=code)
