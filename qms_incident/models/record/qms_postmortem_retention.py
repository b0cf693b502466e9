from odoo import models

from odoo.addons.qms_sop.models.audit.qms_audit_event import guard
from odoo.addons.qms_sop.tools.values import to_rfc3339


class QmsPostmortem(models.Model):
    """A post-mortem is kept like an incident, which stays as long as there is one."""

    _name = "qms.postmortem"
    _inherit = ["qms.postmortem", "qms.retention.mixin"]

    _purgeable_states = ("published",)

    def _retention_class(self):
        return False, self.company_id

    def _retention_parts(self):
        return [
            *super()._retention_parts(),
            ("qms.postmortem.amendment", "postmortem_id"),
            ("qms.postmortem.participant", "postmortem_id"),
            ("qms.postmortem.why", "postmortem_id"),
        ]

    def _retention_data(self):
        return {
            **super()._retention_data(),
            "incident": self.incident_id.name,
            "published_at": to_rfc3339(self.published_at),
        }


class QmsPostmortemAmendment(models.Model):
    """An amendment goes with its post-mortem, and never before."""

    _inherit = "qms.postmortem.amendment"

    def init(self):
        super().init()
        guard(self.env, self._table, "qms_audit_rows", "UPDATE")
        guard(
            self.env,
            self._table,
            "qms_audit_delete",
            "DELETE",
            "qms_audit_keep",
            ("qms.postmortem", "postmortem_id"),
        )
