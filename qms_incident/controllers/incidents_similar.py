from odoo.http import Controller, request

from odoo.addons.qms_sop.controllers.api import api_route

from ..schemas import incidents_similar as schemas

_TAG = "Incidents"


class SimilarIncidentController(Controller):
    @api_route(
        "/incidents/similar",
        method="GET",
        summary="Find incidents like what is described",
        tag=_TAG,
        query=schemas.SimilarQuery,
        response=schemas.SimilarIncidents,
    )
    def find_similar_incidents(self, query):
        """Incidents of the company with a similar title, the same error code, or a
        root cause that the code is known for; with what mended them. Duplicates are
        left out. One that is still open may be the one that is meant.
        """
        return request.env["qms.incident"]._api_find_similar(query)

    @api_route(
        "/incidents/<int:incident_id>/similar",
        method="GET",
        summary="Find incidents like another one",
        tag=_TAG,
        query=schemas.LimitQuery,
        response=schemas.SimilarIncidents,
    )
    def list_similar_incidents(self, incident_id, query):
        """Also those with the same root cause, as far as its analyses name it."""
        return request.env["qms.incident"]._api_similar(incident_id, query)
