from prometheus_client.core import GaugeMetricFamily

from odoo import api, fields, models
from odoo.tools import SQL

from .qms_metric import gauge

_STATES = ("pending", "sending", "dead")


class QmsMetric(models.Model):
    """How the outbox is doing."""

    _inherit = "qms.metric"

    @api.model
    def _families(self, companies):
        return [*super()._families(companies), *self._notification_families(companies)]

    @api.model
    def _notification_families(self, companies):
        """Return what is not delivered; costs as much as there is of it."""
        outbox = self.env["qms.notification"]
        outbox.flush_model()
        where = SQL("TRUE")
        if companies is not None:
            where = SQL("(company_id IS NULL OR company_id IN %s)", companies._ids)
        counts = dict.fromkeys(
            (
                (medium, state)
                for medium in outbox._fields["medium"].get_values(self.env)
                for state in _STATES
            ),
            0,
        )
        now = fields.Datetime.now()
        late = 0
        for medium, state, count, since in self.env.execute_query(
            SQL(
                """SELECT medium, state, count(*),
                          min(create_date) FILTER (WHERE state != 'dead' AND at <= %s)
                     FROM qms_notification WHERE state IN %s AND %s GROUP BY 1, 2""",
                now,
                _STATES,
                where,
            )
        ):
            counts[medium, state] = count
            if since:
                late = max(late, (now - since).total_seconds())
        return [
            gauge(
                "qms_notifications",
                "Notifications that are not delivered.",
                ("medium", "state"),
                counts.items(),
            ),
            GaugeMetricFamily(
                "qms_notification_delay_seconds",
                "How long the oldest notification that is due has been waiting.",
                value=late,
            ),
        ]
