from odoo.tests import HttpCase, tagged

from .common import QmsSopCommon


@tagged("post_install", "-at_install")
class TestEscalationTour(QmsSopCommon, HttpCase):
    """The editor of policies and the rota in a real browser."""

    def test_manager(self):
        roles = self.env["qms.role"].search([])
        roles.user_ids = False
        roles.shift_ids.unlink()
        roles.override_ids.unlink()
        self.start_tour(
            "/odoo/qms-escalation-policies", "qms_escalation_tour", login="qms_manager"
        )
        self.env.invalidate_all()
        rule = self.env.ref("qms_sop.escalation_rule_critical_30")
        self.assertEqual(rule.minutes, 25)
        shift = self.env.ref("qms_sop.role_on_call_engineer").shift_ids
        self.assertEqual(shift.user_id, self.operator)
