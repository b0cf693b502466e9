from odoo.http import Controller, request

from ..schemas.catalogue import (
    Category,
    CategoryPage,
    Classification,
    ErrorCode,
    ErrorCodePage,
    ErrorCodeQuery,
    ErrorCodeValues,
    LogText,
    Severity,
    SeverityPage,
    StoredErrorCode,
)
from ..schemas.common import PageQuery
from .api import JSON, Answer, api_route

_TAG = "Error catalogue"
# 25 MiB of log are classified; as JSON they may be somewhat longer.
_MAX_LOG = 32 * 1024 * 1024


class CatalogueController(Controller):
    @api_route(
        "/severities",
        method="GET",
        summary="List the severities",
        tag=_TAG,
        query=PageQuery,
        response=SeverityPage,
    )
    def list_severities(self, query):
        """The worst first, with their targets."""
        return request.env["qms.severity"]._api_list(query)

    @api_route(
        "/severities/<string:code>",
        method="GET",
        summary="Get a severity",
        tag=_TAG,
        response=Severity,
    )
    def get_severity(self, code):
        return request.env["qms.severity"]._api_get(code)

    @api_route(
        "/categories",
        method="GET",
        summary="List the error categories",
        tag=_TAG,
        query=PageQuery,
        response=CategoryPage,
    )
    def list_categories(self, query):
        """In the order of their triage questions, with the evidence to gather."""
        return request.env["qms.error.category"]._api_list(query)

    @api_route(
        "/categories/<string:code>",
        method="GET",
        summary="Get an error category",
        tag=_TAG,
        response=Category,
    )
    def get_category(self, code):
        return request.env["qms.error.category"]._api_get(code)

    @api_route(
        "/error-codes",
        method="GET",
        summary="List the error codes",
        tag=_TAG,
        query=ErrorCodeQuery,
        response=ErrorCodePage,
    )
    def list_error_codes(self, query):
        """In the order of the codes; archived ones are left out."""
        return request.env["qms.error.code"]._api_list(query)

    @api_route(
        "/error-codes/<string:code>",
        method="GET",
        summary="Get an error code",
        tag=_TAG,
        response=ErrorCode,
    )
    def get_error_code(self, code):
        """What the error is, what to do about it, and which SOPs handle it."""
        return request.env["qms.error.code"]._api_get(code)

    @api_route(
        "/error-codes/<string:code>",
        method="PUT",
        summary="Update an error code, or add it",
        tag=_TAG,
        request=ErrorCodeValues,
        response=StoredErrorCode,
        also={201: StoredErrorCode},
    )
    def put_error_code(self, code, body):
        """Only what is given is changed; the same call twice changes nothing more.

        201 when the code is new, else 200. A code is upper snake case.
        """
        result = request.env["qms.error.code"]._api_put(code, body)
        return Answer(result, status=201 if result["created"] else 200)

    @api_route(
        "/error-codes/classify",
        method="POST",
        summary="Find the errors that a log speaks of",
        tag=_TAG,
        request=LogText,
        response=Classification,
        media=(JSON, "text/plain"),
        max_body=_MAX_LOG,
    )
    def classify(self, body):
        """Best first. Send the log as text/plain, or in JSON; at most 25 MiB."""
        text = request.httprequest.get_data() if body is None else body.text
        return request.env["qms.error.code"]._api_classify(text)
