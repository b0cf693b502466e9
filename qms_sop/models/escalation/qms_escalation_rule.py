from odoo import api, fields, models
from odoo.exceptions import ValidationError

from odoo.addons.qms_error_code.tools.durations import format_minutes

from ...tools.escalation import Rule

CONDITIONS = [
    ("not_acknowledged", "not acknowledged"),
    ("not_mitigated", "not mitigated"),
    ("not_resolved", "not resolved"),
    ("at_risk", "at risk"),
    ("breached", "breached"),
]
# Conditions that are about a clock, and not about the time since the beginning
_OF_CLOCK = ("at_risk", "breached")
CLOCKS = [
    ("any", "any clock"),
    ("response", "response"),
    ("mitigation", "mitigation"),
    ("resolution", "resolution"),
]
_STOPS = {
    "not_acknowledged": "acknowledged",
    "not_mitigated": "mitigated",
    "not_resolved": "resolved",
}
_STOPS_OF_CLOCK = {
    "any": "resolved",
    "response": "acknowledged",
    "mitigation": "mitigated",
    "resolution": "resolved",
}
MOST_REPETITIONS = 100


class QmsEscalationRule(models.Model):
    """Who is told, when, and until when."""

    _name = "qms.escalation.rule"
    _description = "Escalation rule"
    _inherit = ["qms.audit.mixin"]
    _order = "policy_id, sequence, minutes, id"
    _audit_root_path = "policy_id"
    _audit_ignored = frozenset({"since", "sequence"})

    policy_id = fields.Many2one(
        "qms.escalation.policy", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="policy_id.company_id", store=True)
    sequence = fields.Integer(default=50)
    active = fields.Boolean(default=True)
    level = fields.Integer(
        default=1, aggregator=None, help="1 for those who are told first."
    )
    minutes = fields.Integer(
        "After",
        help="Minutes since the run was detected, or since its clock was at risk or "
        "breached. Time on hold does not count.",
    )
    condition = fields.Selection(
        CONDITIONS,
        "If",
        required=True,
        default="not_acknowledged",
        help="Acknowledged: somebody took it on. Mitigated: users no longer suffer "
        "from it. Resolved: its cause was removed.",
    )
    clock = fields.Selection(
        CLOCKS, default="any", help="Which clock is at risk or breached."
    )
    stops_at = fields.Selection(
        [
            ("acknowledged", "Acknowledged"),
            ("mitigated", "Mitigated"),
            ("resolved", "Resolved"),
        ],
        "Until",
        compute="_compute_stops_at",
        store=True,
        readonly=False,
        required=True,
        precompute=True,
        help="From then on nobody is told any more.",
    )
    role_ids = fields.Many2many(
        "qms.role",
        "qms_escalation_rule_role",
        "rule_id",
        "role_id",
        "Roles",
        help="Whoever plays them when the time has come.",
    )
    user_ids = fields.Many2many(
        "res.users",
        "qms_escalation_rule_user",
        "rule_id",
        "user_id",
        "People",
        domain=[("share", "=", False)],
    )
    channel_ids = fields.Many2many(
        "qms.notification.channel",
        "qms_escalation_rule_channel",
        "rule_id",
        "channel_id",
        "Channels",
        help="Told besides the channels of the roles and those that subscribe to "
        "escalations.",
    )
    hours = fields.Selection(
        [
            ("severity", "As the severity says"),
            ("always", "At any hour"),
            ("own", "In their own hours"),
        ],
        required=True,
        default="severity",
        help="In their own hours: the minutes count in the working hours of the "
        "severity, else of the company, and people are told when they are at work.",
    )
    repeat_count = fields.Integer("Repeat", help="How often it is told again.")
    repeat_minutes = fields.Integer(
        "Every", default=30, help="Minutes between two tellings."
    )
    message = fields.Selection(
        [
            ("escalation", "Escalation"),
            ("update_due", "Stakeholder update is due"),
        ],
        required=True,
        default="escalation",
    )
    since = fields.Datetime(
        "In force since",
        required=True,
        readonly=True,
        copy=False,
        default=fields.Datetime.now,
        help="What was due before is not told afterwards.",
    )
    when = fields.Char(compute="_compute_when")
    told_words = fields.Char("Tells", compute="_compute_told_words")

    _minutes_positive = models.Constraint(
        "CHECK(minutes >= 0)", "“After” is a number of minutes from 0 up."
    )
    _repeat_sane = models.Constraint(
        f"CHECK(repeat_count BETWEEN 0 AND {MOST_REPETITIONS}"
        " AND (repeat_count = 0 OR repeat_minutes > 0))",
        f"“Repeat” is a number from 0 to {MOST_REPETITIONS}, “Every” a number of "
        "minutes from 1 up.",
    )
    _clock_named = models.Constraint(
        "CHECK(condition NOT IN ('at_risk', 'breached') OR clock IS NOT NULL)",
        "Say which clock is at risk or breached.",
    )

    # === Computes ===

    @api.depends("condition", "clock")
    def _compute_stops_at(self):
        for rule in self:
            rule.stops_at = (
                _STOPS_OF_CLOCK[rule.clock or "any"]
                if rule.condition in _OF_CLOCK
                else _STOPS.get(rule.condition, "resolved")
            )

    @api.depends("minutes", "condition", "clock", "repeat_count", "repeat_minutes")
    @api.depends_context("lang")
    def _compute_when(self):
        labels = {
            name: dict(self._fields[name]._description_selection(self.env))
            for name in ("condition", "clock")
        }
        for rule in self:
            after = format_minutes(self.env, rule.minutes)
            state = labels["condition"].get(rule.condition, "")
            if rule.condition in _OF_CLOCK:
                words = self.env._(
                    "%(clock)s %(state)s",
                    clock=labels["clock"].get(rule.clock, ""),
                    state=state,
                )
                words = (
                    self.env._("%(after)s after %(words)s", after=after, words=words)
                    if after
                    else words
                )
            elif after:
                words = self.env._(
                    "%(state)s after %(after)s", state=state, after=after
                )
            else:
                words = self.env._("at once, if %s", state)
            if rule.repeat_count:
                words = self.env._(
                    "%(words)s, then %(count)s × every %(interval)s",
                    words=words,
                    count=rule.repeat_count,
                    interval=format_minutes(self.env, rule.repeat_minutes),
                )
            rule.when = words

    @api.depends("role_ids.name", "user_ids.name", "channel_ids.name")
    def _compute_told_words(self):
        for rule in self:
            rule.told_words = ", ".join(
                [
                    *rule.role_ids.mapped("name"),
                    *rule.user_ids.mapped("name"),
                    *rule.channel_ids.mapped("name"),
                ]
            )

    @api.depends("when", "told_words")
    def _compute_display_name(self):
        for rule in self:
            rule.display_name = f"{rule.when}: {rule.told_words}"

    # === Constraints ===

    @api.constrains("role_ids", "user_ids", "channel_ids", "minutes", "condition")
    def _check_told(self):
        for rule in self:
            if not (rule.role_ids or rule.user_ids or rule.channel_ids):
                raise ValidationError(
                    self.env._(
                        "The rule “%(when)s” tells nobody: name a role, a person or a "
                        "channel.",
                        when=rule.when,
                    )
                )

    @api.constrains("role_ids", "policy_id", "company_id")
    def _check_company(self):
        for rule in self:
            for role in rule.role_ids:
                if role.company_id and role.company_id != rule.policy_id.company_id:
                    raise ValidationError(
                        self.env._(
                            "%(role)s is a role of %(company)s: a policy that names it "
                            "has to be of that company, too.",
                            role=role.name,
                            company=role.company_id.name,
                        )
                    )

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        rules = super().create([{**vals, "since": self._now()} for vals in vals_list])
        self.env["qms.escalation.policy"]._policies_changed()
        return rules

    def write(self, vals):
        told = {"role_ids", "user_ids", "channel_ids", "level", "message", "sequence"}
        if vals.keys() - told:
            vals = {**vals, "since": self._now()}
        result = super().write(vals)
        self.env["qms.escalation.policy"]._policies_changed()
        return result

    def unlink(self):
        result = super().unlink()
        self.env["qms.escalation.policy"]._policies_changed()
        return result

    # === Business ===

    @api.model
    def _now(self):
        return fields.Datetime.now()

    def _begin(self):
        """Let rules that were not in force count from now on."""
        if self:
            self.write({"since": self._now()})

    def _audit_name(self):
        return self.display_name

    def _spec(self):
        return Rule(
            id=self.id,
            policy_id=self.policy_id.id,
            level=self.level,
            condition=self.condition,
            clock=self.clock or "any",
            minutes=self.minutes,
            hours=self.hours,
            repeat_count=self.repeat_count,
            repeat_minutes=self.repeat_minutes,
            stops_at=self.stops_at,
            message=self.message,
            since=self.since,
            role_ids=tuple(self.role_ids.ids),
            user_ids=tuple(self.user_ids.ids),
            channel_ids=tuple(self.channel_ids.ids),
        )
