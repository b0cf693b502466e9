"""execute_sop_run.py against a live Odoo: what it runs, records, survives, refuses."""

import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
import qms_shell
import scripts_support as support  # puts scripts/ on the path
from runner_support import (
    Relay,
    TerminalSession,
    make_sop,
    records,
    run_of,
    start_script,
    wait_for,
)
from scripts_support import run_script

SCRIPT = "execute_sop_run.py"


@pytest.fixture(scope="module")
def automation(make_user):
    return make_user("qms_error_code.group_qms_automation")


@pytest.fixture
def env_of(odoo_server, tmp_path):
    """Return the environment of a script run by a user; commands write to $OUT."""

    def env_of(user, **more):
        (tmp_path / "out").mkdir(exist_ok=True)
        return support.environment(
            tmp_path,
            ODOO_URL=odoo_server.url,
            ODOO_DB=odoo_server.db,
            ODOO_USER=user.login,
            ODOO_API_KEY=user.api_key,
            XDG_STATE_HOME=str(tmp_path / "state"),
            OUT=str(tmp_path / "out"),
            NO_PROXY="*",
            **more,
        )

    return env_of


@pytest.fixture
def env(env_of, automation):
    return env_of(automation)


@pytest.fixture
def out(env):
    return Path(env["OUT"])


@pytest.fixture
def relay(odoo_server, env):
    with Relay(odoo_server) as relay:
        relay.env = {**env, "ODOO_URL": relay.url}
        yield relay


def execute(env, *arguments, timeout=60, stdin=b""):
    return run_script(SCRIPT, *arguments, env=env, timeout=timeout, stdin=stdin)


def count(name, then=""):
    """Return a command that leaves a line behind each time it runs."""
    return {"command": f'echo x >> "$OUT/{name}"; echo {name}{then}'}


def runs_of(out, name):
    """Return how often a counting command ran."""
    path = out / name
    return len(path.read_text().splitlines()) if path.exists() else 0


# -- what it does ------------------------------------------------------------------


def test_runs_verifies_records_and_completes(orm, env, out):
    sop = make_sop(
        orm,
        [
            {
                "commands": [
                    count("one", '; echo "$RUN_ID $SOP_CODE $SEVERITY" >&2'),
                    {
                        "purpose": "verification",
                        "command": "echo state: up",
                        "expected_output": "state: up",
                    },
                ]
            },
            {"commands": [count("two", "; sleep 0.3")]},
        ],
    )
    done = execute(env, "--sop-code", sop, "--severity", "P1", "--yes")
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    assert done.stdout == f"{int(run_id)}\n"
    run = run_of(orm, run_id)
    assert run["state"] == "completed"
    assert [step["state"] for step in run["steps"]] == ["completed"] * 2
    text = f"one\n{run_id} {sop} high\n"
    evidence = run["evidence"]["step-1-command-1.txt"]
    assert evidence["text"] == text
    assert evidence["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert evidence["sha256"] in done.stderr
    assert evidence["sha256"] in run["steps"][0]["result"]
    assert "exit 0 after" in evidence["source"]
    assert run["evidence_count"] == 3
    assert f"  {run_id} {sop} high" in run["steps"][0]["result"]
    (seconds,) = re.findall(r"([\d.]+) s in all", run["steps"][1]["result"])
    assert 0.3 <= float(seconds) < 5
    assert f"its commands took {seconds} s" in done.stderr
    assert "Step 1 of 2" in done.stderr
    assert (runs_of(out, "one"), runs_of(out, "two")) == (1, 1)
    assert not records(out.parent)
    assert "\x1b" not in done.stderr, "colours are for terminals"


def test_says_which_content_it_runs(orm, env):
    sop = make_sop(orm, [{"commands": [{"command": "true"}]}])
    digest = orm(
        'result = env["qms.sop.document"].search([("code", "=", sop)]).content_hash',
        sop=sop,
    )
    done = execute(env, "--sop-code", sop, "--yes", "--json")
    assert f"Approved content, SHA-256 {digest}" in done.stderr
    result = json.loads(done.stdout)
    assert result["state"] == "completed"
    (command,) = result["executed"]
    assert (command["step"], command["exit_code"], command["ok"]) == (1, 0, True)
    assert result["pending"] == 0


@pytest.mark.parametrize(
    ("command", "said", "code"),
    [
        ("echo one; echo two >&2; exit 3", "exit 3 after", "STEP_FAILURE"),
        ("echo deadlock detected; exit 1", "exit 1 after", "DB_DEADLOCK"),
        ("no-such-program-here", "(command not found)", None),
        ("kill -SEGV $$", "ended by SIGSEGV", "STEP_FAILURE"),
    ],
)
def test_a_failure_fails_step_and_run(orm, env, out, command, said, code):
    sop = make_sop(
        orm, [{"commands": [{"command": command}]}, {"commands": [count("after")]}]
    )
    done = execute(env, "--sop-code", sop, "--yes")
    assert done.returncode == 1
    assert said in done.stderr
    run = run_of(orm, done.stdout)
    assert run["state"] == "failed"
    assert said in run["reason"]
    assert [step["state"] for step in run["steps"]] == ["failed", "pending"]
    ((error_code, message),) = run["errors"]
    assert code in (None, error_code)
    assert "“Command 1”" in message
    assert runs_of(out, "after") == 0
    assert not records(out.parent)
    again = execute(env, "--run-id", done.stdout.strip(), "--yes")
    assert again.returncode == 1
    assert "is Failed" in again.stderr


def test_a_verification_needs_its_text(orm, env):
    sop = make_sop(
        orm,
        [
            {
                "commands": [
                    {
                        "command": "echo down",
                        "purpose": "verification",
                        "expected_output": "up",
                    }
                ]
            }
        ],
    )
    done = execute(env, "--sop-code", sop, "--yes", "--keep-open")
    assert done.returncode == 1
    assert "the output does not contain “up”" in done.stderr
    run = run_of(orm, done.stdout)
    assert run["state"] == "in_progress"
    assert run["steps"][0]["state"] == "failed"


def test_a_failed_step_can_be_tried_again(orm, env, out):
    sop = make_sop(
        orm, [{"commands": [count("one"), {"command": 'test -e "$OUT/mended"'}]}]
    )
    done = execute(env, "--sop-code", sop, "--yes", "--keep-open")
    assert done.returncode == 1
    (out / "mended").touch()
    again = execute(env, "--run-id", done.stdout.strip(), "--yes")
    assert again.returncode == 0, again.stderr
    assert "tried before, failed" in again.stderr
    assert runs_of(out, "one") == 2, "a second try is a whole one"
    assert run_of(orm, done.stdout)["state"] == "completed"


def test_verifications_run_after_the_actions(orm, env, out):
    sop = make_sop(
        orm,
        [
            {
                "commands": [
                    {"command": 'test -e "$OUT/made"', "purpose": "verification"},
                    {"command": 'touch "$OUT/made"'},
                ]
            }
        ],
    )
    done = execute(env, "--sop-code", sop, "--yes")
    assert done.returncode == 0, done.stderr


def test_a_timeout_ends_the_children_too(orm, env, out):
    sop = make_sop(
        orm,
        [
            {
                "commands": [
                    {
                        "command": "trap '' TERM; echo before\n"
                        'sleep 300 & echo $! > "$OUT/pid"\n'
                        "wait"
                    }
                ]
            }
        ],
    )
    began = time.monotonic()
    done = execute(env, "--sop-code", sop, "--yes", "--timeout", "1")
    assert done.returncode == 1
    assert time.monotonic() - began < 60
    assert "its time was over" in done.stderr
    child = int((out / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{child}/cmdline").exists() or is_zombie(child))
    run = run_of(orm, done.stdout)
    assert run["state"] == "failed"
    assert "before" in run["errors"][0][1]


def test_a_timeout_ends_what_left_the_group(orm, env, out):
    command = 'setsid sleep 300 & echo $! > "$OUT/pid"; wait'
    sop = make_sop(orm, [{"commands": [{"command": command}]}])
    done = execute(env, "--sop-code", sop, "--yes", "--timeout", "1")
    assert done.returncode == 1
    wait_for(lambda: is_zombie(int((out / "pid").read_text())))


def is_zombie(pid):
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        )
    except OSError:
        return True


def test_the_time_limit_is_for_the_step(orm, env):
    slow = {"command": "sleep 1.2"}
    sop = make_sop(orm, [{"commands": [slow, slow]}, {"commands": [slow]}])
    done = execute(env, "--sop-code", sop, "--yes", "--timeout", "2")
    assert done.returncode == 1
    assert [s["state"] for s in run_of(orm, done.stdout)["steps"]] == [
        "failed",
        "pending",
    ]


def test_a_process_left_behind_does_not_hold_it_up(orm, env):
    sop = make_sop(orm, [{"commands": [{"command": "sleep 60 & echo started"}]}])
    began = time.monotonic()
    done = execute(env, "--sop-code", sop, "--yes")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 20
    assert "left a process running" in done.stderr


def test_output_comes_live_and_in_full(orm, env, out):
    sop = make_sop(
        orm,
        [
            {
                "commands": [
                    {"command": 'seq 3000; while test ! -e "$OUT/go"; do :; done'}
                ]
            }
        ],
    )
    process = start_script(SCRIPT, "--sop-code", sop, "--yes", env=env)
    seen = []
    while "3000" not in (seen[-1] if seen else ""):
        seen.append(process.stderr.readline().strip("│ \n"))
    (out / "go").touch()
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    run = run_of(orm, stdout)
    text = "".join(f"{n}\n" for n in range(1, 3001))
    assert run["evidence"]["step-1-command-1.txt"]["text"] == text
    result = run["steps"][0]["result"]
    assert "  1\n" in result and "  3000" in result
    assert "[… 2975 lines left out …]" in result


# -- what it asks, and does not run ------------------------------------------------


def manual_sop(orm):
    return make_sop(
        orm,
        [
            {"commands": [count("one")]},
            {"instructions": "Go and look."},
            {"commands": [{"command": "print(1)", "language": "python"}]},
            {
                "commands": [
                    count("four"),
                    {"command": "$ ls\nx", "language": "console"},
                ]
            },
            {"commands": [count("five")]},
        ],
    )


def test_only_automated_leaves_the_rest_open(orm, env, out):
    done = execute(env, "--sop-code", manual_sop(orm), "--yes", "--only-automated")
    assert done.returncode == 0, done.stderr
    run = run_of(orm, done.stdout)
    assert run["state"] == "in_progress"
    assert [s["state"] for s in run["steps"]] == [
        *("completed", "pending", "pending", "pending", "completed")
    ]
    assert runs_of(out, "four") == 0
    assert "Still open: 2 Step 2, 3 Step 3, 4 Step 4." in done.stderr


def test_nobody_to_ask(orm, env, out):
    done = execute(env, "--sop-code", manual_sop(orm), "--yes")
    assert done.returncode == 2
    assert '--result "2=…"' in done.stderr
    answers = [f"--result={n}=Seen to." for n in (2, 3)]
    answers.append("--result=4=Set password=hunter2.")
    run_id = done.stdout.strip()
    done = execute(env, "--run-id", run_id, "--yes", *answers)
    assert done.returncode == 0, done.stderr
    run = run_of(orm, run_id)
    assert run["state"] == "completed"
    assert run["steps"][1]["result"] == "Seen to."
    told = run["steps"][3]["result"]
    assert told.startswith("Set password=***\n\n1 command run by")
    assert (runs_of(out, "one"), runs_of(out, "four"), runs_of(out, "five")) == (
        1,
        1,
        1,
    )


def test_a_verification_by_hand_is_not_passed_over(orm, env, out):
    check = {"purpose": "verification", "command": "print(1)", "language": "python"}
    sop = make_sop(orm, [{"commands": [count("one"), check]}])
    done = execute(env, "--sop-code", sop, "--yes")
    assert done.returncode == 2
    assert "(python) is done by hand" in done.stderr
    assert runs_of(out, "one") == 0


def test_what_is_to_be_checked_before_is_not_run_unattended(orm, env, out):
    risky = {"command": f"# Check before: nobody needs it\n{count('two')['command']}"}
    sop = make_sop(orm, [{"commands": [count("one")]}, {"commands": [risky]}, {}, {}])
    done = execute(env, "--sop-code", sop, "--yes", "--dry-run")
    assert "To be checked: “Command 1” says to check before: nobody" in done.stderr
    done = execute(env, "--sop-code", sop, "--yes")
    assert done.returncode == 2
    assert "says to check before: nobody needs it" in done.stderr
    assert (runs_of(out, "one"), runs_of(out, "two")) == (1, 0)
    arguments = ("--run-id", done.stdout.strip(), "--yes", "--only-automated")
    done = execute(env, *arguments)
    assert (done.returncode, runs_of(out, "two")) == (0, 0)
    done = execute(env, *arguments, "--checks-done")
    assert (done.returncode, runs_of(out, "two")) == (0, 1)
    # A person with --yes is asked about this one.
    session = TerminalSession(SCRIPT, "--sop-code", sop, "--yes", "--step=2", env=env)
    session.wait_for("Check before: nobody needs it")
    session.answer("Run it?", "r")
    assert session.end() == 0
    assert runs_of(out, "two") == 2


def test_says_what_nobody_verified(orm, env):
    sop = make_sop(
        orm, [{"verification": "The shop is open.", "commands": [{"command": "true"}]}]
    )
    done = execute(env, "--sop-code", sop, "--yes")
    (step,) = run_of(orm, done.stdout)["steps"]
    assert "Nobody was asked whether this holds: The shop is open." in step["result"]


def test_what_failed_by_hand_stops_the_rest(orm, env, out):
    sop = make_sop(orm, [{}, {"commands": [count("two")]}])
    run_id = run_script("create_sop_run.py", "--sop-code", sop, env=env).stdout.strip()
    arguments = ("--step", "1", "--state", "failed", "--error-message", "No.")
    run_script("update_sop_run.py", "--run-id", run_id, *arguments, env=env)
    done = execute(env, "--run-id", run_id, "--yes", "--only-automated")
    assert done.returncode == 2
    assert "Step 1 failed before" in done.stderr
    assert runs_of(out, "two") == 0


def test_only_one_step(orm, env, out):
    sop = make_sop(orm, [{"commands": [count("one")]}, {"commands": [count("two")]}])
    done = execute(env, "--sop-code", sop, "--yes", "--step", "2")
    assert done.returncode == 0, done.stderr
    assert (runs_of(out, "one"), runs_of(out, "two")) == (0, 1)
    assert "Still open: 1 Step 1." in done.stderr
    unknown = execute(env, "--run-id", done.stdout.strip(), "--step", "3", "--yes")
    assert unknown.returncode == 2
    assert "there is no step 3" in unknown.stderr


def decision_sop(orm):
    return make_sop(
        orm,
        [
            {"choices": [{"name": "Yes"}, {"name": "No", "to": 3}]},
            {"commands": [count("two")]},
            {"commands": [count("three")]},
        ],
    )


def test_choices(orm, env, out):
    sop = decision_sop(orm)
    done = execute(env, "--sop-code", sop, "--yes", "--choice", "1=Perhaps")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Accepted: 'Yes', 'No'" in done.stderr
    done = execute(env, "--sop-code", sop, "--yes", "--only-automated")
    assert done.returncode == 2
    assert '--choice "1=Yes" or "1=No"' in done.stderr
    assert run_of(orm, done.stdout)["steps"][0]["state"] == "pending"
    done = execute(env, "--run-id", done.stdout.strip(), "--yes", "--choice", "1=no")
    assert done.returncode == 0, done.stderr
    assert (runs_of(out, "two"), runs_of(out, "three")) == (0, 1)


def test_commands_of_other_categories_are_not_run(orm, env, out):
    commands = [
        {**count("all")},
        {**count("database"), "category": "DATABASE"},
        {**count("application"), "category": "APPLICATION"},
    ]
    sop = make_sop(orm, [{"commands": commands}])
    done = execute(env, "--sop-code", sop, "--yes", "--category", "DATABASE")
    assert done.returncode == 0, done.stderr
    assert [runs_of(out, n) for n in ("all", "database", "application")] == [1, 1, 0]
    done = execute(env, "--sop-code", sop, "--yes")
    assert done.returncode == 2
    assert "the run has no category" in done.stderr
    assert runs_of(out, "all") == 1


def test_a_choice_names_the_category(orm, env, out):
    sop = make_sop(
        orm,
        [
            {"choices": [{"name": "It is the database"}]},
            {
                "commands": [
                    {**count("database"), "category": "DATABASE"},
                    {**count("application"), "category": "APPLICATION"},
                ]
            },
        ],
    )
    orm(
        """
        step = env["qms.sop.step"].search([("document_id.code", "=", sop)], limit=1)
        env.cr.execute(
            "UPDATE qms_sop_step_choice SET category_id = %s WHERE step_id = %s",
            (env["qms.error.category"]._resolve("DATABASE").id, step.id),
        )
        """,
        sop=sop,
    )
    done = execute(env, "--sop-code", sop, "--yes", "--choice", "1=It is the database")
    assert done.returncode == 0, done.stderr
    assert (runs_of(out, "database"), runs_of(out, "application")) == (1, 0)


def test_missing_variables_are_said_before_anything_runs(orm, env, out):
    sop = make_sop(
        orm,
        [
            {"commands": [count("one")]},
            {"commands": [{"command": 'echo "$TARGET_HOST" $HOME ${NOT_THIS:-x}'}]},
        ],
    )
    before = orm('result = env["qms.sop.run"].search_count([])')
    done = execute(env, "--sop-code", sop, "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert "TARGET_HOST (step 2)" in done.stderr
    assert runs_of(out, "one") == 0
    assert orm('result = env["qms.sop.run"].search_count([])') == before
    done = execute({**env, "TARGET_HOST": "db1"}, "--sop-code", sop, "--yes")
    assert done.returncode == 0, done.stderr


def test_dry_run_changes_nothing(orm, env, out):
    sop = make_sop(
        orm,
        [{"commands": [count("one"), {"command": "echo $RUN_ID $TARGET_HOST"}]}, {}],
    )
    before = orm('result = env["qms.sop.run"].search_count([])')
    done = execute(env, "--sop-code", sop, "--yes", "--dry-run")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert orm('result = env["qms.sop.run"].search_count([])') == before
    assert "Variables to set: TARGET_HOST." in done.stderr
    assert "1 to be run, 1 by hand" in done.stderr
    run_id = run_script("create_sop_run.py", "--sop-code", sop, env=env).stdout.strip()
    before = run_of(orm, run_id)
    done = execute(env, "--run-id", run_id, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["variables_to_set"] == {"TARGET_HOST": [1]}
    assert [step["action"] for step in plan["steps"]] == ["to be run", "by hand"]
    assert f"echo {run_id} $TARGET_HOST" in done.stderr
    assert run_of(orm, run_id) == before
    assert runs_of(out, "one") == 0
    assert not (out.parent / "state").exists()


def test_dry_run_of_the_triage_sop(env):
    done = execute(
        env,
        *("--sop-code", "SOP-TRIAGE-001", "--category", "DATABASE"),
        *("--only-automated", "--yes", "--dry-run"),
    )
    assert done.returncode == 0, done.stderr
    assert "SOP-TRIAGE-001" in done.stderr
    for number in range(1, 7):
        assert f"Step {number} of 6" in done.stderr
    assert "POSTGRES_URL" in done.stderr.rpartition("Variables to set")[2]
    assert "pg_stat_statements" in done.stderr
    assert "deployment.log" not in done.stderr, "that is for another category"


# -- injection and secrets ------------------------------------------------------------

HOSTILE = """x$(touch "$OUT/a")`touch "$OUT/b"`"; touch "$OUT/c"; ' ; touch $OUT/d #"""


@pytest.mark.parametrize("prefix", ["", "-f /etc/passwd ", "$OUT "])
def test_no_text_becomes_part_of_a_command(orm, env, out, prefix):
    hostile = prefix + HOSTILE
    sop = make_sop(
        orm,
        [
            {
                "commands": [
                    {"command": 'echo "$ERROR_MESSAGE"'},
                    {
                        "command": 'cd "$OUT"; echo x > log\n'
                        'grep "$ERROR_MESSAGE" log; true'
                    },
                ]
            }
        ],
    )
    done = execute(env, "--sop-code", sop, "--summary", hostile, "--yes")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["log"]
    run = run_of(orm, done.stdout)
    told = hostile.lstrip("- ")
    assert run["evidence"]["step-1-command-1.txt"]["text"] == f"{told}\n"
    assert run["evidence_count"] == 1, "grep found nothing and took no option"
    # The message of an error goes the same way.
    run_id = run_script("create_sop_run.py", "--sop-code", sop, env=env).stdout.strip()
    logged = run_script(
        "update_sop_run.py", "--run-id", run_id, "--log-error", hostile, env=env
    )
    assert logged.returncode == 0, logged.stderr
    done = execute(env, "--run-id", run_id, "--yes")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["log"]


def test_a_command_runs_exactly_as_written(orm, env):
    text = (
        "printf '%s|' \"a  b\" 'c\"d' \\\n  $'e\\tf' <<'X'\nX\n\techo \"ü €\"  # end  "
    )
    sop = make_sop(orm, [{"commands": [{"command": text}]}])
    done = execute(env, "--sop-code", sop, "--yes")
    assert done.returncode == 0, done.stderr
    evidence = run_of(orm, done.stdout)["evidence"]["step-1-command-1.txt"]
    assert evidence["text"] == 'a  b|c"d|e\tf|ü €\n'


def test_sh_is_not_bash(orm, env):
    probe = 'echo "${BASH_VERSION:-none}"; echo "$0"'
    sop = make_sop(orm, [{"commands": [{"command": probe, "language": "sh"}]}])
    done = execute(env, "--sop-code", sop, "--yes")
    text = run_of(orm, done.stdout)["evidence"]["step-1-command-1.txt"]["text"]
    assert text.splitlines()[1].endswith("/sh")


def test_a_command_changed_on_the_way_is_refused(orm, relay, out):
    sop = make_sop(orm, [{"commands": [count("approved")]}])
    changed = []
    ordinary = relay.default

    def tamper(handler):
        if b"execution_plan" not in handler.body:
            return ordinary(handler)
        write = handler.wfile.write

        class Pipe:
            def write(self, data):
                changed.append(data.replace(b"approved", b"attacked"))
                return write(changed[-1])

        handler.wfile = Pipe()
        return ordinary(handler)

    relay.default = tamper
    done = execute(relay.env, "--sop-code", sop, "--yes")
    assert any(b"attacked" in data for data in changed)
    assert done.returncode == 1
    assert "did not arrive as it is written" in done.stderr
    assert not list(out.iterdir())


def test_secrets_stay_out(orm, env, out):
    secret = "correct-horse-battery"
    key = env["ODOO_API_KEY"]
    sop = make_sop(
        orm,
        [
            {
                "commands": [
                    {
                        "command": 'echo "$SHOP_TOKEN"; env | grep ODOO_API\n'
                        "echo 'postgres://shop:pa55word@db/x'\n"
                        "echo '-----BEGIN PRIVATE KEY-----'; echo MIIabc=\n"
                        "echo '-----END PRIVATE KEY-----'\n"
                        "ps -eo args"
                    },
                    {"command": 'echo "password=abc123 $SHOP_TOKEN"; exit 1'},
                ]
            }
        ],
    )
    done = execute({**env, "SHOP_TOKEN": secret}, "--sop-code", sop, "--yes")
    assert done.returncode == 1
    run = run_of(orm, done.stdout)
    seen = done.stderr + json.dumps(run)
    for text in (secret, key, "pa55word", "MIIabc=", "abc123"):
        assert text not in seen.replace("postgres://shop:pa55word@db/x'", "").replace(
            "echo MIIabc=", ""
        ).replace('echo "password=abc123 $SHOP_TOKEN"', "")
    text = run["evidence"]["step-1-command-1.txt"]["text"]
    assert "postgres://shop:***@db/x" in text
    assert "ODOO_API_KEY=***" in text
    assert "password=*** ***" in run["errors"][0][1]


# -- interrupted, and gone on with --------------------------------------------------


@pytest.fixture
def three(orm):
    """An SOP whose three steps count how often each command ran."""
    return make_sop(
        orm,
        [
            {"commands": [count("a"), count("b")]},
            {"commands": [count("c")]},
            {"commands": [count("d")]},
        ],
    )


def check_each_ran_once(orm, run_id, out):
    assert [runs_of(out, name) for name in "abcd"] == [1, 1, 1, 1]
    run = run_of(orm, run_id)
    assert run["state"] == "completed"
    assert [step["state"] for step in run["steps"]] == ["completed"] * 3
    assert sorted(run["evidence"]) == [
        *(f"step-{n}-command-{m}.txt" for n, m in ((1, 1), (1, 2), (2, 1), (3, 1)))
    ]
    assert run["evidence_count"] == 4
    assert run["errors"] == []
    assert not records(out.parent)


@pytest.mark.parametrize(
    "moment",
    [
        ("update_step", "in_progress"),
        ("add_evidence", "step-1-command-1.txt"),
        ("add_evidence", "step-1-command-2.txt"),
        ("update_step", "completed"),
        ("add_evidence", "step-2-command-1.txt"),
        ("update_run", "completed"),
    ],
    ids="/".join,
)
def test_killed_while_the_server_answers(orm, relay, env, out, three, moment):
    """The server did it, the answer was lost, and so was the script."""
    relay.swallow = lambda body: all(f">{word}<" in body for word in moment)
    process = start_script(SCRIPT, "--sop-code", three, "--yes", env=relay.env)
    run_id = process.stdout.readline().strip()
    wait_for(lambda: relay.swallowed)
    process.kill()
    process.communicate()
    relay.swallow = None
    # The address is that of the relay: results are kept by server, base and user.
    done = execute(relay.env, "--run-id", run_id, "--yes")
    assert done.returncode == 0, done.stderr
    check_each_ran_once(orm, run_id, out)


def test_killed_while_a_command_runs(orm, env, out):
    sop = make_sop(
        orm,
        [
            {
                "commands": [
                    count("a"),
                    {"command": 'echo x >> "$OUT/b"; echo $$ > "$OUT/pid"\nsleep 300'},
                ]
            },
            {"commands": [count("c")]},
        ],
    )
    process = start_script(SCRIPT, "--sop-code", sop, "--yes", env=env)
    run_id = process.stdout.readline().strip()
    wait_for(lambda: (out / "pid").exists() and (out / "pid").read_text().strip())
    process.kill()
    process.communicate()
    group = int((out / "pid").read_text())
    again = ("--run-id", run_id, "--yes", "--timeout", "1", "--keep-open")
    done = execute(env, *again)
    assert done.returncode == 1
    assert "still runs" in done.stderr and f"kill {group}" in done.stderr
    os.killpg(group, signal.SIGKILL)
    wait_for(lambda: is_zombie(group))
    done = execute(env, *again)
    assert done.returncode == 2
    assert "--rerun-interrupted" in done.stderr
    assert (runs_of(out, "a"), runs_of(out, "b")) == (1, 1)
    done = execute(env, *again, "--rerun-interrupted")
    assert done.returncode == 1, "it takes longer than its second"
    assert (runs_of(out, "a"), runs_of(out, "b")) == (1, 2)


def test_ctrl_c_stops_the_command(orm, env, out):
    sop = make_sop(
        orm,
        [
            {
                "commands": [
                    count("a"),
                    {
                        "command": 'echo x >> "$OUT/b"; test -e "$OUT/pid" && exit\n'
                        'echo $$ > "$OUT/pid"; sleep 300'
                    },
                ]
            },
        ],
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for path in out.iterdir():
            path.unlink()
        process = start_script(SCRIPT, "--sop-code", sop, "--yes", env=env)
        run_id = process.stdout.readline().strip()
        wait_for(lambda: (out / "pid").exists() and (out / "pid").read_text().strip())
        process.send_signal(number)
        _stdout, stderr = process.communicate(timeout=20)
        assert process.returncode == 128 + number
        assert f"--run-id {run_id}" in stderr
        assert is_zombie(int((out / "pid").read_text()))
        assert run_of(orm, run_id)["state"] == "in_progress"
        done = execute(env, "--run-id", run_id, "--yes", "--rerun-interrupted")
        assert done.returncode == 0, done.stderr
        assert "Done before: exit 0" in done.stderr
        assert (runs_of(out, "a"), runs_of(out, "b")) == (1, 2)


def test_the_server_goes_away_and_results_are_sent_later(orm, relay, out, three):
    relay.is_closed = lambda: runs_of(out, "b") > 0 and not (out / "back").exists()
    done = execute(relay.env, "--sop-code", three, "--yes", "--retries", "1")
    run_id = done.stdout.strip()
    assert done.returncode == 4
    assert "The work goes on" in done.stderr
    assert "results are kept in" in done.stderr
    # The procedure was carried out all the same …
    assert [runs_of(out, name) for name in "abcd"] == [1, 1, 1, 1]
    kept = records(out.parent)
    assert [r["method"] for r in kept if not r["sent"]] == [
        *("add_evidence", "update_step"),
        *("update_step", "add_evidence", "update_step") * 2,
    ]
    for path in (out.parent / "state").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_file():
            assert mode == 0o600, path
    assert [s["state"] for s in run_of(orm, run_id)["steps"]][1:] == ["pending"] * 2
    # … away still: nothing is lost, nothing is run again
    done = execute(relay.env, "--run-id", run_id, "--yes", "--retries", "0")
    assert done.returncode == 4
    assert len([r for r in records(out.parent) if not r["sent"]]) == 8
    (out / "back").touch()
    done = execute(relay.env, "--run-id", run_id, "--yes")
    assert done.returncode == 0, done.stderr
    check_each_ran_once(orm, run_id, out)


def test_results_are_sent_by_the_next_session_of_another_run(orm, relay, out, three):
    relay.is_closed = lambda: runs_of(out, "b") > 0 and not (out / "back").exists()
    done = execute(relay.env, "--sop-code", three, "--yes", "--retries", "0")
    assert done.returncode == 4
    (out / "back").touch()
    other = make_sop(orm, [{"commands": [{"command": "true"}]}])
    done_other = execute(relay.env, "--sop-code", other, "--yes")
    assert done_other.returncode == 0, done_other.stderr
    assert "8 results." in done_other.stderr
    run = run_of(orm, done.stdout)
    assert [step["state"] for step in run["steps"]] == ["completed"] * 3
    assert run["evidence_count"] == 4


def test_the_server_comes_back_meanwhile(orm, relay, out, monkeypatch):
    sop = make_sop(
        orm,
        [
            {"commands": [count("a")]},
            {"commands": [{"command": 'touch "$OUT/back"; sleep 16'}, count("b")]},
        ],
    )
    relay.is_closed = lambda: runs_of(out, "a") > 0 and not (out / "back").exists()
    done = execute(relay.env, "--sop-code", sop, "--yes", "--retries", "0")
    assert done.returncode == 0, done.stderr
    assert "The server is back" in done.stderr
    run = run_of(orm, done.stdout)
    assert run["state"] == "completed"
    assert run["evidence_count"] == 2


def test_killed_while_the_server_is_away(orm, relay, out):
    sop = make_sop(
        orm,
        [
            {"commands": [count("a"), count("b")]},
            {"commands": [count("c"), {"command": 'touch "$OUT/here"; sleep 300'}]},
        ],
    )
    relay.is_closed = lambda: runs_of(out, "a") > 0 and not (out / "back").exists()
    arguments = ("--yes", "--retries", "0")
    process = start_script(SCRIPT, "--sop-code", sop, *arguments, env=relay.env)
    run_id = process.stdout.readline().strip()
    wait_for(lambda: (out / "here").exists())
    process.kill()
    process.communicate()
    running = json.loads(next((out.parent / "state").rglob("running.json")).read_text())
    alive = qms_shell.processes(running["key"])
    assert alive
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not qms_shell.processes(running["key"]))
    (out / "back").touch()
    done = execute(
        relay.env,
        *("--run-id", run_id, *arguments, "--keep-open"),
        *("--rerun-interrupted", "--timeout", "1"),
    )
    assert done.returncode == 1
    assert [runs_of(out, name) for name in "abc"] == [1, 1, 1]
    run = run_of(orm, run_id)
    assert [step["state"] for step in run["steps"]] == ["completed", "failed"]
    assert sorted(run["evidence"]) == [
        *(f"step-1-command-{n}.txt" for n in (1, 2)),
        "step-2-command-1.txt",
    ]


def test_a_decision_waits_for_the_server(orm, relay, out):
    sop = make_sop(
        orm,
        [
            {"commands": [count("a")]},
            {"choices": [{"name": "Yes"}, {"name": "No", "to": 4}]},
            {"commands": [count("b")]},
            {"commands": [count("c")]},
        ],
    )
    relay.is_closed = lambda: runs_of(out, "a") > 0 and not (out / "back").exists()
    arguments = ("--yes", "--retries", "0", "--choice", "2=No")
    done = execute(relay.env, "--sop-code", sop, *arguments)
    assert done.returncode == 4
    assert (runs_of(out, "b"), runs_of(out, "c")) == (0, 0)
    (out / "back").touch()
    done = execute(relay.env, "--run-id", done.stdout.strip(), *arguments)
    assert done.returncode == 0, done.stderr
    assert [runs_of(out, name) for name in "abc"] == [1, 0, 1]


def test_the_key_is_revoked_meanwhile(orm, env_of, make_user, out):
    robot = make_user("qms_error_code.group_qms_automation")
    go = 'touch "$OUT/here"; while test ! -e "$OUT/go"; do :; done; echo done'
    sop = make_sop(orm, [{"commands": [{"command": go}]}])
    # XML-RPC remembers a key for a while after it was revoked.
    arguments = ("--yes", "--transport", "json2")
    env = env_of(robot)
    process = start_script(SCRIPT, "--sop-code", sop, *arguments, env=env)
    run_id = process.stdout.readline().strip()
    wait_for(lambda: (out / "here").exists())
    orm(
        'env["res.users.apikeys"].search([("user_id", "=", uid)])._remove()',
        uid=robot.id,
    )
    (out / "go").touch()
    _stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "1 result is kept in" in stderr
    key = orm(
        """
        user = env["res.users"].browse(uid)
        keys = env["res.users.apikeys"].with_user(user).sudo()
        result = keys._generate("rpc", "another", None)
        """,
        uid=robot.id,
    )
    env["ODOO_API_KEY"] = key
    done = execute(env, "--run-id", run_id, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Done before: exit 0" in done.stderr
    assert run_of(orm, run_id)["evidence_count"] == 1


def test_one_session_at_a_time(orm, env, out):
    sop = make_sop(
        orm, [{"commands": [{"command": 'while test ! -e "$OUT/go"; do :; done'}]}]
    )
    process = start_script(SCRIPT, "--sop-code", sop, "--yes", env=env)
    run_id = process.stdout.readline().strip()
    wait_for(lambda: list((out.parent / "state").rglob("running.json")))
    done = execute(env, "--run-id", run_id, "--yes")
    assert done.returncode == 1
    assert (
        f"Another process works on run {run_id} (process {process.pid})" in done.stderr
    )
    (out / "go").touch()
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_what_the_server_refuses_is_set_aside(orm, relay, out, three):
    relay.is_closed = lambda: runs_of(out, "b") > 0 and not (out / "back").exists()
    done = execute(relay.env, "--sop-code", three, "--yes", "--retries", "0")
    run_id = done.stdout.strip()
    orm('env["qms.sop.run"].browse(int(run_id)).cancel("Enough.")', run_id=run_id)
    (out / "back").touch()
    done = execute(relay.env, "--run-id", run_id, "--yes")
    assert done.returncode == 1
    assert "kept in" in done.stderr
    refused = list((out.parent / "state").rglob("*.refused"))
    assert len(refused) == 8
    assert "Cancelled" in json.loads(refused[0].read_text())["refused"]


def test_the_completed_run_is_left_alone(orm, env, out, three):
    done = execute(env, "--sop-code", three, "--yes")
    again = execute(env, "--run-id", done.stdout.strip(), "--yes")
    assert again.returncode == 0
    assert "nothing is left to do" in again.stderr
    check_each_ran_once(orm, done.stdout, out)


# -- who may, and on what -------------------------------------------------------------


def test_an_auditor_is_refused_before_anything_runs(
    orm, env, env_of, make_user, out, three
):
    auditor = make_user("qms_error_code.group_qms_auditor")
    run_id = run_script(
        "create_sop_run.py", "--sop-code", three, env=env
    ).stdout.strip()
    done = execute(env_of(auditor), "--run-id", run_id, "--yes")
    assert done.returncode == 1
    assert "may read" in done.stderr
    assert not list(out.iterdir())
    assert [s["state"] for s in run_of(orm, run_id)["steps"]] == ["pending"] * 3


def test_an_operator_may(orm, env_of, make_user, out, three):
    operator = make_user("qms_error_code.group_qms_operator")
    done = execute(env_of(operator), "--sop-code", three, "--yes")
    assert done.returncode == 0, done.stderr
    check_each_ran_once(orm, done.stdout, out)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('run.cancel("No.")', "Cancelled"),
        ('run.hold("Wait.")', "On hold"),
        ('run.sop_id.write({"state": "obsolete"})', "Obsolete"),
        (
            """
new = run.sop_id._new_revision("patch")
new.author_id = env.ref("base.user_admin")
new.action_submit()
new.action_approve()
""",
            "Superseded",
        ),
    ],
    ids=["cancelled", "on hold", "obsolete", "superseded"],
)
def test_refused_runs(orm, env, out, three, code, said):
    run_id = run_script(
        "create_sop_run.py", "--sop-code", three, env=env
    ).stdout.strip()
    orm(f'run = env["qms.sop.run"].browse(int(run_id))\n{code}', run_id=run_id)
    done = execute(env, "--run-id", run_id, "--yes")
    assert done.returncode == 1
    assert said in done.stderr
    assert not list(out.iterdir())


def test_wrong_key_and_unreachable(env, three):
    wrong = {**env, "ODOO_API_KEY": "x" * 40}
    assert execute(wrong, "--sop-code", three, "--yes").returncode == 3
    away = {**env, "ODOO_URL": f"http://127.0.0.1:{support.free_port()}"}
    done = execute(away, "--run-id", "1", "--yes", "--retries", "0")
    assert (done.returncode, done.stdout) == (4, "1\n")


# -- a person at a terminal ---------------------------------------------------------


def run_shown(session):
    """Return the id of the run that a session opened."""
    return re.search(r"--run-id (\d+) goes on", session.screen)[1]


def test_a_session_at_a_terminal(orm, env, out):
    sop = make_sop(
        orm,
        [
            {
                "objective": "See what is wrong",
                "expected_duration": 5,
                "verification": "Look at the shop.",
                "commands": [
                    count("a"),
                    count("b"),
                    {"command": 'echo "on $TARGET_HOST"'},
                    {"command": 'test -e "$OUT/mended"', "purpose": "verification"},
                ],
            },
            {"choices": [{"name": "Yes"}, {"name": "No", "to": 4}]},
            {"commands": [count("c")]},
            {"instructions": "Tell the team.", "evidence_required": True},
            {"mandatory": False},
        ],
    )
    session = TerminalSession(SCRIPT, "--sop-code", sop, env=env)
    session.wait_for("Step 1 of 5")
    session.wait_for("See what is wrong")
    session.answer("Run it?", "r")
    session.wait_for("exit 0")
    session.answer("Run it?", "s")
    session.answer("Why is it skipped", "Not on this host")
    session.wait_for("Not known: TARGET_HOST")
    session.answer("Run it?", "r")
    session.answer("TARGET_HOST is not known", "db$(touch $OUT/x)")
    session.wait_for("on db$(touch $OUT/x)")
    session.answer("Run it?", "run")
    session.wait_for("exit 1")
    (out / "mended").touch()
    session.answer("What now?", "a")
    session.answer("Run it?", "r")
    session.wait_for("Look at the shop.")
    session.answer("Is it so?", "y")
    session.wait_for("Step 1 completed")
    session.answer("Done by hand?", "d")
    session.answer("Result", "All quiet")
    session.answer("Which is it?", "2")
    session.wait_for("Step 4 of 5")
    session.answer("Done by hand?", "d")
    session.answer("Result", "Told them")
    proof = out / "mail.txt"
    proof.write_text("It works again.\n")
    session.answer("attach the file", str(out / "missing.txt"))
    session.answer("attach the file", str(proof))
    session.answer("Done by hand?", "s")
    session.answer("Why is the step skipped", "Nothing to tidy")
    session.answer("Complete the run? [y/n]", "y")
    session.answer("Resolution", "Mended")
    assert session.end() == 0, session.screen
    run_id = run_shown(session)
    run = run_of(orm, run_id)
    assert (run["state"], run["resolution"]) == ("completed", "Mended")
    assert [step["state"] for step in run["steps"]] == [
        *("completed", "completed", "skipped", "completed", "skipped")
    ]
    assert run["steps"][1]["choice"] == "No"
    assert "Command 2: skipped: Not on this host" in run["steps"][0]["result"]
    assert run["steps"][3]["result"] == "Told them"
    assert run["evidence"]["mail.txt"]["text"] == "It works again.\n"
    assert [runs_of(out, name) for name in "abc"] == [1, 0, 0]
    assert not (out / "x").exists()


def test_colours_only_where_they_are_wanted(orm, env):
    sop = make_sop(orm, [{"commands": [{"command": "true"}]}])
    for more, coloured in (
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ):
        session = TerminalSession(
            SCRIPT, "--sop-code", sop, "--dry-run", env={**env, **more}
        )
        raw = []
        read = os.read(session._fd, 1)
        while read:
            raw.append(read)
            try:
                read = os.read(session._fd, 65536)
            except OSError:
                break
        os.waitpid(session.pid, 0)
        assert (b"\x1b[" in b"".join(raw)) is coloured


def test_quitting_leaves_the_run_open(orm, env, out):
    sop = make_sop(orm, [{"commands": [count("a"), count("b")]}])
    session = TerminalSession(SCRIPT, "--sop-code", sop, env=env)
    session.answer("Run it?", "r")
    session.wait_for("exit 0")
    session.answer("Run it?", "q")
    assert session.end() == 1
    assert "--run-id" in session.screen
    run_id = run_shown(session)
    session = TerminalSession(SCRIPT, "--run-id", run_id, env=env)
    session.wait_for("Done before: exit 0")
    session.answer("Run it?", "n")
    session.answer("Why is the step skipped", "Found another way")
    session.answer("Complete the run? [y/n]", "n")
    assert session.end() == 0
    assert (runs_of(out, "a"), runs_of(out, "b")) == (1, 0)
    run = run_of(orm, run_id)
    assert run["state"] == "in_progress"
    assert run["steps"][0]["skip_reason"] == "Found another way"


def test_a_failure_at_a_terminal(orm, env):
    fails = {"commands": [{"command": "echo broken; false"}]}
    sop = make_sop(orm, [fails, fails])
    session = TerminalSession(SCRIPT, "--sop-code", sop, env=env)
    session.answer("Run it?", "r")
    session.answer("What now?", "k")
    session.answer("Why is that all right", "Known and harmless")
    session.wait_for("Step 2 of 2")
    session.answer("Run it?", "r")
    session.answer("What now?", "f")
    session.answer("End the run as failed", "y")
    assert session.end() == 1
    run = run_of(orm, run_shown(session))
    assert run["state"] == "failed"
    assert "All right, because: Known and harmless" in run["steps"][0]["result"]


def test_ctrl_c_at_a_terminal(orm, env, out):
    sop = make_sop(
        orm, [{"commands": [{"command": 'echo $$ > "$OUT/pid"; echo up; sleep 300'}]}]
    )
    session = TerminalSession(SCRIPT, "--sop-code", sop, env=env)
    session.answer("Run it?", "r")
    session.wait_for("│ up")
    session.press(b"\x03")
    assert session.end() == 130
    assert is_zombie(int((out / "pid").read_text()))
    run_id = run_shown(session)
    session = TerminalSession(SCRIPT, "--run-id", run_id, env=env)
    session.wait_for("was interrupted at")
    session.answer("Run it?", "f")
    session.answer("What went wrong", "It hangs")
    session.answer("End the run as failed", "n")
    assert session.end() == 1
    run = run_of(orm, run_id)
    assert (run["state"], run["steps"][0]["state"]) == ("in_progress", "failed")


def test_answers_can_be_piped(orm, env):
    sop = make_sop(orm, [{}, {"choices": [{"name": "Yes"}, {"name": "No"}]}])
    answers = b"d\nLooked at it\nd\nAsked\nno\ny\nIt was nothing\n"
    done = execute(env, "--sop-code", sop, stdin=answers)
    assert done.returncode == 0, done.stderr
    run = run_of(orm, done.stdout)
    assert run["resolution"] == "It was nothing"
    assert [s["result"] for s in run["steps"]] == ["Looked at it", "Asked"]
    done = execute(env, "--sop-code", sop, stdin=b"d\n")
    assert done.returncode == 1
    assert "stays open" in done.stderr


# -- flags ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--run-id", "1", "--sop-code", "X"),
        ("--run-id", "1", "--severity", "P1"),
        ("--run-id", "1", "--choice", "Yes"),
        ("--run-id", "1", "--result", "x=Yes"),
        ("--run-id", "1", "--step", "0"),
        ("--run-id", "1", "--timeout", "0"),
    ],
)
def test_wrong_flags(env, arguments):
    done = execute(env, *arguments)
    assert (done.returncode, done.stdout) == (2, "")


def test_starts_without_any_package():
    done = run_script(SCRIPT, "--help", python=("-S", "-E", "-s"))
    assert done.returncode == 0
    for part in ("examples:", "exit codes:", "environment:", SCRIPT):
        assert part in done.stdout


def test_memory(env, three):
    measure = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        ["python3", "-c", measure, "python3", support.SCRIPTS / SCRIPT]
        + ["--sop-code", three, "--dry-run", "--quiet"],
        env={**support.BARE, **env},
        capture_output=True,
        check=True,
        cwd=support.ROOT,
    )
    assert int(done.stdout) / 1024 <= 60
