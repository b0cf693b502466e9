from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_sop.tools.faults import at_field

from ..incident.qms_incident import VOID_STATES

KINDS = [("full", "Full"), ("quick", "Quick")]
ON_TIME = [("yes", "Yes"), ("no", "No")]


class QmsPostmortem(models.Model):
    """What is learned from an incident: written, reviewed, published, and then sealed.

    One for each incident. Its sections are those of the templates of the runbooks; what
    nobody has written stays blank.
    """

    _name = "qms.postmortem"
    _description = "Post-mortem"
    _inherit = [
        "qms.api.mixin",
        "qms.state.mixin",
        "mail.thread",
        "mail.activity.mixin",
        "qms.audit.mixin",
    ]
    _order = "id desc"

    _initial_states = ("draft",)
    _transitions = {
        "draft": ("in_review",),
        "in_review": ("published", "draft"),
    }
    # What people review is what is published.
    _locked_states = ("in_review", "published")
    _system_fields = frozenset(
        {
            "scheduled_at",
            "published_at",
            "published_by_id",
            "review_waiver",
            "lock_version",
        }
    )
    # It is part of an incident's history from the first moment on.
    _deletable_states = ()

    _audit_ignored = frozenset({"lock_version"})
    _audit_reasons = ("state_reason",)
    _audit_reached = {"published": "published_at"}
    _audit_initial = {"state": "draft"}

    incident_id = fields.Many2one(
        "qms.incident", required=True, index=True, ondelete="restrict", copy=False
    )
    company_id = fields.Many2one(related="incident_id.company_id", store=True)
    severity_id = fields.Many2one(related="incident_id.severity_id")
    severity = fields.Char(related="incident_id.severity", string="Severity code")
    name = fields.Char(compute="_compute_name", store=True, index="trigram")
    title = fields.Char(required=True, tracking=True)
    kind = fields.Selection(
        KINDS,
        "Form",
        required=True,
        default="full",
        tracking=True,
        help="The quick form is for minor incidents: issue, cause, fix, prevention.",
    )
    state = fields.Selection(
        [("draft", "Draft"), ("in_review", "In review"), ("published", "Published")],
        required=True,
        default="draft",
        copy=False,
        index=True,
        tracking=True,
        group_expand=True,
    )
    state_reason = fields.Text(
        "Reason", copy=False, tracking=True, help="Why it was taken back to draft."
    )

    # What it says; Markdown
    summary = fields.Text(help="What happened, in a paragraph.")
    timeline = fields.Text(
        help="Blank: the timeline of the incident, as it is when it is published."
    )
    root_cause = fields.Text()
    factors = fields.Text(
        "Contributing factors",
        help="What made it worse, or easier to happen; one a line.",
    )
    why_ids = fields.One2many("qms.postmortem.why", "postmortem_id", "Five whys")
    impact = fields.Text(help="Users, operations, data, compliance and cost.")
    resolution = fields.Text(help="What was done, and so the fix.")
    verification = fields.Text(help="How it was seen that the fix works.")
    detection = fields.Text(help="How it was noticed, how soon; could it be sooner?")
    went_well = fields.Text("What went well")
    went_wrong = fields.Text("What went wrong")
    lucky = fields.Text("Where we got lucky")
    knowledge = fields.Text("Knowledge gained")
    preventive_measures = fields.Text()
    follow_up = fields.Text("Follow-up")
    action_ids = fields.One2many("qms.action", "postmortem_id", "Raised actions")

    # Who writes and reviews it, and by when
    author_id = fields.Many2one(
        "res.users",
        "Author",
        index=True,
        tracking=True,
        domain=lambda self: self.env["qms.action"]._domain_people(),
    )
    participant_ids = fields.One2many(
        "qms.postmortem.participant", "postmortem_id", "Participants"
    )
    meeting_at = fields.Datetime(
        "Meeting", tracking=True, copy=False, help="When people talk about it."
    )
    scheduled_at = fields.Datetime(
        "Scheduled on", readonly=True, copy=False, help="When the meeting was arranged."
    )
    schedule_due = fields.Datetime(
        "To be scheduled by", related="incident_id.postmortem_schedule_due", store=True
    )
    due_at = fields.Datetime(
        "To be published by",
        related="incident_id.postmortem_due",
        store=True,
        index="btree_not_null",
    )
    published_at = fields.Datetime("Published on", readonly=True, copy=False)
    published_by_id = fields.Many2one(
        "res.users", "Published by", readonly=True, copy=False
    )
    review_waiver = fields.Text(
        "Published without every review",
        readonly=True,
        copy=False,
        help="Why a manager published it although reviews were missing.",
    )
    scheduled_on_time = fields.Selection(
        ON_TIME,
        compute="_compute_on_time",
        store=True,
        help="Blank as long as it is not known, or where nothing is due.",
    )
    published_on_time = fields.Selection(
        ON_TIME,
        compute="_compute_on_time",
        store=True,
        help="Blank as long as it is not known, or where nothing is due.",
    )

    _incident_uniq = models.Constraint(
        "UNIQUE(incident_id)", "The incident has a post-mortem already."
    )

    # === Computes ===

    @api.depends("incident_id.name")
    def _compute_name(self):
        for postmortem in self:
            # The number is part of it, so it is not translated.
            postmortem.name = f"Post-mortem {postmortem.incident_id.name or ''}".strip()

    @api.depends("scheduled_at", "schedule_due", "published_at", "due_at")
    def _compute_on_time(self):
        for postmortem in self:
            for name, done, due in (
                ("scheduled_on_time", "scheduled_at", "schedule_due"),
                ("published_on_time", "published_at", "due_at"),
            ):
                done, due = postmortem[done], postmortem[due]
                known = done and due
                postmortem[name] = known and ("yes" if done <= due else "no")

    # === Constraints ===

    @api.constrains("title")
    def _check_title(self):
        for postmortem in self:
            if not postmortem.title.strip():
                with at_field("title"):
                    raise ValidationError(
                        self.env._("title: it is empty; say what happened, in a line.")
                    )

    @api.constrains("kind", "incident_id")
    def _check_kind(self):
        for postmortem in self:
            if postmortem.kind == "quick" and postmortem.incident_id._is_grave():
                with at_field("kind"):
                    raise ValidationError(
                        self.env._(
                            "kind: %s is critical or high, and needs the full form "
                            "(full).",
                            postmortem.incident_id.display_name,
                        )
                    )

    @api.constrains("incident_id")
    def _check_incident(self):
        for postmortem in self:
            incident = postmortem.incident_id
            if incident.state in VOID_STATES:
                with at_field("incident"):
                    raise ValidationError(
                        self.env._(
                            "incident: %(incident)s is a %(state)s; there is nothing "
                            "to learn from it.",
                            incident=incident.display_name,
                            state=incident._state_label(incident.state).lower(),
                        )
                    )

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        now = fields.Datetime.now()
        for vals in vals_list:
            self._check_not_system(vals)
            if vals.get("incident_id"):
                # Whoever may not see the incident is not told of it.
                incident = self.env["qms.incident"].browse(vals["incident_id"])
                vals["title"] = vals.get("title") or incident.title
                vals["author_id"] = vals.get("author_id") or self._author(incident).id
            if vals.get("meeting_at"):
                vals["scheduled_at"] = now
        postmortems = super().create(vals_list)
        for incident in postmortems.incident_id:
            incident._bump_version()
        postmortems.filtered("meeting_at")._after_scheduling()
        return postmortems

    def write(self, vals):
        if "incident_id" in vals and self.incident_id.ids != [vals["incident_id"]]:
            raise UserError(
                self.env._("A post-mortem stays with the incident that it is about.")
            )
        result = super().write(vals)
        if "meeting_at" in vals:
            self._note_scheduling()
        return result

    @api.model
    def _author(self, incident):
        """Return who writes the post-mortem of an incident, unless that is said.

        :param incident: qms.incident record
        :return: the user, where that is somebody who works incidents; else who led the
            response
        :rtype: res.users record, or an empty one
        """
        people = (self.env.user, incident.commander_id, incident.user_id)
        fitting = (
            user
            for user in people
            if user and incident._is_person(user) and incident._can_be_assigned(user)
        )
        return next(fitting, self.env["res.users"])

    def _note_scheduling(self):
        """Note when a meeting was first arranged; without one, never."""
        for postmortem in self:
            arranged = bool(postmortem.meeting_at)
            if arranged != bool(postmortem.scheduled_at):
                now = fields.Datetime.now()
                postmortem._write_system({"scheduled_at": arranged and now})
                if arranged:
                    postmortem._after_scheduling()

    def _after_scheduling(self):
        """Do what follows from arranging the meeting, in the same transaction."""

    def _check_unlocked(self, vals):
        unlocked = set()
        if set(self.mapped("state")) == {"in_review"}:
            unlocked = {"participant_ids", "meeting_at"}
            if vals.get("state") == "draft":
                unlocked.add("state_reason")
        return super()._check_unlocked(
            {name: value for name, value in vals.items() if name not in unlocked}
        )

    def _check_editable(self, part, states=_locked_states):
        """Refuse to change the parts of what is reviewed or published.

        :param str part: the field that has them
        :param states: in which they cannot be changed
        """
        for postmortem in self:
            if postmortem.state in states:
                raise UserError(
                    self.env._(
                        "%(postmortem)s is %(state)s: its %(part)s can no longer be "
                        "changed.",
                        postmortem=postmortem.display_name,
                        state=self._state_label(postmortem.state).lower(),
                        part=self._fields[part]._description_string(self.env).lower(),
                    )
                )
