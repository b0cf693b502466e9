"""SOPs and their revisions."""

from typing import Annotated, Literal

from pydantic import Field

from .common import Code, Page, PageQuery, Resource, Time

Date = Annotated[
    str, Field(json_schema_extra={"format": "date"}, examples=["2026-03-01"])
]
RevisionState = Literal["draft", "in_review", "approved", "superseded", "obsolete"]


class Command(Resource):
    """A command of a step, as it is typed."""

    name: str
    language: str | None = Field(examples=["bash"])
    command: str
    purpose: Literal["action", "verification"]
    category: str | None = Field(description="null: for errors of every category.")
    expected_output: str | None = Field(
        description="Text that the output must contain."
    )


class Choice(Resource):
    """An answer to what a step asks."""

    name: str
    next_step: int | None = Field(description="Number of the step; null: the end.")
    category: str | None = Field(description="Category that a run takes with it.")


class Step(Resource):
    """One step of a revision. Texts are Markdown."""

    number: int = Field(ge=1)
    name: str
    objective: str | None
    instructions: str | None
    expected_result: str | None
    verification: str | None
    expected_minutes: int | None = Field(description="null: varies.")
    mandatory: bool
    evidence_required: bool
    commands: list[Command]
    choices: list[Choice]


class Trigger(Resource):
    """Something that makes the SOP start."""

    kind: Literal["manual", "automated", "scheduled"]
    name: str


class Prerequisite(Resource):
    """Something that has to be at hand."""

    kind: Literal["access", "tool", "other"]
    name: str


class SopRevision(Resource):
    """One revision of an SOP."""

    code: str = Field(examples=["SOP-TRIAGE-001"])
    version: str = Field(examples=["1.0.0"])
    revision: int = Field(description="Counts the revisions of one code, from 1.")
    title: str
    state: RevisionState
    effective: bool = Field(description="Runs are opened on this revision.")
    owner: str | None
    classification: str | None
    author_id: int | None
    responsible_id: int | None
    approved_by_id: int | None
    approved_on: Time | None
    effective_date: Date | None
    review_date: Date | None
    change_summary: str | None
    purpose: str | None
    scope: str | None
    error_codes: list[str] = Field(description="The errors it handles.")
    step_count: int
    expected_minutes: int | None = Field(description="Of the steps that state a time.")
    content_hash: str | None = Field(description="SHA-256 of the approved content.")
    url: str
    api_url: str


class SopRevisionDetail(SopRevision):
    """One revision of an SOP with all that it says."""

    triggers: list[Trigger]
    prerequisites: list[Prerequisite]
    related: list[str] = Field(description="Codes of SOPs that it refers to.")
    steps: list[Step]


class SopPage(Page):
    """Revisions, in the order of the codes."""

    items: list[SopRevision]


class SopQuery(PageQuery):
    """Which revisions are wanted; without `state` and `effective`: the effective."""

    code: Code | None = Field(None, examples=["SOP-TRIAGE-001"])
    state: RevisionState | None = None
    effective: bool | None = Field(
        None, description="Whether runs are opened on the revision."
    )
    owner: Code | None = Field(None, description="The team, in any case.")
    q: Code | None = Field(
        None, description="Text in the code, the title or the purpose."
    )


class RevisionPage(Page):
    """Revisions of one SOP, the newest first."""

    items: list[SopRevision]
