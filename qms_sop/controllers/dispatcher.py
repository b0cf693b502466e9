"""How /api/v1 speaks HTTP: JSON out, problem documents for every error."""

import logging
from http import HTTPStatus

from werkzeug.exceptions import HTTPException, default_exceptions

from odoo.exceptions import AccessDenied, UserError
from odoo.http import Dispatcher, Response, SessionExpiredException, request

_logger = logging.getLogger(__name__)

# Stable names of the problems a client can tell apart (RFC 9457, 3.1.1);
# the details beside them are for people.
_PROBLEM_TYPE = "urn:qms:problem:{}"


def problem(status, detail, headers=()):
    """Return an error as ``application/problem+json`` (RFC 9457).

    :param int status: HTTP status code
    :param str detail: what went wrong, for people; never a traceback
    :param headers: further headers, as pairs
    :rtype: odoo.http.Response
    """
    title = HTTPStatus(status).phrase
    return request.make_json_response(
        {
            "type": _PROBLEM_TYPE.format(title.lower().replace(" ", "-")),
            "title": title,
            "status": int(status),
            "detail": detail,
        },
        headers=[*headers, ("Content-Type", "application/problem+json")],
        status=int(status),
    )


class QmsApiDispatcher(Dispatcher):
    """Serves the routes of type ``qms_api``."""

    routing_type = "qms_api"

    @classmethod
    def is_compatible_with(cls, request):
        return True

    def pre_dispatch(self, rule, args):
        # Odoo adds OPTIONS to every route and would run the handler for it.
        if self.request.httprequest.method == "OPTIONS":
            methods = {*rule.endpoint.routing["methods"], "OPTIONS"}
            if "GET" in methods:
                methods.add("HEAD")
            response = Response(status=204)
            response.headers["Allow"] = ", ".join(sorted(methods))
            raise HTTPException(response=response)
        super().pre_dispatch(rule, args)

    def dispatch(self, endpoint, args):
        self.request.params = dict(args)
        result = self.request.registry["ir.http"]._dispatch(endpoint)
        if isinstance(result, Response):
            return result
        return self.request.make_json_response(
            result, headers=[("Cache-Control", "no-store")]
        )

    def handle_error(self, exc):
        if isinstance(exc, HTTPException):
            if exc.response:
                return exc.response
            return problem(
                exc.code,
                exc.description,
                # The error page's own Content-Type gives way to the document's.
                [
                    (name, value)
                    for name, value in exc.get_headers()
                    if name.lower() != "content-type"
                ],
            )
        if isinstance(exc, (AccessDenied, SessionExpiredException)):
            return problem(
                HTTPStatus.UNAUTHORIZED, self.request.env._("Not signed in.")
            )
        if isinstance(exc, UserError) and exc.http_status in default_exceptions:
            return problem(exc.http_status, str(exc))
        # The traceback is in the server's log; a client gets none of it.
        return problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "The server could not answer. Its log says why.",
        )
