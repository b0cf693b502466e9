from datetime import datetime
from io import BytesIO

from freezegun import freeze_time

from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, new_test_user, tagged
from odoo.tools.pdf import PdfReader

from .common import QmsIncidentCommon

NOW = datetime(2026, 11, 5, 12)


@tagged("post_install", "-at_install")
class TestQmsIncidentMonth(QmsIncidentCommon):
    """The incidents of a month on paper."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.env["res.company"].create({"name": "Elsewhere"})
        cls.company.resource_calendar_id.tz = "Pacific/Auckland"
        users = cls.operator | cls.users["auditor"] | cls.manager
        users.write(
            {
                "company_ids": [Command.set(cls.company.ids)],
                "company_id": cls.company.id,
            }
        )
        with freeze_time(NOW):
            cls.resolved_after(90, datetime(2026, 10, 12, 9))
            # Of November, by the company's clock
            cls.resolved_after(
                30, datetime(2026, 10, 31, 12), title="Search finds nothing"
            )
            cls.resolved_after(45, datetime(2026, 9, 12, 9), title="Mail is late")

    def report(self, user=None, **values):
        with freeze_time(NOW):
            reports = self.env["qms.incident.month"].with_user(user or self.operator)
            return reports.create(values)

    def test_last_month_is_offered(self):
        with freeze_time(NOW), Form(self.report()) as form:
            self.assertEqual(form.month, "2026-10")
            self.assertEqual(form.incident_count, 1)
            form.month = "2026-11"
            self.assertEqual(form.incident_count, 1)
            form.month = "2026-08"
            self.assertEqual(form.incident_count, 0)

    def test_months_that_can_be_chosen(self):
        with freeze_time(NOW):
            months = dict(self.env["qms.incident.month"]._selection_month())
        self.assertEqual(months["2026-11"], "November 2026")
        self.assertEqual(len(months), 36)
        self.assertNotIn("2026-12", months)
        for month in ("2199-01", "soon", "2020-01"):
            with self.refused(ValidationError, f"month: '{month}'.* to 2026-11"):
                self.report(month=month)

    def test_figures_are_those_of_the_dashboard(self):
        report = self.report(month="2026-10")
        figures = report._figures()
        self.assertEqual(figures["month"]["incidents"], 1)
        self.assertEqual(figures["month"]["durations"]["resolve"]["mean"], 90)
        self.assertEqual(figures["before"]["durations"]["resolve"]["mean"], 45)
        self.assertEqual(
            [one["incidents"] for one in figures["year"]["months"]], [0] * 10 + [1, 1]
        )
        with freeze_time(NOW):
            data = self.env["qms.incident.report"].with_user(self.operator)
            data = data.get_dashboard(period="last_month")["summary"]
        self.assertEqual(data["incidents"], figures["month"]["incidents"])
        self.assertEqual(
            data["durations"]["resolve"]["mean"],
            figures["month"]["durations"]["resolve"]["mean"],
        )

    def test_what_is_printed(self):
        page = self.page(self.report(month="2026-10"))
        self.assertEqual(page["zone"], "Pacific/Auckland")
        self.assertEqual(page["before"], "September 2026")
        self.assertEqual([row["title"] for row in page["rows"]], ["Logins fail"])
        self.assertEqual(page["rows"][0]["detected"], "2026-10-12 22:00")
        resolve = page["times"][3]
        self.assertEqual(resolve["cells"], ["1 h 30 min"] * 3)
        self.assertEqual(resolve["before"], "45 min")
        detect = page["times"][0]
        self.assertEqual((detect["cells"][0], detect["known"]), ("–", "0 of 1"))

    def page(self, report):
        paper = self.env["report.qms_incident.report_incident_month"]
        return paper.with_user(report.env.user)._page(report)

    def test_month_without_incidents(self):
        page = self.page(self.report(month="2026-08"))
        self.assertTrue(page["empty"])
        self.assertEqual([one[0] for one in page["figures"]], ["0"] + ["–"] * 4)

    def test_pdf(self):
        report = self.report(self.users["auditor"], month="2026-10", paper="letter")
        action = report.action_pdf()
        paper = self.env["ir.actions.report"].with_user(self.users["auditor"])
        paper = paper.with_context(force_report_rendering=True)
        content, kind = paper._render_qweb_pdf(action["report_name"], report.ids)
        self.assertEqual(kind, "pdf")
        pages = PdfReader(BytesIO(content)).pages
        text = " ".join(" ".join(page.extract_text().split()) for page in pages)
        for said in ("October 2026", "Logins fail", "1 h 30 min", "Elsewhere"):
            self.assertIn(said, text)
        self.assertNotIn("Search finds nothing", text)

    def test_show_them(self):
        action = self.report(month="2026-10").action_view()
        found = self.env["qms.incident.report"].search(action["domain"])
        self.assertEqual(found.mapped("title"), ["Logins fail"])

    def test_not_for_everybody(self):
        stranger = new_test_user(self.env, "qms_stranger", groups="base.group_user")
        with self.assertRaises(AccessError):
            self.report(stranger)

    def test_other_companies_stay_out(self):
        report = self.report(company_id=self.env.ref("base.main_company").id)
        with self.assertRaises(AccessError):
            report._figures()
