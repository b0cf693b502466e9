"""How /api/v1 speaks HTTP, the same for every operation.

In this order: request id, authentication (Odoo's), rate limit, negotiation, size,
syntax, validation, idempotency; then the handler, then serialization. Odoo runs all
but the first again when transactions collide.
"""

import hashlib
import json
import logging
import re
import threading
import uuid
from functools import partial
from urllib.parse import quote, urlencode

from pydantic import ValidationError as InvalidError
from werkzeug.exceptions import HTTPException

from odoo.http import Dispatcher, HttpDispatcher, Response

from ..tools.contention import run_again_at_once
from .api import API_ROOT, JSON, Answer
from .problems import Problem, respond
from .rate_limit import check_rate

_logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_ENTITY_TAG = re.compile(r'\s*(?P<weak>W/)?"(?P<tag>[^"]*)"\s*|\s*(?P<any>\*)\s*')
_FORM = "multipart/form-data"
_PROBLEM = "application/problem+json"
_MAX_ID = 2**31 - 1
_MAX_KEY = 255


class QmsApiDispatcher(Dispatcher):
    """Serves the routes of type ``qms_api``."""

    routing_type = "qms_api"

    def __init__(self, request):
        super().__init__(request)
        self.request_id = _request_id(request)
        self._counted = False

    @classmethod
    def is_compatible_with(cls, request):
        return True

    def pre_dispatch(self, rule, args):
        # Odoo adds OPTIONS to every route and would run the handler for it.
        if self.request.httprequest.method == "OPTIONS":
            methods = self._allowed_methods(rule)
            response = Response(status=204)
            response.headers["Allow"] = ", ".join(sorted(methods))
            raise HTTPException(response=_finish(self.request, response, self))
        super().pre_dispatch(rule, args)

    def _allowed_methods(self, rule):
        if not self.request.db:
            return {*rule.endpoint.routing["methods"], "OPTIONS"}
        path = self.request.httprequest.path
        return self.request.registry["ir.http"]._qms_allowed_methods(path)

    def dispatch(self, endpoint, args):
        operation = endpoint.routing.get("qms_operation")
        self.request.params = dict(args)
        _check_path_arguments(args)
        if operation is None:
            answer = self._call(endpoint)
        else:
            self._admit(operation)
            if operation.method == "GET" or not self.request.db:
                answer = self._run(operation, endpoint)
            else:
                answer = run_again_at_once(
                    self.request.env,
                    partial(self._run_anew, operation, endpoint, args),
                    _names(args),
                    partial(_rewind, self.request.httprequest),
                )
        return _finish(self.request, self._render(operation, answer), self)

    def handle_error(self, exc):
        if isinstance(exc, HTTPException) and exc.response:
            return exc.response
        return _finish(self.request, respond(exc, self.request_id), self)

    # === Admission ===

    def _admit(self, operation):
        """Refuse what can be refused without looking at the body."""
        if operation.limited and not operation.public and not self._counted:
            check_rate(self.request)
            # Odoo may run the whole request again; it still is one.
            self._counted = True
        accept = self.request.httprequest.environ.get("HTTP_ACCEPT")
        if accept and "*/*" not in accept:
            accepted = self.request.httprequest.accept_mimetypes
            if not any(kind in accepted for kind in (operation.produces, _PROBLEM)):
                raise Problem(
                    "not-acceptable", f"This operation answers {operation.produces}."
                )

    def _run_anew(self, operation, endpoint, args):
        """See :meth:`_run`, for what may be run more than once."""
        self.request.params = dict(args)
        return self._run(operation, endpoint)

    def _run(self, operation, endpoint):
        """Parse the request, and call its handler once per idempotency key."""
        params = self.request.params
        query = self._query(operation)
        if query is not None:
            params["query"] = query
        if operation.if_match:
            params["if_match"] = self._if_match()
        digest = None
        if operation.request:
            self._check_body(operation)
            params["body"], digest = self._body(operation)

        call = partial(self._call, endpoint)
        key = self.request.httprequest.headers.get("Idempotency-Key")
        if not operation.idempotent or key is None:
            return call()
        return self._once(operation, key, digest, call)

    def _call(self, endpoint):
        if self.request.db:
            return self.request.registry["ir.http"]._dispatch(endpoint)
        return endpoint(**self.request.params)

    def _query(self, operation):
        arguments = {
            name: values[0] if len(values) == 1 else values
            for name, values in self.request.httprequest.args.lists()
        }
        try:
            query = operation.query.model_validate(arguments)
        except InvalidError as error:
            raise _invalid(error, "The query string is not valid.") from None
        return query if operation.query.model_fields else None

    def _if_match(self):
        header = self.request.httprequest.headers.get("If-Match")
        if header is None:
            return None
        tags = [_ENTITY_TAG.fullmatch(part) for part in header.split(",")]
        if not all(tags):
            raise Problem(
                "bad-request", 'If-Match: give the ETag as it came, such as "17-3".'
            )
        # A weak tag never matches in If-Match (RFC 9110, 13.1.1).
        return tuple(
            tag["any"] or tag["tag"] for tag in tags if tag["any"] or not tag["weak"]
        )

    # === Body ===

    def _check_body(self, operation):
        http = self.request.httprequest
        if "HTTP_TRANSFER_ENCODING" in http.environ:
            # A chunked body that is too long would be cut off, not refused.
            raise Problem(
                "length-required", "Send the body with a Content-Length, not chunked."
            )
        length = http.content_length or 0
        limit = operation.max_body
        if callable(limit):
            limit = limit(self.request.env)
        if length > limit:
            raise Problem(
                "content-too-large",
                f"The body has {length} bytes; the limit is {limit}.",
                headers=[("Connection", "close")],
            )
        if not length:
            raise Problem("bad-request", "The body is missing.")
        if http.mimetype not in operation.media:
            raise Problem(
                "unsupported-media-type",
                f"Content-Type {http.mimetype or '(none)'} is not accepted. "
                f"Accepted: {', '.join(operation.media)}.",
                headers=[("Accept", ", ".join(operation.media))],
            )

    def _body(self, operation):
        """Return the body as its model, and a digest of what it says.

        :return: ``(None, None)`` for a body that the handler reads itself
        """
        http = self.request.httprequest
        if http.mimetype == _FORM:
            return self._form(operation), None
        if operation.raw or not http.mimetype.endswith("json"):
            return None, None
        data = http.get_data()
        try:
            content = json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Problem(
                "bad-request", f"The body is not valid JSON: {error}."
            ) from None
        try:
            body = operation.request.model_validate_json(data)
        except InvalidError as error:
            if error.errors(include_input=False)[0]["type"] == "json_invalid":
                raise Problem("bad-request", "The body is not valid JSON.") from None
            raise _invalid(error, "The body is not valid.") from None
        return body, content

    def _form(self, operation):
        http = self.request.httprequest
        if operation.form is None:
            return None
        given = [*http.form.items(multi=True), *http.files.items(multi=True)]
        values = dict(given)
        if len(values) < len(given):
            raise Problem("invalid", "A part of the form is given more than once.")
        try:
            return operation.form.model_validate(values)
        except InvalidError as error:
            raise _invalid(error, "The form is not valid.") from None

    # === Idempotency ===

    def _once(self, operation, key, content, call):
        if not 0 < len(key) <= _MAX_KEY or not key.isprintable():
            raise Problem(
                "invalid",
                f"Idempotency-Key: give 1 to {_MAX_KEY} printable characters.",
                [{"field": "Idempotency-Key", "detail": "1 to 255 characters"}],
            )
        http = self.request.httprequest
        if content is None and operation.request:
            content = _digest(http)
        fresh = []

        def answer():
            fresh.append(True)
            result = call()
            if not isinstance(result, Answer):
                result = Answer(result)
            return {
                "status": result.status or operation.status,
                # As text: the database would keep another order of the keys.
                "body": json.dumps(result.body),
                "headers": result.headers,
                "etag": result.etag,
            }

        stored = self.request.env["qms.idempotency.key"]._once(
            key,
            f"{operation.method} {http.path}",
            {"query": http.query_string.decode("latin-1"), "body": content},
            answer,
        )
        result = Answer(**stored)
        result.body = json.loads(result.body)
        if not fresh:
            result.headers = {**result.headers, "Idempotency-Replayed": "true"}
        return result

    # === Answer ===

    def _render(self, operation, answer):
        if isinstance(answer, Response):
            return answer
        if not isinstance(answer, Answer):
            answer = Answer(answer)
        status = answer.status or (operation.status if operation else 200)
        own = {"Cache-Control": "no-store", **answer.headers}
        headers = [("Content-Type", JSON), *own.items()]
        if operation and "cursor" in operation.query.model_fields:
            headers += self._next_link(answer.body)
        if answer.etag is not None:
            http = self.request.httprequest
            headers.append(("ETag", f'"{answer.etag}"'))
            if (
                http.method in ("GET", "HEAD")
                and not answer.timed
                and http.if_none_match.contains(answer.etag)
            ):
                return Response(status=304, headers=headers[1:])
        return Response(
            json.dumps(answer.body, ensure_ascii=False), status=status, headers=headers
        )

    def _next_link(self, page):
        """Return the ``Link`` header of a page of a list (RFC 8288)."""
        cursor = page.get("next_cursor")
        if not cursor:
            return []
        http = self.request.httprequest
        arguments = [
            (name, value)
            for name, value in http.args.items(multi=True)
            if name != "cursor"
        ]
        query = urlencode([*arguments, ("cursor", cursor)])
        return [("Link", f'<{http.base_url}?{query}>; rel="next"')]


class QmsHttpDispatcher(HttpDispatcher):
    """Plain HTTP, but for what fails under /api/v1 before a route is found.

    Until then every request is in the hands of the dispatcher of plain HTTP, whose
    errors are web pages: the database is away, the method is unknown.
    """

    routing_type = "http"

    def __init__(self, request):
        super().__init__(request)
        # The first dispatcher of a request is made before all else is set up.
        self._first = not hasattr(request, "registry")

    def handle_error(self, exc):
        path = self.request.httprequest.path
        if not self._first or not f"{path}/".startswith(f"{API_ROOT}/"):
            return super().handle_error(exc)
        request_id = _request_id(self.request)
        return _finish(self.request, respond(exc, request_id), self, request_id)


def _request_id(request):
    given = request.httprequest.environ.get("HTTP_X_REQUEST_ID", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _finish(request, response, dispatcher, request_id=None):
    """Give a response its request id, and log it once it has been sent."""
    request_id = request_id or dispatcher.request_id
    response.headers["X-Request-Id"] = request_id
    http = request.httprequest
    response.call_on_close(
        partial(_log, http.method, http.path, response.status_code, request_id)
    )
    return response


def _log(method, path, status, request_id):
    _logger.info(
        "%s %s %s user=%s request_id=%s",
        method,
        # A line break in the path must not begin another line.
        quote(path),
        status,
        getattr(threading.current_thread(), "uid", None),
        request_id,
    )


def _check_path_arguments(args):
    """Refuse ids that no record can have; ``browse(0)`` would be a new record."""
    for value in args.values():
        if (
            not 0 < value <= _MAX_ID
            if isinstance(value, int)
            else isinstance(value, str) and "\0" in value
        ):
            raise Problem("not-found", f"There is nothing with the id {value}.")


def _names(args):
    """Return what an operation on a run changes, as the model's methods call it."""
    run_id = args.get("run_id")
    return [f"qms.sop.run,{run_id}"] if run_id else []


def _rewind(http):
    """Let the files of a request be read once more."""
    for file in http.files.values():
        file.seek(0)


def _digest(http):
    """Return what a body that is no JSON says.

    A form is taken apart: a client that sends it again separates its parts by
    another boundary.
    """
    if http.mimetype != _FORM:
        return hashlib.sha256(http.get_data(cache=True)).hexdigest()
    files = {}
    for name, file in http.files.items():
        files[name] = [file.filename, hashlib.sha256(file.read()).hexdigest()]
        file.seek(0)
    return {"fields": http.form.to_dict(), "files": files}


def _refuse_constant(name):
    raise ValueError(f"{name} is no JSON number")


def _invalid(error, detail):
    errors = [
        {
            "field": ".".join(str(part) for part in found["loc"]) or "body",
            "detail": found["msg"],
        }
        for found in error.errors(include_url=False, include_input=False)
    ]
    named = "; ".join(f"{one['field']}: {one['detail']}" for one in errors[:3])
    return Problem("invalid", f"{detail} {named}.", errors)
