"""The script that opens an incident tells of similar ones, and of what mended them."""

import uuid

import pytest
from scripts_support import Odoo, RecordingServer, run_script


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


def test_similar_ones_are_told(env):
    title = f"Pool of {uuid.uuid4().hex} exhausted"
    first = run_script("create_incident.py", "--title", title, "--similar", env=env)
    assert first.returncode == 0, first.stderr
    number = run_script(
        "update_incident.py",
        *("--incident", first.stdout.strip(), "--workaround", "Wait,\nthen try again"),
        *("--print", "name"),
        env=env,
    ).stdout.strip()
    second = run_script("create_incident.py", "--title", title, "--similar", env=env)
    assert second.returncode == 0, second.stderr
    assert second.stdout != first.stdout
    told = second.stderr.splitlines()
    at = told.index(f"similar: {number} {title} (similar title (100 %))")
    assert told[at + 1 : at + 3] == [
        "  still open: it may be the same",
        "  fix: Wait, then try again",
    ]
    quiet = ("--quiet", "--similar")
    assert not run_script(
        "create_incident.py", "--title", title, *quiet, env=env
    ).stderr


def test_incident_is_open_also_when_they_cannot_be_told(tmp_path):
    odoo = Odoo()
    incident = {
        "id": 7,
        "name": "INC-20260301-001",
        "state": "detected",
        "severity": False,
        "category": False,
        "error_code": False,
        "url": "http://localhost/7",
        "api_url": "http://localhost/api/7",
    }
    odoo.methods["qms.incident.open_incident"] = incident
    with RecordingServer(odoo) as server:
        settings = {"HOME": str(tmp_path), **odoo.settings(server.url)}
        for answer, said in (
            ([], "similar: none"),
            (_fault(), "warning: Similar incidents are not known: "),
        ):
            odoo.methods["qms.incident.get_similar"] = answer
            done = run_script(
                "create_incident.py", "--title", "x", "--similar", env=settings
            )
            assert (done.returncode, done.stdout) == (0, "7\n")
            assert said in done.stderr


def _fault():
    from xmlrpc.client import Fault

    return Fault(2, "There is no such method.")
