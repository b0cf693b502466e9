"""What of the REST API needs live servers: several workers, and keys in their caches.

Each request goes to one of two servers on the same database: one has two worker
processes, the other has threads.
"""

import http.client
import itertools
import json
import uuid
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

CLIENTS = 32
SOP = "SOP-TRIAGE-001"


class Api:
    """Calls operations of the API with one key, from any thread."""

    def __init__(self, servers, key):
        self._urls = itertools.cycle([server.url for server in servers])
        self.key = key

    def __call__(self, method, path, body=None, **headers):
        """Call an operation on the next server.

        :return: status, headers, and the body as parsed from JSON
        """
        address = urlsplit(next(self._urls))
        connection = http.client.HTTPConnection(
            address.hostname, address.port, timeout=120
        )
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers["Authorization"] = f"Bearer {self.key}"
        if body is not None:
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, f"/api/v1/{path}", body, headers)
            response = connection.getresponse()
            return response.status, response.headers, json.loads(response.read())
        finally:
            connection.close()

    def until_done(self, *arguments, **headers):
        """Call an operation again for as long as the server says it is too busy."""
        while True:
            answer = self(*arguments, **headers)
            if answer[0] != http.client.SERVICE_UNAVAILABLE:
                return answer


@pytest.fixture(scope="module")
def servers(odoo_server, odoo_workers):
    return odoo_workers, odoo_server


@pytest.fixture(scope="module")
def user(make_user):
    return make_user("qms_error_code.group_qms_automation")


@pytest.fixture(scope="module")
def api(servers, user):
    return Api(servers, user.api_key)


def all_at_once(function):
    """Call a function with 0, 1, 2, … from as many threads as there are clients."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(function, range(CLIENTS)))


def test_same_key_makes_one_run(api, orm):
    key, source = str(uuid.uuid4()), f"once-{uuid.uuid4()}"

    def create(_number):
        return api.until_done(
            "POST",
            "sop-runs",
            {"sop_code": SOP, "source": source},
            Idempotency_Key=key,
        )

    answers = all_at_once(create)
    assert [status for status, *_rest in answers] == [201] * CLIENTS, answers
    bodies = [body for *_rest, body in answers]
    assert all(body == bodies[0] for body in bodies)
    fresh = [
        headers for _s, headers, _b in answers if not headers["Idempotency-Replayed"]
    ]
    assert len(fresh) == 1
    count = orm(
        'result = env["qms.sop.run"].search_count([("source", "=", source)])',
        source=source,
    )
    assert count == 1


def test_no_accepted_change_is_lost(api):
    status, _headers, run = api("POST", "sop-runs", {"sop_code": SOP})
    assert status == 201
    path = f"sop-runs/{run['id']}"
    stale = []

    def add(number):
        """Add a word to the summary, as often as it takes."""
        while True:
            _status, headers, seen = api("GET", path)
            words = (seen["summary"] or "").split()
            status, _headers, changed = api.until_done(
                "PATCH",
                path,
                {"summary": " ".join([*words, f"w{number}"])},
                If_Match=headers["ETag"],
            )
            if status == 200:
                assert changed["summary"].split() == [*words, f"w{number}"]
                return
            assert status == 412, changed
            stale.append(number)

    all_at_once(add)
    _status, headers, seen = api("GET", path)
    assert sorted(seen["summary"].split()) == sorted(f"w{n}" for n in range(CLIENTS))
    # Otherwise nobody got into anybody's way, and nothing was shown.
    assert stale
    version = int(headers["ETag"].strip('"').partition("-")[2])
    assert version == 1 + CLIENTS, "one version for each accepted change"


def test_removed_key_stops_at_once(servers, make_user, orm):
    user = make_user("qms_error_code.group_qms_automation")
    run = Api(servers, user.api_key)("POST", "sop-runs", {"sop_code": SOP})[2]

    def rpc(server):
        models = xmlrpc.client.ServerProxy(f"{server.url}/xmlrpc/2/object")
        return models.execute_kw(
            server.db, user.id, user.api_key, "qms.sop.run", "get_run", [[run["id"]]]
        )["id"]

    def rest(server):
        return Api([server], user.api_key)("GET", f"sop-runs/{run['id']}")[0]

    workers = servers[0]
    # Every worker remembers the login now …
    for server in [*servers, *[workers] * 8]:
        assert rpc(server) == run["id"]
        assert rest(server) == 200
    orm(
        """
        keys = env["res.users.apikeys"].search([("user_id", "=", user_id)])
        assert keys
        keys.with_user(user_id)._remove()
        """,
        user_id=user.id,
    )
    # … and forgets it with the next call.
    for server in [*servers, *[workers] * 8]:
        with pytest.raises(xmlrpc.client.Fault, match="Access Denied"):
            rpc(server)
        assert rest(server) == 401


def test_upload_over_the_limit(servers, api):
    """The answer arrives, although the server does not read what it refuses."""
    run = api("POST", "sop-runs", {"sop_code": SOP})[2]
    for server in servers:
        address = urlsplit(server.url)
        connection = http.client.HTTPConnection(address.hostname, address.port)
        connection.putrequest("POST", f"/api/v1/sop-runs/{run['id']}/evidence")
        connection.putheader("Authorization", f"Bearer {api.key}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(2**30))
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == 413
        assert json.loads(response.read())["type"].endswith(":content-too-large")
        connection.close()
