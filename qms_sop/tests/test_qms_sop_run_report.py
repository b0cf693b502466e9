import base64
import hashlib
import io
from datetime import datetime, timedelta

from freezegun import freeze_time
from lxml import html as lxml_html

from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged
from odoo.tools.pdf import PdfReader

from .common import QmsSopCommon

REPORT = "qms_sop.report_sop_run"
LOG = b"2026-03-02 ERROR connection pool exhausted\n"


class RunReportCase(QmsSopCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stranger = new_test_user(cls.env, "stranger", groups="base.group_user")
        for user, name in (
            (cls.operator, "Omar Haddad"),
            (cls.users["auditor"], "Aiko Tanaka"),
        ):
            user.write({"name": name, "tz": "Europe/Berlin"})

    def worked_run(self):
        """Return a completed run: an error, evidence, a skipped step, an RCA."""
        start = datetime(2026, 3, 2, 9, 0)
        with freeze_time(start):
            run = self.start_run(
                error_code="DB_CONNECTION_LEAK",
                source="deploy.yml, build 412",
                summary="Logins <fail> & time out.",
            )
        with freeze_time(start + timedelta(minutes=2)):
            run.update_step(1, "in_progress")
            run.add_evidence(
                "pool.log", base64.b64encode(LOG).decode(), source="cat", step=1
            )
            run.log_error("No space left on device", step=1)
        with freeze_time(start + timedelta(minutes=6, seconds=30)):
            run.update_step(1, "completed", result="The pool was empty.")
            run.update_step(2, "completed", result="Mended.")
            run.update_step(3, "skipped", reason="Nothing to tidy up.")
        with freeze_time(start + timedelta(minutes=90)):
            run.complete(resolution="Restarted.", resolution_time=5400)
            run.record_rca(
                "A cursor was never closed.",
                whys=[
                    {"question": "Why empty?", "answer": "A leak.", "evidence": "log"}
                ],
                contributing_factors=["No test"],
                fix_type="code",
                fix="Close it.",
                verification="Watched for a day.",
                confirm=True,
            )
        return run

    def html(self, runs, role="auditor"):
        user = self.users.get(role) or self.stranger
        content = (
            self.env["ir.actions.report"]
            .with_user(user)
            ._render_qweb_html(REPORT, runs.ids)[0]
        )
        return lxml_html.fromstring(content)

    def text(self, runs, role="auditor"):
        """Return what a report says, without its style sheet."""
        tree = self.html(runs, role)
        for style in tree.iter("style"):
            style.text = ""
        return " ".join(tree.text_content().split())

    def pages(self, runs, report=REPORT, role="auditor"):
        """Return the pages of the PDF that wkhtmltopdf makes."""
        content, kind = (
            self.env["ir.actions.report"]
            .with_user(self.users[role])
            .with_context(force_report_rendering=True)
            ._render_qweb_pdf(report, runs.ids)
        )
        self.assertEqual(kind, "pdf")
        return PdfReader(io.BytesIO(content)).pages

    def values(self, run, role="auditor"):
        report = self.env[f"report.{REPORT}"].with_user(self.users[role])
        return report._get_report_values(run.ids)["pages"][0]


@tagged("post_install", "-at_install")
class TestRunReportValues(RunReportCase):
    """What the run report says."""

    def test_identity(self):
        run = self.worked_run()
        page = self.values(run)
        facts = dict(fact for row in page["facts"] for fact in row)
        self.assertEqual(facts["SOP"], "SOP-TEST-001")
        self.assertEqual(facts["Revision"], "1.0.0 (revision 1)")
        self.assertEqual(facts["Severity"], "High (P1)")
        self.assertEqual(facts["Error code"], "DB_CONNECTION_LEAK")
        self.assertEqual(facts["Responsible"], "Omar Haddad")
        self.assertEqual(facts["Opened by"], "Omar Haddad")
        self.assertEqual(facts["Source"], "deploy.yml, build 412")
        self.assertEqual(facts["Started"], "2026-03-02 10:00:00 +01:00")
        self.assertEqual(facts["Ended"], "2026-03-02 11:30:00 +01:00")
        self.assertEqual(facts["Duration"], "1 h 30 min")
        self.assertEqual(facts["Time to resolution"], "1 h 30 min")
        self.assertTrue(page["final"])
        self.assertIn(f"/odoo/qms-runs/{run.id}", page["url"])
        self.assertIn(self.sop.content_hash, self.text(run))

    def test_what_is_unknown_is_blank(self):
        page = self.values(self.start_run())
        facts = dict(fact for row in page["facts"] for fact in row)
        for label in (
            "Severity",
            "Category",
            "Error code",
            "Source",
            "Ended",
            "Duration",
            "Time to resolution",
        ):
            self.assertEqual(facts[label], "", label)

    def test_no_time_at_all_is_not_unknown(self):
        run = self.work(self.start_run())
        run.complete(resolution_time=0)
        facts = dict(fact for row in self.values(run)["facts"] for fact in row)
        self.assertEqual(facts["Time to resolution"], "0 s")

    def test_steps(self):
        timed = self.draft_sop("SOP-TIMED-001")
        timed.step_ids[0].expected_duration = 3
        timed.step_ids[1].expected_duration = 10
        self.sop = self.approve(timed)
        steps = self.values(self.worked_run())["steps"]
        self.assertEqual([step["number"] for step in steps], [1, 2, 3])
        self.assertEqual([step["name"] for step in steps], ["Look", "Mend", "Tidy up"])
        look, mend, tidy = steps
        self.assertEqual((look["planned"], look["actual"]), ("3 min", "4 min 30 s"))
        self.assertTrue(look["late"])
        self.assertEqual(look["who"], "Omar Haddad")
        self.assertEqual(look["result"], "The pool was empty.")
        self.assertEqual(look["evidence"], "pool.log")
        self.assertEqual(look["errors"], "DISK_FULL")
        self.assertEqual((mend["planned"], mend["actual"]), ("10 min", "0 s"))
        self.assertFalse(mend["late"])
        self.assertEqual(tidy["state"], "Skipped")
        self.assertEqual(tidy["skip_reason"], "Nothing to tidy up.")
        self.assertEqual((tidy["planned"], tidy["actual"]), ("varies", ""))

    def test_steps_off_the_path(self):
        draft = self.draft_sop("SOP-FORK-001", steps=("Ask", "Left", "Right", "End"))
        ask, _left, right, _end = draft.step_ids.sorted()
        ask.choice_ids = [
            Command.create({"name": "Go left", "sequence": 1}),
            Command.create(
                {"name": "Go right", "sequence": 2, "next_step_id": right.id}
            ),
        ]
        run = self.start_run(sop=self.approve(draft))
        run.update_step(1, "completed", choice="Go right")
        steps = self.values(run)["steps"]
        self.assertEqual(steps[0]["choice"], "Go right")
        self.assertTrue(steps[1]["off_path"])
        self.assertEqual(steps[1]["state"], "Not on this path")
        self.assertIn("Not on this path", self.text(run))

    def test_steps_of_a_cancelled_run_are_not_pending(self):
        run = self.start_run()
        self.assertEqual(self.values(run)["steps"][0]["state"], "Pending")
        run.cancel("Not needed.")
        self.assertEqual(self.values(run)["steps"][0]["state"], "Not opened")

    def test_timeline_tells_the_run_in_order(self):
        lines = self.values(self.worked_run())["timeline"]
        told = [line["what"] for line in lines]
        for what in ("Started, step 1", "Error, step 1", "Evidence, step 1"):
            self.assertIn(what, told)
        self.assertLess(told.index("Error, step 1"), told.index("Completed, step 1"))
        self.assertIn("Skipped, step 3", told)
        self.assertIn("Root cause confirmed", told)
        times = [line["time"] for line in lines]
        self.assertEqual(times, sorted(times))
        started = lines[told.index("Work started")]
        self.assertEqual(started["time"], "2026-03-02 10:00:00")

    def test_timeline_has_what_happened_to_the_run_itself(self):
        run = self.start_run()
        run.hold("Waiting for a part.")
        run.resume()
        run.add_timeline_entry("The supplier was called.")
        lines = {line["what"]: line for line in self.values(run)["timeline"]}
        self.assertEqual(lines["Run put on hold"]["detail"], "Waiting for a part.")
        self.assertEqual(lines["Run put on hold"]["who"], "Omar Haddad")
        self.assertIn("Run resumed", lines)
        self.assertEqual(lines["Note"]["detail"], "The supplier was called.")

    def test_head_of_the_trail_is_printed(self):
        run = self.worked_run()
        text = self.text(run)
        last = run._last_event()
        self.assertGreater(last.sequence, 5)
        self.assertIn(f"The audit trail had {last.sequence} events", text)
        self.assertIn(last.hash, text)

    def test_everything_is_in_the_page(self):
        run = self.worked_run()
        text = self.text(run)
        for expected in (
            run.name,
            "Logins <fail> & time out.",
            "Restarted.",
            "No space left on device",
            "pool.log",
            hashlib.sha256(LOG).hexdigest(),
            "Why empty?",
            "A leak.",
            "A cursor was never closed.",
            "No test",
            "Code change",
            "Close it.",
            "Watched for a day.",
            "Confirmed",
            "Performed by",
            "Nothing to tidy up.",
        ):
            self.assertIn(expected, text)
        self.assertNotIn("not final", text)

    def test_open_runs_are_marked(self):
        run = self.start_run()
        self.assertIn("In progress – not final", self.text(run))
        run.hold("Waiting for a part.")
        text = self.text(run)
        self.assertIn("In progress – not final", text)
        self.assertIn("Waiting for a part.", text)
        self.assertNotIn("Performed by", text)
        draft = self.env["qms.sop.run"].create({"sop_id": self.sop.id})
        self.assertIn("In progress – not final", self.text(draft))

    def test_qr_code_is_drawn(self):
        paths = self.html(self.worked_run()).xpath("//svg/path/@d")
        self.assertEqual(len(paths), 1)
        self.assertGreater(paths[0].count("M"), 100)

    def test_who_may_print(self):
        run = self.worked_run()
        for role in ("operator", "author", "manager", "auditor", "automation"):
            self.assertIn(run.name, self.text(run, role))
        with self.assertRaises(AccessError):
            self.html(run, "stranger")

    def test_runs_of_other_companies_are_refused(self):
        run = self.worked_run()
        other = self.env["res.company"].create({"name": "Other"})
        self.users["auditor"].write(
            {"company_ids": [Command.set(other.ids)], "company_id": other.id}
        )
        with self.assertRaises(AccessError):
            self.html(run)

    def test_queries_do_not_grow_with_the_run(self):
        def count(steps):
            sop = self.approved_sop(
                f"SOP-LONG-{steps}", steps=[f"Step {n}" for n in range(steps)]
            )
            run = self.start_run(sop=sop)
            for number in range(1, steps + 1):
                run.log_error("No space left on device", step=number)
                run.add_evidence(
                    f"{number}.txt", base64.b64encode(LOG).decode(), step=number
                )
            report = self.env[f"report.{REPORT}"].with_user(self.users["auditor"])
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.env.cr.sql_log_count
                report._get_report_values(run.ids)
            return self.env.cr.sql_log_count - before

        few, many = count(3), count(12)
        self.assertEqual(few, many)
        self.assertLessEqual(many, 26)


@tagged("post_install", "-at_install")
class TestRunReportPaper(RunReportCase):
    """The PDF, made by the real wkhtmltopdf."""

    def test_one(self):
        run = self.worked_run()
        pages = self.pages(run)
        texts = [" ".join(page.extract_text().split()) for page in pages]
        whole = " ".join(texts)
        for step in run.step_ids:
            self.assertIn(step.name, whole)
        self.assertIn(hashlib.sha256(LOG).hexdigest(), whole)
        self.assertIn(self.sop.content_hash, whole)
        self.assertIn("Sign-off", texts[-1])
        for number, text in enumerate(texts, 1):
            self.assertIn(f"{number} / {len(pages)}", text)
            self.assertIn(run.name, text)
            self.assertIn("by Aiko Tanaka", text)

    def test_several_count_their_own_pages(self):
        runs = self.worked_run() | self.start_run()
        texts = [" ".join(page.extract_text().split()) for page in self.pages(runs)]
        for run in runs:
            own = [text for text in texts if run.name in text]
            self.assertIn(f"1 / {len(own)}", own[0])
            self.assertIn(f"{len(own)} / {len(own)}", own[-1])

    def test_paper_sizes(self):
        run = self.start_run()
        for report, size in ((REPORT, (595, 842)), (f"{REPORT}_letter", (612, 792))):
            box = self.pages(run, report)[0].mediabox
            self.assertEqual((round(box.width), round(box.height)), size)

    def test_no_block_is_cut(self):
        """Each error is a block with a first and a last line, on one page."""
        run = self.start_run()
        for number in range(12):
            lines = [f"error{number}line{line}" for line in range(1, 16)]
            run.log_error("\n".join(["Broken", *lines]))
        texts = [page.extract_text() for page in self.pages(run)]
        self.assertGreater(len(texts), 3)
        for number in range(12):
            first, last = (
                [
                    place
                    for place, text in enumerate(texts)
                    if f"{line}\n" in f"{text}\n"
                ]
                for line in (f"error{number}line1", f"error{number}line15")
            )
            self.assertEqual(len(first), 1)
            self.assertEqual(first, last)
