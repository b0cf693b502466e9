"""The scripts as processes: arguments, stdout and stderr, exit codes, overhead."""

import base64
import json
import signal
import subprocess
import sys
import time
import xmlrpc.client

import pytest
import scripts_support as support
from create_rca import parse_whys
from scripts_support import Odoo, RecordingServer, hang, run_script, status

WRITERS = {
    "create_sop_run.py": ["--sop-code", "SOP-1"],
    "update_sop_run.py": ["--run-id", "12", "--state", "completed"],
    "create_rca.py": ["--run-id", "12", "--root-cause", "cause"],
    "create_action.py": ["--run-id", "12", "--title", "Rotate the logs"],
    "update_error_code.py": ["--code", "X", "--severity", "high"],
    "create_github_issue.py": ["--run-id", "12"],
}
ALL = [*WRITERS, "health_check.py"]
RUN = {
    "id": 12,
    "name": "RUN-000012",
    "state": "in_progress",
    "sop_code": "SOP-1",
    "sop_version": "1.0.0",
    "severity": "high",
    "category": "DATABASE",
    "error_code": False,
    "url": "https://odoo.example.com/odoo/runs/12",
    "api_url": "https://odoo.example.com/api/v1/sop-runs/12",
    "status_url": "https://odoo.example.com/api/v1/sop-runs/st_abc",
    "progress": 50.0,
    "existing": False,
}

ISSUE = {
    "id": 7,
    "state": "made",
    "repository": "example/service",
    "number": 4,
    "url": "https://github.com/example/service/issues/4",
    "title": "Audit",
    "labels": [],
    "error": False,
}


@pytest.fixture
def odoo():
    odoo = Odoo()
    odoo.methods = {
        "qms.sop.run.start_run": RUN,
        "qms.sop.run.get_run": RUN,
        "qms.sop.run.update_run": {**RUN, "state": "completed"},
        "qms.sop.run.update_step": RUN,
        "qms.sop.run.log_error": {"id": 3},
        "qms.sop.run.record_rca": {"id": 5, "name": "RCA-000005", "state": "draft"},
        "qms.action.create_action": {
            "id": 7,
            "reference": "RUN-000012/AI-001",
            "number": "AI-001",
            "due_date": "2026-03-30",
            "owner": False,
            "url": "https://odoo.example.com/odoo/qms-actions/7",
        },
        "qms.sop.run.create_issue": {**ISSUE, "existing": False},
        "qms.issue.get_issue": ISSUE,
        "qms.error.code.upsert_code": {"id": 9, "code": "X", "created": True},
        "qms.sop.run.add_evidence": lambda ids, kwargs: {
            "id": 4,
            "name": kwargs["name"],
            "sha256": "0" * 64,
            "size": len(base64.b64decode(kwargs["content"])),
            "classification": [],
        },
        "qms.sop.run.search_read": [{"id": 12, "name": "RUN-000012"}],
    }
    return odoo


@pytest.fixture
def server(odoo):
    with RecordingServer(odoo) as server:
        yield server


@pytest.fixture
def env(odoo, server, tmp_path):
    return support.environment(tmp_path, **odoo.settings(server.url))


def sent(odoo, method):
    """Return the arguments of the calls of a method, without their key."""
    return [
        {key: value for key, value in kwargs.items() if key != "idempotency_key"}
        for _model, name, _ids, kwargs in odoo.calls
        if name == method
    ]


# -- what all of them do -----------------------------------------------------


@pytest.mark.parametrize("script", ALL)
def test_help(script):
    done = run_script(script, "--help")
    assert done.returncode == 0
    for part in ("examples:", "exit codes:", "environment:", "ODOO_API_KEY", script):
        assert part in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("script", WRITERS)
def test_missing_settings(script, tmp_path):
    done = run_script(script, *WRITERS[script], env=support.environment(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "set ODOO_URL, ODOO_DB, ODOO_USER, ODOO_API_KEY" in done.stderr


@pytest.mark.parametrize("script", WRITERS)
def test_result_on_stdout_and_the_rest_on_stderr(script, env):
    done = run_script(script, *WRITERS[script], env=env)
    expected = {"create_sop_run.py": "12", "update_sop_run.py": "completed"}
    expected |= {"create_rca.py": "5", "update_error_code.py": "X"}
    expected |= {"create_action.py": "7"}
    expected |= {"create_github_issue.py": ISSUE["url"]}
    assert (done.returncode, done.stdout) == (0, expected[script] + "\n")
    assert done.stderr
    done = run_script(script, *WRITERS[script], "--json", "--quiet", env=env)
    assert isinstance(json.loads(done.stdout), dict)
    assert done.stderr == ""


@pytest.mark.parametrize("script", WRITERS)
def test_exit_codes(script, env, odoo, server):
    def outcome(**more):
        done = run_script(
            script, *WRITERS[script], "--retries", "0", env={**env, **more}
        )
        assert done.stdout == ""
        assert done.stderr.startswith(f"{script}: ")
        assert len(done.stderr.splitlines()) == 1
        return done.returncode

    for name in odoo.methods:
        odoo.methods[name] = xmlrpc.client.Fault(2, "Refused because.")
    assert outcome() == 1
    for name in odoo.methods:
        odoo.methods[name] = xmlrpc.client.Fault(1, "Traceback …\n  x\nKeyError: 'a'")
    assert outcome() == 1
    assert outcome(ODOO_API_KEY="wrong") == 3
    assert outcome(ODOO_URL="odoo.example.com") == 2
    assert outcome(ODOO_URL=f"http://127.0.0.1:{support.free_port()}") == 4
    server.default = hang()
    began = time.monotonic()
    done = run_script(
        script, *WRITERS[script], "--timeout", "0.3", "--retries", "0", env=env
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert "no answer within 0.3 s" in done.stderr
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("script", WRITERS)
def test_retries_keep_the_key_of_the_invocation(script, env, odoo, server):
    run_script(script, *WRITERS[script], env=env)
    odoo.calls.clear()
    server.plan = [status(503), status(502)]
    done = run_script(script, *WRITERS[script], env=env)
    assert done.returncode == 0
    assert "trying again" in done.stderr
    if script == "update_error_code.py":
        return
    wire = [xmlrpc.client.loads(request.body)[0][6] for request in server.requests[-3:]]
    assert len({kwargs["idempotency_key"] for kwargs in wire}) == 1
    first = wire[0]["idempotency_key"]
    run_script(script, *WRITERS[script], env=env)
    assert odoo.calls[-1][3]["idempotency_key"] != first
    run_script(script, *WRITERS[script], "--idempotency-key", "mine", env=env)
    assert odoo.calls[-1][3]["idempotency_key"].startswith("mine")


@pytest.mark.parametrize("script", ALL)
def test_unknown_flag(script):
    done = run_script(script, "--no-such-flag")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("script", ALL)
def test_abbreviated_flag_is_refused(script):
    arguments = WRITERS.get(script, ["--url", "http://127.0.0.1:1"])
    done = run_script(script, *arguments, "--js")
    assert done.returncode == 2
    assert "--js" in done.stderr


@pytest.mark.parametrize("script", ALL)
def test_starts_without_any_package(script):
    # -S leaves site-packages out: neither Odoo nor requests can be imported.
    done = run_script(script, "--help", python=("-S", "-E", "-s"))
    assert done.returncode == 0


@pytest.mark.parametrize("script", WRITERS)
def test_works_without_any_package(script, env, odoo):
    done = run_script(script, *WRITERS[script], env=env, python=("-S", "-E", "-s"))
    assert done.returncode == 0, done.stderr
    assert odoo.calls


def test_secret_flags(env, odoo, tmp_path):
    env.pop("ODOO_API_KEY")
    secret = tmp_path / "key"
    secret.write_text(f"{odoo.KEY}\nsecond line\n")
    script, *arguments = "create_sop_run.py", "--sop-code", "S"
    done = run_script(script, *arguments, "--api-key-file", str(secret), env=env)
    assert done.returncode == 0
    assert "process list" not in done.stderr
    done = run_script(script, *arguments, "--api-key", odoo.KEY, env=env)
    assert done.returncode == 0
    assert "process list" in done.stderr
    assert odoo.KEY not in done.stderr
    both = ["--api-key", odoo.KEY, "--api-key-file", str(secret)]
    assert run_script(script, *arguments, *both, env=env).returncode == 2
    missing = run_script(script, *arguments, "--api-key-file", "/nowhere", env=env)
    assert missing.returncode == 2
    assert "/nowhere" in missing.stderr
    secret.write_text("")
    empty = run_script(script, *arguments, "--api-key-file", str(secret), env=env)
    assert empty.returncode == 2


def test_connection_by_flags_alone(odoo, server, tmp_path):
    done = run_script(
        "create_sop_run.py",
        *("--sop-code", "S", "--odoo-url", server.url, "--odoo-db", odoo.DB),
        *("--odoo-user", odoo.USER, "--password", odoo.KEY, "--transport", "xmlrpc"),
        env=support.environment(tmp_path),
    )
    assert (done.returncode, done.stdout) == (0, "12\n")


def test_server_text_cannot_steer_the_terminal(env, odoo):
    odoo.methods["qms.sop.run.start_run"] = {
        **RUN,
        "sop_version": "\u009b31m\u0007\u001b]0;title",
    }
    done = run_script(
        "create_sop_run.py", "--sop-code", "S", "--transport", "json2", env=env
    )
    assert done.returncode == 0
    assert all(c == "\n" or c.isprintable() for c in done.stderr)


def test_interrupt_ends_with_130_and_one_line(env, server):
    server.default = hang(10)
    process = subprocess.Popen(
        [sys.executable, str(support.SCRIPTS / "create_sop_run.py"), "--sop-code", "S"],
        env={**support.BARE, **env},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 10
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=10)
    assert process.returncode == 130
    assert (stdout, stderr) == ("", "create_sop_run.py: interrupted.\n")


def test_reader_that_goes_away(env):
    done = support.run_shell(
        "python scripts/create_sop_run.py --sop-code S --json | true; "
        "echo ${PIPESTATUS[0]}",
        env,
    )
    assert done.stdout.strip() in ("0", "141")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


# -- create_sop_run.py -------------------------------------------------------


def test_empty_values_count_as_not_given(env, odoo):
    done = run_script(
        "create_sop_run.py",
        *("--sop-code", "SOP-1", "--error-code", "", "--severity", " "),
        *("--category", "", "--summary", "", "--trigger", "", "--dedup-key", ""),
        env=env,
    )
    assert done.returncode == 0
    (arguments,) = sent(odoo, "start_run")
    assert arguments.pop("source").startswith("create_sop_run.py on ")
    assert arguments == {"sop_code": "SOP-1", "trigger": "manual"}
    done = run_script("create_sop_run.py", "--sop-code", "", env=env)
    assert done.returncode == 2
    assert "is its variable set?" in done.stderr


@pytest.mark.parametrize(
    ("what", "printed"),
    [
        ("id", "12"),
        ("name", RUN["name"]),
        ("url", RUN["url"]),
        ("api-url", RUN["api_url"]),
        ("status-url", RUN["status_url"]),
        ("status-token", "st_abc"),
        ("state", "in_progress"),
    ],
)
def test_print(env, what, printed):
    done = run_script("create_sop_run.py", "--sop-code", "S", "--print", what, env=env)
    assert done.stdout == f"{printed}\n"


def test_run_that_is_already_open(env, odoo):
    odoo.methods["qms.sop.run.start_run"] = {**RUN, "existing": True}
    done = run_script(
        "create_sop_run.py", "--sop-code", "S", "--dedup-key", "k", env=env
    )
    assert done.stdout == "12\n"
    assert "already open" in done.stderr


def test_log_is_sent_from_file_and_stdin(env, odoo, tmp_path):
    log = tmp_path / "app.log"
    log.write_bytes(b"FATAL: \xff too many clients\x1b[0m\n")
    run_script("create_sop_run.py", "--sop-code", "S", "--log-file", str(log), env=env)
    run_script(
        "create_sop_run.py",
        *("--sop-code", "S", "--log-file", "-"),
        env=env,
        stdin=log.read_bytes(),
    )
    texts = {arguments["log_text"] for arguments in sent(odoo, "start_run")}
    assert texts == {"FATAL: \ufffd too many clients[0m\n"}
    done = run_script(
        "create_sop_run.py", "--sop-code", "S", "--log-file", "/nowhere", env=env
    )
    assert done.returncode == 2


def test_of_a_large_log_the_end_is_sent(env, odoo, tmp_path):
    log = tmp_path / "app.log"
    log.write_bytes(b"a" * 11 * 1024 * 1024 + b"the end")
    done = run_script(
        "create_sop_run.py", "--sop-code", "S", "--log-file", str(log), env=env
    )
    assert "last 10 MB" in done.stderr
    (arguments,) = sent(odoo, "start_run")
    assert len(arguments["log_text"]) == 10 * 1024 * 1024
    assert arguments["log_text"].endswith("the end")


# -- update_sop_run.py -------------------------------------------------------


def update(env, *arguments, **more):
    return run_script(
        "update_sop_run.py", "--run-id", "12", *arguments, env=env, **more
    )


def test_several_operations_in_order_each_with_its_key(env, odoo, tmp_path):
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.write_bytes(b"one")
    second.write_bytes(b"two")
    done = update(
        env,
        *("--evidence", str(first), "--evidence", str(second), "--classify"),
        *("--log-error", "boom", "--error-code", "DB_DEADLOCK"),
        *("--state", "failed", "--reason", "no way", "--idempotency-key", "base"),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    calls = [(name, kwargs["idempotency_key"]) for _m, name, _i, kwargs in odoo.calls]
    assert calls == [
        ("add_evidence", "base/evidence/1"),
        ("add_evidence", "base/evidence/2"),
        ("log_error", "base/error"),
        ("update_run", "base/run"),
    ]
    assert all(ids == [12] for _m, _name, ids, _kwargs in odoo.calls)
    evidence = sent(odoo, "add_evidence")
    assert [base64.b64decode(item["content"]) for item in evidence] == [b"one", b"two"]
    assert [item["name"] for item in evidence] == ["a.log", "b.log"]
    assert all(item["classify"] is True for item in evidence)
    assert str(first) in evidence[0]["source"]
    assert sent(odoo, "log_error") == [
        {"error_message": "boom", "error_code": "DB_DEADLOCK"}
    ]
    assert sent(odoo, "update_run") == [{"state": "failed", "reason": "no way"}]
    data = json.loads(done.stdout)
    assert [item["name"] for item in data["added_evidence"]] == ["a.log", "b.log"]
    assert data["logged_error"] == {"id": 3}


def test_step(env, odoo):
    update(
        env,
        *("--step", "2", "--state", "failed", "--error-message", "no logs"),
        *("--error-code", "STEP_FAILURE", "--result", "nothing", "--reason", "r"),
    )
    assert sent(odoo, "update_step") == [
        {
            "step": 2,
            "state": "failed",
            "error_message": "no logs",
            "error_code": "STEP_FAILURE",
            "result": "nothing",
            "reason": "r",
        }
    ]
    assert not sent(odoo, "update_run")


def test_evidence_of_a_step_from_stdin(env, odoo):
    done = update(
        env,
        *("--step", "2", "--evidence", "-", "--evidence-name", "activity.txt"),
        stdin=b"\x00\xff rows",
    )
    assert done.returncode == 0
    (item,) = sent(odoo, "add_evidence")
    assert (item["step"], item["name"]) == (2, "activity.txt")
    assert base64.b64decode(item["content"]) == b"\x00\xff rows"


def test_evidence_limit_is_checked_before_anything_is_sent(env, odoo, tmp_path):
    small, large = tmp_path / "small", tmp_path / "large.log"
    small.write_bytes(b"x")
    with large.open("wb") as file:
        file.truncate(25 * 1024 * 1024 + 1)
    done = update(env, "--evidence", str(small), "--evidence", str(large))
    assert done.returncode == 2
    assert "large.log" in done.stderr
    assert "25 MB" in done.stderr
    assert not odoo.calls


def test_evidence_limit_of_stdin(env, odoo, tmp_path):
    done = update(env, "--evidence", "-", stdin=b"x" * (25 * 1024 * 1024 + 1))
    assert done.returncode == 2
    assert not sent(odoo, "add_evidence")


def test_evidence_of_exactly_the_limit_is_sent(env, odoo, tmp_path):
    large = tmp_path / "large.log"
    with large.open("wb") as file:
        file.truncate(25 * 1024 * 1024)
    done = update(env, "--evidence", str(large))
    assert done.returncode == 0, done.stderr
    assert f"{25 * 1024 * 1024} bytes" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Nothing to do"),
        (["--state", ""], "Nothing to do"),
        (["--step", "2"], "Nothing to do"),
        (["--step", "0", "--state", "failed"], "not the number of a step"),
        (["--step", "2", "--state", "completed", "--resolution", "x"], "--resolution"),
        (["--result", "x"], "--result needs --step and --state"),
        (["--choice", "x", "--step", "1"], "--choice needs --step and --state"),
        (["--error-message", "x"], "--log-error records an error"),
        (["--resolution-time", "-5"], "are START_TIME and END_TIME set?"),
        (["--resolution-time", "1762000000"], "are START_TIME and END_TIME set?"),
        (["--resolution-time", "soon"], "whole number of seconds"),
        (["--evidence", "/nowhere"], "/nowhere"),
        (["--evidence", "/tmp"], "is a folder"),
        (["--evidence", "-", "--evidence", "-"], "once only"),
        (["--classify", "--state", "failed"], "--classify needs --evidence"),
        (["--evidence-name", "x", "--state", "failed"], "needs --evidence"),
    ],
)
def test_update_that_means_nothing(env, odoo, arguments, message):
    done = update(env, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not [call for call in odoo.calls if call[1] != "search_read"]


def test_resolution_time_of_zero_is_left_blank(env, odoo):
    done = update(env, "--resolution", "x", "--resolution-time", "0")
    assert "left blank" in done.stderr
    assert sent(odoo, "update_run") == [{"resolution": "x"}]


def test_run_by_name(env, odoo):
    done = run_script(
        "update_sop_run.py", "--run-id", "run-000012", "--state", "on_hold", env=env
    )
    assert done.returncode == 0
    (search,) = sent(odoo, "search_read")
    assert search["domain"] == [["name", "=", "RUN-000012"]]
    assert odoo.calls[-1][2] == [12]


@pytest.mark.parametrize(
    ("value", "code"),
    [("", 2), ("abc", 2), ("RUN-", 2), ("0", 1), ("99999999999", 1), ("RUN-0' OR", 2)],
)
def test_run_id_that_names_nothing(env, odoo, value, code):
    odoo.methods["qms.sop.run.search_read"] = []
    done = run_script(
        "update_sop_run.py", "--run-id", value, "--state", "failed", env=env
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert not sent(odoo, "update_run")


def test_run_name_that_is_not_unique(env, odoo):
    odoo.methods["qms.sop.run.search_read"] = [{"id": 1}, {"id": 2}]
    done = run_script(
        "update_sop_run.py", "--run-id", "RUN-1", "--state", "failed", env=env
    )
    assert done.returncode == 1
    assert "More than one" in done.stderr


# -- create_rca.py and update_error_code.py ----------------------------------


def test_rca(env, odoo, tmp_path):
    whys = tmp_path / "whys.txt"
    whys.write_text(
        "Why 1: Why red?\n  → 500\n\nWhy 2: Why 500? => Pool empty => p.txt\n"
    )
    done = run_script(
        "create_rca.py",
        *("--run-id", "12", "--root-cause", "leak", "--error-code", ""),
        *("--contributing-factors", "traffic, no limit", "--whys-file", str(whys)),
        *("--why", "Why empty? → Leak", "--fix", "finally", "--fix-type", "code"),
        *("--verification", "load test", "--confirm"),
        env=env,
    )
    assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr
    assert sent(odoo, "record_rca") == [
        {
            "root_cause": "leak",
            "contributing_factors": "traffic, no limit",
            "whys": [
                {"question": "Why red?", "answer": "500"},
                {
                    "question": "Why 500?",
                    "answer": "Pool empty",
                    "evidence": "p.txt",
                },
                {"question": "Why empty?", "answer": "Leak"},
            ],
            "fix": "finally",
            "fix_type": "code",
            "verification": "load test",
            "confirm": True,
        }
    ]


def test_rca_with_actions(env, odoo):
    done = run_script(
        "create_rca.py",
        *("--run-id", "12", "--root-cause", "leak"),
        *("--action", "Close in finally", "--action", "Limit, and alert"),
        env=env,
    )
    assert done.returncode == 0, done.stderr
    assert sent(odoo, "record_rca")[0]["actions"] == [
        {"title": "Close in finally"},
        {"title": "Limit, and alert"},
    ]


def test_action(env, odoo):
    done = run_script(
        "create_action.py",
        *("--title", "Alert at 80 %", "--rca-id", "5", "--kind", "preventive"),
        *("--type", "monitoring", "--priority", "P1", "--owner", "jane", "--due", ""),
        *("--horizon", "short", "--criteria", "No error", "--check-after", "14"),
        *("--checker", "joe", "--print", "reference", "--error-code", ""),
        env=env,
    )
    assert (done.returncode, done.stdout) == (0, "RUN-000012/AI-001\n"), done.stderr
    assert "owner: nobody" in done.stderr
    assert sent(odoo, "create_action") == [
        {
            "title": "Alert at 80 %",
            "rca_id": 5,
            "kind": "preventive",
            "type": "monitoring",
            "priority": "P1",
            "owner": "jane",
            "horizon": "short",
            "check_criteria": "No error",
            "check_days": 14,
            "checker": "joe",
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--title", " "], "the value is empty"),
        (["--title", "x", "--due", "tomorrow"], "'tomorrow' is not a date"),
        (["--title", "x", "--check-after", "-1"], "not a whole number"),
        (["--title", "x", "--run-id", "12", "--sop-code", "S"], "one of --run-id and"),
        (["--title", "x", "--run-id", "INC-1"], "neither an id"),
    ],
)
def test_action_that_cannot_be_raised(arguments, message, env, odoo):
    done = run_script("create_action.py", *arguments, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not sent(odoo, "create_action")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("→ answer", "line 1: an answer without a question"),
        ("a => b\nquestion only", "line 2: expected"),
        ("a =>", "line 1: expected"),
        ("a => b => c => d", "line 1: expected"),
        ("[1]", "item 1: expected"),
        ('[{"question": "a", "answer": 1}]', "item 1: the values"),
        ('[{"question": "a", "answer": "b", "why": "c"}]', "item 1: expected"),
        ("[", "not JSON"),
    ],
)
def test_whys_that_cannot_be_read(content, message, env, odoo):
    with pytest.raises(ValueError, match=message):
        parse_whys(content)
    done = run_script(
        "create_rca.py",
        *("--run-id", "12", "--root-cause", "x", "--whys-file", "-"),
        env=env,
        stdin=content.encode(),
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert not odoo.calls


def test_whys_as_json():
    whys = [{"question": "a", "answer": "b", "evidence": "c => d"}]
    assert parse_whys(json.dumps(whys)) == whys


def test_error_code(env, odoo):
    done = run_script(
        "update_error_code.py",
        *("--code", "X", "--severity", "P1", "--category", "DATABASE"),
        *("--title", "t", "--description", "", "--causes", "c", "--resolution", "r"),
        *("--prevention", "p", "--pattern", "a.*b", "--pattern", "c"),
        env=env,
    )
    assert done.returncode == 0
    assert sent(odoo, "upsert_code") == [
        {
            "code": "X",
            "values": {
                "title": "t",
                "category": "DATABASE",
                "severity": "P1",
                "common_causes": "c",
                "resolution": "r",
                "prevention": "p",
                "patterns": ["a.*b", "c"],
            },
        }
    ]


def test_error_code_without_a_change(env, odoo):
    done = run_script("update_error_code.py", "--code", "X", "--title", "", env=env)
    assert done.returncode == 2
    assert "Nothing to do" in done.stderr
    assert not odoo.calls


# -- surroundings ------------------------------------------------------------


def test_proxy_of_the_environment_is_used(env, odoo, server):
    env |= {"ODOO_URL": "http://odoo.invalid", "http_proxy": server.url}
    server.default = lambda handler: odoo(unproxied(handler))
    done = run_script("create_sop_run.py", "--sop-code", "S", env=env)
    assert (done.returncode, done.stdout) == (0, "12\n"), done.stderr
    assert "not encrypted" in done.stderr
    env["no_proxy"] = "odoo.invalid"
    done = run_script("create_sop_run.py", "--sop-code", "S", "--retries", "0", env=env)
    assert done.returncode == 4


def unproxied(handler):
    """Make of a request to a proxy one to the server."""
    assert handler.path.startswith("http://odoo.invalid/")
    handler.path = handler.path.removeprefix("http://odoo.invalid")
    return handler


def test_terminal_without_unicode(server):
    server.default = status(200)
    url = f"{server.url}/größe"
    done = run_script(
        "health_check.py", "--url", url, env={"PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0
    assert "/gr??e" in done.stdout


# -- memory ------------------------------------------------------------------


# The memory of a process counts that of the process it was forked from, which is
# pytest: a small interpreter in between starts the script and measures it.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize("script", ALL)
def test_memory(script, env, server):
    """A script takes at most 60 MB (DESIGN.md); its time is in benchmarks/."""
    arguments = WRITERS.get(script, ["--url", server.url])
    if script == "health_check.py":
        server.default = status(200)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, support.SCRIPTS / script]
        + arguments,
        env={**support.BARE, **env},
        capture_output=True,
        check=True,
    )
    # Linux counts in KB, macOS in bytes.
    unit = 1024**2 if sys.platform == "darwin" else 1024
    assert int(done.stdout) / unit <= 60


# -- create_github_issue.py --------------------------------------------------


def test_issue(env, odoo, tmp_path):
    body = tmp_path / "issue.md"
    body.write_text("**Context**: it leaks\n")
    done = run_script(
        "create_github_issue.py",
        *("--run-id", "12", "--title", "Audit", "--body-file", str(body)),
        *("--label", "a", "--label", "b", "--tracker", "example/service"),
        env=env,
    )
    assert (done.returncode, done.stdout) == (0, ISSUE["url"] + "\n"), done.stderr
    assert sent(odoo, "create_issue") == [
        {
            "title": "Audit",
            "body": "**Context**: it leaks",
            "labels": ["a", "b"],
            "tracker": "example/service",
        }
    ]


def test_issue_is_waited_for(env, odoo):
    odoo.methods["qms.sop.run.create_issue"] = {
        **ISSUE,
        "state": "queued",
        "url": False,
        "existing": False,
    }
    states = iter(("sending", "made"))
    odoo.methods["qms.issue.get_issue"] = lambda ids, kwargs: {
        **ISSUE,
        "state": next(states),
    }
    done = run_script("create_github_issue.py", "--run-id", "12", env=env)
    assert (done.returncode, done.stdout) == (0, ISSUE["url"] + "\n"), done.stderr


@pytest.mark.parametrize(
    ("state", "code", "told"),
    [
        ("failed", 1, "No issue was made: The token is wrong"),
        ("queued", 4, "No issue was made within 0.1 s (The token is wrong)"),
    ],
)
def test_issue_that_is_not_made(state, code, told, env, odoo):
    odoo.methods["qms.sop.run.create_issue"] = {
        **ISSUE,
        "state": state,
        "url": False,
        "existing": False,
        "error": "The token is wrong",
    }
    odoo.methods["qms.issue.get_issue"] = odoo.methods["qms.sop.run.create_issue"]
    done = run_script(
        "create_github_issue.py", "--run-id", "12", "--wait", "0.1", env=env
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr


def test_issue_is_shown_without_being_made(env, odoo):
    odoo.methods["qms.action.search_read"] = [{"id": 3, "reference": "RUN-1/AI-001"}]
    odoo.methods["qms.action.preview_issue"] = {
        "repository": "example/service",
        "title": "Proposed",
        "body": "Text",
        "labels": ["tech-debt"],
    }
    done = run_script(
        "create_github_issue.py",
        *("--action", "AI-001", "--title", "Own", "--dry-run"),
        env=env,
    )
    assert (done.returncode, done.stdout) == (0, "Own\n\nText\n\ntech-debt\n")
    assert "example/service" in done.stderr
    assert not sent(odoo, "create_issue")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "one of the arguments --run-id --action is required"),
        (["--run-id", "1", "--action", "2"], "not allowed with"),
        (["--run-id", "1", "--body-file", "/nowhere/x"], "cannot be read"),
        (["--action", "AI 001"], "neither an id nor a reference"),
        (["--run-id", "1", "--wait", "-1"], "--wait"),
    ],
)
def test_issue_of_what(arguments, told, env):
    done = run_script("create_github_issue.py", *arguments, env=env)
    assert done.returncode == 2
    assert told in done.stderr
