"""Incidents like another one."""

from typing import Literal

from pydantic import Field

from odoo.addons.qms_sop.schemas.common import Code, Line, Query, Resource, Time

from .incidents import State


class LimitQuery(Query):
    """How many are wanted."""

    limit: int = Field(5, ge=1, le=20, description="At most.")


class SimilarQuery(LimitQuery):
    """What is described; a text, an error code or both."""

    text: Line | None = Field(
        None,
        description="What happens. Its first line is compared with titles; an error "
        "code is recognised in all of it, unless one is given.",
        examples=["Schedules cannot be generated"],
    )
    error_code: Code | None = Field(None, examples=["DB_CONNECTION_TIMEOUT"])


class SimilarIncident(Resource):
    """An incident that is like what is described."""

    id: int
    name: str = Field(examples=["INC-20260301-001"])
    title: str
    state: State
    open: bool = Field(description="Not over yet: it may be the same one.")
    severity: str | None
    error_code: str | None
    detected_at: Time
    resolved_at: Time | None
    score: float = Field(ge=0, le=1, description="How alike it is, 1 at most.")
    reasons: list[Literal["text", "error_code", "cause", "likely_cause"]]
    why: list[str] = Field(description="The reasons in words.")
    root_cause: str | None
    fix: str | None = Field(description="What mended it.")
    fix_from: Literal["analysis", "postmortem", "run", "workaround"] | None = Field(
        description="Who says so."
    )
    url: str = Field(description="The incident in Odoo, for people.")
    api_url: str = Field(description="The incident in this API.")


class SimilarIncidents(Resource):
    """Incidents, the most alike first."""

    items: list[SimilarIncident]
