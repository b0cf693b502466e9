from odoo import api, fields, models

from ..models.qms_sop_run_clock import TIMES


class QmsSopRunTimes(models.TransientModel):
    """Asks for the times of a run, and for how they are known."""

    _name = "qms.sop.run.times"
    _description = "Times of a run"

    run_id = fields.Many2one("qms.sop.run", required=True, readonly=True)
    occurred_at = fields.Datetime(
        "Occurred", compute="_compute_times", store=True, readonly=False
    )
    detected_at = fields.Datetime(
        "Detected", compute="_compute_times", store=True, readonly=False
    )
    acknowledged_at = fields.Datetime(
        "Acknowledged", compute="_compute_times", store=True, readonly=False
    )
    mitigated_at = fields.Datetime(
        "Mitigated", compute="_compute_times", store=True, readonly=False
    )
    resolved_at = fields.Datetime(
        "Resolved", compute="_compute_times", store=True, readonly=False
    )
    reason = fields.Text()

    @api.depends("run_id")
    def _compute_times(self):
        for wizard in self:
            for name in TIMES:
                wizard[name] = wizard.run_id[name]

    def action_confirm(self):
        """Write the times that differ.

        :raises ValidationError: for times that cannot be, and without a reason
        """
        self.ensure_one()
        self.run_id._correct_times({name: self[name] for name in TIMES}, self.reason)
        return {"type": "ir.actions.act_window_close"}
