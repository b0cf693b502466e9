import json
import logging

from psycopg2 import OperationalError
from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import AccessError, ConcurrencyError, UserError
from odoo.fields import Command, Domain
from odoo.tools import SQL

from ...tools.alert_payload import PayloadError

_logger = logging.getLogger(__name__)

# Longer payloads are kept up to here, and wait for somebody to look at them.
MAX_BODY = 1 << 20  # bytes
_KEPT_DAYS = 30
_MAY_DELIVER = (
    "qms_error_code.group_qms_automation",
    "qms_error_code.group_qms_manager",
)


class QmsAlertDelivery(models.Model):
    """One payload as a monitoring system sent it.

    It is kept before anything is done with it, so that nothing is lost that cannot
    be processed. Only the intake writes this table.
    """

    _name = "qms.alert.delivery"
    _description = "Alert delivery"
    _order = "id desc"

    source_id = fields.Many2one(
        "qms.alert.source", required=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="source_id.company_id", store=True, index=True, string="Company"
    )
    received_at = fields.Datetime("Received", required=True, index=True)
    user_id = fields.Many2one("res.users", "Delivered by", ondelete="restrict")
    body = fields.Text("Payload", help="As it came.")
    size = fields.Integer(help="Bytes.")
    webhook_id = fields.Char(
        "Message", help="What the sender calls the message, when it is signed."
    )
    state = fields.Selection(
        [
            ("processed", "Processed"),
            ("unprocessable", "Not readable"),
            ("error", "Not all processed"),
        ],
        required=True,
        default="error",
        index=True,
    )
    error = fields.Text("Problem")
    alert_ids = fields.Many2many(
        "qms.alert", "qms_alert_delivery_rel", "delivery_id", "alert_id", "Alerts"
    )
    alert_count = fields.Integer(compute="_compute_alert_count")

    _webhook_uniq = models.UniqueIndex(
        "(source_id, webhook_id) WHERE webhook_id IS NOT NULL",
        "This message was delivered before.",
    )
    _waiting_idx = models.Index("(company_id, id) WHERE state != 'processed'")

    @api.depends("source_id", "received_at")
    def _compute_display_name(self):
        for delivery in self:
            delivery.display_name = self.env._(
                "%(name)s, delivery %(id)s",
                name=delivery.source_id.name,
                id=delivery.id,
            )

    def _compute_alert_count(self):
        for delivery in self:
            delivery.alert_count = len(delivery.alert_ids)

    # === Buttons ===

    def action_process(self):
        """Process payloads again, for example after the mapping was corrected.

        Alerts that were taken in before are known, and nothing is done twice.
        """
        for delivery in self:
            if delivery.size > MAX_BODY:
                raise UserError(
                    self.env._(
                        "%(delivery)s is too large to be processed: only its "
                        "beginning was kept.",
                        delivery=delivery.display_name,
                    )
                )
            delivery._check_may_deliver()
            delivery._process()
        return True

    def action_view_alerts(self):
        """Open the alerts of the payload."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_alert_action"
        )
        return {
            **action,
            "domain": [("id", "in", self.alert_ids.ids)],
            "context": {},
        }

    # === Business ===

    @api.model
    def _deliver(self, code, body, headers=None):
        """Take a payload in: keep it, and process it.

        :param str code: the source it comes from
        :param bytes body: as it came
        :param headers: mapping of HTTP headers, for the signature
        :return: see :meth:`_to_dict`
        :rtype: dict
        :raises AccessError: when the user may not deliver, or the signature is wrong
        :raises MissingError: when there is no such source
        """
        self._check_may_deliver()
        source = self.env["qms.alert.source"]._by_code(code)
        webhook_id = source._verify(headers, body)
        if webhook_id:
            # The sender did not hear the answer, or somebody replays the message.
            known = self.sudo().search(
                Domain("source_id", "=", source.id)
                & Domain("webhook_id", "=", webhook_id),
                limit=1,
            )
            if known:
                return known._to_dict()
        delivery = self._keep(source, body, webhook_id)
        if delivery.size <= MAX_BODY:
            delivery._process()
        return delivery._to_dict()

    @api.model
    def _check_may_deliver(self):
        """Refuse users whose role does not deliver alerts."""
        if self.env.su or any(map(self.env.user.has_group, _MAY_DELIVER)):
            return
        raise AccessError(
            self.env._(
                "%(user)s may not deliver alerts: the role Automation (or Manager) is "
                "needed.",
                user=self.env.user.name,
            )
        )

    @api.model
    def _keep(self, source, body, webhook_id):
        """Keep a payload.

        :return: the delivery, with the rights of the user
        """
        text = body[:MAX_BODY].decode(errors="backslashreplace").replace("\0", "\\x00")
        large = len(body) > MAX_BODY
        # No role may write deliveries, else payloads could be forged or lost.
        deliveries = self.sudo()
        try:
            delivery = deliveries.create(
                {
                    "source_id": source.id,
                    "received_at": fields.Datetime.now(),
                    "user_id": self.env.uid,
                    "body": text,
                    "size": len(body),
                    "webhook_id": webhook_id,
                    "state": "unprocessable" if large else "error",
                    "error": self.env._(
                        "The payload has %(size)s bytes; at most %(limit)s are "
                        "processed. Have the sender split it (in Alertmanager: "
                        "max_alerts). Its beginning is kept.",
                        size=len(body),
                        limit=MAX_BODY,
                    )
                    if large
                    else False,
                }
            )
        except UniqueViolation as error:
            # The same message at the same moment; Odoo runs the call again.
            raise ConcurrencyError(str(error)) from error
        return delivery.with_env(self.env)

    def _process(self):
        """Take in the alerts of one payload, and do what follows from them."""
        self.ensure_one()
        # Deliveries are not for everybody who may deliver.
        own = self.sudo()
        source = own.source_id.sudo(False)
        alerts = self.env["qms.alert"]
        try:
            with self.env.cr.savepoint():
                reports, problems = source._read(own.body)
                alerts = alerts._take(source, reports, own.received_at)
                # Their first delivery has to be known before runs are opened.
                own.alert_ids = [Command.set(alerts.ids)]
                alerts._handle()
            failed = alerts.filtered(lambda alert: alert.state == "failed")
            problems += [f"{alert.name}: {alert.note}" for alert in failed]
            state = "processed"
            if problems:
                state = "error" if alerts else "unprocessable"
            vals = {
                "state": state,
                "error": "\n".join(problems) or False,
            }
        except PayloadError as error:
            vals = {"state": "unprocessable", "error": str(error)}
        except (OperationalError, ConcurrencyError):
            # Nothing wrong with the payload: tried again, by Odoo or by the sender.
            raise
        except Exception as error:
            # Kept and shown. Answered as an error it would be sent again for ever,
            # or never, depending on who sent it.
            _logger.exception("%s cannot be processed", own.display_name)
            vals = {
                "state": "error",
                "error": self.env._(
                    "The server could not process it (%(kind)s). Its log says why.",
                    kind=type(error).__name__,
                ),
            }
        own.write(vals)

    def _to_dict(self):
        """Return what became of one delivery.

        :return: see :class:`..schemas.alerts.AcceptedDelivery`
        :rtype: dict
        """
        self.ensure_one()
        own = self.sudo()
        return {
            "id": own.id,
            "state": own.state,
            "error": own.error or None,
            "alerts": [alert._to_dict() for alert in own.alert_ids.sorted("id")],
        }

    @api.autovacuum
    def _gc_old_deliveries(self):
        """Forget payloads that were processed a while ago; the alerts stay."""
        limit = fields.Datetime.subtract(fields.Datetime.now(), days=_KEPT_DAYS)
        old = self.sudo().search(
            Domain("state", "=", "processed") & Domain("received_at", "<", limit),
            order="id",
            limit=10_000,
        )
        if not old:
            return
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """UPDATE qms_alert a
                      SET past_deliveries = coalesce(a.past_deliveries, 0) + gone.n,
                          past_seen = greatest(a.past_seen, gone.seen)
                     FROM (SELECT r.alert_id, count(*) AS n,
                                  max(d.received_at) AS seen
                             FROM qms_alert_delivery_rel r
                             JOIN qms_alert_delivery d ON d.id = r.delivery_id
                            WHERE d.id = ANY(%s)
                            GROUP BY r.alert_id) gone
                    WHERE a.id = gone.alert_id""",
                old.ids,
            )
        )
        self.env["qms.alert"].invalidate_model(["past_deliveries", "past_seen"])
        old.unlink()

    @api.model
    def _from_rpc(self, code, payload):
        """Take in a payload that came over RPC, already read."""
        return self._deliver(code, json.dumps(payload, ensure_ascii=False).encode())
