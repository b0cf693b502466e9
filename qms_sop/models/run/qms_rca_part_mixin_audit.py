from odoo import models


class QmsRcaPartMixin(models.AbstractModel):
    """Whys and factors are told as changes of their analysis."""

    _name = "qms.rca.part.mixin"
    _inherit = ["qms.rca.part.mixin", "qms.audit.mixin"]

    _audit_root_path = "rca_id.run_id"
    _audit_owner_path = "rca_id"

    def _audit_name(self):
        return self["question" if "question" in self._fields else "name"] or ""
