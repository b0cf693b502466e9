from odoo import api, fields, models

from odoo.addons.qms_sop.models.run.qms_sop_run_clock import CLOCKS

_DEADLINES = tuple(f"{clock}_deadline" for clock in CLOCKS)


class QmsIncident(models.Model):
    """By when an incident has to be acknowledged, mitigated and resolved.

    The targets are those of its severity, counted from the detection in the working
    hours of the severity. They are those that the severity had when it was given to
    the incident, or when the time of the detection was told: what is changed in the
    configuration does not change what was kept.
    """

    _inherit = "qms.incident"

    response_deadline = fields.Datetime(
        "Acknowledge by", compute="_compute_deadlines", store=True
    )
    mitigation_deadline = fields.Datetime(
        "Mitigate by", compute="_compute_deadlines", store=True
    )
    resolution_deadline = fields.Datetime(
        "Resolve by", compute="_compute_deadlines", store=True
    )

    # Where the latest earlier incident of a code is looked up
    _repeat_idx = models.Index(
        "(error_code_id, detected_at, id) WHERE error_code_id IS NOT NULL"
    )

    @api.depends("severity_id", "detected_at")
    def _compute_deadlines(self):
        clocks = self.env["qms.sop.run"]
        for incident in self:
            facts = {
                "severity_id": incident.severity_id._origin.id,
                "detected_at": incident.detected_at,
                "start_time": False,
                "holds": (),
            }
            for clock, deadline in zip(CLOCKS, _DEADLINES, strict=True):
                incident[deadline] = clocks._deadline(clock, facts)[deadline]
