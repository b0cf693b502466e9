"""Runs of SOPs."""

from typing import Literal

from pydantic import Field

from .common import (
    Body,
    Code,
    Line,
    Output,
    Page,
    Query,
    Resource,
    Text,
    Time,
    field_names,
)

RunState = Literal[
    "draft", "in_progress", "on_hold", "completed", "failed", "cancelled"
]
StepState = Literal[
    "pending", "in_progress", "waiting", "completed", "failed", "skipped"
]
Trigger = Literal["manual", "automated", "scheduled"]


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
    url: str = Field(None, description="The run in Odoo, for people.")
    api_url: str = Field(None, description="The run in this API.")
    progress: int = Field(
        None, description="Per cent of the steps that are done; with `steps`."
    )
    status_url: str | None = Field(
        None,
        description="Tells the state to whoever has it, without a key; with `steps`.",
    )
    steps: list[RunStep] = None


class OpenedRun(Run):
    """A run that was asked for."""

    existing: bool = Field(
        description="Whether this is the open run that already had the `dedup_key`."
    )


class RunPage(Page):
    """Runs."""

    items: list[Run]


class RunQuery(Query):
    """What of a run is wanted."""

    fields: field_names(Run) | None = Field(
        None, description="Only these fields, and `id`."
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
