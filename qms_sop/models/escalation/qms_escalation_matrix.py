from odoo import api, fields, models


class QmsEscalationMatrix(models.Model):
    """Policies that belong together, such as the rows of a table in a runbook.

    Of one matrix, the first policy that fits a run decides. Matrices stand side by
    side: a run can be told of by the policy for its severity, and by the one for its
    kind of trouble.
    """

    _name = "qms.escalation.matrix"
    _description = "Escalation matrix"
    _inherit = ["mail.thread", "qms.audit.mixin"]
    _order = "sequence, id"

    name = fields.Char(required=True, translate=True, tracking=True)
    sequence = fields.Integer(default=50)
    active = fields.Boolean(
        default=True, tracking=True, help="An archived matrix tells nobody."
    )
    description = fields.Text(translate=True, help="What it is for, and its source.")
    policy_ids = fields.One2many("qms.escalation.policy", "matrix_id", "Policies")
    policy_count = fields.Integer(compute="_compute_policy_count")

    @api.depends("policy_ids")
    def _compute_policy_count(self):
        for matrix in self:
            matrix.policy_count = len(matrix.policy_ids)

    def write(self, vals):
        result = super().write(vals)
        if vals.get("active"):
            self.policy_ids.rule_ids._begin()
        if {"active", "sequence"} & vals.keys():
            self.env["qms.escalation.policy"]._policies_changed()
        return result

    def unlink(self):
        result = super().unlink()
        self.env["qms.escalation.policy"]._policies_changed()
        return result

    def action_view_policies(self):
        """Open the policies of one matrix."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_escalation_policy_action"
        )
        return {
            **action,
            "domain": [("matrix_id", "=", self.id)],
            "context": {"default_matrix_id": self.id},
        }
