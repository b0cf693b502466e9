from prometheus_client.parser import text_string_to_metric_families

from odoo.tests import freeze_time, tagged

from .test_qms_sop_run_clock import ClockCase, after


@tagged("post_install", "-at_install")
class TestClockMetrics(ClockCase):
    def scrape(self, at):
        """Return the samples: ``{(name, {label: value}): number}``."""
        with freeze_time(at):
            metrics = self.env["qms.metric"].with_user(self.users["auditor"])
            body, _content_type = metrics._scrape("192.0.2.1")
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
        }

    def risen(self, before, now, name, **labels):
        key = (name, frozenset(labels.items()))
        return now.get(key, 0) - before.get(key, 0)

    def test_clocks_of_open_runs(self):
        before = self.scrape(after(50))
        self.open_run("high")
        self.open_run("critical").hold("Waiting")
        self.open_run(None)
        now = self.scrape(after(50))
        for clock, severity, state in (
            ("response", "high", "at_risk"),
            ("mitigation", "high", "at_risk"),
            ("resolution", "high", "running"),
            ("response", "none", "not_applicable"),
        ):
            self.assertEqual(
                self.risen(
                    before,
                    now,
                    "qms_sop_run_clocks",
                    clock=clock,
                    severity=severity,
                    state=state,
                ),
                1,
                (clock, severity, state),
            )
        # What no run has is told as well.
        self.assertIn(
            (
                "qms_sop_run_clocks",
                frozenset(
                    {"clock": "response", "severity": "low", "state": "met"}.items()
                ),
            ),
            now,
        )

    def ended(self):
        run = self.open_run("high")
        with freeze_time(after(30)):
            run.acknowledge()
        with freeze_time(after(90)):
            run.mitigate()
            self.work(run)
            run.complete("Done.")
        with freeze_time(after(5)):
            self.open_run("high").cancel("A false alarm")

    def check(self, before, now):
        for clock, state in (
            ("response", "met"),
            ("mitigation", "breached"),
            ("resolution", "met"),
        ):
            labels = {"clock": clock, "severity": "high"}
            name = "qms_sop_run_clocks_ended_total"
            for other in ("met", "breached"):
                self.assertEqual(
                    self.risen(before, now, name, **labels, state=other),
                    other == state,
                    (clock, other),
                )
        for metric, seconds in (
            ("time_to_detect", None),
            ("time_to_acknowledge", 1800),
            ("time_to_mitigate", 5400),
            ("time_to_resolve", 5400),
        ):
            name = f"qms_sop_run_{metric}_seconds"
            count = self.risen(before, now, f"{name}_count", severity="high")
            total = self.risen(before, now, f"{name}_sum", severity="high")
            self.assertEqual((count, total), (bool(seconds), seconds or 0), metric)
        name = "qms_sop_run_time_to_acknowledge_seconds_bucket"
        for bound, expected in (("900.0", 0), ("1800.0", 1), ("+Inf", 1)):
            risen = self.risen(before, now, name, severity="high", le=bound)
            self.assertEqual(risen, expected, bound)

    def test_clocks_of_ended_runs(self):
        before = self.scrape(after(0))
        self.ended()
        self.check(before, self.scrape(after(100)))

    def test_counting_again_finds_the_same(self):
        self.env["qms.metric"]._recount()
        before = self.scrape(after(0))
        self.ended()
        self.env.flush_all()
        self.env["qms.metric"]._recount()
        self.check(before, self.scrape(after(100)))
