from odoo import api, models


class QmsAuditCheck(models.Model):
    """Incidents and post-mortems are compared with what their trails tell."""

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
            "qms.postmortem": {
                "qms.postmortem": "id",
                "qms.postmortem.why": "postmortem_id",
                "qms.postmortem.participant": "postmortem_id",
                "qms.postmortem.amendment": "postmortem_id",
            },
        }

    @api.model
    def _guarded(self):
        amendments = ("qms_audit_rows", "qms_audit_delete", "qms_audit_truncate")
        return {**super()._guarded(), "qms_postmortem_amendment": amendments}
