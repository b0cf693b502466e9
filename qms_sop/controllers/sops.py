from odoo.http import Controller, request

from ..schemas.common import PageQuery
from ..schemas.sop import RevisionPage, SopPage, SopQuery, SopRevisionDetail
from .api import api_route

_TAG = "SOPs"


class SopController(Controller):
    @api_route(
        "/sops",
        method="GET",
        summary="List SOPs",
        tag=_TAG,
        query=SopQuery,
        response=SopPage,
    )
    def list_sops(self, query):
        """In the order of their codes: the effective revisions, unless `state` or
        `effective` asks for others.
        """
        return request.env["qms.sop.document"]._api_list(query)

    @api_route(
        "/sops/<string:code>",
        method="GET",
        summary="Get the effective revision of an SOP",
        tag=_TAG,
        response=SopRevisionDetail,
    )
    def get_sop(self, code):
        """With its steps, commands and choices. 404 while no revision is approved."""
        return request.env["qms.sop.document"]._api_get(code)

    @api_route(
        "/sops/<string:code>/revisions",
        method="GET",
        summary="List the revisions of an SOP",
        tag=_TAG,
        query=PageQuery,
        response=RevisionPage,
    )
    def list_revisions(self, code, query):
        """The newest first, in every state."""
        return request.env["qms.sop.document"]._api_revisions(code, query)

    @api_route(
        "/sops/<string:code>/revisions/<string:version>",
        method="GET",
        summary="Get a revision of an SOP",
        tag=_TAG,
        response=SopRevisionDetail,
    )
    def get_revision(self, code, version):
        """With its steps, commands and choices."""
        return request.env["qms.sop.document"]._api_get(code, version)
