from odoo import models


class QmsIncidentNumber(models.Model):
    """Numbers that were given out before the add-on was uninstalled stay so."""

    _inherit = "qms.incident.number"

    def init(self):
        super().init()
        # The trails of those incidents are still there, and tell their numbers.
        self.env.cr.execute(
            """INSERT INTO qms_incident_number (company_id, day, number)
               SELECT company_id, to_date(told[1], 'YYYYMMDD'), told[2]::int
                 FROM (SELECT DISTINCT company_id, regexp_match(
                                  root_name, '^INC-(\\d{8})-(\\d{3,9})$') AS told
                         FROM qms_audit_event
                        WHERE root_model = 'qms.incident') AS trails
                WHERE told IS NOT NULL AND company_id IS NOT NULL
                  AND NOT EXISTS (SELECT FROM qms_incident_number)
                   ON CONFLICT DO NOTHING"""
        )
