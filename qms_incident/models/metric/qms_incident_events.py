from odoo import api, models

from odoo.addons.qms_sop.models.metric.qms_metric import NONE

from ..incident.qms_incident import FINAL_STATES
from .qms_incident_report import DURATIONS
from .qms_metric_incident import INCIDENT_CLOSED, INCIDENT_DETECTED, INCIDENT_TIME


class QmsIncident(models.Model):
    """Counts the incidents that are opened and closed; what is open is counted when
    it is asked for."""

    _inherit = "qms.incident"

    @api.model_create_multi
    def create(self, vals_list):
        incidents = super().create(vals_list)
        self.env["qms.metric"]._record(
            [
                {
                    "name": INCIDENT_DETECTED,
                    "company_id": incident.company_id.id,
                    "labels": incident._metric_labels(),
                }
                for incident in incidents
            ]
        )
        return incidents

    def _after_transition(self, source, target):
        result = super()._after_transition(source, target)
        if target in FINAL_STATES:
            self.env["qms.metric"]._record(self._closing_events(target))
        return result

    def _closing_events(self, target):
        """Return what is counted when incidents end.

        :param str target: one of :data:`FINAL_STATES`
        :return: see ``qms.metric._record()``
        :rtype: list[dict]
        """
        events = []
        # sudo: what is counted does not depend on who closes it.
        rows = self.env["qms.incident.report"].sudo().browse(self.ids)
        # What is read of them is true for this moment only.
        rows.invalidate_recordset()
        rows.fetch([f"time_to_{name}" for name in DURATIONS])
        for incident, row in zip(self, rows, strict=True):
            company_id, labels = incident.company_id.id, incident._metric_labels()
            events.append(
                {
                    "name": INCIDENT_CLOSED,
                    "company_id": company_id,
                    "labels": {**labels, "state": target},
                }
            )
            events += [
                {
                    "name": f"{INCIDENT_TIME}{name}",
                    "company_id": company_id,
                    "labels": {"severity": labels["severity"]},
                    "seconds": row[f"time_to_{name}"] * 60,
                }
                for name in DURATIONS
                if target == "closed" and row[f"time_to_{name}"] is not False
            ]
        rows.invalidate_recordset()
        return events

    def _metric_labels(self):
        """Return by what one incident is counted.

        :rtype: dict[str, str]
        """
        severities = self.env["qms.severity"]._codes_by_id()
        categories = self.env["qms.error.category"]._codes_by_id()
        return {
            "severity": severities.get(self.severity_id.id, NONE),
            "category": categories.get(self.category_id.id, NONE),
        }
