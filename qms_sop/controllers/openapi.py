"""The OpenAPI 3.1 document of /api/v1, made of the routes that there are."""

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from odoo.http import Controller, request

from ..schemas.common import ProblemDocument
from .api import API_ROOT, FORM, JSON, Answer, api_route, operations
from .problems import PROBLEMS

_REF = "#/components/schemas/{model}"
_PROBLEM_JSON = "application/problem+json"
_ABOUT = """\
Runs of operations procedures, and what belongs to them.

**Keys.** Send an API key of an Odoo user: `Authorization: Bearer KEY`. A key may do
what its user's role may do.

**Times** are RFC 3339, in UTC. What is not known is `null`, never zero.

**Errors** are `application/problem+json` (RFC 9457); tell them apart by `type`.

**Lists** come in pages: pass `next_cursor` as `cursor`, or follow the `Link` header.

**Safe retries.** Send an `Idempotency-Key` with a POST. The same key with the same
body gets the stored answer for 24 hours, and nothing is done twice.

**Concurrent changes.** Send the `ETag` you read as `If-Match`; when the record was
changed meanwhile, the answer is 412 and nothing is written.

**Request ids.** `X-Request-Id` is taken over when you send it, comes back with every
answer, and stands in the server's log.
"""


class _Schemas(GenerateJsonSchema):
    """Schemas without a title for every field; the names say as much."""

    def field_title_should_be_set(self, schema):
        return False


def document(found, base_url):
    """Return the OpenAPI document.

    :param found: the :class:`.api.Operation` of each route
    :param str base_url: of the server, without a slash at the end
    :rtype: dict
    """
    paths = {}
    models = {ProblemDocument}
    for operation in found:
        models |= {operation.request, operation.form, operation.response} - {None}
        models |= {model for _status, model in operation.also}
        path = paths.setdefault(operation.template, {})
        path[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "QMS SOP API", "version": "1.0.0", "description": _ABOUT},
        "servers": [{"url": f"{base_url}{API_ROOT}"}],
        "security": [{"apiKey": []}],
        "tags": [
            {"name": tag} for tag in dict.fromkeys(operation.tag for operation in found)
        ],
        "paths": paths,
        "components": {
            "schemas": _schemas(models),
            "responses": {
                f"Problem{status}": _problem_response(status)
                for status in sorted({status for status, *_ in PROBLEMS.values()})
            },
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key of an Odoo user.",
                }
            },
        },
    }


def _schemas(models):
    _keys, schema = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda m: m.__name__)],
        ref_template=_REF,
        schema_generator=_Schemas,
    )
    return schema["$defs"]


def _reference(model):
    return {"$ref": _REF.format(model=model.__name__)}


def _operation(operation):
    result = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "tags": [operation.tag],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": _responses(operation),
    }
    if operation.public:
        result["security"] = [{}, {"apiKey": []}] if operation.key_optional else []
    if operation.idempotent:
        result["parameters"].append(
            _header(
                "Idempotency-Key",
                "Makes a retry safe: chosen by the client, new for every new request.",
                {"type": "string", "minLength": 1, "maxLength": 255},
            )
        )
    if operation.if_match:
        result["parameters"].append(
            _header("If-Match", "The ETag that was read.", {"type": "string"})
        )
    if operation.request:
        result["requestBody"] = {
            "required": True,
            "content": {
                media: {"schema": _body_schema(operation, media)}
                for media in operation.media
            },
        }
    return result


def _body_schema(operation, media):
    if media == FORM and operation.form:
        return _reference(operation.form)
    if media.endswith("json"):
        return _reference(operation.request)
    if media.startswith("text/"):
        return {"type": "string"}
    return {"type": "string", "format": "binary"}


def _header(name, description, schema):
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _path_parameters(operation):
    schemas = {
        "int": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
        "string": {"type": "string", "minLength": 1},
    }
    return [
        {"name": name, "in": "path", "required": True, "schema": schemas[kind]}
        for name, kind in operation.path_arguments
    ]


def _query_parameters(operation):
    if not operation.query.model_fields:
        return []
    schema = operation.query.model_json_schema(
        ref_template=_REF, schema_generator=_Schemas
    )
    parameters = []
    for name, field in schema["properties"].items():
        description = field.pop("description", None)
        field = _without_null(field)
        parameter = {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": field,
        }
        if description:
            parameter["description"] = description
        if field.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        parameters.append(parameter)
    return parameters


def _without_null(field):
    """Return the schema of a parameter; one that is not given is left out, not null."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        field = {key: value for key, value in field.items() if key != "anyOf"}
        field |= kinds[0]
        if field.get("default", 0) is None:
            del field["default"]
    return field


def _responses(operation):
    success = {"description": operation.summary, "headers": _success_headers(operation)}
    if operation.response:
        success["content"] = {
            operation.produces: {"schema": _reference(operation.response)}
        }
    elif operation.produces != JSON:
        kind = {"type": "string"}
        if not operation.produces.startswith("text/"):
            kind["format"] = "binary"
        success["content"] = {operation.produces: {"schema": kind}}
    else:
        success["content"] = {JSON: {"schema": {"type": "object"}}}
    responses = {str(operation.status): success}
    for status, model in operation.also:
        responses[str(status)] = {
            **success,
            "content": {operation.produces: {"schema": _reference(model)}},
        }
    for status in _problem_statuses(operation):
        if str(status) not in responses:
            responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    return responses


def _success_headers(operation):
    headers = {"X-Request-Id": {"schema": {"type": "string"}}}
    if operation.etag:
        headers["ETag"] = {
            "description": "Changes with every change; for `If-Match`.",
            "schema": {"type": "string"},
        }
    if "cursor" in operation.query.model_fields:
        headers["Link"] = {
            "description": 'The next page, `rel="next"`; missing on the last.',
            "schema": {"type": "string"},
        }
    return headers


def _problem_statuses(operation):
    statuses = {406, 422, 500, 503}
    if operation.key_optional:
        statuses |= {401, 403}
    if not operation.public:
        statuses |= {401, 403}
        if operation.limited:
            statuses.add(429)
    if operation.path_arguments:
        # The path may turn out to be another operation's.
        statuses |= {404} if operation.method == "GET" else {404, 405}
    if operation.request:
        statuses |= {400, 411, 413, 415}
    if operation.method != "GET":
        statuses.add(409)
    if operation.if_match:
        statuses |= {400, 412}
    return sorted(statuses)


def _problem_response(status):
    meanings = [
        f"`urn:qms:problem:{name}`: {when}"
        for name, (own_status, _title, when) in PROBLEMS.items()
        if own_status == status
    ]
    response = {
        "description": " ".join(meanings),
        "content": {_PROBLEM_JSON: {"schema": _reference(ProblemDocument)}},
        "headers": {"X-Request-Id": {"schema": {"type": "string"}}},
    }
    header = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
    if status in header:
        response["headers"][header[status]] = {"schema": {"type": "string"}}
    return response


class OpenApiController(Controller):
    @api_route(
        "/openapi.json",
        method="GET",
        summary="This document",
        tag="About",
        auth="public",
    )
    def openapi(self):
        """The OpenAPI 3.1 document of this API, as the server has it."""
        return Answer(current_document(), headers={"Cache-Control": "no-cache"})


def current_document():
    """Return the document of the database at hand.

    :rtype: dict
    """
    routing_map = request.env["ir.http"].routing_map()
    return document(operations(routing_map), request.httprequest.url_root.rstrip("/"))
