from urllib.parse import urlsplit

from odoo.tests import common, new_test_user

from ..models.notification.qms_notification_channel import HOSTS, SCHEMES
from .common import GROUPS, QmsSopCommon


class NotificationCommon(QmsSopCommon):
    """Channels at this machine, and somebody who is told."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.accept("json, jsons, mailto, slack, pagerduty", "127.0.0.1")
        cls.env["qms.notification.channel"].search([]).active = False
        cls.outbox = cls.env["qms.notification"]
        cls.outbox.search([("state", "!=", "sent")]).state = "cancelled"
        cls.person = new_test_user(
            cls.env,
            login="qms_told",
            name="Ina Told",
            email="ina@example.com",
            groups=GROUPS["operator"],
        )

    @classmethod
    def _request_handler(cls, session, request, /, **kwargs):
        # Odoo's own lengthens timeouts, and cannot read ours.
        if urlsplit(request.url).hostname == "127.0.0.1":
            return common._super_send(session, request, **kwargs)
        return super()._request_handler(session, request, **kwargs)

    @classmethod
    def accept(cls, schemes, hosts):
        parameters = cls.env["ir.config_parameter"]
        parameters.set_param(SCHEMES, schemes)
        parameters.set_param(HOSTS, hosts)

    @classmethod
    def channel(cls, url="json://127.0.0.1:9/hook", events=(), **values):
        channels = cls.env["qms.notification.channel"].with_user(cls.manager)
        templates = cls.env["qms.notification.template"]
        return channels.create(
            {
                "name": "Channel",
                "new_url": url,
                "template_ids": [(4, templates._by_code(event).id) for event in events],
                **values,
            }
        )

    def enqueue(self, record, event="run_opened", key="k", **values):
        return self.outbox._enqueue(event, record, key=key, **values)

    def told(self, record, *events):
        """Return the notifications about a record, oldest first."""
        domain = [("model", "=", record._name), ("res_id", "=", record.id)]
        if events:
            domain.append(("event", "in", events))
        return self.outbox.search(domain, order="id")
