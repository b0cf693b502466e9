from odoo import api, fields, models


class QmsPostmortemWhy(models.Model):
    """One "why?" of an incident that no root-cause analysis was made of."""

    _name = "qms.postmortem.why"
    _description = "Why of a post-mortem"
    _inherit = ["qms.audit.mixin"]
    _order = "postmortem_id, sequence, id"
    _rec_name = "question"
    _audit_root_path = "postmortem_id"
    _audit_owner_path = "postmortem_id"

    postmortem_id = fields.Many2one(
        "qms.postmortem", required=True, index=True, ondelete="cascade"
    )
    sequence = fields.Integer(default=10)
    question = fields.Char("Why?", required=True)
    answer = fields.Char("Because", required=True)
    evidence = fields.Char(help="What shows that the answer is true.")

    @api.model_create_multi
    def create(self, vals_list):
        whys = super().create(vals_list)
        whys.postmortem_id._check_editable("why_ids")
        whys.postmortem_id._bump_version()
        return whys

    def write(self, vals):
        self.check_access("write")
        self.postmortem_id._check_editable("why_ids")
        result = super().write(vals)
        self.postmortem_id._check_editable("why_ids")
        self.postmortem_id._bump_version()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_locked(self):
        self.postmortem_id._check_editable("why_ids")
        self.postmortem_id._bump_version()

    def _to_dict(self):
        self.ensure_one()
        return {
            "question": self.question,
            "answer": self.answer,
            "evidence": self.evidence or None,
        }
