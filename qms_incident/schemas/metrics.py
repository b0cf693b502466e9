"""Figures of incidents."""

from typing import Annotated

from pydantic import Field

from odoo.addons.qms_sop.schemas.actions import Day
from odoo.addons.qms_sop.schemas.common import Code, Query, Resource, comma_separated

Percent = Annotated[
    float | None,
    Field(ge=0, le=100, description="With one digit; null of nothing."),
]
Count = Annotated[int, Field(ge=0)]


class IncidentMetricsQuery(Query):
    """Which incidents the figures are about."""

    since: Day | None = Field(
        None, description="Detected on this day or later, by the company's clock."
    )
    until: Day | None = Field(None, description="Detected on this day or before.")
    severity: comma_separated(Code) | None = Field(
        None, description="Codes, aliases (P0 to P3) or names, in any case."
    )
    category: comma_separated(Code) | None = None
    error_code: comma_separated(Code) | None = None
    sop: comma_separated(Code) | None = Field(
        None, description="Codes of the SOPs of their first runs."
    )


class IncidentsApart(Resource):
    """Incidents that nothing else has in it."""

    duplicate: Count
    false_positive: Count


class IncidentDurationFigures(Resource):
    """A duration in minutes, and of how many incidents it is known; `definitions`
    says what the others mean."""

    mean: float | None
    median: float | None
    p90: float | None = Field(description="Nine of ten took no longer.")
    known: Count
    pending: Count
    unknown: Count
    invalid: Count
    not_applicable: Count


class IncidentDurationsFigures(Resource):
    """The durations of incidents."""

    detect: IncidentDurationFigures = Field(description="MTTD.")
    acknowledge: IncidentDurationFigures = Field(description="MTTA.")
    mitigate: IncidentDurationFigures = Field(description="MTTM.")
    resolve: IncidentDurationFigures = Field(description="MTTR.")


class IncidentRepeats(Resource):
    """Incidents that had the same cause as an earlier one."""

    incidents: Count
    percent: Percent
    days: Count = Field(
        description="How long ago the earlier one may have been; 0: however long."
    )


class IncidentTargetFigures(Resource):
    """How many incidents kept a target."""

    kept: Count
    breached: Count
    pending: Count
    unknown: Count
    invalid: Count
    not_applicable: Count
    percent: Percent = Field(description="Kept, of those kept and breached.")


class IncidentTargets(Resource):
    """The three targets of a severity."""

    response: IncidentTargetFigures
    mitigation: IncidentTargetFigures
    resolution: IncidentTargetFigures


class IncidentAllTargetFigures(IncidentTargetFigures):
    """How many incidents kept all their targets; and each of the targets."""

    targets: IncidentTargets


class IncidentActionFigures(Resource):
    """The actions that incidents led to."""

    raised: Count
    done: Count
    on_time: Count
    late: Count = Field(description="Done, after the day they were due.")
    open: Count
    overdue: Count
    percent: Percent = Field(description="Done, of those raised.")
    on_time_percent: Percent = Field(description="On time, of those done.")


class IncidentPunctuality(Resource):
    """How much was on time."""

    on_time: Count
    late: Count
    pending: Count
    unknown: Count
    percent: Percent = Field(description="On time, of those on time and late.")


class IncidentPostmortemFigures(IncidentPunctuality):
    """The post-mortems that severities require."""

    required: Count
    published: Count
    meetings: IncidentPunctuality = Field(
        description="Whether they were scheduled on time."
    )


class _Figures(Resource):
    incidents: Count
    apart: IncidentsApart
    open: Count
    reopened: Count
    times_invalid: Count = Field(
        description="Incidents of which some times contradict each other."
    )
    durations: IncidentDurationsFigures
    repeats: IncidentRepeats
    actions: IncidentActionFigures
    postmortems: IncidentPostmortemFigures


class IncidentMonth(_Figures):
    """The figures of a month."""

    month: str = Field(examples=["2026-03"])
    by_severity: dict[str, Count] = Field(
        description="Incidents by the code of their severity; `none`: not said yet."
    )
    sla: IncidentTargetFigures


class IncidentGroup(Resource):
    """How many incidents have something in common; null: nobody has said it."""

    id: int | None
    code: str | None
    name: str | None
    incidents: Count


class IncidentMetricDefinition(Resource):
    """What a figure means."""

    name: str
    definition: str
    begin: str | None = Field(None, description="The time that it is counted from.")
    end: str | None = Field(None, description="The time that it is counted to.")
    unit: str | None = None


class IncidentMetrics(_Figures):
    """The figures of the incidents that were detected in a period."""

    since: Day | None
    until: Day | None
    sla: IncidentAllTargetFigures
    by_severity: list[IncidentGroup] = Field(description="The worst first.")
    by_category: list[IncidentGroup] = Field(description="Most first.")
    by_error_code: list[IncidentGroup] = Field(description="Most first.")
    by_sop: list[IncidentGroup] = Field(description="Most first; of their first runs.")
    months: list[IncidentMonth] = Field(description="Without gaps.")
    definitions: dict[str, IncidentMetricDefinition] = Field(
        description="What the figures mean, by their codes: `mttd`, `sla`, …"
    )
