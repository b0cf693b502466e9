from odoo import fields, models

from odoo.addons.qms_sop.models.audit.qms_audit_event import protect


class QmsPostmortemAmendment(models.Model):
    """A correction of a published post-mortem."""

    _name = "qms.postmortem.amendment"
    _description = "Amendment of a post-mortem"
    _inherit = ["qms.amendment.mixin", "qms.audit.mixin"]
    _log_access = False
    _order = "id"
    _rec_name = "reason"
    _amended_field = "postmortem_id"
    _audit_created_kind = "amended"
    _audit_root_path = "postmortem_id"
    _audit_reasons = ("reason",)
    _audit_ignored = frozenset({"amended_at", "user_id"})

    postmortem_id = fields.Many2one(
        "qms.postmortem", required=True, readonly=True, index=True, ondelete="restrict"
    )

    def init(self):
        super().init()
        protect(self.env, self._table)


class QmsPostmortem(models.Model):
    _name = "qms.postmortem"
    _inherit = ["qms.postmortem", "qms.amended.mixin"]

    _amended_states = ("published",)

    amendment_ids = fields.One2many(
        "qms.postmortem.amendment", "postmortem_id", "Amendments", readonly=True
    )

    def _to_dict(self):
        amendments = [one._to_dict() for one in self.amendment_ids]
        return {**super()._to_dict(), "amendments": amendments}
