from odoo import models
from odoo.tools import SQL

from odoo.addons.qms_sop.tools.values import to_rfc3339

from ..incident.qms_incident import FINAL_STATES


class QmsIncident(models.Model):
    """An incident is kept at least as long as its runs, its actions and its parts."""

    _name = "qms.incident"
    _inherit = ["qms.incident", "qms.retention.mixin"]

    _purgeable_states = FINAL_STATES

    def _retention_class(self):
        # Incidents have no classification: a rule for them is one of the company.
        return False, self.company_id

    def _retention_parts(self):
        return [
            *super()._retention_parts(),
            ("qms.incident.assignment", "incident_id"),
            ("qms.incident.update", "incident_id"),
        ]

    def _retention_data(self):
        return {
            **super()._retention_data(),
            "severity": self.severity or None,
            "detected_at": to_rfc3339(self.detected_at),
        }

    def _referring(self):
        return super()._referring() + self._referring_incidents()

    def _referring_incidents(self):
        """Return how many incidents that stay are duplicates or parts of these."""
        if not self.ids:
            return []
        self.flush_model(["duplicate_of_id", "parent_id"])
        rows = self.env.execute_query(
            SQL(
                """SELECT r.referred, count(*)
                     FROM qms_incident i
               CROSS JOIN LATERAL (VALUES (i.duplicate_of_id), (i.parent_id))
                       AS r(referred)
                    WHERE r.referred IN %s AND i.id NOT IN %s
                 GROUP BY 1 ORDER BY 1""",
                tuple(self.ids),
                tuple(self.ids),
            )
        )
        return [(record_id, self._name, count) for record_id, count in rows]
