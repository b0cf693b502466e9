"""The public methods over RPC, as a client of our own or anybody else's calls them."""

import http.client
import json
import threading
import uuid
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

CLIENTS = 8


class Rpc:
    """Calls methods as one user, over XML-RPC."""

    def __init__(self, server, user):
        self.url, self.db, self.user = server.url, server.db, user
        self._local = threading.local()

    def __call__(self, model, method, *args, **kwargs):
        if not hasattr(self._local, "proxy"):
            # A ServerProxy keeps one connection, which threads cannot share.
            self._local.proxy = xmlrpc.client.ServerProxy(f"{self.url}/xmlrpc/2/object")
        return self._local.proxy.execute_kw(
            self.db, self.user.id, self.user.api_key, model, method, args, kwargs
        )

    def refused(self, model, method, *args, **kwargs):
        """Return the message of a call that has to be refused."""
        with pytest.raises(xmlrpc.client.Fault) as caught:
            self(model, method, *args, **kwargs)
        message = caught.value.faultString
        assert "Traceback" not in message
        assert caught.value.faultCode in (2, 4), caught.value
        return message


@pytest.fixture(scope="module")
def rpc_of(odoo_server, make_user):
    def rpc_of(role, **values):
        user = make_user(f"qms_error_code.group_qms_{role}", **values)
        return Rpc(odoo_server, user)

    return rpc_of


@pytest.fixture(scope="module")
def rpc(rpc_of):
    return rpc_of("automation")


@pytest.fixture
def run(rpc):
    return rpc("qms.sop.run", "start_run", "SOP-TRIAGE-001")


@pytest.mark.parametrize(
    ("method", "arguments", "said"),
    [
        ("start_run", {"sop_code": "SOP-NONE-001"}, "SOP-TRIAGE-001"),
        (
            "start_run",
            {"sop_code": "SOP-TRIAGE-001", "error_code": "DB_CONECTION_LEAK"},
            "DB_CONNECTION_LEAK",
        ),
        (
            "start_run",
            {"sop_code": "SOP-TRIAGE-001", "severity": "urgent"},
            "critical",
        ),
        ("start_run", {"sop_code": ["SOP-TRIAGE-001"]}, "sop_code"),
        ("start_run", {}, "sop_code"),
        ("start_run", {"sop": "SOP-TRIAGE-001"}, "Accepted arguments: sop_code"),
    ],
)
def test_bad_arguments(rpc, method, arguments, said):
    assert said in rpc.refused("qms.sop.run", method, **arguments)


def test_draft_sop(rpc, orm):
    code = f"SOP-{uuid.uuid4().hex[:8].upper()}"
    orm(
        """env["qms.sop.document"].create({"code": sop_code, "name": "Draft"})""",
        sop_code=code,
    )
    assert "no approved revision" in rpc.refused("qms.sop.run", "start_run", code)


def test_transitions(rpc, run):
    ids = [run["id"]]
    said = rpc.refused("qms.sop.run", "complete", ids)
    assert "1. " in said and "is Pending" in said
    assert "not a state" in rpc.refused("qms.sop.run", "write", ids, {"state": "done"})
    assert "cannot go from" in rpc.refused(
        "qms.sop.run", "write", ids, {"state": "draft"}
    )
    rpc("qms.sop.run", "cancel", ids, "Only a test.")
    for values in ({"summary": "Late."}, {"state": "cancelled"}):
        said = rpc.refused("qms.sop.run", "write", ids, values)
        assert "can no longer be changed" in said
    assert "is final" in rpc.refused(
        "qms.sop.run", "write", ids, {"state": "in_progress"}
    )


def test_operator_edits_no_sop(rpc_of, orm):
    operator = rpc_of("operator")
    sop_id = orm("result = env['qms.sop.document']._effective('SOP-TRIAGE-001').id")
    step_id = operator("qms.sop.document", "read", [sop_id], ["step_ids"])[0][
        "step_ids"
    ][0]
    for model, record in (("qms.sop.document", sop_id), ("qms.sop.step", step_id)):
        assert "not allowed" in operator.refused(
            model, "write", [record], {"name": "Mine"}
        )


def test_auditor_writes_nothing(rpc_of, run):
    auditor = rpc_of("auditor")
    assert auditor("qms.sop.run", "get_run", [run["id"]])["state"] == "in_progress"
    for method, *args in (
        ("start_run", "SOP-TRIAGE-001"),
        ("update_run", [run["id"]], "cancelled"),
        ("log_error", [run["id"]], "Mine"),
        ("write", [run["id"]], {"summary": "Mine"}),
    ):
        assert "not allowed" in auditor.refused("qms.sop.run", method, *args)


def test_other_companies_run(rpc_of, orm, run):
    company = orm(
        "result = env['res.company'].create({'name': name}).id",
        name=f"Company {uuid.uuid4().hex[:8]}",
    )
    outsider = rpc_of("manager", company_id=company)
    for method, *args in (("get_run",), ("cancel", "Mine.")):
        outsider.refused("qms.sop.run", method, [run["id"]], *args)
    assert outsider("qms.sop.run", "search", [("id", "=", run["id"])]) == []


def test_same_key_from_many_clients_makes_one_run(rpc):
    key = uuid.uuid4().hex
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(
            pool.map(
                lambda _number: rpc(
                    "qms.sop.run", "start_run", "SOP-TRIAGE-001", idempotency_key=key
                ),
                range(CLIENTS),
            )
        )
    assert len({answer["id"] for answer in answers}) == 1
    assert all(answer == answers[0] for answer in answers)


def test_same_outage_from_many_clients_makes_one_run(rpc):
    outage = f"https://{uuid.uuid4().hex}.example/health"
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(
            pool.map(
                lambda _number: rpc(
                    "qms.sop.run", "start_run", "SOP-TRIAGE-001", dedup_key=outage
                ),
                range(CLIENTS),
            )
        )
    assert len({answer["id"] for answer in answers}) == 1
    assert [answer["existing"] for answer in answers].count(False) == 1


def test_run_numbers_under_concurrency(rpc):
    with ThreadPoolExecutor(CLIENTS) as pool:
        names = list(
            pool.map(
                lambda _number: rpc("qms.sop.run", "start_run", "SOP-TRIAGE-001")[
                    "name"
                ],
                range(CLIENTS * 2),
            )
        )
    assert len(set(names)) == len(names)


def test_json2(odoo_server, rpc, run):
    """The transport that replaces XML-RPC takes the same named arguments."""

    def call(method, status, **arguments):
        parts = urlsplit(odoo_server.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        connection.request(
            "POST",
            f"/json/2/qms.sop.run/{method}",
            json.dumps(arguments),
            {
                "Authorization": f"bearer {rpc.user.api_key}",
                "Content-Type": "application/json",
                "X-Odoo-Database": odoo_server.db,
            },
        )
        response = connection.getresponse()
        body = json.loads(response.read())
        connection.close()
        assert response.status == status, body
        return body

    assert call("get_run", 200, ids=[run["id"]])["name"] == run["name"]
    step = call(
        "update_step", 200, ids=[run["id"]], step=1, state="completed", result="Seen."
    )["steps"][0]
    assert (step["state"], step["result"]) == ("completed", "Seen.")
    assert "Pending" in call("complete", 422, ids=[run["id"]])["message"]
    assert (
        "NUL"
        in call("log_error", 422, ids=[run["id"]], error_message="a\0b")["message"]
    )
