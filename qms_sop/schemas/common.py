"""What the resources of /api/v1 have in common."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

MAX_LIMIT = 200
# PostgreSQL's text cannot hold NUL.
_NO_NUL = r"^[^\u0000]*$"

Line = Annotated[str, StringConstraints(pattern=_NO_NUL, max_length=1_000)]
Text = Annotated[str, StringConstraints(pattern=_NO_NUL, max_length=100_000)]
# Captured output; the size of the request is limited as a whole.
Output = Annotated[str, StringConstraints(pattern=_NO_NUL)]
Code = Annotated[str, StringConstraints(pattern=_NO_NUL, min_length=1, max_length=128)]
Id = Annotated[int, Field(ge=1, le=2_147_483_647)]
Time = Annotated[
    str,
    Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-01T09:30:00Z"]),
]


def _naive_utc(value):
    if not value.tzinfo:
        return value
    try:
        return (value - value.utcoffset()).replace(tzinfo=None)
    except OverflowError:
        raise ValueError("there is no such time in UTC") from None


def _no_number(value):
    # Pydantic would take it for seconds since 1970.
    if not isinstance(value, str) or value[4:5] != "-":
        raise ValueError("give a time such as 2026-03-01T09:30:00Z")
    return value


# A time that a client gives: with an offset, or in UTC. Odoo keeps naive UTC.
TimeArgument = Annotated[
    datetime, BeforeValidator(_no_number), AfterValidator(_naive_utc)
]
# The same in a body, to the second.
BodyTime = Annotated[
    datetime,
    BeforeValidator(_no_number),
    AfterValidator(_naive_utc),
    AfterValidator(lambda value: value.replace(microsecond=0)),
    Field(strict=False),
]


def _split(value):
    values = value if isinstance(value, list) else [value]
    return [part.strip() for item in values for part in str(item).split(",")]


_CommaSeparated = BeforeValidator(_split)


def comma_separated(item):
    """Return the type of a query parameter that takes several values.

    :param item: type of one value
    :return: a list type; ``a,b`` and a repeated parameter both give ``[a, b]``
    """
    return Annotated[list[item], _CommaSeparated]


def field_names(model):
    """Return the type of a ``fields`` parameter for a resource.

    :param type model: the :class:`Resource` whose fields can be asked for
    """
    return comma_separated(Literal[tuple(model.model_fields)])


def _open(schema):
    # Clients must not break when a response gains a field.
    schema.pop("additionalProperties", None)


class Body(BaseModel):
    """A request body: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def given(self):
        """Return what the client gave, without what has a default.

        :rtype: dict
        """
        return self.model_dump(exclude_unset=True)


class Query(BaseModel):
    """A query string: nothing unknown; values are converted from text."""

    model_config = ConfigDict(extra="forbid")


class NoQuery(Query):
    """A query string of a route that takes none."""


class Resource(BaseModel):
    """What a response holds. Never validated at run time, only in tests."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_open)


class PageQuery(Query):
    """A query string of any list."""

    limit: int = Field(
        50, ge=1, le=MAX_LIMIT, description=f"Items a page, at most {MAX_LIMIT}."
    )
    cursor: Code | None = Field(
        None,
        max_length=512,
        description="`next_cursor` of the page before; only with the same filters "
        "and sort.",
    )


class Page(Resource):
    """One page of a list; a resource's page narrows ``items``."""

    items: list[Any]
    next_cursor: str | None = Field(
        description="Pass as `cursor` for the next page; null on the last one."
    )


class FieldProblem(Resource):
    """What is wrong with one field of a request."""

    field: str = Field(description="Its name; dots lead into nested values.")
    detail: str


class ProblemDocument(Resource):
    """An error (RFC 9457), sent as `application/problem+json`."""

    type: str = Field(description="Stable name of the problem, a URN.")
    title: str
    status: int
    detail: str = Field(description="What went wrong, for people.")
    errors: list[FieldProblem] = Field([], description="The fields at fault.")
    request_id: str | None = Field(None, description="As in `X-Request-Id`.")
