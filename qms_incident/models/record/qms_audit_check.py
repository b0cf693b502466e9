from odoo import api, models


class QmsAuditCheck(models.Model):
    """Incidents are compared with what their trails tell."""

    _inherit = "qms.audit.check"

    @api.model
    def _compared(self):
        return {
            **super()._compared(),
            "qms.incident": {
                "qms.incident": "id",
                "qms.incident.assignment": "incident_id",
                "qms.incident.update": "incident_id",
            },
        }
