"""What monitoring systems send, brought to one form.

A mapping says where a payload has what, in JMESPath (https://jmespath.org). This module
knows nothing of Odoo.
"""

import functools
import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timezone

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import TypeAdapter, ValidationError

# What one alert may take in the database; the payload itself is kept as it came.
MAX_TITLE = 300
MAX_TEXT = 4000
MAX_NAME = 200
MAX_PAIRS = 100
MAX_ALERTS = 2000

RESOLVED_WORDS = ("resolved", "ok", "normal", "closed", "recovered", "cleared")
# The fields of :class:`Mapping` that hold a JMESPath expression.
PATHS = (
    "alerts",
    "fingerprint",
    "title",
    "description",
    "severity",
    "status",
    "starts_at",
    "ends_at",
    "labels",
    "annotations",
    "url",
)

_TIME = TypeAdapter(datetime)


class PayloadError(ValueError):
    """A payload, or one alert of it, that cannot be read; the message says why."""


@dataclass(frozen=True)
class Mapping:
    """Where a payload has what: a JMESPath expression for each.

    ``alerts`` is applied to the payload and gives one alert or a list of them, the
    others are applied to one alert; an empty expression finds nothing.
    """

    alerts: str = ""
    fingerprint: str = ""
    title: str = ""
    description: str = ""
    severity: str = ""
    status: str = ""
    starts_at: str = ""
    ends_at: str = ""
    labels: str = ""
    annotations: str = ""
    url: str = ""


# Webhook of Alertmanager, version 4:
# https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
ALERTMANAGER = Mapping(
    alerts="alerts",
    fingerprint="fingerprint",
    title="annotations.summary || labels.alertname",
    description="annotations.description || annotations.message",
    severity="labels.severity",
    status="status",
    starts_at="startsAt",
    ends_at="endsAt",
    labels="labels",
    annotations="annotations",
    url="generatorURL",
)


@dataclass
class Report:
    """One alert as a payload reports it.

    :ivar str fingerprint: names what is wrong, always the same for the same thing
    :ivar str title: one line
    :ivar str description: more, or ``""``
    :ivar str severity: as the sender says it, or ``""``
    :ivar bool resolved: whether it is over
    :ivar datetime | None starts_at: naive UTC in whole seconds
    :ivar datetime | None ends_at: naive UTC in whole seconds; only of what is over
    :ivar dict labels: names and values, all ``str``
    :ivar dict annotations: the same
    :ivar str url: where to look, or ``""``
    """

    fingerprint: str
    title: str
    description: str = ""
    severity: str = ""
    resolved: bool = False
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    labels: dict = field(default_factory=dict)
    annotations: dict = field(default_factory=dict)
    url: str = ""


def load(text):
    """Read a payload.

    :param str text: JSON
    :return: the object or list that it stands for
    :raise PayloadError: when it is something else
    :raise RecursionError: when it is nested too deeply
    """
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise PayloadError(f"The body is not JSON: {error}.") from None
    if not isinstance(data, dict | list):
        raise PayloadError(
            f"The body is {_kind(data)}; a JSON object or a list of them is needed."
        )
    return data


def _refuse_constant(name):
    raise ValueError(f"{name} is no JSON")


@functools.lru_cache(maxsize=256)
def compile_path(expression):
    """Compile a JMESPath expression.

    :raise PayloadError: when it is none
    """
    try:
        return jmespath.compile(expression)
    except JMESPathError as error:
        said = " ".join(str(error).split())
        raise PayloadError(
            f"“{expression}” is not a JMESPath expression: {said}"
        ) from None


def read_alerts(data, mapping):
    """Find the alerts in a payload.

    :param data: what :func:`load` returns
    :param Mapping mapping: where they are
    :return: the alerts that could be read, and a sentence for each that could not
    :rtype: tuple[list[Report], list[str]]
    :raise PayloadError: when there is no alert where the mapping looks for them
    """
    items = _find(mapping.alerts, data) if mapping.alerts else data
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list):
        raise PayloadError(
            f"alerts: “{mapping.alerts}” finds {_kind(items)} in the payload; an "
            "object or a list of objects is needed."
        )
    if len(items) > MAX_ALERTS:
        raise PayloadError(
            f"alerts: the payload has {len(items)}; at most {MAX_ALERTS} are read at "
            "once. Have the sender split them (in Alertmanager: max_alerts)."
        )
    reports, problems = [], []
    for number, item in enumerate(items):
        try:
            reports.append(_read_alert(item, mapping))
        except PayloadError as error:
            problems.append(f"alerts[{number}]: {error}")
    return reports, problems


def _read_alert(item, mapping):
    if not isinstance(item, dict):
        raise PayloadError(f"it is {_kind(item)}; an object is needed.")
    found = {name: _find(getattr(mapping, name), item) for name in PATHS[1:]}
    labels = _pairs("labels", found["labels"])
    annotations = _pairs("annotations", found["annotations"])
    title = _text(found["title"], MAX_TITLE).replace("\n", " ") or labels.get(
        "alertname", ""
    )
    if not title:
        raise PayloadError(
            f"title: “{mapping.title}” finds nothing, and there is no label alertname."
        )
    starts_at = _time("starts_at", found["starts_at"])
    ends_at = _time("ends_at", found["ends_at"])
    status = _text(found["status"], MAX_NAME).lower()
    if status:
        resolved = status in RESOLVED_WORDS
    else:
        resolved = bool(ends_at) and ends_at <= _now()
    if starts_at and ends_at and ends_at < starts_at:
        # Clocks differ; an alert that ends before it began would count backwards.
        ends_at = starts_at
    return Report(
        fingerprint=_text(found["fingerprint"], MAX_NAME) or _digest(title, labels),
        title=title,
        description=_text(found["description"], MAX_TEXT),
        severity=_text(found["severity"], MAX_NAME),
        resolved=resolved,
        starts_at=starts_at,
        ends_at=ends_at if resolved else None,
        labels=labels,
        annotations=annotations,
        url=_text(found["url"], MAX_TEXT),
    )


def _find(expression, data):
    if not expression:
        return None
    try:
        return compile_path(expression).search(data)
    except JMESPathError as error:
        said = " ".join(str(error).split())
        raise PayloadError(f"“{expression}” cannot be applied: {said}") from None


def _pairs(name, value):
    """Read labels or annotations: an object, its values made texts."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PayloadError(f"{name}: {_kind(value)} is found; an object is needed.")
    # Sorted, so that the same ones are left out every time.
    return {
        _text(key, MAX_NAME): _text(value[key], MAX_TEXT)
        for key in sorted(value)[:MAX_PAIRS]
    }


def _text(value, limit):
    """Make a text of a JSON value: stripped, without NUL, cut with a mark.

    An unpaired surrogate is JSON, but neither UTF-8 nor anything a database takes.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False)
    value = value.replace("\0", "").encode(errors="replace").decode().strip()
    return value if len(value) <= limit else f"{value[: limit - 1]}…"


def _time(name, value):
    """Read a time: RFC 3339, ISO 8601 or Unix seconds; UTC where it says nothing.

    :return: naive UTC in whole seconds, None for nothing and for year 1, with which
        Go's zero time begins
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise PayloadError(f"{name}: {_kind(value)} is found; a time is needed.")
    try:
        moment = _TIME.validate_python(value)
        if moment.tzinfo:
            if moment.year <= 1:
                return None
            moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    except (ValidationError, OverflowError):
        raise PayloadError(
            f"{name}: {json.dumps(value)[:80]} is not a time; RFC 3339 such as "
            "2026-01-31T08:15:00Z or Unix seconds are accepted."
        ) from None
    return None if moment.year <= 1 else moment.replace(microsecond=0)


def _now():
    return datetime.now(timezone.utc).replace(tzinfo=None)


def _digest(title, labels):
    """Name an alert that has no name: what it says, and of what."""
    content = json.dumps([title, labels], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _kind(value):
    names = {
        type(None): "nothing",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return names[type(value)]
