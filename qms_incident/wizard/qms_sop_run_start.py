from odoo import fields, models
from odoo.tools import clean_context

from ..models.qms_sop_run import INCIDENT


class QmsSopRunStart(models.TransientModel):
    """A run can be started because of an incident."""

    _inherit = "qms.sop.run.start"

    incident_id = fields.Many2one("qms.incident", readonly=True)

    def action_start(self):
        if not self.incident_id:
            return super().action_start()
        # A severity that opens incidents by itself must not open a second one.
        # The defaults of the dialog are not meant for what it creates.
        started = self.with_context(
            clean_context(self.env.context), **{INCIDENT: self.incident_id.id}
        )
        action = super(QmsSopRunStart, started).action_start()
        run = self.env["qms.sop.run"].browse(action["res_id"])
        run._join_incident(self.incident_id)
        return action
