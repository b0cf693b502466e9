"""How a resource gets into /api/v1.

One declaration routes, validates and documents an operation. A resource is::

    class SeverityController(Controller):
        @api_route("/severities", method="GET", summary="List severities",
                   tag="Catalogue", query=PageQuery, response=SeverityPage)
        def list_severities(self, query):
            \"\"\"What stands here is the operation's description in the docs.\"\"\"
            return request.env["qms.severity"]._api_list(query)

- The models of ``query``, ``request`` and ``response`` are pydantic models in
  ``schemas/`` (see ``schemas/common.py`` for the bases). The handler gets the path's
  arguments, and ``query`` and ``body`` where declared. Responses are not validated
  at run time; tests do that (``tests/api_common.py``).
- The handler parses nothing and decides nothing: it calls *one* model method
  (private, ``_api_…``) and returns a dict, a list, an :class:`Answer` (other status,
  headers, ETag), or a ``Response``. A record that is not there: ``MissingError``.
- Refusals are Odoo's exceptions; ``tools/faults.py`` adds which field is at fault.
- Every POST honours ``Idempotency-Key`` by itself (``idempotent=False``: not).
  Lists use ``tools/paging.py``.
- The rest (keys, limits, errors, request ids) is the dispatcher's.
"""

import inspect
import re
from dataclasses import dataclass, field

from pydantic import BaseModel

from odoo.http import route

from ..schemas.common import NoQuery

API_ROOT = "/api/v1"
JSON = "application/json"
MERGE_PATCH = (JSON, "application/merge-patch+json")
FORM = "multipart/form-data"
_MEBIBYTE = 1024 * 1024
_PATH_ARGUMENT = re.compile(r"<(?:(?P<kind>\w+)(?:\([^)]*\))?:)?(?P<name>\w+)>")


@dataclass(frozen=True)
class Operation:
    """What is declared of one method of one path."""

    path: str
    method: str
    summary: str
    description: str
    tag: str
    public: bool
    key_optional: bool
    query: type[BaseModel]
    request: type[BaseModel] | None
    form: type[BaseModel] | None
    response: type[BaseModel] | None
    status: int
    also: tuple[tuple[int, type[BaseModel]], ...]
    idempotent: bool
    if_match: bool
    etag: bool
    media: tuple[str, ...]
    produces: str
    max_body: int
    limited: bool
    raw: bool
    name: str

    @property
    def template(self):
        """The path as OpenAPI writes it, without the root: ``/sop-runs/{run_id}``."""
        return _PATH_ARGUMENT.sub(r"{\g<name>}", self.path)

    @property
    def path_arguments(self):
        """The arguments in the path, as ``(name, kind)``; kind ``int`` or ``string``.

        :rtype: list[tuple[str, str]]
        """
        return [
            (match["name"], match["kind"] or "string")
            for match in _PATH_ARGUMENT.finditer(self.path)
        ]


@dataclass
class Answer:
    """What a handler returns when it is more than a body.

    :param body: JSON-serializable
    :param int status: HTTP status; ``None``: the declared one
    :param dict headers: further headers
    :param str etag: a strong entity tag, without its quotes
    :param bool timed: the answer changes as time passes, also under the same tag: it
        is good for ``If-Match``, and never answered with 304
    """

    body: object
    status: int | None = None
    headers: dict = field(default_factory=dict)
    etag: str | None = None
    timed: bool = False


def api_route(
    path,
    *,
    method,
    summary,
    tag,
    auth="bearer",
    query=None,
    request=None,
    form=None,
    response=None,
    status=200,
    also=None,
    readonly=None,
    idempotent=None,
    if_match=False,
    etag=False,
    media=(JSON,),
    produces=JSON,
    max_body=_MEBIBYTE,
    limited=True,
    raw=False,
):
    """Declare a controller method as one operation of the API.

    :param str path: below ``/api/v1``, as Odoo routes it (``/sop-runs/<int:run_id>``);
        integers that cannot be ids are answered with 404
    :param str method: one HTTP method
    :param str summary: what it does, in a few words
    :param str tag: the chapter of the documentation
    :param str auth: ``bearer``, ``public``, ``none``, or ``qms_optional`` (see
        ``models/ir_http.py``)
    :param query: model of the query string; the handler gets it as ``query``.
        Without one, any query parameter is refused
    :param request: model of the body; the handler gets it as ``body``
    :param form: model of the body as ``multipart/form-data``, where that is taken as
        well; files in it are werkzeug's ``FileStorage``
    :param response: model of the answer
    :param int status: of a success
    :param also: ``{status: model}``: other answers that are no problem documents
    :param bool readonly: whether the handler only reads; what GET does, by default
    :param bool idempotent: whether ``Idempotency-Key`` is honoured; on POST it is
    :param bool if_match: whether the handler takes ``if_match``: ``None``, or a
        tuple of the entity tags in ``If-Match``, without quotes (``*`` for any)
    :param bool etag: whether the answer carries an ETag
    :param media: content types that the body may have; the body of types other than
        JSON is the handler's to read, ``body`` is ``None`` then
    :param str produces: content type of the answer
    :param max_body: bytes a body may have; or a function of the environment
    :param bool limited: whether the rate limit applies
    :param bool raw: whether the handler reads the body itself, also when it is JSON;
        ``body`` is ``None`` then
    """

    def decorator(handler):
        operation = Operation(
            path=path,
            method=method,
            summary=summary,
            description=_description(handler),
            tag=tag,
            public=auth != "bearer",
            key_optional=auth == "qms_optional",
            query=query or NoQuery,
            request=request,
            form=form,
            response=response,
            status=status,
            also=tuple((also or {}).items()),
            idempotent=method == "POST" if idempotent is None else idempotent,
            if_match=if_match,
            etag=etag,
            media=(*media, FORM) if form else tuple(media),
            produces=produces,
            max_body=max_body,
            limited=limited,
            raw=raw,
            name=handler.__name__,
        )
        return route(
            API_ROOT + path,
            type="qms_api",
            auth=auth,
            methods=[method],
            readonly=method == "GET" if readonly is None else readonly,
            save_session=False,
            csrf=False,
            qms_operation=operation,
        )(handler)

    return decorator


def _description(handler):
    """Return what a docstring says before it comes to its parameters."""
    text = inspect.getdoc(handler) or ""
    return re.split(r"^:", text, maxsplit=1, flags=re.MULTILINE)[0].strip()


def operations(routing_map):
    """Return what is documented of a routing map.

    :param routing_map: a database's ``werkzeug`` map
    :return: the operations, by path and method
    :rtype: list[Operation]
    """
    found = {
        rule.endpoint.routing["qms_operation"]
        for rule in routing_map.iter_rules()
        if rule.endpoint.routing.get("qms_operation")
    }
    return sorted(found, key=lambda operation: (operation.path, operation.method))
