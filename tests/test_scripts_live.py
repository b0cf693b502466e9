"""The scripts against a live Odoo: the commands of SOP-TRIAGE-001, and refusals."""

import base64
import hashlib
import json
import uuid

import pytest
import scripts_support as support
from qms_client import Client
from scripts_support import (
    RecordingServer,
    forward,
    free_port,
    run_script,
    run_shell,
    send,
)

SOP = "SOP-TRIAGE-001"
TEST_SOP = "SOP-SCRIPTS-001"
TRANSPORTS = ("xmlrpc", "json2")

# The command lines of SOP-TRIAGE-001. They are a contract: do not adapt them.
CREATE_RUN = """\
python scripts/create_sop_run.py \\
  --sop-code "SOP-TRIAGE-001" \\
  --error-code "$ERROR_CODE" \\
  --severity "$SEVERITY"
"""
CREATE_RCA = """\
python scripts/create_rca.py \\
  --run-id "$RUN_ID" \\
  --error-code "$ERROR_CODE" \\
  --root-cause "Exception handling doesn't close DB connections" \\
  --contributing-factors "High traffic, inefficient queries"
"""
HEALTH_CHECK = """\
python scripts/health_check.py --url "https://${APP_URL}"
"""
UPDATE_RUN = """\
python scripts/update_sop_run.py \\
  --run-id "$RUN_ID" \\
  --state "completed" \\
  --resolution "Implemented connection cleanup in exception handlers" \\
  --resolution-time "$((END_TIME - START_TIME))"
"""
UPDATE_ERROR_CODE = """\
# Add new error code or update existing
python scripts/update_error_code.py \\
  --code "DB_CONNECTION_LEAK" \\
  --severity "high" \\
  --description "Database connections not released in exception handlers" \\
  --resolution "Ensure all DB operations use try/finally blocks with connection cleanup"
"""


@pytest.fixture(scope="module")
def automation(make_user):
    return make_user("qms_error_code.group_qms_automation")


@pytest.fixture(scope="module")
def test_sop(orm):
    """An approved SOP of two mandatory steps and an optional one."""
    orm(
        """
        existing = env["qms.sop.document"].search([("code", "=", sop_code)])
        if not existing:
            document = env["qms.sop.document"].create({
                "code": sop_code,
                "name": "Procedure of the script tests",
                "owner": "Tests",
                "purpose": "To be tested.",
                "author_id": env.ref("base.user_admin").id,
                "step_ids": [
                    (0, 0, {"name": name, "sequence": n, "mandatory": n < 3})
                    for n, name in enumerate(("Look", "Mend", "Tidy up"), 1)
                ],
            })
            document.action_submit()
            document.action_approve()
        """,
        sop_code=TEST_SOP,
    )
    return TEST_SOP


@pytest.fixture
def env_of(odoo_server, tmp_path):
    """Return the environment of a script run by a user."""

    def env_of(user, **more):
        return support.environment(
            tmp_path,
            ODOO_URL=odoo_server.url,
            ODOO_DB=odoo_server.db,
            ODOO_USER=user.login,
            ODOO_API_KEY=user.api_key,
            NO_PROXY="*",
            **more,
        )

    return env_of


@pytest.fixture
def env(env_of, automation):
    return env_of(automation)


@pytest.fixture
def client(odoo_server, automation, monkeypatch, tmp_path):
    support.without_proxy(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "client"))
    return Client(odoo_server.url, odoo_server.db, automation.login, automation.api_key)


def create(env, *arguments):
    """Open a run and return its id."""
    done = run_script("create_sop_run.py", *arguments, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def update(env, run_id, *arguments):
    return run_script("update_sop_run.py", "--run-id", run_id, *arguments, env=env)


def work(env, run_id, steps):
    """Complete the first steps of a run."""
    for number in range(1, steps + 1):
        done = update(env, run_id, "--step", str(number), "--state", "completed")
        assert done.returncode == 0, done.stderr


def get_run(client, run_id):
    return client.call("qms.sop.run", "get_run", ids=[int(run_id)])


# -- the commands of the SOP, word for word ----------------------------------


@pytest.fixture(params=["with XML-RPC", "without XML-RPC"])
def variables(request, env, odoo_server):
    """The environment of the SOP's lines, on a server of today and of tomorrow."""
    if request.param == "with XML-RPC":
        yield env
        return
    to_odoo = forward(odoo_server)

    def answer(handler):
        if handler.path.startswith("/xmlrpc/"):
            send(handler, 404)
        else:
            to_odoo(handler)

    with RecordingServer(answer) as server:
        yield {**env, "ODOO_URL": server.url}
        # It is tried once, and remembered.
        assert sum(path.startswith("/xmlrpc/") for path in server.paths) == 1


def test_triage_from_detection_to_resolution(env, client, variables):
    variables |= {"ERROR_CODE": "DB_CONNECTION_LEAK", "SEVERITY": "P0"}
    done = run_shell(f'RUN_ID=$(\n{CREATE_RUN}\n) && echo "[$RUN_ID]"', variables)
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()[1:-1]
    assert run_id.isdecimal()
    run = get_run(client, run_id)
    assert (run["state"], run["sop_code"]) == ("in_progress", SOP)
    assert (run["severity"], run["category"]) == ("critical", "DATABASE")
    assert run["error_code"] == "DB_CONNECTION_LEAK"
    assert [step["number"] for step in run["steps"]] == [1, 2, 3, 4, 5, 6]
    variables["RUN_ID"] = run_id

    done = run_shell(CREATE_RCA, variables)
    assert done.returncode == 0, done.stderr
    rca = client.call(
        "qms.rca",
        "search_read",
        domain=[["id", "=", int(done.stdout)]],
        fields=["run_id", "root_cause", "factor_ids", "error_code_id"],
    )[0]
    assert rca["run_id"][0] == int(run_id)
    assert rca["root_cause"] == "Exception handling doesn't close DB connections"
    assert rca["error_code_id"][1].startswith("DB_CONNECTION_LEAK")
    factors = client.call(
        "qms.rca.factor", "read", ids=rca["factor_ids"], fields=["name"]
    )
    assert [f["name"] for f in factors] == ["High traffic", "inefficient queries"]

    variables |= {"START_TIME": "1762000000", "END_TIME": "1762002700"}
    refused = run_shell(UPDATE_RUN, variables)
    assert (refused.returncode, refused.stdout) == (1, "")
    work(env, run_id, 6)
    done = run_shell(UPDATE_RUN, variables)
    assert (done.returncode, done.stdout) == (0, "completed\n"), done.stderr
    run = get_run(client, run_id)
    assert run["state"] == "completed"
    assert run["resolution"] == "Implemented connection cleanup in exception handlers"
    assert run["resolution_time_seconds"] == 2700

    done = run_shell(UPDATE_ERROR_CODE, variables)
    assert (done.returncode, done.stdout) == (0, "DB_CONNECTION_LEAK\n"), done.stderr


@pytest.mark.parametrize(
    "values", [{}, {"ERROR_CODE": "", "SEVERITY": ""}, {"SEVERITY": " "}]
)
def test_create_run_without_classification(env, client, values):
    done = run_shell(CREATE_RUN, {**env, **values})
    assert done.returncode == 0, done.stderr
    run = get_run(client, done.stdout)
    assert run["error_code"] is False
    assert run["severity"] is False


def test_create_rca_without_code_takes_that_of_the_run(env, client):
    run_id = create(env, "--sop-code", SOP, "--error-code", "DB_DEADLOCK")
    done = run_shell(CREATE_RCA, {**env, "RUN_ID": run_id, "ERROR_CODE": ""})
    assert done.returncode == 0, done.stderr
    (rca,) = client.call(
        "qms.rca", "read", ids=[int(done.stdout)], fields=["error_code_id"]
    )
    assert rca["error_code_id"][1].startswith("DB_DEADLOCK")


def test_health_check_line(tmp_path):
    tls, pem = support.certificate(tmp_path)
    with RecordingServer(support.status(200), tls) as server:
        variables = {
            "APP_URL": server.url.removeprefix("https://"),
            "SSL_CERT_FILE": pem,
            "NO_PROXY": "*",
        }
        done = run_shell(HEALTH_CHECK, variables)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("healthy ")
    done = run_shell(HEALTH_CHECK, {})
    assert done.returncode == 2
    assert "is a variable in it unset?" in done.stderr


# -- what the scripts bring ---------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_run_worked_by_scripts(env, client, test_sop, tmp_path, transport):
    options = ("--transport", transport)
    log = tmp_path / "app.log"
    log.write_bytes(
        b"\x1b[31mFATAL:  sorry, too many clients already\x1b[0m\n" * 3 + b"\xff\x00end"
    )
    run_id = create(env, "--sop-code", test_sop, "--log-file", str(log), *options)
    run = get_run(client, run_id)
    assert run["category"] == "DATABASE"
    assert run["error_code"]
    assert run["source"].startswith("create_sop_run.py on ")

    done = update(
        env,
        run["name"],
        *("--step", "1", "--state", "completed", "--result", "ünicode → ok"),
        *("--evidence", str(log), "--classify", "--json", *options),
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    (evidence,) = data["added_evidence"]
    assert evidence["sha256"] == hashlib.sha256(log.read_bytes()).hexdigest()
    assert evidence["size"] == log.stat().st_size
    assert evidence["classification"][0]["code"] == run["error_code"]
    assert [step["state"] for step in data["steps"]] == [
        "completed",
        "pending",
        "pending",
    ]
    assert data["steps"][0]["result"] == "ünicode → ok"
    (stored,) = client.call(
        "qms.sop.run.evidence",
        "read",
        ids=[evidence["id"]],
        fields=["datas", "source", "step_id"],
    )
    assert base64.b64decode(stored["datas"]) == log.read_bytes()
    assert str(log) in stored["source"]
    assert stored["step_id"]

    done = update(env, run_id, "--log-error", "disk full", "--step", "2", *options)
    assert (done.returncode, done.stdout) == (0, "in_progress\n"), done.stderr
    done = update(
        env,
        run_id,
        *("--step", "2", "--state", "failed", "--error-message", "quota"),
        *("--error-code", "STEP_FAILURE", *options),
    )
    assert done.returncode == 0, done.stderr
    done = update(env, run_id, "--state", "failed", "--reason", "no quota", *options)
    assert (done.returncode, done.stdout) == (0, "failed\n"), done.stderr
    errors = client.call(
        "qms.sop.run.error",
        "search_read",
        domain=[["run_id", "=", int(run_id)]],
        fields=["error_message", "step_id"],
    )
    assert {error["error_message"] for error in errors} == {"disk full", "quota"}
    assert all(error["step_id"] for error in errors)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_rca_with_everything(env, client, test_sop, tmp_path, transport):
    run_id = create(env, "--sop-code", test_sop)
    whys = tmp_path / "whys.txt"
    whys.write_text(
        "Why 1: Why did the health check fail?\n  → It answered 500\n"
        "Why did it answer 500? => The pool was empty => pool.txt\n"
    )
    done = run_script(
        "create_rca.py",
        *("--run-id", run_id, "--root-cause", "No finally", "--json"),
        *("--contributing-factors", "traffic, no limit"),
        *("--whys-file", str(whys), "--why", "Why was it empty? => A leak"),
        *("--fix", "try/finally", "--fix-type", "code", "--verification", "load test"),
        *("--confirm", "--transport", transport),
        env=env,
    )
    assert done.returncode == 0, done.stderr
    rca = json.loads(done.stdout)
    assert rca["state"] == "confirmed"
    lines = client.call(
        "qms.rca.why",
        "search_read",
        domain=[["rca_id", "=", rca["id"]]],
        fields=["question", "answer", "evidence"],
    )
    assert [(w["question"], w["answer"], w["evidence"]) for w in lines] == [
        ("Why did the health check fail?", "It answered 500", False),
        ("Why did it answer 500?", "The pool was empty", "pool.txt"),
        ("Why was it empty?", "A leak", False),
    ]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_error_code_is_added_then_updated(env, client, transport):
    code = f"SCRIPT_{uuid.uuid4().hex[:8].upper()}"
    arguments = [
        *("--code", code, "--severity", "P2", "--category", "application"),
        *("--pattern", rf"\b{code}\b", "--transport", transport),
    ]
    done = run_script("update_error_code.py", *arguments, env=env)
    assert (done.returncode, done.stdout) == (0, f"{code}\n"), done.stderr
    assert f"{code} was added" in done.stderr
    done = run_script("update_error_code.py", *arguments, env=env)
    assert f"{code} says all that already" in done.stderr
    done = run_script("update_error_code.py", *arguments, "--title", "T", env=env)
    assert f"{code} was updated (title)" in done.stderr
    best = client.call("qms.error.code", "classify", text=f"boom {code} boom")[0]
    assert (best["code"], best["severity"]) == (code, "medium")


def test_status_link_tells_the_state_and_nothing_else(env, odoo_server, test_sop):
    options = ("--print", "status-token")
    token = create(env, "--sop-code", test_sop, *options)
    assert token.startswith("st_")
    url = f"{odoo_server.url}/api/v1/sop-runs/{token}"
    done = run_shell(f'curl -sf --noproxy "*" "{url}"', env)
    assert json.loads(done.stdout) == {"state": "in_progress"}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_same_key_opens_one_run(env, test_sop, transport):
    key = f"test-{uuid.uuid4()}"
    arguments = ["--sop-code", test_sop, "--transport", transport]
    first = create(env, *arguments, "--idempotency-key", key)
    assert create(env, *arguments, "--idempotency-key", key) == first
    assert create(env, *arguments) != first


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_answer_that_gets_lost(env, client, odoo_server, test_sop, transport):
    """A run is opened once, though the first answer never arrives."""
    to_odoo = forward(odoo_server)

    def lose_first(handler):
        if b"start_run" not in handler.body and "start_run" not in handler.path:
            to_odoo(handler)
            server.plan.insert(0, lose_first)
            return
        sent, handler.wfile = handler.wfile, Nowhere()
        to_odoo(handler)
        handler.wfile = sent
        handler.connection.close()

    summary = f"lost answer {uuid.uuid4()}"
    with RecordingServer(to_odoo) as server:
        server.plan = [lose_first]
        run_id = create(
            {**env, "ODOO_URL": server.url},
            *("--sop-code", test_sop, "--summary", summary, "--transport", transport),
        )
        posts = [r for r in server.requests if b"idempotency_key" in r.body]
        assert len(posts) == 2
    found = client.call(
        "qms.sop.run", "search_read", domain=[["summary", "=", summary]], fields=["id"]
    )
    assert [run["id"] for run in found] == [int(run_id)]


class Nowhere:
    """A file that forgets."""

    def write(self, data):
        return len(data)

    def flush(self):
        pass


def test_repeating_a_line_does_only_the_rest(env, client, test_sop, tmp_path):
    log = tmp_path / "a.log"
    log.write_text("one")
    run_id = create(env, "--sop-code", test_sop)
    line = [
        *("--evidence", str(log), "--log-error", "boom"),
        *("--state", "completed", "--idempotency-key", f"k-{uuid.uuid4()}"),
    ]
    assert update(env, run_id, *line).returncode == 1
    work(env, run_id, 2)
    done = update(env, run_id, *line)
    assert (done.returncode, done.stdout) == (0, "completed\n"), done.stderr
    for model in ("qms.sop.run.evidence", "qms.sop.run.error"):
        count = client.call(
            model, "search_count", domain=[["run_id", "=", int(run_id)]]
        )
        assert count == 1


def test_open_run_is_returned_for_its_dedup_key(env, test_sop):
    arguments = ["--sop-code", test_sop, "--dedup-key", f"outage-{uuid.uuid4()}"]
    first = create(env, *arguments)
    assert create(env, *arguments) == first
    assert update(env, first, "--state", "cancelled", "--reason", "x").returncode == 0
    assert create(env, *arguments) != first


def test_user_id_is_looked_up_once(env, odoo_server, test_sop):
    with RecordingServer(forward(odoo_server)) as server:
        for _number in range(3):
            create({**env, "ODOO_URL": server.url}, "--sop-code", test_sop)
        assert server.paths.count("/xmlrpc/2/common") == 1
        assert server.paths.count("/xmlrpc/2/object") == 3


# -- refusals -----------------------------------------------------------------


def refused(done, *parts):
    """Check that the server refused, with one clear message and no result."""
    assert (done.returncode, done.stdout) == (1, "")
    for part in parts:
        assert part in done.stderr
    assert "Unexpected error" not in done.stderr
    return True


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return ("--transport", request.param)


def test_unknown_sop(env, transport):
    done = run_script(
        "create_sop_run.py", "--sop-code", "SOP-NONE", *transport, env=env
    )
    refused(done, "SOP-NONE")


def test_unknown_error_code(env, test_sop, transport):
    done = run_script(
        "create_sop_run.py",
        *("--sop-code", test_sop, "--error-code", "DB_CONECTION_LEAK", *transport),
        env=env,
    )
    refused(done, "DB_CONECTION_LEAK", "DB_CONNECTION_LEAK")


def test_unknown_severity(env, test_sop, transport):
    for arguments in (
        ["create_sop_run.py", "--sop-code", test_sop, "--severity", "urgent"],
        ["update_error_code.py", "--code", "DB_DEADLOCK", "--severity", "urgent"],
    ):
        done = run_script(*arguments, *transport, env=env)
        refused(done, "urgent", "critical", "P0")


def test_unknown_category_and_trigger(env, test_sop, transport):
    arguments = ["create_sop_run.py", "--sop-code", test_sop, *transport]
    refused(run_script(*arguments, "--category", "MOON", env=env), "MOON", "DATABASE")
    refused(run_script(*arguments, "--trigger", "magic", env=env), "magic", "automated")


def test_run_on_a_draft(env, orm, transport):
    code = f"SOP-DRAFT-{uuid.uuid4().hex[:6].upper()}"
    orm(
        """
        env["qms.sop.document"].create(
            {"code": sop_code, "name": "Draft", "owner": "Tests", "purpose": "None."}
        )
        """,
        sop_code=code,
    )
    done = run_script("create_sop_run.py", "--sop-code", code, *transport, env=env)
    refused(done, code)


def left(orm, run_id):
    """Return state and summary of a run, as the server has them."""
    return orm(
        """
        run = env["qms.sop.run"].browse(run_id)
        result = [run.state, run.summary]
        """,
        run_id=int(run_id),
    )


def test_completing_with_a_mandatory_step_open(env, orm, test_sop, transport):
    run_id = create(env, "--sop-code", test_sop)
    work(env, run_id, 1)
    refused(update(env, run_id, "--state", "completed", *transport), "Mend")
    assert left(orm, run_id) == ["in_progress", False]


def test_transition_that_does_not_exist(env, orm, test_sop, transport):
    run_id = create(env, "--sop-code", test_sop)
    update(env, run_id, "--state", "on_hold", "--reason", "waiting")
    refused(update(env, run_id, "--state", "completed", *transport), "cannot go from")
    refused(update(env, run_id, "--state", "done", *transport), "done", "on_hold")
    refused(update(env, run_id, "--step", "1", "--state", "open", *transport), "open")
    refused(update(env, run_id, "--step", "9", "--state", "failed", *transport), "9")
    assert left(orm, run_id) == ["on_hold", False]


def test_editing_a_finished_run(env, client, test_sop, tmp_path, transport):
    log = tmp_path / "late.log"
    log.write_text("late")
    run_id = create(env, "--sop-code", test_sop)
    work(env, run_id, 2)
    assert update(env, run_id, "--state", "completed").returncode == 0
    before = get_run(client, run_id)
    for arguments in (
        ["--state", "in_progress"],
        ["--state", "completed"],
        ["--resolution", "another"],
        ["--severity", "low"],
        ["--evidence", str(log)],
        ["--log-error", "late"],
        ["--step", "1", "--state", "failed", "--error-message", "late"],
    ):
        refused(update(env, run_id, *arguments, *transport))
    assert get_run(client, run_id) == before
    done = run_script(
        "create_rca.py", "--run-id", run_id, "--root-cause", "x", *transport, env=env
    )
    assert done.returncode == 0, "the analysis of a finished run still grows"


def test_auditor_writes_nothing(env, env_of, orm, make_user, test_sop, transport):
    auditor = env_of(make_user("qms_error_code.group_qms_auditor"))
    run_id = create(env, "--sop-code", test_sop)
    for script, *arguments in (
        ["create_sop_run.py", "--sop-code", test_sop],
        ["update_sop_run.py", "--run-id", run_id, "--state", "on_hold"],
        ["update_sop_run.py", "--run-id", run_id, "--log-error", "x"],
        ["update_sop_run.py", "--run-id", run_id, "--evidence", __file__],
        [
            "update_sop_run.py",
            "--run-id",
            run_id,
            "--step",
            "1",
            "--state",
            "completed",
        ],
        ["create_rca.py", "--run-id", run_id, "--root-cause", "x"],
        ["update_error_code.py", "--code", "DB_DEADLOCK", "--severity", "low"],
    ):
        refused(run_script(script, *arguments, *transport, env=auditor))
    assert left(orm, run_id) == ["in_progress", False]


def test_run_of_another_company(env, env_of, orm, make_user, test_sop, transport):
    company = orm(
        """result = env["res.company"].create({"name": f"Other {name}"}).id""",
        name=uuid.uuid4().hex,
    )
    stranger = env_of(
        make_user("qms_error_code.group_qms_automation", company_id=company)
    )
    options = ("--print", "name")
    name = create(env, "--sop-code", test_sop, *options)
    run_id = str(int(create(env, "--sop-code", test_sop)))
    refused(update(stranger, run_id, "--summary", "mine now", *transport))
    refused(update(stranger, name, "--summary", "mine now", *transport), name)
    done = run_script(
        "create_rca.py",
        *("--run-id", run_id, "--root-cause", "x", *transport),
        env=stranger,
    )
    refused(done)
    assert left(orm, run_id) == ["in_progress", False]


def test_run_that_is_not_there(env, transport):
    refused(update(env, "2000000000", "--state", "failed", *transport))
    refused(
        update(env, "RUN-99999999", "--state", "failed", *transport), "RUN-99999999"
    )


def test_empty_evidence(env, test_sop, tmp_path, transport):
    nothing = tmp_path / "nothing.log"
    nothing.touch()
    run_id = create(env, "--sop-code", test_sop)
    refused(update(env, run_id, "--evidence", str(nothing), *transport), "nothing.log")


def test_bad_pattern(env, transport):
    done = run_script(
        "update_error_code.py", "--code", "DB_DEADLOCK", "--pattern", "(", *transport,
        env=env,
    )  # fmt: skip
    refused(done, "(")


def test_wrong_key(env, test_sop, transport):
    done = run_script(
        "create_sop_run.py",
        *("--sop-code", test_sop, *transport),
        env={**env, "ODOO_API_KEY": "0" * 40},
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "refuses the API key" in done.stderr
    assert "0" * 40 not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("transport", "code", "message"),
    [
        ("auto", 3, "Database 'no_such_db' does not exist"),
        ("xmlrpc", 3, "Database 'no_such_db' does not exist"),
        # Odoo answers 404 to JSON-2 calls for a database that it does not have.
        ("json2", 4, "for database 'no_such_db'"),
    ],
)
def test_unknown_database(env, test_sop, transport, code, message):
    done = run_script(
        "create_sop_run.py",
        *("--sop-code", test_sop, "--transport", transport),
        env={**env, "ODOO_DB": "no_such_db"},
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr


def test_key_of_another_user(env, make_user, test_sop):
    other = make_user("qms_error_code.group_qms_automation")
    done = run_script(
        "create_sop_run.py",
        *("--sop-code", test_sop, "--transport", "xmlrpc"),
        env={**env, "ODOO_API_KEY": other.api_key},
    )
    assert done.returncode == 3


def test_unreachable(env, test_sop, transport):
    done = run_script(
        "create_sop_run.py",
        *("--sop-code", test_sop, "--retries", "1", *transport),
        env={**env, "ODOO_URL": f"http://127.0.0.1:{free_port()}"},
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert "connection refused" in done.stderr


# -- outages as runs ----------------------------------------------------------


class Service:
    """A service that is ill or healthy as the test wants."""

    def __init__(self):
        self.status, self.body = 500, b'{"error": "connection pool exhausted"}'

    def __call__(self, handler):
        send(
            handler,
            self.status,
            self.body,
            "application/json",
            Set_Cookie="session=s3cret",
        )


@pytest.fixture
def service():
    with RecordingServer(Service()) as server:
        yield server


def watch(env, service, *arguments):
    """Let the health check look at a service; return its exit code and run."""
    done = run_script(
        "health_check.py",
        *("--url", f"{service.url}/health", "--attempts", "1", "--open-run", "--json"),
        *arguments,
        env=env,
    )
    (result,) = json.loads(done.stdout)["results"]
    return done.returncode, result["run"], done.stderr


def recorded(client, model, run, field):
    found = client.call(
        model,
        "search_read",
        domain=[["run_id", "=", run["id"]]],
        fields=[field],
        order="id",
    )
    return [record[field] for record in found]


def evidence_of(client, run):
    """Return the kinds of evidence and the contents, in order."""
    names = recorded(client, "qms.sop.run.evidence", run, "name")
    contents = recorded(client, "qms.sop.run.evidence", run, "datas")
    kinds = [name.rpartition("-")[0].removeprefix("health-check-") for name in names]
    return kinds, [json.loads(base64.b64decode(content)) for content in contents]


def test_one_run_per_outage(env, client, service):
    code, first, told = watch(env, service)
    assert (code, first["action"], first["state"]) == (1, "opened", "in_progress")
    assert first["name"] in told
    run = get_run(client, first["id"])
    assert (run["sop_code"], run["trigger"]) == (SOP, "automated")
    assert run["error_code"] == "HEALTH_CHECK_FAILURE"
    assert run["severity"]
    assert "health_check.py on " in run["source"]
    assert "500" in run["summary"]

    code, again, _told = watch(env, service)
    assert (code, again["id"], again["action"]) == (1, first["id"], "unchanged")
    kinds, contents = evidence_of(client, first)
    assert kinds == ["failed"]
    assert contents[0]["status"] == 500
    assert contents[0]["body_start"] == '{"error": "connection pool exhausted"}'
    assert contents[0]["headers"]["Set-Cookie"] == "***"

    service.default.status = 503
    code, again, _told = watch(env, service)
    assert (code, again["id"], again["action"]) == (1, first["id"], "extended")
    assert evidence_of(client, first)[0] == ["failed", "failed"]
    messages = recorded(client, "qms.sop.run.error", first, "error_message")
    assert len(messages) == 2
    assert "500" in messages[0]
    assert "503" in messages[1]


def test_loop_is_closed_when_healthy_again(env, client, service):
    _code, first, _told = watch(env, service)
    service.default.status = 200
    code, again, told = watch(env, service)
    assert (code, again["id"], again["action"]) == (0, first["id"], "recovered")
    assert again["state"] == "in_progress"
    assert "cannot be completed" in again["still_open_because"]
    assert f"{first['name']} stays open" in told
    kinds, contents = evidence_of(client, first)
    assert kinds == ["failed", "green"]
    assert contents[1]["status"] == 200
    summary = get_run(client, first["id"])["summary"]
    assert summary.startswith("Health check failed")
    assert "Healthy again at" in summary
    assert "after the run was opened" in summary

    code, again, _told = watch(env, service)
    assert (code, again["action"]) == (0, "unchanged")
    assert evidence_of(client, first)[0] == ["failed", "green"]

    service.default.status = 500
    code, again, _told = watch(env, service)
    assert (code, again["id"], again["action"]) == (1, first["id"], "extended")
    assert evidence_of(client, first)[0] == ["failed", "green", "failed"]
    service.default.status = 200
    work(env, str(first["id"]), 6)
    code, kept, _told = watch(env, service, "--keep-open")
    assert (kept["action"], kept["state"]) == ("recovered", "in_progress")
    code, closed, _told = watch(env, service)
    assert (code, closed["action"], closed["state"]) == (0, "completed", "completed")
    run = get_run(client, first["id"])
    assert "healthy again" in run["resolution"]
    assert run["summary"].count("Healthy again at") == 2

    code, none, told = watch(env, service)
    assert (code, none, told) == (0, None, "")
    service.default.status = 500
    code, second, _told = watch(env, service)
    assert (code, second["action"]) == (1, "opened")
    assert second["id"] != first["id"]


def test_check_of_another_sop_and_severity(env, client, service, test_sop):
    _code, run, _told = watch(
        env,
        service,
        *("--sop-code", test_sop, "--severity", "P3"),
        *("--error-code", "DB_CONNECTION_TIMEOUT"),
    )
    run = get_run(client, run["id"])
    assert (run["sop_code"], run["severity"]) == (test_sop, "low")
    assert run["error_code"] == "DB_CONNECTION_TIMEOUT"


def test_call_that_died_is_made_up_for(env, client, service, odoo_server):
    """The run was opened, but neither evidence nor error was recorded."""
    to_odoo = forward(odoo_server)

    def only_start(handler):
        if b"add_evidence" in handler.body:
            send(handler, 500)
        else:
            to_odoo(handler)

    with RecordingServer(only_start) as broken:
        code, run, told = watch({**env, "ODOO_URL": broken.url}, service)
    assert (code, run) == (1, None)
    assert "Odoo was not told" in told
    code, run, _told = watch(env, service)
    assert (code, run["action"]) == (1, "extended")
    assert evidence_of(client, run)[0] == ["failed"]
    assert len(recorded(client, "qms.sop.run.error", run, "error_message")) == 1


def test_outage_is_never_hidden_by_odoo(env, env_of, make_user, service):
    nowhere = {**env, "ODOO_URL": f"http://127.0.0.1:{free_port()}"}
    wrong = {**env, "ODOO_API_KEY": "0" * 40}
    auditor = env_of(make_user("qms_error_code.group_qms_auditor"))
    for bad in (nowhere, wrong, auditor):
        assert watch(bad, service, "--retries", "0")[0] == 1
    service.default.status = 200
    assert watch(nowhere, service, "--retries", "0")[0] == 4
    assert watch(wrong, service)[0] == 3
    assert watch(auditor, service)[0] == 0, "there is nothing to record"


def test_recovery_that_odoo_refuses(env, env_of, make_user, service):
    _code, run, _told = watch(env, service)
    service.default.status = 200
    auditor = env_of(make_user("qms_error_code.group_qms_auditor"))
    code, reported, told = watch(auditor, service)
    assert (code, reported) == (5, None)
    assert "Odoo was not told" in told


def test_each_url_has_its_own_run(env, service):
    done = run_script(
        "health_check.py",
        *("--url", f"{service.url}/a", "--url", f"{service.url}/b"),
        *("--attempts", "1", "--open-run", "--json"),
        env=env,
    )
    assert done.returncode == 1
    runs = [result["run"]["id"] for result in json.loads(done.stdout)["results"]]
    assert len(set(runs)) == 2


def test_checks_at_the_same_time_open_one_run(env, client, service):
    command = " & ".join(
        [
            f"python scripts/health_check.py --url {service.url}/health --attempts 1"
            " --open-run --quiet >/dev/null"
        ]
        * 4
    )
    done = run_shell(f"{command} & wait", env)
    assert done.stderr == ""
    key = f"health-check:{service.url}/health"
    found = client.call("qms.sop.run", "search_count", domain=[["dedup_key", "=", key]])
    assert found == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_choice_decides_how_the_run_goes_on(env, client, transport):
    run_id = create(env, "--sop-code", "SOP-HEALTH-001", "--transport", transport)
    step = ("--step", "1", "--state", "completed", "--transport", transport)
    done = update(env, run_id, *step)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Accepted:" in done.stderr
    label = done.stderr.partition("Accepted: ")[2].split("'")[1]
    done = update(env, run_id, *step, "--choice", label)
    assert done.returncode == 0, done.stderr
    steps = get_run(client, run_id)["steps"]
    assert (steps[0]["state"], steps[0]["choice"]) == ("completed", label)
    assert any(one["skip_reason"] == "Not on this path" for one in steps)
