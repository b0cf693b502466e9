from odoo import models

from .qms_sop_run_step import CLOSED_STATES


class QmsSopRunStep(models.Model):
    """The steps that a run opens with are told with it; then each for itself."""

    _inherit = "qms.sop.run.step"

    # The first two cannot change; the last one goes with the state.
    _audit_ignored = frozenset({"step_id", "sequence", "off_path"})
    _audit_initial = {"state": "pending"}
    _audit_reasons = ("skip_reason",)
    _audit_reached = {
        "in_progress": "start_time",
        **dict.fromkeys(CLOSED_STATES, "end_time"),
    }

    def _audit_name(self):
        own, outline = self.step_id.id, self.run_id.sop_id._outline()[3]
        for step_id, _sequence, number, name, _mandatory in outline:
            if step_id == own:
                return f"{number}. {name}"
        return self.step_id.name

    def _audit_owner(self, kind):
        return self.run_id if kind == "created" else None
