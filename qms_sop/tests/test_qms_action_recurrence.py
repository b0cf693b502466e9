from datetime import date

from lxml import html

from odoo.exceptions import UserError, ValidationError
from odoo.tests import freeze_time, tagged

from .test_qms_action import LATER, TODAY, ActionCase

CAUSE = "Exception handling doesn't close DB connections"


@tagged("post_install", "-at_install")
class TestActionSources(ActionCase):
    """Analyses raise actions, and reopen them when they find the cause again."""

    def analysed(self, cause=CAUSE, known=None, code="DB_CONNECTION_LEAK", **values):
        """Return the analysis of a new run."""
        run = self.start_run(error_code=code)
        rca = self.env["qms.rca"].with_user(self.operator)
        rca = rca.browse(run.record_rca(cause, **values)["id"])
        if known:
            rca.cause_id = known
        return rca

    def effective_against(self, rca):
        return self.effective(rca_id=rca.id, horizon="immediate")

    # === Raised with an analysis ===

    @freeze_time(TODAY)
    def test_an_analysis_raises_actions(self):
        run = self.start_run(error_code="DB_CONNECTION_LEAK")
        answer = run.record_rca(
            CAUSE,
            actions=[
                {"title": "Close them in finally blocks", "horizon": "immediate"},
                {
                    "title": "Alert on the size of the pool",
                    "kind": "preventive",
                    "type": "monitoring",
                    "priority": "P1",
                    "owner": "qms_author",
                    "due_date": "2026-03-20",
                },
            ],
        )
        rca = self.env["qms.rca"].browse(answer["id"])
        self.assertEqual(
            [action["reference"] for action in answer["actions"]],
            [f"{rca.name}/AI-001", f"{rca.name}/AI-002"],
        )
        self.assertRecordValues(
            rca.action_ids.sorted("id"),
            [
                {
                    "kind": "corrective",
                    "due_date": date(2026, 3, 9),
                    "user_id": self.operator.id,
                    "run_id": run.id,
                },
                {
                    "kind": "preventive",
                    "due_date": date(2026, 3, 20),
                    "user_id": self.author.id,
                    "run_id": run.id,
                },
            ],
        )
        self.assertEqual((rca.action_count, run.open_action_count), (2, 2))

    def test_a_wrong_action_refuses_the_analysis(self):
        run = self.start_run()
        for action, message in (
            ({}, "title"),
            ({"title": "x", "run_id": 1}, "number 1 comes from the analysis"),
            ({"title": "x", "colour": "red"}, "colour"),
            ({"title": 3}, "Argument title"),
        ):
            with (
                self.subTest(action),
                self.assertRaisesRegex(ValidationError, message),
                self.env.cr.savepoint(),
            ):
                run.record_rca(CAUSE, actions=[action])
        self.assertFalse(run.rca_ids)

    def test_counts(self):
        rca = self.analysed()
        for title in ("One", "Two", "Three"):
            self.raised(title, rca_id=rca.id)
        rca.action_ids[0].cancel("No.")
        run = rca.run_id
        self.assertEqual(
            (rca.action_count, rca.open_action_count, run.action_count), (3, 2, 3)
        )
        action = run.action_view_actions()
        self.assertEqual(self.actions.search(action["domain"]), rca.action_ids)

    def test_a_button_raises_with_the_source(self):
        rca = self.analysed()
        for record, reference in (
            (rca, f"{rca.name}/AI-001"),
            (rca.run_id, f"{rca.run_id.name}/AI-001"),
            (self.sop, f"{self.sop.code}/AI-001"),
        ):
            context = record.action_raise_action()["context"]
            action = self.actions.with_context(**context).create({"name": "x"})
            self.assertEqual(action.reference, reference)
            self.assertEqual(action.action_view_source()["res_model"], record._name)

    def test_the_report_of_a_run_lists_them(self):
        rca = self.analysed("Leak <b>.")
        self.done(rca_id=rca.id, horizon="immediate")
        self.raised("Tell & teach", run_id=rca.run_id.id, owner="qms_author")
        empty = self.start_run()
        self.env.invalidate_all()
        texts = []
        for run in (rca.run_id, empty):
            page = (
                self.env["ir.actions.report"]
                .with_user(self.users["auditor"])
                ._render_qweb_html("qms_sop.report_sop_run", run.ids)[0]
            )
            texts.append(
                " ".join(html.fromstring(page.decode()).text_content().split())
            )
        for part in (
            f"{rca.name}/AI-001",
            "Done, to be checked Overdue Add a migration check",
            "Done: The check runs in CI.",
            f"{rca.run_id.name}/AI-001 · Corrective · Medium · {self.author.name}",
            "Tell & teach",
        ):
            self.assertIn(part, texts[0])
        self.assertIn("No action was raised.", texts[1])

    # === Found again ===

    def test_the_same_words_reopen_it(self):
        action = self.effective_against(self.analysed())
        with freeze_time("2026-05-04 10:00:00"):
            again = self.analysed(f"  {CAUSE.upper()}.\n", confirm=True)
        self.assertRecordValues(
            action,
            [
                {
                    "state": "reopened",
                    "done_on": False,
                    "verified_on": False,
                    "effectiveness": False,
                    "due_date": date(2026, 5, 11),
                    "recurrence_ids": again.ids,
                    "reopened_count": 1,
                }
            ],
        )
        for text in (action.state_reason, action.message_ids[0].body):
            self.assertIn(f"{again.name} of {again.run_id.name}", text)
        event = self.env["qms.audit.event"].search(
            action._trail_domain(), order="sequence desc", limit=1
        )
        self.assertEqual(event.kind, "state")
        self.assertIn(again.name, event.reason)
        told = self.env["qms.notification"].search(
            [("model", "=", "qms.action"), ("res_id", "=", action.id)]
        )
        self.assertEqual(
            {(one.event, one.user_id.login) for one in told},
            # Who acts himself is told of what follows, not of what he does.
            {
                ("action_recurred", "qms_operator"),
                ("action_recurred", "qms_manager"),
            },
        )
        self.assertIn(again.name, told[0].body)

    def test_the_same_known_cause_reopens_it(self):
        known = self.env["qms.error.cause"].search([], limit=1)
        action = self.effective_against(self.analysed(known=known))
        with freeze_time("2026-05-04 10:00:00"):
            again = self.analysed("In other words.", known=known, code="DISK_FULL")
            self.assertEqual(action.state, "verified")
            again.action_confirm()
        self.assertEqual(action.state, "reopened")

    def test_what_is_no_recurrence(self):
        first = self.analysed()
        with freeze_time("2026-02-01 10:00:00"):
            earlier = self.start_run(error_code="DB_CONNECTION_LEAK")
        action = self.effective_against(first)
        with freeze_time("2026-05-04 10:00:00"):
            self.analysed("Another cause.", confirm=True)
            self.analysed(code="DISK_FULL", confirm=True)
            # Not confirmed; of the same run; of a run before the action was done
            self.analysed()
            first.run_id.record_rca(CAUSE, confirm=True)
            earlier.record_rca(CAUSE, confirm=True)
        self.assertEqual((action.state, action.recurrence_ids.ids), ("verified", []))

    def test_what_is_not_yet_effective_is_told(self):
        first = self.analysed()
        to_do = self.raised(rca_id=first.id)
        done = self.done(rca_id=first.id)
        cancelled = self.raised(rca_id=first.id)
        cancelled.cancel("No.")
        with freeze_time(LATER):
            again = self.analysed(confirm=True)
        self.assertEqual(
            (to_do | done | cancelled).mapped("state"), ["open", "done", "cancelled"]
        )
        self.assertEqual((to_do | done).recurrence_ids, again)
        self.assertFalse(cancelled.recurrence_ids)

    def test_a_robot_that_confirms_reopens_it(self):
        action = self.effective_against(self.analysed())
        with freeze_time("2026-05-04 10:00:00"):
            run = self.start_run(
                user=self.users["automation"], error_code="DB_CONNECTION_LEAK"
            )
            run.record_rca(CAUSE, confirm=True)
        self.assertEqual(action.state, "reopened")

    def test_nobody_says_so_by_hand(self):
        action, rca = self.raised(), self.analysed()
        with self.assertRaisesRegex(UserError, "the system writes it"):
            action.write({"recurrence_ids": [(4, rca.id)]})
