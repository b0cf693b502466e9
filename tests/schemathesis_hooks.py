"""What schemathesis is told about our API; test_api_schemathesis.py has it loaded."""

import itertools
from http import HTTPStatus

import schemathesis

_calls = itertools.count()


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Make three idempotency keys in four new.

    Most of those made up are "0", and what it was used for first is then the only
    call of all with a key that is carried out.
    """
    if not case.meta.generation.mode.is_positive or "Idempotency-Key" not in (
        case.headers or {}
    ):
        return
    number = next(_calls)
    if number % 4:
        key = case.headers["Idempotency-Key"]
        case.headers["Idempotency-Key"] = f"{key[:200]}{number}"


@schemathesis.check
def no_entrance(_context, response, case):
    """A stranger gets 401 from every operation that is not public."""
    if "Authorization" in response.request.headers:
        return
    operation = case.operation.definition.raw
    required = operation.get("security", case.operation.schema.raw_schema["security"])
    # Some path arguments make it another path, and some calls are of another method.
    closed = {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND}
    closed |= {HTTPStatus.METHOD_NOT_ALLOWED}
    if required and all(required) and response.status_code not in closed:
        raise AssertionError(f"A stranger gets {response.status_code}.")
