from odoo import models

from ..audit.qms_audit_event import protect


class QmsSopRunAmendment(models.Model):
    """An amendment is told in the trail of the run."""

    _name = "qms.sop.run.amendment"
    _inherit = ["qms.sop.run.amendment", "qms.audit.mixin"]

    _audit_created_kind = "amended"
    _audit_root_path = "run_id"
    _audit_reasons = ("reason",)
    _audit_ignored = frozenset({"amended_at", "user_id"})

    def init(self):
        super().init()
        protect(self.env, self._table)
