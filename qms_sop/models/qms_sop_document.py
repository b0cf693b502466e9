import re

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import ormcache

MANAGER_GROUP = "qms_error_code.group_qms_manager"

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

    _initial_states = ("draft",)
    _transitions = {
        "draft": ("in_review",),
        "in_review": ("draft", "approved"),
        "approved": ("superseded", "obsolete"),
    }
    _locked_states = ("in_review", "approved", "superseded", "obsolete")
    _unlocked_fields = frozenset({"rejection_reason", "review_date"})
    _system_fields = frozenset({"approved_by_id", "approved_on", "revision"})

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
    approved_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    approved_on = fields.Datetime(readonly=True, copy=False)
    effective_date = fields.Date(
        copy=False, help="Empty: the day on which the revision is approved."
    )
    review_date = fields.Date("Next review", copy=False, tracking=True)
    change_summary = fields.Text(copy=False, help="What this revision changes.")
    rejection_reason = fields.Text(readonly=True, copy=False)
    purpose = fields.Text()
    scope = fields.Text()
    trigger_ids = fields.One2many("qms.sop.trigger", "document_id", copy=True)
    prerequisite_ids = fields.One2many("qms.sop.prerequisite", "document_id", copy=True)
    step_ids = fields.One2many("qms.sop.step", "document_id", copy=True)
    error_code_ids = fields.Many2many(
        "qms.error.code", string="Error codes", help="The errors this SOP handles."
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
        return super().create(vals_list)

    def copy_data(self, default=None):
        default = dict(default or {})
        vals_list = super().copy_data(default)
        for document, vals in zip(self, vals_list, strict=True):
            if "version" not in default and vals.get("code") == document.code:
                vals["version"] = document._next_version("minor")
        return vals_list

    def _prepare_transition(self, source, target, vals):
        prepare = getattr(self, f"_prepare_{target}", None)
        return prepare(source, vals) if prepare else {}

    def _prepare_draft(self, source, vals):
        if not (vals.get("rejection_reason") or "").strip():
            raise UserError(
                self.env._("To send a revision back, say why (rejection_reason).")
            )
        self._check_is_manager()
        return {}

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
        return {"rejection_reason": False}

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
            # ISO 9001:2015 7.5.2 c: review and approval by another person.
            if document.author_id == self.env.user:
                raise UserError(
                    self.env._(
                        "%(sop)s: its author (%(author)s) cannot approve it. "
                        "Ask another manager.",
                        sop=document.display_name,
                        author=document.author_id.name,
                    )
                )
            document._supersede_effective()
            if not document.effective_date:
                document._write_system(
                    {"effective_date": fields.Date.context_today(self)}
                )
        return {"approved_by_id": self.env.uid, "approved_on": fields.Datetime.now()}

    def _supersede_effective(self):
        """Retire the revision that this one replaces, before it does."""
        self.ensure_one()
        effective = self.search(
            Domain("code", "=", self.code)
            & Domain("company_id", "=", self.company_id.id)
            & Domain("state", "=", "approved")
            & Domain("id", "!=", self.id)
        )
        if effective:
            effective.write({"state": "superseded"})
            # The unique index on approved revisions looks at rows, not at the cache.
            effective.flush_recordset()

    def _prepare_superseded(self, source, vals):
        self._check_is_manager()
        return {"active": False}

    def _prepare_obsolete(self, source, vals):
        self._check_is_manager()
        return {"active": False}

    def _check_is_manager(self):
        if not self.env.user.has_group(MANAGER_GROUP):
            raise AccessError(
                self.env._(
                    "Only a QMS manager approves, rejects or retires an SOP revision."
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

    def action_new_revision(self):
        """Copy a revision into a draft with the next minor version.

        :return: the action that opens the draft
        :rtype: dict
        """
        self.ensure_one()
        draft = self.copy({"previous_id": self.id})
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": draft.id,
            "view_mode": "form",
        }

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
        numbers = max(
            (*map(int, document.version.split(".")), 0, 0)[:3] for document in known
        )
        position = ("major", "minor", "patch").index(part)
        bumped = [*numbers[:position], numbers[position] + 1, 0, 0][:3]
        return ".".join(map(str, bumped))

    @api.model
    def _effective(self, code):
        """Return the revision that runs of a code are opened on.

        :param str code: an SOP code, such as ``SOP-TRIAGE-001``
        :return: the approved revision, the company's own before a shared one
        :raises ValidationError: for an unknown code, with the known ones; and
            for a code without an approved revision, with the ones there are
        """
        document = self.search_fetch(
            Domain("code", "=", code) & Domain("state", "=", "approved"),
            ["state", "company_id"],
            limit=1,
        )
        if document:
            return document
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
