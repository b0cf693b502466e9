"""The REST API against its own OpenAPI document, with thousands of generated calls.

schemathesis (https://schemathesis.readthedocs.io) makes them up: valid ones, broken
ones, and the edges of every value. Each answer must be documented, as to its status,
content type, headers and schema, and never 5xx. On a database of the test's own, for
among the calls are thousands that are done.
"""

import json
import os
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from odoo_process import OdooProcess
from scripts_support import ROOT

SEED = 20260301
CASES = 5_000
EXAMPLES = 90

# Rules of the domain refuse what is well-formed: a run that has ended, a cursor of
# another list. So valid data need not be accepted.
COMMON = (
    f"seed = {SEED}",
    "continue-on-failure = true",
    # A machine that is busy is no failure, and a failure is none the less for its size.
    'suppress-health-check = ["all"]',
    f"hooks = {json.dumps(str(ROOT / 'tests' / 'schemathesis_hooks.py'))}",
    "checks.positive_data_acceptance.enabled = false",
    "[generation]",
    'database = "none"',
    "no-shrink = true",
)
EXCEPTIONS = """
[[operations]]
include-path = "/error-codes/classify"
# There is /error-codes/{code}, too, with its methods.
checks.allow_header_conformance.enabled = false

[[operations]]
include-path-regex = "^/alerts/"
# Alerts that cannot be understood are kept for a person.
checks.negative_data_rejection.enabled = false
"""

# Somebody who may do everything that can be done over the API; what the paths can
# name; and no limit of calls, for this is a flood.
PREPARE = """
user = env["res.users"].create({
    "name": "Robot",
    "login": "robot",
    "group_ids": [
        (4, env.ref("qms_error_code.group_qms_manager").id),
        (4, env.ref("qms_error_code.group_qms_automation").id),
    ],
})
env["ir.config_parameter"].set_param("qms_sop.api_rate_limit", "0")
# Nobody runs jobs here; health is to be good all the same.
jobs = env["ir.cron"].search([("nextcall", "<", "2100-01-01")])
jobs.nextcall = "2100-01-01 00:00:00"
runs = env["qms.sop.run"].with_user(user)
ids = [runs.start_run("SOP-TRIAGE-001")["id"] for _number in range(12)]
evidence = []
for run in runs.browse(ids):
    run.log_error("deadlock detected", step=1)
    evidence.append(run.add_evidence("a.txt", "eA==", step=1)["id"])
for run in runs.browse(ids[:2]):
    run.record_rca("Two locks in two orders")
    run.cancel("Not needed")
env["qms.role"]._by_code("technical_lead").user_ids = env.ref("base.user_admin")
incidents = env["qms.incident"].with_user(user)
incident_ids = [
    incidents.open_incident("Logins fail", severity="low")["id"] for _each in range(12)
]
found = incidents.browse(incident_ids)
words = ("summary", "root_cause", "fix", "impact", "detection", "knowledge")
said = {**dict.fromkeys(words, "A lock"), "preventive_measures": "One order"}
said |= {"author": env.ref("base.user_admin").login}
told = [one.create_postmortem(**said, participants=["robot"]) for one in found[:6]]
postmortems = env["qms.postmortem"].with_user(user).browse(one["id"] for one in told)
for postmortem in postmortems[:4]:
    postmortem.move("in_review")
for postmortem in postmortems[2:4]:
    for state in ("triaged", "resolved"):
        postmortem.incident_id.move(state)
    postmortem.review()
    # Attempts to sign are written by cursors of their own.
    env.cr.commit()
    postmortem.with_user(env.ref("base.user_admin")).publish(PASSWORD)
actions = env["qms.action"].with_user(user)
action_ids = [actions.create_action("Lock one by one")["id"] for _each in range(12)]
# Moved on, and out of reach of other calls, until they can be moved no more
moving_incidents = [
    incidents.open_incident("Orders fail", severity="low")["id"] for _each in range(24)
]
moving_actions = [actions.create_action("Order locks")["id"] for _each in range(24)]
result = {
    "key": env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", "t", None),
    "known": {
        "path.run_id": ids,
        "path.incident_id": incident_ids,
        "path.postmortem_id": postmortems.ids,
        "body.incident": found.mapped("name"),
        "body.role": ["technical_lead"],
        "path.evidence_id": evidence,
        "path.number": [1, 2, 3],
        "path.action_id": action_ids,
        "body.run_id": ids,
        "body.owner": ["robot"],
        "body.priority": ["high", "P2"],
        "path.version": ["1.0.0"],
        "path.source": ["generic", "grafana"],
        "body.sop_code": ["SOP-TRIAGE-001", "SOP-HEALTH-001"],
        "body.error_code": ["DB_DEADLOCK", "STEP_FAILURE"],
        "body.severity": ["high", "P2"],
        "body.category": ["DATABASE", "UNKNOWN"],
    },
    "moving": {
        "/incidents/{incident_id}/transitions": moving_incidents,
        "/actions/{action_id}/transitions": moving_actions,
    },
    "codes": {
        "/sops": ["SOP-TRIAGE-001", "SOP-HEALTH-001"],
        "/error-codes": ["DB_DEADLOCK", "DB_CONNECTION_LEAK", "STEP_FAILURE"],
        "/severities": ["critical", "low"],
        "/categories": ["DATABASE", "UNKNOWN"],
    },
}
"""


@pytest.fixture(scope="module")
def database(database_copy):
    """A copy of the database that `make test` made."""
    with database_copy("schemathesis") as name:
        yield name


@pytest.fixture(scope="module")
def prepared(database):
    """The key, and what there is to be named in calls."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "orm_worker.py")],
        input=json.dumps(
            {"code": PREPARE, "values": {"PASSWORD": os.environ["QMS_TEST_PASSWORD"]}}
        )
        + "\n",
        env={**os.environ, "QMS_TEST_DB": database},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert "error" not in answer, answer.get("traceback")
    return answer["result"]


@pytest.fixture(scope="module")
def server(database, prepared, tmp_path_factory):
    """Odoo with two workers on that database."""
    folder = tmp_path_factory.mktemp("odoo")
    server = OdooProcess(folder, os.environ["QMS_TEST_RC"], database)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def document(server):
    """The OpenAPI document that the server gives."""
    with urllib.request.urlopen(f"{server.url}/api/v1/openapi.json") as response:
        return json.load(response)


def run_schemathesis(folder, server, config, *jobs, incidents):
    """Run schemathesis, several at once.

    Processes rather than its own threads, in which Python 3.11 compiles lambdas that
    Hypothesis wants to show, and sometimes fails (SystemError).

    :param Path folder: where its configuration and its reports go
    :param OdooProcess server: what is called
    :param str config: its configuration, TOML
    :param jobs: options of `st run`, one sequence for each process
    :param incidents: numbers of incidents that calls may name
    :return: the reports, after checking that nothing was found
    :rtype: list[dict]
    """
    Path(folder, "schemathesis.toml").write_text(config)
    reports = [
        Path(folder, f"report-{number}.json") for number, _job in enumerate(jobs)
    ]
    with ThreadPoolExecutor(len(jobs)) as pool:
        run_one = partial(_run_one, folder, server, incidents)
        done = list(pool.map(run_one, reports, jobs))
    found = []
    for report, said in zip(reports, done, strict=True):
        assert report.exists() and report.stat().st_size, said
        found.append(json.loads(report.read_text()))
        assert not found[-1]["failures"], said
        assert not found[-1]["errors"], said
        assert found[-1]["complete"], said
    return found


def _run_one(folder, server, incidents, report, options):
    done = subprocess.run(
        [str(Path(sys.executable).with_name("st"))]
        + ["--config-file", str(Path(folder, "schemathesis.toml")), "--no-color"]
        + ["run", f"{server.url}/api/v1/openapi.json"]
        + ["--report", "json", "--report-json-path", str(report), *options],
        cwd=folder,
        env={**os.environ, "QMS_TEST_INCIDENTS": " ".join(incidents)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return done.stdout + done.stderr


def configuration(document, prepared):
    """Return schemathesis' configuration.

    Three calls in four name what there is, so that they come to more than 404.
    """
    lines = [*COMMON, f"max-examples = {EXAMPLES}"]
    words = {**prepared["known"], **prepared["codes"], **prepared["moving"]}
    for name, values in words.items():
        lines += [f'[dictionaries."{name}"]', f"values = {json.dumps(values)}"]
    lines.append("[parameters]")
    lines += [f'"{name}" = {_known(name)}' for name in prepared["known"]]
    for path in document["paths"]:
        prefix = f"/{path.split('/')[1]}"
        if path.startswith(f"{prefix}/{{code}}"):
            lines += _of_path(path, "code", prefix)
    for path in prepared["moving"]:
        lines += _of_path(path, path[path.index("{") + 1 : path.index("}")], path)
    return "\n".join([*lines, EXCEPTIONS])


def operations(document):
    """Return the operations that are tested: all but the document itself."""
    found = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    return found - {"GET /openapi.json"}


def _of_path(path, parameter, dictionary):
    return [
        "[[operations]]",
        f'include-path = "{path}"',
        "[operations.parameters]",
        f'"path.{parameter}" = {_known(dictionary)}',
    ]


def _known(name):
    return f'{{ dictionary = "{name}", probability = 0.75 }}'


def test_every_answer_is_documented(server, document, prepared, tmp_path):
    key = ("--header", f"Authorization: Bearer {prepared['key']}")
    reports = run_schemathesis(
        tmp_path,
        server,
        configuration(document, prepared),
        (*key, "--phases", "coverage"),
        (*key, "--phases", "examples,fuzzing", "--include-method", "GET"),
        (*key, "--phases", "examples,fuzzing", "--exclude-method", "GET"),
        incidents=prepared["known"]["body.incident"],
    )
    assert sum(report["test_cases"]["generated"] for report in reports) >= CASES
    # Calls that only ever are refused would test little.
    accepted = {
        name
        for report in reports
        for name, phases in report["valid_rates"].items()
        if any(phase["accepted"] for phase in phases.values())
    }
    # Most transitions want a reason, which calls that are made up leave null.
    assert operations(document) - accepted <= {"POST /sop-runs/{run_id}/transitions"}
    log = server.log.read_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]


def test_strangers_get_401_only(server, document, prepared, tmp_path):
    (report,) = run_schemathesis(
        tmp_path,
        server,
        "\n".join([*COMMON, EXCEPTIONS]),
        ("--phases", "coverage"),
        incidents=prepared["known"]["body.incident"],
    )
    assert report["operations"]["tested"] == len(operations(document))
    assert report["test_cases"]["generated"] >= 20 * len(operations(document))
