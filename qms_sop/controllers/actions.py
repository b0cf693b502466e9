from odoo.http import Controller, request

from ..schemas import actions as schemas
from .api import MERGE_PATCH, Answer, api_route

_TAG = "Actions"


class ActionController(Controller):
    @api_route(
        "/actions",
        method="GET",
        summary="List actions",
        tag=_TAG,
        query=schemas.ActionListQuery,
        response=schemas.ActionPage,
    )
    def list_actions(self, query):
        """Filters take several values, separated by commas; all filters have to fit."""
        return request.env["qms.action"]._api_list(query)

    @api_route(
        "/actions",
        method="POST",
        summary="Raise an action",
        tag=_TAG,
        request=schemas.ActionCreate,
        response=schemas.Action,
        status=201,
        etag=True,
    )
    def create_action(self, body):
        """From a run, an analysis, an SOP, an audit or elsewhere; also when the run has
        ended long ago.
        """
        action, etag = request.env["qms.action"]._api_create(body.given())
        return Answer(action, headers={"Location": action["api_url"]}, etag=etag)

    @api_route(
        "/actions/<int:action_id>",
        method="GET",
        summary="Get an action",
        tag=_TAG,
        query=schemas.ActionQuery,
        response=schemas.Action,
        etag=True,
    )
    def get_action(self, action_id, query):
        """By its id; `q` of the list finds it by its reference."""
        action, etag = request.env["qms.action"]._api_get(action_id, query)
        return Answer(action, etag=etag)

    @api_route(
        "/actions/<int:action_id>",
        method="PATCH",
        summary="Change an action",
        tag=_TAG,
        request=schemas.ActionUpdate,
        response=schemas.Action,
        media=MERGE_PATCH,
        if_match=True,
        etag=True,
    )
    def update_action(self, action_id, body, if_match):
        """Changes what the action says; its state is changed by a transition. What is
        done can no longer be changed, but for the day of the check and who does it.
        """
        action, etag = request.env["qms.action"]._api_update(
            action_id, body.given(), if_match
        )
        return Answer(action, etag=etag)

    @api_route(
        "/actions/<int:action_id>/transitions",
        method="POST",
        summary="Move an action on to another state",
        tag=_TAG,
        request=schemas.ActionTransition,
        response=schemas.Action,
        if_match=True,
        etag=True,
    )
    def move_action(self, action_id, body, if_match):
        """From `open` and `reopened` an action goes to `in_progress`, `done` (which
        begins it first) or `cancelled`; from `in_progress` to `done` or `cancelled`;
        from `done` and `verified` to `reopened`.

        That it worked (`verified`) is signed with a password, by somebody else than its
        owner, and therefore not here.
        """
        action, etag = request.env["qms.action"]._api_transition(
            action_id, body.given(), if_match
        )
        return Answer(action, etag=etag)
