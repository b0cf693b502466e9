from odoo.http import Controller, request

from odoo.addons.qms_sop.controllers.api import api_route

from ..schemas import metrics as schemas


class IncidentMetricsController(Controller):
    @api_route(
        "/incident-metrics",
        method="GET",
        summary="Get the figures of the incidents of a period",
        tag="Incidents",
        query=schemas.IncidentMetricsQuery,
        response=schemas.IncidentMetrics,
    )
    def get_incident_metrics(self, query):
        """How soon incidents were detected, acknowledged, mitigated and resolved
        (MTTD, MTTA, MTTM, MTTR), whether the targets of their severity were kept,
        which came back, and what followed. `definitions` says what each figure means.

        Incidents belong to the day on which they were detected, by the clock of their
        company. Duplicates and false positives are in `apart`, and in nothing else.
        What is not known is null, never 0, and is in no mean.
        """
        return request.env["qms.incident.report"]._api_metrics(query)
