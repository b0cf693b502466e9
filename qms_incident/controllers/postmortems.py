from werkzeug.exceptions import NotFound

from odoo.exceptions import AccessError
from odoo.http import Controller, Response, content_disposition, request, route

from odoo.addons.qms_sop.controllers.api import MERGE_PATCH, Answer, api_route

from ..schemas import postmortems as schemas

_TAG = "Post-mortems"
_MARKDOWN = "text/markdown"


def _file(name, content):
    return Response(
        content.encode(),
        headers=[
            ("Content-Type", f"{_MARKDOWN}; charset=utf-8"),
            ("Content-Disposition", content_disposition(name)),
            ("X-Content-Type-Options", "nosniff"),
        ],
    )


class PostmortemController(Controller):
    @api_route(
        "/postmortems",
        method="GET",
        summary="List post-mortems",
        tag=_TAG,
        query=schemas.PostmortemListQuery,
        response=schemas.PostmortemPage,
    )
    def list_postmortems(self, query):
        """Filters take several values, separated by commas; all filters have to fit.
        What a post-mortem says is told of one by one.
        """
        return request.env["qms.postmortem"]._api_list(query)

    @api_route(
        "/postmortems",
        method="POST",
        summary="Begin the post-mortem of an incident",
        tag=_TAG,
        request=schemas.PostmortemCreate,
        response=schemas.BegunPostmortem,
        status=201,
        also={200: schemas.BegunPostmortem},
        etag=True,
    )
    def create_postmortem(self, body):
        """Starts with what the incident, its runs, their analyses and the trail say;
        nothing that is given is overwritten. An incident has one post-mortem: if there
        is one already, what is given is written into its draft, with status 200.
        """
        postmortem, etag = request.env["qms.postmortem"]._api_create(body.given())
        return Answer(
            postmortem,
            status=200 if postmortem["existing"] else None,
            headers={"Location": postmortem["api_url"]},
            etag=etag,
        )

    @api_route(
        "/postmortems/<int:postmortem_id>",
        method="GET",
        summary="Get a post-mortem",
        tag=_TAG,
        query=schemas.PostmortemQuery,
        response=schemas.Postmortem,
        etag=True,
    )
    def get_postmortem(self, postmortem_id, query):
        postmortem, etag = request.env["qms.postmortem"]._api_get(postmortem_id, query)
        # Its timeline and actions are those of the incident, which go on.
        return Answer(postmortem, etag=etag, timed=True)

    @api_route(
        "/postmortems/<int:postmortem_id>",
        method="PATCH",
        summary="Change a post-mortem",
        tag=_TAG,
        request=schemas.PostmortemUpdate,
        response=schemas.Postmortem,
        media=MERGE_PATCH,
        if_match=True,
        etag=True,
    )
    def update_postmortem(self, postmortem_id, body, if_match):
        """Changes what a draft says. What is in review is taken back to draft first;
        what is published is amended.
        """
        postmortem, etag = request.env["qms.postmortem"]._api_update(
            postmortem_id, body.given(), if_match
        )
        return Answer(postmortem, etag=etag)

    @api_route(
        "/postmortems/<int:postmortem_id>/transitions",
        method="POST",
        summary="Hand a post-mortem in for review, or take it back",
        tag=_TAG,
        request=schemas.PostmortemTransition,
        response=schemas.Postmortem,
        if_match=True,
        etag=True,
    )
    def move_postmortem(self, postmortem_id, body, if_match):
        """From `draft` it goes to `in_review`, and back. It is published by a signature
        with the password or passkey of a person, in Odoo: no key of the API can sign.
        If something is missing for the review, `errors` has what is.
        """
        postmortem, etag = request.env["qms.postmortem"]._api_transition(
            postmortem_id, body.given(), if_match
        )
        return Answer(postmortem, etag=etag)

    @api_route(
        "/postmortems/<int:postmortem_id>/reviews",
        method="POST",
        summary="Review a post-mortem",
        tag=_TAG,
        request=schemas.PostmortemReview,
        response=schemas.Postmortem,
        etag=True,
    )
    def review_postmortem(self, postmortem_id, body):
        """For its participants, the author left out, while it is in review."""
        postmortem, etag = request.env["qms.postmortem"]._api_review(
            postmortem_id, body.given()
        )
        return Answer(postmortem, etag=etag)

    @api_route(
        "/postmortems/<int:postmortem_id>/amendments",
        method="POST",
        summary="Correct a published post-mortem",
        tag=_TAG,
        request=schemas.PostmortemAmend,
        response=schemas.PostmortemAmendment,
        status=201,
    )
    def amend_postmortem(self, postmortem_id, body):
        """The correction stands beside what was published, which stays as it is."""
        return request.env["qms.postmortem"]._api_amend(postmortem_id, body.given())

    @api_route(
        "/postmortems/<int:postmortem_id>/markdown",
        method="GET",
        summary="Get a post-mortem as a Markdown file",
        tag=_TAG,
        query=schemas.PostmortemFileQuery,
        produces=_MARKDOWN,
    )
    def get_postmortem_markdown(self, postmortem_id, query):
        """In the shape of the runbooks' template; it can be taken over again."""
        return _file(
            *request.env["qms.postmortem"]._api_markdown(postmortem_id, query.slug)
        )

    @route(
        "/qms_incident/postmortem/<int:postmortem_id>.md",
        type="http",
        auth="user",
        methods=["GET"],
        readonly=True,
    )
    def download(self, postmortem_id):
        """Return a post-mortem as a Markdown file.

        :param int postmortem_id: database id
        """
        postmortem = request.env["qms.postmortem"].browse(postmortem_id).exists()
        try:
            postmortem.check_access("read")
        except AccessError:
            postmortem = postmortem.browse()
        if not postmortem:
            raise NotFound("There is no such post-mortem, or you may not see it.")
        return _file(postmortem._markdown_name(), postmortem._markdown())
