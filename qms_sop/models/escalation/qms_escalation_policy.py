from odoo import api, fields, models
from odoo.tools import ormcache

from ...tools.escalation import Policy


class QmsEscalationPolicy(models.Model):
    """For which runs somebody is told, and by which rules."""

    _name = "qms.escalation.policy"
    _description = "Escalation policy"
    _inherit = ["mail.thread", "qms.audit.mixin"]
    _order = "matrix_id, sequence, id"

    name = fields.Char(required=True, translate=True, tracking=True)
    matrix_id = fields.Many2one(
        "qms.escalation.matrix",
        "Matrix",
        required=True,
        index=True,
        ondelete="cascade",
        tracking=True,
    )
    matrix_active = fields.Boolean(related="matrix_id.active", string="In force")
    sequence = fields.Integer(
        default=50, help="In a matrix, policies are tried from the lowest up."
    )
    active = fields.Boolean(default=True, tracking=True)
    company_id = fields.Many2one(
        "res.company", index=True, tracking=True, help="Blank: runs of all companies."
    )
    severity_ids = fields.Many2many(
        "qms.severity",
        "qms_escalation_policy_severity",
        "policy_id",
        "severity_id",
        "Severities",
        tracking=True,
        help="Blank: any severity, and none.",
    )
    sop_code = fields.Char("SOP code", tracking=True)
    sop_id = fields.Many2one(
        "qms.sop.document",
        "SOP",
        compute="_compute_sop_id",
        inverse="_inverse_sop_id",
        domain=[("state", "=", "approved")],
        help="Blank: runs of any SOP. All revisions of it are meant.",
    )
    category_ids = fields.Many2many(
        "qms.error.category",
        "qms_escalation_policy_category",
        "policy_id",
        "category_id",
        "Categories",
        tracking=True,
    )
    error_code_ids = fields.Many2many(
        "qms.error.code",
        "qms_escalation_policy_error_code",
        "policy_id",
        "error_code_id",
        "Error codes",
        tracking=True,
    )
    words = fields.Char(
        tracking=True,
        help="Separated by commas: one of them occurs in the summary or the error code "
        "of the run, in any case and as a whole word.",
    )
    rule_ids = fields.One2many("qms.escalation.rule", "policy_id", "Rules", copy=True)
    fits = fields.Char("For", compute="_compute_fits")
    told = fields.Char("Tells", compute="_compute_told")
    vacant_role_ids = fields.Many2many(
        "qms.role",
        compute="_compute_vacant_role_ids",
        string="Roles that nobody holds",
    )
    event_count = fields.Integer("Escalations", compute="_compute_event_count")

    # === Computes ===

    @api.depends("sop_code")
    def _compute_sop_id(self):
        self.env["qms.alert.rule"]._find_sops(self)

    def _inverse_sop_id(self):
        for policy in self:
            policy.sop_code = policy.sop_id.code

    @api.depends(
        "severity_ids.name",
        "category_ids.name",
        "error_code_ids.name",
        "words",
        "sop_code",
        "company_id.name",
    )
    def _compute_fits(self):
        for policy in self:
            kinds = [
                *policy.category_ids.mapped("name"),
                *policy.error_code_ids.mapped("name"),
                *(f"“{word}”" for word in policy._split_words()),
            ]
            if len(kinds) > 6:
                kinds = [*kinds[:6], "…"]
            parts = [
                ", ".join(policy.severity_ids.mapped("name")),
                ", ".join(kinds),
                policy.sop_code,
                policy.company_id.name,
            ]
            policy.fits = " · ".join(filter(None, parts)) or self.env._("every run")

    @api.depends("rule_ids.told_words", "rule_ids.when")
    def _compute_told(self):
        for policy in self:
            policy.told = " → ".join(
                rule.told_words for rule in policy.rule_ids if rule.told_words
            )

    @api.depends("rule_ids.role_ids.vacant")
    def _compute_vacant_role_ids(self):
        for policy in self:
            policy.vacant_role_ids = policy.rule_ids.role_ids.filtered("vacant")

    def _compute_event_count(self):
        counts = dict(
            self.env["qms.escalation.event"]._read_group(
                [("policy_id", "in", self.ids)], ["policy_id"], ["__count"]
            )
        )
        for policy in self:
            policy.event_count = counts.get(policy, 0)

    # === Constraints ===

    @api.constrains("sop_code")
    def _check_sop_code(self):
        self.env["qms.alert.rule"]._check_sop_codes(self)

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        policies = super().create(vals_list)
        self._policies_changed()
        return policies

    def write(self, vals):
        result = super().write(vals)
        if vals.get("active"):
            self.rule_ids._begin()
        if vals.keys() - {"name"}:
            self._policies_changed()
        return result

    def unlink(self):
        result = super().unlink()
        self._policies_changed()
        return result

    # === Business ===

    def action_view_events(self):
        """Open what one policy has told."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_escalation_event_action"
        )
        return {**action, "domain": [("policy_id", "=", self.id)], "context": {}}

    @api.model
    def _policies_changed(self):
        """Have everything that depends on policies worked out anew."""
        self.env.registry.clear_cache()
        self.env["qms.escalation.review"]._ask()

    @api.model
    @ormcache()
    def _specs(self):
        """Return the policies in force, in their order.

        :rtype: tuple[Policy, ...]
        """
        # sudo: cached for all users, so it must not depend on the rights of the first.
        policies = self.sudo().search([("matrix_id.active", "=", True)])
        policies = policies.sorted(
            lambda policy: (policy.matrix_id.sequence, policy.matrix_id.id)
        )
        return tuple(policy._spec() for policy in policies if policy.rule_ids)

    def _spec(self):
        return Policy(
            id=self.id,
            matrix_id=self.matrix_id.id,
            company_id=self.company_id.id or 0,
            severity_ids=frozenset(self.severity_ids.ids),
            category_ids=frozenset(self.category_ids.ids),
            error_code_ids=frozenset(self.error_code_ids.ids),
            words=self._split_words(),
            sop_code=self.sop_code or "",
            rules=tuple(rule._spec() for rule in self.rule_ids),
        )

    def _split_words(self):
        words = (word.strip() for word in (self.words or "").split(","))
        return tuple(word for word in words if word)
