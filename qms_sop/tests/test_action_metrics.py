from prometheus_client.parser import text_string_to_metric_families

from odoo.tests import freeze_time, tagged

from .test_qms_action import ActionCase

DUE = "2026-03-10"


@tagged("post_install", "-at_install")
class TestActionMetrics(ActionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.company.resource_calendar_id.tz = "Europe/Berlin"
        cls.metrics = cls.env["qms.metric"]

    def scrape(self, at):
        """Return the samples of one moment: ``{(name, *values of labels): number}``."""
        with freeze_time(at):
            metrics = self.metrics.with_user(self.users["auditor"])
            body, _content_type = metrics._scrape("192.0.2.1")
        return {
            (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): (
                sample.value
            )
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if sample.name.startswith("qms_action")
        }

    def risen(self, before, now):
        """Return the samples that are not what they were, by how much."""
        self.assertEqual(before.keys(), now.keys(), "zeros are told, too")
        return {
            key: value - before[key]
            for key, value in now.items()
            if value != before[key]
        }

    def raise_action(self, **values):
        with freeze_time("2026-03-02 10:00:00"):
            return self.raised(due_date=DUE, **values)

    def test_what_is_not_closed(self):
        # It is over when the day is over in Berlin, which is an hour ahead.
        in_time, too_late = "2026-03-10 22:59:00", "2026-03-10 23:00:00"
        before = {at: self.scrape(at) for at in (in_time, too_late)}
        self.raise_action(priority="high")
        self.raise_action(priority="high").start()
        self.raise_action(priority="low").cancel("Not needed.")
        self.raise_action(priority="critical").action_archive()
        for at, overdue in ((in_time, "no"), (too_late, "yes")):
            self.assertEqual(
                self.risen(before[at], self.scrape(at)),
                {
                    ("qms_actions", overdue, "high", "open"): 1,
                    ("qms_actions", overdue, "high", "in_progress"): 1,
                },
            )

    def test_what_is_done_waits_for_its_check(self):
        now, later = "2026-03-11 10:00:00", "2026-06-01 10:00:00"
        before = {at: self.scrape(at) for at in (now, later)}
        action = self.raise_action(priority="medium")
        with freeze_time("2026-03-10 10:00:00"):
            action.complete("It runs in CI.")
        for at, overdue in ((now, "no"), (later, "yes")):
            self.assertEqual(
                self.risen(before[at], self.scrape(at)),
                {
                    ("qms_actions", overdue, "medium", "done"): 1,
                    ("qms_actions_done_total", "corrective", "yes"): 1,
                },
            )

    def test_what_was_done_on_time(self):
        at = "2026-06-01 10:00:00"
        self.metrics._recount()
        before = self.scrape(at)
        done = {}
        for moment in ("2026-03-10 22:59:00", "2026-03-10 23:00:00"):
            done[moment] = self.raise_action(kind="preventive")
            with freeze_time(moment):
                done[moment].complete("It runs in CI.")
        expected = {
            ("qms_actions", "yes", "medium", "done"): 2,
            ("qms_actions_done_total", "preventive", "yes"): 1,
            ("qms_actions_done_total", "preventive", "no"): 1,
        }
        self.assertEqual(self.risen(before, self.scrape(at)), expected)
        for count_again in (self.metrics._cron_add_up, self.metrics._recount):
            self.env.flush_all()
            count_again()
            self.assertEqual(self.risen(before, self.scrape(at)), expected)

    def test_actions_that_are_older_than_the_counts(self):
        action = self.raise_action()
        with freeze_time("2026-03-10 10:00:00"):
            action.complete("It runs in CI.")
        self.env.flush_all()
        self.metrics._recount()
        expected = self.scrape(DUE)
        self.metrics.search([("name", "=", "action_done")]).unlink()
        for _ in range(2):
            self.metrics._count_if_empty()
            self.assertEqual(self.scrape(DUE), expected)

    def test_other_companies_are_not_told(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        before = self.scrape(DUE)
        self.actions.sudo().with_company(company).create(
            {"name": "Add a check", "due_date": DUE, "user_id": False}
        )
        self.assertEqual(self.risen(before, self.scrape(DUE)), {})
