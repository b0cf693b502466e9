from odoo import api, fields, models
from odoo.exceptions import ValidationError


class QmsSopReason(models.TransientModel):
    """Asks for the words that go with a decision on a run or on an SOP."""

    _name = "qms.sop.reason"
    _description = "Reason"

    operation = fields.Selection(
        [
            ("complete", "Complete the run"),
            ("hold", "Put the run on hold"),
            ("fail", "End the run as failed"),
            ("cancel", "Cancel the run"),
            ("reject", "Send the SOP back to its author"),
            ("review", "Confirm that the SOP needs no change"),
        ],
        required=True,
        readonly=True,
    )
    run_id = fields.Many2one("qms.sop.run", readonly=True)
    document_id = fields.Many2one("qms.sop.document", readonly=True)
    reason = fields.Text()
    resolution = fields.Text(compute="_compute_resolution", store=True, readonly=False)
    resolution_hours = fields.Float(
        "Time to resolve",
        help="From detection to resolution, if you measured it.",
    )

    @api.depends("run_id")
    def _compute_resolution(self):
        for wizard in self:
            wizard.resolution = wizard.run_id.resolution

    def action_confirm(self):
        """Carry the decision out.

        :raises ValidationError: when the run or the SOP is missing
        """
        self.ensure_one()
        on_document = self.operation in ("reject", "review")
        target = self.document_id if on_document else self.run_id
        if not target:
            raise ValidationError(
                self.env._("There is no run or SOP to decide on: open one first.")
            )
        match self.operation:
            case "complete":
                target.complete(
                    self.resolution or None,
                    round(self.resolution_hours * 3600) or None,
                )
            case "hold":
                target.hold(self.reason or "")
            case "fail":
                target.fail(self.reason or "")
            case "cancel":
                target.cancel(self.reason or "")
            case "reject":
                target.reject(self.reason or "")
            case "review":
                target.confirm_review(self.reason or "")
        return {"type": "ir.actions.act_window_close"}
