from odoo import models


class QmsSopAcknowledgement(models.Model):
    """Who has read a revision is told in its trail."""

    _name = "qms.sop.acknowledgement"
    _inherit = ["qms.sop.acknowledgement", "qms.audit.mixin"]

    _audit_root_path = "document_id"

    def _audit_name(self):
        return self.env._("Read and understood")
