from odoo import models


class QmsSopPartMixin(models.AbstractModel):
    """What is done to the parts of a revision is told as a change of the revision."""

    _name = "qms.sop.part.mixin"
    _inherit = ["qms.sop.part.mixin", "qms.audit.mixin"]

    # The text that was imported; the other fields say what it says.
    _audit_ignored = frozenset({"source", "linked"})

    @property
    def _audit_root_path(self):
        return self._document_path

    @property
    def _audit_owner_path(self):
        return self._document_path
