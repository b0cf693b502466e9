"""Recurring SOPs and GitHub issues where processes meet: two workers at once, a worker
that is killed, and the script against a GitHub on loopback."""

import importlib.util
import os
import signal
import subprocess
import sys
import uuid

import pytest
import scripts_support as support
from conftest import ROOT, Orm
from scripts_support import run_script

_SPEC = importlib.util.spec_from_file_location(
    "github_fake", ROOT / "qms_sop" / "tests" / "github_fake.py"
)
github_fake = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(github_fake)

SCHEDULES = 8


@pytest.fixture(scope="module")
def github(orm):
    """A GitHub on loopback, and a tracker for its repository."""
    with github_fake.FakeGithub() as github:
        orm(
            """
            env["ir.config_parameter"].set_param("qms_sop.issue_hosts", "127.0.0.1")
            env["qms.issue.tracker"].search([]).action_archive()
            env["qms.issue.tracker"].create({
                "name": "Loopback",
                "repository": repository,
                "api_url": url,
                "new_token": token,
            })
            """,
            repository=github.repository,
            url=github.url,
            token=github_fake.TOKEN,
        )
        yield github
        orm(
            """
            env["qms.issue.tracker"].search([]).action_archive()
            env["ir.config_parameter"].set_param("qms_sop.issue_hosts", False)
            """
        )


@pytest.fixture
def env(odoo_server, make_user, tmp_path):
    user = make_user("qms_error_code.group_qms_automation")
    return support.environment(
        tmp_path,
        ODOO_URL=odoo_server.url,
        ODOO_DB=odoo_server.db,
        ODOO_USER=user.login,
        ODOO_API_KEY=user.api_key,
        NO_PROXY="*",
    )


@pytest.fixture
def run_id(env):
    done = run_script(
        "create_sop_run.py",
        *("--sop-code", "SOP-TRIAGE-001", "--error-code", "DB_DEADLOCK"),
        env=env,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- GitHub issues -----------------------------------------------------------


def test_script_makes_one_issue_and_prints_it_again(env, github, run_id):
    before = len(github.issues)
    command = ("create_github_issue.py", "--run-id", run_id)
    shown = run_script(*command, "--dry-run", env=env)
    assert shown.returncode == 0, shown.stderr
    assert "DB_DEADLOCK" in shown.stdout
    assert len(github.issues) == before
    done = run_script(*command, env=env)
    assert done.returncode == 0, done.stderr
    assert len(github.issues) == before + 1
    assert done.stdout.strip() == github.issues[-1]["html_url"]
    again = run_script(*command, env=env)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert "was there already" in again.stderr
    assert len(github.issues) == before + 1
    assert github.problems == []


def test_script_tells_what_github_refuses(env, github, run_id):
    github.plan = [github.refusal(404, "Not Found")]
    done = run_script("create_github_issue.py", "--run-id", run_id, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no repository example/service" in done.stderr
    assert github_fake.TOKEN not in done.stderr


def test_worker_killed_between_making_and_noting(github, orm, env, run_id):
    """Killed with SIGKILL after GitHub has answered: still one issue."""
    before = len(github.issues)
    # Asked for in a process that does not live to send it.
    issue_id = orm(
        """
        from datetime import datetime
        run = env["qms.sop.run"].browse(run_id)
        issue = env["qms.issue"].browse(run.create_issue()["id"])
        env.cr.postcommit.clear()
        result = issue.id
        """,
        run_id=int(run_id),
    )
    worker = Orm()
    try:
        with pytest.raises(AssertionError):
            worker(
                """
                import os, signal
                issue = env["qms.issue"].browse(issue_id)
                assert issue._claim()
                env.cr.commit()
                issue._send(False)
                os.kill(os.getpid(), signal.SIGKILL)
                """,
                issue_id=issue_id,
            )
    finally:
        worker.close()
    assert len(github.issues) == before + 1
    found = orm(
        """
        from datetime import timedelta
        issue = env["qms.issue"].browse(issue_id)
        assert issue.state == "sending", issue.state
        # As if its lease were over
        env.cr.execute(
            "UPDATE qms_issue SET claimed_at = claimed_at - interval '10 minutes'"
            " WHERE id = %s", (issue_id,))
        env.cr.commit()
        env["qms.issue"]._cron_send()
        issue.invalidate_recordset()
        result = [issue.state, issue.number]
        """,
        issue_id=issue_id,
    )
    assert found == ["made", len(github.issues)]
    assert len(github.issues) == before + 1


# -- Recurring SOPs ----------------------------------------------------------


@pytest.fixture
def due(orm):
    """Schedules whose time has come; gone when the test is over."""
    mark = uuid.uuid4().hex[:8]
    ids = orm(
        """
        from datetime import timedelta
        now = env.cr.now().replace(microsecond=0)
        schedules = env["qms.sop.schedule"].create([
            {
                "name": f"{mark} {number}",
                "sop_code": "SOP-TRIAGE-001",
                "freq": "daily",
                "tz": "UTC",
                "date_from": now.date(),
            }
            for number in range(count)
        ])
        env.cr.execute(
            "UPDATE qms_sop_schedule_occurrence SET planned_at = %s WHERE id IN"
            " (SELECT min(id) FROM qms_sop_schedule_occurrence"
            "   WHERE schedule_id = ANY(%s) GROUP BY schedule_id)",
            (now - timedelta(minutes=5), schedules.ids))
        result = schedules.ids
        """,
        mark=mark,
        count=SCHEDULES,
    )
    yield ids
    orm(
        'env["qms.sop.schedule"].browse(ids).action_archive()',
        ids=ids,
    )


_PASS = """
import os, signal, sys
from odoo.modules.registry import Registry
from odoo.tools import config
import odoo, psycopg2
config.parse_config(["-c", sys.argv[1]], setup_logging=False)
registry, dies_after = Registry(sys.argv[2]), int(sys.argv[3])
occurrences = registry["qms.sop.schedule.occurrence"]
open_run, opened = occurrences._open_run, []

def and_die(self, *args, **kwargs):
    run = open_run(self, *args, **kwargs)
    opened.append(run.id)
    if len(opened) == dies_after:
        os.kill(os.getpid(), signal.SIGKILL)
    return run

occurrences._open_run = and_die
print("ready", flush=True)
sys.stdin.readline()
while True:
    with registry.cursor() as cr:
        env = odoo.api.Environment(cr, odoo.SUPERUSER_ID, {})
        try:
            env["qms.sop.schedule"]._cron_run()
            break
        except psycopg2.errors.SerializationFailure:
            # As the next run of the job does
            cr.rollback()
"""


def _worker(dies_after=0):
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            _PASS,
            os.environ["QMS_TEST_RC"],
            os.environ["QMS_TEST_DB"],
            str(dies_after),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )


def _outcome(orm, ids):
    return orm(
        """
        occurrences = env["qms.sop.schedule.occurrence"].search(
            [("schedule_id", "in", ids), ("state", "!=", "planned")])
        runs = env["qms.sop.run"].search(
            [("source", "like", env["qms.sop.schedule"].browse(ids[0]).name[:8])])
        result = [
            sorted(occurrences.mapped("state")),
            len(occurrences.run_id),
            len(runs),
        ]
        """,
        ids=ids,
    )


def test_two_workers_and_one_dies_and_each_run_is_opened_once(orm, due):
    """One is killed with SIGKILL when it has opened some runs and committed none."""
    workers = [_worker(dies_after=4), _worker()]
    try:
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        workers[0].stdin.write("go\n")
        workers[0].stdin.flush()
        workers[1].stdin.write("go\n")
        workers[1].stdin.flush()
        codes = [worker.wait(timeout=60) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert codes[1] == 0
    orm('env["qms.sop.schedule"]._cron_run()')
    assert _outcome(orm, due) == [["started"] * SCHEDULES, SCHEDULES, SCHEDULES]


def test_worker_dies_and_another_one_opens_each_run_once(orm, due):
    worker = _worker(dies_after=4)
    try:
        assert worker.stdout.readline() == "ready\n"
        worker.stdin.write("go\n")
        worker.stdin.flush()
        assert worker.wait(timeout=60) == -signal.SIGKILL
    finally:
        worker.kill()
        worker.wait()
    orm('env["qms.sop.schedule"]._cron_run()')
    assert _outcome(orm, due) == [["started"] * SCHEDULES, SCHEDULES, SCHEDULES]
