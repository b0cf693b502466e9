from odoo.tests import tagged

from .common import QmsSopCommon


@tagged("post_install", "-at_install")
class TestQmsSopPerformance(QmsSopCommon):
    """Query counts of the hot operations (DESIGN.md, "Numbers to stay under").

    Measured as on a server that has answered such a call before: access rights
    and code lists are in the registry's cache, records are not.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runs = cls.env["qms.sop.run"].with_user(cls.users["automation"])
        cls.six_steps = cls.approved_sop("SOP-SIX-001", steps=tuple("ABCDEF"))

    def count(self, call):
        """Return the queries that a call costs the second time it is made."""
        for _ in range(2):
            self.env.cr.flush()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            call()
            # As a commit does, which also writes the audit trail.
            self.env.cr.flush()
        return self.env.cr.sql_log_count - before

    def test_start_run(self):
        # SOP; run number; the run; its six steps; head and events of the audit trail
        self.assertLessEqual(self.count(lambda: self.runs.start_run("SOP-SIX-001")), 6)

    def test_start_run_of_which_people_are_told(self):
        # … which wakes the escalations with the same query
        for severity in ("critical", "low"):
            with self.subTest(severity):
                queries = self.count(
                    lambda severity=severity: self.runs.start_run(
                        "SOP-SIX-001", severity=severity, summary="It is slow."
                    )
                )
                self.assertLessEqual(queries, 6)

    def test_start_run_with_code_and_key(self):
        keys = iter(("one", "two"))
        # … plus the key; its answer goes with the trail
        self.assertLessEqual(
            self.count(
                lambda: self.runs.start_run(
                    "SOP-SIX-001",
                    error_code="DB_CONNECTION_LEAK",
                    severity="high",
                    idempotency_key=next(keys),
                )
            ),
            7,
        )

    def test_log_error(self):
        run = self.runs.browse(self.runs.start_run("SOP-SIX-001")["id"])
        # Does the run exist; the run; its steps, of which one is meant, twice; the
        # error; its count; the version of the run; head of the trail, who it was, which
        # step, events
        self.assertLessEqual(
            self.count(
                lambda: run.log_error("It leaks.", "DB_CONNECTION_LEAK", step=2)
            ),
            11,
        )

    def test_get_run(self):
        run = self.runs.browse(self.runs.start_run("SOP-SIX-001")["id"])
        self.assertEqual(self.count(run._to_dict), 1)

    def test_lists_do_not_pay_per_run(self):
        def read(limit):
            return self.count(
                lambda: self.runs.web_search_read(
                    [("sop_code", "=", "SOP-SIX-001")],
                    {
                        "name": {},
                        "sop_id": {"fields": {"display_name": {}}},
                        "severity": {},
                        "progress": {},
                        "error_count": {},
                        "duration": {},
                    },
                    limit=limit,
                )
            )

        for _ in range(13):
            self.runs.start_run("SOP-SIX-001", severity="low")
        self.assertEqual(read(12), read(2))

    def test_completing_does_not_pay_per_step(self):
        def complete(sop):
            run = self.start_run(sop=sop)
            self.work(run)
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            run.complete("Done.")
            self.env.flush_all()
            return self.env.cr.sql_log_count - before

        complete(self.sop)
        self.assertLessEqual(complete(self.six_steps), complete(self.sop))
