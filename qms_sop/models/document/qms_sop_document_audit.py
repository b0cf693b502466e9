from odoo import models


class QmsSopDocument(models.Model):
    """A revision has an audit trail, and its parts are told in it."""

    _name = "qms.sop.document"
    _inherit = ["qms.sop.document", "qms.audit.mixin"]

    _audit_ignored = frozenset({"lock_version"})
    _audit_reasons = ("rejection_reason",)

    def _audit_name(self):
        return f"{self.code} {self.version}"

    def _audit_contradictions(self):
        detail = "what it says does not have its fingerprint"
        # The fingerprint is taken when a revision is submitted.
        return super()._audit_contradictions() + [
            (document, detail)
            for document in self
            if document.state != "draft"
            and document._content_hash() != document.content_hash
        ]
