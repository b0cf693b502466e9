from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools import paths
from ...tools.faults import at_field
from ...tools.placeholders import fill
from ...tools.values import to_rfc3339

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
    _system_fields = frozenset({"user_id", "off_path"})

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
    filled_commands = fields.Json(
        compute="_compute_filled_commands",
        help="The commands by id, with what the run fills in.",
    )
    choice_ids = fields.One2many(related="step_id.choice_ids", string="Choices")
    choice_id = fields.Many2one(
        "qms.sop.step.choice",
        "Choice",
        ondelete="restrict",
        index="btree_not_null",
        help="The answer found in this step; the run goes on where it leads.",
    )
    needs_choice = fields.Boolean(
        compute="_compute_needs_choice",
        help="How the run goes on depends on the answer found in this step.",
    )
    off_path = fields.Boolean(
        "Not on this path",
        readonly=True,
        copy=False,
        help="An answer found before leads past this step.",
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

    @api.depends(
        "command_ids",
        "run_id.error_code_id",
        "run_id.severity_id",
        "run_id.category_id",
        "run_id.start_time",
        "run_id.end_time",
    )
    def _compute_filled_commands(self):
        values = {run: run._placeholder_values() for run in self.run_id}
        for step in self:
            step.filled_commands = {
                str(command.id): fill(
                    command.command, values[step.run_id], command.language
                )
                for command in step.command_ids
            }

    @api.depends("step_id", "run_id.sop_id")
    def _compute_needs_choice(self):
        for step in self:
            step.needs_choice = step._offers()[1]

    @api.depends("step_id", "run_id")
    def _compute_display_name(self):
        for step in self:
            step.display_name = step.step_id.display_name

    @api.constrains("choice_id")
    def _check_choice(self):
        for step in self.filtered("choice_id"):
            if step.choice_id.step_id != step.step_id:
                raise ValidationError(
                    self.env._(
                        "Choice %(choice)s does not belong to step %(step)s.",
                        choice=step.choice_id.name,
                        step=step.display_name,
                    )
                )

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
        if "choice_id" in vals:
            self._check_choice_open(vals["choice_id"])
        return super().write(vals)

    def _step_belongs(self):
        own = self.step_id.id
        return any(own == row[0] for row in self.run_id.sop_id._outline()[3])

    # === Choices ===

    def _offers(self):
        """Return what can be chosen in this step.

        :return: ``{choice id: label}``, and whether one of them has to be chosen
        :rtype: tuple[dict, bool]
        """
        graph = self.run_id.sop_id._graph() if self.run_id.sop_id else ()
        for position, (step_id, choices) in enumerate(graph):
            if step_id == self.step_id.id:
                return (
                    {choice_id: name for choice_id, name, _target in choices},
                    paths.needs_choice(graph, position),
                )
        return {}, False

    def _resolve_choice(self, label):
        """Return the choice of this step with a label.

        :param str label: in any case
        :return: id of the choice
        :raises ValidationError: listing the labels there are
        """
        wanted = label.strip().casefold()
        offers = self._offers()[0]
        for choice_id, name in offers.items():
            if name.strip().casefold() == wanted:
                return choice_id
        raise ValidationError(
            self.env._(
                "Argument choice: step %(step)s does not offer %(choice)s. "
                "Accepted: %(labels)s.",
                step=self.display_name,
                choice=repr(label),
                labels=self._labels(offers) or self.env._("none"),
            )
        )

    def _labels(self, offers):
        return ", ".join(repr(name) for name in offers.values())

    def _check_choice_open(self, choice_id):
        """Refuse to change an answer that the run has followed already."""
        for step in self:
            if step.state != "in_progress" and step.choice_id.id != choice_id:
                raise UserError(
                    self.env._(
                        "Step %(step)s is %(state)s: its choice is made while it "
                        "is in progress. Start it, or take it up again, first.",
                        step=step.display_name,
                        state=step._state_label(step.state),
                    )
                )

    def _check_choice_made(self, choice_id):
        """Refuse to complete a step while the way on from it is open.

        :param choice_id: the one that is being written, for all of these steps;
            ``None``: each has its own
        """
        for step in self:
            offers, needed = step._offers()
            if needed and not (step.choice_id if choice_id is None else choice_id):
                raise UserError(
                    self.env._(
                        "Step %(step)s decides how the run goes on: say which "
                        "choice it is (choice). Accepted: %(labels)s.",
                        step=step.display_name,
                        labels=step._labels(offers),
                    )
                )

    # === State machine ===

    def _check_transition(self, source, target):
        # A decision can be taken back; other completed steps stay what they are.
        if (source, target) == ("completed", "in_progress") and all(
            step.choice_id for step in self
        ):
            return
        super()._check_transition(source, target)

    def _after_transition(self, source, target):
        super()._after_transition(source, target)
        if target == "completed":
            decided = self.filtered("choice_id")
            for step in decided:
                category = step.choice_id.category_id
                if category and step.run_id.category_id != category:
                    step.run_id.category_id = category
            decided.run_id._follow_path()
        elif source == "completed":
            self.run_id._follow_path()

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
                **({"choice_id": False} if source == "completed" else {}),
                **({} if source == "waiting" else {"start_time": now}),
            }
        if target == "completed":
            self._check_choice_made(vals.get("choice_id"))
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
    def complete(self, result: str | None = None, choice: str | None = None) -> bool:
        """Complete one step; a pending one is started first.

        :param result: what came out
        :param choice: label of the answer found, in any case; needed where the
            way on depends on it
        :raises ValidationError: for an answer that the step does not offer
        :raises UserError: when an answer is needed and none is given
        """
        self._only_one()
        values = {"state": "completed"}
        if result:
            values["actual_result"] = result
        if choice:
            with at_field("choice"):
                values["choice_id"] = self._resolve_choice(choice)
        self._start_if_pending()
        self.write(values)
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
            with at_field("reason"):
                raise ValidationError(
                    self.env._("Argument reason: to skip a step, say why.")
                )
        self._only_one().write({"state": "skipped", "skip_reason": reason})
        return True

    @checked
    def retry(self) -> bool:
        """Take up one step again that failed, or that decided on the path.

        The errors of the first try stay on record. A decision is open again,
        and so are the steps that it led past.
        """
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

    def _to_dict(self, outline, labels):
        """Return one run step in plain values.

        :param dict outline: ``{step id: row}``, rows as in the revision's outline
        :param dict labels: ``{choice id: label}`` of the revision
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
            "choice": labels.get(self.choice_id.id),
            "skip_reason": self.skip_reason or None,
        }
