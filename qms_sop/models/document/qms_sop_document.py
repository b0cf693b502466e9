import re

from psycopg2.errors import UniqueViolation

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessError, ConcurrencyError, UserError, ValidationError
from odoo.fields import Command, Domain
from odoo.tools import ormcache, str2bool

from odoo.addons.qms_error_code.tools.durations import format_minutes

AUTHOR_GROUP = "qms_error_code.group_qms_author"
MANAGER_GROUP = "qms_error_code.group_qms_manager"
# System parameter: "False" lets authors approve what they wrote.
FOUR_EYES = "qms_sop.four_eyes"
REVIEW_ACTIVITY = "qms_sop.mail_activity_type_review"

# Who looks after a revision, and when: managers arrange it, also when the
# revision itself can no longer be changed.
_STEWARDSHIP = frozenset(
    {
        "responsible_id",
        "reviewer_ids",
        "review_interval",
        "review_date",
        "acknowledge_group_id",
    }
)

_CODE = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)*")
_VERSION = re.compile(r"\d+(\.\d+){0,2}")


class QmsSopDocument(models.Model):
    """One revision of a standard operating procedure.

    Revisions of an SOP share ``code``; at most one of them is approved per
    code and company, which the database guarantees. An approved revision never
    changes again, so a run points at its steps and copies no text
    (ISO 9001:2015, 7.5.3).
    """

    _name = "qms.sop.document"
    _description = "SOP revision"
    _inherit = ["qms.state.mixin", "mail.thread", "mail.activity.mixin"]
    # search([("code", "=", X)], limit=1) has to give the effective revision,
    # a company's own before the shared one: SOP-TRIAGE-001 relies on it.
    _order = "code, effective desc, company_id, revision desc, id desc"
    _rec_names_search = ["code", "name"]
    _check_company_auto = True
    # Who reads an SOP finds its mistakes, and may say so.
    _mail_post_access = "read"

    _initial_states = ("draft",)
    _transitions = {
        "draft": ("in_review",),
        "in_review": ("draft", "approved"),
        "approved": ("superseded", "obsolete"),
    }
    _locked_states = ("in_review", "approved", "superseded", "obsolete")
    _unlocked_fields = _STEWARDSHIP | {"rejection_reason"}
    _system_fields = frozenset(
        {
            "approved_by_id",
            "approved_on",
            "revision",
            "contributor_ids",
            "content_hash",
            "source_digest",
            "reviewed_by_ids",
            "last_reviewed_on",
            "last_reviewed_by_id",
        }
    )
    # What a revision says; lines, steps and links to other records add to it.
    _content_fields = (
        "code",
        "version",
        "name",
        "owner",
        "classification",
        "effective_date",
        "purpose",
        "scope",
        "change_summary",
    )

    code = fields.Char(required=True, index=True, tracking=True)
    version = fields.Char(required=True, default="1.0.0", tracking=True)
    revision = fields.Integer(
        readonly=True,
        copy=False,
        aggregator=None,
        help="Counts the revisions of one code: 1, 2, 3, …",
    )
    name = fields.Char("Title", required=True, tracking=True)
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("in_review", "In review"),
            ("approved", "Approved"),
            ("superseded", "Superseded"),
            ("obsolete", "Obsolete"),
        ],
        required=True,
        default="draft",
        copy=False,
        index=True,
        tracking=True,
        group_expand="_expand_states",
    )
    effective = fields.Boolean(
        compute="_compute_effective",
        store=True,
        help="This is the revision that runs are opened on.",
    )
    active = fields.Boolean(default=True, copy=False)
    owner = fields.Char(help="The team that answers for this SOP.", tracking=True)
    classification = fields.Char(help="What kind of procedure this is.")
    author_id = fields.Many2one(
        "res.users",
        default=lambda self: self.env.user,
        copy=False,
        tracking=True,
        help="Who wrote this revision; somebody else approves it.",
    )
    contributor_ids = fields.Many2many(
        "res.users",
        "qms_sop_document_contributor_rel",
        "document_id",
        "user_id",
        "Contributors",
        readonly=True,
        copy=False,
        help="Everybody who wrote or changed this revision; none of them approves it.",
    )
    responsible_id = fields.Many2one(
        "res.users",
        default=lambda self: self._default_responsible_id(),
        domain=lambda self: [("all_group_ids", "in", self.env.ref(AUTHOR_GROUP).id)],
        tracking=True,
        help="Who answers for this SOP, and is asked to review it in time.",
    )
    reviewer_ids = fields.Many2many(
        "res.users",
        "qms_sop_document_reviewer_rel",
        "document_id",
        "user_id",
        "Reviewers",
        domain=lambda self: [("all_group_ids", "in", self.env.ref(AUTHOR_GROUP).id)],
        tracking=True,
        help="Who has to look at this revision before it can be approved.",
    )
    approved_by_id = fields.Many2one(
        "res.users", "Approved by", readonly=True, copy=False
    )
    approved_on = fields.Datetime("Approved on", readonly=True, copy=False)
    effective_date = fields.Date(
        "Effective date",
        copy=False,
        help="Empty: the day on which the revision is approved.",
    )
    review_date = fields.Date("Next review", copy=False, tracking=True)
    change_summary = fields.Text(copy=False, help="What this revision changes.")
    rejection_reason = fields.Text(readonly=True, copy=False)
    purpose = fields.Text()
    scope = fields.Text()
    trigger_ids = fields.One2many(
        "qms.sop.trigger", "document_id", "Triggers", copy=True
    )
    prerequisite_ids = fields.One2many(
        "qms.sop.prerequisite", "document_id", "Prerequisites", copy=True
    )
    step_ids = fields.One2many("qms.sop.step", "document_id", "Steps", copy=True)
    error_code_ids = fields.Many2many(
        "qms.error.code",
        string="Error codes",
        ondelete="restrict",
        help="The errors this SOP handles.",
    )
    related_ids = fields.Many2many(
        "qms.sop.document",
        "qms_sop_document_related_rel",
        "document_id",
        "related_id",
        "Related SOPs",
        check_company=True,
        ondelete="restrict",
        context={"active_test": False},
        help="The SOPs that this one refers to.",
    )
    related_effective_ids = fields.Many2many(
        "qms.sop.document",
        string="Related SOPs as they are now",
        compute="_compute_related_effective_ids",
        help="The effective revisions of the related SOPs, where there are such.",
    )
    related_from_ids = fields.Many2many(
        "qms.sop.document",
        string="Referred to by",
        compute="_compute_related_from_ids",
        help="The SOPs that refer to any revision of this one.",
    )
    previous_id = fields.Many2one(
        "qms.sop.document", "Previous revision", readonly=True, copy=False
    )
    company_id = fields.Many2one(
        "res.company", index=True, help="Empty: every company uses this SOP."
    )
    run_ids = fields.One2many("qms.sop.run", "sop_id", readonly=True)
    run_count = fields.Integer(compute="_compute_run_count")
    step_count = fields.Integer(compute="_compute_step_figures")
    expected_duration = fields.Integer(
        compute="_compute_step_figures",
        help="Minutes, summed over the steps that state a time.",
    )

    _version_uniq = models.UniqueIndex(
        "(code, version, COALESCE(company_id, 0))",
        "This SOP already has a revision with that version.",
    )
    _effective_uniq = models.UniqueIndex(
        "(code, COALESCE(company_id, 0)) WHERE state = 'approved'",
        "An SOP can have only one approved revision at a time.",
    )

    @api.depends("state")
    def _compute_effective(self):
        for document in self:
            document.effective = document.state == "approved"

    @api.model
    def _expand_states(self, states, domain):
        """Return the states that stand on a board in the order of a life."""
        known = [state for state, _label in self._fields["state"].selection]
        always = ("draft", "in_review", "approved")
        return [state for state in known if state in always or state in states]

    @api.model
    def _default_responsible_id(self):
        return self.env.user if self.env.uid != SUPERUSER_ID else False

    @api.depends("related_ids")
    def _compute_related_effective_ids(self):
        effective = {
            (document.code, document.company_id): document
            for document in self.search_fetch(
                Domain("code", "in", self.related_ids.mapped("code"))
                & Domain("state", "=", "approved"),
                ["code", "company_id"],
            )
        }
        for document in self:
            document.related_effective_ids = self.browse().union(
                *(
                    effective.get((related.code, related.company_id), related)
                    for related in document.related_ids
                )
            )

    @api.depends("code")
    def _compute_related_from_ids(self):
        referring = self.search(
            Domain("related_ids.code", "in", self.mapped("code"))
            & Domain("state", "!=", "superseded")
        )
        for document in self:
            document.related_from_ids = self.browse(
                other.id
                for other in referring
                if document.code in other.related_ids.mapped("code")
            )

    def _compute_run_count(self):
        counts = dict(
            self.env["qms.sop.run"]._read_group(
                Domain("sop_id", "in", self.ids), ["sop_id"], ["__count"]
            )
        )
        for document in self:
            document.run_count = counts.get(document, 0)

    @api.depends("step_ids.expected_duration")
    def _compute_step_figures(self):
        figures = {
            document: (count, minutes)
            for document, count, minutes in self.env["qms.sop.step"]._read_group(
                Domain("document_id", "in", self.ids),
                ["document_id"],
                ["__count", "expected_duration:sum"],
            )
        }
        for document in self:
            document.step_count, document.expected_duration = figures.get(
                document, (0, 0)
            )

    @api.depends("code", "version", "name")
    def _compute_display_name(self):
        for document in self:
            document.display_name = (
                f"{document.code} {document.version} · {document.name}"
                if document.code
                else document.name
            )

    @api.constrains("code")
    def _check_code(self):
        for document in self:
            if not _CODE.fullmatch(document.code):
                raise ValidationError(
                    self.env._(
                        "SOP code %(code)s: use capital letters and digits, in "
                        "parts joined by hyphens, such as SOP-TRIAGE-001.",
                        code=repr(document.code),
                    )
                )

    @api.constrains("version")
    def _check_version(self):
        for document in self:
            if not _VERSION.fullmatch(document.version):
                raise ValidationError(
                    self.env._(
                        "SOP version %(version)s: use one to three numbers "
                        "joined by dots, such as 1.0.0.",
                        version=repr(document.version),
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_not_system(vals)
        codes = {vals.get("code") for vals in vals_list if vals.get("code")}
        latest = dict(
            self.with_context(active_test=False)._read_group(
                Domain("code", "in", list(codes)), ["code"], ["revision:max"]
            )
        )
        for vals in vals_list:
            code = vals.get("code")
            vals["revision"] = latest[code] = (latest.get(code) or 0) + 1
            if self.env.uid != SUPERUSER_ID:
                vals["contributor_ids"] = [Command.link(self.env.uid)]
        return super().create(vals_list)

    def write(self, vals):
        # Who may not write at all is told that first.
        self.check_access("write")
        if "rejection_reason" in vals and vals.get("state") != "draft":
            raise UserError(
                self.env._(
                    "rejection_reason: it is given when a revision is sent back."
                )
            )
        if _STEWARDSHIP & vals.keys() and any(
            document.state != "draft" for document in self
        ):
            self._check_is_manager()
        if vals.keys() & self._content_links():
            self._note_change()
        return super().write(vals)

    @api.model
    def _content_links(self):
        """Return the names of the fields whose writing is authoring.

        :rtype: set[str]
        """
        return {
            *self._content_fields,
            *self._part_fields(),
            "error_code_ids",
            "related_ids",
        }

    def _note_change(self):
        """Note that what these revisions say is about to change."""
        self._note_contributor()

    def _note_contributor(self):
        """Remember that the user had a hand in these drafts."""
        if self.env.uid == SUPERUSER_ID:
            return
        for document in self:
            if document.state == "draft" and (
                self.env.user not in document.contributor_ids
            ):
                document._write_system(
                    {"contributor_ids": [Command.link(self.env.uid)]}
                )

    def copy_data(self, default=None):
        default = dict(default or {})
        vals_list = super().copy_data(default)
        for document, vals in zip(self, vals_list, strict=True):
            if "version" not in default and vals.get("code") == document.code:
                vals["version"] = document._next_version("minor")
        return vals_list

    def copy(self, default=None):
        copies = super().copy(default)
        for document, duplicate in zip(self, copies, strict=True):
            steps = document.step_ids.sorted()
            if not steps.choice_ids.next_step_id:
                continue
            # A choice leads to a step of its own revision.
            twin_of = dict(zip(steps, duplicate.step_ids.sorted(), strict=True))
            for step, twin in twin_of.items():
                for choice, copied in zip(
                    step.choice_ids.sorted(), twin.choice_ids.sorted(), strict=True
                ):
                    if choice.next_step_id:
                        copied.next_step_id = twin_of[choice.next_step_id]
        return copies

    def _prepare_transition(self, source, target, vals):
        prepare = getattr(self, f"_prepare_{target}", None)
        return prepare(source, vals) if prepare else {}

    def _prepare_draft(self, source, vals):
        if not (vals.get("rejection_reason") or "").strip():
            raise UserError(
                self.env._("To send a revision back, say why (rejection_reason).")
            )
        self._check_may_send_back()
        return {}

    def _check_may_send_back(self):
        self._check_is_manager()

    def _prepare_in_review(self, source, vals):
        for document in self:
            missing = document._missing_for_review()
            if missing:
                raise UserError(
                    self.env._(
                        "%(sop)s is not ready for review. Missing: %(missing)s.",
                        sop=document.display_name,
                        missing=", ".join(missing),
                    )
                )
            document._check_reviewers()
            document._write_system({"content_hash": document._content_hash()})
        return {"rejection_reason": False}

    def _check_reviewers(self):
        """Refuse reviewers who would look at their own work."""
        self.ensure_one()
        judges = self.reviewer_ids & (self.contributor_ids | self.author_id)
        if judges and self._four_eyes():
            raise UserError(
                self.env._(
                    "%(sop)s: %(people)s wrote or changed this revision and cannot "
                    "review it. Name other reviewers.",
                    sop=self.display_name,
                    people=", ".join(judges.mapped("name")),
                )
            )

    def _missing_for_review(self):
        """Return what this revision lacks before it can be reviewed.

        :rtype: list[str]
        """
        self.ensure_one()
        missing = []
        if not (self.purpose or "").strip():
            missing.append(self.env._("purpose"))
        if not (self.owner or "").strip():
            missing.append(self.env._("owner"))
        if not self.step_ids:
            missing.append(self.env._("at least one step"))
        return missing

    def _prepare_approved(self, source, vals):
        self._check_is_manager()
        for document in self:
            document._check_four_eyes()
            document._supersede_effective()
            dates = {}
            if not document.effective_date:
                dates["effective_date"] = fields.Date.context_today(self)
            if not document.review_date:
                dates["review_date"] = document._next_review_date(
                    dates.get("effective_date") or document.effective_date
                )
            document._write_system(dates)
        return {"approved_by_id": self.env.uid, "approved_on": fields.Datetime.now()}

    @api.model
    def _four_eyes(self):
        """Tell whether approval by somebody else is asked for (by default, yes)."""
        parameters = self.env["ir.config_parameter"].sudo()  # managers read no others
        return str2bool(parameters.get_param(FOUR_EYES, "True"), True)

    def _check_four_eyes(self):
        """Refuse the approval of a revision by those who wrote it.

        ISO 9001:2015 7.5.2 c asks for review and approval; that a second person
        gives them is the setting "four eyes".

        :raises UserError: naming the revision and what to do
        """
        self.ensure_one()
        user = self.env.user
        if not self._four_eyes():
            return
        if self.author_id == user:
            raise UserError(
                self.env._(
                    "%(sop)s: its author (%(author)s) cannot approve it. "
                    "Ask another manager.",
                    sop=self.display_name,
                    author=user.name,
                )
            )
        if user in self.contributor_ids:
            raise UserError(
                self.env._(
                    "%(sop)s: %(user)s changed this revision and cannot approve it. "
                    "Ask another manager.",
                    sop=self.display_name,
                    user=user.name,
                )
            )

    def _supersede_effective(self):
        """Retire the revision that this one replaces, before it does."""
        self.ensure_one()
        effective = self.search(
            Domain("code", "=", self.code)
            & Domain("company_id", "=", self.company_id.id)
            & Domain("state", "=", "approved")
            & Domain("id", "!=", self.id)
        )
        if not effective:
            return
        if self._version_numbers() < effective._version_numbers():
            raise UserError(
                self.env._(
                    "%(sop)s is older than the effective revision %(version)s, and "
                    "cannot replace it. Make a new revision of that one instead.",
                    sop=self.display_name,
                    version=effective.version,
                )
            )
        effective.write({"state": "superseded"})
        # The unique index on approved revisions looks at rows, not at the cache.
        effective.flush_recordset()

    def _prepare_superseded(self, source, vals):
        self._check_is_manager()
        return {"active": False}

    def _prepare_obsolete(self, source, vals):
        self._check_is_manager()
        return {"active": False}

    def _after_transition(self, source, target):
        match target:
            case "in_review":
                self._ask_reviewers()
            case "draft":
                self._tell_authors()
            case "approved":
                self._flush_approval()
                self.activity_feedback(
                    [REVIEW_ACTIVITY], feedback=self.env._("Approved.")
                )
            case "superseded" | "obsolete":
                # Nobody has to read or review what is no longer in force.
                self.activity_ids.filtered("automated").unlink()

    def _ask_reviewers(self, people=None):
        """Ask people to look at these revisions; by default, their reviewers."""
        for document in self:
            for reviewer in document.reviewer_ids if people is None else people:
                document.activity_schedule(
                    REVIEW_ACTIVITY,
                    summary=self.env._("Review version %s", document.version),
                    user_id=reviewer.id,
                )

    def _tell_authors(self):
        """Send the reason back to the author; it stays in the history for good."""
        self.activity_feedback([REVIEW_ACTIVITY], feedback=self.env._("Sent back."))
        for document in self:
            document.message_post(
                body=self.env._("Sent back: %s", document.rejection_reason),
                partner_ids=document.author_id.partner_id.ids,
            )

    def _flush_approval(self):
        """Meet another approval of the same SOP here rather than at the commit.

        :raises ConcurrencyError: Odoo runs the whole call again, which then
            supersedes the revision that was approved meanwhile
        """
        try:
            self.flush_recordset()
        except UniqueViolation as error:
            if error.diag.constraint_name != "qms_sop_document_effective_uniq":
                raise
            raise ConcurrencyError(str(error)) from error

    def _check_is_manager(self):
        if not self.env.user.has_group(MANAGER_GROUP):
            raise AccessError(
                self.env._(
                    "Only a QMS manager approves, rejects or retires an SOP revision, "
                    "and arranges who looks after it."
                )
            )

    def _check_editable(self):
        """Refuse to change the parts of a revision that is no draft.

        :raises UserError: naming the revision and the way to change it
        """
        for document in self:
            if document.state != "draft":
                raise UserError(
                    self.env._(
                        "%(sop)s is %(state)s and can no longer be changed. "
                        "Make a new revision instead.",
                        sop=document.display_name,
                        state=self._state_label(document.state),
                    )
                )

    def action_submit(self):
        """Send drafts to review."""
        self.write({"state": "in_review"})
        return True

    def action_approve(self):
        """Approve reviewed revisions; each supersedes the effective one."""
        self.write({"state": "approved"})
        return True

    def reject(self, reason):
        """Send revisions in review back to their author.

        :param str reason: what has to change
        """
        self.write({"state": "draft", "rejection_reason": reason})
        return True

    def action_obsolete(self):
        """Retire approved revisions without a successor."""
        self.write({"state": "obsolete"})
        return True

    def action_view_runs(self):
        """Open the runs of this revision."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_run_action"
        )
        action["domain"] = [("sop_id", "=", self.id)]
        action["context"] = {}
        return action

    def action_start_run(self):
        """Open the wizard that starts a run of this revision."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_run_start_action"
        )
        action["context"] = {"default_sop_id": self.id}
        return action

    @api.model
    def _duration_text(self, minutes):
        """Return a number of minutes as people say it: 7200 is "5 days"."""
        return format_minutes(self.env, minutes)

    def _next_version(self, part):
        """Return the version after the highest one of this code.

        :param str part: ``major``, ``minor`` or ``patch``
        :rtype: str
        """
        self.ensure_one()
        known = self.with_context(active_test=False).search_fetch(
            Domain("code", "=", self.code)
            & Domain("company_id", "=", self.company_id.id),
            ["version"],
        )
        numbers = max(document._version_numbers() for document in known)
        position = ("major", "minor", "patch").index(part)
        bumped = [*numbers[:position], numbers[position] + 1, 0, 0][:3]
        return ".".join(map(str, bumped))

    def _version_numbers(self):
        """Return the version for comparing: ``1.2`` is ``(1, 2, 0)``."""
        self.ensure_one()
        return (*map(int, self.version.split(".")), 0, 0)[:3]

    @api.model
    def _effective(self, code):
        """Return the revision that runs of a code are opened on.

        :param str code: an SOP code, such as ``SOP-TRIAGE-001``
        :return: the approved revision, the company's own before a shared one
        :raises ValidationError: for an unknown code, with the known ones; and
            for a code without an approved revision, with the ones there are
        """
        found = self.search_fetch(
            Domain("code", "=", code)
            & Domain("state", "=", "approved")
            # For a scheduled job, to which no record rule applies
            & Domain("company_id", "in", [False, *self.env.companies.ids]),
            # What opening a run looks at, all in one query
            ["state", "company_id", "acknowledge_group_id"],
            # At most one each: only several have to be put in order.
            order="id",
        )
        if found:
            return found.sorted()[:1]
        revisions = self.with_context(active_test=False).search(
            Domain("code", "=", code)
        )
        if revisions:
            raise ValidationError(
                self.env._(
                    "SOP %(code)s has no approved revision, and runs are opened "
                    "only on approved ones (there are: %(revisions)s).",
                    code=code,
                    revisions=", ".join(
                        f"{revision.version} {revision.state}" for revision in revisions
                    ),
                )
            )
        known = self.search_fetch(
            Domain("state", "=", "approved"), ["code"], limit=20
        ).mapped("code")
        raise ValidationError(
            self.env._(
                "There is no SOP with the code %(code)s. Approved SOPs: %(known)s.",
                code=repr(code),
                known=", ".join(dict.fromkeys(known)) or self.env._("none"),
            )
        )

    @ormcache("self.id")
    def _outline(self):
        """Return what every run of this approved revision needs to know.

        Safe to cache without ever being invalidated, because an approved
        revision does not change.

        :return: ``(code, version, title, steps)``, where ``steps`` is a tuple
            of ``(step id, sequence, number, name, mandatory)`` in order
        :rtype: tuple
        """
        self.ensure_one()
        document = self.sudo()  # the caller has read access to a run of it
        steps = document.step_ids.sorted()
        return (
            document.code,
            document.version,
            document.name,
            tuple(
                (step.id, step.sequence, step.number, step.name, step.mandatory)
                for step in steps
            ),
        )

    @api.model
    def _approve_from_data(self, document_id):
        """Approve a revision that an add-on ships (from its data files).

        Shipped SOPs have no author in this database; the system approves them
        when the add-on is installed. Does nothing when already done.

        :param int document_id: a draft
        """
        document = self.with_user(SUPERUSER_ID).browse(document_id)
        if document.state == "draft":
            document.author_id = False
            document.action_submit()
            document.action_approve()
        return True
