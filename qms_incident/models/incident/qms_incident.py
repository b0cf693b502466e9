from datetime import datetime, timedelta

import pytz

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.fields import BlankFloat

# What to users is still the same outage; until then they are promised updates.
HURTING_STATES = ("detected", "triaged", "mitigated")
# What is over, and can be learned from
OVER_STATES = ("resolved", "reviewed", "closed")
# Nothing happened, or it is told by another incident.
VOID_STATES = ("duplicate", "false_positive")
OPEN_STATES = (*HURTING_STATES, "resolved", "reviewed")
FINAL_STATES = ("closed", *VOID_STATES)
# When a state was reached; those it goes back behind are blank again.
STAMPS = {
    "triaged": "triaged_at",
    "mitigated": "mitigated_at",
    "resolved": "resolved_at",
    "reviewed": "reviewed_at",
    **dict.fromkeys(FINAL_STATES, "closed_at"),
}
DETECTION_METHODS = [
    ("monitoring", "Monitoring"),
    ("health_check", "Health check"),
    ("user", "Report of a user"),
    ("team", "Somebody of the team"),
    ("other", "Otherwise"),
]
YES_NO = [("yes", "Yes"), ("no", "No")]
_EARLIEST = datetime(1970, 1, 2)
# A clock that is a little ahead is no lie.
_TOLERANCE = timedelta(minutes=1)


class QmsIncident(models.Model):
    """What happened to users, from its detection until it is closed.

    Runs are how an SOP was executed meanwhile; an incident has any number of them.
    """

    _name = "qms.incident"
    _description = "Incident"
    _inherit = [
        "qms.api.mixin",
        "qms.state.mixin",
        "mail.thread",
        "mail.activity.mixin",
        "qms.audit.mixin",
    ]
    _order = "detected_at desc, id desc"
    _check_company_auto = True

    _initial_states = ("detected",)
    # Forward only as far as it is true: what is resolved at once was never mitigated.
    # Going back to triaged is a reopening.
    _transitions = {
        "detected": ("triaged", "duplicate", "false_positive"),
        "triaged": ("mitigated", "resolved", "duplicate", "false_positive"),
        "mitigated": ("resolved", "triaged", "duplicate", "false_positive"),
        "resolved": ("reviewed", "triaged"),
        "reviewed": ("closed", "triaged"),
    }
    _locked_states = FINAL_STATES
    _unlocked_fields = frozenset({"active", "run_ids", "child_ids"})
    _system_fields = frozenset(
        {
            "name",
            "day",
            "first_error",
            "reviewed_at",
            "closed_at",
            "reopen_count",
            "lock_version",
            "next_update_at",
            "override_reason",
            "override_missing",
        }
    )
    # Its number is never given out again.
    _deletable_states = ()

    # What follows from the severity and the updates is told by these.
    _audit_ignored = frozenset(
        {"lock_version", "day", "reopen_count", "next_update_at"}
    )
    _audit_reasons = ("state_reason",)
    _audit_began = "detected_at"
    _audit_reached = STAMPS
    _audit_initial = {"state": "detected"}

    name = fields.Char("Number", readonly=True, copy=False, index="btree")
    title = fields.Char(required=True, tracking=True)
    state = fields.Selection(
        [
            ("detected", "Detected"),
            ("triaged", "Triaged"),
            ("mitigated", "Mitigated"),
            ("resolved", "Resolved"),
            ("reviewed", "Reviewed"),
            ("closed", "Closed"),
            ("duplicate", "Duplicate"),
            ("false_positive", "False positive"),
        ],
        required=True,
        default="detected",
        copy=False,
        index=True,
        tracking=True,
        group_expand="_group_expand_state",
    )
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    day = fields.Date(
        readonly=True, copy=False, help="Of the detection, by the company's clock."
    )
    severity_id = fields.Many2one(
        "qms.severity", index=True, ondelete="restrict", tracking=True
    )
    severity = fields.Char(related="severity_id.code", string="Severity code")
    category_id = fields.Many2one(
        "qms.error.category", index=True, ondelete="restrict", tracking=True
    )
    error_code_id = fields.Many2one(
        "qms.error.code", "Error code", index=True, ondelete="restrict", tracking=True
    )
    system_ids = fields.Many2many(
        "qms.incident.system", string="Affected systems", tracking=True
    )
    description = fields.Text(help="What users or systems experienced.")
    first_error = fields.Text(
        "First error",
        readonly=True,
        copy=False,
        help="The first error that a run of the incident met.",
    )
    user_id = fields.Many2one(
        "res.users",
        "Responsible",
        default=lambda self: self.env.user,
        index=True,
        tracking=True,
    )
    state_reason = fields.Text(
        "Reason",
        copy=False,
        tracking=True,
        help="Why it was reopened, or is a false positive.",
    )

    detection_method = fields.Selection(DETECTION_METHODS, "Detected through")
    detected_by = fields.Char(
        "Noticed by", help="The monitor or the person that noticed it."
    )
    detection_faster = fields.Selection(
        YES_NO, "Could it have been detected sooner?", copy=False
    )
    detection_note = fields.Text("How", copy=False)

    occurred_at = fields.Datetime(
        "Began", copy=False, tracking=True, help="Blank as long as nobody knows."
    )
    detected_at = fields.Datetime(
        "Detected",
        required=True,
        default=fields.Datetime.now,
        copy=False,
        index=True,
        tracking=True,
    )
    triaged_at = fields.Datetime("Triaged at", copy=False)
    mitigated_at = fields.Datetime("Mitigated at", copy=False)
    resolved_at = fields.Datetime("Resolved at", copy=False)
    reviewed_at = fields.Datetime("Reviewed at", readonly=True, copy=False)
    closed_at = fields.Datetime("Closed at", readonly=True, copy=False)
    reopen_count = fields.Integer("Reopened", readonly=True, copy=False)
    time_to_detect = BlankFloat(
        compute="_compute_durations",
        store=True,
        aggregator="avg",
        help="Minutes from its beginning to its detection.",
    )
    time_to_acknowledge = BlankFloat(
        compute="_compute_durations",
        store=True,
        aggregator="avg",
        help="Minutes from the detection until somebody had assessed it (triage).",
    )
    time_to_mitigate = BlankFloat(
        compute="_compute_durations",
        store=True,
        aggregator="avg",
        help="Minutes from the detection until users no longer suffered from it.",
    )
    time_to_resolve = BlankFloat(
        compute="_compute_durations",
        store=True,
        aggregator="avg",
        help="Minutes from the detection until it was resolved.",
    )
    times_conflict = fields.Boolean(
        "Times contradict each other",
        compute="_compute_durations",
        store=True,
        help="Something is said to have happened before what led to it; the durations "
        "that follow from these times are left blank.",
    )

    run_ids = fields.One2many("qms.sop.run", "incident_id", "Runs")
    run_count = fields.Integer(compute="_compute_run_count")
    duplicate_of_id = fields.Many2one(
        "qms.incident",
        "Duplicate of",
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        tracking=True,
    )
    parent_id = fields.Many2one(
        "qms.incident",
        "Part of",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        tracking=True,
        help="The larger incident that this one belongs to.",
    )
    child_ids = fields.One2many("qms.incident", "parent_id", "Its parts")
    child_count = fields.Integer("Parts", compute="_compute_related_counts")
    duplicate_count = fields.Integer("Duplicates", compute="_compute_related_counts")

    _name_uniq = models.UniqueIndex("(company_id, name)", "The number is given out.")
    _open_idx = models.Index(
        "(company_id, id)"
        " WHERE state IN ('detected', 'triaged', 'mitigated', 'resolved', 'reviewed')"
    )

    # === Computes ===

    @api.depends("name", "title")
    def _compute_display_name(self):
        for incident in self:
            parts = (incident.name, incident.title)
            incident.display_name = " ".join(filter(None, parts))

    @api.model
    def _search_display_name(self, operator, value):
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented
        return Domain("name", operator, value) | Domain("title", operator, value)

    @api.depends(
        "occurred_at", "detected_at", "triaged_at", "mitigated_at", "resolved_at"
    )
    def _compute_durations(self):
        for incident in self:
            conflict = False
            for field, begin, end in (
                ("time_to_detect", "occurred_at", "detected_at"),
                ("time_to_acknowledge", "detected_at", "triaged_at"),
                ("time_to_mitigate", "detected_at", "mitigated_at"),
                ("time_to_resolve", "detected_at", "resolved_at"),
            ):
                minutes = False
                if incident[begin] and incident[end]:
                    minutes = (incident[end] - incident[begin]).total_seconds() / 60
                    if minutes < 0:
                        minutes, conflict = False, True
                incident[field] = minutes
            mitigated, resolved = incident.mitigated_at, incident.resolved_at
            if mitigated and resolved and resolved < mitigated:
                # Which of the two is wrong, nobody can tell.
                incident.time_to_mitigate = incident.time_to_resolve = False
                conflict = True
            incident.times_conflict = conflict

    def _compute_run_count(self):
        counts = dict(
            self.env["qms.sop.run"]._read_group(
                Domain("incident_id", "in", self.ids), ["incident_id"], ["__count"]
            )
        )
        for incident in self:
            incident.run_count = counts.get(incident, 0)

    def _compute_related_counts(self):
        for field, name in (
            ("child_count", "parent_id"),
            ("duplicate_count", "duplicate_of_id"),
        ):
            counts = dict(
                self._read_group(Domain(name, "in", self.ids), [name], ["__count"])
            )
            for incident in self:
                incident[field] = counts.get(incident, 0)

    @api.model
    def _group_expand_state(self, states, domain):
        """Show each state that an incident goes through, and what else there is."""
        shown = {*OPEN_STATES, *states}
        return [
            code for code, _label in self._fields["state"].selection if code in shown
        ]

    # === Constraints ===

    @api.constrains("title")
    def _check_title(self):
        for incident in self:
            if not incident.title.strip():
                with at_field("title"):
                    raise ValidationError(
                        self.env._("title: it is empty; say what happens, in a line.")
                    )

    @api.constrains("severity_id", "state")
    def _check_severity(self):
        for incident in self:
            if not incident.severity_id and incident.state in OPEN_STATES[1:]:
                with at_field("severity"):
                    raise ValidationError(
                        self.env._(
                            "severity: %s has been triaged; it cannot be blank.",
                            incident.name,
                        )
                    )

    @api.constrains(
        "occurred_at", "detected_at", "triaged_at", "mitigated_at", "resolved_at"
    )
    def _check_times(self):
        latest = fields.Datetime.now() + _TOLERANCE
        for incident in self:
            for name in ("occurred_at", "detected_at", *set(STAMPS.values())):
                self._check_plausible(name, incident[name])
                if incident[name] and incident[name] > latest:
                    with at_field(name):
                        raise ValidationError(
                            self.env._(
                                "%(field)s: %(time)s UTC is in the future.",
                                field=name,
                                time=incident[name],
                            )
                        )

    @api.constrains("duplicate_of_id")
    def _check_duplicate(self):
        for incident in self:
            first = incident.duplicate_of_id
            if first == incident or first.state == "duplicate":
                raise ValidationError(
                    self.env._(
                        "duplicate_of: %(incident)s cannot be a duplicate of "
                        "%(first)s; name an incident that is none itself.",
                        incident=incident.name,
                        first=first.name,
                    )
                )

    @api.constrains("parent_id")
    def _check_parent(self):
        if self._has_cycle():
            raise ValidationError(
                self.env._("parent: an incident cannot be a part of itself.")
            )

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        defaults = self.default_get(["company_id", "detected_at"])
        places = {}
        for position, vals in enumerate(vals_list):
            self._check_not_system(vals)
            for name, value in defaults.items():
                vals[name] = vals.get(name) or value
            self._classify_by_code(vals)
            company = self.env["res.company"].browse(vals["company_id"])
            detected = fields.Datetime.to_datetime(vals["detected_at"])
            self._check_plausible("detected_at", detected)
            vals["day"] = self._local_day(company, detected)
            places.setdefault((company.id, vals["day"]), []).append(position)
        # All creators in the same order, lest two wait for each other.
        for (company_id, day), positions in sorted(places.items()):
            # sudo: nobody but this method gives out numbers.
            numbers = self.env["qms.incident.number"].sudo()
            taken = numbers._take(company_id, day, len(positions))
            for position, number in zip(positions, taken, strict=True):
                vals_list[position]["name"] = f"INC-{day:%Y%m%d}-{number:03d}"
        return super().create(vals_list)

    def write(self, vals):
        if vals.get("error_code_id"):
            vals = dict(vals)
            if not any(self.mapped("severity_id")) and not any(
                self.mapped("category_id")
            ):
                self._classify_by_code(vals)
        if "company_id" in vals and set(self.company_id.ids) - {vals["company_id"]}:
            raise UserError(
                self.env._("An incident stays with the company that its number is of.")
            )
        return super().write(vals)

    @api.model
    def _check_plausible(self, name, moment):
        """Refuse a time that nobody can mean."""
        if moment and moment < _EARLIEST:
            with at_field(name):
                raise ValidationError(
                    self.env._(
                        "%(field)s: %(time)s is too long ago; times from %(earliest)s "
                        "on are accepted.",
                        field=name,
                        time=moment.isoformat(),
                        earliest=_EARLIEST.date(),
                    )
                )

    @api.model
    def _local_day(self, company, moment):
        """Return the day of a moment where a company is.

        :param company: res.company record
        :param datetime moment: naive, in UTC
        :rtype: datetime.date
        """
        zone = pytz.timezone(self._zone(company))
        return pytz.utc.localize(moment).astimezone(zone).date()

    @api.model
    def _zone(self, company):
        """Return the time zone of a company: that of its working hours.

        :rtype: str
        """
        # sudo: a number does not depend on who may see the working hours.
        return company.sudo().resource_calendar_id.tz or "UTC"

    @api.model
    def _classify_by_code(self, vals):
        """Take severity and category from the error code, unless given."""
        if not vals.get("error_code_id"):
            return
        code = self.env["qms.error.code"].browse(vals["error_code_id"])
        vals["severity_id"] = vals.get("severity_id") or code.severity_id.id
        vals["category_id"] = vals.get("category_id") or code.category_id.id

    # === State machine ===

    def _prepare_transition(self, source, target, vals):
        extra = {}
        reopened = target == "triaged" and source != "detected"
        if reopened:
            extra = dict.fromkeys(("mitigated_at", "resolved_at", "reviewed_at"), False)
        elif not vals.get(STAMPS[target]):
            extra = {STAMPS[target]: fields.Datetime.now()}
        reason = (vals.get("state_reason") or "").strip()
        if (reopened or target == "false_positive") and not reason:
            with at_field("reason"):
                raise UserError(
                    self.env._(
                        "%(incident)s: say why it goes from %(current)s to %(target)s "
                        "(reason).",
                        incident=self[0].display_name,
                        current=self._state_label(source),
                        target=self._state_label(target),
                    )
                )
        if target == "triaged" and not reopened:
            self._check_triage(vals)
        if target == "duplicate":
            for incident in self:
                if not (vals.get("duplicate_of_id") or incident.duplicate_of_id):
                    with at_field("duplicate_of"):
                        raise UserError(
                            self.env._(
                                "%s: say which incident it is a duplicate of "
                                "(duplicate_of).",
                                incident.display_name,
                            )
                        )
        if target == "closed":
            self._check_closing()
        return extra

    def _check_triage(self, vals):
        """Refuse a triage that has not found out how severe it is."""
        for incident in self:
            if not (vals.get("severity_id") or incident.severity_id):
                with at_field("severity"):
                    raise UserError(
                        self.env._(
                            "%s cannot be triaged: the severity is missing.",
                            incident.display_name,
                        )
                    )

    def _check_closing(self):
        """Refuse to close incidents of which something is missing."""

    def _after_transition(self, source, target):
        result = super()._after_transition(source, target)
        if target == "triaged" and source != "detected":
            for incident in self:
                incident._write_system({"reopen_count": incident.reopen_count + 1})
        return result

    # === Buttons ===

    def action_triage(self):
        """Note that the incident has been assessed."""
        self.write({"state": "triaged"})
        return True

    def action_mitigate(self):
        """Note that users no longer suffer from it."""
        self.write({"state": "mitigated"})
        return True

    def action_resolve(self):
        """Note that it is resolved."""
        self.write({"state": "resolved"})
        return True

    def action_review(self):
        """Note that it has been reviewed."""
        self.write({"state": "reviewed"})
        return True

    def action_close(self):
        """Close incidents of which nothing is missing."""
        self.write({"state": "closed"})
        return True

    def action_view_runs(self):
        """Open the run of the incident, or the list of several."""
        self.ensure_one()
        if len(self.run_ids) == 1:
            return self.run_ids._open_record(self.run_ids)
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_run_action"
        )
        action["domain"] = [("incident_id", "=", self.id)]
        action["context"] = {}
        return action

    def action_start_run(self):
        """Open the dialog that starts a run because of the incident."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_run_start_action"
        )
        action["context"] = {
            "default_incident_id": self.id,
            "default_summary": self.title,
            "default_error_code_id": self.error_code_id.id,
            "default_category_id": self.category_id.id,
            "default_severity_id": self.severity_id.id,
            "default_occurred_at": self.occurred_at,
            "default_detected_at": self.detected_at,
        }
        return action

    def action_view_parts(self):
        """Open the list of the incidents that are parts of this one."""
        return self._view_related("parent_id")

    def action_view_duplicates(self):
        """Open the list of the incidents that repeat this one."""
        return self._view_related("duplicate_of_id")

    def _view_related(self, name):
        """Return the action that lists the incidents that name this one in a field."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_incident.qms_incident_action"
        )
        action["domain"] = [(name, "=", self.id)]
        action["context"] = {}
        return action

    def _open_form(self):
        """Return the action that opens the form of one incident."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
        }
