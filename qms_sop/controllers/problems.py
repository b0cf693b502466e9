"""Errors of /api/v1 as problem documents (RFC 9457)."""

import json
from dataclasses import dataclass

import psycopg2
from psycopg2.errors import IntegrityError, ProgramLimitExceeded
from psycopg2.pool import PoolError
from werkzeug.exceptions import HTTPException, NotFound

from odoo.exceptions import AccessDenied, ConcurrencyError, UserError
from odoo.http import RegistryError, Response, SessionExpiredException

# {last part of `type`: (status, title, when)}. Clients tell problems apart by the
# type, so these never change; the details beside them are for people.
PROBLEMS = {
    "bad-request": (400, "Bad request", "The request could not be read."),
    "unauthorized": (401, "Unauthorized", "No API key was sent, or an invalid one."),
    "forbidden": (403, "Forbidden", "The role of the key's user does not allow it."),
    "not-found": (404, "Not found", "There is nothing there that the user may see."),
    "method-not-allowed": (405, "Method not allowed", "`Allow` says what is."),
    "not-acceptable": (406, "Not acceptable", "`Accept` excludes what there is."),
    "conflict": (409, "Conflict", "Something else is in the way; see the detail."),
    "length-required": (411, "Length required", "The body has no `Content-Length`."),
    "precondition-failed": (
        412,
        "Precondition failed",
        "It was changed meanwhile: `If-Match` is not its `ETag` any more. Read it "
        "again, then decide again.",
    ),
    "content-too-large": (413, "Content too large", "The detail tells the limit."),
    "unsupported-media-type": (
        415,
        "Unsupported media type",
        "`Content-Type` is not one the operation takes.",
    ),
    "invalid": (422, "Invalid", "`errors` names each field at fault."),
    "refused": (
        422,
        "Refused",
        "The request is well-formed, but a rule forbids it; the detail says which.",
    ),
    "idempotency-key-reused": (
        422,
        "Idempotency key reused",
        "The key was used for another request.",
    ),
    "too-many-requests": (
        429,
        "Too many requests",
        "The key's rate limit is reached; go on after `Retry-After` seconds.",
    ),
    "internal-error": (500, "Internal error", "A defect; the server's log says more."),
    "unavailable": (
        503,
        "Unavailable",
        "The database is away or too busy; try again after `Retry-After` seconds.",
    ),
}
_TYPE_OF_STATUS = {status: name for name, (status, *_) in reversed(PROBLEMS.items())}
_TYPE_OF_STATUS[422] = "refused"
# Said better than by the framework, whose words are for people with a browser.
_HTTP_DETAILS = {
    404: "There is nothing at this address.",
    405: "The method is not possible here; Allow says which are.",
}
_RETRY_SECONDS = 5
# The latter is a text that is too long for an index, which counts as operational.
_TOO_MUCH = (psycopg2.DataError, ProgramLimitExceeded)
_MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """An error that the API finds itself.

    :param str name: a key of :data:`PROBLEMS`
    :param str detail: what went wrong, for people
    :param errors: dicts with ``field`` and ``detail``, the fields at fault
    :param headers: further headers, as pairs
    """

    def __init__(self, name, detail, errors=(), headers=()):
        super().__init__(detail)
        self.code = PROBLEMS[name][0]
        self.name_of_type = name
        self.errors = list(errors)
        self.headers = list(headers)


@dataclass
class _Description:
    name: str
    detail: str
    status: int | None = None
    errors: tuple = ()
    headers: tuple = ()


def respond(exception, request_id):
    """Return an exception as a response.

    No traceback and no message of the framework gets out; Odoo has logged both.

    :param Exception exception: what ended the request
    :param str request_id: as in ``X-Request-Id``
    :rtype: odoo.http.Response
    """
    found = _describe(exception)
    status, title, _when = PROBLEMS.get(found.name, (found.status, "Error", ""))
    document = {
        "type": f"urn:qms:problem:{found.name}",
        "title": title,
        "status": status,
        "detail": found.detail,
        "request_id": request_id,
    }
    if found.errors:
        document["errors"] = list(found.errors)
    return Response(
        json.dumps(document, ensure_ascii=False),
        status=status,
        headers=[
            *found.headers,
            ("Content-Type", _MEDIA_TYPE),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Request-Id", request_id),
        ],
    )


def _describe(exception):
    if isinstance(exception, _TOO_MUCH):
        return _Description(
            "refused", "A value is outside of what the database can hold."
        )
    if _database_is_away(exception):
        return _Description(
            "unavailable",
            "The database is not available, or too busy. Try again.",
            headers=(("Retry-After", str(_RETRY_SECONDS)),),
        )
    if isinstance(exception, Problem):
        return _Description(
            exception.name_of_type,
            exception.description,
            errors=tuple(exception.errors),
            headers=tuple(exception.headers),
        )
    if isinstance(exception, AccessDenied | SessionExpiredException):
        return _Description(
            "unauthorized",
            "Send an API key: Authorization: Bearer KEY.",
            headers=(("WWW-Authenticate", "Bearer"),),
        )
    if isinstance(exception, HTTPException) and exception.code:
        return _describe_http(exception)
    if isinstance(exception, UserError):
        return _describe_refusal(exception)
    return _Description(
        "internal-error", "The server could not answer. Its log says why."
    )


def _describe_http(exception):
    detail = exception.description
    if detail == type(exception).description:
        detail = _HTTP_DETAILS.get(exception.code, detail)
    return _Description(
        _TYPE_OF_STATUS.get(exception.code, "http-error"),
        detail or exception.name,
        status=exception.code,
        # The error page's own Content-Type gives way to the document's.
        headers=tuple(
            (name, value)
            for name, value in exception.get_headers()
            if name.lower() != "content-type"
        ),
    )


def _describe_refusal(exception):
    name = getattr(exception, "problem_type", None)
    if isinstance(exception.__cause__, IntegrityError):
        name = "conflict"
    field = getattr(exception, "qms_field", None)
    # Some refusals list several things by themselves.
    errors = getattr(exception, "qms_errors", None)
    if not errors and field:
        errors = ({"field": field, "detail": str(exception)},)
    return _Description(
        name or _TYPE_OF_STATUS.get(exception.http_status, "refused"),
        str(exception),
        errors=tuple(errors or ()),
    )


def _database_is_away(exception):
    # ConcurrencyError and the like arrive here when all tries were in vain.
    if isinstance(
        exception,
        psycopg2.OperationalError
        | psycopg2.InterfaceError
        | PoolError
        | ConcurrencyError
        | RegistryError,
    ):
        return True
    # Without its database, Odoo looks for the page among those that need none, and
    # the reason is left as what was being handled when that was not found.
    if not isinstance(exception, NotFound):
        return False
    while isinstance(exception, Exception):
        if isinstance(exception, RegistryError):
            return True
        exception = exception.__context__
    return False
