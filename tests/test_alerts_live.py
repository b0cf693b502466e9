"""Alerts open runs: the real Prometheus and Alertmanager, and a storm of deliveries."""

import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import requests
import yaml

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
MONITORING = EXAMPLES / "monitoring"
sys.path.insert(0, str(EXAMPLES))

from monitoring_stack import MonitoringStack, Programs  # noqa: E402
from service_process import LOAD, ServiceProcess, temporary_database  # noqa: E402

WITHOUT = os.environ.get("QMS_MONITORING") or "QMS_PROMETHEUS is not set"


@pytest.fixture(scope="module")
def automation(make_user):
    return make_user("qms_error_code.group_qms_automation")


@pytest.fixture
def programs():
    found = Programs.from_environment()
    if not found:
        pytest.skip(f"Prometheus and Alertmanager are not there ({WITHOUT})")
    return found


def wait_for(what, look, seconds=20):
    """Wait until something is there; returns it."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


def alerts_of(orm, instance):
    """Return what Odoo has of the alerts of one host and port."""
    return orm(
        """
        alerts = env["qms.alert"].search([], order="id").filtered(
            lambda alert: alert.labels.get("instance") == instance
        )
        result = [
            {
                "name": alert.name,
                "alertname": alert.labels["alertname"],
                "status": alert.status,
                "state": alert.state,
                "source": alert.source_id.code,
                "run": alert.run_id.id,
                "run_state": alert.run_id.state,
                "sop": alert.run_id.sop_code,
                "error_code": alert.run_id.error_code_id.name,
                "severity": alert.run_id.severity,
                "user": alert.run_id.user_id.login,
                "alerts": alert.run_id.alert_state,
                "resolved_at": str(alert.run_id.alerts_resolved_at),
                "notes": str(alert.run_id.message_ids.mapped("body")),
                "steps": len(alert.run_id.step_ids),
            }
            for alert in alerts
        ]
        """,
        instance=instance,
    )


def test_rule_fires_run_opens_fix_alert_resolves(
    odoo_server, orm, automation, programs, tmp_path
):
    pg = {"host": odoo_server.pg_host, "user": odoo_server.pg_user}
    with (
        temporary_database("leaky_alerts", **pg) as dsn,
        ServiceProcess("leaky", dsn, tmp_path / "leaky.log") as leaky,
        MonitoringStack(
            programs,
            tmp_path,
            leaky.url,
            f"{odoo_server.url}/api/v1/alerts/alertmanager",
            automation.api_key,
        ),
    ):
        instance = leaky.url.removeprefix("http://")
        port = int(instance.rpartition(":")[2])
        load = [sys.executable, LOAD, "--url", leaky.url]
        subprocess.run(load, check=True, capture_output=True, timeout=60)

        (alert,) = wait_for("an alert", lambda: alerts_of(orm, instance))
        assert alert["alertname"] == "ConnectionsLeaked"
        assert alert["name"] == f"{instance} leaks database connections"
        assert (alert["status"], alert["state"]) == ("firing", "processed")
        assert alert["source"] == "alertmanager"
        assert alert["sop"] == "SOP-DBCONN-001"
        assert alert["error_code"] == "DB_CONNECTION_LEAK"
        assert alert["severity"] == "high"
        assert alert["user"] == automation.login
        assert (alert["run_state"], alert["alerts"]) == ("in_progress", "firing")
        assert alert["steps"]
        # The watchdog fired, too, and was ignored.
        watchdog = wait_for(
            "the watchdog",
            lambda: orm(
                """
                result = env["qms.alert"].search(
                    [("name", "=", "Alerting works")]
                ).mapped("state")
                """
            ),
        )
        assert set(watchdog) == {"ignored"}

        leaky.stop()
        with ServiceProcess("fixed", dsn, tmp_path / "fixed.log", port=port):
            subprocess.run(load, check=True, capture_output=True, timeout=60)
            wait_for(
                "the end of the alert",
                lambda: alerts_of(orm, instance)[0]["status"] == "resolved",
            )
        (over,) = alerts_of(orm, instance)
    assert over["run"] == alert["run"]
    assert (over["run_state"], over["alerts"]) == ("in_progress", "resolved")
    assert over["resolved_at"] != "False"
    assert "No alert of this run fires any more" in over["notes"]
    logs = "".join(log.read_text() for log in tmp_path.glob("*manager.log"))
    assert "level=error" not in logs and "level=warn" not in logs, logs
    assert automation.api_key not in logs


def test_a_storm_of_deliveries_opens_one_run_each(odoo_workers, orm, automation):
    storm = f"storm-{uuid.uuid4().hex[:8]}"
    fingerprints = [f"{storm}-{number:02}" for number in range(50)]
    deliveries = fingerprints * 20
    random.Random(4).shuffle(deliveries)
    sessions = threading.local()
    tries = []

    def deliver(fingerprint):
        if not hasattr(sessions, "session"):
            sessions.session = requests.Session()
            sessions.session.headers["Authorization"] = f"Bearer {automation.api_key}"
        while True:
            response = sessions.session.post(
                f"{odoo_workers.url}/api/v1/alerts/alertmanager",
                json={
                    "version": "4",
                    "status": "firing",
                    "alerts": [
                        {
                            "status": "firing",
                            "labels": {"alertname": "Storm", "storm": storm},
                            "annotations": {"summary": fingerprint},
                            "startsAt": "2026-01-31T08:15:00.123Z",
                            "fingerprint": fingerprint,
                        }
                    ],
                },
                timeout=60,
            )
            tries.append(response.status_code)
            # What Alertmanager does.
            if response.status_code < 500:
                return response
            assert response.status_code == 503, response.text
            time.sleep(random.uniform(0, int(response.headers["Retry-After"]) / 10))

    started = time.monotonic()
    with ThreadPoolExecutor(24) as executor:
        answers = list(executor.map(deliver, deliveries))
    seconds = time.monotonic() - started

    assert {answer.status_code for answer in answers} == {202}
    runs = {}
    for answer in answers:
        body = answer.json()
        assert body["state"] == "processed", body
        (alert,) = body["alerts"]
        runs.setdefault(alert["fingerprint"], set()).add(alert["run"]["id"])
    assert sorted(runs) == fingerprints
    assert all(len(ids) == 1 for ids in runs.values()), "an outage has several runs"
    assert len(set.union(*runs.values())) == 50
    counted = orm(
        """
        alerts = env["qms.alert"].search([("fingerprint", "=like", f"{storm}-%")])
        result = [
            len(alerts),
            len(alerts.run_id),
            sum(alerts.mapped("delivery_count")),
            env["qms.sop.run"].search_count([("summary", "=like", f"{storm}-%")]),
        ]
        """,
        storm=storm,
    )
    assert counted == [50, 50, 1000, 50]
    print(f"{len(tries)} requests in {seconds:.1f} s, {tries.count(503)} of them 503")


def test_a_locked_database_is_503_and_loses_nothing(odoo_server, orm, automation):
    """What another transaction holds makes the sender come back, not give up."""
    fingerprint = f"locked-{uuid.uuid4().hex[:8]}"
    payload = {
        "title": "Locked out",
        "fingerprint": fingerprint,
        "starts_at": 1769847300,
    }
    url = f"{odoo_server.url}/api/v1/alerts/generic"
    request = {
        "json": payload,
        "headers": {"Authorization": f"Bearer {automation.api_key}"},
        "timeout": 60,
    }
    with closing(
        psycopg2.connect(
            host=odoo_server.pg_host, user=odoo_server.pg_user, dbname=odoo_server.db
        )
    ) as connection:
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE qms_alert IN ACCESS EXCLUSIVE MODE")
            with ThreadPoolExecutor(1) as executor:
                waiting = executor.submit(requests.post, url, **request)
                time.sleep(0.5)
                assert not waiting.done()
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                connection.rollback()
                response = waiting.result()
    assert response.status_code == 503, response.text
    assert response.headers["Retry-After"]
    again = requests.post(url, **request)
    assert again.status_code == 202
    assert again.json()["alerts"][0]["run"]
    count = "result = env['qms.alert'].search_count([('fingerprint', '=', name)])"
    assert orm(count, name=fingerprint) == 1


# === The examples ===


def rules():
    """Return the shipped rules by name."""
    groups = yaml.safe_load((MONITORING / "qms_rules.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_every_rule_names_an_approved_sop_and_a_code_of_the_catalogue(orm):
    known = orm(
        """
        words = env["qms.alert.severity.word"]
        by_word = words._by_word()
        result = {
            "sops": env["qms.sop.document"].search(
                [("state", "=", "approved")]
            ).mapped("code"),
            "codes": env["qms.error.code"].search([]).mapped("name"),
            "severities": [s for s in ("critical", "high", "warning", "low", "info")
                           if words._find(s, by_word)],
        }
        """
    )
    for name, rule in rules().items():
        if name == "Watchdog":
            continue
        labels = rule["labels"]
        assert labels["sop"] in known["sops"], name
        assert labels["error_code"] in known["codes"], name
        assert labels["severity"] in known["severities"], name
        assert rule["annotations"]["summary"], name


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("QMS_PROMTOOL", ["check", "rules", MONITORING / "qms_rules.yml"]),
        (
            "QMS_PROMTOOL",
            ["check", "config", "--syntax-only", MONITORING / "prometheus.yml"],
        ),
        ("QMS_AMTOOL", ["check-config", MONITORING / "alertmanager.yml"]),
    ],
)
def test_the_tools_of_prometheus_accept_the_examples(tool, arguments):
    if not os.environ.get(tool):
        pytest.skip(f"Prometheus and Alertmanager are not there ({WITHOUT})")
    done = subprocess.run(
        [os.environ[tool], *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_the_service_tells_prometheus_of_its_pool(odoo_server, tmp_path):
    pg = {"host": odoo_server.pg_host, "user": odoo_server.pg_user}
    with (
        temporary_database("leaky_metrics", **pg) as dsn,
        ServiceProcess("leaky", dsn, tmp_path / "log") as service,
    ):
        for path in ("/health", "/orders?customer=3", "/nothing/here", "/metrics"):
            requests.get(service.url + path, timeout=30)
        with urllib.request.urlopen(f"{service.url}/metrics", timeout=30) as response:
            assert response.headers["Content-Type"].startswith("text/plain")
            text = response.read().decode()
    lines = dict(
        line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")
    )
    assert lines["db_pool_connections_max"] == "20.0"
    assert lines["db_pool_connections_in_use"] == "0.0"
    assert lines["db_pool_connections_leaked"] == "0.0"
    assert lines['http_requests_total{path="/health",status="200"}'] == "1.0"
    assert lines['http_requests_total{path="other",status="404"}'] == "1.0"
    assert lines['http_request_duration_seconds_count{path="/orders"}'] == "1.0"
    # Strangers do not get to make up series.
    assert "nothing" not in json.dumps(lines)
