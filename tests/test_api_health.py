"""Health while there is no database."""

import json
import os
import urllib.error
import urllib.request

import pytest
from odoo_process import OdooProcess


@pytest.fixture(scope="module")
def server(odoo_server, tmp_path_factory):
    """An Odoo that has no database to serve, and loads our add-on all the same."""
    folder = tmp_path_factory.mktemp("odoo")
    server = OdooProcess(
        folder,
        os.environ["QMS_TEST_RC"],
        odoo_server.db,
        "--db-filter=^no_such_database$",
        "--load=base,rpc,web,qms_sop",
    )
    server.start()
    yield server
    server.stop()


def get(url):
    """Return status, content type and JSON of an answer."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return (
                response.status,
                response.headers["Content-Type"],
                json.load(response),
            )
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], json.load(error)


def test_the_process_answers_for_itself(server):
    assert get(f"{server.url}/api/v1/health") == (
        200,
        "application/json",
        {"status": "pass"},
    )


def test_the_database_does_not(server):
    status, content_type, problem = get(f"{server.url}/api/v1/health/db")
    assert (status, content_type) == (503, "application/problem+json")
    assert problem["type"] == "urn:qms:problem:unavailable"
    assert "Traceback" not in server.log.read_text()
