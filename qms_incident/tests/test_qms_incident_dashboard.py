from datetime import datetime, timedelta

from freezegun import freeze_time

from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from .common import QmsIncidentCommon

NOW = datetime(2026, 11, 21, 12)


@tagged("post_install", "-at_install")
class TestQmsIncidentDashboard(QmsIncidentCommon):
    """The figures of a period, and what they are compared with."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.env["res.company"].create({"name": "Elsewhere"})
        cls.company.resource_calendar_id.tz = "Pacific/Auckland"
        users = cls.operator | cls.manager | cls.users["auditor"]
        users.write(cls.only(cls.company))
        cls.reports = cls.env["qms.incident.report"].with_user(cls.operator)
        with freeze_time(NOW):
            # The day of the last one has begun in Auckland only.
            for days, hours, minutes in ((100, 0, 60), (40, 0, 30), (22, 14, 10)):
                detected = NOW - timedelta(days=days, hours=-hours)
                cls.resolved_after(minutes, detected)

    @classmethod
    def only(cls, company):
        """Return what lets users see the incidents of one company alone."""
        return {"company_ids": [Command.set(company.ids)], "company_id": company.id}

    def dashboard(self, user=None, **values):
        with freeze_time(NOW):
            reports = self.reports.with_user(user or self.operator)
            return reports.get_dashboard(**values)

    def test_period_and_the_one_before(self):
        data = self.dashboard(period="last_90_days")
        self.assertEqual((data["since"], data["until"]), ("2026-08-25", "2026-11-22"))
        self.assertEqual(data["zone"], "Pacific/Auckland")
        self.assertEqual(data["summary"]["incidents"], 2)
        self.assertEqual(data["summary"]["durations"]["resolve"]["mean"], 20)
        self.assertEqual(data["before"]["until"], "2026-08-24")
        self.assertEqual(data["before"]["incidents"], 1)
        self.assertEqual(data["before"]["durations"]["resolve"]["mean"], 60)
        self.assertNotIn("months", data["before"])

    def test_month_begins_where_the_company_is(self):
        # 2026-10-31 02:00 UTC: a month later by the company's clock
        late = self.resolved_after(5, datetime(2026, 10, 31, 11, 30))
        data = self.dashboard(period="this_month")
        self.assertEqual(data["summary"]["incidents"], 1)
        found = self.reports.search([tuple(part) for part in data["domain"]])
        self.assertEqual(found.incident_id, late)

    def test_domain_finds_what_is_counted(self):
        self.resolved_after(
            5, NOW - timedelta(days=3), severity_id=self.severity("low").id
        )
        for severity, count in (("low", 1), ("P1", 2), (None, 3)):
            data = self.dashboard(severity=severity)
            domain = [
                part if isinstance(part, str) else tuple(part)
                for part in data["domain"]
            ]
            self.assertEqual(data["summary"]["incidents"], count)
            self.assertEqual(self.reports.search_count(domain), count)

    def severity(self, code):
        return self.env["qms.severity"]._resolve(code)

    def test_unknown_is_no_zero(self):
        data = self.dashboard(period="custom", since="2026-01-01", until="2026-01-31")
        summary = data["summary"]
        self.assertEqual(summary["incidents"], 0)
        self.assertIs(summary["durations"]["resolve"]["mean"], False)
        self.assertIs(summary["sla"]["percent"], False)
        self.assertIs(data["before"]["durations"]["resolve"]["mean"], False)
        self.assertTrue(data["recorded"])

    def test_other_companies_stay_out(self):
        other = self.env["res.company"].create({"name": "New"})
        self.operator.write(self.only(other))
        data = self.dashboard()
        self.assertEqual(data["summary"]["incidents"], 0)
        self.assertFalse(data["recorded"])

    def test_choices_and_definitions(self):
        data = self.dashboard()
        self.assertIn("high", [one["code"] for one in data["choices"]["severity"]])
        self.assertIn("DATABASE", [one["code"] for one in data["choices"]["category"]])
        for code in ("mttd", "mtta", "mttm", "mttr", "repeats", "sla", "pending"):
            self.assertTrue(data["definitions"][code]["definition"], code)

    def test_bad_input_is_named(self):
        for said, values in {
            "period: 'year' is unknown. Accepted: this_month": {"period": "year"},
            "since: 'soon'": {"period": "custom", "since": "soon"},
            "until: a period": {"period": "custom", "since": "2026-01-01"},
            "since: a period": {"period": "custom", "until": "2026-01-01"},
            "until: 2026-01-01 is before": {
                "period": "custom",
                "since": "2026-01-02",
                "until": "2026-01-01",
            },
            "since: from 2001-01-01 to 2026-01-01 is too long": {
                "period": "custom",
                "since": "2001-01-01",
                "until": "2026-01-01",
            },
            "since: 1975-01-01 is too long ago": {
                "period": "custom",
                "since": "1975-01-01",
                "until": "1975-01-01",
            },
            "critical": {"severity": "horrible"},
            "DATABASE": {"category": "HORRIBLE"},
        }.items():
            with self.subTest(said), self.refused(ValidationError, said):
                self.dashboard(**values)

    def test_read_by_whoever_reads_incidents(self):
        for role in ("auditor", "manager"):
            data = self.dashboard(self.users[role])
            self.assertEqual(data["summary"]["incidents"], 2)
        stranger = new_test_user(self.env, "qms_stranger", groups="base.group_user")
        with self.assertRaises(AccessError):
            self.dashboard(stranger)

    def test_queries_do_not_grow(self):
        def count():
            self.env.invalidate_all()
            begun = self.cr.sql_log_count
            self.dashboard()
            return self.cr.sql_log_count - begun

        count()
        first = count()
        for _number in range(5):
            self.resolved_after(5, NOW - timedelta(days=5))
        self.env.flush_all()
        self.assertEqual(count(), first)
        self.assertLessEqual(first, 20)
