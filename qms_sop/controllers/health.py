from odoo.http import Controller, Response, request

from ..schemas.health import Health, QueueHealth
from .api import Answer, api_route
from .problems import Problem


class HealthController(Controller):
    @api_route(
        "/health",
        method="GET",
        summary="Tell whether the server answers",
        tag="Health",
        auth="none",
        response=Health,
    )
    def health(self):
        """Looks at nothing: for a probe that restarts what does not answer.

        When Odoo loads `qms_sop` server-wide (`--load base,rpc,web,qms_sop`), this
        answers even while the database is away. Otherwise Odoo knows our routes by
        the database only, and the answer is then 503.
        """
        return {"status": "pass"}

    @api_route(
        "/health/db",
        method="GET",
        summary="Tell whether the database answers",
        tag="Health",
        auth="none",
        response=Health,
        # A replica would say nothing about the database that is written to.
        readonly=False,
    )
    def database(self):
        """One round trip to the database; 503 when there is no answer."""
        if not request.db:
            raise Problem("unavailable", "There is no database.")
        request.env.cr.execute("SELECT 1")
        return {"status": "pass"}

    @api_route(
        "/health/queue",
        method="GET",
        summary="Tell whether scheduled jobs run",
        tag="Health",
        auth="qms_optional",
        response=QueueHealth,
        also={503: QueueHealth},
    )
    def queue(self):
        """503 when a job is late by more than 15 minutes or fails again and again.

        With the key of a user who has a role, the answer names the jobs.
        """
        health = request.env["ir.cron"]._qms_queue_health()
        return Answer(health, status=200 if health["status"] == "pass" else 503)

    @api_route(
        "/metrics",
        method="GET",
        summary="Metrics for Prometheus",
        tag="Health",
        auth="qms_optional",
        produces="text/plain",
    )
    def metrics(self):
        """The key of a user with any role, or an address on the allow-list.

        Prometheus' text format, or OpenMetrics when asked for.
        """
        body, content_type = request.env["qms.metric"]._scrape(
            request.httprequest.remote_addr or "",
            request.httprequest.environ.get("HTTP_ACCEPT", ""),
        )
        return Response(
            body,
            headers=[("Content-Type", content_type), ("Cache-Control", "no-store")],
        )
