from odoo import models

_PEOPLE = "qms_error_code.group_qms_operator"


class QmsSopRunStep(models.Model):
    """Whoever works a step of a run has taken the run on."""

    _inherit = "qms.sop.run.step"

    def _after_transition(self, source, target):
        super()._after_transition(source, target)
        # A program that works off the steps tells nothing about people.
        if target == "in_progress" and self.env.user.has_group(_PEOPLE):
            for step in self:
                run = step.run_id
                if not run.acknowledged_at:
                    run._write_times(
                        {
                            "acknowledged_at": max(
                                step.start_time, run.detected_at or step.start_time
                            ),
                            "acknowledged_by_id": self.env.uid,
                        }
                    )
