import json

from odoo import api, fields, models

from ..models.run.qms_sop_run_clock import TIMES


class QmsSopRunTimes(models.TransientModel):
    """Asks for the times of a run, and for how they are known."""

    _name = "qms.sop.run.times"
    _description = "Times of a run"

    run_id = fields.Many2one("qms.sop.run", required=True, readonly=True)
    occurred_at = fields.Datetime("Occurred")
    detected_at = fields.Datetime("Detected")
    acknowledged_at = fields.Datetime("Acknowledged")
    mitigated_at = fields.Datetime("Mitigated")
    resolved_at = fields.Datetime("Resolved")
    reason = fields.Text()
    known = fields.Char(help="The times that the run had when the dialog was opened.")

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        if run_id := values.get("run_id"):
            run = self.env["qms.sop.run"].browse(run_id)
            times = {name: run[name] for name in TIMES}
            values |= {**times, "known": json.dumps(_texts(run))}
        return values

    def action_confirm(self):
        """Write the times that were changed in the dialog.

        What somebody else told while it was open stays as they told it.

        :raises ValidationError: for times that cannot be, and without a reason
        """
        self.ensure_one()
        known = json.loads(self.known) if self.known else _texts(self.run_id)
        told = _texts(self)
        self.run_id._correct_times(
            {name: self[name] for name in TIMES if told[name] != known[name]},
            self.reason,
        )
        return {"type": "ir.actions.act_window_close"}


def _texts(record):
    """Return the times of a run or of the dialog, to compare them.

    :rtype: dict[str, str]
    """
    return {name: str(record[name] or "") for name in TIMES}
