from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.orm.models import NO_ACCESS
from odoo.tools import ormcache

from ...tools import notification_target
from ...tools.notification_target import (
    INCIDENT_SCHEMES,
    SERVICES,
    Parcel,
    Policy,
    TargetError,
)

# System parameters: Apprise schemes, and hosts that addresses may name
SCHEMES, HOSTS = "qms_sop.notification_schemes", "qms_sop.notification_hosts"
# Encrypted ones only
DEFAULT_SCHEMES = ", ".join(name for name in SERVICES if name not in ("mailto", "json"))
# Where Microsoft Teams receives what its workflows wait for
DEFAULT_HOSTS = "*.logic.azure.com, *.api.powerplatform.com"

# What follows from the address
_OWN_FIELDS = frozenset({"target", "scheme"})


class QmsNotificationChannel(models.Model):
    """Somewhere outside Odoo where notifications go.

    The address carries its own credentials. It can be given and replaced, never read:
    what is shown is the service and, where the address names one, the host.
    """

    _name = "qms.notification.channel"
    _description = "Notification channel"
    _inherit = ["mail.thread", "qms.audit.mixin"]
    _order = "name, id"

    _audit_ignored = frozenset({"address"})

    name = fields.Char(required=True, tracking=True)
    active = fields.Boolean(default=True, tracking=True)
    company_id = fields.Many2one(
        "res.company",
        index=True,
        default=lambda self: self.env.company,
        help="Whose records are told here; empty for those of all companies.",
    )
    new_url = fields.Char(
        "Address",
        compute="_compute_new_url",
        inverse="_inverse_new_url",
        copy=False,
        exportable=False,
        help="An Apprise URL, such as slack://… or mailtos://…. It is never shown "
        "again; give another one to replace it.",
    )
    address = fields.Char("Apprise URL", copy=False, exportable=False, groups=NO_ACCESS)
    target = fields.Char(
        "Sends to",
        readonly=True,
        copy=False,
        tracking=True,
        help="The address without its secrets.",
    )
    scheme = fields.Char(readonly=True, copy=False)
    service = fields.Char(compute="_compute_service")
    is_incident_service = fields.Boolean(compute="_compute_service")
    lang = fields.Selection(
        selection=lambda self: self.env["res.lang"].get_installed(),
        string="Language",
        default=lambda self: self.env.lang,
        help="The language of its texts.",
    )
    template_ids = fields.Many2many(
        "qms.notification.template",
        "qms_notification_subscription",
        "channel_id",
        "template_id",
        "Events",
        tracking=True,
        help="What is told here whenever it happens. Escalations and other rules that "
        "name the channel tell it besides.",
    )
    severity_ids = fields.Many2many(
        "qms.severity",
        "qms_notification_channel_severity",
        "channel_id",
        "severity_id",
        "Only severities",
        tracking=True,
        help="Empty: all of them, and what has none.",
    )
    notification_ids = fields.One2many("qms.notification", "channel_id")
    waiting_count = fields.Integer("Waiting", compute="_compute_counts")
    dead_count = fields.Integer("Given up", compute="_compute_counts")
    last_sent_at = fields.Datetime("Last delivered", compute="_compute_fate")
    last_failed_at = fields.Datetime("Last failed", compute="_compute_fate")
    accepted_schemes = fields.Char(compute="_compute_accepted")
    accepted_hosts = fields.Char(compute="_compute_accepted")

    # === Computes ===

    def _compute_new_url(self):
        self.new_url = False

    def _inverse_new_url(self):
        for channel in self:
            if not channel.new_url:
                continue
            try:
                target = notification_target.check(channel.new_url, self._policy())
            except TargetError as error:
                raise ValidationError(
                    self.env._(
                        "Address: %(problem)s. Administrators choose in the settings "
                        "what is accepted.",
                        problem=error,
                    )
                ) from None
            channel.check_access("write")
            # sudo: nobody reads or writes these fields by themselves.
            channel.sudo().write(
                {
                    "address": channel.new_url.strip(),
                    "target": target,
                    "scheme": notification_target.scheme_of(channel.new_url),
                }
            )
        self.invalidate_recordset(["new_url"])

    @api.depends("scheme")
    def _compute_service(self):
        for channel in self:
            service = SERVICES.get(channel.scheme or "")
            channel.service = service and service.name
            channel.is_incident_service = channel.scheme in INCIDENT_SCHEMES

    def _compute_counts(self):
        counts = {
            (channel.id, state): count
            for channel, state, count in self.env["qms.notification"]._read_group(
                [("channel_id", "in", self.ids)], ["channel_id", "state"], ["__count"]
            )
        }
        for channel in self:
            channel.waiting_count = sum(
                counts.get((channel.id, state), 0) for state in ("pending", "sending")
            )
            channel.dead_count = counts.get((channel.id, "dead"), 0)

    def _compute_fate(self):
        fates = {
            channel.id: moments
            for channel, *moments in self.env["qms.notification"]._read_group(
                [("channel_id", "in", self.ids)],
                ["channel_id"],
                ["sent_at:max", "failed_at:max"],
            )
        }
        for channel in self:
            channel.last_sent_at, channel.last_failed_at = fates.get(
                channel.id, (False, False)
            )

    @api.depends_context("uid")
    def _compute_accepted(self):
        policy = self._policy()
        for channel in self:
            channel.accepted_schemes = ", ".join(sorted(policy.schemes))
            channel.accepted_hosts = ", ".join(policy.hosts)

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_own_fields(vals)
            if not vals.get("new_url"):
                raise ValidationError(
                    self.env._("Address: give the Apprise URL of the channel.")
                )
        self.env.registry.clear_cache()
        return super().create(vals_list)

    def write(self, vals):
        self._check_own_fields(vals)
        self.env.registry.clear_cache()
        return super().write(vals)

    def unlink(self):
        self.env.registry.clear_cache()
        return super().unlink()

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        used = (
            self.env["qms.notification"]
            .sudo()
            ._read_group([("channel_id", "in", self.ids)], ["channel_id"])
        )
        if used:
            raise UserError(
                self.env._(
                    "%(names)s: notifications were or will be sent there, which says "
                    "where to. Archive it instead.",
                    names=", ".join(channel.name for (channel,) in used),
                )
            )

    def copy_data(self, default=None):
        raise UserError(
            self.env._(
                "A channel cannot be duplicated: its address is not read by anybody. "
                "Make a new one."
            )
        )

    def export_data(self, fields_to_export):
        if {"new_url", "address"} & set(fields_to_export):
            raise AccessError(self.env._("Addresses of channels are not exported."))
        return super().export_data(fields_to_export)

    def _check_own_fields(self, vals):
        """Refuse what follows from the address."""
        own = _OWN_FIELDS & vals.keys()
        if own and not self.env.su:
            raise UserError(
                self.env._(
                    "%(fields)s: follows from the address and cannot be given.",
                    fields=", ".join(sorted(own)),
                )
            )

    # === Buttons ===

    def action_test(self):
        """Send a test message at once, and tell what became of it.

        :return: a message on the screen
        :rtype: dict
        """
        self.ensure_one()
        self.check_access("write")
        template = self.env["qms.notification.template"]._by_code("test")
        if not template:
            raise UserError(
                self.env._("The template of test messages is archived. Restore it.")
            )
        worded = template.with_context(lang=self.lang or self.env.lang)
        subject, body = worded._render(
            {
                **worded._values(self.with_context(lang=worded.env.lang)),
                "sender": self.env.user.name,
            }
        )
        # sudo: nobody reads the address.
        parcel = Parcel(
            id=self.id,
            url=self.sudo().address,
            subject=subject,
            body=body,
            severity="low",
            thread=f"qms-test-{self.id}",
            event="test",
        )
        outcome = notification_target.send(parcel, self._policy())
        self.env["qms.notification"]._keep_test(self, template, parcel, outcome.error)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": self.env._("Test of %s", self.name),
                "message": self.env._("It was not delivered: %s", outcome.error)
                if outcome.error
                else self.env._("It was delivered to %s", self.target),
                "type": "danger" if outcome.error else "success",
                "sticky": bool(outcome.error),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_view_notifications(self):
        """Open what was and will be sent here."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_notification_action"
        )
        return {**action, "domain": [("channel_id", "in", self.ids)], "context": {}}

    def action_view_dead(self):
        """Open what could not be sent here."""
        return {
            **self.action_view_notifications(),
            "context": {"search_default_dead": 1},
        }

    # === Business ===

    @api.model
    def _policy(self):
        """Return which addresses administrators allow.

        :rtype: Policy
        """
        # sudo: system parameters are read by administrators only.
        parameters = self.env["ir.config_parameter"].sudo()
        schemes = parameters.get_param(SCHEMES, DEFAULT_SCHEMES)
        hosts = parameters.get_param(HOSTS, DEFAULT_HOSTS)
        return Policy(frozenset(split(schemes)), tuple(split(hosts)))

    @api.model
    @ormcache()
    def _subscriptions(self):
        """Return which channels are told of which events.

        :return: tuples of id, event codes, severity ids, company id (or ``False``)
            and whether it keeps track of incidents
        :rtype: tuple
        """
        # sudo: whoever does something may not see who hears of it.
        return tuple(
            (
                channel.id,
                frozenset(channel.template_ids.mapped("code")),
                frozenset(channel.severity_ids.ids),
                channel.company_id.id,
                channel.scheme in INCIDENT_SCHEMES,
            )
            for channel in self.sudo().search([])
        )

    @api.model
    def _subscribed(self, event, record=None):
        """Return the channels that are told of an event.

        Costs no query once the channels are known.

        :param str event: code of the event
        :param record: what it happens to; without one, only whether anybody could be
            interested is looked at
        :rtype: qms.notification.channel records
        """
        found = []
        company = severity = None
        for (
            channel_id,
            events,
            severities,
            company_id,
            _incident,
        ) in self._subscriptions():
            if event not in events:
                continue
            if record is not None and company is None:
                company, severity = self._facts(record)
            if company is not None and (
                (company_id and company and company_id != company)
                or (severities and severity not in severities)
            ):
                continue
            found.append(channel_id)
        return self.browse(found)

    @api.model
    def _facts(self, record):
        """Return the ids of company and severity of a record, 0 where it has none."""
        if not hasattr(record, "_notification_company"):
            return 0, 0
        return (
            record._notification_company().id or 0,
            record._notification_severity().id or 0,
        )


def split(text):
    """Return the entries of a list separated by commas or blanks, in lower case.

    :param str text: such as ``slack, jsons``
    :rtype: list[str]
    """
    return (text or "").lower().replace(",", " ").split()
