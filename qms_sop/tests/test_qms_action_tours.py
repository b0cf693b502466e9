from odoo.tests import HttpCase, tagged

from .test_qms_action import ActionCase


@tagged("post_install", "-at_install")
class TestActionTours(ActionCase, HttpCase):
    def test_raise_do_check_and_sign(self):
        run = self.start_run()
        rca = run.record_rca("Exceptions keep their connections.")
        self.start_tour(
            f"/odoo/qms-root-causes/{rca['id']}",
            "qms_action_work_tour",
            login="qms_operator",
        )
        action = run.action_ids
        self.assertRecordValues(
            action,
            [
                {
                    "source_type": "rca",
                    "state": "done",
                    "result": "All handlers have one.",
                    "user_id": self.operator.id,
                }
            ],
        )

        self.raised(run_id=run.id, check_days=0).complete("The check runs in CI.")
        self.start_tour(
            "/odoo/qms-actions", "qms_action_check_tour", login="qms_manager"
        )
        self.assertRecordValues(
            run.action_ids - action,
            [
                {
                    "state": "verified",
                    "verified_by_id": self.manager.id,
                    "effectiveness": "No failure since.",
                }
            ],
        )
