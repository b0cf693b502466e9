"""Runs of SOPs."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, WithJsonSchema, model_validator

from .actions import ActionState, AnalysisAction
from .catalogue import FixType, Match
from .common import (
    Body,
    BodyTime,
    Code,
    Line,
    Output,
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

RunState = Literal[
    "draft", "in_progress", "on_hold", "completed", "failed", "cancelled"
]
StepState = Literal[
    "pending", "in_progress", "waiting", "completed", "failed", "skipped"
]
Trigger = Literal["manual", "automated", "scheduled"]
TargetState = Literal["in_progress", "on_hold", "completed", "failed", "cancelled"]
Part = Literal["steps", "errors", "evidence", "rca"]
ClockState = Literal[
    "not_applicable", "met", "paused", "running", "at_risk", "breached"
]
Seconds = Annotated[int, Field(ge=0, le=2_147_483_647)]
StepNumber = Annotated[int, Field(ge=1, le=10_000)]
FileName = Annotated[
    str, StringConstraints(pattern=r"^[^\u0000-\u001f/\\]+$", max_length=255)
]
Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]
MediaType = Annotated[
    str, StringConstraints(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=127)
]
UploadedFile = Annotated[Any, WithJsonSchema({"type": "string", "format": "binary"})]


class RunStep(Resource):
    """One step of a run."""

    id: int
    number: int = Field(description="Its number in the SOP, from 1.")
    name: str
    state: StepState
    mandatory: bool
    start_time: Time | None
    end_time: Time | None
    result: str | None = Field(description="What came out.")
    choice: str | None = Field(description="The answer that decides the way on.")
    skip_reason: str | None


class RunError(Resource):
    """An error that a run met."""

    id: int
    step: int | None = Field(description="Number of the step it happened in.")
    error_code: str = Field(examples=["DB_CONNECTION_LEAK"])
    category: str | None
    severity: str | None
    error_message: str
    occurred_at: Time
    user_id: int | None = Field(description="Id of who recorded it.")


class RunEvidence(Resource):
    """A file or captured output that backs what a run says."""

    id: int
    name: str = Field(description="File name.", examples=["app.log"])
    step: int | None = Field(description="Number of the step it belongs to.")
    source: str | None = Field(description="Where it came from, such as the command.")
    mimetype: str | None
    size: int = Field(description="Bytes.")
    sha256: str = Field(description="Of the content, in hexadecimal digits.")
    collected_at: Time | None
    user_id: int | None = Field(description="Id of who collected it.")
    content_url: str


class Why(Resource):
    """One "why?" of an analysis."""

    question: str
    answer: str
    evidence: str | None


class RcaAction(Resource):
    """An action that follows from an analysis; `/actions/{id}` has more of it."""

    id: int
    reference: str = Field(examples=["RCA-00017/AI-001"])
    title: str
    state: ActionState


class Rca(Resource):
    """A root-cause analysis; confirmed, it is sealed."""

    id: int
    name: str
    state: Literal["draft", "confirmed"]
    error_code: str | None
    root_cause: str | None
    whys: list[Why]
    contributing_factors: list[str]
    known_cause: str | None = Field(description="The cause in the catalogue.")
    fix_type: FixType | None
    fix: str | None
    verification: str | None = Field(description="How it was seen that the fix works.")
    confirmed_at: Time | None
    confirmed_by_id: int | None
    actions: list[RcaAction] = Field(description="What follows from it.")


class RunEvent(Resource):
    """Something that happened in a run."""

    id: str = Field(description="Unique in the run.")
    at: Time
    type: str = Field(
        description="What happened: `run.opened`, `run.started`, `run.changed`, "
        "`run.on_hold`, `run.resumed`, `run.completed`, `run.failed`, "
        "`run.cancelled`, `run.acknowledged`, `run.mitigated`, `run.resolved`, "
        "`step.started`, `step.changed`, `step.completed`, "
        "`step.failed`, `step.skipped`, `error.logged`, `evidence.added`, "
        "`evidence.damaged`, `rca.recorded`, `rca.confirmed`, `run.signed`, "
        "`run.amended`, `run.escalated`, `run.signing_refused`, `issue.asked`, "
        "`issue.made`, `entry` "
        "(written by a person). "
        "More may come.",
        examples=["step.completed"],
    )
    step: int | None = Field(description="Number of the step it concerns.")
    detail: str | None
    recorded_at: Time | None = Field(
        description="When it was written; `null` where that was not noted."
    )
    component: str | None = Field(
        description="What an entry is about, as the person said."
    )
    pinned: bool = Field(description="Whether an entry is pinned.")
    user_id: int | None


class Clock(Resource):
    """How long is left until a target of the run's severity."""

    state: ClockState = Field(
        description="`met` and `breached` also once it has stopped; `not_applicable` "
        "without a target."
    )
    deadline: Time | None
    at_risk_at: Time | None = Field(description="When it becomes `at_risk`.")
    stopped_at: Time | None
    remaining_minutes: float | None = Field(
        description="Of the time that counts: working hours, where the severity has "
        "any. Negative when overdue, null when nothing is waited for."
    )


class Clocks(Resource):
    """The clocks of a run."""

    response: Clock = Field(description="Until somebody takes it on.")
    mitigation: Clock = Field(description="Until users no longer suffer.")
    resolution: Clock = Field(description="Until the cause is removed.")


class Run(Resource):
    """One execution of one SOP revision."""

    id: int
    name: str = Field(None, examples=["RUN-000017"])
    state: RunState = None
    severity: str | None = Field(None, examples=["critical"])
    category: str | None = Field(None, examples=["DATABASE"])
    error_code: str | None = Field(None, examples=["DB_CONNECTION_LEAK"])
    sop_code: str = Field(None, examples=["SOP-TRIAGE-001"])
    sop_version: str = Field(None, examples=["1.0.0"])
    title: str = Field(None, description="Title of the SOP.")
    trigger: Trigger = None
    source: str | None = Field(None, description="Who or what asked for the run.")
    summary: str | None = Field(None, description="What was observed.")
    user_id: int | None = Field(None, description="Id of who is responsible.")
    start_time: Time | None = None
    end_time: Time | None = None
    duration_minutes: float | None = Field(
        None, description="From start to end; null until both are known."
    )
    resolution: str | None = None
    resolution_time_seconds: int | None = Field(
        None, description="As measured by those who resolved it."
    )
    state_reason: str | None = Field(
        None, description="Why it is on hold, failed or cancelled."
    )
    occurred_at: Time | None = Field(None, description="When the trouble began.")
    detected_at: Time | None = Field(
        None, description="When it was noticed; the clocks begin then."
    )
    acknowledged_at: Time | None = Field(None, description="When it was taken on.")
    acknowledged_by_id: int | None = Field(None, description="Id of who took it on.")
    mitigated_at: Time | None = Field(
        None, description="Since when users no longer suffer."
    )
    resolved_at: Time | None = Field(
        None, description="Since when the cause is removed."
    )
    time_to_detect_minutes: float | None = Field(
        None, description="From occurred to detected; null until both are known."
    )
    time_to_acknowledge_minutes: float | None = Field(
        None, description="From detected to acknowledged."
    )
    time_to_mitigate_minutes: float | None = Field(
        None, description="From detected to mitigated."
    )
    time_to_resolve_minutes: float | None = Field(
        None, description="From detected to resolved."
    )
    times_contradict: bool = Field(
        None, description="Times that cannot all be true; what they amount to is null."
    )
    sla: ClockState = Field(None, description="The worst of the clocks.")
    next_deadline: Time | None = Field(
        None,
        description="The next deadline, or the first one missed, still waited for.",
    )
    paused_minutes: float = Field(
        None, description="How long it was on hold, the present hold left out."
    )
    clocks: Clocks = None
    url: str = Field(None, description="The run in Odoo, for people.")
    api_url: str = Field(None, description="The run in this API.")
    progress: int = Field(
        None, description="Per cent of the steps that are done; with `steps`."
    )
    status_url: str | None = Field(
        None,
        description="Tells the state to whoever has it, without a key; with `steps`.",
    )
    steps: list[RunStep] = Field(None, description="With `include=steps`.")
    errors: list[RunError] = Field(None, description="With `include=errors`.")
    evidence: list[RunEvidence] = Field(None, description="With `include=evidence`.")
    rca: list[Rca] = Field(None, description="With `include=rca`.")


class OpenedRun(Run):
    """A run that was asked for."""

    existing: bool = Field(
        description="Whether this is the open run that already had the `dedup_key`."
    )


class AddedEvidence(RunEvidence):
    """Evidence that was just attached."""

    classification: list[Match] = Field(
        description="What the catalogue says about the text, the best first; empty "
        "unless `classify` was asked for."
    )


class RunPage(Page):
    """Runs."""

    items: list[Run]


class StepList(Page):
    """The steps of a run, all of them."""

    items: list[RunStep]


class ErrorPage(Page):
    """Errors of a run."""

    items: list[RunError]


class EvidencePage(Page):
    """Evidence of a run."""

    items: list[RunEvidence]


class RcaPage(Page):
    """Analyses of a run."""

    items: list[Rca]


class EventPage(Page):
    """Events of a run, the first thing first."""

    items: list[RunEvent]


class RunQuery(Query):
    """What of a run is wanted."""

    fields: field_names(Run) | None = Field(
        None, description="Only these fields; `id` and what is included always are."
    )
    include: comma_separated(Part) | None = Field(
        None, description="What belongs to the run and is wanted with it."
    )


class RunListQuery(RunQuery, PageQuery):
    """Which runs are wanted, and in which order."""

    state: comma_separated(RunState) | None = None
    severity: comma_separated(Code) | None = Field(
        None, description="Codes, aliases (P0 to P3) or names, in any case."
    )
    category: comma_separated(Code) | None = None
    sop_code: comma_separated(Code) | None = None
    error_code: comma_separated(Code) | None = None
    trigger: comma_separated(Trigger) | None = None
    sla: comma_separated(ClockState) | None = Field(
        None, description="How the worst of the clocks stands."
    )
    started_after: TimeArgument | None = Field(
        None, description="Started then or later; RFC 3339, UTC without an offset."
    )
    started_before: TimeArgument | None = Field(None, description="Started before.")
    q: Line | None = Field(
        None, description="Text in the name, the summary or the source."
    )
    sort: Literal["-id", "id", "-start_time", "start_time"] = Field(
        "-id",
        description="`-` for descending: `-id` has the run that was opened last "
        "first. Runs without a time come last.",
    )


class RunCreate(Body):
    """A run to open."""

    sop_code: Code = Field(
        description="The effective revision of this SOP is run.",
        examples=["SOP-TRIAGE-001"],
    )
    error_code: Code | None = Field(None, examples=["DB_CONNECTION_LEAK"])
    severity: Code | None = Field(
        None,
        description="Code, alias (P0 to P3) or name; the error code's when missing.",
        examples=["high"],
    )
    category: Code | None = Field(
        None, description="The error code's when missing.", examples=["DATABASE"]
    )
    trigger: Trigger = "manual"
    source: Line | None = Field(
        None, description="Who or what asks for the run.", examples=["deploy 4711"]
    )
    summary: Text | None = Field(
        None, description="What was observed.", examples=["Health check answers 500"]
    )
    log_text: Output | None = Field(
        None, description="Log lines to classify when no error code is given."
    )
    dedup_key: Line | None = Field(
        None,
        description="Names the outage: an open run that has it is returned instead "
        "of a second one.",
        examples=["https://app.example.com/health"],
    )
    occurred_at: BodyTime | None = Field(None, description="When the trouble began.")
    detected_at: BodyTime | None = Field(
        None, description="When it was noticed: the clocks begin then; now if missing."
    )


class RunUpdate(Body):
    """What to change of a run; what is missing stays as it is, null blanks it."""

    summary: Text | None = Field(None, description="What was observed.")
    severity: Code | None = Field(
        None, description="Code, alias (P0 to P3) or name.", examples=["high"]
    )
    category: Code | None = None
    error_code: Code | None = None
    resolution: Text | None = Field(
        None, description="What resolved it.", examples=["Added finally blocks"]
    )
    resolution_time_seconds: Seconds | None = Field(
        None, description="Until the resolution, as measured by those who resolved it."
    )
    occurred_at: BodyTime | None = Field(None, description="When the trouble began.")
    detected_at: BodyTime | None = Field(None, description="When it was noticed.")
    acknowledged_at: BodyTime | None = Field(None, description="When it was taken on.")
    mitigated_at: BodyTime | None = Field(
        None, description="Since when users no longer suffer."
    )
    resolved_at: BodyTime | None = Field(
        None, description="Since when the cause is removed."
    )
    reason: Text | None = Field(
        None,
        description="Needed with a time: how it is known, or what was wrong.",
        examples=["Seen in the log of the proxy"],
    )

    @model_validator(mode="after")
    def _not_empty(self):
        if not self.model_fields_set - {"reason"}:
            raise ValueError("give at least one value to change")
        return self


class Transition(Body):
    """The state to go to, and what goes with it."""

    state: TargetState = Field(
        description="`in_progress` starts a draft and resumes what is on hold.",
        examples=["on_hold"],
    )
    reason: Text | None = Field(
        None,
        description="Needed for `on_hold`, `failed` and `cancelled`.",
        examples=["Waiting for the vendor"],
    )
    resolution: Text | None = Field(None, description="What resolved it.")
    resolution_time_seconds: Seconds | None = Field(
        None, description="Until the resolution, as measured by those who resolved it."
    )


class Milestone(Body):
    """What was reached, and when."""

    milestone: Literal["acknowledged", "mitigated", "resolved"] = Field(
        examples=["acknowledged"]
    )
    at: BodyTime | None = Field(
        None,
        description="When; RFC 3339, UTC without an offset. Now if missing.",
    )
    reason: Text | None = Field(
        None,
        description="Why it is told only now; needed for more than a minute ago.",
        examples=["Was on the phone"],
    )


class StepUpdate(Body):
    """How a step went."""

    state: Literal["in_progress", "completed", "failed", "skipped"] = Field(
        description="A pending step that is completed or failed is started first; "
        "`in_progress` also takes up a failed step again.",
        examples=["completed"],
    )
    result: Text | None = Field(
        None, description="What came out (`completed`).", examples=["DATABASE, high"]
    )
    reason: Text | None = Field(None, description="Why (`skipped`).")
    error_message: Text | None = Field(None, description="What went wrong (`failed`).")
    error_code: Code | None = Field(
        None, description="For `failed`; classified from the message when missing."
    )
    choice: Line | None = Field(
        None, description="The answer found, where the way on depends on it."
    )


class ErrorCreate(Body):
    """An error that a run met."""

    error_message: Text = Field(
        min_length=1, examples=["FATAL: sorry, too many clients already"]
    )
    error_code: Code | None = Field(
        None, description="Classified from the message when missing."
    )
    step: StepNumber | None = Field(None, description="Number of the step.")


class EvidenceCreate(Body):
    """A file to attach, as JSON."""

    name: FileName = Field(description="File name.", examples=["app.log"])
    content: Base64 = Field(description="The file, in base64.", examples=["aGVsbG8="])
    source: Line | None = Field(
        None,
        description="Where it came from, such as the command.",
        examples=["journalctl -u app"],
    )
    mimetype: MediaType | None = Field(
        None, description="Guessed from the content when missing."
    )
    step: StepNumber | None = Field(None, description="Number of the step.")
    classify: bool = Field(
        False,
        description="Look the text up in the catalogue; a run that has no error code "
        "takes the best match.",
    )


class EvidenceForm(Query):
    """A file to attach, as a form."""

    file: UploadedFile = Field(description="The file, with its name.")
    source: Line | None = Field(
        None, description="Where it came from, such as the command."
    )
    mimetype: MediaType | None = Field(
        None, description="Guessed from the content when missing."
    )
    step: StepNumber | None = Field(None, description="Number of the step.")
    classify: bool = Field(False, description="Look the text up in the catalogue.")


class WhyCreate(Body):
    """One "why?" of an analysis."""

    question: Line = Field(min_length=1)
    answer: Line = Field(min_length=1)
    evidence: Line | None = None


class RcaCreate(Body):
    """A root-cause analysis to record."""

    root_cause: Text = Field(
        min_length=1, examples=["Connections are not returned after an error"]
    )
    error_code: Code | None = Field(None, description="The run's own when missing.")
    contributing_factors: list[Line] | None = Field(None, max_length=100)
    whys: list[WhyCreate] | None = Field(None, max_length=50)
    fix_type: FixType | None = None
    fix: Text | None = None
    verification: Text | None = None
    confirm: bool = Field(False, description="Seal the analysis at once.")
    actions: list[AnalysisAction] | None = Field(
        None, max_length=100, description="What follows from it, to be raised with it."
    )
