from collections import Counter
from datetime import timedelta
from unittest.mock import patch

from freezegun import freeze_time
from prometheus_client.parser import text_string_to_metric_families

from odoo import fields
from odoo.exceptions import AccessDenied, AccessError, ValidationError
from odoo.tests import new_test_user, tagged

from ..models.metric.qms_metric import ALLOWED
from .api_common import QmsApiCase
from .common import QmsSopCommon


def parse(body):
    """Return the samples of an exposition: ``{(name, {(label, value)}): number}``."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


@tagged("post_install", "-at_install")
class TestMetrics(QmsSopCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.metrics = cls.env["qms.metric"]

    def scrape(self, user=None, **options):
        metrics = self.metrics.with_user(user or self.users["auditor"])
        body, self.content_type = metrics._scrape("192.0.2.1", **options)
        return parse(body.decode())

    def value(self, samples, name, **labels):
        return samples.get((name, frozenset(labels.items())))

    def total(self, samples, name):
        return sum(value for key, value in samples.items() if key[0] == name)

    def test_open_runs_and_their_steps(self):
        self.start_run(severity="high", category="DATABASE")
        self.start_run(severity="P1", category="APPLICATION")
        self.start_run(severity="low").hold("Waiting.")
        worked = self.start_run()
        worked.step_ids[0].complete("Done.")
        samples = self.scrape()
        runs = self.env["qms.sop.run"].with_context(active_test=False)
        open_runs = runs.search([("state", "in", ("draft", "in_progress", "on_hold"))])
        expected = Counter((run.severity or "none", run.state) for run in open_runs)
        for (severity, state), count in expected.items():
            self.assertEqual(
                self.value(
                    samples, "qms_sop_runs_open", severity=severity, state=state
                ),
                count,
            )
        self.assertEqual(self.total(samples, "qms_sop_runs_open"), len(open_runs))
        self.assertEqual(
            self.value(samples, "qms_sop_runs_open_by_category", category="DATABASE"),
            len(open_runs.filtered(lambda run: run.category_id.code == "DATABASE")),
        )
        self.assertEqual(
            self.total(samples, "qms_sop_runs_open_by_category"), len(open_runs)
        )
        steps = Counter(open_runs.step_ids.mapped("state"))
        self.assertEqual(steps["completed"], 1)
        for state in ("pending", "in_progress", "waiting", "completed", "failed"):
            self.assertEqual(
                self.value(samples, "qms_sop_run_steps", state=state), steps[state]
            )
        # What there is none of is said, or an alert on it would never see a 0.
        self.assertEqual(
            self.value(
                samples, "qms_sop_runs_open", severity="critical", state="draft"
            ),
            0,
        )

    def test_finished_runs_and_their_durations(self):
        def finish(minutes):
            with freeze_time("2026-03-01 08:00:00") as clock:
                run = self.start_run()
                clock.tick(timedelta(minutes=minutes))
                return self.work(run).complete("Ok.")

        before = self.scrape()
        labels = {"sop": "SOP-TEST-001", "state": "completed"}
        self.assertIsNone(self.value(before, "qms_sop_runs_finished_total", **labels))
        for minutes in (0.5, 10, 10, 30 * 24 * 60):
            finish(minutes)
        self.start_run().cancel("Not needed.")
        for _ in range(2):
            samples = self.scrape()
            self.assertEqual(
                self.value(samples, "qms_sop_runs_finished_total", **labels), 4
            )
            name = "qms_sop_run_duration_seconds"
            self.assertEqual(self.value(samples, f"{name}_count", **labels), 4)
            self.assertEqual(
                self.value(samples, f"{name}_sum", **labels),
                30 + 2 * 600 + 30 * 24 * 3600,
            )
            for bound, count in (
                ("60.0", 1),
                ("300.0", 1),
                ("900.0", 3),
                ("604800.0", 3),
                ("+Inf", 4),
            ):
                self.assertEqual(
                    self.value(samples, f"{name}_bucket", le=bound, **labels), count
                )
            self.assertEqual(
                self.value(
                    samples,
                    "qms_sop_runs_finished_total",
                    sop="SOP-TEST-001",
                    state="cancelled",
                ),
                1,
            )
            # The same again, once the events are added up.
            self.metrics._cron_add_up()

    def test_a_duration_that_is_unknown_is_not_zero(self):
        run = self.env["qms.sop.run"].with_user(self.operator)
        run = run.create({"sop_id": self.sop.id, "state": "draft"})
        run.cancel("Never begun.")
        self.assertFalse(run.start_time)
        samples = self.scrape()
        labels = {"sop": "SOP-TEST-001", "state": "cancelled"}
        self.assertEqual(
            self.value(samples, "qms_sop_runs_finished_total", **labels), 1
        )
        self.assertIsNone(
            self.value(samples, "qms_sop_run_duration_seconds_count", **labels)
        )

    def test_errors_by_code_category_and_severity(self):
        run = self.start_run()
        code = self.env["qms.error.code"]._resolve("DB_DEADLOCK")
        labels = {
            "code": code.name,
            "category": code.category_id.code,
            "severity": code.severity_id.code,
        }
        name = "qms_sop_run_errors_total"
        before = self.value(self.scrape(), name, **labels) or 0
        run.log_error("deadlock detected", error_code="DB_DEADLOCK")
        run.log_error("deadlock detected", error_code="DB_DEADLOCK")
        self.assertEqual(self.value(self.scrape(), name, **labels), before + 2)
        # What was counted stays counted under what it was.
        code.severity_id = self.env["qms.severity"]._resolve("low")
        run.log_error("deadlock detected", error_code="DB_DEADLOCK")
        samples = self.scrape()
        self.assertEqual(self.value(samples, name, **labels), before + 2)
        self.assertEqual(self.value(samples, name, **{**labels, "severity": "low"}), 1)

    def test_what_is_rolled_back_is_not_counted(self):
        run = self.start_run()
        before = self.total(self.scrape(), "qms_sop_run_errors_total")
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            run.log_error("deadlock detected", error_code="DB_DEADLOCK")
            raise ZeroDivisionError
        self.assertEqual(self.total(self.scrape(), "qms_sop_run_errors_total"), before)

    def test_recount_gives_what_was_counted(self):
        for state in ("completed", "failed"):
            run = self.work(self.start_run(error_code="DB_DEADLOCK"))
            run.log_error("deadlock detected")
            run.update_run(state=state, reason="Because.", resolution="Ok.")
        run = self.env["qms.sop.run"].with_user(self.operator)
        run.create({"sop_id": self.sop.id, "state": "draft"}).cancel("Never begun.")
        self.env.flush_all()
        # Data that was there before the test may have come without events.
        self.metrics._recount()
        expected = self.scrape()
        run = self.work(self.start_run())
        run.log_error("deadlock detected")
        run.complete("Ok.")
        counted = self.scrape()
        self.assertNotEqual(counted, expected)
        self.env.flush_all()
        self.metrics._recount()
        self.assertEqual(self.scrape(), counted)

    def test_adding_up_leaves_one_row_for_each_label_set(self):
        run = self.start_run()
        for _ in range(5):
            run.log_error("deadlock detected", error_code="DB_DEADLOCK")
        before = self.scrape()
        self.metrics._cron_add_up()
        rows = self.metrics.search([("name", "=", "run_error")])
        self.assertEqual(
            len(rows), len({(row.company_id, str(row.labels)) for row in rows})
        )
        self.assertEqual(self.scrape(), before)
        self.metrics._cron_add_up()
        self.assertEqual(
            self.metrics.search([("name", "=", "run_error")]), rows, "nothing to do"
        )

    def test_a_user_sees_the_companies_that_are_theirs(self):
        self.start_run(severity="low")
        company = self.env["res.company"].create({"name": "Elsewhere"})
        outsider = new_test_user(
            self.env,
            login="qms_out",
            groups="qms_error_code.group_qms_auditor",
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        samples = self.scrape(outsider)
        self.assertEqual(self.total(samples, "qms_sop_runs_open"), 0)
        self.assertEqual(self.total(samples, "qms_sop_runs_finished_total"), 0)
        self.assertEqual(self.total(samples, "qms_sop_run_steps"), 0)

    def test_who_may_scrape(self):
        for role, user in self.users.items():
            with self.subTest(role):
                self.assertTrue(self.scrape(user))
        for groups in ("base.group_user", "base.group_portal"):
            stranger = new_test_user(self.env, login=groups, groups=groups)
            with self.subTest(groups), self.assertRaises(AccessError):
                self.scrape(stranger)
        with self.assertRaises(AccessError):
            self.metrics.with_user(self.manager).search([])

    def test_addresses_that_need_no_key(self):
        public = self.env.ref("base.public_user")
        with self.assertRaises(AccessDenied):
            self.scrape(public)
        parameters = self.env["ir.config_parameter"]
        for value, allowed in (
            ("192.0.2.1", True),
            ("10.0.0.5, 192.0.2.0/24", True),
            ("10.0.0.5 2001:db8::/32", False),
            ("192.0.2.2", False),
        ):
            parameters.set_param(ALLOWED, value)
            for address in ("192.0.2.1", "::ffff:192.0.2.1"):
                with self.subTest(value, address=address):
                    self.assertEqual(self.metrics._is_allowed(address), allowed)
        for address in ("", "localhost", None):
            self.assertFalse(self.metrics._is_allowed(address or ""))
        parameters.set_param(ALLOWED, "192.0.2.1")
        self.start_run()
        self.assertTrue(self.total(self.scrape(public), "qms_sop_runs_open"))

    def test_the_setting_is_checked(self):
        settings = self.env["res.config.settings"]
        for value in ("nonsense", "10.0.0.1/8", "10.0.0.300"):
            with self.subTest(value), self.assertRaises(ValidationError) as caught:
                settings.create({"qms_metrics_addresses": value})
            self.assertIn(value, str(caught.exception))
        settings.create({"qms_metrics_addresses": "10.0.0.5, 10.1.0.0/16"}).execute()
        self.assertTrue(self.metrics._is_allowed("10.1.2.3"))

    def test_formats(self):
        self.scrape()
        self.assertTrue(self.content_type.startswith("text/plain; version=0.0.4"))
        body, content_type = self.metrics.with_user(self.manager)._scrape(
            "", "application/openmetrics-text; version=1.0.0"
        )
        self.assertTrue(content_type.startswith("application/openmetrics-text"))
        self.assertTrue(body.endswith(b"# EOF\n"))

    def test_no_person_in_any_label(self):
        run = self.work(self.start_run(source="Jane Roe", summary="Jane Roe called"))
        run.log_error("Jane Roe saw a deadlock detected")
        run.complete("Jane Roe")
        body = self.metrics.with_user(self.manager)._scrape("")[0].decode()
        for text in ("Jane", self.operator.login, self.operator.name):
            self.assertNotIn(text, body)

    def test_jobs(self):
        job = self.env.ref("qms_sop.ir_cron_add_up_metrics")
        job.nextcall = fields.Datetime.now() - timedelta(hours=2)
        self.env.flush_all()
        samples = self.scrape()
        self.assertAlmostEqual(
            self.value(samples, "qms_job_late_seconds", job="add_up_metrics"),
            7200,
            delta=60,
        )
        self.assertEqual(
            self.value(samples, "qms_job_failures", job="add_up_metrics"), 0
        )

    def test_a_scrape_costs_a_fixed_number_of_queries(self):
        metrics = self.metrics.with_user(self.users["automation"])

        def count():
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            metrics._scrape("")
            return self.env.cr.sql_log_count - before

        count()
        few = count()
        # open runs; their steps; events; jobs; keys; the user and their companies;
        # clocks; the outbox; actions that are open, and that were done; and two more
        # where there are incidents, which qms_incident tests
        self.assertLessEqual(few, 12)
        for severity in ("low", "high"):
            self.work(self.start_run(severity=severity)).complete("Ok.")
            self.start_run(severity=severity).log_error("x", "DB_DEADLOCK")
        self.assertEqual(count(), few)

    def test_counting_costs_one_query(self):
        def cost():
            run = self.start_run()
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            run.fail("No.")
            self.env.flush_all()
            return self.env.cr.sql_log_count - before

        cost()
        counted = cost()
        with patch.object(type(self.metrics), "_record"):
            self.assertEqual(cost(), counted - 1)


@tagged("post_install", "-at_install")
class TestApiMetrics(QmsApiCase):
    def test_scrape(self):
        self.start_run(severity="low")
        for role, user in self.users.items():
            with self.subTest(role):
                response = self.call("GET", "metrics", user)
                self.assertEqual(response.status_code, 200, response.text)
                self.assertTrue(
                    response.headers["Content-Type"].startswith("text/plain; version=")
                )
                self.assertEqual(response.headers["Cache-Control"], "no-store")
                samples = parse(response.text)
                labels = {("severity", "low"), ("state", "in_progress")}
                self.assertEqual(
                    samples["qms_sop_runs_open", frozenset(labels)],
                    self.env["qms.sop.run"].search_count(
                        [("severity", "=", "low"), ("state", "=", "in_progress")]
                    ),
                )

    def test_as_prometheus_asks(self):
        response = self.call(
            "GET",
            "metrics",
            self.users["auditor"],
            headers={
                "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,"
                "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
            },
        )
        self.assertEqual(response.status_code, 200)
        self.assertTrue(
            response.headers["Content-Type"].startswith("application/openmetrics-text")
        )
        self.assertTrue(response.text.endswith("# EOF\n"))

    def test_who_may_scrape(self):
        self.assert_problem(self.call("GET", "metrics"), 401)
        for groups in ("base.group_user", "base.group_portal"):
            stranger = new_test_user(self.env, login=groups, groups=groups)
            with self.subTest(groups):
                self.assert_problem(self.call("GET", "metrics", stranger), 403)

    def test_an_address_that_needs_no_key(self):
        self.env["ir.config_parameter"].set_param(ALLOWED, "127.0.0.0/8, ::1")
        response = self.call("GET", "metrics")
        self.assertEqual(response.status_code, 200, response.text)
        self.assertTrue(parse(response.text))
        # A header that any client can send does not make it another address.
        self.env["ir.config_parameter"].set_param(ALLOWED, "192.0.2.1")
        response = self.call("GET", "metrics", headers={"X-Forwarded-For": "192.0.2.1"})
        self.assert_problem(response, 401)
