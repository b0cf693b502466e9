from contextlib import contextmanager
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import ValidationError
from odoo.tests import Form, new_test_user, tagged

from odoo.addons.qms_sop.tests.api_common import QmsApiCase

from ..schemas import incidents_similar as schemas
from ..tools.words import first_line, telling_words
from .common import QmsIncidentCommon

POOL = "Schedules cannot be generated: connection pool exhausted"


class SimilarCase(QmsIncidentCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Whatever the database has besides
        cls.env["qms.incident"].search([]).active = False

    @contextmanager
    def without_trigram(self):
        with patch.object(self.env.registry, "has_trigram", False):
            yield

    def analysed(self, cause, fix="Apply the migration", **values):
        """Return an incident whose root cause is known."""
        incident = self.open(**values)
        run = self.start_run()
        incident.link_run(run.id)
        run.record_rca(
            "The migration was missing", fix=fix, verification="Requests pass"
        )
        run.rca_ids.cause_id = cause
        run.rca_ids.action_confirm()
        return incident

    def found(self, *arguments, **named):
        found = self.env["qms.incident"].with_user(self.operator)
        return found.find_similar(*arguments, **named)

    def ids(self, *arguments, **named):
        return [one["id"] for one in self.found(*arguments, **named)]


@tagged("post_install", "-at_install")
class TestSimilarIncidents(SimilarCase):
    def both_ways(self):
        """Yield once with pg_trgm, where there is one, and once without."""
        if self.env.registry.has_trigram:
            with self.subTest("trigrams"):
                yield
        with self.subTest("words"), self.without_trigram():
            yield

    def test_by_title(self):
        same = self.open(title=POOL)
        near = self.open(title="Schedule generation fails, connection pool is full")
        self.open(title="Certificate of the website has expired")
        for _way in self.both_ways():
            found = self.found("Connection pool exhausted, no schedules generated")
            self.assertEqual([one["id"] for one in found], [same.id, near.id])
            self.assertEqual(found[0]["reasons"], ["text"])
            self.assertRegex(found[0]["why"][0], r"^similar (title|words) \(\d+ %\)$")
            self.assertGreater(found[0]["score"], found[1]["score"])
            self.assertEqual(self.ids("Something else altogether"), [])

    def test_by_words_of_the_description_without_trigrams(self):
        one = self.open(title="API down", description="QueuePool limit reached")
        with self.without_trigram():
            self.assertEqual(self.ids("QueuePool limit"), [one.id])

    def test_rare_words_count_more_without_trigrams(self):
        for number in range(4):
            self.open(title=f"Page fails {'abcd'[number]}")
        one = self.open(title="Page with certificates")
        with self.without_trigram():
            found = self.found("Page fails: certificate")
        self.assertEqual([each["id"] for each in found], [one.id])

    def test_by_code(self):
        same = self.open(title="A", error_code="DB_DEADLOCK")
        self.open(title="B", error_code="DB_CONNECTION_TIMEOUT")
        [found] = self.found(error_code="db_deadlock")
        self.assertEqual(found["id"], same.id)
        self.assertEqual(found["reasons"], ["error_code"])
        self.assertEqual(found["why"], ["same error code: DB_DEADLOCK"])

    def test_code_is_recognised_in_the_text(self):
        same = self.open(title="A", error_code="DB_DEADLOCK")
        [found] = self.found("Oh no\nERROR: deadlock detected in process 7")
        self.assertEqual(found["id"], same.id)
        self.assertEqual(
            found["why"], ["error code recognised in the text: DB_DEADLOCK"]
        )

    def test_by_cause_with_what_mended_it(self):
        code = self.env["qms.error.code"]._resolve("DB_DEADLOCK")
        causes = self.env["qms.error.cause"].create(
            [
                {
                    "name": name,
                    "symptom": "Timeouts",
                    "category_id": code.category_id.id,
                }
                for name in ("Missing migration", "Full disk")
            ]
        )
        first = self.analysed(causes[0], title="A")
        second = self.analysed(causes[0], title="B", fix="Restart it")
        self.analysed(causes[1], title="C", fix="Tidy up")
        [found] = second.get_similar()
        self.assertEqual(found["id"], first.id)
        self.assertEqual(found["reasons"], ["cause"])
        self.assertEqual(found["why"], ["same root cause: Missing migration"])
        self.assertEqual(found["root_cause"], "The migration was missing")
        self.assertEqual(
            (found["fix"], found["fix_from"]), ("Apply the migration", "analysis")
        )
        code.cause_ids = causes[0]
        found = self.found(error_code="DB_DEADLOCK")
        self.assertEqual({one["id"] for one in found}, {first.id, second.id})
        self.assertEqual({*found[0]["reasons"]}, {"likely_cause"})

    def test_more_in_common_comes_first(self):
        title = self.open(title=POOL)
        code = self.open(title="Other", error_code="DB_DEADLOCK")
        both = self.open(title=POOL, error_code="DB_DEADLOCK")
        found = self.found(POOL, "DB_DEADLOCK")
        self.assertEqual([one["id"] for one in found], [both.id, title.id, code.id])
        self.assertEqual([one["score"] for one in found], [0.95, 0.6, 0.35])
        self.assertEqual(self.ids(POOL, "DB_DEADLOCK", 1), [both.id])

    def test_what_mended_it_else(self):
        incident = self.open(title=POOL)
        self.assertFalse(self.found(POOL)[0]["fix"])
        incident.write({"workaround_available": "yes", "workaround": "Wait"})
        found = self.found(POOL)[0]
        self.assertEqual((found["fix"], found["fix_from"]), ("Wait", "workaround"))
        run = self.start_run()
        incident.link_run(run.id)
        self.work(run)
        run.complete("Restarted the service", 60)
        found = self.found(POOL)[0]
        self.assertEqual(
            (found["fix"], found["fix_from"]), ("Restarted the service", "run")
        )

    def test_what_a_published_postmortem_says_mended_it(self):
        incident = self.open(title=POOL)
        incident.write({"workaround_available": "yes", "workaround": "Wait"})
        incident.create_postmortem(root_cause="No migration", fix="Apply it")
        self.assertEqual(self.found(POOL)[0]["fix_from"], "workaround")
        self.env.flush_all()
        # Not by signing, which is tested elsewhere
        self.env.cr.execute("UPDATE qms_postmortem SET state = 'published'")
        self.env.invalidate_all()
        found = self.found(POOL)[0]
        self.assertEqual(
            (found["root_cause"], found["fix"], found["fix_from"]),
            ("No migration", "Apply it", "postmortem"),
        )

    def test_left_out(self):
        first = self.open(title=POOL)
        second = self.open(title=POOL)
        second.move("duplicate", duplicate_of=first.id)
        self.open(title=POOL).active = False
        false = self.open(title=POOL)
        false.move("false_positive", reason="A test")
        for _way in self.both_ways():
            self.assertEqual(set(self.ids(POOL)), {first.id, false.id})
            self.assertEqual([one["id"] for one in first.get_similar()], [false.id])
        self.assertEqual(
            {one["id"]: one["open"] for one in self.found(POOL)},
            {first.id: True, false.id: False},
        )

    def test_what_is_resolved_is_not_the_same(self):
        incident = self.open(title=POOL)
        self.assertTrue(self.found(POOL)[0]["open"])
        for state in ("triaged", "mitigated"):
            incident.move(state)
            self.assertTrue(self.found(POOL)[0]["open"])
        incident.move("resolved")
        self.assertFalse(self.found(POOL)[0]["open"])

    def test_never_across_companies(self):
        other = self.env["res.company"].create({"name": "Other"})
        stranger = new_test_user(
            self.env,
            "qms_stranger",
            groups="base.group_user,qms_error_code.group_qms_operator",
            company_id=other.id,
            company_ids=[fields.Command.set(other.ids)],
        )
        ours = self.open(title=POOL, error_code="DB_DEADLOCK")
        theirs = self.open(stranger, title=POOL, error_code="DB_DEADLOCK")
        self.operator.company_ids |= other
        for _way in self.both_ways():
            incidents = self.env["qms.incident"].with_user(stranger)
            found = incidents.find_similar(POOL, "DB_DEADLOCK")
            self.assertEqual([one["id"] for one in found], [theirs.id])
            self.assertEqual(self.ids(POOL, "DB_DEADLOCK"), [ours.id])
            both = ours.with_context(allowed_company_ids=(ours.company_id | other).ids)
            self.assertEqual(both.get_similar(), [])

    def test_many_cost_no_more_queries_than_few(self):
        code = self.env["qms.error.code"]._resolve("DB_DEADLOCK")

        def queries():
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.found(POOL, "DB_DEADLOCK", 20)
            return self.env.cr.sql_log_count - before

        self.analysed(code.cause_ids[:1], title=POOL, error_code="DB_DEADLOCK")
        queries()
        few = queries()
        for _number in range(6):
            self.analysed(code.cause_ids[:1], title=POOL, error_code="DB_DEADLOCK")
        self.assertEqual(len(self.found(POOL, "DB_DEADLOCK", 20)), 7)
        self.assertLessEqual(queries(), few)
        self.assertLessEqual(few, 25)

    def test_form_shows_them_while_one_is_opened(self):
        past = self.open(title=POOL)
        past.write(
            {"workaround_available": "yes", "workaround": "<b>Wait</b> a minute"}
        )
        incidents = self.env["qms.incident"].with_user(self.operator)
        with Form(incidents) as form:
            self.assertFalse(form.similar_hint)
            form.title = "Connection pool exhausted, schedules not generated"
            self.assertIn(past.name, form.similar_hint)
            self.assertIn(
                "Still open: is it the same?", " ".join(form.similar_hint.split())
            )
            self.assertIn("&lt;b&gt;Wait", form.similar_hint)
            form.title = "Something else altogether"
            self.assertFalse(form.similar_hint)
            form.title = POOL
        saved = form.record
        self.assertFalse(saved.similar_hint)
        self.assertFalse(saved.similar_html)
        action = saved.action_view_similar()
        self.assertEqual((action["res_id"], action["target"]), (saved.id, "new"))
        saved = saved.with_context(**action["context"])
        self.assertIn(past.name, saved.similar_html)
        self.assertNotIn(saved.name, saved.similar_html)
        past.active = False
        saved.invalidate_recordset()
        self.assertIn("No incident with a similar title", saved.similar_html)

    def test_wrong_arguments(self):
        for arguments, said in (
            ({}, "Argument text: give a text, an error code or both"),
            ({"text": "  "}, "Argument text"),
            ({"error_code": "DB_DEADLOK"}, "DB_DEADLOCK"),
            ({"text": "x", "limit": 0}, "limit: 0 is not accepted; give 1 to 20"),
            ({"text": "x", "limit": 21}, "limit: 21"),
            ({"text": 7}, "text"),
        ):
            with self.subTest(arguments), self.refused(ValidationError, said):
                self.found(**arguments)

    def test_texts_that_mean_something_else_to_sql(self):
        one = self.open(title="100% of 'quoted' \\ %s (percent) _ Ω")
        for _way in self.both_ways():
            self.assertEqual(self.ids(one.title), [one.id])
            for text in (
                "'",
                "%",
                "%s %(x)s",
                "\\",
                "___",
                "1 2 3",
                "\u0301",
                "a" * 900,
            ):
                self.assertEqual(self.ids(text), [])

    def test_index(self):
        self.env.cr.execute(
            "SELECT 1 FROM pg_indexes WHERE indexname = 'qms_incident_title_gist_idx'"
        )
        self.assertEqual(bool(self.env.cr.rowcount), self.env.registry.has_trigram)

    def test_words(self):
        self.assertEqual(
            telling_words("Schedules can not be GENERATED: scheduling in 2025, äöü"),
            ["schedu", "genera", "äöü"],
        )
        self.assertEqual(telling_words("12 34 a b"), [])
        self.assertEqual(
            len(telling_words(" ".join(f"word{n}x" for n in range(99)))), 8
        )
        self.assertEqual(first_line("\n \n  one\t two \nthree"), "one two")
        self.assertEqual(first_line(" \n"), "")
        self.assertEqual(len(first_line("a" * 999)), 200)


@tagged("post_install", "-at_install")
class TestApiSimilarIncidents(SimilarCase, QmsApiCase):
    def test_operations(self):
        first = self.open(title=POOL, error_code="DB_DEADLOCK")
        second = self.open(title=POOL)
        path = "incidents/similar?text=connection%20pool%20exhausted%20schedules"
        found = self.call("GET", f"{path}&limit=1", self.users["auditor"])
        self.assertEqual(found.status_code, 200, found.text)
        self.assert_valid(schemas.SimilarIncidents, found.json())
        self.assertEqual(len(found.json()["items"]), 1)
        found = self.call(
            "GET", "incidents/similar?error_code=db_deadlock", self.users["automation"]
        ).json()
        self.assertEqual([one["id"] for one in found["items"]], [first.id])
        found = self.call("GET", f"incidents/{second.id}/similar", self.operator)
        self.assert_valid(schemas.SimilarIncidents, found.json())
        self.assertEqual([one["id"] for one in found.json()["items"]], [first.id])
        self.assertIsNone(found.json()["items"][0]["fix"])

    def test_what_is_wrong_is_named(self):
        for path, status, field in (
            ("incidents/similar", 422, "text"),
            ("incidents/similar?error_code=NOPE", 422, "error_code"),
            ("incidents/similar?text=x&limit=21", 422, "limit"),
            ("incidents/similar?text=x&color=1", 422, "color"),
            ("incidents/2000000000/similar", 404, None),
        ):
            with self.subTest(path):
                response = self.call("GET", path, self.operator)
                self.assert_problem(response, status, field=field)
        self.assertEqual(self.call("GET", "incidents/similar?text=x").status_code, 401)
