from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from ...tools.access import can_open
from ...tools.faults import at_field
from ...tools.fields import BlankInteger

KINDS = [
    ("corrective", "Corrective"),
    ("preventive", "Preventive"),
    ("improvement", "Improvement"),
]
TYPES = [
    ("code", "Code"),
    ("configuration", "Configuration"),
    ("automation", "Automation"),
    ("monitoring", "Monitoring"),
    ("testing", "Testing"),
    ("documentation", "Documentation"),
    ("database", "Database"),
    ("infrastructure", "Infrastructure"),
    ("process", "Process"),
    ("training", "Training"),
    ("other", "Other"),
]
# Of the last day of each; the triage of improvements after an incident names them so.
HORIZONS = [
    ("immediate", "Immediate (0–7 days)"),
    ("short", "Short term (1–4 weeks)"),
    ("long", "Long term (1–3 months)"),
]
_LIMITS = {
    "immediate": relativedelta(days=7),
    "short": relativedelta(weeks=4),
    "long": relativedelta(months=3),
}
# The keys are what Odoo's stars are made of.
PRIORITIES = [("0", "Low"), ("1", "Medium"), ("2", "High"), ("3", "Critical")]
SOURCES = [
    ("run", "Run"),
    ("rca", "Root-cause analysis"),
    ("document", "SOP"),
    ("audit", "Audit"),
    ("other", "Other"),
]
ACTIVE_STATES = ("open", "in_progress", "reopened")
# System parameter: days after which it is checked whether an action worked.
CHECK_DAYS = "qms_sop.action_check_days"
DEFAULT_CHECK_DAYS = 30
# What the record that an action comes from is called in its reference, if there is none
_LOOSE_SOURCES = {"audit": "AUDIT", "other": "QMS"}


class QmsAction(models.Model):
    """What is done so that it does not happen again (CAPA).

    An action is done when somebody says what was done, and closed when somebody else
    has seen, some time later, that it worked, and signs that (ISO 9001, 10.2.1 d:
    review the effectiveness of any corrective action taken).
    """

    _name = "qms.action"
    _description = "Action"
    _inherit = [
        "qms.api.mixin",
        "qms.state.mixin",
        "qms.signed.mixin",
        "mail.thread",
        "mail.activity.mixin",
        "qms.audit.mixin",
    ]
    _order = "priority desc, due_date, id desc"
    _check_company_auto = True

    _initial_states = ("open",)
    _transitions = {
        "open": ("in_progress", "cancelled"),
        "in_progress": ("done", "cancelled"),
        "done": ("verified", "reopened"),
        "verified": ("reopened",),
        "reopened": ("in_progress", "cancelled"),
    }
    _locked_states = ("done", "verified", "cancelled")
    # Its number is taken from the first moment on.
    _deletable_states = ()
    _system_fields = frozenset(
        {
            "reference",
            "number",
            "lock_version",
            "raised_on",
            "done_on",
            "done_by_id",
            "verified_on",
            "verified_by_id",
            "reopened_count",
            "company_id",
        }
    )
    _audit_ignored = frozenset(
        {"number", "raised_on", "reopened_count", "lock_version"}
    )
    _audit_began = "raised_on"
    _audit_initial = {"state": "open"}
    _audit_reasons = ("state_reason",)

    name = fields.Char("Action", required=True, tracking=True)
    reference = fields.Char(
        readonly=True, copy=False, help="Unique: the source, and the number there."
    )
    number = fields.Char(readonly=True, copy=False, help="Counted for each source.")
    description = fields.Text(help="What is to be done, and why.")
    state = fields.Selection(
        [
            ("open", "Open"),
            ("in_progress", "In progress"),
            ("reopened", "Reopened"),
            ("done", "Done, to be checked"),
            ("verified", "Effective"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="open",
        copy=False,
        index=True,
        tracking=True,
        group_expand=True,
    )
    active = fields.Boolean(default=True)
    kind = fields.Selection(
        KINDS,
        required=True,
        default="corrective",
        tracking=True,
        help="Corrective: against the cause of what happened. Preventive: against what "
        "could happen. Improvement: makes it better still.",
    )
    action_type = fields.Selection(TYPES, "Type", tracking=True)
    priority = fields.Selection(PRIORITIES, required=True, default="1", tracking=True)
    horizon = fields.Selection(HORIZONS, required=True, default="short", tracking=True)
    user_id = fields.Many2one(
        "res.users",
        "Owner",
        default=lambda self: self._default_user_id(),
        domain=lambda self: self._domain_people(),
        index=True,
        tracking=True,
        help="Who answers for its being done.",
    )
    manager_id = fields.Many2one(
        "res.users",
        "Escalated to",
        domain=lambda self: self._domain_people(),
        tracking=True,
        help="Who is told when it stays undone; empty: the QMS managers.",
    )
    raised_on = fields.Datetime(
        "Raised", readonly=True, copy=False, default=fields.Datetime.now
    )
    due_date = fields.Date(
        "Due",
        required=True,
        default=lambda self: fields.Date.context_today(self) + _LIMITS["short"],
        tracking=True,
    )

    # Where it comes from
    source_type = fields.Selection(SOURCES, "Source", required=True, default="other")
    run_id = fields.Many2one(
        "qms.sop.run", "Run", index="btree_not_null", ondelete="restrict"
    )
    rca_id = fields.Many2one(
        "qms.rca", "Analysis", index="btree_not_null", ondelete="restrict"
    )
    document_id = fields.Many2one(
        "qms.sop.document",
        "SOP",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    source_note = fields.Char(
        "Which", help="What it comes from, where that is no record: an audit's finding."
    )
    source_name = fields.Char("Raised from", compute="_compute_source_name")
    error_code_id = fields.Many2one(
        "qms.error.code", index="btree_not_null", ondelete="restrict", tracking=True
    )
    cause_id = fields.Many2one(
        "qms.error.cause",
        "Known cause",
        index="btree_not_null",
        ondelete="restrict",
        tracking=True,
        help="What it is to do away with; found again, it reopens the action.",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        copy=False,
        index=True,
        default=lambda self: self.env.company,
    )

    # How it ended
    result = fields.Text("What was done", copy=False, tracking=True)
    done_on = fields.Datetime(readonly=True, copy=False, tracking=True)
    done_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    state_reason = fields.Text(
        "Reason",
        copy=False,
        tracking=True,
        help="Why it was cancelled or reopened.",
    )
    reopened_count = fields.Integer("Times reopened", readonly=True, copy=False)

    # Whether it worked
    check_criteria = fields.Text(
        "How to tell", help="What will show that the action has worked."
    )
    check_days = fields.Integer(
        "Checked after",
        default=lambda self: self._default_check_days(),
        help="Days from its being done until it is checked whether it worked.",
    )
    check_date = fields.Date(
        "Check due",
        compute="_compute_check_date",
        store=True,
        readonly=False,
        copy=False,
        tracking=True,
    )
    check_user_id = fields.Many2one(
        "res.users",
        "Checked by",
        domain=lambda self: self._domain_people(),
        tracking=True,
        help="Who looks whether it worked; never the owner, nor who did it.",
    )
    effectiveness = fields.Text("What shows that it worked", copy=False, tracking=True)
    verified_on = fields.Datetime("Found effective", readonly=True, copy=False)
    verified_by_id = fields.Many2one(
        "res.users", "Found effective by", readonly=True, copy=False
    )

    # Computed
    next_date = fields.Date(
        "Deadline",
        compute="_compute_next_date",
        store=True,
        help="The due date; of what is done, the day of the check.",
    )
    days_left = BlankInteger(compute="_compute_days_left", aggregator=None)
    overdue = fields.Boolean(compute="_compute_days_left", search="_search_overdue")
    beyond_horizon = fields.Boolean(compute="_compute_beyond_horizon")
    times_contradict = fields.Boolean(
        compute="_compute_days_to_done",
        store=True,
        help="It was done before it was raised, or a clock was wrong.",
    )
    days_to_done = BlankInteger(
        compute="_compute_days_to_done",
        store=True,
        aggregator="avg",
        help="Days from its being raised to its being done.",
    )

    _reference_uniq = models.UniqueIndex(
        "(reference)", "Each action has a reference of its own."
    )
    # As lists and the board are ordered
    _list_idx = models.Index("(priority DESC, due_date, id DESC)")
    _next_date_idx = models.Index("(next_date) WHERE next_date IS NOT NULL")
    _check_days_range = models.Constraint(
        "CHECK(check_days BETWEEN 0 AND 730)",
        "Whether an action worked is checked 0 to 730 days after it was done.",
    )

    # === Defaults ===

    @api.model
    def _default_user_id(self):
        """Return the user, where that is somebody who works actions off."""
        user = self.env.user
        robot = user.has_group("qms_error_code.group_qms_automation")
        works = user.has_group("qms_error_code.group_qms_operator")
        return user if works and not robot and not user._is_superuser() else False

    @api.model
    def _default_check_days(self):
        return positive_parameter(self.env, CHECK_DAYS, DEFAULT_CHECK_DAYS)

    @api.model
    def _domain_people(self):
        group = self.env.ref("qms_error_code.group_qms_operator")
        return [("all_group_ids", "in", group.id)]

    # === Computes ===

    @api.depends("reference", "name")
    def _compute_display_name(self):
        for action in self:
            parts = (action.reference, action.name)
            action.display_name = " ".join(part for part in parts if part)

    @api.depends("reference", "number")
    def _compute_source_name(self):
        for action in self:
            known = action.source_type in self._source_fields()
            reference = action.reference or ""
            action.source_name = known and reference.removesuffix(f"/{action.number}")

    @api.depends("done_on", "check_days")
    def _compute_check_date(self):
        for action in self:
            action.check_date = (
                fields.Date.context_today(action, action.done_on)
                + timedelta(days=action.check_days)
                if action.done_on
                else False
            )

    @api.depends("state", "due_date", "check_date")
    def _compute_next_date(self):
        for action in self:
            if action.state in ACTIVE_STATES:
                action.next_date = action.due_date
            else:
                action.next_date = action.state == "done" and action.check_date

    @api.depends("next_date")
    def _compute_days_left(self):
        today = fields.Date.context_today(self)
        for action in self:
            left = (action.next_date - today).days if action.next_date else False
            action.days_left = left
            action.overdue = left is not False and left < 0

    @api.model
    def _search_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        late = Domain("next_date", "<", fields.Date.context_today(self))
        domain = Domain.FALSE
        if True in value:
            domain |= late
        if False in value:
            domain |= ~late | Domain("next_date", "=", False)
        return domain

    @api.depends("due_date", "horizon", "raised_on")
    def _compute_beyond_horizon(self):
        for action in self:
            raised = action.raised_on or fields.Datetime.now()
            action.beyond_horizon = bool(
                action.due_date
                and action.horizon
                and action.due_date > raised.date() + _LIMITS[action.horizon]
            )

    @api.depends("done_on", "raised_on")
    def _compute_days_to_done(self):
        for action in self:
            done, raised = action.done_on, action.raised_on
            # A clock that was put back makes no figure.
            action.times_contradict = bool(done and done < raised)
            action.days_to_done = (
                (done - raised).days if done and done >= raised else False
            )

    # === Constraints ===

    @api.constrains("user_id", "check_user_id", "manager_id")
    def _check_people(self):
        for action in self:
            if action.user_id and action.check_user_id == action.user_id:
                raise ValidationError(
                    self.env._(
                        "%(action)s: %(person)s owns the action; somebody else checks "
                        "whether it worked.",
                        action=action.display_name,
                        person=action.user_id.name,
                    )
                )
            for name in ("user_id", "check_user_id", "manager_id"):
                person = action[name]
                # Whoever is asked to act must be able to open it.
                if person and not can_open(action, person):
                    raise ValidationError(
                        self.env._(
                            "%(field)s: %(person)s cannot open %(action)s. Accepted: "
                            "people with a QMS role in %(company)s.",
                            field=self._fields[name]._description_string(self.env),
                            person=person.name,
                            action=action.display_name,
                            company=action.company_id.sudo().name,
                        )
                    )

    @api.constrains("name")
    def _check_name(self):
        for action in self:
            if not action.name.strip():
                with at_field("title"):
                    raise ValidationError(self.env._("Action: say what is to be done."))

    @api.constrains("due_date", "check_date")
    def _check_years(self):
        for action in self:
            for name in ("due_date", "check_date"):
                day = action[name]
                if day and not 2000 <= day.year < 2200:
                    with at_field(name):
                        raise ValidationError(
                            self.env._(
                                "%(field)s: %(day)s is not accepted; give a day of "
                                "the years 2000 to 2199.",
                                field=self._fields[name]._description_string(self.env),
                                day=day.isoformat(),
                            )
                        )

    @api.constrains("check_date", "done_on")
    def _check_check_date(self):
        for action in self:
            if bool(action.check_date) != bool(action.done_on):
                with at_field("check_date"):
                    raise ValidationError(
                        self.env._(
                            "%(action)s: what is done has a day on which it is "
                            "checked, and nothing else has.",
                            action=action.display_name,
                        )
                    )
            if action.check_date and action.check_date < action.done_on.date():
                with at_field("check_date"):
                    raise ValidationError(
                        self.env._(
                            "Check due: %(date)s is before the action was done "
                            "(%(done)s).",
                            date=action.check_date,
                            done=action.done_on.date(),
                        )
                    )

    # === Onchange ===

    @api.onchange("horizon")
    def _onchange_horizon(self):
        if self.horizon:
            self.due_date = fields.Date.context_today(self) + _LIMITS[self.horizon]

    @api.onchange("source_type")
    def _onchange_source_type(self):
        for kind, name in self._source_fields().items():
            if kind != self.source_type and self[name]:
                self[name] = False

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        self.check_access("create")
        for vals in vals_list:
            self._check_not_system(vals)
            self._fill_source_type(vals)
            self._fill_dates(vals)
        keys = []
        for vals, source in zip(vals_list, self._sources(vals_list), strict=True):
            # A form sends what is blank, too.
            for name, value in self._source_values(vals["source_type"], source).items():
                vals[name] = vals.get(name) or value
            keys.append(self._source_key(vals["source_type"], source))
        numbers = self.env["qms.action.counter"]._next(keys)
        for vals, key, number in zip(vals_list, keys, numbers, strict=True):
            vals["number"] = f"AI-{number:03d}"
            vals["reference"] = f"{key}/{vals['number']}"
        return super().create(vals_list)

    def write(self, vals):
        for name in ("source_type", *self._source_fields().values()):
            if name in vals and any(
                (action[name].id if name != "source_type" else action[name])
                != vals[name]
                for action in self
            ):
                raise UserError(
                    self.env._(
                        "An action stays with its source, which is in its reference. "
                        "Cancel it and raise another one instead."
                    )
                )
        if vals.get("state") == "reopened" and "due_date" not in vals:
            self._postpone()
        return super().write(vals)

    def _check_unlocked(self, vals):
        unlocked = set()
        target = vals.get("state")
        states = set(self.mapped("state"))
        if target == "reopened":
            unlocked = {"state_reason", "due_date"}
        elif target is None and states == {"done"}:
            unlocked = {"effectiveness", "check_date", "check_user_id"}
        return super()._check_unlocked(
            {name: value for name, value in vals.items() if name not in unlocked}
        )

    @api.model
    def _source_fields(self):
        """Return which field holds the record that each kind of source is.

        The most specific source first: an analysis belongs to a run as well.

        :return: ``{source type: field name}``
        :rtype: dict
        """
        return {"rca": "rca_id", "run": "run_id", "document": "document_id"}

    @api.model
    def _fill_source_type(self, vals):
        """Complete what kind of source a new action has.

        :param dict vals: of the new action; changed
        :raises ValidationError: when the source that is named is not there
        """
        known = self._source_fields()
        for name in ("source_type", *known.values()):
            default = self.env.context.get(f"default_{name}")
            if default:
                vals.setdefault(name, default)
        given = [kind for kind, name in known.items() if vals.get(name)]
        kind = vals.setdefault("source_type", given[0] if given else "other")
        if kind in known and kind not in given:
            field = self._fields[known[kind]]
            options = dict(self._fields["source_type"]._description_selection(self.env))
            raise ValidationError(
                self.env._(
                    "Source %(source)s: say which (%(field)s).",
                    source=options[kind],
                    field=field._description_string(self.env),
                )
            )
        if kind not in known and given:
            vals["source_type"] = given[0]

    @api.model
    def _sources(self, vals_list):
        """Return the records that new actions come from.

        :param list[dict] vals_list: of the new actions
        :return: a record for each of them, or ``None`` where there is no such record
        :rtype: list
        :raises ValidationError: when there is none that the user may see
        """
        known = self._source_fields()
        names = [known.get(vals["source_type"]) for vals in vals_list]
        found = {}
        for name in set(filter(None, names)):
            ids = {
                vals[name]
                for vals, own in zip(vals_list, names, strict=True)
                if own == name
            }
            model = self.env[self._fields[name].comodel_name]
            records = model.with_context(active_test=False).search(
                Domain("id", "in", list(ids))
            )
            if missing := ids - set(records.ids):
                with at_field(name):
                    raise ValidationError(
                        self.env._(
                            "%(field)s: there is none with the id %(id)s.",
                            field=self._fields[name]._description_string(self.env),
                            id=min(missing),
                        )
                    )
            found[name] = {record.id: record for record in records.with_env(self.env)}
        return [
            found[name][vals[name]] if name else None
            for vals, name in zip(vals_list, names, strict=True)
        ]

    @api.model
    def _source_values(self, kind, source):
        """Return what a new action takes over from its source, unless it is given.

        :param str kind: of the source
        :param source: its record, or ``None``
        :return: values of fields
        :rtype: dict
        """
        values = {"company_id": self.env.company.id}
        if source and source.company_id:
            values["company_id"] = source.company_id.id
        if kind == "rca":
            values |= {
                "run_id": source.run_id.id,
                "error_code_id": source.error_code_id.id,
                "cause_id": source.cause_id.id,
            }
        elif kind == "run":
            values["error_code_id"] = source.error_code_id.id
        return values

    @api.model
    def _source_key(self, kind, source):
        """Return what the source of a new action is called in its reference.

        :param str kind: of the source
        :param source: its record, or ``None``
        :rtype: str
        """
        if not source:
            return _LOOSE_SOURCES[kind]
        return source.code if kind == "document" else source.name

    @api.model
    def _fill_dates(self, vals):
        """Take the due date from the horizon, or the horizon from the due date."""
        today = fields.Date.context_today(self)
        due = fields.Date.to_date(vals.get("due_date"))
        if not due:
            horizon = vals.get("horizon") or "short"
            if horizon in _LIMITS:
                vals["due_date"] = today + _LIMITS[horizon]
        elif not vals.get("horizon"):
            fitting = (name for name, limit in _LIMITS.items() if due <= today + limit)
            vals["horizon"] = next(fitting, "long")

    # === State machine ===

    def _prepare_transition(self, source, target, vals):
        values = super()._prepare_transition(source, target, vals)
        now = fields.Datetime.now()
        if target == "done":
            self._check_said("result", vals, self.env._("say what was done"))
            values |= {"done_on": now, "done_by_id": self.env.uid}
        elif target == "verified":
            self._check_verifiable()
            for action in self:
                if not action._is_signed_by_user("verified"):
                    raise UserError(action._unsigned_message())
            values |= {"verified_on": now, "verified_by_id": self.env.uid}
        elif target in ("reopened", "cancelled"):
            self._check_said("state_reason", {"state_reason": False, **vals})
        if target == "reopened":
            # Nothing of how it had ended is true any more; the trail keeps it.
            values |= dict.fromkeys(
                (
                    "result",
                    "done_on",
                    "done_by_id",
                    "effectiveness",
                    "verified_on",
                    "verified_by_id",
                ),
                False,
            )
        return values

    def _after_transition(self, source, target):
        result = super()._after_transition(source, target)
        if target == "reopened":
            for action in self:
                count = action.reopened_count + 1
                action._write_system({"reopened_count": count})
        return result

    def _check_said(self, name, vals, missing=None):
        """Refuse a transition that nobody gives the words for.

        :param str name: the field that has to be filled
        :param dict vals: what is written
        :param str missing: what is missing; by default, a reason
        """
        for action in self:
            if not (vals.get(name, action[name]) or "").strip():
                raise UserError(
                    self.env._(
                        "%(action)s: %(missing)s (%(field)s).",
                        action=action.display_name,
                        missing=missing or self.env._("say why"),
                        field=self._fields[name]._description_string(self.env),
                    )
                )

    def _postpone(self):
        """Give actions that are taken up again a due date that can be kept."""
        for due, actions in self.grouped(lambda action: action._due_again()).items():
            late = actions.filtered(lambda action, due=due: action.due_date < due)
            if late:
                late._write_system({"due_date": due})

    def _due_again(self):
        """Return when an action is due once it is taken up again.

        :return: its due date, or counted anew by its horizon where that is past
        :rtype: datetime.date
        """
        today = fields.Date.context_today(self)
        if not self.due_date or self.due_date >= today:
            return self.due_date
        return today + _LIMITS[self.horizon]

    # === Buttons ===

    def action_start(self):
        """Take up actions that are open or were reopened."""
        self.write({"state": "in_progress"})
        return True

    def action_view_source(self):
        """Open what the action comes from.

        :return: the action, or ``False`` when the source is no record
        """
        self.ensure_one()
        name = self._source_fields().get(self.source_type)
        if not name:
            return False
        return {
            "type": "ir.actions.act_window",
            "res_model": self[name]._name,
            "res_id": self[name].id,
            "view_mode": "form",
        }

    # === Audit trail ===

    def _audit_name(self):
        return self.reference or ""


def positive_parameter(env, name, default):
    """Return a number of days that is set for everybody.

    :param odoo.api.Environment env: of any user
    :param str name: of the system parameter
    :param int default: where it is not set
    :rtype: int
    """
    value = env["ir.config_parameter"].sudo().get_param(name, "")
    return int(value) if value.isdecimal() and int(value) > 0 else default
