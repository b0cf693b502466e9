from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_error_code.models.qms_error_cause import FIX_TYPES

from ...tools.faults import at_field

_WHY_KEYS = {"question", "answer", "evidence"}


class QmsRca(models.Model):
    """The root-cause analysis of a run, by asking why until it hurts.

    It may be written after the run has ended; once confirmed it is sealed.
    """

    _name = "qms.rca"
    _description = "Root-cause analysis"
    _inherit = ["qms.state.mixin", "mail.thread", "mail.activity.mixin"]
    _order = "id desc"

    _initial_states = ("draft",)
    _transitions = {"draft": ("confirmed",)}
    _locked_states = ("confirmed",)
    _system_fields = frozenset({"name", "confirmed_by_id", "confirmed_on"})

    name = fields.Char("Analysis", readonly=True, copy=False)
    run_id = fields.Many2one(
        "qms.sop.run", required=True, index=True, ondelete="restrict", tracking=True
    )
    company_id = fields.Many2one(related="run_id.company_id", store=True, index=True)
    state = fields.Selection(
        [("draft", "Draft"), ("confirmed", "Confirmed")],
        required=True,
        default="draft",
        copy=False,
        tracking=True,
    )
    error_code_id = fields.Many2one(
        "qms.error.code", index=True, ondelete="restrict", tracking=True
    )
    why_ids = fields.One2many("qms.rca.why", "rca_id", "Five whys", copy=True)
    root_cause = fields.Text(tracking=True)
    cause_id = fields.Many2one(
        "qms.error.cause",
        "Known cause",
        index="btree_not_null",
        ondelete="restrict",
        tracking=True,
    )
    factor_ids = fields.One2many(
        "qms.rca.factor", "rca_id", "Contributing factors", copy=True
    )
    fix_type = fields.Selection(FIX_TYPES, tracking=True)
    fix = fields.Text(tracking=True)
    verification = fields.Text(help="How it was seen that the fix works.")
    confirmed_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    confirmed_on = fields.Datetime(readonly=True, copy=False)

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_not_system(vals)
            vals["name"] = self.env["ir.sequence"].next_by_code("qms.rca")
            if not vals.get("error_code_id") and vals.get("run_id"):
                run = self.env["qms.sop.run"].browse(vals["run_id"])
                vals["error_code_id"] = run.error_code_id.id
        analyses = super().create(vals_list)
        analyses.run_id._bump_version()
        return analyses

    def write(self, vals):
        result = super().write(vals)
        self.run_id._bump_version()
        return result

    def _prepare_transition(self, source, target, vals):
        for rca in self:
            if not (vals.get("root_cause") or rca.root_cause or "").strip():
                raise UserError(
                    self.env._(
                        "%(rca)s cannot be confirmed: the root cause is missing.",
                        rca=rca.display_name,
                    )
                )
        return {
            "confirmed_by_id": self.env.uid,
            "confirmed_on": fields.Datetime.now(),
        }

    def action_confirm(self):
        """Confirm and seal analyses that name a root cause."""
        self.write({"state": "confirmed"})
        return True

    def _check_editable(self):
        """Refuse to change the parts of a confirmed analysis."""
        for rca in self:
            if rca.state in self._locked_states:
                raise UserError(
                    self.env._(
                        "%(rca)s is %(state)s and can no longer be changed.",
                        rca=rca.display_name,
                        state=self._state_label(rca.state),
                    )
                )

    @api.model
    def _record(
        self,
        run,
        root_cause,
        error_code=None,
        contributing_factors=None,
        whys=None,
        fix_type=None,
        fix=None,
        verification=None,
        confirm=False,
    ):
        """Create an analysis from plain values (see ``qms.sop.run.record_rca``).

        :rtype: qms.rca record
        :raises ValidationError: naming the argument at fault
        """
        if not root_cause.strip():
            with at_field("root_cause"):
                raise ValidationError(
                    self.env._("Argument root_cause: say what the cause is.")
                )
        if fix_type and fix_type not in dict(FIX_TYPES):
            raise ValidationError(
                self.env._(
                    "Fix type %(fix_type)s is unknown. Accepted: %(accepted)s.",
                    fix_type=repr(fix_type),
                    accepted=", ".join(dict(FIX_TYPES)),
                )
            )
        if isinstance(contributing_factors, str):
            contributing_factors = contributing_factors.split(",")
        factors = [factor.strip() for factor in contributing_factors or []]
        with at_field("error_code"):
            code = error_code and self.env["qms.error.code"]._resolve(error_code)
        rca = self.create(
            {
                "run_id": run.id,
                "error_code_id": code.id if code else False,
                "root_cause": root_cause,
                "fix_type": fix_type or False,
                "fix": fix or False,
                "verification": verification or False,
                "factor_ids": [
                    fields.Command.create({"name": factor})
                    for factor in factors
                    if factor
                ],
                "why_ids": [
                    fields.Command.create(self._why_values(position, why))
                    for position, why in enumerate(whys or [], 1)
                ],
            }
        )
        if confirm:
            rca.action_confirm()
        return rca

    @api.model
    def _why_values(self, position, why):
        unknown = why.keys() - _WHY_KEYS
        if unknown or not why.get("question") or not why.get("answer"):
            raise ValidationError(
                self.env._(
                    "Why number %(position)s needs a question and an answer, and "
                    "may have evidence; got: %(keys)s.",
                    position=position,
                    keys=", ".join(sorted(map(str, why))) or self.env._("nothing"),
                )
            )
        return {
            "sequence": position,
            **{key: str(value) for key, value in why.items() if value},
        }

    def _to_rpc(self):
        self.ensure_one()
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "run_id": self.run_id.id,
            "error_code": self.error_code_id.name or False,
        }
