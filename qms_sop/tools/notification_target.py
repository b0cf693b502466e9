"""Where notifications go: Apprise URLs, what of them is accepted, and sending.

Nothing here knows of Odoo, so that sending runs in threads without a transaction.

A URL is a secret as a whole: webhooks carry their tokens in it. Of Apprise's own
masked form too much is left (the path and the headers of a JSON target, for example),
so only the scheme and, where the URL names one, the host are ever shown. What
Apprise logs goes to a logger of our own; see :func:`redact`.
"""

import logging
import re
import threading
import time
import warnings
from contextvars import ContextVar
from dataclasses import dataclass, field
from email.utils import make_msgid
from json import dumps
from typing import NamedTuple
from urllib.parse import unquote

import requests
from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType
from apprise.exception import AppriseException
from apprise.plugins.custom_json import NotifyJSON
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.google_chat import NotifyGoogleChat
from apprise.plugins.mattermost import NotifyMattermost
from apprise.plugins.opsgenie import NotifyOpsgenie
from apprise.plugins.pagerduty import PAGERDUTY_API_LOOKUP, NotifyPagerDuty
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram
from apprise.plugins.twilio import NotifyTwilio
from apprise.plugins.workflows import NotifyWorkflows

# Seconds for connecting, and between two pieces of an answer
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 10.0
# Seconds after which a message counts as not sent, whatever the other side does
DEADLINE = 30.0
_APP = "QMS"

with warnings.catch_warnings():
    # It tries a module of Python that is deprecated, and does without.
    warnings.simplefilter("ignore", DeprecationWarning)
    from apprise.plugins.email import NotifyEmail

_PAGERDUTY_SEVERITIES = {
    "critical": "critical",
    "high": "error",
    "medium": "warning",
    "low": "info",
}
# What of an URL's query is accepted. Apprise knows many more arguments: some switch
# off the checking of certificates, some follow redirects, some read files.
_ARGUMENTS = frozenset(
    "bcc cc class component from group mode name region reply smtp source thread to "
    "token user pass".split()
)
# Headers, fields and parameters that a JSON target is given besides
_PREFIXES = ("+", "-", ":")


class TargetError(ValueError):
    """An URL that is not accepted; says why, and never what was in it."""


@dataclass(frozen=True)
class Parcel:
    """A notification to be sent, in plain values.

    :param int id: what the sender calls it
    :param str url: Apprise URL
    :param str subject: one line
    :param str body: plain text
    :param str intent: ``open``, ``acknowledge``, ``resolve`` or ``tell``
    :param str severity: code of a severity, or an empty string
    :param str thread: what belongs together has the same one
    :param str link: to the record, or an empty string
    :param str key: names the notification; the same one sent twice has the same
    :param str event: its code
    """

    id: int
    url: str
    subject: str
    body: str
    intent: str = "tell"
    severity: str = ""
    thread: str = ""
    link: str = ""
    key: str = ""
    event: str = ""


class Outcome(NamedTuple):
    """What became of a parcel; ``error`` is empty when it was delivered."""

    id: int
    error: str


@dataclass(frozen=True)
class Policy:
    """What administrators allow.

    :param frozenset schemes: such as ``slack``
    :param tuple hosts: host names, ``*.example.com`` for all below one, each with
        ``:port`` if only that port is meant
    """

    schemes: frozenset
    hosts: tuple = ()


class _PagerDuty(NotifyPagerDuty):
    """PagerDuty's Events API v2, with the action that Apprise does not have.

    The subject is the summary, which PagerDuty cuts after 1024 characters; the
    message goes along as details.
    """

    title_maxlen = 1024
    body_maxlen = 20_000
    parcel = None

    def send(self, body, title="", notify_type=NotifyType.INFO, **kwargs):
        parcel = self.parcel
        self.dedup = parcel.thread[:255] or None
        if parcel.intent in ("acknowledge", "resolve"):
            return self._follow_up(parcel.intent)
        self.severity = _PAGERDUTY_SEVERITIES.get(parcel.severity, "warning")
        self.click = parcel.link or None
        self.details = {"message": body, "event": parcel.event}
        return super().send(title or body[:1024], notify_type=notify_type)

    def _follow_up(self, action):
        # https://developer.pagerduty.com/docs/send-alert-event: neither needs more.
        try:
            answer = requests.post(
                PAGERDUTY_API_LOOKUP[self.region_name],
                data=dumps(
                    {
                        "routing_key": self.integration_key,
                        "event_action": action,
                        "dedup_key": self.dedup,
                    }
                ),
                headers={"User-Agent": _APP, "Content-Type": "application/json"},
                verify=True,
                timeout=self.request_timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            self.logger.warning("No answer from PagerDuty: %s", type(error).__name__)
            return False
        if answer.status_code not in (200, 201, 202):
            self.logger.warning("PagerDuty refused it: error=%s", answer.status_code)
            return False
        return True


class _Json(NotifyJSON):
    """A JSON target, told in fields what the message is about.

    ``id`` is the same when a message is sent twice, so that a receiver can drop the
    second one.
    """

    parcel = None

    def send(self, body, title="", notify_type=NotifyType.INFO, **kwargs):
        parcel = self.parcel
        self.payload_extras = {
            "attachments": "",
            "id": parcel.key,
            "event": parcel.event,
            "intent": parcel.intent,
            "severity": parcel.severity or None,
            "thread": parcel.thread or None,
            "url": parcel.link or None,
            **self.payload_extras,
        }
        return super().send(body, title=title, notify_type=notify_type, **kwargs)


class _Email(NotifyEmail):
    """Mail by SMTP; a message that is sent twice has the same Message-ID."""

    parcel = None

    def send(self, *args, **kwargs):
        domain = self.from_addr[1].rpartition("@")[2] or "localhost"
        local = re.sub(r"[^\w.+-]", ".", f"{self.parcel.key}.{self.parcel.id}")
        self.headers = {
            **self.headers,
            "Message-ID": f"<qms.{local}@{domain}>"
            if self.parcel.key
            else make_msgid(domain=domain),
        }
        return super().send(*args, **kwargs)


@dataclass(frozen=True)
class Service:
    """Something that Apprise sends to.

    :param str name: as people know it
    :param type plugin: Apprise's class
    :param hosts: attributes of the plugin that name a host the URL chooses; empty
        when the service has addresses of its own
    """

    name: str
    plugin: type
    hosts: tuple = field(default=())


SERVICES = {
    "slack": Service("Slack", NotifySlack),
    "workflows": Service("Microsoft Teams", NotifyWorkflows, ("host",)),
    "pagerduty": Service("PagerDuty", _PagerDuty),
    "opsgenie": Service("Opsgenie", NotifyOpsgenie),
    "mailtos": Service("Mail, encrypted", _Email, ("smtp_host",)),
    "mailto": Service("Mail, not encrypted", _Email, ("smtp_host",)),
    "twilio": Service("SMS by Twilio", NotifyTwilio),
    "mmosts": Service("Mattermost", NotifyMattermost, ("host",)),
    "discord": Service("Discord", NotifyDiscord),
    "gchat": Service("Google Chat", NotifyGoogleChat),
    "tgram": Service("Telegram", NotifyTelegram),
    "jsons": Service("JSON over HTTPS", _Json, ("host",)),
    "json": Service("JSON over HTTP", _Json, ("host",)),
}
# Those that keep track of an incident: they are told what is to be done about one,
# and nothing that is only for information.
INCIDENT_SCHEMES = frozenset({"pagerduty"})


class _Collector(logging.Handler):
    """Keeps what a plugin says about its failure."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


# Whether something is being sent; Apprise's own threads know it, too.
_sending = ContextVar("qms_sending", default=False)


def _is_no_address(record):
    """Drop what would tell the address, which is the secret, of what is sent."""
    return not _sending.get() or (
        record.name == "apprise" and record.levelno >= logging.WARNING
    )


for _name in ("apprise", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_is_no_address)


def scheme_of(url):
    """Return the scheme of an Apprise URL, empty when it has none.

    :param str url: Apprise URL
    :rtype: str
    """
    scheme, colon, _rest = (url or "").strip().partition("://")
    return scheme.lower() if colon and re.fullmatch(r"[A-Za-z][\w+.-]*", scheme) else ""


def check(url, policy):
    """Check an Apprise URL, and return what may be shown of it.

    :param str url: Apprise URL
    :param Policy policy: what is allowed
    :return: such as ``jsons://hooks.example.com/…``
    :rtype: str
    :raises TargetError: saying what is not accepted about it, but nothing secret
    """
    scheme, plugin, _collector = _open(url, policy)
    hosts = _hosts(scheme, plugin)
    return f"{scheme}://{hosts[0]}/…" if hosts else f"{scheme}://…"


def _open(url, policy):
    """Return the scheme, Apprise's object and its log, for an URL that is accepted."""
    url = (url or "").strip()
    scheme = scheme_of(url)
    known = sorted(policy.schemes & SERVICES.keys())
    if scheme not in known:
        raise TargetError(
            f"{scheme or 'an address without a scheme'} is not accepted; "
            f"accepted are: {', '.join(known) or 'none'}"
        )
    _check_arguments(url)
    collector = _Collector()
    logger = logging.Logger("qms.notification")
    logger.addHandler(collector)
    base = SERVICES[scheme].plugin
    # Already its constructor logs what it does not like, secrets included.
    kind = type(base.__name__, (base,), {"logger": logger})
    try:
        arguments = kind.parse_url(url)
        plugin = arguments and kind(
            **{
                **arguments,
                "asset": AppriseAsset(
                    app_id=_APP,
                    app_desc=_APP,
                    app_url="",
                    image_url_mask="",
                    storage_mode="memory",
                    http_redirects=False,
                    async_mode=False,
                ),
            }
        )
    except (AppriseException, TypeError, ValueError, AttributeError):
        plugin = None
    if not plugin:
        raise TargetError(
            f"something is missing in it, or not as {SERVICES[scheme].name} has it; "
            "see the examples in Apprise's documentation of this service"
        )
    plugin.verify_certificate = True
    plugin.redirects = False
    plugin.socket_connect_timeout = CONNECT_TIMEOUT
    plugin.socket_read_timeout = READ_TIMEOUT
    plugin.include_image = False
    plugin.overflow_mode = "truncate"
    for host in _hosts(scheme, plugin):
        if not allowed(host, policy.hosts):
            raise TargetError(
                f"the host {host} is not accepted; accepted are: "
                f"{', '.join(policy.hosts) or 'none'}"
            )
    return scheme, plugin, collector


def _check_arguments(url):
    for argument in url.partition("?")[2].split("&"):
        # A plus sign is no blank here: it tells that a header is given.
        name = unquote(argument.partition("=")[0])
        if name and name not in _ARGUMENTS and not name.startswith(_PREFIXES):
            raise TargetError(
                f"the argument {name[:40]} is not accepted; accepted are: "
                f"{', '.join(sorted(_ARGUMENTS))}"
            )


def _hosts(scheme, plugin):
    """Return the hosts that an URL chose, with the port if it chose one."""
    port = getattr(plugin, "port", None)
    return [
        f"{host}:{port}" if port and _port_chosen(scheme, port) else host
        for name in SERVICES[scheme].hosts
        if (host := str(getattr(plugin, name, "") or "").lower())
    ]


def _port_chosen(scheme, port):
    usual = {"mailto": 25, "mailtos": 587, "json": 80}.get(scheme, 443)
    return port != usual


def allowed(host, hosts):
    """Tell whether a host is one of those that are accepted.

    :param str host: name, with ``:port`` unless it is the usual one
    :param hosts: see :class:`Policy`
    :rtype: bool
    """
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    for entry in hosts:
        wanted = host if re.search(r":\d+$", entry) else name
        if entry.startswith("*."):
            if wanted.endswith(entry[1:]) and wanted != entry[1:]:
                return True
        elif wanted == entry:
            return True
    return False


def redact(text, url, shown=()):
    """Take out of a text whatever it has in common with an Apprise URL.

    :param str text: what is to be kept or shown
    :param str url: Apprise URL
    :param shown: parts of it that may be shown, such as the host
    :rtype: str
    """
    rest = unquote(url.partition("://")[2])
    parts = set(re.findall(r"[^\s/@:?&=#,]{4,}", rest)) | {rest}
    parts -= set(shown)
    for part in sorted(parts, key=len, reverse=True):
        if part:
            text = text.replace(part, "…")
    return text


def send(parcel, policy):
    """Send one notification.

    :param Parcel parcel: what, and where to
    :param Policy policy: what is allowed
    :return: whether it was taken
    :rtype: Outcome
    """
    token = _sending.set(True)
    try:
        scheme, plugin, collector = _open(parcel.url, policy)
        plugin.parcel = parcel
        sender = Apprise(asset=plugin.asset)
        sender.add(plugin)
        taken = sender.notify(
            body=parcel.body,
            title=parcel.subject,
            notify_type=_notify_type(parcel),
            body_format=NotifyFormat.TEXT,
        )
    except TargetError as error:
        return Outcome(parcel.id, str(error))
    except Exception as error:
        # Whatever a plugin does, the other notifications have to go out.
        return Outcome(parcel.id, f"unexpected {type(error).__name__} while sending")
    finally:
        _sending.reset(token)
    if taken:
        return Outcome(parcel.id, "")
    said = " ".join(" ".join(collector.lines).split()) or "it was not taken"
    shown = {host.partition(":")[0] for host in _hosts(scheme, plugin)}
    return Outcome(parcel.id, redact(said, parcel.url, shown)[:1000])


def _notify_type(parcel):
    if parcel.intent == "resolve":
        return NotifyType.SUCCESS
    if parcel.intent in ("tell", "acknowledge"):
        return NotifyType.INFO
    if parcel.severity in ("critical", "high"):
        return NotifyType.FAILURE
    return NotifyType.WARNING


def send_all(groups, policy, deadline=DEADLINE):
    """Send notifications, those of one group one after the other, groups side by side.

    A group ends with its first failure: what comes later must not overtake. One that
    does not answer does not hold up the others.

    :param groups: lists of :class:`Parcel`, one for each target
    :param Policy policy: what is allowed
    :param float deadline: seconds that one message may take
    :return: what became of those that were tried
    :rtype: list[Outcome]
    """
    workers = [_Worker(parcels, policy, deadline) for parcels in groups]
    for worker in workers:
        worker.start()
    return [outcome for worker in workers for outcome in worker.result()]


class _Worker(threading.Thread):
    """Sends the notifications to one target.

    A daemon: a target that keeps the line open for ever must not keep Odoo from
    stopping.
    """

    def __init__(self, parcels, policy, deadline):
        super().__init__(daemon=True, name="qms.notification")
        self._parcels, self._policy, self._deadline = parcels, policy, deadline
        self._outcomes = []
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._over = False

    def run(self):
        for parcel in self._parcels:
            outcome = send(parcel, self._policy)
            with self._changed:
                if self._over:
                    return
                self._outcomes.append(outcome)
                self._began = time.monotonic()
                self._over = bool(outcome.error) or len(self._outcomes) == len(
                    self._parcels
                )
                self._changed.notify()
                if self._over:
                    return

    def result(self):
        """Wait until all is sent, one failed, or one takes too long."""
        with self._changed:
            while not self._over:
                left = self._began + self._deadline - time.monotonic()
                if left <= 0:
                    self._over = True
                    late = self._parcels[len(self._outcomes)]
                    self._outcomes.append(
                        Outcome(late.id, f"no answer within {self._deadline:g} seconds")
                    )
                    break
                self._changed.wait(left)
            return list(self._outcomes)
