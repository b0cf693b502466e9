from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked

from ..tools.values import to_rfc3339

CLOSED_STATES = ("completed", "failed", "skipped")


class QmsSopRunStep(models.Model):
    """One step of one run; what to do stands in the SOP revision."""

    _name = "qms.sop.run.step"
    _description = "SOP run step"
    _inherit = ["qms.state.mixin", "qms.sop.run.part.mixin", "qms.duration.mixin"]
    _order = "run_id, sequence, id"

    _initial_states = ("pending", "in_progress")
    _transitions = {
        "pending": ("in_progress", "skipped"),
        "in_progress": ("completed", "failed", "skipped", "waiting"),
        "waiting": ("in_progress", "failed", "skipped"),
        # A second try: the errors of the first one stay on the run.
        "failed": ("in_progress",),
    }
    _deletable_states = ()
    _system_fields = frozenset({"user_id"})

    run_id = fields.Many2one(
        "qms.sop.run", required=True, index=True, ondelete="restrict"
    )
    step_id = fields.Many2one(
        "qms.sop.step", "Step", required=True, index=True, ondelete="restrict"
    )
    sequence = fields.Integer(readonly=True)
    number = fields.Integer(related="step_id.number")
    name = fields.Char(related="step_id.name", string="Step name")
    mandatory = fields.Boolean(related="step_id.mandatory")
    evidence_required = fields.Boolean(related="step_id.evidence_required")
    objective = fields.Text(related="step_id.objective")
    instructions_html = fields.Html(related="step_id.instructions_html")
    expected_result_html = fields.Html(related="step_id.expected_result_html")
    verification_html = fields.Html(related="step_id.verification_html")
    expected_duration = fields.Integer(related="step_id.expected_duration")
    command_ids = fields.Many2many(
        "qms.sop.step.command",
        compute="_compute_command_ids",
        help="The commands for the category of the run, and those for every one.",
    )
    state = fields.Selection(
        [
            ("pending", "Pending"),
            ("in_progress", "In progress"),
            ("waiting", "Waiting"),
            ("completed", "Completed"),
            ("failed", "Failed"),
            ("skipped", "Skipped"),
        ],
        required=True,
        default="pending",
    )
    run_state = fields.Selection(related="run_id.state", string="Run state")
    user_id = fields.Many2one("res.users", "Done by", readonly=True)
    actual_result = fields.Text("Result")
    skip_reason = fields.Text()
    error_ids = fields.One2many("qms.sop.run.error", "step_id", "Errors")
    evidence_ids = fields.One2many("qms.sop.run.evidence", "step_id", "Evidence")

    _step_uniq = models.Constraint(
        "UNIQUE(run_id, step_id)", "A run has each step of its SOP once."
    )

    @api.depends("run_id.category_id", "step_id.command_ids")
    def _compute_command_ids(self):
        for step in self:
            category = step.run_id.category_id
            step.command_ids = step.step_id.command_ids.filtered(
                lambda command, category=category: (
                    not command.category_id
                    or not category
                    or command.category_id == category
                )
            )

    @api.depends("step_id", "run_id")
    def _compute_display_name(self):
        for step in self:
            step.display_name = step.step_id.display_name

    @api.model_create_multi
    def create(self, vals_list):
        steps = self.env["qms.sop.step"].browse(
            {vals["step_id"] for vals in vals_list if "sequence" not in vals}
        )
        sequences = {step.id: step.sequence for step in steps}
        for vals in vals_list:
            self._check_not_system(vals)
            vals.setdefault("sequence", sequences.get(vals.get("step_id")))
            if vals.get("state") == "in_progress":
                vals.setdefault("start_time", fields.Datetime.now())
                vals.setdefault("user_id", self.env.uid)
        return super().create(vals_list)

    def write(self, vals):
        if "step_id" in vals:
            raise UserError(self.env._("A run step stays the step it was made for."))
        return super().write(vals)

    def _step_belongs(self):
        return any(
            self.step_id.id == row[0] for row in self.run_id.sop_id._outline()[3]
        )

    # === State machine ===

    def _prepare_transition(self, source, target, vals):
        for run in self.run_id:
            # Completing a run marks what was never opened as skipped.
            if run.state != "in_progress":
                raise UserError(
                    self.env._(
                        "%(run)s is %(state)s; its steps are worked only while it "
                        "is in progress.",
                        run=run.display_name,
                        state=run._state_label(run.state),
                    )
                )
        now = fields.Datetime.now()
        if target == "in_progress":
            return {
                "user_id": self.env.uid,
                "end_time": False,
                **({} if source == "waiting" else {"start_time": now}),
            }
        if target == "completed":
            self._check_evidence()
        if target == "skipped" and not (vals.get("skip_reason") or "").strip():
            raise UserError(self.env._("To skip a step, say why (skip_reason)."))
        if target in CLOSED_STATES:
            return {"user_id": self.env.uid, "end_time": now}
        return {}

    def _check_evidence(self):
        needing = self.filtered("evidence_required")
        if not needing:
            return
        having = {
            step
            for step, _count in self.env["qms.sop.run.evidence"]._read_group(
                Domain("step_id", "in", needing.ids), ["step_id"], ["__count"]
            )
        }
        for step in needing:
            if step not in having:
                raise UserError(
                    self.env._(
                        "Step %(step)s needs evidence: attach a file or an output "
                        "to it before completing it.",
                        step=step.display_name,
                    )
                )

    # === Buttons and RPC ===

    @checked
    def start(self) -> bool:
        """Start one step."""
        self._only_one().write({"state": "in_progress"})
        return True

    @checked
    def complete(self, result: str | None = None) -> bool:
        """Complete one step; a pending one is started first.

        :param result: what came out
        """
        self._only_one()._start_if_pending()
        self.write(
            {"state": "completed", **({"actual_result": result} if result else {})}
        )
        return True

    @checked
    def fail(self, error_message: str | None, error_code: str | None = None) -> bool:
        """Fail one step and log the error that made it fail.

        :param error_message: what went wrong
        :param error_code: a code of the catalogue; classified when missing
        """
        self._only_one()._start_if_pending()
        self.run_id._log_error(error_message, error_code, self)
        self.write({"state": "failed"})
        return True

    @checked
    def skip(self, reason: str | None) -> bool:
        """Skip one step.

        :param reason: why; a step is never skipped without it
        :raises ValidationError: without a reason
        """
        if not (reason or "").strip():
            raise ValidationError(
                self.env._("Argument reason: to skip a step, say why.")
            )
        self._only_one().write({"state": "skipped", "skip_reason": reason})
        return True

    @checked
    def retry(self) -> bool:
        """Try a failed step again; its errors stay on record."""
        return self.start()

    def _start_if_pending(self):
        if self.state == "pending":
            self.write({"state": "in_progress"})

    def action_open(self):
        """Open a step as the screen to work on."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
        }

    def _to_dict(self, outline):
        """Return one run step in plain values.

        :param dict outline: ``{step id: row}``, rows as in the revision's outline
        :rtype: dict
        """
        _step_id, _sequence, number, name, mandatory = outline[self.step_id.id]
        return {
            "id": self.id,
            "number": number,
            "name": name,
            "state": self.state,
            "mandatory": mandatory,
            "start_time": to_rfc3339(self.start_time),
            "end_time": to_rfc3339(self.end_time),
            "result": self.actual_result or None,
            "skip_reason": self.skip_reason or None,
        }
