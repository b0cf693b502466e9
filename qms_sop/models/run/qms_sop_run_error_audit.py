from odoo import models


class QmsSopRunError(models.Model):
    _inherit = "qms.sop.run.error"

    _audit_created_kind = "error"
    _audit_began = "occurred_at"

    def _audit_name(self):
        codes = self.env["qms.error.code"]._names_by_id()
        return codes.get(self.error_code_id.id) or self.error_code_id.name
