#!/usr/bin/env python3
"""Work SOP-TRIAGE-001 on a service that really fails, from detection to resolution.

Starts the order service of leaky_service/, puts a load on it, and does what the SOP
says with what happens: through the command-line tools of scripts/, the REST API and the
ORM over XML-RPC. Odoo keeps running and keeps the run; everything else that was started
is stopped and removed, also after a failure or Ctrl-C.

Needs ODOO_URL, ODOO_DB, ODOO_USER and ODOO_API_KEY (an automation user, see
automation_key.py) and a PostgreSQL for the service's own database: QMS_PG_HOST and
QMS_PG_USER, who may create databases. Exit code: 0 all is as it should be, 1 it is not
(one sentence says what), 2 usage or a setting is missing, 130 interrupted.
"""

import argparse
import contextlib
import csv
import difflib
import hashlib
import http.client
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.error
import urllib.request
import xmlrpc.client
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
from demo_alerts import RULE, Watcher, shipped_rule
from demo_incident import Incident
from monitoring_stack import MonitoringError
from service_process import (
    LOAD,
    SERVICE,
    ServiceError,
    ServiceProcess,
    temporary_database,
)

ROOT = Path(__file__).resolve().parents[1]
SOP_CODE = "SOP-TRIAGE-001"
ERROR_CODE = "DB_CONNECTION_LEAK"
STEPS = 6

_TIMEOUT = 120.0
_WIDTH = 100
# Quadratic in the orders of one customer, so it is cancelled however fast the machine.
_FAILING_ORDER = "/orders?customer=1"
_FIX = "The connection is returned in a finally block."


class DemoError(Exception):
    """Something is not as it should be; the message is for people."""


def expect(condition, sentence):
    """Stop the demo with a sentence when something is not as it should be.

    :raise DemoError: when the condition is false
    """
    if not condition:
        raise DemoError(sentence)


def quote(word):
    """Quote a word for a shell, in double quotes where that reads better."""
    if "'" in word and not set(word) & set('"$`\\!\n'):
        return f'"{word}"'
    return shlex.quote(word)


def tally(counts):
    """Say how often which HTTP status came, e.g. ``16 x 200, 20 x 504``."""
    return ", ".join(f"{count} x {status}" for status, count in counts.items())


class Story:
    """What the demo tells: chapters, what is done, and what came back."""

    def __init__(self, secrets):
        self._secrets = [secret for secret in secrets if secret]

    def _print(self, text):
        for secret in self._secrets:
            text = text.replace(secret, "***")
        print(text, flush=True)

    def chapter(self, title):
        """Begin a chapter."""
        self._print(f"\n== {title}")

    def say(self, text):
        """Tell something in a paragraph."""
        self._print(
            textwrap.fill(text, _WIDTH, initial_indent="   ", subsequent_indent="   ")
        )

    def command(self, words):
        """Show a command that is about to be run."""
        self.line(" ".join(quote(str(word)) for word in words))

    def line(self, text):
        """Show what a person would type in a shell."""
        self._print(f"   $ {text}")

    def answer(self, text):
        """Show what came back."""
        for line in text.strip().splitlines():
            self._print(f"     {line}")


class Demo:
    """One passage through the SOP.

    :param dict environment: variables of the demo, see the module
    :param Story story: where it is told
    """

    def __init__(self, environment, story):
        missing = [
            name
            for name in ("ODOO_URL", "ODOO_DB", "ODOO_USER", "ODOO_API_KEY")
            if not environment.get(name)
        ]
        if missing:
            raise DemoError(f"Set {', '.join(missing)}; `make demo` does.")
        self.story = story
        self.odoo_url = environment["ODOO_URL"].rstrip("/")
        self._db = environment["ODOO_DB"]
        self._user = environment["ODOO_USER"]
        self._key = environment["ODOO_API_KEY"]
        self._pg = {
            "host": environment.get("QMS_PG_HOST") or str(ROOT / ".qms" / "pg" / "run"),
            "user": environment.get("QMS_PG_USER") or "odoo",
        }
        self._environment = {
            name: value
            for name, value in environment.items()
            if name != "ODOO_PASSWORD"
        }
        self._uid = None
        self.run = None
        self.alert_run = None
        self.incident = Incident(self._script, story)
        self.finished = False

    # === Doing and telling ===

    def _command(self, words, shown, accepted=(0,), **options):
        """Run a command, tell it, and return what it printed on stdout.

        :param list words: program and arguments
        :param list shown: what a person would have typed
        :param accepted: exit codes that are as they should be
        :return: exit code and stdout
        :rtype: tuple[int, str]
        """
        self.story.command(shown)
        done = subprocess.run(
            [str(word) for word in words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            **options,
        )
        self.story.answer(done.stderr)
        if done.returncode not in accepted:
            self.story.answer(done.stdout)
            raise DemoError(
                f"{Path(words[1]).name} ended with exit code {done.returncode}."
            )
        return done.returncode, done.stdout

    def _script(self, name, *arguments, quiet=False, **options):
        """Run one of the project's scripts as a person would.

        :return: its exit code and its stdout
        """
        path = Path("scripts") / name
        code, out = self._command(
            [sys.executable, ROOT / path, *arguments],
            ["python", path, *arguments],
            cwd=ROOT,
            **options,
        )
        if not quiet:
            self.story.answer(out)
        return code, out

    def _update_run(self, *arguments, **options):
        return self._script(
            "update_sop_run.py", "--run-id", str(self.run["id"]), *arguments, **options
        )[1].strip()

    @contextlib.contextmanager
    def _step(self, number):
        """Open a step of the run; completed with the ``result`` put in the dict."""
        outcome = {}
        name = self.run["steps"][number - 1]["name"]
        self.story.chapter(f"Step {number} of {SOP_CODE}: {name}")
        step = ("--step", str(number))
        self._update_run(*step, "--state", "in_progress", "--quiet", quiet=True)
        yield outcome
        self._update_run(
            *step, "--state", "completed", "--result", outcome["result"], quiet=True
        )

    def _load(self, url):
        words = [LOAD, "--url", url]
        _, out = self._command(
            [sys.executable, *words],
            ["python", LOAD.relative_to(ROOT), *words[1:]],
        )
        self.story.answer(out)
        return json.loads(out)

    def _get(self, url, bearer=False):
        """GET a URL that answers with a JSON object.

        :return: HTTP status and the object
        :rtype: tuple[int, dict]
        """
        headers = {"Authorization": f"Bearer {self._key}"} if bearer else {}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, headers=headers), timeout=_TIMEOUT
            ) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def _api(self, url, bearer):
        """Ask the API for a run and tell its state.

        :param str url: as Odoo gave it; asked at the address that the demo was given
        :param bool bearer: with the API key
        :return: the run, or just its state without a key
        :rtype: dict
        """
        url = self.odoo_url + urlsplit(url).path
        header = '-H "Authorization: Bearer $ODOO_API_KEY" ' if bearer else ""
        self.story.line(f"curl -sf {header}{url}")
        status, body = self._get(url, bearer)
        expect(status == HTTPStatus.OK, f"GET {url} answered {status}: {body}.")
        self.story.answer(f'{status} {{"state": {json.dumps(body["state"])}, …}}')
        return body

    def _log_in(self):
        """Look up the user's id, which shows that Odoo is there and takes the key."""
        common = xmlrpc.client.ServerProxy(f"{self.odoo_url}/xmlrpc/2/common")
        try:
            self._uid = common.authenticate(self._db, self._user, self._key, {})
        except (
            OSError,
            http.client.HTTPException,
            xmlrpc.client.ProtocolError,
        ) as error:
            raise DemoError(f"{self.odoo_url} does not answer: {error}.") from None
        expect(
            self._uid,
            f"{self.odoo_url} does not accept the API key of {self._user} for the "
            f"database {self._db}.",
        )

    def _orm(self, model, method, *args, **kwargs):
        """Call a model method over XML-RPC, as any ORM client does."""
        models = xmlrpc.client.ServerProxy(f"{self.odoo_url}/xmlrpc/2/object")
        return models.execute_kw(
            self._db, self._uid, self._key, model, method, args, kwargs
        )

    def _sessions(self, dsn):
        """Return the service's database sessions, as PostgreSQL shows them.

        :return: the states, and the whole answer as CSV
        :rtype: tuple[list[str], str]
        """
        connection = psycopg2.connect(dsn)
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pid, state, state_change, wait_event, query"
                    " FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name LIKE 'leaky_service %' ORDER BY state_change"
                )
                rows = cursor.fetchall()
                names = [column.name for column in cursor.description]
        finally:
            connection.close()
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(names)
        # A query of several lines would make the table hard to read.
        writer.writerows([*row[:-1], " ".join(row[-1].split())] for row in rows)
        return [row[1] for row in rows], table.getvalue()

    # === The passage ===

    def work(self):
        """Go through all of it.

        :return: the run at the end, as the API gives it, with its ``status_url``
        :rtype: dict
        :raise DemoError: something is not as it should be
        """
        self._log_in()
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            # What the scripts remember of the server goes when the demo goes.
            self._environment["XDG_CACHE_HOME"] = str(folder / "cache")
            self.story.chapter("An order service goes into operation")
            dsn = stack.enter_context(temporary_database("leaky_demo", **self._pg))
            stack.callback(self._cancel_unfinished)
            leaky = self._start("leaky", dsn, folder / "leaky.log", stack)
            watcher = self._watch(leaky, folder, stack)
            failing = self._fail(leaky)
            self._detect()
            self._acknowledge()
            self.incident.open(self.run)
            best, evidence = self._classify(leaky, folder)
            self.incident.triage(best)
            self._take_alert(watcher)
            self.incident.link(self.alert_run)
            aborted = self._gather(dsn)
            rca_id = self._analyse(leaky, failing, aborted, folder)
            self._fix(leaky, dsn, folder, stack, rca_id)
            self.incident.mitigate()
            self._end_alert(watcher)
            self.incident.resolve()
            self._document()
            self._prevent(dsn, rca_id)
            self._complete()
            failed = tally(failing["load"]["orders"])
            self.incident.review(failed, folder / "postmortems", expect)
            return self._verify(best, evidence, rca_id)

    def _start(self, variant, dsn, log, stack, port=0):
        service = stack.enter_context(ServiceProcess(variant, dsn, log, port=port))
        self.story.command(["python", SERVICE.relative_to(ROOT), *service.arguments])
        self.story.answer(f"listening on {service.url}")
        return service

    def _watch(self, service, folder, stack):
        """Have the service watched."""
        place = folder / "monitoring"
        place.mkdir()
        watcher = stack.enter_context(
            Watcher(place, service.url, self.odoo_url, self._key)
        )
        if watcher.real:
            self.story.say(
                "Prometheus watches it by the rules of examples/monitoring, and "
                f"Alertmanager sends alerts to {watcher.url}."
            )
        return watcher

    def _alert(self, watcher):
        """Return what Odoo has of the service's alert, an empty dict for nothing."""
        # Read by whom it was delivered; labels are JSON, which no domain looks into.
        summary = shipped_rule()["annotations"]["summary"]
        name = summary.replace("{{ $labels.instance }}", watcher.instance)
        found = self._orm(
            "qms.alert",
            "search_read",
            [("name", "=", name)],
            ["name", "status", "state", "run_id"],
            limit=1,
        )
        return found[0] if found else {}

    def _wait_for_alert(self, watcher, status):
        deadline = time.monotonic() + _TIMEOUT
        while True:
            alert = self._alert(watcher)
            if alert.get("status") == status and alert["run_id"]:
                return alert
            expect(
                time.monotonic() < deadline,
                f"The alert {RULE} of {watcher.instance} should be {status}, and Odoo "
                f"has {alert or 'nothing of it'}.",
            )
            time.sleep(0.1)

    def _take_alert(self, watcher):
        """See that the alert of the leaked connections opened a run of its SOP."""
        story = self.story
        story.chapter("Monitoring notices too, and its alert opens a run")
        rule = shipped_rule()
        story.answer(f"{RULE}: {rule['expr']}")
        watcher.tell("firing")
        alert = self._wait_for_alert(watcher, "firing")
        run = self._orm("qms.sop.run", "get_run", [alert["run_id"][0]])
        self.alert_run = {"id": run["id"], "name": run["name"], "url": run["url"]}
        for field, label in (
            ("sop_code", "sop"),
            ("error_code", "error_code"),
            ("severity", "severity"),
        ):
            expect(
                run[field] == rule["labels"][label],
                f"The alert should open a run with {rule['labels'][label]} as {field}, "
                f"{run['name']} has {run[field]!r}.",
            )
        again = watcher.tell("firing")
        how = "Prometheus saw it, and Alertmanager delivered it"
        if again:
            how = "Delivered twice, as Alertmanager would"
            expect(
                again["alerts"][0]["run"]["id"] == run["id"],
                "An alert that is delivered twice should have one run.",
            )
        story.say(
            f"{alert['name']}. {how}: {run['name']} is open on {run['sop_code']}, "
            f"{run['error_code']}, {run['severity']}."
        )

    def _end_alert(self, watcher):
        """See that the alert is over, and that its run says so."""
        self.story.chapter("The alert is resolved")
        watcher.tell("resolved")
        self._wait_for_alert(watcher, "resolved")
        (run,) = self._orm(
            "qms.sop.run",
            "read",
            [self.alert_run["id"]],
            ["state", "alert_state", "alerts_resolved_at"],
        )
        expect(
            (run["state"], run["alert_state"]) == ("in_progress", "resolved"),
            f"{self.alert_run['name']} should be open, its alerts resolved: {run}.",
        )
        self.story.say(
            f"{self.alert_run['name']} notes it ({run['alerts_resolved_at']} UTC) and "
            "stays open: its steps are for a person to work."
        )

    def _fail(self, service):
        """Run the service until its pool is exhausted.

        :return: the ``load`` that was put on it, and the ``status``, ``error`` and
            ``pool`` of its health endpoint
        :rtype: dict
        """
        self.health_url = f"{service.url}/health"
        self._script("health_check.py", "--url", self.health_url)
        self.story.chapter("The service is used, and fails")
        load = self._load(service.url)
        status, body = self._get(self.health_url)
        expect(
            status == HTTPStatus.INTERNAL_SERVER_ERROR,
            f"The leaky service should have failed, but /health says {status} {body}.",
        )
        return {**body, "status": status, "load": load}

    def _check_health(self, healthy):
        """Have the health check look at the service and keep Odoo informed.

        :param bool healthy: what it should find
        :return: what it did about the run, see ``health_check.py --json``
        :rtype: dict
        """
        _, out = self._script(
            "health_check.py",
            *("--url", self.health_url, "--attempts", "2", "--delay", "0.5"),
            *("--open-run", "--json"),
            accepted=(0 if healthy else 1,),
            quiet=True,
        )
        result = json.loads(out)["results"][0]
        expect(result["run"], f"Odoo has no run of this: {result.get('run_error')}")
        self.story.answer(
            f"status {result['status']} in {result['seconds']:.3f} s, "
            f"run {result['run']['name']} {result['run']['action']}"
        )
        return result["run"]

    def _detect(self):
        """Let the health check notice and open the run, once per outage."""
        story = self.story
        story.chapter("The health check notices and opens a run")
        self.detected_at = time.time()
        opened = self._check_health(healthy=False)
        self.run = {"id": opened["id"], "name": opened["name"]}
        expect(
            opened["action"] == "opened",
            f"A new outage should open a run, but {opened['name']} was "
            f"{opened['action']}.",
        )
        again = self._check_health(healthy=False)
        expect(
            (again["id"], again["action"]) == (opened["id"], "unchanged"),
            f"One outage should have one run, but {again['name']} was "
            f"{again['action']} after {opened['name']} was opened.",
        )
        self.run = self._orm("qms.sop.run", "get_run", [opened["id"]])
        story.say(
            f"{self.run['name']} (id {self.run['id']}) is open on "
            f"{self.run['sop_code']} {self.run['sop_version']}. The second check found "
            "it open: one outage, one run."
        )
        expect(
            self.run["sop_code"] == SOP_CODE and len(self.run["steps"]) == STEPS,
            f"The run should have the {STEPS} steps of {SOP_CODE}; it has "
            f"{len(self.run['steps'])} of {self.run['sop_code']}.",
        )
        story.say("The API tells its state, with a key or by its status link:")
        for url, bearer in (
            (self.run["api_url"], True),
            (self.run["status_url"], False),
        ):
            state = self._api(url, bearer)["state"]
            expect(state == "in_progress", f"The run should be open, it is {state}.")

    def _acknowledge(self):
        """Take the run on: it stops the clock until the response."""
        self.story.chapter("Somebody takes it on")
        self._update_run("--acknowledge")
        clock = self._api(self.run["api_url"], bearer=True)["clocks"]["response"]
        expect(
            clock["state"] == "met",
            f"The response should be in time, but its clock is {clock['state']}.",
        )
        self.story.say(
            f"Acknowledged at {clock['stopped_at']}, due by {clock['deadline']}."
        )

    def _classify(self, service, folder):
        """Step 1: let the catalogue classify the service's log.

        :return: the classification and what was attached: ``name`` and ``sha256``
        :rtype: tuple[dict, dict]
        """
        with self._step(1) as outcome:
            leaks = self._wait_for_reported_leaks(service)
            log = folder / "orders-service.log"
            shutil.copyfile(service.log, log)
            _, out = self._script(
                "update_sop_run.py",
                *("--run-id", str(self.run["id"]), "--step", "1"),
                *("--evidence", str(log), "--classify", "--json"),
                quiet=True,
            )
            attached = json.loads(out)["added_evidence"][0]
            best = attached["classification"][0]
            expect(
                best["code"] == ERROR_CODE,
                f"The log should be classified as {ERROR_CODE}, not as "
                f"{best['code'] or best['category']}: {best['why']}",
            )
            expect(
                attached["sha256"] == hashlib.sha256(log.read_bytes()).hexdigest(),
                "The evidence in Odoo is not the log that was attached.",
            )
            self.story.say(
                f"Best match: {best['code']} ({best['category']}, {best['severity']}), "
                f"line {best['line_number']}: {best['line']}"
            )
            self._update_run(
                *("--error-code", best["code"], "--severity", best["severity"]),
                *("--category", best["category"]),
            )
            outcome["result"] = (
                f"Classified as {best['code']}, category {best['category']}, severity "
                f"{best['severity']}: {best['occurrences']} line(s) of the log match, "
                f"the first is line {best['line_number']}. {leaks} leaked "
                "connection(s) are reported in it."
            )
        return best, {"name": attached["name"], "sha256": attached["sha256"]}

    def _wait_for_reported_leaks(self, service):
        """Wait until the service has logged every leaked connection.

        :return: their number
        :rtype: int
        """
        deadline = time.monotonic() + _TIMEOUT
        while True:
            _, body = self._get(self.health_url)
            reported = service.log.read_text().count("connection leak detected")
            if reported == body["pool"]["in_use"]:
                return reported
            expect(
                time.monotonic() < deadline,
                f"The service logged {reported} of {body['pool']['in_use']} leaks.",
            )
            time.sleep(0.1)

    def _gather(self, dsn):
        """Step 2: collect what the database and the service say.

        :return: number of sessions left in an aborted transaction
        :rtype: int
        """
        with self._step(2) as outcome:
            states, table = self._sessions(dsn)
            aborted = states.count("idle in transaction (aborted)")
            _, body = self._get(self.health_url)
            for name, content, source in (
                ("pg_stat_activity.csv", table, "SELECT … FROM pg_stat_activity"),
                ("health.json", json.dumps(body, indent=2), self.health_url),
            ):
                self._update_run(
                    *("--step", "2", "--evidence", "-", "--evidence-name", name),
                    *("--evidence-source", source),
                    input=content,
                    quiet=True,
                )
            self.story.say(
                f"PostgreSQL shows {len(states)} sessions of the service, {aborted} of "
                "them idle in an aborted transaction."
            )
            self._update_run(
                *("--step", "2", "--log-error", f"GET /health: {body['error']}"),
                *("--error-code", ERROR_CODE),
                quiet=True,
            )
            outcome["result"] = (
                f"{aborted} of {len(states)} database sessions are idle in an aborted "
                f"transaction; {body['pool']['in_use']} of {body['pool']['max']} "
                "connections of the pool are in use and none is returned."
            )
        return aborted

    def _analyse(self, service, failing, aborted, folder):
        """Step 3: ask why five times.

        :return: id of the analysis
        :rtype: int
        """
        with self._step(3) as outcome:
            load, pool = failing["load"], failing["pool"]
            log = service.log.read_text()
            cancelled = load["orders"]["504"]
            leak = next(line for line in log.splitlines() if "leak detected" in line)
            whys = [
                {
                    "question": "Why did the health check fail?",
                    "answer": f"GET /health answered {failing['status']}.",
                    "evidence": self.health_url,
                },
                {
                    "question": f"Why did it answer {failing['status']}?",
                    "answer": "It got no connection to the database: "
                    f"{failing['error']}.",
                    "evidence": "health.json; psycopg2.pool.PoolError in the log",
                },
                {
                    "question": "Why was there no connection to be had?",
                    "answer": f"{pool['in_use']} of the pool's {pool['max']} "
                    "connections were in use.",
                    "evidence": "health.json",
                },
                {
                    "question": "Why were they all in use?",
                    "answer": f"{cancelled} queries were cancelled by the statement "
                    f"timeout, and {aborted} connections never came back.",
                    "evidence": "pg_stat_activity.csv: idle in transaction (aborted)",
                },
                {
                    "question": "Why did they not come back?",
                    "answer": "find_orders() returns its connection only when the "
                    "query succeeds; its exception handler raises without doing so.",
                    "evidence": leak,
                },
            ]
            whys_file = folder / "whys.json"
            whys_file.write_text(json.dumps(whys))
            for number, why in enumerate(whys, 1):
                self.story.say(f"Why {number}: {why['question']} {why['answer']}")
            root_cause = "Exception handling doesn't close DB connections"
            rca_id = self._script(
                "create_rca.py",
                *("--run-id", str(self.run["id"]), "--error-code", ERROR_CODE),
                *("--root-cause", root_cause),
                "--contributing-factors",
                f"High traffic ({load['requests']} requests in {load['seconds']} s), "
                "inefficient queries",
                *("--whys-file", str(whys_file)),
            )[1]
            outcome["result"] = f"Root cause, after {len(whys)} whys: {root_cause}."
        return int(rca_id)

    def _fix(self, leaky, dsn, folder, stack, rca_id):
        """Step 4: put the fixed variant in place and see that it holds."""
        with self._step(4) as outcome:
            sources = [
                (SERVICE.parent / f"orders_{variant}.py").read_text().splitlines()
                for variant in ("leaky", "fixed")
            ]
            diff = [*difflib.unified_diff(*sources, "leaky", "fixed", n=1, lineterm="")]
            self.story.answer("\n".join(diff))
            leaky.stop()
            port = int(leaky.url.rpartition(":")[2])
            fixed = self._start(
                "fixed", dsn, folder / "orders-fixed.log", stack, port=port
            )
            load = self._load(fixed.url)
            recovery = self._check_health(healthy=True)
            self.resolved_at = time.time()
            expect(
                recovery["id"] == self.run["id"] and recovery["action"] == "recovered",
                f"The recovery should be recorded in {self.run['name']}, but "
                f"{recovery['name']} was {recovery['action']}.",
            )
            self._update_run("--mitigate", quiet=True)
            _, body = self._get(self.health_url)
            leaks = fixed.log.read_text().count("leak detected")
            expect(
                not leaks and not body["pool"]["in_use"],
                f"The fixed service should leak nothing, but it logged {leaks} leak(s) "
                f"and its pool says {body['pool']}.",
            )
            verification = (
                f"Same load on the fixed variant: health {tally(load['health'])}; "
                f"orders {tally(load['orders'])}; {body['pool']['in_use']} of "
                f"{body['pool']['max']} connections in use afterwards; {leaks} leaks "
                "in the log."
            )
            fix = {
                "fix_type": "code",
                "fix": "\n".join([_FIX, "", "```diff", *diff, "```"]),
                "verification": verification,
                "state": "confirmed",
            }
            self.story.say(
                "The analysis gets its fix and verification, and is confirmed, by the "
                f"ORM over XML-RPC: qms.rca({rca_id}).write({{{', '.join(fix)}}})"
            )
            self._orm("qms.rca", "write", [rca_id], fix)
            outcome["result"] = f"{_FIX} {verification}"

    def _document(self):
        """Step 5: put into the catalogue what was learned."""
        with self._step(5) as outcome:
            _, code = self._script(
                "update_error_code.py",
                *("--code", ERROR_CODE, "--severity", "high"),
                "--description",
                "Database connections not released in exception handlers",
                "--resolution",
                "Ensure all DB operations use try/finally blocks with connection "
                "cleanup",
            )
            outcome["result"] = (
                f"Catalogue entry {code.strip()} updated; analysis and evidence are "
                f"in {self.run['name']}."
            )

    def _prevent(self, dsn, rca_id):
        """Step 6: the regression check of the SOP, on the service that runs now, and
        an action that outlives the run."""
        with self._step(6) as outcome:
            failing_url = self.health_url.removesuffix("/health") + _FAILING_ORDER

            def open_transactions():
                return sum(
                    state.startswith("idle in transaction")
                    for state in self._sessions(dsn)[0]
                )

            before = open_transactions()
            status, _ = self._get(failing_url)
            after = open_transactions()
            expect(
                status == HTTPStatus.GATEWAY_TIMEOUT and before == after == 0,
                "A failing query should leave no session behind: it answered "
                f"{status}, open transactions {before} before and {after} after.",
            )
            self.story.say(
                f"Sessions with an open transaction: {before} before a query that "
                f"fails (HTTP {status}), {after} after it."
            )
            _, action = self._script(
                "create_action.py",
                *("--rca-id", str(rca_id), "--error-code", ERROR_CODE),
                *("--title", "Alert before the connection pool is exhausted"),
                *("--kind", "preventive", "--type", "monitoring"),
                *("--horizon", "short", "--priority", "high"),
                *("--criteria", "The alert fires before an order fails"),
                *("--print", "reference"),
            )
            outcome["result"] = (
                f"Regression check: a failing query (HTTP {status}) leaves {after} "
                f"open transactions, {before} before. tests/test_leaky_service.py "
                "repeats it; /health reports the use of the pool for an alert: "
                f"{action.strip()}."
            )

    def _complete(self):
        """Complete the run with its resolution and the time that was measured."""
        self.story.chapter("The run is completed")
        self.resolution_time = round(self.resolved_at - self.detected_at)
        self._update_run(
            *("--state", "completed"),
            "--resolution",
            "Implemented connection cleanup in exception handlers",
            *("--resolution-time", str(self.resolution_time)),
        )
        self.finished = True

    def _verify(self, best, evidence, rca_id):
        """Read everything back, over the API and the ORM.

        :return: the run as the API gives it, with ``status_url`` and counts
        :rtype: dict
        """
        self.story.chapter("What Odoo has of it")
        run = self._api(self.run["api_url"], bearer=True)
        wanted = {
            "id": self.run["id"],
            "name": self.run["name"],
            "state": "completed",
            "severity": best["severity"],
            "category": best["category"],
            "error_code": ERROR_CODE,
            "trigger": "automated",
            "resolution": "Implemented connection cleanup in exception handlers",
            "resolution_time_seconds": self.resolution_time,
        }
        for field, value in wanted.items():
            expect(
                run[field] == value,
                f"The API should give {value!r} as {field}, it gives {run[field]!r}.",
            )
        expect(run["end_time"] >= run["start_time"], "The run ends before it starts.")
        late = [name for name, one in run["clocks"].items() if one["state"] != "met"]
        expect(not late, f"All three clocks should be met, not so: {', '.join(late)}.")
        state = self._api(self.run["status_url"], bearer=False)
        expect(
            state == {"state": "completed"},
            f"The status link should tell the state and nothing else, it says {state}.",
        )
        counts = self._verify_records(evidence, rca_id)
        left = self._orm(
            "qms.sop.run",
            "search_count",
            [
                ("state", "in", ["draft", "in_progress", "on_hold"]),
                ("dedup_key", "like", self.health_url),
            ],
        )
        expect(not left, f"{left} run(s) of this outage are still open.")
        self.story.say(
            f"{run['name']}: {run['state']}, {run['severity']}, {run['error_code']}; "
            f"{counts['steps']} steps completed, {counts['errors']} errors, "
            f"{counts['evidence']} pieces of evidence, {counts['whys']} whys, "
            f"{counts['actions']} action left to do. "
            f"Resolved {run['resolution_time_seconds']} s after detection; response, "
            "mitigation and resolution in time."
        )
        return {
            **run,
            "status_url": self.run["status_url"],
            "counts": counts,
            "alert_run": self.alert_run,
            **self.incident.told(self._orm, self.odoo_url),
        }

    def _verify_records(self, evidence, rca_id):
        """Check the records of the run, read over XML-RPC.

        :return: number of ``steps``, ``errors``, ``evidence``, ``whys`` and
            ``actions``
        :rtype: dict
        """

        def read(model, *names, field="run_id", value=self.run["id"]):
            domain = [(field, "=", value)]
            return self._orm(model, "search_read", domain, list(names))

        steps = read("qms.sop.run.step", "number", "state", "actual_result")
        expect(
            sorted(step["number"] for step in steps) == list(range(1, STEPS + 1)),
            f"The run should have steps 1 to {STEPS}.",
        )
        for step in steps:
            expect(
                step["state"] == "completed" and step["actual_result"],
                f"Step {step['number']} is {step['state']}, with the result "
                f"{step['actual_result']!r}.",
            )
        errors = read("qms.sop.run.error", "error_code_id", "error_message")
        codes = {error["error_code_id"][1] for error in errors}
        expect(
            any(ERROR_CODE in code for code in codes),
            f"The run's errors should include {ERROR_CODE}: {sorted(codes)}.",
        )
        files = read("qms.sop.run.evidence", "name", "sha256")
        expect(
            any(file["sha256"] == evidence["sha256"] for file in files),
            f"The log {evidence['name']} is not among the run's evidence.",
        )
        names = {file["name"] for file in files}
        for name in ("pg_stat_activity.csv", "health.json"):
            expect(name in names, f"{name} is not among the run's evidence.")
        (rca,) = read("qms.rca", "state", "root_cause", "verification")
        expect(
            rca["id"] == rca_id and rca["state"] == "confirmed" and rca["verification"],
            f"The analysis {rca_id} should be confirmed and verified: {rca}.",
        )
        whys = read("qms.rca.why", "answer", field="rca_id", value=rca_id)
        expect(len(whys) == 5, f"There should be five whys, there are {len(whys)}.")
        actions = read("qms.action", "state", field="rca_id", value=rca_id)
        expect(
            [action["state"] for action in actions] == ["open"],
            f"One action should be left to do, there are {len(actions)}.",
        )
        return {
            "steps": len(steps),
            "errors": len(errors),
            "evidence": len(files),
            "whys": len(whys),
            "actions": len(actions),
        }

    def _cancel_unfinished(self):
        """Leave no open run behind when the demo did not come to its end."""
        if self.finished:
            return
        for run in filter(None, (self.run, self.alert_run)):
            with contextlib.suppress(Exception):
                self._orm(
                    "qms.sop.run",
                    "cancel",
                    [run["id"]],
                    "The demo ended before the run was completed.",
                )
                self.story.say(f"{run['name']} was cancelled: the demo did not finish.")
        if self.incident.name:
            with contextlib.suppress(Exception):
                self.incident.abandon(self._orm)


def parse_arguments(arguments=None):
    """Read the command line; argparse exits with 2 on a mistake."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the run as the API gives it: id, name, url, api_url, status_url, …",
    )
    return parser.parse_args(arguments)


# ValueError: an answer that is not JSON.
_FAILURES = (
    DemoError,
    MonitoringError,
    ServiceError,
    psycopg2.Error,
    xmlrpc.client.Error,
    http.client.HTTPException,
    subprocess.TimeoutExpired,
    OSError,
    ValueError,
)


def describe(error):
    """Say in a sentence what stopped the demo.

    :param Exception error: one of the failures that the world can cause
    :rtype: str
    """
    if isinstance(error, xmlrpc.client.Fault):
        # A fault that is not meant for people ends with what matters.
        return f"Odoo says: {error.faultString.strip().splitlines()[-1]}"
    if isinstance(error, psycopg2.Error):
        return f"PostgreSQL says: {str(error).strip()}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"{Path(error.cmd[1]).name} took longer than {error.timeout:g} s."
    return str(error)


def _interrupt(signum, frame):
    # Stopping what was started must not be interrupted again: a terminal signals
    # every process of the group, and `make` passes its own signal on.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _disregard)
    raise KeyboardInterrupt


def _disregard(signum, frame):
    # Not SIG_IGN: Python complains when one that is already pending comes to that.
    pass


def main(arguments=None):
    """Tell and do it all.

    :return: exit code, see the module
    :rtype: int
    """
    options = parse_arguments(arguments)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    story = Story([os.environ.get("ODOO_API_KEY"), os.environ.get("ODOO_PASSWORD")])
    started = time.monotonic()
    try:
        demo = Demo(os.environ, story)
    except DemoError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        run = demo.work()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except _FAILURES as error:
        print(f"The demo failed: {describe(error)}", file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(run, indent=2) + "\n")
    seconds = time.monotonic() - started
    story.say(f"All of it took {seconds:.0f} s. The run: {run['url']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
