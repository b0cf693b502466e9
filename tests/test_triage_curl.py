"""The verification command of SOP-TRIAGE-001, word for word, over real TLS."""

import json
import shutil

import pytest
import scripts_support as support
from scripts_support import RecordingServer, forward, run_script, run_shell

# A contract: do not adapt it.
VERIFY_RUN = """\
# Verify SOP run created
curl -sf "https://odoo.your-domain.com/api/v1/sop-runs/${RUN_ID}" | jq .state
# Should return: "in_progress"
"""
HOST = "odoo.your-domain.com"


@pytest.fixture(scope="module", autouse=True)
def tools():
    for tool in ("curl", "jq"):
        if not shutil.which(tool):
            pytest.fail(f"{tool} is not installed: apt-get install {tool}", False)


@pytest.fixture
def curl_home(odoo_server, tmp_path):
    """The home of a user whose curl finds the SOP's host on this machine.

    :return: the folder, and a function that adds lines to its ``.curlrc``
    """
    context, pem = support.certificate(tmp_path, name=HOST)
    with RecordingServer(forward(odoo_server), context) as server:
        curlrc = tmp_path / ".curlrc"

        def add(line):
            with curlrc.open("a") as file:
                file.write(f"{line}\n")

        add(f'cacert = "{pem}"')
        add(f'connect-to = "{HOST}:443:127.0.0.1:{server.port}"')
        add('noproxy = "*"')
        yield tmp_path, add


def open_run(odoo_server, user, folder, *arguments):
    env = support.environment(
        folder,
        ODOO_URL=odoo_server.url,
        ODOO_DB=odoo_server.db,
        ODOO_USER=user.login,
        ODOO_API_KEY=user.api_key,
        NO_PROXY="*",
    )
    done = run_script(
        "create_sop_run.py", "--sop-code", "SOP-TRIAGE-001", *arguments, env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def verify(folder, run_id):
    done = run_shell(VERIFY_RUN, {"HOME": str(folder), "RUN_ID": run_id})
    assert done.stderr == ""
    return done.stdout


def test_with_the_status_token_and_no_key(odoo_server, make_user, curl_home):
    folder, _add = curl_home
    user = make_user("qms_error_code.group_qms_operator")
    token = open_run(odoo_server, user, folder, "--print", "status-token")
    assert verify(folder, token) == '"in_progress"\n'


def test_with_the_run_id_and_a_key(odoo_server, make_user, curl_home):
    folder, add = curl_home
    user = make_user("qms_error_code.group_qms_operator")
    run_id = open_run(odoo_server, user, folder)
    assert verify(folder, run_id) == "", "nothing without a key"
    add(f'header = "Authorization: Bearer {user.api_key}"')
    assert verify(folder, run_id) == '"in_progress"\n'


def test_full_answer(odoo_server, make_user, curl_home):
    folder, add = curl_home
    user = make_user("qms_error_code.group_qms_auditor")
    opener = make_user("qms_error_code.group_qms_automation")
    run_id = open_run(odoo_server, opener, folder, "--severity", "P1")
    add(f'header = "Authorization: Bearer {user.api_key}"')
    done = run_shell(
        f'curl -sf "https://{HOST}/api/v1/sop-runs/{run_id}"', {"HOME": str(folder)}
    )
    run = json.loads(done.stdout)
    assert (run["id"], run["severity"], run["sop_version"]) == (
        int(run_id),
        "high",
        "1.0.0",
    )
