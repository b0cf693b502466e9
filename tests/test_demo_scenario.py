"""The demo works SOP-TRIAGE-001 from detection to resolution, and cleans up."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
import xmlrpc.client
from pathlib import Path

import psutil
import psycopg2
import pytest

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "examples" / "demo.py"
SERVICE = ROOT / "examples" / "leaky_service" / "service.py"


@pytest.fixture(scope="module")
def automation(make_user):
    return make_user("qms_error_code.group_qms_automation")


@pytest.fixture
def environment(odoo_server, automation, tmp_path):
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("ODOO_")},
        "ODOO_URL": odoo_server.url,
        "ODOO_DB": odoo_server.db,
        "ODOO_USER": automation.login,
        "ODOO_API_KEY": automation.api_key,
        "QMS_PG_HOST": odoo_server.pg_host,
        "QMS_PG_USER": odoo_server.pg_user,
        "TMPDIR": str(tmp_path),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def leftovers(odoo_server, tmp_path):
    """Tell what a demo left: processes, databases, files."""

    def find():
        processes = [
            process.pid
            for process in psutil.process_iter(["cmdline"])
            if str(SERVICE) in (process.info["cmdline"] or ())
            or any(str(tmp_path) in one for one in process.info["cmdline"] or ())
        ]
        connection = psycopg2.connect(
            host=odoo_server.pg_host, user=odoo_server.pg_user, dbname="postgres"
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT datname FROM pg_database WHERE datname LIKE 'leaky\\_demo\\_%'"
            )
            databases = [name for (name,) in cursor.fetchall()]
        connection.close()
        return {
            "processes": processes,
            "databases": databases,
            "files": [path.name for path in tmp_path.iterdir()],
        }

    return find


@pytest.fixture
def orm_call(odoo_server):
    """Call a model method over XML-RPC as the administrator."""
    common = xmlrpc.client.ServerProxy(f"{odoo_server.url}/xmlrpc/2/common")
    access = (odoo_server.db, odoo_server.login, odoo_server.password)
    uid = common.authenticate(*access, {})
    models = xmlrpc.client.ServerProxy(f"{odoo_server.url}/xmlrpc/2/object")

    def call(model, method, *args, **kwargs):
        return models.execute_kw(
            odoo_server.db, uid, odoo_server.password, model, method, args, kwargs
        )

    return call


def run_demo(environment, *arguments):
    return subprocess.run(
        [sys.executable, DEMO, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("watched", [True, False])
def test_demo_works_the_sop_to_its_end(
    environment, automation, odoo_server, orm_call, leftovers, tmp_path_factory, watched
):
    if not watched:
        environment.pop("QMS_PROMETHEUS", None)
    elif "QMS_PROMETHEUS" not in environment:
        pytest.skip("Prometheus and Alertmanager are not there")
    before = leftovers()
    summary = tmp_path_factory.mktemp("demo") / "run.json"

    done = run_demo(environment, "--json", str(summary))

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert automation.api_key not in done.stdout
    assert leftovers() == before
    told = json.loads(summary.read_text())
    assert told["name"] in done.stdout
    assert str(told["url"]) in done.stdout

    # What the server has, read by somebody else than the demo.
    (run,) = orm_call(
        "qms.sop.run",
        "read",
        [told["id"]],
        [
            *("name", "state", "sop_code", "trigger", "resolution", "resolution_time"),
            *("severity", "user_id", "error_code_id", "error_ids", "evidence_ids"),
            *("rca_ids", "step_ids", "start_time", "end_time", "dedup_key"),
        ],
    )
    assert run["name"] == told["name"]
    assert run["state"] == "completed"
    assert run["sop_code"] == "SOP-TRIAGE-001"
    assert run["trigger"] == "automated"
    assert run["severity"] == "high"
    assert run["user_id"][0] == automation.id
    assert run["resolution"] == "Implemented connection cleanup in exception handlers"
    assert run["resolution_time"] == told["resolution_time_seconds"] > 0
    assert "/health" in run["dedup_key"]
    code = orm_call("qms.error.code", "read", [run["error_code_id"][0]], ["name"])
    assert code[0]["name"] == "DB_CONNECTION_LEAK"

    steps = orm_call(
        "qms.sop.run.step",
        "read",
        run["step_ids"],
        ["number", "state", "actual_result", "start_time", "end_time"],
    )
    assert sorted(step["number"] for step in steps) == [1, 2, 3, 4, 5, 6]
    for step in steps:
        assert step["state"] == "completed"
        assert step["actual_result"]
        assert (
            run["start_time"]
            <= step["start_time"]
            <= step["end_time"]
            <= run["end_time"]
        )

    evidence = orm_call(
        "qms.sop.run.evidence",
        "read",
        run["evidence_ids"],
        ["name", "sha256", "size", "source"],
    )
    log = next(one for one in evidence if one["name"] == "orders-service.log")
    assert log["sha256"] in done.stdout
    assert log["size"] > 10_000
    kinds = {one["name"].partition("-2")[0] for one in evidence}
    assert kinds == {
        "health-check-failed",
        "health-check-green",
        "orders-service.log",
        "pg_stat_activity.csv",
        "health.json",
    }

    (rca,) = orm_call(
        "qms.rca",
        "read",
        run["rca_ids"],
        ["state", "root_cause", "fix", "fix_type", "verification", "why_ids"],
    )
    assert rca["state"] == "confirmed"
    assert rca["root_cause"] == "Exception handling doesn't close DB connections"
    assert "+        pool.putconn(connection)" in rca["fix"]
    assert rca["fix_type"] == "code"
    whys = orm_call("qms.rca.why", "read", rca["why_ids"], ["answer", "evidence"])
    assert len(whys) == 5
    assert all(why["answer"] and why["evidence"] for why in whys)
    assert "orders_leaky.py:" in whys[-1]["evidence"]

    # The alert of the same outage, with a run of its own.
    (alert_run,) = orm_call(
        "qms.sop.run",
        "read",
        [told["alert_run"]["id"]],
        [*("state", "sop_code", "alert_state", "alerts_resolved_at"), "alert_ids"],
    )
    assert alert_run["state"] == "in_progress"
    assert alert_run["sop_code"] == "SOP-DBCONN-001"
    assert alert_run["alert_state"] == "resolved"
    assert alert_run["alerts_resolved_at"]
    (alert,) = orm_call(
        "qms.alert", "read", alert_run["alert_ids"], ["status", "delivery_count"]
    )
    assert alert["status"] == "resolved"
    assert alert["delivery_count"] >= 2
    assert ("Alertmanager delivered it" in done.stdout) == watched

    # What it was to users; the rest is for people.
    (incident,) = orm_call(
        "qms.incident",
        "read",
        [told["incident"]["id"]],
        [
            *(
                "name",
                "title",
                "state",
                "severity",
                "detection_method",
                "public_status",
            ),
            *("run_ids", "time_to_mitigate", "time_to_resolve", "error_code_id"),
            *("users_affected", "update_ids", "first_error", "postmortem_state"),
        ],
    )
    assert (incident["state"], incident["severity"]) == ("reviewed", "high")
    assert incident["detection_method"] == "health_check"
    assert incident["error_code_id"] == run["error_code_id"]
    assert set(incident["run_ids"]) == {run["id"], told["alert_run"]["id"]}
    assert 0 < incident["time_to_mitigate"] <= incident["time_to_resolve"]
    assert incident["public_status"] == "Orders can be placed again."
    assert len(incident["update_ids"]) == 2
    assert incident["users_affected"] == 0
    assert incident["first_error"]
    assert incident["postmortem_state"] == told["postmortem"]["state"] == "draft"
    assert f"{told['incident']['name']} opened" in done.stdout
    assert "### Where We Got Lucky" in done.stdout

    token = told["status_url"].rpartition("/")[2]
    with urllib.request.urlopen(
        f"{odoo_server.url}/api/v1/sop-runs/{token}", timeout=30
    ) as response:
        assert json.load(response) == {"state": "completed"}


@pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGINT)])
def test_interrupted_demo_leaves_nothing_behind(
    environment, orm_call, leftovers, signals
):
    before = leftovers()
    demo = subprocess.Popen(
        [sys.executable, DEMO],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    name = None
    for line in demo.stdout:
        if " is open on SOP-TRIAGE-001 " in line:
            name = line.split()[0]
        if "--classify" in line:
            break
    assert leftovers()["processes"], "nothing runs that could be left behind"

    for number in signals:
        demo.send_signal(number)
    out, error = demo.communicate(timeout=60)

    assert demo.returncode == 130
    assert "Traceback" not in error
    assert f"{name} was cancelled" in out
    assert "is none: the demo did not finish" in out
    assert leftovers() == before
    runs = orm_call("qms.sop.run", "search_read", [("name", "=", name)], ["state"])
    assert [run["state"] for run in runs] == ["cancelled"]


def test_demo_without_a_setting_names_it(environment, leftovers):
    before = leftovers()
    done = run_demo({**environment, "ODOO_API_KEY": ""})
    assert done.returncode == 2
    assert done.stderr == "Set ODOO_API_KEY; `make demo` does.\n"
    assert leftovers() == before


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ODOO_API_KEY": "0" * 40}, "does not accept the API key of "),
        ({"ODOO_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9 does not answer: "),
        ({"QMS_PG_HOST": "/nowhere"}, "The demo failed: PostgreSQL says: "),
    ],
)
def test_demo_that_cannot_go_on_says_why(environment, leftovers, changes, sentence):
    before = leftovers()
    done = run_demo({**environment, **changes})
    assert done.returncode == 1
    assert done.stderr.startswith("The demo failed: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert leftovers() == before
