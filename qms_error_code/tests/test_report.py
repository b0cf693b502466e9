import io

from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tools.pdf import PdfReader

from ..tools.durations import format_duration
from .common import QmsCase

REPORT = "qms_error_code.report_error_catalogue"


@tagged("post_install", "-at_install")
class TestCatalogueReport(QmsCase):
    """The error catalogue on paper."""

    def _pdf(self, codes, report=REPORT, user=None):
        """Return the pages of the PDF that wkhtmltopdf makes."""
        reports = self.env["ir.actions.report"].with_user(user or self.users["auditor"])
        content, kind = reports.with_context(
            force_report_rendering=True
        )._render_qweb_pdf(report, codes.ids)
        self.assertEqual(kind, "pdf")
        return PdfReader(io.BytesIO(content)).pages

    def _html(self, codes, user=None):
        reports = self.env["ir.actions.report"].with_user(user or self.users["auditor"])
        return reports._render_qweb_html(REPORT, codes.ids)[0].decode()

    def test_whole_catalogue_is_one_document(self):
        codes = self.codes.search([])
        pages = self._pdf(codes)
        texts = [" ".join(page.extract_text().split()) for page in pages]
        whole = " ".join(texts)
        for code in codes:
            self.assertGreaterEqual(whole.count(code.name), 2, "contents and entry")
            self.assertIn(" ".join(code.title.split()), whole)
        for number, text in enumerate(texts, 1):
            self.assertIn(f"{number} / {len(pages)}", text)
            self.assertIn("Uncontrolled when printed", text)
            self.assertIn(f"by {self.users['auditor'].name}", text)

    def test_categories_are_in_the_order_of_the_triage(self):
        html = self._html(self.codes.search([], order="name desc"))
        places = [
            html.index(f"Category {category.code}")
            for category in self.categories.search([("error_code_ids", "!=", False)])
        ]
        self.assertGreater(len(places), 3)
        self.assertEqual(places, sorted(places))

    def test_entry_has_everything(self):
        code = self._create_code(
            "PAPER_JAM",
            title="The printer is stuck",
            description="It beeps & stops <now>.",
            common_causes="- Damp paper",
            resolution="1. Open the flap",
            prevention="- Dry paper",
        )
        html = self._html(code)
        for text in (
            "PAPER_JAM",
            "The printer is stuck",
            "It beeps &amp; stops &lt;now&gt;.",
            "- Damp paper",
            "1. Open the flap",
            "- Dry paper",
            "q-medium",
        ):
            self.assertIn(text, html)

    def test_what_is_unknown_has_no_heading(self):
        html = self._html(self._create_code("PAPER_JAM"))
        self.assertIn("PAPER_JAM", html)
        self.assertNotIn("What to do</h3>", html)

    def test_paper_sizes(self):
        code = self._create_code("PAPER_JAM")
        for report, size in ((REPORT, (595, 842)), (f"{REPORT}_letter", (612, 792))):
            box = self._pdf(code, report)[0].mediabox
            self.assertEqual((round(box.width), round(box.height)), size)

    def test_roles_print_and_others_do_not(self):
        code = self._create_code("PAPER_JAM")
        for role in ("operator", "author", "manager", "auditor", "automation"):
            self.assertIn("PAPER_JAM", self._html(code, self.users[role]))
        with self.assertRaises(AccessError):
            self._html(code, self.outsider)

    def test_measured_times(self):
        for minutes, text in (
            (False, ""),
            (None, ""),
            (0, "0 s"),
            (0.5, "30 s"),
            (4.5, "4 min 30 s"),
            (59.999, "1 h"),
            (90.4, "1 h 30 min"),
            (1500, "1 day 1 h"),
        ):
            self.assertEqual(format_duration(self.env, minutes), text)
