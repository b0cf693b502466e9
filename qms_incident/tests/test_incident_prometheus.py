from freezegun import freeze_time
from prometheus_client.parser import text_string_to_metric_families

from odoo.tests import tagged
from odoo.tools import SQL

from .test_qms_incident_report import NOW, TABLE, IncidentTable


@tagged("post_install", "-at_install")
class TestIncidentPrometheus(IncidentTable):
    """The families of incidents, from the table of the figures."""

    def scrape(self, *keys):
        companies = self.env["res.company"].union(
            *(self.companies[key] for key in keys)
        )
        metrics = self.env["qms.metric"].with_user(self.users["auditor"])
        metrics = metrics.with_context(allowed_company_ids=companies.ids)
        with freeze_time(NOW):
            body, _content_type = metrics._scrape("192.0.2.1")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
        }

    def value(self, samples, name, **labels):
        return samples.get((name, frozenset(labels.items())))

    def check(self, samples):
        for (name, *labels), expected in {
            ("qms_incidents_open", "critical", "detected"): 1,
            ("qms_incidents_open", "critical", "triaged"): 1,
            ("qms_incidents_open", "critical", "resolved"): 1,
            ("qms_incidents_open", "high", "mitigated"): 1,
            ("qms_incidents_open", "none", "detected"): 1,
            ("qms_incidents_open", "low", "reviewed"): 0,
        }.items():
            names = zip(("severity", "state"), labels, strict=True)
            self.assertEqual(self.value(samples, name, **dict(names)), expected)
        overdue = "qms_incident_postmortems_overdue"
        # 1, 9, 10, 24; 2 is elsewhere, 23 has no time, 29 is not due
        self.assertEqual(self.value(samples, overdue, severity="critical"), 4)
        self.assertEqual(self.value(samples, overdue, severity="low"), 0)
        # Closed: 6 and none other
        resolved = "qms_incident_time_to_resolve_seconds"
        for name, expected in (
            (f"{resolved}_count", 1),
            (f"{resolved}_sum", 4140 * 60),
            ("qms_incident_time_to_acknowledge_seconds_count", 1),
        ):
            self.assertEqual(self.value(samples, name, severity="medium"), expected)
        # What was not mitigated is in no bucket.
        mitigated = "qms_incident_time_to_mitigate_seconds_count"
        self.assertIsNone(self.value(samples, mitigated, severity="medium"))
        closed = "qms_incidents_closed_total"
        for severity, category, state, expected in (
            ("critical", "none", "duplicate", 1),
            ("critical", "DATABASE", "duplicate", 1),
            ("high", "DATABASE", "false_positive", 1),
            ("high", "INFRASTRUCTURE", "closed", 2),
        ):
            self.assertEqual(
                self.value(
                    samples, closed, severity=severity, category=category, state=state
                ),
                expected,
            )
        detected = [
            value
            for (name, _labels), value in samples.items()
            if name == "qms_incidents_detected_total"
        ]
        self.assertEqual(sum(detected), len(TABLE))

    def test_counted_when_it_happens(self):
        samples = self.scrape("N", "T")
        self.check(samples)
        self.env["qms.metric"]._cron_add_up()
        self.assertEqual(self.scrape("N", "T"), samples)

    def test_counted_again_from_the_records(self):
        metrics = self.env["qms.metric"]
        with freeze_time(NOW):
            metrics._recount()
        self.check(self.scrape("N", "T"))

    def test_companies_stay_apart(self):
        samples = self.scrape("T")
        closed = {"category": "DATABASE", "state": "closed"}
        for severity in ("high", "critical"):
            name = "qms_incidents_closed_total"
            self.assertEqual(self.value(samples, name, severity=severity, **closed), 1)
        open_ones = [
            value
            for (name, _labels), value in samples.items()
            if name == "qms_incidents_open"
        ]
        self.assertEqual(sum(open_ones), 0)

    def test_updates_overdue(self):
        incident = self.incidents[13]
        # The update of a critical incident is promised within minutes.
        self.assertTrue(incident.next_update_at)
        name = "qms_incident_updates_overdue"
        before = self.value(self.scrape("N"), name, severity="critical")
        incident._write_system({"next_update_at": "2026-06-30 11:59:00"})
        self.env.flush_all()
        late = self.value(self.scrape("N"), name, severity="critical")
        incident._write_system({"next_update_at": "2026-06-30 12:01:00"})
        self.env.flush_all()
        self.assertEqual(
            self.value(self.scrape("N"), name, severity="critical"), late - 1
        )
        self.assertGreaterEqual(late, before)

    def test_nobody_waits_for_what_was_signed_for(self):
        name = "qms_incident_postmortems_overdue"
        before = self.value(self.scrape("N"), name, severity="critical")
        self.incidents[1]._write_system({"override_missing": "postmortem"})
        self.env.flush_all()
        after = self.value(self.scrape("N"), name, severity="critical")
        self.assertEqual(after, before - 1)

    def test_a_scrape_costs_two_queries_more(self):
        metrics = self.env["qms.metric"].with_user(self.users["auditor"])
        everywhere = SQL("TRUE")

        def cost(method):
            getattr(metrics, method)(everywhere)
            before = self.cr.sql_log_count
            getattr(metrics, method)(everywhere)
            return self.cr.sql_log_count - before

        for method in ("_open_incident_families", "_ended_incident_families"):
            self.assertEqual(cost(method), 1, method)
