"""health_check.py against servers that are ill in real ways."""

import base64
import json
import time

import pytest
import scripts_support as support
from health_check import dedup_key
from scripts_support import RecordingServer, close, cut, garbage, hang, run_script, send


def healthy(handler):
    send(handler, 200, b'{"status": "ok"}', "application/json")


def ill(handler):
    send(handler, 500, b"pool exhausted", Set_Cookie="session=s3cret", X_Node="web-1")


@pytest.fixture
def server():
    with RecordingServer(healthy) as server:
        yield server


def check(*arguments, env=None, attempts="1"):
    return run_script(
        "health_check.py",
        *arguments,
        "--attempts",
        attempts,
        "--delay",
        "0.05",
        env=env,
    )


def results(done):
    return json.loads(done.stdout)["results"]


def test_healthy(server):
    done = check("--url", server.url)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.startswith(f"healthy    {server.url}  200 in 0.")
    assert len(server.requests) == 1


def test_several_urls_side_by_side(server):
    slow = hang(0.6)

    def late(handler):
        slow(handler)
        healthy(handler)

    server.default = late
    urls = [f"{server.url}/{number}" for number in range(4)]
    began = time.monotonic()
    done = check(*(part for url in urls for part in ("--url", url)), "--json")
    assert time.monotonic() - began < 1.8
    assert done.returncode == 0
    assert [result["url"] for result in results(done)] == urls


def test_one_ill_url_is_enough(server):
    port = support.free_port()
    done = check("--url", server.url, "--url", f"http://127.0.0.1:{port}")
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert first.startswith("healthy ")
    assert second.startswith("unhealthy ")
    assert "connection refused" in second


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (ill, "status 500, not 2xx"),
        (close, "closed without an answer"),
        (garbage, "not HTTP"),
        (cut, "ended too early"),
        (hang(2), "no answer within 0.3 s"),
    ],
)
def test_illnesses(server, answer, problem):
    server.default = answer
    done = check("--url", server.url, "--check-timeout", "0.3", "--json")
    assert done.returncode == 1
    (result,) = results(done)
    assert result["healthy"] is False
    assert problem in result["problems"][0]


def test_server_that_drips_meets_the_limit(server):
    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        for _number in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.1)

    server.default = drip
    began = time.monotonic()
    done = check("--url", server.url, "--check-timeout", "0.5")
    assert done.returncode == 1
    assert "no answer within 0.5 s" in done.stdout
    assert time.monotonic() - began < 3


def test_a_failure_that_passes_is_forgiven(server):
    server.plan = [ill, ill]
    done = check("--url", server.url, "--json", attempts="3")
    assert done.returncode == 0
    assert results(done)[0]["attempts"] == 3
    server.plan = [ill, ill, ill]
    assert check("--url", server.url, attempts="3").returncode == 1


@pytest.mark.parametrize(
    ("expected", "status", "code"),
    [
        ("2xx", 204, 0),
        ("200", 204, 1),
        ("200,204", 204, 0),
        ("401", 401, 0),
        ("200, 400-404", 403, 0),
        ("4xx", 500, 1),
    ],
)
def test_expected_status(server, expected, status, code):
    server.default = support.status(status, b"")
    done = check("--url", server.url, "--expect-status", expected)
    assert done.returncode == code


def test_max_time(server):
    def slow(handler):
        time.sleep(0.3)
        healthy(handler)

    server.default = slow
    assert check("--url", server.url, "--max-time", "5").returncode == 0
    done = check("--url", server.url, "--max-time", "0.1")
    assert done.returncode == 1
    assert "slower than 0.1 s" in done.stdout


def test_measured_time_is_that_of_the_request(server):
    done = check("--url", server.url, "--json")
    assert results(done)[0]["seconds"] < 0.05


def test_body(server):
    def code(*arguments):
        return check("--url", server.url, *arguments).returncode

    assert code("--expect-body", '"ok"') == 0
    assert code("--expect-body", "fine") == 1
    assert code("--expect-body-regex", '"status": *"(ok|pass)"') == 0
    assert code("--expect-body-regex", "^fine") == 1
    assert code("--expect-body-regex", "(") == 2
    assert code("--expect-body", "x", "--method", "HEAD") == 2
    assert code("--method", "HEAD") == 0


def test_headers_are_sent(server):
    check("--url", server.url, "--header", "X-Probe: yes", "--header", "Accept: a/b")
    assert server.requests[0].headers["X-Probe"] == "yes"
    assert server.requests[0].headers["Accept"] == "a/b"
    done = check("--url", server.url, "--header", "X-Probe: a\nInjected: b")
    assert done.returncode == 2


# -- redirects ---------------------------------------------------------------


def test_redirect_is_followed_and_counts_by_its_end(server):
    server.plan = [support.status(302, Location="/login?next=%2F")]
    done = check("--url", server.url, "--json")
    assert done.returncode == 0
    assert results(done)[0]["final_url"] == f"{server.url}/login?next=%2F"
    server.plan = [support.status(302, Location="/login")]
    options = ["--no-redirects", "--expect-status", "301-308"]
    assert check("--url", server.url, *options).returncode == 0
    assert len(server.requests) == 3
    server.plan = [support.status(302, Location="/login")]
    assert check("--url", server.url, "--no-redirects").returncode == 1


def test_redirects_in_a_circle_end(server):
    server.default = support.status(301, Location="/")
    done = check("--url", server.url)
    assert done.returncode == 1
    assert "more than 5 redirects" in done.stdout


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://x/", "javascript:1"])
def test_redirect_to_another_scheme_is_refused(server, target):
    server.plan = [support.status(302, Location=target)]
    done = check("--url", server.url)
    assert done.returncode == 1
    assert "must start with https://" in done.stdout
    assert "root:" not in done.stdout


def test_credentials_stay_with_their_host(server):
    with RecordingServer(healthy) as other:
        server.plan = [support.status(302, Location=f"{other.url}/there")]
        url = server.url.replace("//", "//me:s3cret@")
        done = check("--url", url, "--header", "X-Api-Key: s3cret", "--json")
        assert done.returncode == 0
        first, second = server.requests[0].headers, other.requests[0].headers
    expected = "Basic " + base64.b64encode(b"me:s3cret").decode()
    assert first["Authorization"] == expected
    assert first["X-Api-Key"] == "s3cret"
    assert "Authorization" not in second
    assert "X-Api-Key" not in second
    assert "s3cret" not in done.stdout + done.stderr


# -- TLS ---------------------------------------------------------------------


def test_tls(tmp_path):
    tls, pem = support.certificate(tmp_path, days=5.5)
    with RecordingServer(healthy, tls) as server:
        done = check("--url", server.url)
        assert done.returncode == 1
        assert "certificate is refused" in done.stdout
        done = check("--url", server.url, "--ca-file", pem, "--json")
        assert done.returncode == 0
        assert results(done)[0]["tls_days_left"] == 5
        assert "expires in 5 days" in done.stderr
        done = check("--url", server.url, "--ca-file", pem, "--min-tls-days", "7")
        assert done.returncode == 1
        assert "expires within 7 days" in done.stdout
        done = check("--url", server.url, "--ca-file", pem, "--min-tls-days", "5")
        assert done.returncode == 0
        assert check("--url", server.url, "--insecure").returncode == 0


def test_expired_certificate(tmp_path):
    tls, pem = support.certificate(tmp_path, days=-1, age=30)
    with RecordingServer(healthy, tls) as server:
        done = check("--url", server.url, "--ca-file", pem)
        assert done.returncode == 1
        assert "expired" in done.stdout


def test_certificate_of_another_name(tmp_path):
    tls, pem = support.certificate(tmp_path, name="127.0.0.9")
    with RecordingServer(healthy, tls) as server:
        assert check("--url", server.url, "--ca-file", pem).returncode == 1


def test_ca_file_that_is_none(server):
    for path in ("/nowhere", __file__):
        done = check("--url", server.url, "--ca-file", path)
        assert done.returncode == 2
        assert path in done.stderr


# -- usage and output --------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://", "is a variable in it unset?"),
        ("", "is its variable set?"),
        ("https://https://example.com", "names its scheme twice"),
        ("ftp://example.com", "must start with"),
        ("file:///etc/passwd", "must start with"),
        ("example.com", "must start with"),
        ("http://x:99999", "is not a URL"),
        ("http://x y", "white space"),
    ],
)
def test_url_that_cannot_be_checked(url, message):
    done = check("--url", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--expect-status", "600"],
        ["--expect-status", "ok"],
        ["--expect-status", ""],
        ["--max-time", "0"],
        ["--max-time", "nan"],
        ["--check-timeout", "-1"],
        ["--header", "no colon"],
        ["--min-tls-days", "x"],
    ],
)
def test_usage(server, arguments):
    assert check("--url", server.url, *arguments).returncode == 2
    assert not server.requests


def test_no_attempt_is_no_check(server):
    assert check("--url", server.url, attempts="0").returncode == 2


def test_open_run_needs_the_settings_before_anything_is_checked(server, tmp_path):
    done = check("--url", server.url, "--open-run", env=support.environment(tmp_path))
    assert done.returncode == 2
    assert "ODOO_URL" in done.stderr
    assert not server.requests


def test_secrets_are_masked_everywhere(server):
    server.default = ill
    url = f"{server.url.replace('//', '//me:hunter2@')}/h?token=hunter2&verbose=1"
    for options in ([], ["--json"]):
        done = check("--url", url, *options, attempts="2")
        assert done.returncode == 1
        assert "hunter2" not in done.stdout + done.stderr
        assert "s3cret" not in done.stdout + done.stderr
        assert "verbose=1" in done.stdout
    assert results(done)[0]["headers"]["Set-Cookie"] == "***"
    assert results(done)[0]["headers"]["X-Node"] == "web-1"
    assert server.requests[0].path == "/h?token=hunter2&verbose=1"


def test_json_is_one_object(server):
    server.default = ill
    done = check("--url", server.url, "--json")
    data = json.loads(done.stdout)
    assert data["healthy"] is False
    (result,) = data["results"]
    assert result["status"] == 500
    assert result["body_start"] == "pool exhausted"
    assert result["checked_at"].endswith("Z")


def test_only_the_start_of_the_body_is_kept(server):
    server.default = support.status(500, b"x" * 3_000_000)
    (result,) = results(check("--url", server.url, "--json"))
    assert result["body_start"] == "x" * 1024


def test_international_url(server):
    port = server.port
    done = check("--url", f"http://127.0.0.1:{port}/größe?q=ü", "--json")
    assert done.returncode == 0
    assert server.requests[0].path == "/gr%C3%B6%C3%9Fe?q=%C3%BC"


# -- the key of an outage ----------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://x/health", "https://me:pw@x/health", True),
        ("https://x", "https://x/", True),
        ("https://X/", "https://x/", True),
        ("https://x/#a", "https://x/#b", True),
        ("https://x/", "http://x/", False),
        ("https://x/", "https://x:8443/", False),
        ("https://x/a", "https://x/b", False),
        ("https://x/?a=1", "https://x/?a=2", False),
        ("https://x/" + "a" * 300 + "1", "https://x/" + "a" * 300 + "2", False),
    ],
)
def test_dedup_key(one, other, same):
    assert (dedup_key(one) == dedup_key(other)) is same
    assert len(dedup_key(one)) < 256
    assert "pw" not in dedup_key(other)


def test_dedup_key_tells_no_query():
    assert "hunter2" not in dedup_key("https://x/?token=hunter2")
