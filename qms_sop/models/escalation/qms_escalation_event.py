from odoo import api, fields, models


class QmsEscalationEvent(models.Model):
    """That somebody was told of a run, by a rule or as a clock passed a mark.

    There is one for each rule and repetition, and one for each mark of a clock: what
    is here is never told again.
    """

    _name = "qms.escalation.event"
    _description = "Escalation"
    _inherit = ["qms.audit.mixin"]
    _order = "told_at desc, id desc"
    _rec_name = "reason"
    _audit_root_path = "run_id"
    _audit_created_kind = "escalated"
    _audit_ignored = frozenset(
        {"key", "due_at", "told_at", "repetition", "rule_id", "company_id"}
    )

    run_id = fields.Many2one(
        "qms.sop.run", required=True, readonly=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        "res.company", readonly=True, required=True, index=True
    )
    key = fields.Char(
        required=True, readonly=True, help="The rule or the mark, and which time it is."
    )
    # A rule that is taken out of a policy leaves what it has told.
    rule_id = fields.Many2one(
        "qms.escalation.rule", readonly=True, index=True, ondelete="set null"
    )
    policy_id = fields.Many2one(
        "qms.escalation.policy", readonly=True, index=True, ondelete="set null"
    )
    repetition = fields.Integer(readonly=True, aggregator=None)
    level = fields.Integer(readonly=True, aggregator=None)
    reason = fields.Char(readonly=True, required=True)
    due_at = fields.Datetime("Due", readonly=True, required=True)
    told_at = fields.Datetime("When", readonly=True, required=True)
    role_ids = fields.Many2many(
        "qms.role",
        "qms_escalation_event_role",
        "event_id",
        "role_id",
        "Roles",
        readonly=True,
    )
    user_ids = fields.Many2many(
        "res.users",
        "qms_escalation_event_user",
        "event_id",
        "user_id",
        "People",
        readonly=True,
    )
    channel_ids = fields.Many2many(
        "qms.notification.channel",
        "qms_escalation_event_channel",
        "event_id",
        "channel_id",
        "Channels",
        readonly=True,
    )
    delivery = fields.Char(
        "Delivery", compute="_compute_delivery", help="What became of it."
    )
    notification_ids = fields.Many2many(
        "qms.notification", compute="_compute_notification_ids", string="Notifications"
    )

    _key_uniq = models.UniqueIndex(
        "(run_id, key)", "A rule tells of a run once each time."
    )

    def _notification_key(self):
        """Return under which key one escalation is in the outbox."""
        return f"escalation:{self.run_id.id}:{self.key}"

    def _compute_notification_ids(self):
        outbox = self.env["qms.notification"]
        keys = {event._notification_key(): event for event in self}
        # Whoever may not see what others are told sees what they were told.
        readable = outbox.has_access("read")
        found = outbox.search([("key", "in", list(keys))]) if readable else outbox
        by_key = found.grouped("key")
        for key, event in keys.items():
            event.notification_ids = by_key.get(key, outbox)

    @api.depends_context("lang")
    def _compute_delivery(self):
        # sudo: numbers only
        outbox = self.env["qms.notification"].sudo()
        labels = dict(outbox._fields["state"]._description_selection(self.env))
        keys = [event._notification_key() for event in self]
        counts = {}
        for key, state, count in outbox._read_group(
            [("key", "in", keys)], ["key", "state"], ["__count"]
        ):
            counts.setdefault(key, []).append(f"{labels[state]}: {count}")
        for event, key in zip(self, keys, strict=True):
            # Whoever is meant by several rules at once gets one message.
            event.delivery = " · ".join(counts.get(key, ())) or self.env._(
                "With another message"
            )
