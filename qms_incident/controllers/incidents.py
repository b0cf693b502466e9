from odoo.http import Controller, request

from odoo.addons.qms_sop.controllers.api import MERGE_PATCH, Answer, api_route
from odoo.addons.qms_sop.schemas.actions import Action, ActionPage, AnalysisAction
from odoo.addons.qms_sop.schemas.common import PageQuery

from ..schemas import incidents as schemas

_TAG = "Incidents"


class IncidentController(Controller):
    @api_route(
        "/incidents",
        method="GET",
        summary="List incidents",
        tag=_TAG,
        query=schemas.IncidentListQuery,
        response=schemas.IncidentPage,
    )
    def list_incidents(self, query):
        """Filters take several values, separated by commas; all filters have to fit.
        Incidents that are archived are left out.
        """
        return request.env["qms.incident"]._api_list(query)

    @api_route(
        "/incidents",
        method="POST",
        summary="Open an incident",
        tag=_TAG,
        request=schemas.IncidentCreate,
        response=schemas.OpenedIncident,
        status=201,
        also={200: schemas.OpenedIncident},
        etag=True,
    )
    def create_incident(self, body):
        """Opens an incident, by itself or for a run or an alert. One that has an
        incident already gets no second one: that one is returned, with status 200.

        The number counts the incidents of the day of the detection, by the clock of
        the company.
        """
        incident, etag = request.env["qms.incident"]._api_create(body.given())
        return Answer(
            incident,
            status=200 if incident["existing"] else None,
            headers={"Location": incident["api_url"]},
            etag=etag,
        )

    @api_route(
        "/incidents/<int:incident_id>",
        method="GET",
        summary="Get an incident",
        tag=_TAG,
        query=schemas.IncidentQuery,
        response=schemas.Incident,
        etag=True,
    )
    def get_incident(self, incident_id, query):
        incident, etag = request.env["qms.incident"]._api_get(incident_id, query)
        return Answer(incident, etag=etag)

    @api_route(
        "/incidents/<int:incident_id>",
        method="PATCH",
        summary="Change an incident",
        tag=_TAG,
        request=schemas.IncidentUpdate,
        response=schemas.Incident,
        media=MERGE_PATCH,
        if_match=True,
        etag=True,
    )
    def update_incident(self, incident_id, body, if_match):
        """Changes what the incident says, the assessment of its impact among it; its
        state is changed by a transition. One that is closed can no longer be changed.
        """
        incident, etag = request.env["qms.incident"]._api_update(
            incident_id, body.given(), if_match
        )
        return Answer(incident, etag=etag)

    @api_route(
        "/incidents/<int:incident_id>/transitions",
        method="POST",
        summary="Move an incident on to another state",
        tag=_TAG,
        request=schemas.IncidentTransition,
        response=schemas.Incident,
        if_match=True,
        etag=True,
    )
    def move_incident(self, incident_id, body, if_match):
        """From `detected` it goes to `triaged`, then to `mitigated` (or at once to
        `resolved`), `resolved`, `reviewed` and `closed`; until it is resolved also to
        `duplicate` or `false_positive`. Back to `triaged` reopens it.

        It is closed only when nothing is missing; otherwise `errors` has what is, by
        the codes of `closure`.
        """
        incident, etag = request.env["qms.incident"]._api_transition(
            incident_id, body.given(), if_match
        )
        return Answer(incident, etag=etag)

    @api_route(
        "/incidents/<int:incident_id>/closure",
        method="GET",
        summary="Get what is missing before an incident can be closed",
        tag=_TAG,
        response=schemas.IncidentClosure,
    )
    def get_closure(self, incident_id):
        return request.env["qms.incident"]._api_closure(incident_id)

    @api_route(
        "/incidents/<int:incident_id>/events",
        method="GET",
        summary="List what happened in an incident",
        tag=_TAG,
        query=PageQuery,
        response=schemas.IncidentEventPage,
    )
    def list_incident_events(self, incident_id, query):
        """The timeline: what the audit trails of the incident and of its runs tell, and
        what people added.
        """
        return request.env["qms.incident"]._api_events(incident_id, query)

    @api_route(
        "/incidents/<int:incident_id>/events",
        method="POST",
        summary="Add to what happened in an incident",
        tag=_TAG,
        request=schemas.IncidentEntry,
        response=schemas.IncidentEvent,
        status=201,
    )
    def add_incident_event(self, incident_id, body):
        """The entry stands in the audit trail and is never changed, only followed by
        another one.
        """
        return request.env["qms.incident"]._api_add_entry(incident_id, body.given())

    @api_route(
        "/incidents/<int:incident_id>/roles",
        method="POST",
        summary="Give somebody a role in an incident",
        tag=_TAG,
        request=schemas.IncidentRoleAssignment,
        response=schemas.Incident,
        etag=True,
    )
    def assign_incident_role(self, incident_id, body):
        """Whoever had the role hands it over at the same moment."""
        incident, etag = request.env["qms.incident"]._api_assign(
            incident_id, body.given()
        )
        return Answer(incident, etag=etag)

    @api_route(
        "/incidents/<int:incident_id>/runs",
        method="POST",
        summary="Say that a run belongs to an incident",
        tag=_TAG,
        request=schemas.IncidentRunLink,
        response=schemas.Incident,
        etag=True,
    )
    def link_incident_run(self, incident_id, body):
        incident, etag = request.env["qms.incident"]._api_link_run(
            incident_id, body.run_id
        )
        return Answer(incident, etag=etag)

    @api_route(
        "/incidents/<int:incident_id>/actions",
        method="GET",
        summary="List the actions of an incident",
        tag=_TAG,
        query=PageQuery,
        response=ActionPage,
    )
    def list_incident_actions(self, incident_id, query):
        """Those that were raised from it, from its runs and from its post-mortem."""
        return request.env["qms.incident"]._api_actions(incident_id, query)

    @api_route(
        "/incidents/<int:incident_id>/actions",
        method="POST",
        summary="Raise an action from an incident",
        tag=_TAG,
        request=AnalysisAction,
        response=Action,
        status=201,
        etag=True,
    )
    def raise_incident_action(self, incident_id, body):
        """Also when it has long been closed."""
        action, etag = request.env["qms.incident"]._api_raise_action(
            incident_id, body.given()
        )
        return Answer(action, headers={"Location": action["api_url"]}, etag=etag)

    @api_route(
        "/incidents/<int:incident_id>/updates",
        method="GET",
        summary="List what stakeholders were told of an incident",
        tag=_TAG,
        query=PageQuery,
        response=schemas.IncidentStakeholderUpdatePage,
    )
    def list_incident_updates(self, incident_id, query):
        return request.env["qms.incident"]._api_updates(incident_id, query)

    @api_route(
        "/incidents/<int:incident_id>/updates",
        method="POST",
        summary="Tell stakeholders how an incident stands",
        tag=_TAG,
        request=schemas.IncidentStakeholderMessage,
        response=schemas.IncidentStakeholderUpdate,
        status=201,
    )
    def send_incident_update(self, incident_id, body):
        """The text is made from the template for the kind of update. The public text
        is kept apart, and is the public status from then on.
        """
        return request.env["qms.incident"]._api_send_update(incident_id, body.given())
