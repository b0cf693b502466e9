"""Actions against a live Odoo: numbers under concurrency, and the scripts."""

import threading
import uuid
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor

import pytest
import scripts_support as support
from scripts_support import run_script

CREATORS = 16
CAUSE = "Exception handling doesn't close DB connections"


@pytest.fixture(scope="module")
def user(make_user):
    return make_user("qms_error_code.group_qms_automation")


@pytest.fixture
def env(odoo_server, user, tmp_path):
    return support.environment(
        tmp_path,
        ODOO_URL=odoo_server.url,
        ODOO_DB=odoo_server.db,
        ODOO_USER=user.login,
        ODOO_API_KEY=user.api_key,
        NO_PROXY="*",
    )


def printed(script, *arguments, env):
    """Run a script that has to succeed, and return what it prints."""
    done = run_script(script, *arguments, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def start_run(env, *arguments):
    return printed(
        "create_sop_run.py", "--sop-code", "SOP-TRIAGE-001", *arguments, env=env
    )


def test_numbers_under_concurrency(env, odoo_workers, user):
    """Several processes number the actions of one run: no gap, no duplicate."""
    run_id = int(start_run(env))
    ready = threading.Barrier(CREATORS)

    def create(position):
        odoo = xmlrpc.client.ServerProxy(f"{odoo_workers.url}/xmlrpc/2/object")
        ready.wait()
        return odoo.execute_kw(
            odoo_workers.db,
            user.id,
            user.api_key,
            "qms.action",
            "create_action",
            [f"Action {position}"],
            {"run_id": run_id, "idempotency_key": uuid.uuid4().hex},
        )

    with ThreadPoolExecutor(CREATORS) as pool:
        actions = list(pool.map(create, range(CREATORS)))
    assert sorted(action["number"] for action in actions) == [
        f"AI-{number:03d}" for number in range(1, CREATORS + 1)
    ]
    assert len({action["reference"] for action in actions}) == CREATORS


def test_from_an_analysis_to_its_return(env, orm, make_user):
    """The scripts raise actions; the same cause reopens one that was effective."""
    owner = make_user("qms_error_code.group_qms_operator")
    run_id = start_run(env, "--error-code", "DB_CONNECTION_LEAK")
    rca_id = printed(
        "create_rca.py",
        *("--run-id", run_id, "--root-cause", CAUSE, "--confirm"),
        *("--action", "Close connections in finally blocks"),
        env=env,
    )
    reference = printed(
        "create_action.py",
        *("--rca-id", rca_id, "--title", "Alert at 80 % of the pool"),
        *("--kind", "preventive", "--type", "monitoring", "--priority", "P1"),
        *("--owner", owner.login, "--check-after", "0", "--print", "reference"),
        env=env,
    )
    first, second = orm(
        """
        rca = env["qms.rca"].browse(rca_id)
        actions = rca.action_ids.sorted("id")
        # As a person would: done by the owner, found effective and signed by another
        second = actions[1].with_user(env["res.users"].search([("login", "=", owner)]))
        second.start()
        second.complete("The alert is there.")
        env.flush_all()
        env.cr.execute(
            "UPDATE qms_action SET state = 'verified', next_date = NULL,"
            " verified_on = now() WHERE id = %s",
            [second.id],
        )
        env.invalidate_all()
        result = [(one.reference, one.name, one.state) for one in actions]
        """,
        rca_id=int(rca_id),
        owner=owner.login,
    )
    assert first[1:] == ["Close connections in finally blocks", "open"]
    assert second == [reference, "Alert at 80 % of the pool", "verified"]

    again = start_run(env, "--error-code", "DB_CONNECTION_LEAK")
    printed(
        "create_rca.py",
        *("--run-id", again, "--root-cause", f"{CAUSE}.", "--confirm"),
        env=env,
    )
    state, reason, done_on = orm(
        """
        action = env["qms.action"].search([("reference", "=", reference)])
        result = [action.state, action.state_reason, str(action.done_on)]
        """,
        reference=reference,
    )
    assert (state, done_on) == ("reopened", "False")
    assert "found again" in reason


def test_refused(env):
    for arguments, message in (
        (["--title", "x", "--priority", "urgent"], "Accepted: low, medium, high"),
        (["--title", "x", "--owner", "nobody"], "no user with the login 'nobody'"),
        (["--title", "x", "--run-id", "2147483647"], "none with the id"),
        (["--title", "x", "--source", "run"], "does not fit"),
    ):
        done = run_script("create_action.py", *arguments, env=env)
        assert (done.returncode, done.stdout) == (1, "")
        assert message in done.stderr
        assert "Traceback" not in done.stderr
