from odoo import api, fields, models

from odoo.addons.qms_sop.models.run.qms_sop_run_clock import CLOCKS

from .qms_incident_report import TARGET_STATES


class QmsIncident(models.Model):
    """Whether an incident keeps the targets of its severity, as it stands now."""

    _inherit = "qms.incident"

    sla = fields.Selection(
        TARGET_STATES,
        "SLA",
        compute="_compute_sla",
        help="Whether it was acknowledged, mitigated and resolved before the targets "
        "of its severity were over; the worst of the three.",
    )
    sla_next = fields.Selection(
        [
            ("response", "Acknowledge by"),
            ("mitigation", "Mitigate by"),
            ("resolution", "Resolve by"),
        ],
        "Next target",
        compute="_compute_sla",
        help="The target that is over next, of those that can still be kept.",
    )

    @api.depends(
        "state",
        "triaged_at",
        "mitigated_at",
        "resolved_at",
        *(f"{clock}_deadline" for clock in CLOCKS),
    )
    def _compute_sla(self):
        # sudo: whoever sees the incident sees what it amounts to.
        rows = self.env["qms.incident.report"].sudo().browse(self._origin.ids)
        rows.invalidate_recordset()
        rows.fetch(["sla", *(f"sla_{clock}" for clock in CLOCKS)])
        by_id = {row.id: row for row in rows}
        for incident in self:
            row = by_id.get(incident._origin.id)
            incident.sla = row and row.sla
            ahead = [
                (incident[f"{clock}_deadline"], clock)
                for clock in CLOCKS
                if row and row[f"sla_{clock}"] == "pending"
            ]
            incident.sla_next = min(ahead)[1] if ahead else False
        rows.invalidate_recordset()
