from odoo.http import Controller, request

from ..schemas.alerts import AcceptedDelivery, AlertmanagerDelivery, AnyDelivery
from .api import api_route
from .problems import Problem
from .rate_limit import check_rate


class AlertController(Controller):
    @api_route(
        "/alerts/alertmanager",
        method="POST",
        summary="Deliver alerts of Alertmanager",
        tag="Alerts",
        request=AlertmanagerDelivery,
        response=AcceptedDelivery,
        status=202,
        limited=False,
        raw=True,
    )
    def deliver_alertmanager(self, body):
        """Takes the webhook of Alertmanager (version 4; unknown fields are allowed).

        The payload is kept before anything is done with it. What cannot be processed
        is answered with 202, too: it waits in the backend for a person, and sending
        it again would change nothing. When there is too much to do the answer is 503,
        never 429, because Alertmanager gives up on 4xx and tries again on 5xx.
        Delivering the same again changes nothing.
        """
        return _deliver("alertmanager")

    @api_route(
        "/alerts/<string:source>",
        method="POST",
        summary="Deliver alerts of any monitoring system",
        tag="Alerts",
        request=AnyDelivery,
        response=AcceptedDelivery,
        status=202,
        limited=False,
        raw=True,
    )
    def deliver_alerts(self, source, body):
        """Takes JSON that a source of the backend knows how to read.

        `generic` takes one alert, a list of them, or an object with a list `alerts`;
        each has a `title` and may have `description`, `severity`, `status` (`resolved`
        when it is over), `fingerprint` (what names the trouble), `starts_at`,
        `ends_at`, `labels`, `annotations` and `url`. `grafana` takes Grafana's
        webhook. A source with a signing secret wants the headers of Standard Webhooks:
        `webhook-id`, `webhook-timestamp` and `webhook-signature`.
        """
        return _deliver(source)


def _deliver(source):
    try:
        check_rate(request)
    except Problem as problem:
        # Senders give up on 4xx, and come back on 5xx.
        raise Problem(
            "unavailable", problem.description, headers=problem.headers
        ) from None
    http = request.httprequest
    return request.env["qms.alert.delivery"]._deliver(
        source, http.get_data(), http.headers
    )
