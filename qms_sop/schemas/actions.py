"""Actions: what is done so that it does not happen again."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from .common import (
    Body,
    Code,
    Id,
    Line,
    Page,
    PageQuery,
    Query,
    Resource,
    Text,
    Time,
    comma_separated,
    field_names,
)

ActionState = Literal[
    "open", "in_progress", "reopened", "done", "verified", "cancelled"
]
ActionTarget = Literal["in_progress", "done", "reopened", "cancelled"]
Kind = Literal["corrective", "preventive", "improvement"]
WorkType = Literal[
    "code",
    "configuration",
    "automation",
    "monitoring",
    "testing",
    "documentation",
    "database",
    "infrastructure",
    "process",
    "training",
    "other",
]
Priority = Literal["low", "medium", "high", "critical"]
Horizon = Literal["immediate", "short", "long"]
CheckDays = Annotated[int, Field(ge=0, le=730)]
Day = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$"),
    Field(json_schema_extra={"format": "date"}, examples=["2026-03-01"]),
]
PRIORITY = "critical, high, medium, low, or P0 to P3; in any case."
SOURCE_TYPE = (
    "`run`, `rca`, `document`, `audit`, `other`; add-ons have more, such as `incident` "
    "and `postmortem`."
)
HORIZON = "immediate: 0–7 days; short: 1–4 weeks; long: 1–3 months."


class Action(Resource):
    """A corrective or preventive action, or an improvement."""

    id: int
    reference: str = Field(
        None,
        description="Unique: the source, and the number there.",
        examples=["RUN-000017/AI-001"],
    )
    number: str = Field(None, examples=["AI-001"])
    title: str = Field(None, examples=["Add a check of migrations to CI"])
    state: ActionState = Field(
        None,
        description="`done` waits until somebody else finds, by a signature, that it "
        "worked: `verified`.",
    )
    kind: Kind = None
    type: WorkType | None = None
    priority: Priority = None
    horizon: Horizon = Field(None, description=HORIZON)
    description: str | None = None
    owner: str | None = Field(None, description="Login of who answers for it.")
    owner_id: int | None = None
    due_date: Day = None
    overdue: bool = Field(
        None, description="Past its due date; of what is done, past the check's."
    )
    source_type: str = Field(None, description=SOURCE_TYPE, examples=["run"])
    source_note: str | None = None
    run_id: int | None = None
    rca_id: int | None = None
    sop_code: str | None = None
    error_code: str | None = None
    raised_at: Time = None
    result: str | None = Field(None, description="What was done.")
    done_at: Time | None = Field(None, description="Blank again once reopened.")
    done_by_id: int | None = None
    check_criteria: str | None = Field(None, description="What shows that it worked.")
    check_days: int = Field(None, description="From its being done to the check.")
    check_date: Day | None = None
    checker: str | None = Field(None, description="Login of who checks it.")
    effectiveness: str | None = Field(None, description="What the check found.")
    verified_at: Time | None = None
    verified_by_id: int | None = None
    state_reason: str | None = Field(
        None, description="Why it was cancelled or last reopened."
    )
    times_reopened: int = None
    url: str = Field(None, description="The action in Odoo, for people.")
    api_url: str = Field(None, description="The action in this API.")


class ActionPage(Page):
    """Actions."""

    items: list[Action]


class ActionQuery(Query):
    """What of an action is wanted."""

    fields: field_names(Action) | None = Field(
        None, description="Only these fields; `id` always is."
    )


class ActionListQuery(ActionQuery, PageQuery):
    """Which actions are wanted."""

    state: comma_separated(ActionState) | None = None
    kind: comma_separated(Kind) | None = None
    type: comma_separated(WorkType) | None = None
    priority: comma_separated(Code) | None = Field(None, description=PRIORITY)
    horizon: comma_separated(Horizon) | None = None
    source_type: comma_separated(Code) | None = Field(None, description=SOURCE_TYPE)
    owner: Line | None = Field(None, description="Login; empty: nobody's.")
    overdue: bool | None = None
    due_before: Day | None = Field(
        None, description="Due, or of what is done to be checked, before that day."
    )
    run_id: Id | None = Field(None, description="Also those of its analyses.")
    rca_id: Id | None = None
    sop_code: Code | None = None
    error_code: comma_separated(Code) | None = None
    q: Line | None = Field(
        None, description="Text in the title, the reference or the description."
    )
    sort: Literal["-id", "id"] = "-id"


class AnalysisAction(Body):
    """An action that follows from an analysis."""

    title: Line = Field(min_length=1, examples=["Add a check of migrations to CI"])
    kind: Kind | None = Field(None, description="`corrective` when missing.")
    type: WorkType | None = Field(None, examples=["automation"])
    priority: Code | None = Field(
        None, description=f"{PRIORITY} Medium when missing.", examples=["high"]
    )
    horizon: Horizon | None = Field(
        None, description=f"{HORIZON} What the due date says when missing, else short."
    )
    description: Text | None = None
    owner: Line | None = Field(
        None, description="Login; the user when missing, unless that is a robot."
    )
    due_date: Day | None = Field(
        None, description="The last day of the horizon when missing."
    )
    error_code: Code | None = Field(None, description="The source's when missing.")
    check_criteria: Text | None = Field(
        None, description="What will show that it worked."
    )
    check_days: CheckDays | None = Field(
        None, description="Days from its being done until somebody looks."
    )
    checker: Line | None = Field(None, description="Login of who looks.")


class ActionCreate(AnalysisAction):
    """An action to raise. It comes from one source at most."""

    run_id: Id | None = None
    rca_id: Id | None = None
    sop_code: Code | None = None
    source_type: Code | None = Field(
        None, description="`audit` or `other`, where it comes from no record."
    )
    source_note: Line | None = Field(None, description="Which audit, for example.")


class ActionUpdate(Body):
    """What to change of an action; what is missing stays, null blanks it."""

    title: Line | None = None
    kind: Kind | None = None
    type: WorkType | None = None
    priority: Code | None = Field(None, description=PRIORITY)
    horizon: Horizon | None = Field(None, description=HORIZON)
    description: Text | None = None
    owner: Line | None = Field(None, description="Login.")
    due_date: Day | None = None
    error_code: Code | None = None
    check_criteria: Text | None = None
    check_days: CheckDays | None = None
    check_date: Day | None = Field(None, description="Of what is done.")
    checker: Line | None = Field(None, description="Login.")

    @model_validator(mode="after")
    def _not_empty(self):
        if not self.model_fields_set:
            raise ValueError("give at least one value to change")
        return self


class ActionTransition(Body):
    """The state to go to, and what goes with it."""

    state: ActionTarget = Field(examples=["done"])
    result: Text | None = Field(
        None, description="What was done; needed for `done`.", examples=["CI job added"]
    )
    reason: Text | None = Field(
        None, description="Needed for `reopened` and `cancelled`."
    )
    due_date: Day | None = Field(
        None,
        description="For `reopened`; a past one is counted anew by the horizon when "
        "missing.",
    )
