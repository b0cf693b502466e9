"""The error catalogue: error codes, severities, categories."""

from typing import Literal

from pydantic import Field

from .common import Body, Code, Output, Page, PageQuery, Resource, Text

FixType = Literal[
    "code", "configuration", "resource", "dependency", "database", "process"
]


class Severity(Resource):
    """How bad an error is, and what times go with that."""

    code: str = Field(examples=["critical"])
    alias: str | None = Field(
        description="Accepted wherever a severity is given.", examples=["P0"]
    )
    name: str
    order: int = Field(description="The lowest is the worst.")
    criteria: str | None
    escalation: str | None = Field(description="Who is told, and how soon.")
    response_minutes: int | None = Field(description="null: there is no target.")
    mitigation_minutes: int | None
    resolution_minutes: int | None
    update_interval_minutes: int | None
    working_hours: str | None = Field(
        description="Calendar whose hours the targets count; null: around the clock."
    )
    note: str | None
    active: bool


class Cause(Resource):
    """A root cause that is known to produce a symptom."""

    symptom: str
    cause: str
    fix_type: FixType | None


class EvidenceSource(Resource):
    """Something to look at before anything is changed."""

    name: str
    language: Literal["bash", "sql", "python", "text"]
    command: str | None


class Category(Resource):
    """What kind of error it is, and how to tell."""

    code: str = Field(examples=["DATABASE"])
    name: str
    order: int = Field(description="The order in which the triage questions are asked.")
    triage_question: str | None
    description: str | None
    patterns: list[str] = Field(
        description="Log lines that answer the question with yes (RE2 syntax)."
    )
    evidence_sources: list[EvidenceSource]
    causes: list[Cause]
    active: bool


class Pattern(Resource):
    """What a log line must look like to speak for an error code."""

    pattern: str = Field(description="RE2 syntax; case is ignored.")
    weight: int = Field(ge=1, le=100)
    example: str | None


class ErrorCode(Resource):
    """An entry of the error catalogue."""

    code: str = Field(examples=["DB_CONNECTION_LEAK"])
    title: str
    category: str
    severity: str = Field(description="Of a run with this error, unless it is said.")
    description: str | None
    common_causes: str | None
    resolution: str | None
    prevention: str | None
    patterns: list[Pattern]
    causes: list[Cause]
    sop_codes: list[str] = Field(description="Effective SOPs that handle it.")
    active: bool


class SeverityPage(Page):
    """Severities, the worst first."""

    items: list[Severity]


class CategoryPage(Page):
    """Categories, in the order of their triage questions."""

    items: list[Category]


class ErrorCodePage(Page):
    """Error codes, in the order of the codes."""

    items: list[ErrorCode]


class ErrorCodeQuery(PageQuery):
    """Which error codes are wanted."""

    category: Code | None = Field(None, description="Code of a category, in any case.")
    severity: Code | None = Field(
        None, description="Code, alias or name of a severity, in any case."
    )
    q: Code | None = Field(None, description="Text in the code or the title.")


class ErrorCodeValues(Body):
    """What to change of an error code; what is missing or null stays as it is."""

    category: Code | None = Field(
        None,
        description="Of a new code: what the triage questions say, when missing.",
        examples=["DATABASE"],
    )
    severity: Code | None = Field(
        None, description="Of a new code: medium, when missing.", examples=["high"]
    )
    title: Code | None = Field(None, examples=["Connections are not given back"])
    description: Text | None = None
    common_causes: Text | None = None
    resolution: Text | None = None
    prevention: Text | None = None
    patterns: list[Code] | None = Field(
        None, max_length=100, description="Added to those there are (RE2 syntax)."
    )


class StoredErrorCode(Resource):
    """What became of an error code."""

    code: str
    created: bool
    updated: list[str] = Field(description="What was changed.")
    category: str
    severity: str
    active: bool


class LogText(Body):
    """Log lines, as they were written."""

    text: Output = Field(examples=["FATAL: remaining connection slots are reserved"])


class Match(Resource):
    """One error that a log speaks of."""

    code: str | None = Field(description="null: only the category could be told.")
    category: str
    severity: str | None
    score: int
    occurrences: int = Field(description="Lines that match.")
    line: str = Field(description="The first of them.")
    line_number: int = Field(description="From 1; 0 when no line matches.")
    pattern: str
    why: str = Field(description="For people.")


class Classification(Resource):
    """What a log speaks of, best first; never empty."""

    items: list[Match] = Field(min_length=1)
