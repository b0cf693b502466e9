from odoo import fields, models


class QmsSopRun(models.Model):
    """The occurrence of a recurring SOP that a run was opened for."""

    _inherit = "qms.sop.run"

    occurrence_ids = fields.One2many(
        "qms.sop.schedule.occurrence", "run_id", "Recurring SOP", readonly=True
    )

    def _after_transition(self, source, target):
        result = super()._after_transition(source, target)
        if target in self._locked_states:
            scheduled = self.filtered(lambda run: run.trigger == "scheduled")
            if scheduled:
                self.env["qms.sop.schedule.occurrence"]._follow(scheduled)
        return result
