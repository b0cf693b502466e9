from odoo import api, models


class QmsAuditIntegrity(models.TransientModel):
    """What auditors look at in incidents is asked on their page as well."""

    _inherit = "qms.audit.integrity"

    @api.model
    def _workspace(self):
        return {
            **super()._workspace(),
            "qms_incident.qms_audit_incident_action": "qms.incident",
        }
