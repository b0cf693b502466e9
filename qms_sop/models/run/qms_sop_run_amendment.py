from odoo import fields, models

from .qms_sop_run import FINAL_STATES


class QmsSopRunAmendment(models.Model):
    """A correction of a finished run."""

    _name = "qms.sop.run.amendment"
    _description = "Amendment of a run"
    _inherit = ["qms.amendment.mixin"]
    _log_access = False
    _order = "id"
    _rec_name = "reason"
    _amended_field = "run_id"

    run_id = fields.Many2one(
        "qms.sop.run", required=True, readonly=True, index=True, ondelete="restrict"
    )

    def _to_dict(self):
        return {**super()._to_dict(), "run_id": self.run_id.id}


class QmsSopRun(models.Model):
    _name = "qms.sop.run"
    _inherit = ["qms.sop.run", "qms.amended.mixin"]

    _amended_states = FINAL_STATES

    amendment_ids = fields.One2many(
        "qms.sop.run.amendment", "run_id", "Amendments", readonly=True
    )
