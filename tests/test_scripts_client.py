"""The client: transports, retries, what is remembered, errors."""

import io
import json
import stat
import time
import xmlrpc.client

import pytest
import scripts_support as support
from qms_client import (
    AuthenticationError,
    Client,
    RefusedError,
    UnreachableError,
    UsageError,
    clean,
    mask_url,
    split_url,
)
from scripts_support import (
    Odoo,
    RecordingServer,
    close,
    cut,
    garbage,
    hang,
    send,
    status,
)

TRACEBACK = """Traceback (most recent call last):
  File "/srv/odoo/secret/path.py", line 1, in x
    boom()
ZeroDivisionError: division by zero
"""


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    support.without_proxy(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def odoo():
    odoo = Odoo()
    odoo.methods["qms.sop.run.start_run"] = {"id": 12, "name": "RUN-000012"}
    odoo.methods["qms.sop.run.get_run"] = {"id": 12}
    return odoo


@pytest.fixture
def server(odoo):
    with RecordingServer(odoo) as server:
        yield server


def make_client(server, **settings):
    settings = {
        "user": Odoo.USER,
        "api_key": Odoo.KEY,
        "timeout": 0.5,
        "backoff": 0.01,
        **settings,
    }
    return Client(settings.pop("url", None) or server.url, Odoo.DB, **settings)


def start(client, key="key-1"):
    return client.call(
        "qms.sop.run", "start_run", sop_code="SOP-1", severity=None, idempotency_key=key
    )


@pytest.mark.parametrize("transport", ["xmlrpc", "json2"])
def test_call_reaches_method_without_what_is_none(server, odoo, transport):
    client = make_client(server, transport=transport)
    assert start(client)["id"] == 12
    assert odoo.calls == [
        (
            "qms.sop.run",
            "start_run",
            None,
            {"sop_code": "SOP-1", "idempotency_key": "key-1"},
        )
    ]


@pytest.mark.parametrize("transport", ["xmlrpc", "json2"])
def test_ids_go_to_records(server, odoo, transport):
    make_client(server, transport=transport).call("qms.sop.run", "get_run", ids=[12])
    assert odoo.calls == [("qms.sop.run", "get_run", [12], {})]


@pytest.mark.parametrize("transport", ["xmlrpc", "json2"])
@pytest.mark.parametrize(
    "failure", [status(502), status(503), status(504), status(429), close, cut, garbage]
)
def test_transport_failures_are_retried_with_the_same_key(
    server, odoo, transport, failure
):
    client = make_client(server, transport=transport)
    if transport == "xmlrpc":
        start(client)
        odoo.calls.clear()
    server.plan = [failure, failure]
    assert start(client, "the-key")["id"] == 12
    bodies = [request.body for request in server.requests[-3:]]
    assert all(b"the-key" in body for body in bodies)
    assert len(odoo.calls) == 1


def test_lost_answer_is_asked_for_again_with_the_same_key(server, odoo):
    client = make_client(server, transport="json2")

    def work_then_fail(handler):
        handler.wfile = io.BytesIO()
        odoo(handler)
        handler.connection.close()

    server.plan = [work_then_fail]
    start(client, "the-key")
    keys = [kwargs["idempotency_key"] for *_call, kwargs in odoo.calls]
    assert keys == ["the-key", "the-key"]


def test_timeout_is_retried_and_then_reported(server):
    client = make_client(server, transport="json2", timeout=0.2, retries=2)
    server.plan = [hang(1)] * 3
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"within 0\.2 s \(3 attempts\)"):
        start(client)
    assert 0.6 <= time.monotonic() - began < 3
    assert len(server.requests) == 3


def test_html_with_status_200_is_a_broken_answer(server):
    client = make_client(server, transport="json2", retries=0)
    server.plan = [status(200)]
    with pytest.raises(UnreachableError, match="not JSON"):
        start(client)
    client = make_client(server, transport="xmlrpc", retries=0)
    server.plan = [status(200)]
    with pytest.raises(UnreachableError, match="not XML-RPC"):
        start(client)


def test_write_without_key_is_not_sent_twice(server, odoo):
    odoo.methods["res.partner.create"] = 1
    client = make_client(server, transport="json2")
    server.plan = [status(502)]
    with pytest.raises(UnreachableError, match="HTTP 502"):
        client.call("res.partner", "create", vals_list=[{}])
    assert len(server.requests) == 1
    server.plan = [status(502)]
    client.call("qms.sop.run", "get_run", ids=[1])
    assert len(server.requests) == 3


def test_refusals_are_not_retried(server, odoo):
    odoo.methods["qms.sop.run.start_run"] = xmlrpc.client.Fault(2, "No such SOP.")
    for transport in ("xmlrpc", "json2"):
        odoo.calls.clear()
        with pytest.raises(RefusedError, match=r"^No such SOP\.$"):
            start(make_client(server, transport=transport))
        assert len(odoo.calls) == 1


def test_refused_connection_is_retried_even_without_key():
    url = f"http://127.0.0.1:{support.free_port()}"
    told = []
    client = make_client(None, url=url, transport="json2", on_retry=told.append)
    with pytest.raises(UnreachableError, match=r"connection refused \(4 attempts\)"):
        client.call("res.partner", "create", vals_list=[{}])
    assert len(told) == 3
    assert "(3 of 3)" in told[-1]


def test_pauses_grow_and_differ(server):
    client = make_client(server, backoff=1.0)
    for attempt in range(4):
        pauses = {client._pause(attempt, None) for _number in range(50)}
        assert len(pauses) > 40
        assert 2**attempt / 2 <= min(pauses) <= max(pauses) <= 2**attempt
    assert client._pause(0, 3.0) == 3.0
    assert client._pause(0, 86400.0) == 30.0


def test_retry_after_is_kept(server):
    client = make_client(server, transport="json2")
    server.plan = [status(503, Retry_After="1")]
    began = time.monotonic()
    start(client)
    assert time.monotonic() - began >= 1


def test_server_traceback_is_reduced_to_its_last_line(server, odoo):
    odoo.methods["qms.sop.run.start_run"] = xmlrpc.client.Fault(1, TRACEBACK)
    for transport in ("xmlrpc", "json2"):
        with pytest.raises(RefusedError) as caught:
            start(make_client(server, transport=transport))
        message = str(caught.value)
        assert "division by zero" in message
        assert "log of the server" in message
        assert "Traceback" not in message
        assert "secret/path" not in message


def test_unknown_database_is_said(server, odoo):
    odoo.methods["qms.sop.run.start_run"] = xmlrpc.client.Fault(
        1,
        "Traceback (most recent call last):\npsycopg2.OperationalError: FATAL: database"
        ' "prod" does not exist\n',
    )
    with pytest.raises(AuthenticationError, match="'prod' does not exist"):
        start(make_client(server))


def test_database_away(server, odoo):
    answers = iter(
        [
            xmlrpc.client.Fault(
                1,
                "Traceback (most recent call last):\npsycopg2.OperationalError: "
                "server closed the connection unexpectedly\n",
            ),
            {"id": 1},
        ]
    )

    def answer(_ids, _arguments):
        given = next(answers)
        if isinstance(given, Exception):
            raise given
        return given

    odoo.methods["qms.sop.run.start_run"] = answer
    assert start(make_client(server, retries=1, backoff=0.01), "key") == {"id": 1}


@pytest.mark.parametrize("transport", ["xmlrpc", "json2"])
def test_wrong_key(server, odoo, transport):
    client = make_client(server, transport=transport, api_key="wrong")
    with pytest.raises(AuthenticationError) as caught:
        start(client)
    assert "wrong" not in str(caught.value)
    assert not odoo.calls
    assert len(server.requests) == 1


# -- what is remembered ------------------------------------------------------


def cache_files(tmp_path):
    return sorted((tmp_path / "cache" / "qms-sop").iterdir())


def test_user_id_is_looked_up_once(server, odoo, tmp_path):
    for _number in range(3):
        start(make_client(server))
    assert odoo.logins == 1
    (file,) = cache_files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert json.loads(file.read_text()) == {"uid": 7}
    for secret in (Odoo.KEY, Odoo.USER, Odoo.DB, server.url):
        assert secret not in file.read_text() + file.name


def test_other_user_or_database_is_looked_up_apart(server, odoo, tmp_path):
    start(make_client(server))
    with pytest.raises(AuthenticationError):
        start(make_client(server, user="somebody"))
    assert odoo.logins == 2
    assert len(cache_files(tmp_path)) == 1


def test_stale_user_id_is_looked_up_again(server, odoo, tmp_path):
    start(make_client(server))
    odoo.uid = 8
    assert start(make_client(server))["id"] == 12
    assert odoo.logins == 2
    (file,) = cache_files(tmp_path)
    assert json.loads(file.read_text()) == {"uid": 8}


def test_user_id_that_is_gone_is_looked_up_again(server, odoo, tmp_path):
    """Odoo speaks of a missing record then, not of a wrong key."""
    start(make_client(server))
    (file,) = cache_files(tmp_path)
    file.write_text('{"uid": 15}')
    gone = xmlrpc.client.Fault(2, "Missing\n(Record: res.users(15,), User: 15)")
    server.plan = [lambda handler: send_fault(handler, gone)]
    assert start(make_client(server))["id"] == 12
    assert json.loads(file.read_text()) == {"uid": 7}


def send_fault(handler, fault):
    send(handler, 200, xmlrpc.client.dumps(fault).encode(), "text/xml")


def test_revoked_key_with_remembered_user_id(server, odoo):
    start(make_client(server))
    with pytest.raises(AuthenticationError):
        start(make_client(server, api_key="x" * 40))
    assert odoo.logins == 2


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"uid": "7"}', '{"uid": true}', '{"uid": -1}', "\x00\xff", '"x"'],
)
def test_damaged_cache_is_as_if_there_were_none(server, odoo, tmp_path, content):
    start(make_client(server))
    (file,) = cache_files(tmp_path)
    file.write_text(content)
    assert start(make_client(server))["id"] == 12
    assert odoo.logins == 2
    assert json.loads(file.read_text()) == {"uid": 7}


def test_unwritable_cache_is_no_error(server, odoo, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert start(make_client(server))["id"] == 12


# -- the choice of the transport ---------------------------------------------


def test_auto_falls_to_json2_and_remembers(tmp_path):
    odoo = Odoo(xmlrpc=False)
    odoo.methods["qms.sop.run.start_run"] = {"id": 12}
    with RecordingServer(odoo) as server:
        assert start(make_client(server))["id"] == 12
        assert server.paths[0].startswith("/xmlrpc/2/")
        before = len(server.paths)
        start(make_client(server))
        assert server.paths[before:] == ["/json/2/qms.sop.run/start_run"]
        (file,) = cache_files(tmp_path)
        assert json.loads(file.read_text()) == {"transport": "json2"}
        odoo.has = {"xmlrpc": True, "json2": False}
        assert start(make_client(server))["id"] == 12
        assert json.loads(file.read_text()) == {"uid": 7}


def test_chosen_transport_does_not_fall_back(server, odoo):
    odoo.has["xmlrpc"] = False
    with pytest.raises(UnreachableError, match="XML-RPC does not answer"):
        start(make_client(server, transport="xmlrpc"))
    odoo.has = {"xmlrpc": True, "json2": False}
    with pytest.raises(UnreachableError, match="JSON-2 does not answer"):
        start(make_client(server, transport="json2"))


def test_no_odoo_there():
    neither = "Neither XML-RPC nor JSON-2"
    with (
        RecordingServer(status(404)) as server,
        pytest.raises(UnreachableError, match=neither),
    ):
        start(make_client(server))


def test_json2_needs_a_key(server, odoo):
    odoo.has["xmlrpc"] = False
    with pytest.raises(UsageError, match="JSON-2 needs an API key"):
        start(make_client(server, api_key=None, password="secret"))
    with pytest.raises(UsageError, match="JSON-2 needs an API key"):
        make_client(server, api_key=None, password="secret", transport="json2")


def test_json2_needs_no_user(server):
    assert start(make_client(server, user=None, transport="json2"))["id"] == 12


def test_redirect_is_not_followed(server):
    server.plan = [status(301, Location="https://new.example.com/odoo?token=abc")]
    with pytest.raises(UnreachableError) as caught:
        start(make_client(server))
    assert "https://new.example.com/odoo?token=***" in str(caught.value)
    assert len(server.requests) == 1


# -- TLS ---------------------------------------------------------------------


def test_certificate_is_verified_unless_told(tmp_path, odoo):
    tls, pem = support.certificate(tmp_path)
    with RecordingServer(odoo, tls) as server:
        with pytest.raises(UnreachableError, match="certificate.*--ca-file") as caught:
            start(make_client(server))
        assert "attempts" not in str(caught.value)
        assert not server.requests
        assert start(make_client(server, ca_file=pem))["id"] == 12
        assert start(make_client(server, insecure=True))["id"] == 12


def test_ca_file_does_not_excuse_a_wrong_name(tmp_path, odoo):
    tls, pem = support.certificate(tmp_path, name="127.0.0.9")
    with (
        RecordingServer(odoo, tls) as server,
        pytest.raises(UnreachableError, match="127.0.0.1"),
    ):
        start(make_client(server, ca_file=pem))


def test_https_to_a_plain_server(server):
    url = server.url.replace("http:", "https:")
    with pytest.raises(UnreachableError, match="does not speak TLS"):
        start(make_client(server, url=url))


# -- what is sent ------------------------------------------------------------


@pytest.mark.parametrize("transport", ["xmlrpc", "json2"])
def test_text_that_no_transport_carries(server, odoo, transport):
    odoo.methods["qms.sop.run.log_error"] = {"id": 1}
    make_client(server, transport=transport).call(
        "qms.sop.run",
        "log_error",
        ids=[1],
        error_message="\x1b[31mFATAL\x1b[0m\x00 <&> \udcff ärger\n\tend",
        idempotency_key="k",
    )
    sent = odoo.calls[0][3]["error_message"]
    assert sent == "[31mFATAL[0m <&> ? ärger\n\tend"


def test_clean_leaves_everything_else():
    value = {"a": [1, 2.5, True, None, "x\n"], "b": ("y\x07",)}
    assert clean(value) == {"a": [1, 2.5, True, None, "x\n"], "b": ["y"]}


def test_number_too_large_for_xmlrpc(server):
    with pytest.raises(UsageError, match="XML-RPC"):
        make_client(server).call("qms.sop.run", "get_run", ids=[2**40])


# -- settings ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("odoo.example.com", "must start with https://"),
        ("localhost:8069", "must start with https://"),
        ("ftp://x", "must start with https://"),
        ("https://", "has no host"),
        ("https:///web", "has no host"),
        ("https://x:port", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://https://x", "names its scheme twice"),
        ("https://a b", "white space"),
        ("https://me:secret@x", "must not carry a user"),
        ("https://x/?a=1", "must end with the path"),
    ],
)
def test_bad_address(url, message):
    with pytest.raises(UsageError, match=message) as caught:
        Client(url, "db", "user", "key")
    assert "secret" not in str(caught.value)


def test_missing_settings_are_all_named(monkeypatch):
    for name in ("URL", "DB", "USER", "API_KEY", "PASSWORD"):
        monkeypatch.delenv(f"ODOO_{name}", raising=False)
    with pytest.raises(UsageError) as caught:
        Client.from_environment()
    for name in ("URL", "DB", "USER", "API_KEY", "PASSWORD"):
        assert f"ODOO_{name}" in str(caught.value)
    monkeypatch.setenv("ODOO_URL", "https://x")
    monkeypatch.setenv("ODOO_API_KEY", "k")
    with pytest.raises(UsageError, match="set ODOO_DB, ODOO_USER in"):
        Client.from_environment()


def test_given_settings_go_before_the_environment(monkeypatch):
    for name in ("URL", "DB", "USER", "API_KEY"):
        monkeypatch.setenv(f"ODOO_{name}", f"https://{name.lower()}")
    client = Client.from_environment(db="other", url=None, password="word")
    assert (client.url, client.db, client.user) == (
        "https://url",
        "other",
        "https://user",
    )
    assert client._secret == "word"


def test_plain_http_is_noticed():
    assert Client("http://odoo.example.com", "d", "u", "k").is_plain_http
    assert not Client("https://odoo.example.com", "d", "u", "k").is_plain_http
    for host in ("127.0.0.1:8069", "localhost", "[::1]:8069"):
        assert not Client(f"http://{host}", "d", "u", "k").is_plain_http


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://x/p?a=1#f", "https://x/p?a=1#f"),
        ("https://me:pw@x/p", "https://***@x/p"),
        ("https://me:p@w@x:1/", "https://***@x:1/"),
        ("https://x/p@q", "https://x/p@q"),
        (
            "https://x/?api_key=s&b=2&Token=t#f",
            "https://x/?api_key=***&b=2&Token=***#f",
        ),
        ("me:pw@x", "***@x"),
    ],
)
def test_mask_url(url, masked):
    assert mask_url(url) == masked


def test_split_url_says_where_it_came_from():
    with pytest.raises(UsageError, match="^--url: "):
        split_url("nothing", "--url")
