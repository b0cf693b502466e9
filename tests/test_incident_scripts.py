"""The incident of the review workflow through the scripts, from detection to closure.

Schedules could not be generated: the connection pool was exhausted by queries without
an index, whose migration had been written but not applied.
"""

import json
import uuid

import pytest
from qms_client import Client, RefusedError
from scripts_support import run_script

NOTES = """\
| Time (UTC) | Event | Component | Evidence |
|------------|-------|-----------|----------|
| 14:30:15 | First error with status 500 | Backend API | `logs/backend.log:1234` |
| 14:30:42 | Connection pool exhausted | PostgreSQL | Maximum of connections reached |
| 14:32:00 | Alert fired | Prometheus | Rate of status 500 over its threshold |
| 14:33:30 | Investigation began | On-call | - |
| 14:38:15 | Cause found | - | Migration pending, indexes missing |
| 14:42:00 | Migration applied | Backend | `alembic upgrade head` |
| 14:43:00 | Services restarted | Docker | `docker-compose restart backend` |
| 14:45:30 | Service restored | All | Health checks green |
"""
WHYS = (
    ("Why did the API answer 500?", "The connection pool was exhausted"),
    ("Why was it exhausted?", "Long queries held the connections"),
    ("Why were they long?", "The table of assignments had no index for them"),
    ("Why was there no index?", "Its migration had not been applied"),
    ("Why not?", "The deployment does not look at migrations"),
)
ROOT_CAUSE = "The deployment does not check that migrations are applied"
FACTORS = (
    "No alert on the use of the pool",
    "The deployment checklist does not name migrations",
    "No test measures queries without their index",
)
# Title, type, priority and due date of the actions AI-001 to AI-005
ACTIONS = (
    ("Add migration check to CI", "automation", "high", "2025-12-30"),
    ("Create connection pool alert", "monitoring", "high", "2025-12-28"),
    ("Update deployment docs", "documentation", "medium", "2025-12-29"),
    ("Audit schema for indexes", "database", "medium", "2026-01-05"),
    ("Add performance tests", "testing", "low", "2026-01-10"),
)
# Every section of the templates, in their order
HEADINGS = """\
## Summary
## Timeline
## Root Cause
### Five Whys
## Contributing Factors
## Impact
## Resolution
### Verification
## Detection
## Action Items
## Lessons Learned
### What Went Well
### What Went Wrong
### Where We Got Lucky
### Knowledge Gained
## Preventive Measures
## Follow-up
""".splitlines()
PASSWORD = "correct horse battery"


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


@pytest.fixture
def manager(make_user, env):
    """A client for the person who publishes post-mortems: a key cannot sign."""
    user = make_user("qms_error_code.group_qms_manager", password=PASSWORD, key=False)
    return Client.from_environment(
        url=env["ODOO_URL"], db=env["ODOO_DB"], user=user.login, password=PASSWORD
    )


def test_from_detection_to_closure(env, rpc, manager, tmp_path):
    """The example incident; what is missing is refused until it is there."""
    line = (
        *("--title", "Schedules cannot be generated", "--severity", "P1"),
        *("--error-code", "DB_CONNECTION_TIMEOUT", "--system", "Backend API"),
        *("--system", "Schedule generation", "--detection-method", "monitoring"),
        *("--detected-by", "Prometheus", "--occurred-at", "2025-12-26T14:30:15Z"),
        *("--detected-at", "2025-12-26T14:32:00Z"),
        "--description",
        "Each request to generate a schedule was answered with status 500",
        *("--idempotency-key", str(uuid.uuid4())),
    )
    number = ok(env, "create_incident.py", *line, "--print", "name")
    assert number.startswith("INC-20251226-")
    assert ok(env, "create_incident.py", *line, "--print", "name") == number

    def update(*arguments, **options):
        return ok(
            env, "update_incident.py", "--incident", number, *arguments, **options
        )

    _respond(env, update, tmp_path)
    run_id = _work_a_run(env, update)
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

    _analyse(env, update, run_id)
    _raise_actions(env, rpc, number)
    assert [one.partition(":")[0] for one in update("--missing").splitlines()] == [
        "postmortem"
    ]
    content = _write_postmortem(env, rpc, manager, number, tmp_path)
    assert update("--missing") == ""
    closed = json.loads(update("--state", "closed", "--json"))
    assert closed["state"] == "closed"
    durations = closed["durations_minutes"]
    assert durations == {
        "detect": 1.75,
        "acknowledge": 1.5,
        "mitigate": 11,
        "resolve": 13.5,
    }
    # What the example rounds to 15 minutes
    assert durations["detect"] + durations["resolve"] == 15.25
    assert closed["users_affected"] == 0
    _check_timeline(update("--timeline", "markdown"), content)


def _respond(env, update, folder):
    notes = folder / "notes.md"
    notes.write_text(NOTES)
    assert update("--import-timeline", str(notes)) == "detected"
    assert update("--state", "triaged", "--at", "2025-12-26T14:33:30Z") == "triaged"
    update("--assign", "technical_lead", "--to", env["ODOO_USER"])
    update(
        *("--update", "Cause found: a migration is missing", "--next-minutes", "30"),
        *("--public-text", "Generating schedules is disturbed", "--tell"),
        env["ODOO_USER"],
    )
    told = json.loads(update("--entry", "Stakeholders told", "--json"))
    assert told["public_status"] == "Generating schedules is disturbed"
    assert told["next_update_at"]


def _work_a_run(env, update):
    """Work a run because of the incident; return its id."""
    run_id = ok(
        env,
        "create_sop_run.py",
        *("--sop-code", "SOP-TRIAGE-001", "--error-code", "DB_CONNECTION_TIMEOUT"),
    )
    update("--link-run", run_id)
    ok(
        env,
        "update_sop_run.py",
        *("--run-id", run_id, "--step", "2", "--evidence", "-"),
        *("--evidence-name", "explain.txt", "--evidence-source", "EXPLAIN ANALYZE"),
        stdin=b"Seq Scan on assignments (300 ms) -> Index Scan (15 ms)",
    )
    return run_id


def _analyse(env, update, run_id):
    update(
        *("--users-affected", "0", "--operations-affected", "Generating schedules"),
        *("--groups-affected", "All who generate schedules", "--no-workaround"),
        *("--data-integrity", "intact", "--data-checks", "No orphaned assignments"),
        *("--compliance", "maintained", "--compliance-checks", "Schedules unchanged"),
        *("--prevention", "The deployment refuses pending migrations"),
        *("--documentation", "Deployment checklist", "--team-told", "Weekly review"),
    )
    whys = [word for ask, answer in WHYS for word in ("--why", f"{ask} => {answer}")]
    ok(
        env,
        "create_rca.py",
        *("--run-id", run_id, "--root-cause", ROOT_CAUSE, *whys, "--confirm"),
        *("--contributing-factors", ", ".join(FACTORS), "--fix-type", "database"),
        *("--fix", "Applied the pending migration, restarted the backend"),
        *("--verification", "Queries take 15 ms in place of 300 ms"),
    )
    ok(
        env,
        "update_sop_run.py",
        *("--run-id", run_id, "--state", "cancelled", "--reason", "Mended by hand"),
    )


def _raise_actions(env, rpc, number):
    for title, kind, priority, due in ACTIONS:
        ok(
            env,
            "create_action.py",
            *("--incident", number, "--title", title, "--kind", "preventive"),
            *("--type", kind, "--priority", priority, "--due", due),
        )
    found = rpc.call("qms.incident", "find_incident", reference=number)
    page = rpc.call(
        "qms.action",
        "search_read",
        domain=[("incident_id", "=", found["id"])],
        fields=["reference", "name", "action_type", "due_date", "state"],
        order="id",
    )
    assert [tuple(action.values())[1:] for action in page] == [
        (f"{number}/AI-{position:03d}", title, kind, due, "open")
        for position, (title, kind, _priority, due) in enumerate(ACTIONS, 1)
    ]


def _write_postmortem(env, rpc, manager, number, folder):
    """Write the post-mortem, and have it reviewed and published; return its text."""
    line = (
        *("--incident-id", number, "--title", "Schedules could not be generated"),
        "--summary",
        "The connection pool was exhausted by queries without their index",
        *("--preventive-measures", "The deployment refuses pending migrations"),
        *("--went-well", "- Noticed within two minutes\n- No data was lost"),
        *("--went-wrong", "- Nothing measured queries before production"),
        *("--lucky", "- It was an afternoon, and the author of the index was there"),
        *("--knowledge", "- An exhausted pool shows as status 500, not as a time-out"),
        *("--follow-up", "Look at the pool again in four weeks"),
        *("--participant", manager.user, "--output-dir", str(folder)),
    )
    path = ok(env, "create_postmortem.py", *line, "--review")
    assert path == str(folder / "2025-12-26-db-connection-timeout.md")
    written = json.loads(
        ok(
            env,
            *("create_postmortem.py", "--incident-id", number, "--json"),
            *("--output-dir", str(folder)),
        )
    )
    assert (written["state"], written["existing"]) == ("in_review", True)
    # Not by its author
    with pytest.raises(RefusedError, match="its author left out"):
        rpc.call("qms.postmortem", "review", ids=[written["id"]])
    manager.call("qms.postmortem", "review", ids=[written["id"]])
    published = manager.call(
        "qms.postmortem", "publish", ids=[written["id"]], password=PASSWORD
    )
    assert published["state"] == "published"
    with open(path) as file:
        return file.read()


def _check_timeline(table, content):
    assert table.startswith("| Time (UTC) | Event | Component | Evidence |")
    told = ("First error", "Detected: Schedules", "Cause found", "Migration applied")
    for text in (table, content):
        order = [text.index(part) for part in (*told, "Service restored")]
        assert order == sorted(order)
    assert "| Migration applied | Backend | alembic upgrade head |" in table
    assert table.index("Service restored") < table.index("Closed")
    places = [content.index(f"\n{heading}\n") for heading in HEADINGS]
    assert places == sorted(places)
    said = [word for why in WHYS for word in why]
    said += [*FACTORS, ROOT_CAUSE, *(action[0] for action in ACTIONS)]
    for text in (*said, "AI-005", "No orphaned assignments", "15 ms in place of"):
        assert text in content, text


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
