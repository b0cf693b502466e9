import io

from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged
from odoo.tools.pdf import PdfReader

from .common import QmsSopCommon

REPORT = "qms_sop.report_document_history"


@tagged("post_install", "-at_install")
class TestDocumentHistory(QmsSopCommon):
    """The history of an SOP on paper."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.author.name, cls.manager.name = "Anna Lindqvist", "Mara Novak"
        draft = cls.sop.with_user(cls.author)._new_revision(
            "major", "Look <twice> before mending."
        )
        draft.action_submit()
        draft.with_user(cls.manager).reject("Say where to look.")
        cls.newer = cls.approve(draft)

    def _values(self, document):
        report = self.env[f"report.{REPORT}"].with_user(self.users["auditor"])
        return report._get_report_values(document.ids)["pages"][0]

    def _pdf(self, documents, report=REPORT, user=None):
        content, kind = (
            self.env["ir.actions.report"]
            .with_user(user or self.users["auditor"])
            .with_context(force_report_rendering=True)
            ._render_qweb_pdf(report, documents.ids)
        )
        self.assertEqual(kind, "pdf")
        return PdfReader(io.BytesIO(content)).pages

    def test_revisions_with_who_when_and_why(self):
        self.start_run(sop=self.newer)
        for document in (self.sop, self.newer):  # either is the SOP
            page = self._values(document)
            self.assertEqual(page["code"], "SOP-TEST-001")
            new, old = page["revisions"]
            self.assertEqual((new["version"], old["version"]), ("2.0.0", "1.0.0"))
            self.assertEqual((new["state"], old["state"]), ("Approved", "Superseded"))
            self.assertEqual(new["why"], "Look <twice> before mending.")
            self.assertEqual(new["hash"], self.newer.content_hash)
            facts = dict(new["facts"])
            self.assertTrue(facts["Written by"].startswith("Anna Lindqvist, 20"))
            self.assertTrue(facts["Approved by"].startswith("Mara Novak, 20"))
            self.assertEqual(facts["Runs"], "1")
            self.assertNotIn("Runs", dict(old["facts"]))

    def test_way_of_a_revision_through_its_states(self):
        acts = self._values(self.newer)["revisions"][0]["acts"]
        self.assertEqual(
            [(act["what"], act["who"], act["reason"]) for act in acts],
            [
                ("Draft → In review", "Anna Lindqvist", ""),
                ("In review → Draft", "Mara Novak", "Say where to look."),
                ("Draft → In review", "Anna Lindqvist", ""),
                ("In review → Approved", "Mara Novak", ""),
            ],
        )

    def test_paper(self):
        for report, size in ((REPORT, (595, 842)), (f"{REPORT}_letter", (612, 792))):
            pages = self._pdf(self.sop, report)
            box = pages[0].mediabox
            self.assertEqual((round(box.width), round(box.height)), size)
            text = " ".join(" ".join(page.extract_text().split()) for page in pages)
            for expected in (
                "Version 2.0.0",
                "Version 1.0.0",
                "Look <twice> before mending.",
                "Say where to look.",
                self.sop.content_hash,
                self.newer.content_hash,
                f"1 / {len(pages)}",
                "History of SOP-TEST-001",
            ):
                self.assertIn(expected, text)

    def test_who_may_print(self):
        for role in ("operator", "author", "manager", "auditor"):
            self.assertTrue(self._pdf(self.sop, user=self.users[role]))
        stranger = new_test_user(self.env, "stranger", groups="base.group_user")
        with self.assertRaises(AccessError):
            self._pdf(self.sop, user=stranger)

    def test_queries_do_not_grow_with_the_revisions(self):
        def count():
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.env.cr.sql_log_count
                self._values(self.sop)
            return self.env.cr.sql_log_count - before

        few = count()
        newest = self.newer
        for _ in range(4):
            newest = self.approve(newest.with_user(self.author)._new_revision())
        self.assertEqual(count(), few)
