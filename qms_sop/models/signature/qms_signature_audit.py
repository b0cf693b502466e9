from odoo import models

from ..audit.qms_audit_event import protect


class QmsSignature(models.Model):
    """A signature is told in the trail of what was signed."""

    _name = "qms.signature"
    _inherit = ["qms.signature", "qms.audit.mixin"]

    _audit_created_kind = "signed"
    # They name the record, whose trail it is, and the act itself.
    _audit_ignored = frozenset(
        {"model", "record_name", "signed_at", "delegation_id", "covered"}
    )

    def init(self):
        super().init()
        protect(self.env, self._table)

    def _audit_root(self):
        return self.env[self.model].browse(self.res_id)._audit_root()

    def _audit_name(self):
        return f"{self.signer_name} ({self.signer_login})"


class QmsSignatureDelegation(models.Model):
    """A delegation has an audit trail of its own."""

    _name = "qms.signature.delegation"
    _inherit = ["qms.signature.delegation", "qms.audit.mixin"]

    _audit_reasons = ("reason",)

    def _audit_name(self):
        return self.display_name
