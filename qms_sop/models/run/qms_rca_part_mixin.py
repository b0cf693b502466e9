from odoo import api, fields, models


class QmsRcaPartMixin(models.AbstractModel):
    """A line of an analysis: it is sealed together with it."""

    _name = "qms.rca.part.mixin"
    _description = "Part of a root-cause analysis"
    _order = "rca_id, sequence, id"

    rca_id = fields.Many2one("qms.rca", required=True, index=True, ondelete="cascade")
    sequence = fields.Integer(default=10)

    @api.model_create_multi
    def create(self, vals_list):
        parts = super().create(vals_list)
        parts.rca_id._check_editable()
        parts.rca_id.run_id._bump_version()
        return parts

    def write(self, vals):
        self.check_access("write")
        self.rca_id._check_editable()
        result = super().write(vals)
        self.rca_id._check_editable()
        self.rca_id.run_id._bump_version()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_confirmed(self):
        self.rca_id._check_editable()
