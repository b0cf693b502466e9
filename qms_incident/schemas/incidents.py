"""Incidents."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from odoo.addons.qms_sop.schemas.common import (
    Body,
    BodyTime,
    Code,
    Id,
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

State = Literal[
    "detected",
    "triaged",
    "mitigated",
    "resolved",
    "reviewed",
    "closed",
    "duplicate",
    "false_positive",
]
TargetState = Literal[
    "triaged",
    "mitigated",
    "resolved",
    "reviewed",
    "closed",
    "duplicate",
    "false_positive",
]
DetectionMethod = Literal["monitoring", "health_check", "user", "team", "other"]
YesNo = Literal["yes", "no"]
DataIntegrity = Literal["intact", "inconsistent", "corrupted"]
Compliance = Literal["maintained", "at_risk", "violated"]
Title = Annotated[
    str, StringConstraints(pattern=r"^[^\u0000]*$", min_length=1, max_length=1_000)
]
SystemName = Annotated[
    str, StringConstraints(pattern=r"^[^\u0000]*$", min_length=1, max_length=100)
]
Reference = Annotated[
    str, StringConstraints(pattern=r"^[^\u0000]*$", min_length=1, max_length=40)
]
Users = Annotated[int, Field(ge=0, le=2_147_483_647)]
Cost = Annotated[float, Field(ge=0, le=1e12)]


class IncidentRun(Resource):
    """A run that was made because of an incident."""

    id: int
    name: str = Field(examples=["RUN-000017"])


class IncidentRole(Resource):
    """A role that somebody has in an incident now."""

    role: str = Field(description="Its code.", examples=["incident_commander"])
    user_id: int
    user: str = Field(description="Name of whoever has it.")
    since: Time
    until: Time | None
    note: str | None = Field(description="What it was handed over with.")


class IncidentDurations(Resource):
    """Minutes; null until both ends are known, and where they contradict each other."""

    detect: float | None = Field(description="From its beginning to the detection.")
    acknowledge: float | None = Field(description="From the detection to the triage.")
    mitigate: float | None = Field(description="From the detection to the mitigation.")
    resolve: float | None = Field(description="From the detection to the resolution.")


class Incident(Resource):
    """What happened to users."""

    id: int
    name: str = Field(None, examples=["INC-20260301-001"])
    title: str = None
    state: State = None
    severity: str | None = Field(None, examples=["critical"])
    category: str | None = Field(None, examples=["DATABASE"])
    error_code: str | None = Field(None, examples=["DB_CONNECTION_TIMEOUT"])
    systems: list[str] = Field(None, description="Names of the affected systems.")
    description: str | None = Field(
        None, description="What users or systems experienced."
    )
    first_error: str | None = Field(
        None, description="The first error that a run of the incident met."
    )
    detection_method: DetectionMethod | None = None
    detected_by: str | None = Field(
        None, description="The monitor or the person that noticed it."
    )
    detection_faster: YesNo | None = Field(
        None, description="Whether it could have been detected sooner."
    )
    detection_note: str | None = Field(None, description="How.")
    occurred_at: Time | None = Field(None, description="When it began.")
    detected_at: Time = None
    triaged_at: Time | None = None
    mitigated_at: Time | None = None
    resolved_at: Time | None = None
    reviewed_at: Time | None = None
    closed_at: Time | None = None
    durations_minutes: IncidentDurations = None
    times_conflict: bool = Field(
        None, description="Whether some of the times contradict each other."
    )
    reopen_count: int = None
    state_reason: str | None = Field(
        None, description="Why it was reopened, or is a false positive."
    )
    users_affected: int | None = None
    groups_affected: str | None = None
    operations_affected: str | None = None
    workaround_available: YesNo | None = None
    workaround: str | None = None
    data_integrity: DataIntegrity | None = None
    data_checks: str | None = None
    compliance: Compliance | None = None
    compliance_checks: str | None = None
    cost_estimate: float | None = Field(
        None, description="In the currency of the company."
    )
    prevention: str | None = None
    documentation: str | None = None
    team_told: str | None = None
    postmortem_link: str | None = None
    postmortem_id: int | None = None
    public_status: str | None = Field(None, description="What may be said outside.")
    public_title: str | None = Field(
        None, description="What heads that on the status page."
    )
    next_update_at: Time | None = Field(
        None, description="When stakeholders are promised the next update."
    )
    override_reason: str | None = Field(
        None, description="Why it was closed although something was missing."
    )
    responsible_id: int | None = None
    duplicate_of: str | None = Field(None, examples=["INC-20260301-001"])
    parent: str | None = Field(None, description="The incident that it is a part of.")
    runs: list[IncidentRun] = None
    roles: list[IncidentRole] = Field(None, description="Who has which role now.")
    url: str = Field(None, description="The incident in Odoo, for people.")
    api_url: str = Field(None, description="The incident in this API.")


class OpenedIncident(Incident):
    """An incident that was asked for."""

    existing: bool = Field(description="Whether the run or the alert had it already.")


class IncidentPage(Page):
    """Incidents."""

    items: list[Incident]


class IncidentQuery(Query):
    """What of an incident is wanted."""

    fields: field_names(Incident) | None = Field(
        None, description="Only these fields; `id` always is."
    )


class IncidentListQuery(IncidentQuery, PageQuery):
    """Which incidents are wanted, and in which order."""

    name: comma_separated(Reference) | None = Field(
        None, description="Numbers, such as INC-20260301-001."
    )
    state: comma_separated(State) | None = None
    severity: comma_separated(Code) | None = Field(
        None, description="Codes, aliases (P0 to P3) or names, in any case."
    )
    category: comma_separated(Code) | None = None
    error_code: comma_separated(Code) | None = None
    detected_after: TimeArgument | None = Field(
        None, description="Detected then or later; RFC 3339, UTC without an offset."
    )
    detected_before: TimeArgument | None = Field(None, description="Detected before.")
    q: Line | None = Field(None, description="Text in the title or the description.")
    sort: Literal["-id", "id", "-detected_at", "detected_at"] = Field(
        "-id",
        description="`-` for descending: `-id` has the one that was opened last first.",
    )


class IncidentUpdate(Body):
    """What changes; null blanks it, what is left out stays."""

    title: Title = None
    severity: Code | None = Field(None, description="Code, alias or name.")
    category: Code | None = None
    error_code: Code | None = None
    systems: list[SystemName] = Field(None, max_length=100)
    description: Text | None = None
    detection_method: DetectionMethod | None = None
    detected_by: Line | None = None
    detection_faster: YesNo | None = None
    detection_note: Text | None = None
    occurred_at: BodyTime | None = None
    detected_at: BodyTime = None
    users_affected: Users | None = None
    groups_affected: Text | None = None
    operations_affected: Text | None = None
    workaround_available: YesNo | None = None
    workaround: Text | None = None
    data_integrity: DataIntegrity | None = None
    data_checks: Text | None = None
    compliance: Compliance | None = None
    compliance_checks: Text | None = None
    cost_estimate: Cost | None = None
    prevention: Text | None = None
    documentation: Text | None = None
    team_told: Text | None = None
    postmortem_link: Line | None = None
    public_status: Text | None = None
    public_title: Line | None = None
    responsible: Line | None = Field(None, description="Login.")
    parent: Reference | None = Field(None, description="Id or number.")


class IncidentCreate(Body):
    """An incident; one for a run or an alert takes what is missing from there."""

    title: Title | None = Field(
        None,
        description="What happens, in a line; needed without `run_id` and `alert_id`.",
    )
    run_id: Id | None = Field(None, description="The run that it is opened for.")
    alert_id: Id | None = Field(
        None, description="The alert that it is opened for; it may have a run or none."
    )
    severity: Code | None = Field(None, description="Code, alias or name.")
    category: Code | None = None
    error_code: Code | None = None
    systems: list[SystemName] | None = Field(None, max_length=100)
    description: Text | None = None
    detection_method: DetectionMethod | None = None
    detected_by: Line | None = None
    detected_at: BodyTime | None = Field(None, description="Now, when missing.")
    occurred_at: BodyTime | None = None
    parent: Reference | None = Field(None, description="Id or number.")

    @model_validator(mode="after")
    def _one_source(self):
        if self.run_id is not None and self.alert_id is not None:
            raise ValueError("give run_id or alert_id, not both")
        return self


class IncidentTransition(Body):
    """Where an incident goes to."""

    state: TargetState
    reason: Text | None = Field(
        None, description="Needed to reopen it, and for a false positive."
    )
    at: BodyTime | None = Field(
        None, description="When it was triaged, mitigated or resolved; now if missing."
    )
    duplicate_of: Reference | None = Field(
        None, description="Id or number; needed for a duplicate."
    )


class IncidentEvent(Resource):
    """Something that happened in an incident, or in one of its runs."""

    id: str = Field(description="Unique in the incident.")
    at: Time
    recorded_at: Time | None = Field(
        description="When it was written; null for what a run tells."
    )
    type: str = Field(
        description="`incident.began`, `incident.detected`, `incident.triaged`, "
        "`incident.mitigated`, `incident.resolved`, `incident.reviewed`, "
        "`incident.closed`, `incident.reopened`, `incident.duplicate`, "
        "`incident.false_positive`, `incident.changed`, `incident.signed`, "
        "`role.assigned`, `role.released`, `entry` (written by a person), and what the "
        "events of runs are called. More may come.",
        examples=["incident.mitigated"],
    )
    detail: str | None
    component: str | None
    evidence: str | None = Field(description="Where it can be seen.")
    run: str | None = Field(description="The run that it happened in.")
    step: int | None
    user_id: int | None


class IncidentEventPage(Page):
    """The timeline, the first thing first."""

    items: list[IncidentEvent]


class IncidentEntry(Body):
    """Something that somebody says happened."""

    text: Title
    occurred_at: BodyTime | None = Field(
        None, description="Not in the future; now when missing."
    )
    component: SystemName | None = None
    evidence: Line | None = Field(
        None, description="A file and line, a link, a commit."
    )


class IncidentMissingPart(Resource):
    """Something that has to be there before an incident is closed."""

    code: str = Field(description="Stable.", examples=["impact.users"])
    text: str


class IncidentClosure(Resource):
    """Whether an incident can be closed."""

    ready: bool
    missing: list[IncidentMissingPart]


class IncidentRoleAssignment(Body):
    """Who gets a role."""

    role: Code = Field(examples=["incident_commander"])
    user: Line | None = Field(
        None, description="Login; whoever is on duty for the role when missing."
    )
    note: Text | None = Field(None, description="What the next one has to know.")


class IncidentRunLink(Body):
    """A run that belongs to the incident."""

    run_id: Id


UpdateKind = Literal["detected", "update", "resolved"]


class IncidentStakeholderUpdate(Resource):
    """What stakeholders were told."""

    id: int
    kind: UpdateKind
    message: str
    public_text: str | None = Field(description="What was published.")
    told: str | None = Field(description="Who was told: channels and people.")
    sent_at: Time
    user_id: int
    next_update_at: Time | None


class IncidentStakeholderUpdatePage(Page):
    """Updates, the first one first."""

    items: list[IncidentStakeholderUpdate]


class IncidentStakeholderMessage(Body):
    """What stakeholders are to be told."""

    message: Text = Field(min_length=1)
    kind: UpdateKind = "update"
    public_text: Text | None = Field(None, description="What may be said outside.")
    channels: list[Line] | None = Field(
        None,
        max_length=20,
        description="Names; those that subscribe to such updates when missing.",
    )
    users: list[Line] | None = Field(
        None, max_length=50, description="Logins of people to tell."
    )
    next_minutes: Annotated[int, Field(ge=0, le=10_080)] | None = Field(
        None, description="Until the next one; as the severity has it when missing."
    )
