from datetime import timedelta

from odoo.fields import Datetime
from odoo.tests import Form, tagged

from ..models.res_config_settings import AUTOMATIC
from .common import QmsIncidentCommon


@tagged("post_install", "-at_install")
class TestQmsIncidentOutage(QmsIncidentCommon):
    """One outage is one incident, however many runs and alerts it has."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["ir.config_parameter"].set_param(AUTOMATIC, "critical")
        cls.source = cls.env.ref("qms_sop.qms_alert_source_alertmanager")
        cls.source.sop_code = cls.sop.code

    def deliver(self, *alerts, source="alertmanager"):
        """Have alerts delivered as one group; return them.

        :param alerts: names; each is a fingerprint as well
        """
        started = Datetime.now() - timedelta(minutes=len(alerts) + 3)
        reports = [
            {
                "status": "firing",
                "labels": {"alertname": name, "severity": "critical"},
                "annotations": {},
                "startsAt": f"{started + timedelta(seconds=at):%Y-%m-%dT%H:%M:%SZ}",
                "endsAt": "0001-01-01T00:00:00Z",
                "fingerprint": name,
            }
            for at, name in enumerate(alerts)
        ]
        payload = {
            "version": "4",
            "groupKey": "{}:{}",
            "status": "firing",
            "receiver": "odoo",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager",
            "alerts": reports,
        }
        robot = self.users["automation"]
        answer = self.env["qms.alert"].with_user(robot).receive(source, payload)
        self.assertEqual(answer["state"], "processed", answer)
        return self.env["qms.alert"].browse(one["id"] for one in answer["alerts"])

    def finish(self, runs):
        for run in runs:
            self.work(run).complete("Mended")

    def test_runs_of_one_key_join_until_it_is_resolved(self):
        first = self.start_run(severity="critical", dedup_key="shop")
        incident = first.incident_id
        self.finish(first)
        second = self.start_run(severity="critical", dedup_key="shop")
        self.assertNotEqual(second, first)
        self.assertEqual(second.incident_id, incident)
        other = self.start_run(severity="critical", dedup_key="bank")
        self.assertNotEqual(other.incident_id, incident)
        self.finish(second)
        incident.move("triaged")
        incident.move("resolved")
        third = self.start_run(severity="critical", dedup_key="shop")
        self.assertTrue(third.incident_id)
        self.assertNotEqual(third.incident_id, incident)

    def test_alerts_of_one_group_are_one_incident(self):
        alerts = self.deliver("PoolExhausted", "ErrorsHigh", "Slow")
        self.assertEqual(len(alerts.run_id), 3)
        self.assertEqual(len(alerts.incident_id), 1)
        self.assertEqual(alerts.incident_id.alert_count, 3)
        # Alertmanager sends the whole group again when another one fires.
        more = self.deliver("PoolExhausted", "ErrorsHigh", "Slow", "QueueFull")
        self.assertEqual(more.incident_id, alerts.incident_id)
        apart = self.deliver("DiskFull")
        self.assertNotEqual(apart.incident_id, alerts.incident_id)

    def test_an_alert_that_comes_back_joins(self):
        alert = self.deliver("PoolExhausted")
        self.finish(alert.run_id)
        again = self.deliver("PoolExhausted", "Other")
        self.assertFalse(again & alert)
        self.assertFalse(again.run_id & alert.run_id)
        self.assertEqual(again.incident_id, alert.incident_id)
        self.assertEqual(alert.incident_id.alert_count, 3)

    def test_a_run_joins_the_incident_of_its_alert(self):
        # Whoever was quicker than the monitoring has opened it already.
        generic = self.env.ref("qms_sop.qms_alert_source_generic")
        generic.sop_code = False
        alert = self.deliver_failing("PoolExhausted")
        self.assertFalse(alert.run_id)
        alert.with_user(self.operator).action_open_incident()
        incident = alert.incident_id
        generic.sop_code = self.sop.code
        alert.with_user(self.manager).action_process()
        self.assertTrue(alert.run_id)
        self.assertEqual(alert.run_id.incident_id, incident)
        self.assertEqual(incident.alert_count, 1)

    def deliver_failing(self, name):
        """Have an alert delivered that finds no SOP; return it."""
        self.env["qms.alert.rule"].search([]).active = False
        self.env["qms.alert"].with_user(self.users["automation"]).receive(
            "generic", {"title": name, "severity": "critical"}
        )
        return self.env["qms.alert"].search([("name", "=", name)])

    def test_start_a_run_from_an_incident(self):
        incident = self.open(severity="critical", error_code="DB_DEADLOCK")
        action = incident.action_start_run()
        starts = self.env["qms.sop.run.start"].with_user(self.operator)
        dialog = Form(starts.with_context(**action["context"]))
        dialog.sop_id = self.sop
        self.assertEqual(dialog.summary, incident.title)
        self.assertEqual(dialog.severity_id, incident.severity_id)
        started = dialog.save().action_start()
        run = self.env["qms.sop.run"].browse(started["res_id"])
        self.assertEqual(run.incident_id, incident)
        self.assertEqual(incident.run_ids, run)
        self.assertEqual(run.detected_at, incident.detected_at)
        self.assertEqual(
            self.env["qms.incident"].search_count([("id", ">", incident.id)]), 0
        )

    def test_actions_of_its_runs_count(self):
        incident = self.open()
        run = self.start_run()
        incident.link_run(run.id)
        own = incident.create_action("Limit the pool")
        other = self.env["qms.action"].with_user(self.operator)
        of_run = other.create_action("Alert on the pool", run_id=run.id)
        empty = self.open()
        self.assertEqual((incident | empty).mapped("action_count"), [2, 0])
        self.assertEqual(incident.open_action_count, 2)
        shown = self.env["qms.action"].search(incident.action_view_actions()["domain"])
        self.assertEqual(set(shown.ids), {own["id"], of_run["id"]})

    def test_unknown_is_not_none(self):
        unknown, nobody, some = self.open(), self.open(), self.open()
        nobody.users_affected, some.users_affected = 0, 7
        all_three = unknown | nobody | some

        def found(*condition):
            domain = [("id", "in", all_three.ids), ("users_affected", *condition)]
            searched = self.env["qms.incident"].search(domain)
            self.assertEqual(searched, all_three.filtered_domain(domain).sorted())
            return searched

        self.assertEqual(found("=", False), unknown)
        self.assertEqual(found("!=", False), (nobody | some).sorted())
        self.assertEqual(found("=", 0), nobody)
        self.assertEqual(found("<", 5), nobody)
        self.assertEqual(found(">=", 0), (nobody | some).sorted())
