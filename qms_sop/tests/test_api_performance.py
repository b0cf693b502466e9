from odoo.tests import tagged

from ..schemas.common import PageQuery
from ..schemas.sop_runs import RunListQuery, RunQuery
from .common import QmsSopCommon


@tagged("post_install", "-at_install")
class TestApiPerformance(QmsSopCommon):
    """Queries of the API's operations, on a server that has answered such a call."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runs = cls.env["qms.sop.run"].with_user(cls.users["automation"])
        for number in range(60):
            run = cls.runs.browse(
                cls.runs.start_run("SOP-TEST-001", source="queries")["id"]
            )
            if number % 2:
                run.log_error("Oh", error_code="STEP_FAILURE", step=1)
                run.add_evidence("a.txt", "eA==", step=1)
                run.record_rca(
                    "Cause",
                    whys=[{"question": "Why?", "answer": "So"}],
                    contributing_factors="a, b",
                )
        cls.last = run

    def count(self, call):
        """Return the queries that a call costs the second time it is made."""
        for _ in range(2):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            call()
            self.env.flush_all()
        return self.env.cr.sql_log_count - before

    def count_list(self, **values):
        query = RunListQuery(q="queries", **values)
        found = self.runs._api_list(query)
        self.assertEqual(len(found["items"]), query.limit)
        return self.count(lambda: self.runs._api_list(query))

    def test_get(self):
        self.assertEqual(
            self.count(lambda: self.runs._api_get(self.last.id, RunQuery())), 1
        )

    def test_list(self):
        self.assertEqual(self.count_list(limit=50), 1)
        # By a time that can be missing: those that have none are another query.
        self.assertEqual(self.count_list(limit=50, sort="-start_time"), 1)
        found = self.runs._api_list(RunListQuery(q="queries", limit=5))
        query = RunListQuery(q="queries", limit=5, cursor=found["next_cursor"])
        self.assertEqual(self.count(lambda: self.runs._api_list(query)), 1)

    def test_list_with_what_belongs_to_runs(self):
        for include, most in (
            ("steps", 4),
            ("errors", 6),
            ("evidence", 4),
            ("rca", 7),
            ("steps,errors,evidence,rca", 14),
        ):
            with self.subTest(include):
                many = self.count_list(limit=50, include=include)
                self.assertEqual(self.count_list(limit=2, include=include), many)
                self.assertLessEqual(many, most)

    def test_filters_cost_at_most_one_query_each(self):
        self.assertLessEqual(
            self.count(
                lambda: self.runs._api_list(
                    RunListQuery(
                        severity="P0,low",
                        category="DATABASE",
                        error_code="DB_DEADLOCK",
                        sop_code="SOP-TEST-001",
                    )
                )
            ),
            6,
        )

    def test_parts(self):
        for name, most in (("errors", 6), ("evidence", 3), ("rca", 7)):
            with self.subTest(name):
                call = lambda name=name: self.runs._api_parts(  # noqa: E731
                    self.last.id, name, PageQuery()
                )
                self.assertLessEqual(self.count(call), most)

    def test_create(self):
        # … plus nothing over what start_run costs
        values = {"sop_code": "SOP-TEST-001"}
        self.assertLessEqual(self.count(lambda: self.runs._api_create(values)), 5)
