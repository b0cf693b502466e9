from odoo import models

from odoo.addons.qms_sop.models.bundle.qms_audit_bundle import signatures_of
from odoo.addons.qms_sop.tools.values import to_rfc3339

from ...tools.postmortem_sections import TEXTS
from .qms_incident_audit import contradicting

_DERIVED = ("scheduled_on_time", "published_on_time")
_TIMES = ("meeting_at", "scheduled_at", "published_at", "schedule_due", "due_at")


class QmsPostmortem(models.Model):
    """A post-mortem as an auditor takes it away, and as it is verified."""

    _inherit = "qms.postmortem"

    def _audit_contradictions(self):
        return super()._audit_contradictions() + contradicting(
            self, _DERIVED, type(self)._compute_on_time, "times"
        )

    def _bundled(self):
        """Return all that is known of one post-mortem, for the auditor.

        :return: plain values, by the names that the verifier of bundles knows
        :rtype: dict
        """
        return {
            "id": self.id,
            "name": self.name,
            "incident_id": self.incident_id.id,
            "incident": self.incident_id.name,
            "company": self.company_id.name,
            **{
                name: self[name] or None
                for name in ("title", "kind", "state", "state_reason", "timeline")
            },
            **{name: self[name] or None for name in (*TEXTS, "review_waiver")},
            **{name: to_rfc3339(self[name]) for name in _TIMES},
            **{name: self[name] or None for name in _DERIVED},
            "author_id": self.author_id.id or None,
            "published_by_id": self.published_by_id.id or None,
            "actions": self._document_actions().sorted("id").mapped("reference"),
            "whys": [
                {"id": why.id, "sequence": why.sequence, **why._to_dict()}
                for why in self.why_ids.sorted("id")
            ],
            "participants": [
                {
                    "id": one.id,
                    "user_id": one.user_id.id,
                    "role": one.role or None,
                    "verdict": one.verdict or None,
                    "reviewed_at": to_rfc3339(one.reviewed_at),
                    "comment": one.comment or None,
                }
                for one in self.participant_ids.sorted("id")
            ],
            "amendments": [note._to_dict() for note in self.amendment_ids.sorted("id")],
            "signatures": signatures_of(self.env["qms.signature"]._of(self)),
        }
