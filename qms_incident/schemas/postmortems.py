"""Post-mortems."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from odoo.addons.qms_sop.schemas.common import (
    Body,
    BodyTime,
    Code,
    Line,
    Page,
    PageQuery,
    Query,
    Resource,
    Text,
    Time,
    TimeArgument,
    comma_separated,
    field_names,
)

from .incidents import Reference, Title

Kind = Literal["full", "quick"]
State = Literal["draft", "in_review", "published"]
TargetState = Literal["draft", "in_review"]
Verdict = Literal["reviewed", "changes"]
# Of a file, whose size is that of all sections
File = Annotated[
    str, StringConstraints(pattern=r"^[^\u0000]*$", min_length=1, max_length=250_000)
]
Slug = Annotated[
    str, StringConstraints(pattern=r"^[^\u0000]*$", min_length=1, max_length=200)
]


class PostmortemWhy(Resource):
    """One of the five whys."""

    question: str
    answer: str
    evidence: str | None = Field(description="What shows that it is true.")


class PostmortemAction(Resource):
    """An action that follows from the incident."""

    id: int
    reference: str = Field(examples=["INC-20260301-001/AI-001"])
    title: str
    state: str


class PostmortemParticipant(Resource):
    """Somebody who reviews it."""

    user_id: int
    user: str
    role: str | None = Field(description="Which part the person had in the incident.")
    verdict: Verdict | None = Field(
        description="Null until the person has reviewed it."
    )
    reviewed_at: Time | None
    comment: str | None


class PostmortemSignature(Resource):
    """The signature by which it was published."""

    signer: str
    signed_at: Time
    sha256: str = Field(description="Of what was signed.")
    valid: bool


class PostmortemAmendment(Resource):
    """A correction of what was published."""

    id: int
    amended_at: Time
    user_id: int
    reason: str
    text: str = Field(description="Markdown.")


class PostmortemSummary(Resource):
    """Which post-mortem it is, and how it stands."""

    id: int
    name: str = Field(None, examples=["Post-mortem INC-20260301-001"])
    incident_id: int = None
    incident: str = Field(None, examples=["INC-20260301-001"])
    severity: str | None = Field(None, examples=["critical"])
    title: str = None
    kind: Kind = None
    state: State = None
    author_id: int | None = None
    meeting_at: Time | None = Field(None, description="When people talk about it.")
    scheduled_at: Time | None = Field(
        None, description="When the meeting was arranged."
    )
    schedule_due: Time | None = None
    due_at: Time | None = Field(
        None, description="When it is to be published; null where nothing is due."
    )
    published_at: Time | None = None
    scheduled_on_time: bool | None = Field(
        None, description="Null as long as it is not known, or where nothing is due."
    )
    published_on_time: bool | None = Field(
        None, description="Null as long as it is not known, or where nothing is due."
    )
    url: str = Field(None, description="The post-mortem in Odoo, for people.")
    api_url: str = Field(None, description="The post-mortem in this API.")


class Postmortem(PostmortemSummary):
    """What is learned from an incident; texts are Markdown."""

    state_reason: str | None = Field(
        None, description="Why it was taken back to draft."
    )
    summary: str | None = None
    timeline: str | None = Field(
        None, description="A table; that of the incident until another one is written."
    )
    root_cause: str | None = None
    whys: list[PostmortemWhy] = None
    contributing_factors: list[str] = None
    impact: str | None = None
    resolution: str | None = None
    verification: str | None = None
    detection: str | None = None
    went_well: str | None = None
    went_wrong: str | None = None
    lucky: str | None = None
    knowledge: str | None = None
    preventive_measures: str | None = None
    follow_up: str | None = None
    actions: list[PostmortemAction] = Field(
        None, description="Those of the incident and of its runs among them."
    )
    participants: list[PostmortemParticipant] = None
    published_by_id: int | None = None
    review_waiver: str | None = Field(
        None, description="Why it was published although reviews were missing."
    )
    missing: list[str] = Field(
        None,
        description="Codes of what it still needs before it is published.",
        examples=[["root_cause", "reviews"]],
    )
    signature: PostmortemSignature | None = None
    amendments: list[PostmortemAmendment] = None


class BegunPostmortem(Postmortem):
    """A post-mortem that was asked for."""

    existing: bool = Field(description="Whether the incident had one already.")
    entries_added: int | None = Field(
        None, description="To the timeline of the incident, from `markdown`."
    )
    actions_added: int | None = Field(None, description="Raised from `markdown`.")
    remarks: list[str] | None = Field(
        None, description="What of `markdown` was not taken as it stands, for people."
    )


class PostmortemPage(Page):
    """Post-mortems, without their texts."""

    items: list[PostmortemSummary]


class PostmortemQuery(Query):
    """What of a post-mortem is wanted."""

    fields: field_names(Postmortem) | None = Field(
        None, description="Only these fields; `id` always is."
    )


class PostmortemListQuery(PageQuery):
    """Which post-mortems are wanted, and in which order."""

    fields: field_names(PostmortemSummary) | None = Field(
        None, description="Only these fields; `id` always is."
    )
    incident: comma_separated(Reference) | None = Field(
        None, description="Ids or numbers of incidents."
    )
    state: comma_separated(State) | None = None
    kind: comma_separated(Kind) | None = None
    severity: comma_separated(Code) | None = Field(
        None, description="Codes, aliases (P0 to P3) or names, in any case."
    )
    overdue: bool | None = Field(
        None, description="Whether it should have been published already, but is not."
    )
    published_after: TimeArgument | None = Field(
        None, description="Published then or later; RFC 3339, UTC without an offset."
    )
    published_before: TimeArgument | None = None
    q: Line | None = Field(None, description="Text in the title or the root cause.")
    sort: Literal["-id", "id"] = Field(
        "-id",
        description="`-` for descending: `-id` has the one that was begun last first.",
    )


class PostmortemWhyValues(Body):
    """One of the five whys."""

    question: Title
    answer: Title
    evidence: Line | None = None


class PostmortemUpdate(Body):
    """What changes; null blanks it, what is left out stays."""

    title: Title = None
    kind: Kind = None
    summary: Text | None = None
    timeline: Text | None = Field(
        None, description="A table; null: that of the incident."
    )
    root_cause: Text | None = None
    whys: list[PostmortemWhyValues] | None = Field(None, max_length=20)
    contributing_factors: list[Line] | None = Field(None, max_length=100)
    impact: Text | None = None
    resolution: Text | None = None
    verification: Text | None = None
    detection: Text | None = None
    went_well: Text | None = None
    went_wrong: Text | None = None
    lucky: Text | None = None
    knowledge: Text | None = None
    preventive_measures: Text | None = None
    follow_up: Text | None = None
    author: Line | None = Field(None, description="Login.")
    participants: list[Line] | None = Field(
        None, max_length=100, description="Logins of all who review it."
    )
    meeting_at: BodyTime | None = None


class PostmortemCreate(PostmortemUpdate):
    """The post-mortem of an incident; blank parts are filled from what is known."""

    incident: Reference | None = Field(
        None,
        description="Id or number; may be left out if `markdown` names it.",
        examples=["INC-20260301-001"],
    )
    markdown: File | None = Field(
        None,
        description="A post-mortem in the shape of a runbook's template; it is taken "
        "over: texts, entries of the timeline and actions. The other values go before "
        "what it says.",
    )
    title: Title | None = Field(None, description="That of the incident when missing.")
    kind: Kind | None = None


class PostmortemTransition(Body):
    """Where a post-mortem goes to; it is published by a person's signature, in Odoo."""

    state: TargetState
    reason: Text | None = Field(None, description="Needed to take it back to draft.")


class PostmortemReview(Body):
    """What a participant says about it."""

    verdict: Verdict
    comment: Text | None = Field(None, description="Needed to ask for changes.")


class PostmortemAmend(Body):
    """A correction of what was published."""

    reason: Title
    text: Text = Field(min_length=1, description="What is right; Markdown.")


class PostmortemFileQuery(Query):
    """What the file is called."""

    slug: Slug | None = Field(
        None,
        description="After the day, in place of the error code of the incident or the "
        "title.",
    )
