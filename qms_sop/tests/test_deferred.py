from odoo.tests import tagged
from odoo.tools import SQL

from ..tools.deferred import execute_last, run_last
from .common import QmsSopCommon


@tagged("post_install", "-at_install")
class TestDeferred(QmsSopCommon):
    """Statements that are sent to the database together, at the end."""

    def setUp(self):
        super().setUp()
        self.env.cr.flush()

    def noted(self):
        """Return what :meth:`note` wrote, in the order of writing."""
        rows = self.env.execute_query(
            SQL("SELECT key FROM ir_config_parameter WHERE key LIKE 'test.%%'")
        )
        return [key for (key,) in rows]

    def note(self, key):
        execute_last(
            self.env.cr,
            SQL("INSERT INTO ir_config_parameter (key, value) VALUES (%s, 'x')", key),
        )

    def queries(self, call):
        before = self.env.cr.sql_log_count
        call()
        return self.env.cr.sql_log_count - before

    def test_one_query_at_the_end(self):
        self.note("test.a")
        self.note("test.b")
        self.assertEqual(self.noted(), [])
        self.assertEqual(self.queries(self.env.cr.flush), 1)
        self.assertEqual(self.noted(), ["test.a", "test.b"])
        self.assertEqual(self.queries(self.env.cr.flush), 0)

    def test_before_a_savepoint(self):
        self.note("test.a")
        with self.env.cr.savepoint():
            self.assertEqual(self.noted(), ["test.a"])

    def test_what_is_undone_is_forgotten(self):
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            self.note("test.a")
            raise ZeroDivisionError
        self.note("test.b")
        self.env.cr.flush()
        self.assertEqual(self.noted(), ["test.b"])

    def test_last_comes_after_all_that_wait(self):
        calls, precommit = [], self.env.cr.precommit
        run_last(self.env.cr, lambda: calls.append("last"))
        precommit.add(lambda: precommit.add(lambda: calls.append("added")))
        precommit.add(lambda: calls.append("first"))
        self.env.cr.flush()
        self.assertEqual(calls, ["first", "last", "added"])

    def test_the_trail_takes_along_what_waits(self):
        run = self.start_run()
        self.env.cr.flush()
        for summary in ("Slow", "Slow again"):
            run.write({"summary": summary})
            self.env.flush_all()
            alone = self.queries(self.env.cr.flush)
        run.write({"summary": "Slower"})
        self.env.flush_all()
        self.note("test.a")
        self.assertEqual(self.queries(self.env.cr.flush), alone)
        self.assertEqual(self.noted(), ["test.a"])
        verified = self.env["qms.audit.event"].verify(run._name, run.id)
        self.assertEqual(verified["state"], "passed")

    def test_an_answer_is_known_in_the_same_transaction(self):
        runs = self.env["qms.sop.run"].with_user(self.users["automation"])
        answers = [
            runs.start_run("SOP-TEST-001", idempotency_key="twice") for _ in range(2)
        ]
        self.assertEqual(*answers)
