from odoo import models


class QmsSopRunEvidence(models.Model):
    """The trail has the hash of each file, so a file that was changed is found out."""

    _inherit = "qms.sop.run.evidence"

    _audit_created_kind = "evidence"
    _audit_began = "collected_at"
