from odoo import models

from .qms_sop_run import FINAL_STATES


class QmsSopRun(models.Model):
    """The timeline of a run is its audit trail."""

    _name = "qms.sop.run"
    _inherit = ["qms.sop.run", "qms.audit.mixin"]

    # Whoever has the token sees the state of the run; the version counts writes; the
    # rest follows from the deadlines and from when the run was on hold.
    _audit_ignored = frozenset(
        {
            "status_token",
            "lock_version",
            "held_since",
            "hold_periods",
            "paused_minutes",
            "next_deadline",
            "response_at_risk_at",
            "mitigation_at_risk_at",
            "resolution_at_risk_at",
        }
    )
    _audit_reasons = ("state_reason",)
    _audit_began = "start_time"
    _audit_reached = {
        "in_progress": "start_time",
        **dict.fromkeys(FINAL_STATES, "end_time"),
    }

    def _audit_value(self, field):
        if field.name == "sop_id" and self.sop_id:
            # A run is on an approved revision, whose outline is at hand.
            code, version, *_rest = self.sop_id._outline()
            return {"id": self.sop_id.id, "name": f"{code} {version}"}
        return super()._audit_value(field)
