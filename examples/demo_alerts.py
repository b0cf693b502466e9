"""What tells Odoo that the service leaks connections.

Prometheus and Alertmanager where they are installed; elsewhere the payload that
Alertmanager would send is delivered without them.
"""

import json
import urllib.request
from datetime import datetime, timezone
from urllib.parse import urlsplit

import yaml
from monitoring_stack import CONFIGURATION, MonitoringStack, Programs

RULE = "ConnectionsLeaked"
_TIMEOUT = 60.0


def shipped_rule():
    """Return the rule of monitoring/qms_rules.yml that the demo shows.

    :return: as in the file: ``expr``, ``labels``, ``annotations``
    :rtype: dict
    """
    groups = yaml.safe_load((CONFIGURATION / "qms_rules.yml").read_text())["groups"]
    (rule,) = (
        rule for group in groups for rule in group["rules"] if rule["alert"] == RULE
    )
    return rule


class Watcher:
    """Watches one service; a context manager that stops what it started.

    :param Path folder: an empty folder for what it needs
    :param str service_url: the service
    :param str odoo_url: the Odoo that alerts are delivered to
    :param str api_key: of a user with the role Automation
    """

    def __init__(self, folder, service_url, odoo_url, api_key):
        self.instance = urlsplit(service_url).netloc
        self.url = f"{odoo_url}/api/v1/alerts/alertmanager"
        self._key = api_key
        self._since = None
        self._stack = None
        programs = Programs.from_environment()
        if programs:
            self._stack = MonitoringStack(
                programs, folder, service_url, self.url, api_key
            )

    @property
    def real(self):
        """Whether Prometheus and Alertmanager are at work."""
        return self._stack is not None

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        if self._stack:
            self._stack.stop()

    def tell(self, status):
        """Deliver the alert where nobody else does.

        :param str status: ``firing`` or ``resolved``
        :return: the answer, or None when Alertmanager sees to it
        :rtype: dict | None
        """
        if self.real:
            return None
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._since = self._since or now
        rule = shipped_rule()
        alert = {
            "status": status,
            "labels": {
                "alertname": RULE,
                "instance": self.instance,
                "job": "orders",
                **rule["labels"],
            },
            "annotations": {
                "summary": rule["annotations"]["summary"].replace(
                    "{{ $labels.instance }}", self.instance
                )
            },
            "startsAt": self._since,
            "endsAt": now if status == "resolved" else "0001-01-01T00:00:00Z",
            "fingerprint": f"demo-{self.instance}",
        }
        payload = {"version": "4", "status": status, "alerts": [alert]}
        request = urllib.request.Request(
            self.url,
            json.dumps(payload).encode(),
            {
                "Authorization": f"Bearer {self._key}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            return json.load(response)
