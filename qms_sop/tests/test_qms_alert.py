import json
import re
from datetime import timedelta
from unittest.mock import patch

from freezegun import freeze_time
from psycopg2.errors import CheckViolation

from odoo import fields
from odoo.exceptions import MissingError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..tools import standard_webhooks
from .common import QmsSopCommon

START = "2026-01-31T08:15:00Z"


class AlertCommon(QmsSopCommon):
    """A source of the plain shape, and no rules but those of a test."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automation = cls.users["automation"]
        cls.env["qms.alert.rule"].search([]).active = False
        cls.generic = cls.env.ref("qms_sop.qms_alert_source_generic")
        cls.generic.sop_code = cls.sop.code
        cls.alertmanager = cls.env.ref("qms_sop.qms_alert_source_alertmanager")
        cls.before = cls.env["qms.alert.delivery"].search([], limit=1).id or 0

    def rule(self, *matchers, **values):
        return self.env["qms.alert.rule"].create(
            {
                "name": "Test rule",
                "matcher_ids": [
                    Command.create({"label": label, "operator": operator, "value": v})
                    for label, operator, v in matchers
                ],
                **values,
            }
        )

    def window(self, *matchers, hours=(-1, 1), **values):
        now = fields.Datetime.now()
        return (
            self.env["qms.maintenance.window"]
            .with_user(self.operator)
            .create(
                {
                    "name": "New disks",
                    "reason": "db1 gets new disks.",
                    "date_from": now + timedelta(hours=hours[0]),
                    "date_to": now + timedelta(hours=hours[1]),
                    "matcher_ids": [
                        Command.create(
                            {"label": label, "operator": operator, "value": value}
                        )
                        for label, operator, value in matchers
                    ],
                    **values,
                }
            )
        )

    def alert(self, **values):
        """Return an alert of the plain shape."""
        return {
            "title": "Disk full",
            "fingerprint": "disk-db1",
            "starts_at": START,
            "labels": {"host": "db1"},
            **values,
        }

    def deliver(self, *payload, source="generic", user=None):
        """Deliver alerts as the automation does; return them as records."""
        alerts = self.env["qms.alert"].with_user(user or self.automation)
        body = list(payload) or [self.alert()]
        answer = alerts.receive(source, body)
        self.answer = answer
        return self.env["qms.alert"].browse([one["id"] for one in answer["alerts"]])

    def deliveries(self):
        """Return what was delivered since the test began, the newest first."""
        return self.env["qms.alert.delivery"].search([("id", ">", self.before)])

    def notes(self, run):
        """Return what the chatter of a run says, without markup."""
        return re.sub(r"<[^>]+>", " ", " ".join(run.message_ids.mapped("body")))


@tagged("post_install", "-at_install")
class TestIntake(AlertCommon):
    def test_an_alert_opens_a_run(self):
        alert = self.deliver(
            self.alert(
                description="No space left on device",
                severity="P1",
                url="https://m.example.com/1",
            )
        )
        self.assertEqual(alert.state, "processed")
        self.assertEqual(alert.name, "Disk full")
        self.assertEqual(alert.severity_id.code, "high")
        self.assertEqual(
            alert.starts_at, fields.Datetime.to_datetime("2026-01-31 08:15:00")
        )
        run = alert.run_id
        self.assertEqual(run.sop_id, self.sop)
        self.assertEqual(run.state, "in_progress")
        self.assertEqual(run.trigger, "automated")
        self.assertEqual(run.severity, "high")
        self.assertEqual(run.source, "Plain JSON")
        self.assertEqual(run.user_id, self.automation)
        self.assertEqual(
            run.summary,
            "Disk full\nNo space left on device\nhost=db1\nhttps://m.example.com/1",
        )
        # Nobody named a code; the catalogue knows the words.
        self.assertEqual(run.error_code_id.name, "DISK_FULL")
        self.assertEqual(len(run.step_ids), 3)
        self.assertEqual((run.alert_count, run.firing_alert_count), (1, 1))
        self.assertEqual(run.alert_state, "firing")
        self.assertEqual(
            self.answer,
            {
                "id": self.deliveries().id,
                "state": "processed",
                "error": False,
                "alerts": [
                    {
                        "id": alert.id,
                        "fingerprint": "disk-db1",
                        "status": "firing",
                        "state": "processed",
                        "note": False,
                        "run": {
                            "id": run.id,
                            "name": run.name,
                            "state": "in_progress",
                        },
                    }
                ],
            },
        )

    def test_the_same_outage_has_one_run(self):
        first = self.deliver()
        for _time in range(3):
            self.assertEqual(self.deliver(), first)
        self.assertEqual(first.delivery_count, 4)
        self.assertEqual(len(first.run_id.alert_ids), 1)
        later = self.deliver(self.alert(starts_at="2026-02-01T08:15:00Z"))
        self.assertNotEqual(later.run_id, first.run_id)
        other = self.deliver(self.alert(fingerprint="disk-db2"))
        self.assertNotEqual(other.run_id, first.run_id)

    def test_twice_in_one_payload(self):
        alert = self.deliver(self.alert(), self.alert())
        self.assertEqual(len(alert), 1)
        both = self.alert(fingerprint="x")
        alert = self.deliver({**both, "status": "resolved"}, both)
        self.assertEqual((alert.status, alert.state), ("resolved", "ignored"))

    def test_resolved(self):
        alert = self.deliver()
        run = alert.run_id
        again = self.deliver(
            self.alert(status="resolved", ends_at="2026-01-31T09:00:00Z")
        )
        self.assertEqual(again, alert)
        self.assertEqual(alert.status, "resolved")
        self.assertEqual(alert.duration, 45)
        self.assertEqual(run.alert_state, "resolved")
        self.assertEqual(run.firing_alert_count, 0)
        self.assertEqual(run.alerts_resolved_at, alert.ends_at)
        self.assertEqual(run.state, "in_progress")
        self.assertIn("Disk full", self.notes(run))
        self.assertIn("No alert of this run fires any more", self.notes(run))
        # Sent again, it is not noted again.
        messages = len(run.message_ids)
        self.deliver(self.alert(status="resolved"))
        self.assertEqual(len(run.message_ids), messages)

    def test_a_late_copy_does_not_revive_an_outage(self):
        alert = self.deliver()
        self.deliver(self.alert(status="resolved"))
        self.assertEqual(self.deliver(), alert)
        self.assertEqual(alert.status, "resolved")
        self.assertEqual(alert.run_id.alert_state, "resolved")

    def test_over_before_it_was_reported(self):
        alert = self.deliver(self.alert(status="ok"))
        self.assertEqual((alert.status, alert.state), ("resolved", "ignored"))
        self.assertFalse(alert.run_id)
        self.assertIn("over before", alert.note)

    def test_resolved_completes_the_run_when_it_can(self):
        self.rule(complete_on_resolved=True, sop_code=self.sop.code)
        alert = self.deliver()
        run = alert.run_id
        self.deliver(self.alert(status="resolved"))
        self.assertEqual(run.state, "in_progress")
        self.assertIn("cannot be completed: step 1", self.notes(run))

        alert = self.deliver(self.alert(starts_at="2026-02-01T08:15:00Z"))
        run = alert.run_id
        self.work(run)
        self.deliver(self.alert(starts_at="2026-02-01T08:15:00Z", status="resolved"))
        self.assertEqual(run.state, "completed")
        self.assertIn("alerts of this run were resolved", run.resolution)

    def test_a_finished_run_stays_sealed_when_its_alert_ends(self):
        alert = self.deliver()
        run = self.work(alert.run_id)
        run.with_user(self.operator).complete("New disk.")
        self.deliver()
        self.assertEqual((alert.run_id, run.firing_alert_count), (run, 1))
        self.deliver(self.alert(status="resolved"))
        self.assertEqual((run.state, run.alert_state), ("completed", "resolved"))
        self.assertEqual(run.resolution, "New disk.")

    def test_without_a_start(self):
        with freeze_time("2026-01-31 08:00:00"):
            alert = self.deliver(self.alert(starts_at=None))
        self.assertFalse(alert.start_known)
        with freeze_time("2026-01-31 09:00:00"):
            self.assertEqual(self.deliver(self.alert(starts_at=None)), alert)
            ended = self.deliver(self.alert(starts_at=None, status="ok"))
            self.assertEqual(ended, alert)
        self.assertEqual(alert.duration, 60)
        self.assertEqual(self.deliver(self.alert(starts_at=None, status="ok")), alert)
        with freeze_time("2026-02-01 08:00:00"):
            later = self.deliver(self.alert(starts_at=None))
        self.assertNotEqual(later, alert)
        self.assertNotEqual(later.run_id, alert.run_id)

    def test_alertmanager_payload(self):
        payload = json.loads(self.alertmanager.example_payload)
        answer = (
            self.env["qms.alert"]
            .with_user(self.automation)
            .receive("alertmanager", payload)
        )
        self.assertEqual((answer["state"], answer["error"]), ("processed", False))
        alert = self.env["qms.alert"].browse(answer["alerts"][0]["id"])
        self.assertEqual(alert.run_id.sop_code, "SOP-TRIAGE-001")
        self.assertIn("db1:9187", alert.labels_html)
        self.assertIn("80 %", alert.name)

    def test_grafana_payload(self):
        # Shortened from Grafana's own documentation of its webhook
        payload = {
            "receiver": "My Super Webhook",
            "status": "firing",
            "orgId": 1,
            "alerts": [
                {
                    "status": "firing",
                    "labels": {
                        "alertname": "High memory usage",
                        "team": "blue",
                        "zone": "us-1",
                    },
                    "annotations": {
                        "description": "The system has high memory usage",
                        "runbook_url": "https://example.com/runbook/1234",
                        "summary": "This alert was triggered for zone us-1",
                    },
                    "startsAt": "2021-10-12T09:51:03.157076+02:00",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "https://play.grafana.org/alerting/1afz29v7z/edit",
                    "fingerprint": "c6eadffa33fcdf37",
                    "dashboardURL": "",
                    "panelURL": "",
                    "values": {"B": 44.23943737541908, "C": 1},
                }
            ],
            "version": "1",
            "title": "[FIRING:2]  (High memory usage blue)",
        }
        answer = (
            self.env["qms.alert"].with_user(self.automation).receive("grafana", payload)
        )
        alert = self.env["qms.alert"].browse(answer["alerts"][0]["id"])
        self.assertEqual(alert.fingerprint, "c6eadffa33fcdf37")
        self.assertEqual(alert.name, "This alert was triggered for zone us-1")
        self.assertEqual(alert.url, "https://play.grafana.org/alerting/1afz29v7z/edit")
        self.assertEqual(str(alert.starts_at), "2021-10-12 07:51:03")
        self.assertEqual(alert.run_id.sop_code, "SOP-TRIAGE-001")

    def test_a_source_of_ones_own(self):
        self.env["qms.alert.source"].create(
            {
                "name": "Uptime Kuma",
                "code": "uptime-kuma",
                "sop_id": self.sop.id,
                "path_fingerprint": "monitor.id",
                "path_title": "join(': ', [monitor.name, msg])",
                "path_status": "heartbeat.status == `1` && 'ok' || 'down'",
                "path_url": "monitor.url",
            }
        )
        down = {
            "heartbeat": {"status": 0},
            "monitor": {"id": 7, "name": "Shop", "url": "https://shop.example.com"},
            "msg": "timeout",
        }
        alert = self.deliver(down, source="uptime-kuma")
        self.assertEqual(alert.name, "Shop: timeout")
        self.assertEqual((alert.fingerprint, alert.status), ("7", "firing"))
        self.assertEqual(alert.run_id.sop_id, self.sop)
        up = {**down, "heartbeat": {"status": 1}}
        self.assertEqual(self.deliver(up, source="uptime-kuma").status, "resolved")

    def test_unknown_source(self):
        with self.assertRaisesRegex(MissingError, "no alert source “nothing”"):
            self.deliver(source="nothing")
        self.generic.active = False
        with self.assertRaisesRegex(MissingError, "no alert source “generic”"):
            self.deliver()

    def test_settings_of_a_source_are_checked(self):
        for number, (values, words) in enumerate(
            (
                ({"code": "With Space"}, "becomes part of an address"),
                ({"code": "-x"}, "becomes part of an address"),
                ({"code": "metrics"}, "becomes part of an address"),
                ({"path_title": "a..b"}, "Title: “a..b” is not a JMESPath expression"),
                ({"sop_code": "SOP-NONE-001"}, "no SOP with the code 'SOP-NONE-001'"),
                ({"signing_secret": "whsec_abc"}, "Signing secret: it is not accepted"),
            )
        ):
            with self.subTest(values), self.assertRaisesRegex(ValidationError, words):
                self.env["qms.alert.source"].create(
                    {"name": "Bad", "code": f"bad{number}", **values}
                )

    def test_cost(self):
        """A delivery takes as many queries for 50 alerts as for 5, plus the runs."""
        self.rule(("host", "=", "db1"), action="ignore")

        def batch(name, count):
            return [self.alert(fingerprint=f"{name}{n}") for n in range(count)]

        def cost(*payload):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.deliver(*payload)
            self.env.flush_all()
            return self.env.cr.sql_log_count - before

        cost(*batch("warm", 2))
        few, many = cost(*batch("few", 5)), cost(*batch("many", 50))
        self.assertEqual(few, many)
        self.assertLessEqual(many, 21)
        again = cost(*batch("many", 50))
        self.assertLessEqual(again, many)
        ended = cost(*({**one, "status": "ok"} for one in batch("many", 50)))
        self.assertLessEqual(ended, many + 2)

        self.env["qms.alert.rule"].search([]).active = False
        cost(*batch("warm run", 1))
        one = cost(*batch("one", 1))
        five, ten = cost(*batch("five", 5)), cost(*batch("ten", 10))
        per_run = (ten - five) / 5
        self.assertLessEqual(per_run, 13)
        self.assertLessEqual(one, 38)


@tagged("post_install", "-at_install")
class TestRules(AlertCommon):
    def test_the_first_rule_that_matches_decides(self):
        ignored = self.rule(("host", "=~", "db.*"), action="ignore", sequence=5)
        other = self.approved_sop("SOP-OTHER-001")
        self.rule(sop_code=other.code, sequence=7)
        alert = self.deliver()
        self.assertEqual((alert.state, alert.rule_id), ("ignored", ignored))
        self.assertIn("Test rule", alert.note)
        alert = self.deliver(self.alert(fingerprint="w", labels={"host": "web"}))
        self.assertEqual(alert.run_id.sop_id, other)
        ignored.sequence = 9
        alert = self.deliver(self.alert(fingerprint="y"))
        self.assertEqual(alert.run_id.sop_id, other)

    def test_rules_of_other_sources_do_not_count(self):
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        self.rule(action="ignore", source_id=self.alertmanager.id)
        self.rule(action="ignore", company_id=elsewhere.id)
        self.assertEqual(self.deliver().state, "processed")
        with self.assertRaisesRegex(ValidationError, "would never be tried"):
            self.rule(source_id=self.generic.id, company_id=elsewhere.id)
        self.rule(action="ignore", source_id=self.generic.id)
        self.assertEqual(self.deliver(self.alert(fingerprint="x")).state, "ignored")

    def test_conditions_on_what_is_no_label(self):
        self.rule(
            ("title", "=", "Disk full"), ("source", "=", "generic"), action="ignore"
        )
        self.assertEqual(self.deliver().state, "ignored")
        # A label of that name comes first.
        alert = self.deliver(self.alert(fingerprint="x", labels={"title": "Mine"}))
        self.assertEqual(alert.state, "processed")

    def test_labels_say_sop_code_and_severity(self):
        other = self.approved_sop("SOP-OTHER-001")
        self.rule(
            sop_label="sop",
            error_code_label="error_code",
            severity_id=self.env["qms.severity"]._resolve("low").id,
            sop_code=self.sop.code,
        )
        labels = {"sop": other.code, "error_code": "DB_DEADLOCK"}
        run = self.deliver(self.alert(labels=labels, severity="warning")).run_id
        self.assertEqual(run.sop_id, other)
        self.assertEqual(run.error_code_id.name, "DB_DEADLOCK")
        self.assertEqual(run.severity, "medium")
        alert = self.deliver(
            self.alert(
                fingerprint="x",
                labels={"sop": "SOP-GONE-001", "error_code": "NO_SUCH"},
                severity="purple",
            )
        )
        self.assertEqual(alert.run_id.sop_id, self.sop)
        self.assertEqual(alert.run_id.error_code_id.name, "DISK_FULL")
        self.assertEqual(alert.run_id.severity, "low")
        self.assertIn("no approved SOP SOP-GONE-001", alert.note)
        self.assertIn("no error code NO_SUCH", alert.note)

    def test_fixed_code_and_severity(self):
        self.rule(
            error_code_id=self.env["qms.error.code"]._resolve("DB_DEADLOCK").id,
            severity_from_alert=False,
            severity_id=self.env["qms.severity"]._resolve("critical").id,
        )
        run = self.deliver(self.alert(severity="low")).run_id
        self.assertEqual(run.error_code_id.name, "DB_DEADLOCK")
        self.assertEqual(run.severity, "critical")

    def test_nothing_is_classified_when_the_rule_says_so(self):
        self.rule(classify=False)
        run = self.deliver(self.alert(title="No space left on device")).run_id
        self.assertFalse(run.error_code_id)

    def test_the_effective_revision_is_run(self):
        self.rule(sop_code=self.sop.code)
        new = self.sop.with_user(self.author)._new_revision()
        new.change_summary = "Better."
        self.approve(new)
        self.assertEqual(self.deliver().run_id.sop_id, new)

    def test_no_approved_sop(self):
        rule = self.rule(sop_code=self.sop.code)
        self.generic.sop_code = False
        self.sop.with_user(self.manager).action_obsolete()
        alert = self.deliver()
        self.assertEqual((alert.state, alert.rule_id), ("failed", rule))
        self.assertFalse(alert.run_id)
        self.assertIn("no approved SOP SOP-TEST-001", alert.note)
        delivery = self.deliveries()
        self.assertEqual(delivery.state, "error")
        self.assertIn("Disk full: There is no approved SOP", delivery.error)
        rule.sop_code = self.approved_sop("SOP-OTHER-001").code
        alert.with_user(self.operator).action_process()
        self.assertEqual(alert.state, "processed")
        self.assertEqual(alert.run_id.sop_code, "SOP-OTHER-001")

    def test_group_by_labels(self):
        self.rule(action="group", group_by="cluster, zone")
        one, two, other = self.deliver(
            self.alert(fingerprint="1", labels={"cluster": "a", "host": "1"}),
            self.alert(fingerprint="2", labels={"cluster": "a", "host": "2"}),
            self.alert(fingerprint="3", labels={"cluster": "b", "host": "3"}),
        )
        self.assertEqual(one.run_id, two.run_id)
        self.assertNotEqual(one.run_id, other.run_id)
        third = self.deliver(
            self.alert(fingerprint="4", title="Third", labels={"cluster": "a"})
        )
        run = third.run_id
        self.assertEqual(run, one.run_id)
        self.assertEqual((run.alert_count, run.firing_alert_count), (3, 3))
        self.assertIn("Third", self.notes(run))
        self.deliver(self.alert(fingerprint="1", status="ok"))
        self.assertEqual((run.alert_state, run.firing_alert_count), ("firing", 2))
        self.assertFalse(run.alerts_resolved_at)
        self.deliver(
            self.alert(fingerprint="2", status="ok"),
            self.alert(fingerprint="4", status="ok"),
        )
        self.assertEqual(run.alert_state, "resolved")
        # A new alert of the group makes it fire again.
        self.deliver(self.alert(fingerprint="5", labels={"cluster": "a"}))
        self.assertEqual((run.alert_state, run.firing_alert_count), ("firing", 1))
        self.assertFalse(run.alerts_resolved_at)

    def test_group_by_sop(self):
        self.rule(action="group")
        alerts = self.deliver(
            *(self.alert(fingerprint=str(n), labels={"n": n}) for n in range(20))
        )
        run = alerts.run_id
        self.assertEqual(len(run), 1)
        self.assertIn("and 9 more", self.notes(run))
        self.work(run).with_user(self.operator).complete("Done.")
        self.assertNotEqual(self.deliver(self.alert(fingerprint="x")).run_id, run)

    def test_it_comes_back_while_the_run_is_open(self):
        self.rule(reopen_minutes=30)
        alert = self.deliver()
        self.deliver(self.alert(status="ok", ends_at="2026-01-31T08:30:00Z"))
        soon = self.deliver(self.alert(starts_at="2026-01-31T09:00:00Z"))
        self.assertNotEqual(soon, alert)
        self.assertEqual(soon.run_id, alert.run_id)
        self.assertIn("came back", soon.note)
        self.assertEqual(soon.run_id.alert_state, "firing")
        self.assertIn("More alerts belong to this run", self.notes(soon.run_id))
        self.deliver(
            self.alert(
                starts_at="2026-01-31T09:00:00Z",
                status="ok",
                ends_at="2026-01-31T09:10:00Z",
            )
        )
        late = self.deliver(self.alert(starts_at="2026-01-31T09:41:00Z"))
        self.assertNotEqual(late.run_id, alert.run_id)
        self.assertFalse(late.run_id.previous_run_id)

    def test_it_comes_back_after_the_run_has_ended(self):
        self.rule(reopen_minutes=30)
        with freeze_time("2026-01-31 08:20:00"):
            alert = self.deliver()
            run = self.work(alert.run_id)
            run.with_user(self.operator).complete("Restarted.")
            self.deliver(self.alert(status="ok", ends_at="2026-01-31T08:19:00Z"))
        with freeze_time("2026-01-31 08:50:00"):
            soon = self.deliver(self.alert(starts_at="2026-01-31T08:50:00Z"))
        follow_up = soon.run_id
        self.assertNotEqual(follow_up, run)
        self.assertEqual(follow_up.previous_run_id, run)
        self.assertEqual(run.follow_up_ids, follow_up)
        self.assertIn(f"after {run.name} had ended", soon.note)
        self.assertEqual(run.state, "completed")
        with self.assertRaisesRegex(UserError, "the system writes it"):
            follow_up.with_user(self.manager).previous_run_id = False

    def test_zero_minutes_means_always_a_new_run(self):
        self.rule(reopen_minutes=0)
        alert = self.deliver()
        self.deliver(self.alert(status="ok", ends_at=START))
        again = self.deliver(self.alert(starts_at="2026-01-31T08:15:01Z"))
        self.assertNotEqual(again.run_id, alert.run_id)
        self.assertFalse(again.run_id.previous_run_id)

    def test_patterns_and_codes_are_checked(self):
        with self.assertRaisesRegex(ValidationError, r"host: the pattern “\(” is not"):
            self.rule(("host", "=~", "("))
        with self.assertRaisesRegex(ValidationError, "no SOP with the code"):
            self.rule(sop_code="SOP-NONE-001")

    def test_shipped_rules(self):
        self.env["qms.alert.rule"].with_context(active_test=False).search(
            []
        ).active = True
        watchdog, named, other = self.deliver(
            self.alert(fingerprint="1", labels={"alertname": "Watchdog"}),
            self.alert(fingerprint="2", labels={"sop": self.sop.code}),
            self.alert(fingerprint="3"),
        )
        self.assertEqual(watchdog.state, "ignored")
        self.assertEqual(named.run_id.sop_id, self.sop)
        self.assertEqual(other.run_id.sop_code, "SOP-TRIAGE-001")


@tagged("post_install", "-at_install")
class TestMaintenance(AlertCommon):
    def test_alerts_inside_open_no_run(self):
        window = self.window(("host", "=~", "db.*"))
        alert = self.deliver()
        self.assertEqual((alert.state, alert.maintenance_id), ("suppressed", window))
        self.assertFalse(alert.run_id)
        self.assertEqual(window.alert_count, 1)
        self.assertIn("New disks", alert.note)
        web = self.deliver(self.alert(fingerprint="w", labels={"host": "web"}))
        self.assertEqual(web.state, "processed")

    def test_windows_that_do_not_cover_it(self):
        self.window(hours=(1, 2))
        self.window(hours=(-2, -1))
        self.window(active=False)
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        self.env["qms.maintenance.window"].create(
            {
                "name": "Elsewhere",
                "reason": "Other company.",
                "company_id": elsewhere.id,
            }
        )
        self.assertEqual(self.deliver().state, "processed")

    def test_what_still_fires_after_it_opens_a_run_at_its_next_delivery(self):
        window = self.window()
        alert = self.deliver()
        window.action_end()
        self.assertEqual(window.state, "over")
        self.assertEqual(self.deliver(), alert)
        self.assertEqual(alert.state, "processed")
        self.assertEqual(alert.maintenance_id, window)
        self.assertTrue(alert.run_id)

    def test_what_is_never_delivered_again_opens_a_run_all_the_same(self):
        cron = self.env.ref("qms_sop.ir_cron_release_alerts")
        window = self.window()
        triggers = self.env["ir.cron.trigger"].search([("cron_id", "=", cron.id)])
        self.assertIn(window.date_to, triggers.mapped("call_at"))
        alert, over = self.deliver(self.alert(), self.alert(fingerprint="x"))
        self.deliver(self.alert(fingerprint="x", status="ok"))
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
        self.assertEqual(alert.state, "suppressed")
        window.action_end()
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
        self.assertEqual(alert.state, "processed")
        self.assertTrue(alert.run_id)
        self.assertEqual(over.state, "suppressed")

    def test_an_archived_window_holds_nothing_back(self):
        window = self.window()
        alert = self.deliver()
        window.active = False
        with self.enter_registry_test_mode():
            self.env.ref("qms_sop.ir_cron_release_alerts").method_direct_trigger()
        self.assertEqual(alert.state, "processed")

    def test_what_ended_in_the_window_opens_none(self):
        window = self.window()
        alert = self.deliver()
        self.deliver(self.alert(status="ok"))
        window.action_end()
        self.deliver(self.alert(status="ok"))
        self.assertEqual((alert.status, alert.state), ("resolved", "suppressed"))
        self.assertFalse(alert.run_id)

    def test_states_can_be_searched(self):
        planned, active = self.window(hours=(1, 2)), self.window()
        over = self.window(hours=(-2, -1))
        windows = planned | active | over
        self.assertEqual(windows.mapped("state"), ["planned", "active", "over"])
        for state, expected in (
            ("planned", planned),
            ("active", active),
            ("over", over),
        ):
            found = windows.search([("state", "=", state), ("id", "in", windows.ids)])
            self.assertEqual(found, expected)
        found = windows.search([("state", "!=", "over"), ("id", "in", windows.ids)])
        self.assertEqual(found, planned | active)

    def test_overlaps_are_shown(self):
        one, two = self.window(hours=(0, 4)), self.window(hours=(3, 5))
        apart = self.window(hours=(5, 6))
        self.assertEqual(one.overlap_ids, two)
        self.assertFalse(apart.overlap_ids)

    def test_a_window_that_is_over_is_a_record(self):
        window = self.window(("host", "=", "db1"))
        self.deliver()
        window.action_end()
        operator = window.with_user(self.operator)
        for call in (
            lambda: operator.write({"date_to": "2030-01-01 00:00:00"}),
            lambda: operator.write({"date_from": "2020-01-01 00:00:00"}),
            lambda: operator.matcher_ids.write({"value": "web"}),
            lambda: operator.matcher_ids.unlink(),
            lambda: operator.write({"matcher_ids": [Command.clear()]}),
            lambda: operator.action_end(),
            lambda: operator.unlink(),
        ):
            with self.assertRaises(UserError):
                call()
        operator.reason = "db1 got new disks."
        planned = self.window(hours=(1, 2)).with_user(self.operator)
        planned.unlink()

    def test_refused(self):
        with self.assertRaisesRegex(ValidationError, "Reason: say what"):
            self.window(reason=" ")
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(CheckViolation),
        ):
            self.window(hours=(2, 1))


@tagged("post_install", "-at_install")
class TestDeliveries(AlertCommon):
    def send(self, body, source="generic", headers=None):
        deliveries = self.env["qms.alert.delivery"].with_user(self.automation)
        return deliveries._deliver(source, body, headers)

    def test_what_cannot_be_read_is_kept_and_can_be_processed_again(self):
        problems = self.alertmanager.problem_count
        for body in (b"\xff\x00 no JSON", b'{"nothing": 1}', b"[1]"):
            answer = self.send(body, "alertmanager")
            self.assertEqual(answer["state"], "unprocessable")
            self.assertTrue(answer["error"])
        deliveries = self.deliveries()
        self.assertEqual(len(deliveries), 3)
        self.assertEqual(deliveries[-1].body, "\\xff\\x00 no JSON")
        source = self.alertmanager.with_user(self.manager)
        self.assertEqual(source.problem_count, problems + 3)

        self.generic.path_title = "headline"
        body = json.dumps([self.alert(), self.alert(fingerprint="y", headline="Y")])
        answer = self.send(body.encode())
        self.assertEqual(answer["state"], "error")
        self.assertIn("alerts[0]: title: “headline” finds nothing", answer["error"])
        self.assertEqual([one["fingerprint"] for one in answer["alerts"]], ["y"])
        delivery = self.deliveries()[0]
        run = delivery.alert_ids.run_id
        self.generic.path_title = "title"
        delivery.with_user(self.manager).action_process()
        self.assertEqual((delivery.state, delivery.error), ("processed", False))
        self.assertEqual(len(delivery.alert_ids), 2)
        self.assertIn(run, delivery.alert_ids.run_id)
        self.assertEqual(delivery.alert_ids.mapped("delivery_count"), [1, 1])

    def test_nested_too_deeply(self):
        for depth in (300, 900, 990, 100_000):
            deep = b"[" * depth + b"]" * depth
            for body in (deep, b'{"title": "Deep", "labels": {"a": ' + deep + b"}}"):
                with self.subTest(depth):
                    answer = self.send(body)
                    if answer["state"] == "unprocessable":
                        self.assertRegex(
                            answer["error"], "nested too deeply|an object is needed"
                        )
                    else:
                        self.assertEqual(answer["state"], "processed")
        self.assertIn("nested too deeply", answer["error"])

    def test_strange_values(self):
        answer = self.send(
            rb'[{"title": 1e400, "labels": {"": 1e400, "\ud800": "\u0000"},'
            b' "starts_at": -62135596800, "severity": [null], "url": {}},'
            b' {"title": "Late", "starts_at": 253402300799, "status": "ok"}]'
        )
        self.assertEqual(answer["state"], "processed", answer["error"])
        alerts = self.env["qms.alert"].browse([a["id"] for a in answer["alerts"]])
        self.assertEqual(set(alerts.mapped("name")), {"Infinity", "Late"})

    def test_too_large(self):
        answer = self.send(b"[" + b" " * (1 << 20) + b"]")
        self.assertEqual(answer["state"], "unprocessable")
        delivery = self.deliveries()
        self.assertEqual((delivery.size, len(delivery.body)), ((1 << 20) + 2, 1 << 20))
        self.assertIn("max_alerts", delivery.error)
        with self.assertRaisesRegex(UserError, "only its beginning was kept"):
            delivery.action_process()

    def test_what_the_server_cannot_do_is_kept(self):
        broken = patch.object(
            type(self.env["qms.alert"]), "_handle", side_effect=KeyError("bug")
        )
        with broken, mute_logger("odoo.addons.qms_sop.models.alert.qms_alert_delivery"):
            answer = self.send(json.dumps(self.alert()).encode())
        self.assertEqual((answer["state"], answer["alerts"]), ("error", []))
        self.assertIn("KeyError", answer["error"])
        self.assertNotIn("bug", answer["error"])
        delivery = self.deliveries()
        delivery.action_process()
        self.assertEqual(delivery.state, "processed")
        self.assertTrue(delivery.alert_ids.run_id)

    def test_signed(self):
        self.generic.action_new_secret()
        secret = self.generic.signing_secret
        body = json.dumps(self.alert()).encode()
        now = 1769847300

        def headers(key=secret, **changes):
            return {
                "webhook-id": "msg_1",
                "webhook-timestamp": str(now),
                "webhook-signature": standard_webhooks.sign(key, "msg_1", now, body),
                **changes,
            }

        clock = patch(
            "odoo.addons.qms_sop.models.alert.qms_alert_source.time.time",
            return_value=now,
        )
        with clock:
            for bad in (
                None,
                {},
                headers(standard_webhooks.new_secret()),
                headers(**{"webhook-timestamp": str(now - 301)}),
            ):
                with self.assertRaisesRegex(Exception, "have to be signed") as caught:
                    self.send(body, headers=bad)
                self.assertNotIn(secret, str(caught.exception))
            self.assertFalse(self.deliveries())
            first = self.send(body, headers=headers())
            self.assertEqual(first["state"], "processed")
            # The same message again, by a sender that missed the answer.
            self.assertEqual(self.send(body, headers=headers()), first)
        self.assertEqual(len(self.deliveries()), 1)
        with self.assertRaisesRegex(Exception, "have to be signed"):
            self.deliver()

    def test_old_payloads_go_and_the_count_stays(self):
        alert = self.deliver()
        self.deliver()
        self.send(b"nonsense")
        kept = self.deliveries().filtered(lambda one: one.state != "processed")
        self.deliveries().write(
            {"received_at": fields.Datetime.subtract(fields.Datetime.now(), days=31)}
        )
        alert.invalidate_recordset()
        seen = alert.last_seen
        self.deliver()
        self.env["qms.alert.delivery"]._gc_old_deliveries()
        self.assertEqual(len(self.deliveries()), 2)
        self.assertTrue(kept.exists())
        alert.invalidate_recordset()
        self.assertEqual(alert.delivery_count, 3)
        self.assertEqual(alert.past_seen, seen)
        self.assertGreater(alert.last_seen, seen)
