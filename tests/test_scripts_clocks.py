"""Times and milestones by script: what is sent, what is refused, and a live run."""

import json
import time

import pytest
import scripts_support as support
from scripts_support import Odoo, RecordingServer, run_script

RUN = {
    "id": 12,
    "name": "RUN-000012",
    "state": "in_progress",
    "sla": "running",
    "sop_code": "SOP-1",
    "sop_version": "1.0.0",
    "severity": "high",
    "category": False,
    "error_code": False,
    "url": "https://odoo.example.com/odoo/runs/12",
    "progress": 50.0,
    "acknowledged_at": False,
    "existing": False,
}


@pytest.fixture
def odoo():
    odoo = Odoo()
    odoo.methods = {f"qms.sop.run.{name}": RUN for name in ("start_run", "update_run")}
    for name in ("acknowledge", "mitigate", "resolve", "correct_times"):
        odoo.methods[f"qms.sop.run.{name}"] = {**RUN, "sla": "met"}
    return odoo


@pytest.fixture
def env(odoo, tmp_path):
    with RecordingServer(odoo) as server:
        yield support.environment(tmp_path, **odoo.settings(server.url))


def update(env, *arguments):
    return run_script("update_sop_run.py", "--run-id", "12", *arguments, env=env)


def test_a_run_is_opened_and_taken_on(env, odoo):
    done = run_script(
        "create_sop_run.py",
        *("--sop-code", "SOP-1", "--idempotency-key", "k", "--acknowledge"),
        *("--occurred-at", "1772366400", "--detected-at", "2026-03-01T14:00:00+01:00"),
        env=env,
    )
    assert done.stdout == "12\n", done.stderr
    start, acknowledge = odoo.calls
    assert start[3]["occurred_at"] == "2026-03-01T12:00:00Z"
    assert start[3]["detected_at"] == "2026-03-01T13:00:00Z"
    assert acknowledge[1:] == (
        "acknowledge",
        [12],
        {"idempotency_key": "k/acknowledge"},
    )


def test_what_somebody_took_on_already_stays_theirs(env, odoo):
    taken = {**RUN, "acknowledged_at": "2026-03-01T12:00:00Z", "existing": True}
    odoo.methods["qms.sop.run.start_run"] = taken
    done = run_script(
        "create_sop_run.py", "--sop-code", "SOP-1", "--acknowledge", env=env
    )
    assert done.returncode == 0
    assert [call[1] for call in odoo.calls] == ["start_run"]


def test_milestones_come_before_the_state(env, odoo):
    done = update(
        env,
        *("--acknowledge", "--mitigate", "--resolve", "--idempotency-key", "k"),
        *("--state", "completed", "--resolution", "Mended"),
    )
    assert done.returncode == 0, done.stderr
    assert [(name, sent["idempotency_key"]) for _m, name, _i, sent in odoo.calls] == [
        ("acknowledge", "k/acknowledge"),
        ("mitigate", "k/mitigate"),
        ("resolve", "k/resolve"),
        ("update_run", "k/run"),
    ]


def test_corrections_carry_their_reason(env, odoo):
    done = update(
        env,
        *("--mitigated-at", "2026-03-01T12:10Z", "--reason", "Says the proxy"),
        *("--print", "sla"),
    )
    assert done.stdout == "met\n", done.stderr
    ((_model, name, ids, sent),) = odoo.calls
    assert (name, ids) == ("correct_times", [12])
    sent.pop("idempotency_key")
    assert sent == {"mitigated_at": "2026-03-01T12:10:00Z", "reason": "Says the proxy"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--mitigated-at", "2026-03-01T12:10:00Z"], "--reason"),
        (["--mitigated-at", "noon", "--reason", "x"], "'noon' is not a time"),
        (["--mitigated-at", "2026-03-01", "--reason", "x"], "is not a time"),
        (["--mitigated-at", "9" * 30, "--reason", "x"], "is not a time"),
        (
            ["--mitigate", "--mitigated-at", "2026-03-01T12:10:00Z", "--reason", "x"],
            "either --mitigate or --mitigated-at",
        ),
    ],
)
def test_wrong_usage(env, odoo, arguments, told):
    done = update(env, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert not odoo.calls


def test_live(odoo_server, make_user, tmp_path):
    user = make_user("qms_error_code.group_qms_operator")
    env = support.environment(
        tmp_path,
        ODOO_URL=odoo_server.url,
        ODOO_DB=odoo_server.db,
        ODOO_USER=user.login,
        ODOO_API_KEY=user.api_key,
        NO_PROXY="*",
    )
    opened = run_script(
        "create_sop_run.py",
        *("--sop-code", "SOP-TRIAGE-001", "--severity", "P0", "--acknowledge"),
        *("--occurred-at", str(int(time.time()) - 900), "--json"),
        env=env,
    )
    run = json.loads(opened.stdout)
    assert run["clocks"]["response"]["state"] == "met"
    assert 14 < run["time_to_detect_minutes"] < 16
    run_id = ("--run-id", str(run["id"]))
    refused = run_script(
        "update_sop_run.py",
        *run_id,
        *("--mitigated-at", "2020-01-01T00:00:00Z", "--reason", "x"),
        env=env,
    )
    assert refused.returncode == 1
    assert "mitigated_at (2020-01-01T00:00:00Z) cannot be before" in refused.stderr
    done = run_script(
        "update_sop_run.py",
        *run_id,
        *("--resolve", "--print", "sla"),
        env=env,
    )
    assert done.stdout == "met\n", done.stderr
