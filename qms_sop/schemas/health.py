"""Whether the server does its work."""

from typing import Literal

from pydantic import Field

from .common import Resource

Status = Literal["pass", "fail"]


class Health(Resource):
    """Whether it works; what a stranger may know."""

    status: Status


class Job(Resource):
    """A scheduled job."""

    name: str
    status: Status
    late_seconds: int = Field(ge=0, description="0: it is not due.")
    failures: int = Field(ge=0, description="In a row, up to now.")


class QueueHealth(Resource):
    """Whether the scheduled jobs run; with a key, which of them do."""

    status: Status
    jobs: list[Job] | None = None
