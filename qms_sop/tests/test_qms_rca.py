from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .common import QmsSopCommon


@tagged("post_install", "-at_install")
class TestQmsRca(QmsSopCommon):
    def record(self, run, **values):
        answer = run.record_rca(
            "Exception handling doesn't close DB connections",
            contributing_factors="High traffic, inefficient queries",
            **values,
        )
        return self.env["qms.rca"].with_user(self.operator).browse(answer["id"])

    def test_record(self):
        run = self.start_run(error_code="DB_CONNECTION_LEAK")
        rca = self.record(
            run,
            whys=[
                {"question": "Why did the check fail?", "answer": "It got a 500."},
                {
                    "question": "Why a 500?",
                    "answer": "No connection.",
                    "evidence": "log",
                },
            ],
            fix_type="code",
            fix="Added finally blocks.",
        )
        self.assertEqual(
            rca.factor_ids.mapped("name"), ["High traffic", "inefficient queries"]
        )
        self.assertEqual(rca.why_ids.mapped("sequence"), [1, 2])
        self.assertEqual(rca.error_code_id, run.error_code_id)
        self.assertEqual(rca.state, "draft")

    def test_after_the_run_has_ended(self):
        run = self.work(self.start_run())
        run.complete("Ok.")
        rca = self.record(run, confirm=True)
        self.assertEqual((rca.state, rca.confirmed_by_id), ("confirmed", self.operator))

    def test_confirmed_is_sealed(self):
        rca = self.record(
            self.start_run(),
            confirm=True,
            whys=[{"question": "Why?", "answer": "Because."}],
        )
        for name, change in {
            "cause": lambda: rca.write({"root_cause": "Another."}),
            "why": lambda: rca.why_ids.write({"answer": "Another."}),
            "new why": lambda: self.env["qms.rca.why"].create(
                {"rca_id": rca.id, "question": "q", "answer": "a"}
            ),
            "factor": lambda: rca.factor_ids.unlink(),
            "superuser": lambda: rca.sudo().write({"fix": "Another."}),
        }.items():
            with (
                self.subTest(name),
                self.assertRaisesRegex(UserError, "can no longer be changed"),
            ):
                change()
        with self.assertRaisesRegex(UserError, "is final"):
            rca.write({"state": "draft"})

    def test_confirm_needs_a_cause(self):
        run = self.start_run()
        rca = self.env["qms.rca"].create({"run_id": run.id})
        with self.assertRaisesRegex(UserError, "the root cause is missing"):
            rca.action_confirm()

    def test_refusals(self):
        run = self.start_run()
        for values, message in (
            ({"root_cause": " "}, "root_cause"),
            ({"root_cause": "x", "fix_type": "magic"}, "Accepted: code"),
            ({"root_cause": "x", "error_code": "NO_SUCH_CODE"}, "NO_SUCH_CODE"),
            ({"root_cause": "x", "whys": [{"question": "q"}]}, "Why number 1"),
            ({"root_cause": "x", "whys": ["because"]}, "whys"),
        ):
            with self.subTest(values), self.assertRaisesRegex(ValidationError, message):
                run.record_rca(**values)
