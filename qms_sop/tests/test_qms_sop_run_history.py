import csv
import io
import json
from datetime import date, datetime, timedelta

import openpyxl
from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, HttpCase, TransactionCase, new_test_user, tagged
from odoo.tools import SQL, mute_logger
from odoo.tools.json import json_default
from odoo.tools.pdf import PdfReader

from ..tools.charts import Series, bars, columns, scale
from ..tools.run_history import RunLine, Summary
from ..tools.run_history_table import neutral
from ..wizard import qms_sop_run_history
from .common import QmsSopCommon

REPORT = "qms_sop.report_run_history"
FORMULA = '=HYPERLINK("http://example.com";"Run me")'


def line(**values):
    """Return a completed run of half an hour on 2024-02-05, changed by values."""
    started = values.pop("started", datetime(2024, 2, 5, 9, 0))
    return RunLine(
        **{
            "id": 1,
            "name": "RUN-000001",
            "state": "completed",
            "sop_code": "SOP-A-001",
            "sop_version": "1.0.0",
            "title": "A",
            "severity": "high",
            "category": "DATABASE",
            "error_code": None,
            "trigger": "manual",
            "source": None,
            "responsible": "Omar",
            "opened_by": "Omar",
            "started": started,
            "ended": started + timedelta(minutes=30),
            "duration": 30.0,
            "elapsed": 30.0,
            "expected": 20,
            "errors": 0,
            "outcome": None,
            **values,
        }
    )


class TestRunHistoryTotals(TransactionCase):
    """What runs add up to."""

    def _totals(self, *lines, **kwargs):
        summary = Summary(date(2024, 2, 1), date(2024, 2, 29), **kwargs)
        for one in lines:
            summary.add(one)
        return summary

    def test_nothing_is_not_zero(self):
        total = self._totals().total
        self.assertEqual((total.runs, total.errors), (0, 0))
        for name in ("success", "median", "mean", "longest", "late"):
            self.assertIsNone(getattr(total, name), name)

    def test_open_and_cancelled_runs_say_nothing_about_success(self):
        total = self._totals(
            line(state="in_progress", duration=None, expected=None),
            line(state="on_hold", duration=None, expected=None),
            line(state="cancelled"),
        ).total
        self.assertIsNone(total.success)
        self.assertIsNone(total.median)
        self.assertIsNone(total.late)
        self.assertEqual(total.results, {"open": 2, "cancelled": 1})

    def test_figures(self):
        total = self._totals(
            line(duration=10.0, elapsed=10.0),
            line(duration=20.0, elapsed=20.0),
            line(duration=90.0, elapsed=90.0, errors=2),
            line(state="failed", duration=500.0, elapsed=500.0, errors=1),
            line(state="completed", duration=None, elapsed=None),
        ).total
        self.assertEqual(total.success, 0.8)
        self.assertEqual((total.median, total.mean, total.longest), (20.0, 40.0, 90.0))
        self.assertEqual((total.late, total.judged), (2, 4))
        self.assertEqual(total.errors, 3)

    def test_over(self):
        self.assertEqual(line().over, 10.0)
        self.assertEqual(line(elapsed=20.0).over, 0.0)
        self.assertIsNone(line(expected=None).over)
        self.assertIsNone(line(elapsed=None).over)
        self.assertIsNone(line(state="cancelled").over)
        self.assertEqual(line(state="on_hold", elapsed=50.0).over, 30.0)

    def test_groups_have_totals_of_their_own(self):
        groups = self._totals(
            line(), line(severity=None), line(), group=lambda one: one.severity
        ).groups
        self.assertEqual(
            {key: one.runs for key, one in groups.items()}, {"high": 2, None: 1}
        )

    def test_every_day_week_or_month_of_the_period_has_a_bucket(self):
        for first, last, unit, count, begin in (
            (date(2024, 2, 1), date(2024, 2, 29), "day", 29, date(2024, 2, 1)),
            (date(2024, 2, 1), date(2024, 4, 30), "week", 14, date(2024, 1, 29)),
            (date(2023, 11, 15), date(2024, 10, 2), "month", 12, date(2023, 11, 1)),
        ):
            summary = Summary(first, last)
            self.assertEqual(summary.unit, unit)
            self.assertEqual(len(summary.buckets), count)
            self.assertEqual(min(summary.buckets), begin)
            for day in (first, last):
                summary.add(line(started=datetime.combine(day, datetime.min.time())))
            self.assertEqual(sum(one.total() for one in summary.buckets.values()), 2)

    def test_axis(self):
        for highest, expected in (
            (0, (1, 1)),
            (1, (1, 1)),
            (5, (1, 5)),
            (6, (2, 6)),
            (13, (5, 15)),
            (99, (20, 100)),
            (101, (50, 150)),
            (1000, (200, 1000)),
        ):
            self.assertEqual(scale(highest), expected, highest)

    def test_charts_escape_labels(self):
        series = [Series("a", "A & <b>", "#000")]
        for svg in (
            columns([("<i>", {"a": 3})], series, 400, 200),
            bars([("<i>", {"a": 3})], series, 400),
        ):
            self.assertNotIn("<i>", svg)
            self.assertIn("&lt;i&gt;", svg)
            self.assertEqual(svg.count("<rect"), svg.count("</rect>"))
        self.assertIn("</svg>", columns([], series, 400, 200))

    def test_formulas_are_texts(self):
        for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"):
            self.assertEqual(neutral(text), f"'{text}")
        for text in ("1+1", "a=b", "", "RUN-000001"):
            self.assertEqual(neutral(text), text)


class RunHistoryCase(QmsSopCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stranger = new_test_user(cls.env, "stranger", groups="base.group_user")
        (cls.operator | cls.users["auditor"]).tz = "Europe/Berlin"
        cls.operator.name = "Omar Haddad"
        timed = cls.draft_sop("SOP-TIMED-001")
        timed.step_ids.expected_duration = 10
        cls.timed = cls.approve(timed)

    def run_at(self, start, minutes=None, sop=None, **values):
        """Return a run of the timed SOP, completed after some minutes."""
        with freeze_time(start):
            run = self.start_run(sop=sop or self.timed, **values)
        if minutes is not None:
            with freeze_time(start + timedelta(minutes=minutes)):
                self.work(run).complete(resolution="Mended.")
        return run

    def history(self, role="auditor", **values):
        user = self.users.get(role) or self.stranger
        return (
            self.env["qms.sop.run.history"]
            .with_user(user)
            .create(
                {
                    "period": "custom",
                    "date_from": "2024-02-01",
                    "date_to": "2024-02-29",
                    **values,
                }
            )
        )

    def written(self, history, kind):
        stream = io.BytesIO()
        history._write(kind, stream)
        return stream.getvalue()

    def rows(self, history):
        """Return the rows of the CSV file, as dicts."""
        text = self.written(history, "csv").decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text)))


@tagged("post_install", "-at_install")
class TestRunHistory(RunHistoryCase):
    """Which runs belong to a history, and the files made of it."""

    def test_default_is_last_month(self):
        histories = self.env["qms.sop.run.history"].with_user(self.users["auditor"])
        with freeze_time("2024-03-15 12:00:00"):
            form = Form(histories)
            self.assertEqual(str(form.date_from), "2024-02-01")
            self.assertEqual(str(form.date_to), "2024-02-29")
            for period, first, last in (
                ("last_7_days", "2024-03-09", "2024-03-15"),
                ("this_month", "2024-03-01", "2024-03-15"),
                ("last_quarter", "2023-10-01", "2023-12-31"),
                ("this_year", "2024-01-01", "2024-03-15"),
                ("last_year", "2023-01-01", "2023-12-31"),
            ):
                form.period = period
                self.assertEqual(
                    (str(form.date_from), str(form.date_to)), (first, last)
                )
            form.period = "custom"
            form.date_from = "2023-12-10"
            self.assertEqual(str(form.save().date_from), "2023-12-10")
        with self.assertRaises(ValidationError):
            self.history(date_from="2024-03-01")

    def test_days_are_those_of_the_reader(self):
        inside = self.run_at(datetime(2024, 1, 31, 23, 0)) | self.run_at(
            datetime(2024, 2, 29, 22, 59)
        )
        self.run_at(datetime(2024, 1, 31, 22, 59))
        self.run_at(datetime(2024, 2, 29, 23, 0))
        history = self.history()
        self.assertEqual(history.run_count, 2)
        self.assertEqual(
            [row["Run"] for row in self.rows(history)], inside.mapped("name")
        )
        self.assertEqual(self.rows(history)[0]["Started"], "2024-02-01T00:00:00+01:00")

    def test_drafts_and_archived_runs(self):
        self.env["qms.sop.run"].create({"sop_id": self.timed.id})
        archived = self.run_at(datetime(2024, 2, 5), 5)
        archived.with_user(self.manager).active = False
        (row,) = self.rows(self.history())
        self.assertEqual((row["Run"], row["Archived"]), (archived.name, "true"))

    def test_filters(self):
        start = datetime(2024, 2, 5)
        leak = self.run_at(start, error_code="DB_CONNECTION_LEAK")
        full = self.run_at(start, 5, sop=self.sop, error_code="DISK_FULL")
        full.flush_recordset()
        other = self.run_at(start, user=self.manager)
        code = leak.error_code_id
        for values, expected in (
            ({}, leak | full | other),
            ({"sop_ids": [Command.set(self.sop.ids)]}, full),
            ({"error_code_ids": [Command.set(code.ids)]}, leak),
            ({"severity_ids": [Command.set(leak.severity_id.ids)]}, leak),
            ({"category_ids": [Command.set(full.category_id.ids)]}, full),
            ({"user_ids": [Command.set(self.manager.ids)]}, other),
            ({"state": "open"}, leak | other),
            ({"state": "finished"}, full),
            ({"state": "completed"}, full),
            ({"state": "failed"}, leak.browse()),
        ):
            with self.subTest(values=values):
                history = self.history(**values)
                self.assertEqual(history.run_count, len(expected))
                self.assertEqual(
                    {row["Run"] for row in self.rows(history)},
                    set(expected.mapped("name")),
                )

    def test_filter_by_sop_covers_all_revisions(self):
        first = self.run_at(datetime(2024, 2, 5))
        draft = self.timed.with_user(self.author)._new_revision()
        newer = self.approve(draft)
        second = self.run_at(datetime(2024, 2, 6), sop=newer)
        rows = self.rows(self.history(sop_ids=[Command.set(newer.ids)]))
        self.assertEqual(
            [(row["Run"], row["Version"]) for row in rows],
            [(first.name, "1.0.0"), (second.name, newer.version)],
        )

    def test_list_of_the_runs_shows_the_same(self):
        run = self.run_at(datetime(2024, 2, 5))
        run.with_user(self.manager).active = False
        self.timed.with_user(self.manager).action_obsolete()
        self.timed.flush_recordset()
        self.run_at(datetime(2024, 2, 5), sop=self.sop)
        history = self.history(
            sop_ids=[Command.set(self.timed.ids)],
            user_ids=[Command.set(self.operator.ids)],
            state="open",
        )
        sent = json.dumps(history.action_view_runs(), default=json_default)
        action = json.loads(sent)
        runs = self.env["qms.sop.run"].with_context(**action["context"])
        self.assertEqual(runs.search(action["domain"]), run)
        self.assertEqual([row["Run"] for row in self.rows(history)], [run.name])

    def test_values(self):
        run = self.run_at(datetime(2024, 2, 5), 45, severity="high", source="ci")
        untimed = self.run_at(datetime(2024, 2, 6), sop=self.sop)
        done, going = self.rows(self.history())
        self.assertEqual(done["Run"], run.name)
        self.assertEqual(done["State"], "completed")
        self.assertEqual(done["Severity"], "high")
        self.assertEqual(done["Responsible"], "Omar Haddad")
        self.assertEqual(done["Ended"], "2024-02-05T01:45:00+01:00")
        self.assertEqual(done["Duration (min)"], "45.0")
        self.assertEqual(done["Expected (min)"], "30")
        self.assertEqual(done["Over (min)"], "15.0")
        self.assertEqual(done["Errors"], "0")
        self.assertEqual(done["Resolution or reason"], "Mended.")
        self.assertEqual(going["Run"], untimed.name)
        # Nobody knows: blank, not zero.
        for heading in (
            "Severity",
            "Error code",
            "Ended",
            "Duration (min)",
            "Expected (min)",
            "Over (min)",
            "Resolution or reason",
        ):
            self.assertEqual(going[heading], "", heading)

    def test_csv_runs_no_formula(self):
        self.run_at(datetime(2024, 2, 5), source=FORMULA)
        self.operator.name = "+49 Omar"
        (row,) = self.rows(self.history())
        self.assertEqual(row["Source"], f"'{FORMULA}")
        self.assertEqual(row["Responsible"], "'+49 Omar")

    def test_workbook(self):
        run = self.run_at(datetime(2024, 2, 5), 45, severity="high", source=FORMULA)
        self.run_at(datetime(2024, 2, 6), sop=self.sop)
        history = self.history(group_by="sop")
        book = openpyxl.load_workbook(io.BytesIO(self.written(history, "xlsx")))
        self.assertEqual(book.sheetnames, ["Totals", "Runs"])
        heading, done, going = book["Runs"].iter_rows()
        cells = dict(zip([cell.value for cell in heading], done, strict=True))
        self.assertEqual(cells["Run"].value, run.name)
        self.assertEqual(cells["Severity"].value, "High")
        self.assertEqual(cells["State"].value, "Completed")
        self.assertEqual(cells["Started"].value, datetime(2024, 2, 5, 1, 0))
        self.assertEqual(cells["Duration (min)"].value, 45)
        self.assertEqual(cells["Over (min)"].value, 15)
        self.assertEqual(cells["Source"].value, FORMULA)
        self.assertEqual(cells["Source"].data_type, "s")
        cells = dict(zip([cell.value for cell in heading], going, strict=True))
        for name in ("Severity", "Ended", "Duration (min)", "Over (min)"):
            self.assertIsNone(cells[name].value, name)
        totals = [
            [cell.value for cell in row]
            for row in book["Totals"].iter_rows()
            if row[0].value in ("SOP", "SOP-TEST-001", "SOP-TIMED-001", "All")
        ]
        self.assertEqual(
            totals,
            [
                ["SOP", "Runs", "Completed", "Failed", "Cancelled", "Open", "Success"]
                + ["Median (min)", "Longest (min)", "Overdue", "Errors"],
                ["SOP-TEST-001", 1, 0, 0, 0, 1, None, None, None, None, 0],
                ["SOP-TIMED-001", 1, 1, 0, 0, 0, 1, 45, 45, 1, 0],
                ["All", 2, 1, 0, 0, 1, 1, 45, 45, 1, 0],
            ],
        )

    def test_too_many_for_paper_or_a_sheet(self):
        for day in (5, 6, 7):
            self.run_at(datetime(2024, 2, day))
        history = self.history()
        self.patch(qms_sop_run_history, "PDF_LIMIT", 2)
        with self.assertRaisesRegex(UserError, "3 runs; a PDF is made of at most 2"):
            history.action_pdf()
        with self.assertRaisesRegex(UserError, "XLSX"):
            self.env[f"report.{REPORT}"]._get_report_values(history.ids)
        self.assertEqual(history.action_xlsx()["type"], "ir.actions.act_url")
        self.patch(qms_sop_run_history, "XLSX_LIMIT", 2)
        with self.assertRaisesRegex(UserError, "a worksheet holds 2"):
            history.action_xlsx()
        self.assertEqual(len(self.rows(history)), 3)

    def test_only_what_the_user_may_see(self):
        self.run_at(datetime(2024, 2, 5))
        other = self.env["res.company"].create({"name": "Other"})
        auditor = self.users["auditor"]
        auditor.write({"company_ids": [Command.set(other.ids)], "company_id": other.id})
        history = self.history()
        self.assertEqual(history.run_count, 0)
        self.assertEqual(self.rows(history), [])
        self.assertEqual(self.history("operator").run_count, 1)

    def test_strangers_get_nothing(self):
        with self.assertRaises(AccessError):
            self.history("stranger")
        with self.assertRaises(AccessError):
            self.history().with_user(self.stranger)._write("csv", io.BytesIO())

    def _fill(self, count):
        """Have so many more runs on 2024-02-05, each with an error."""
        values = self.run_at(datetime(2024, 2, 5, 1)).read(["sop_id", "company_id"])[0]
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """WITH made AS (
                     INSERT INTO qms_sop_run (name, sop_id, state, trigger, user_id,
                                 create_uid, company_id, active, start_time)
                          SELECT 'RUN-X' || n, %(sop)s, 'in_progress', 'manual',
                                 %(user)s, %(user)s, %(company)s, TRUE,
                                 TIMESTAMP '2024-02-05' + n * INTERVAL '1 second'
                            FROM generate_series(1, %(count)s) n
                       RETURNING id)
                   INSERT INTO qms_sop_run_error (run_id, error_code_id,
                               error_message, occurred_at)
                        SELECT id, %(code)s, 'x', now() FROM made""",
                sop=values["sop_id"][0],
                company=values["company_id"][0],
                user=self.operator.id,
                code=self.env.ref("qms_error_code.error_code_disk_full").id,
                count=count,
            )
        )

    def _queries(self, history):
        for _ in range(2):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            found = sum(1 for _line in history._lines())
        return found, self.env.cr.sql_log_count - before

    def test_queries(self):
        """A batch costs its runs and their errors, whatever there is in it."""
        history = self.history()
        self._fill(50)
        found, few = self._queries(history)
        self.assertEqual(found, 51)
        # Filters and the user; runs; SOPs and their steps; errors; names
        self.assertLessEqual(few, 17)
        self._fill(1900)
        found, many = self._queries(history)
        self.assertEqual(found, 1952)
        self.assertEqual(many, few)
        self._fill(4000)
        found, most = self._queries(history)
        self.assertEqual(found, 5953)
        self.assertEqual(most, few + 2 * 2)


@tagged("post_install", "-at_install")
class TestRunHistoryPaper(RunHistoryCase):
    """The PDF, made by the real wkhtmltopdf."""

    def pages(self, history, report=REPORT):
        content, kind = (
            self.env["ir.actions.report"]
            .with_user(self.users["auditor"])
            .with_context(force_report_rendering=True)
            ._render_qweb_pdf(report, history.ids)
        )
        self.assertEqual(kind, "pdf")
        return PdfReader(io.BytesIO(content)).pages

    def texts(self, history, report=REPORT):
        return [
            " ".join(page.extract_text().split())
            for page in self.pages(history, report)
        ]

    def test_every_run_under_a_heading_on_both_papers(self):
        runs = self.env["qms.sop.run"]
        for number in range(45):
            runs |= self.run_at(datetime(2024, 2, 1 + number % 28), severity="high")
        self.env.flush_all()
        history = self.history(group_by="severity")
        for report, size in ((REPORT, (842, 595)), (f"{REPORT}_letter", (792, 612))):
            box = self.pages(history, report)[0].mediabox
            self.assertEqual((round(box.width), round(box.height)), size)
            texts = self.texts(history, report)
            listing = [text for text in texts if "RUN-" in text]
            self.assertEqual(len(listing), 3)
            for text in listing:
                self.assertIn("Run SOP Severity Error code", text)
            for run in runs:
                self.assertEqual(sum(run.name in text for text in texts), 1, run.name)
            for number, text in enumerate(texts, 1):
                self.assertIn(f"{number} / {len(texts)}", text)
                self.assertIn("Run history 2024-02-01 – 2024-02-29", text)

    def test_figures(self):
        self.run_at(datetime(2024, 2, 5), 45, severity="high")
        first = self.texts(self.history())[0]
        for text in ("1 runs", "100% success", "45 min median time", "1 overdue"):
            self.assertIn(text, first)

    def test_what_is_unknown_is_a_dash(self):
        self.run_at(datetime(2024, 2, 5), sop=self.sop)
        first = self.texts(self.history())[0]
        for text in ("– success", "– median time", "– overdue", "0 errors"):
            self.assertIn(text, first)

    def test_filters_are_printed(self):
        self.run_at(datetime(2024, 2, 5), severity="high")
        severity = self.env["qms.severity"]._resolve("high")
        history = self.history(
            severity_ids=[Command.set(severity.ids)],
            sop_ids=[Command.set(self.timed.ids)],
            state="open",
        )
        first = self.texts(history)[0]
        for text in ("SOPs : SOP-TIMED-001", "Severities : High", "Runs : Open"):
            self.assertIn(text, first)

    def test_nothing_to_report(self):
        texts = self.texts(self.history())
        self.assertEqual(len(texts), 1)
        self.assertIn("There was no such run", texts[0])

    def test_chart_says_when_it_leaves_groups_out(self):
        codes = self.env["qms.error.code"].search([], limit=9)
        for code in codes:
            run = self.run_at(datetime(2024, 2, 5), error_code=code.name)
        self.env.flush_all()
        history = self.history(group_by="error_code")
        self.assertIn("By error code: the 8 with the most", self.texts(history)[0])
        run.cancel("Not needed.")
        history.state = "open"
        first = self.texts(history)[0]
        self.assertIn("By error code", first)
        self.assertNotIn("with the most runs", first)

    def test_charts_count_what_is_there(self):
        self.run_at(datetime(2024, 2, 5), 45, severity="high")
        self.run_at(datetime(2024, 2, 6), severity="low")
        html = (
            self.env["ir.actions.report"]
            .with_user(self.users["auditor"])
            ._render_qweb_html(REPORT, self.history(group_by="sop").ids)[0]
            .decode()
        )
        self.assertEqual(html.count("<svg"), 3)
        # A legend of four; two columns; two severities; one SOP with two outcomes.
        self.assertEqual(html.count("<rect"), 4 + 2 + 2 + 2)
        self.assertNotIn("<script", html.split("q-paper", 1)[1])


@tagged("post_install", "-at_install")
class TestRunHistoryDownload(RunHistoryCase, HttpCase):
    def _download(self, history, kind, login):
        self.authenticate(login, login)
        return self.url_open(f"/qms_sop/run-history/{history.id}.{kind}")

    def test_files(self):
        run = self.run_at(datetime(2024, 2, 5), 45)
        history = self.history()
        answer = self._download(history, "csv", "qms_auditor")
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(answer.headers["Content-Type"], "text/csv; charset=utf-8")
        self.assertIn(
            "runs_2024-02-01_2024-02-29.csv", answer.headers["Content-Disposition"]
        )
        self.assertIn(run.name, answer.text)
        answer = self._download(history, "xlsx", "qms_auditor")
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        self.assertEqual(book["Runs"]["A2"].value, run.name)

    @mute_logger("odoo.http")
    def test_what_there_is_not(self):
        history = self.history()
        self.assertEqual(self._download(history, "pdf", "qms_auditor").status_code, 404)
        answer = self._download(history, "csv", "stranger")
        self.assertEqual(answer.status_code, 404)
        self.assertNotIn("Traceback", answer.text)
        history.sudo().unlink()
        self.assertEqual(self._download(history, "csv", "qms_auditor").status_code, 404)
