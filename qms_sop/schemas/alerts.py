"""What alert webhooks send, and what they are answered.

Alertmanager's webhook, version 4:
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from ..tools.alert_payload import PayloadError


class _Lenient(BaseModel):
    # Alertmanager adds fields without a new version of its format.
    model_config = ConfigDict(extra="allow")


class AlertmanagerAlert(_Lenient):
    """One alert."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: str = Field(description="RFC 3339")  # noqa: N815
    endsAt: str = Field("", description="RFC 3339; year 1 while it fires")  # noqa: N815
    generatorURL: str = Field("", description="Where it comes from")  # noqa: N815
    fingerprint: str = Field(
        "", description="Names the alert; the same each time it fires"
    )


class AlertmanagerWebhook(_Lenient):
    """A group of alerts, as Alertmanager sends it."""

    version: Literal["4"]
    groupKey: str = Field("", description="Names the group")  # noqa: N815
    truncatedAlerts: int = Field(  # noqa: N815
        0, ge=0, description="Alerts that were left out (max_alerts)"
    )
    status: Literal["firing", "resolved"] = "firing"
    receiver: str = ""
    groupLabels: dict[str, str] = {}  # noqa: N815
    commonLabels: dict[str, str] = {}  # noqa: N815
    commonAnnotations: dict[str, str] = {}  # noqa: N815
    externalURL: str = ""  # noqa: N815
    alerts: list[AlertmanagerAlert]


class AlertmanagerDelivery(RootModel[AlertmanagerWebhook | Any]):
    """Alertmanager's webhook; whatever else comes is kept, and not processed."""


class PlainAlert(_Lenient):
    """One alert as the source `generic` reads it."""

    title: str
    description: str | None = None
    severity: str | None = None
    status: str | None = Field(None, description="`resolved` when it is over")
    fingerprint: str | None = Field(
        None, description="Names the trouble; by default its title and labels do"
    )
    starts_at: str | int | None = Field(None, description="RFC 3339 or Unix seconds")
    ends_at: str | int | None = Field(None, description="RFC 3339 or Unix seconds")
    labels: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None
    url: str | None = None


class AnyDelivery(RootModel[PlainAlert | list[PlainAlert] | Any]):
    """What the source knows how to read; whatever else comes is kept."""


class AlertRun(BaseModel):
    """The run that an alert belongs to."""

    id: int
    name: str
    state: str


class AcceptedAlert(BaseModel):
    """What became of one alert."""

    id: int
    fingerprint: str
    status: Literal["firing", "resolved"]
    state: Literal["received", "processed", "suppressed", "ignored", "failed"] = Field(
        description="processed: it has a run; suppressed: maintenance; ignored: a rule "
        "says so, or it was over before it was seen; failed: no run could be opened"
    )
    note: str | None = Field(description="Why, for people")
    run: AlertRun | None


class AcceptedDelivery(BaseModel):
    """What became of a delivery; it is kept in any case."""

    id: int = Field(description="Number of the delivery, as the backend shows it")
    state: Literal["processed", "unprocessable", "error"] = Field(
        description="What is not processed waits in the backend for a person; sending "
        "it again would change nothing"
    )
    error: str | None
    alerts: list[AcceptedAlert]


def check_webhook(data, schema):
    """Check a payload of Alertmanager.

    :param data: the JSON value
    :param schema: :class:`AlertmanagerWebhook`
    :return: a sentence about alerts that the sender left out, if it did
    :rtype: list[str]
    :raise PayloadError: naming the fields that are not as they should be
    """
    try:
        webhook = schema.model_validate(data)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, detail['loc'])) or 'the body'}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False)
        ]
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise PayloadError(
            "This is not what Alertmanager sends (webhook version 4): "
            f"{'; '.join(problems[:5])}{more}."
        ) from None
    if webhook.truncatedAlerts:
        return [
            f"Alertmanager left out {webhook.truncatedAlerts} alert(s) of this group: "
            "raise max_alerts in its configuration, or group by more labels."
        ]
    return []
