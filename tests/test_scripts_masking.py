"""The parts of the runner that need no server: masking, shell, logs, results kept."""

import os
import time

import pytest
import qms_shell
import scripts_support as support  # noqa: F401  puts scripts/ on the path
from qms_client import RefusedError, UnreachableError
from qms_logs import LogSummary, normalise
from qms_masking import Masker, is_secret, secrets_of
from qms_shell import Outcome, duration, excerpt, fault, shell_for
from qms_spool import BusyError, folders_with_results, open_spool

# -- masking ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=abc123", "password=***"),
        ("PGPASSWORD=abc psql -h x", "PGPASSWORD=*** psql -h x"),
        ('{"password": "a b\\"c", "x": 1}', '{"password": ***, "x": 1}'),
        ("{'token': 'abc', 'a': 2}", "{'token': ***, 'a': 2}"),
        ("api_key: abc, x", "api_key: ***, x"),
        ("aws_secret_access_key = wJalr/abc+", "aws_secret_access_key = ***"),
        ("mysql --password hunter -u x", "mysql --password *** -u x"),
        ("tool --token=abc --x", "tool --token=*** --x"),
        ("ALTER USER x PASSWORD 'abc';", "ALTER USER x PASSWORD '***';"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ('curl -H "Authorization: token x" y', 'curl -H "Authorization: ***" y'),
        ("< Set-Cookie: session=1; Path=/", "< Set-Cookie: ***"),
        ("X-Api-Key: abc", "X-Api-Key: ***"),
        ("a bearer abcdef0123456789 b", "a bearer *** b"),
        ("postgres://u:p@ss@host/db", "postgres://u:***@host/db"),
        ("https://u:p@h/?token=abc&x=1", "https://u:***@h/?token=***&x=1"),
        ("https://0123456789abcdef0@github.com/a", "https://***@github.com/a"),
        ("id AKIAABCDEFGHIJKLMNOP.", "id ***."),
        ("ghp_" + "a" * 36, "***"),
        ("glpat-" + "a" * 20, "***"),
        ("xoxb-1234567890-abc", "***"),
        ("dop_v1_" + "0" * 64, "***"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.sig", "***"),
    ],
)
def test_what_looks_like_a_secret(text, masked):
    assert Masker().text(text) == masked
    assert Masker().text(masked) == masked, "masking twice changes nothing"


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=100",
        "bearer of bad news",
        "KeyError: 'token'",
        "2026-11-21 10:00:00 user@host.example.com logged in",
        "https://github.com/a/b?page=2",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "the password was changed",
        "passed: 3, failed: 1",
        "git@github.com:a/b.git",
    ],
)
def test_what_does_not(text):
    assert Masker().text(text) == text


def test_private_keys():
    key = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4\n\nMIIabc=\n"
    end = "-----END RSA PRIVATE KEY-----\n"
    begin = "-----BEGIN RSA PRIVATE KEY----- ***"
    masker = Masker()
    assert masker.text(f"a\n{key}{end}b\n") == f"a\n{begin}\nb\n"
    # cut off: what comes after is not lost
    assert (
        masker.text(f"{key}2026-01-01 12:00 up\n") == f"{begin}\n2026-01-01 12:00 up\n"
    )
    # in one line, as JSON has it
    one = key.replace("\n", "\\n") + end.replace("\n", "\\n")
    assert masker.text(f'"{one}", 1\n') == f'"{begin}\\n", 1\n'
    certificate = "-----BEGIN CERTIFICATE-----\nMIIabc=\n-----END CERTIFICATE-----\n"
    assert masker.text(certificate) == certificate


def test_variables_that_are_secrets():
    environment = {
        "SHOP_TOKEN": "correct-horse",
        "LONG_TOKEN": "correct-horse-battery",
        "SHORT_KEY": "abc",
        "POSTGRES_URL": "postgres://u:swordfish1@h/db",
        "HOME": "/home/somebody",
        "PWD": "/home/somebody/here",
    }
    found = secrets_of(environment)
    assert found == ["correct-horse-battery", "correct-horse", "swordfish1"]
    text = "got correct-horse-battery and correct-horse, swordfish1 at /home/somebody"
    assert Masker(found).text(text) == "got *** and ***, *** at /home/somebody"
    assert is_secret("SHOP_PASSWORD") and not is_secret("PWD") and not is_secret("HOST")


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "password=",
        "x://",
        "a:b@",
        "--password ",
        '"',
        "secret='",
        "basic aaaa",
        "0.",
    ],
)
def test_masking_takes_linear_time(part):
    """What is quadratic takes minutes for the longest line there is."""
    text = part * (64 * 1024 // len(part))
    began = time.process_time()
    Masker(["correct-horse"]).text(text)
    assert time.process_time() - began < 1


# -- the shell -------------------------------------------------------------------------


def shell(command, masker=None, timeout=20, **more):
    seen = []
    outcome = qms_shell.run(
        command,
        "bash",
        environment={"PATH": os.environ["PATH"], **more},
        timeout=timeout,
        masker=masker or Masker(),
        show=seen.append,
    )
    return outcome, seen


def test_output_is_what_a_person_would_read():
    outcome, seen = shell(
        "printf '\\033[31mred\\033[0m\\n10%%\\r100%%\\n'; printf 'no end'; echo; "
        "printf '\\xff\\xc3'; sleep 0.1; printf '\\xbc\\r\\n' >&2; printf 'last'"
    )
    assert seen == ["red", "10%", "100%", "no end", "\ufffdü", "last"]
    assert outcome.output == "".join(f"{line}\n" for line in seen)
    assert (outcome.exit_code, outcome.lines, fault(outcome)) == (0, 6, "")


def test_of_a_very_long_output_head_and_tail_are_kept(monkeypatch):
    monkeypatch.setattr(qms_shell, "KEPT", 1000)
    outcome, seen = shell("seq 1 2000")
    assert len(seen) == outcome.lines == 2000
    lines = outcome.output.splitlines()
    assert lines[:2] == ["1", "2"] and lines[-1] == "2000"
    assert len(outcome.output) < 2100
    (gap,) = [line for line in lines if "left out" in line]
    left_out = int(gap.split()[1])
    assert left_out == 2000 - (len(lines) - 1)


def test_a_secret_is_masked_however_it_comes():
    masker = Masker(["correct-horse"])
    outcome, seen = shell(
        "printf 'correct-'; sleep 0.2; printf 'ho\\033[1mrse\\n'", masker
    )
    assert seen == ["***"]
    assert outcome.output == "***\n"


def test_no_input():
    assert shell("read -r x; echo $?")[1] == ["1"]


def test_faults():
    def outcome(**values):
        return Outcome(
            **{"exit_code": 0, "seconds": 1, "timed_out": False, "output": "up\n"}
            | {"lines": 1, "left_running": False}
            | values
        )

    assert fault(outcome(), "up") == ""
    assert "does not contain “down”" in fault(outcome(), "down")
    assert fault(outcome(exit_code=3)) == "exit 3 after 1.0 s"
    assert "command not found" in fault(outcome(exit_code=127))
    assert "SIGKILL" in fault(outcome(exit_code=-9))
    assert "its time was over" in fault(outcome(exit_code=-15, timed_out=True))


@pytest.mark.parametrize(
    ("language", "command", "expected"),
    [
        ("", "ls", "bash"),
        ("bash", "ls", "bash"),
        ("Shell", "ls", "bash"),
        ("sh", "ls", "sh"),
        ("console", "ls", "bash"),
        ("console", "$ ls\na b", None),
        ("python", "print()", None),
        ("sql", "SELECT 1", None),
        ("zsh", "ls", None),
    ],
)
def test_languages(language, command, expected):
    assert shell_for(language, command) == expected


def test_excerpt():
    text = "".join(f"{n}\n" for n in range(1, 101))
    lines = excerpt(text, 3, 2).split("\n")
    assert lines == ["1", "2", "3", "[… 95 lines left out …]", "99", "100"]
    assert excerpt("1\n2\n3\n4\n5\n6\n", 3, 2) == "1\n2\n3\n4\n5\n6"
    assert excerpt("x" * 400) == "x" * 300 + "…"
    assert excerpt("") == ""


def test_durations():
    shown = [duration(s) for s in (0.04, 9.94, 9.96, 59.4, 65, 120, 3600, 7325)]
    assert shown == ["0.0 s", "9.9 s", "10.0 s", "59 s", "1 min 5 s", "2 min"] + [
        "1 h",
        "2 h 2 min",
    ]


# -- logs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "2026-11-21 06:10:01,123 42 ERROR shop odoo.http: request 1234 of 'x'",
            "shop odoo.http: request <n> of <text>",
        ),
        (
            "2026-11-21 06:10:01.123 UTC [77] FATAL:  slots for 10.0.0.1:5432",
            "slots for <ip>",
        ),
        ("Nov 21 06:10:01 web1 app[3]: ERROR 0xdeadbeef", "web1 app[<n>]: ERROR <hex>"),
        ("[2026-11-21T06:10:01Z] ERROR: a", "a"),
        ("ERROR 12", "<n>"),
    ],
)
def test_what_varies_is_no_part_of_a_message(line, message):
    assert normalise(line) == message


def test_errors_and_tracebacks():
    log = LogSummary()
    take = log.reader("app.log")
    trace = [
        "Traceback (most recent call last):",
        '  File "/srv/a.py", line 3, in f',
        "    g()",
        '  File "/srv/b.py", line 9, in g',
        "    raise X",
        "shop.errors.PoolError: pool of 20 is exhausted",
    ]
    for number in range(3):
        take(f"2026-11-21 06:10:0{number} ERROR request {number}")
        for line in trace:
            take(line)
        take("2026-11-21 06:10:05 INFO all is well")
    for line in trace:
        take(f"web-1  | {line}")
    excerpt = log.reader("errors.txt")
    excerpt("2026-11-21 06:10:00 ERROR request 0")
    assert log.errors(2) == [
        {
            "count": 4,
            "log": "app.log",
            "logs": 1,
            "message": "shop.errors.PoolError: pool of <n> is exhausted",
        },
        {"count": 3, "log": "app.log", "logs": 2, "message": "request <n>"},
    ]
    assert log.tracebacks() == [
        {
            "count": 4,
            "log": "app.log",
            "exception": "shop.errors.PoolError",
            "last_frame": "/srv/b.py:9 in g",
        }
    ]


# -- results on disk -----------------------------------------------------------------


class Server:
    """The calls that arrive; `is_away` and `refuse` say what becomes of them."""

    url, db, user, retries = "http://odoo", "db", "robot", 0

    def __init__(self):
        self.calls = []
        self.is_away = False
        self.refuse = ()

    def call(self, _model, method, ids=None, **arguments):
        if self.is_away:
            raise UnreachableError("away")
        self.calls.append((method, arguments))
        if method in self.refuse:
            raise RefusedError("no")
        return {"id": 7, "state": "completed", "steps": [], "noise": "x"}


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Server()


def test_kept_in_order_and_sent_once(server, tmp_path):
    server.is_away = True
    with open_spool(server, 12) as spool:
        for number in range(3):
            spool.add(
                "update_step", {"step": number, "state": "completed"}, step=number
            )
        with pytest.raises(UnreachableError):
            spool.send()
    assert folders_with_results(server) == [(12, "")]
    (folder,) = tmp_path.glob("qms-sop/spool/*/12")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    server.is_away = False
    with open_spool(server, 12) as spool:
        keys = [record["key"] for record in spool.pending()]
        assert spool.send() == []
        assert spool.send() == []
        assert not spool.pending()
        spool.forget_sent()
    assert [arguments["step"] for _method, arguments in server.calls] == [0, 1, 2]
    assert [a["idempotency_key"] for _method, a in server.calls] == keys
    assert len(set(keys)) == 3
    assert folders_with_results(server) == [], "nothing is left behind"


def test_refused_results_are_set_aside(server, tmp_path):
    server.refuse = ("add_evidence",)
    with open_spool(server, 12) as spool:
        spool.add("add_evidence", {"name": "a", "content": "QQ=="}, step=1)
        spool.add("update_step", {"step": 1, "state": "completed"}, step=1)
        ((record, error, path),) = spool.send()
        assert (record["method"], str(error)) == ("add_evidence", "no")
        assert not spool.pending()
    assert [method for method, _arguments in server.calls] == [
        "add_evidence",
        "update_step",
    ]
    assert "QQ==" in open(path).read()
    with open_spool(server, 12) as spool:
        assert not spool.pending()


def test_the_content_goes_when_the_server_has_it(server):
    with open_spool(server, 12) as spool:
        record = spool.add(
            "add_evidence", {"name": "a", "content": "QQ=="}, step=1, local={"ok": True}
        )
        spool.send()
        assert record["answer"] == {"id": 7, "state": "completed"}
        assert "content" not in record["arguments"]
    with open_spool(server, 12) as spool:
        (known,) = spool.of_step(1)
        assert known["local"] == {"ok": True}
        spool.forget_step(1)
        assert spool.of_step(1) == []


def test_after_a_day_the_server_is_asked_first(server):
    """It forgets the keys after 24 hours."""
    server.is_away = True
    with open_spool(server, 12) as spool:
        for arguments in (
            {"step": 1, "state": "failed"},
            {"step": 2, "state": "failed"},
        ):
            spool.add("update_step", arguments)["time"] -= 25 * 3600
        server.is_away = False
        states = [{"number": 1, "state": "failed"}, {"number": 2, "state": "pending"}]
        original = server.call

        def call(model, method, ids=None, **arguments):
            answer = original(model, method, ids=ids, **arguments)
            return {**answer, "steps": states}

        server.call = call
        assert spool.send() == []
    updates = [a["step"] for m, a in server.calls if m == "update_step"]
    assert updates == [2], "the first was known already"


def test_one_process_at_a_time(server):
    with open_spool(server, 12):
        with pytest.raises(BusyError, match=f"process {os.getpid()}"):
            with open_spool(server, 12):
                pass
        with open_spool(server, 12, "evidence"), open_spool(server, 13):
            pass
    with open_spool(server, 12):
        pass


def test_the_command_that_ran(server):
    with open_spool(server, 12) as spool:
        assert spool.running() is None
        spool.begin("key-1", 1, 5)
    with open_spool(server, 12) as spool:
        noted = spool.running()
        assert (noted["key"], noted["step"], noted["command"]) == ("key-1", 1, 5)
        spool.add(local={"ok": True}, step=1, key="key-1")
    with open_spool(server, 12) as spool:
        assert spool.running() is None, "its record says how it ended"
        spool.end()
        spool.forget_step(1)
    assert folders_with_results(server) == []
