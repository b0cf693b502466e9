import calendar
import secrets

from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, consteq

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools import paths
from ...tools.faults import at_field
from ...tools.fields import BlankInteger
from ...tools.idempotency import idempotent
from ...tools.values import to_rfc3339, without_none
from ..document.qms_sop_trigger import TRIGGERS

OPEN_STATES = ("draft", "in_progress", "on_hold")
FINAL_STATES = ("completed", "failed", "cancelled")
STATUS_TOKEN_PREFIX = "st_"


class QmsSopRun(models.Model):
    """One execution of one SOP revision.

    A plain ``create()`` makes no run steps: the ORM example of SOP-TRIAGE-001
    creates them itself. :meth:`start_run` makes the run and all its steps, and
    is what scripts, REST and the wizard use.
    """

    _name = "qms.sop.run"
    _description = "SOP run"
    _inherit = [
        "qms.api.mixin",
        "qms.state.mixin",
        "qms.duration.mixin",
        "mail.thread",
        "mail.activity.mixin",
    ]
    _order = "id desc"
    _check_company_auto = True

    _initial_states = ("draft", "in_progress")
    _transitions = {
        "draft": ("in_progress", "cancelled"),
        "in_progress": ("on_hold", "completed", "failed", "cancelled"),
        "on_hold": ("in_progress", "failed", "cancelled"),
    }
    _locked_states = FINAL_STATES
    # The review of a run goes on after it has ended.
    _unlocked_fields = frozenset({"active", "rca_ids"})
    _system_fields = frozenset({"name", "status_token", "lock_version"})

    name = fields.Char("Run", readonly=True, copy=False, index="btree")
    sop_id = fields.Many2one(
        "qms.sop.document",
        "SOP",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        domain=[("state", "=", "approved")],
        tracking=True,
    )
    sop_code = fields.Char(related="sop_id.code", string="SOP code")
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("in_progress", "In progress"),
            ("on_hold", "On hold"),
            ("completed", "Completed"),
            ("failed", "Failed"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="draft",
        copy=False,
        index=True,
        tracking=True,
        group_expand=True,
    )
    active = fields.Boolean(default=True)
    # What a finished run says must not change when the catalogue is tidied up.
    severity_id = fields.Many2one(
        "qms.severity", index=True, ondelete="restrict", tracking=True
    )
    severity = fields.Char(related="severity_id.code", string="Severity code")
    category_id = fields.Many2one(
        "qms.error.category", index=True, ondelete="restrict", tracking=True
    )
    error_code_id = fields.Many2one(
        "qms.error.code", index=True, ondelete="restrict", tracking=True
    )
    trigger = fields.Selection(TRIGGERS, required=True, default="manual")
    source = fields.Char(help="Who or what asked for this run.")
    summary = fields.Text(help="What was observed, in a sentence or two.")
    user_id = fields.Many2one(
        "res.users",
        "Responsible",
        default=lambda self: self.env.user,
        index=True,
        tracking=True,
    )
    start_time = fields.Datetime()
    resolution = fields.Text(copy=False, tracking=True)
    resolution_time = BlankInteger(
        copy=False,
        aggregator="avg",
        help="Seconds until the resolution, as measured by those who resolved it.",
    )
    state_reason = fields.Text(
        "Reason",
        copy=False,
        tracking=True,
        help="Why the run is on hold, failed or cancelled.",
    )
    step_ids = fields.One2many("qms.sop.run.step", "run_id", "Steps")
    error_ids = fields.One2many("qms.sop.run.error", "run_id", "Errors")
    evidence_ids = fields.One2many("qms.sop.run.evidence", "run_id", "Evidence")
    rca_ids = fields.One2many("qms.rca", "run_id", "Root-cause analyses")
    error_count = fields.Integer(compute="_compute_counts")
    evidence_count = fields.Integer(compute="_compute_counts")
    rca_count = fields.Integer(compute="_compute_counts")
    progress = fields.Integer(
        compute="_compute_progress",
        help="Per cent of the steps that are completed or skipped.",
    )
    current_step_id = fields.Many2one(
        "qms.sop.run.step", compute="_compute_current_step"
    )
    has_flow = fields.Boolean(related="sop_id.has_flow")
    flow = fields.Json(
        compute="_compute_flow", help="The steps, the choices, and the path taken."
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    status_token = fields.Char(
        copy=False,
        readonly=True,
        default=lambda self: self._new_status_token(),
        groups="qms_error_code.group_qms_operator,qms_error_code.group_qms_automation",
    )
    status_url = fields.Char(
        "Status link",
        compute="_compute_status_url",
        groups="qms_error_code.group_qms_operator,qms_error_code.group_qms_automation",
        help="Tells the state of this run, and nothing else, to anyone who has it.",
    )
    dedup_key = fields.Char(
        copy=False,
        readonly=True,
        help="Names the outage: at most one open run has it.",
    )

    _status_token_uniq = models.UniqueIndex(
        "(status_token) WHERE status_token IS NOT NULL",
        "A status token belongs to one run.",
    )
    _dedup_key_uniq = models.UniqueIndex(
        "(company_id, dedup_key) WHERE dedup_key IS NOT NULL"
        " AND state IN ('draft', 'in_progress', 'on_hold')",
        "There is already an open run for this outage.",
    )
    # For lists in the order of time, page by page.
    _start_time_idx = models.Index("(start_time, id)")
    _open_idx = models.Index(
        "(company_id, id) WHERE state IN ('draft', 'in_progress', 'on_hold')"
    )

    # === Computes ===

    def _compute_counts(self):
        for model, field in (
            ("qms.sop.run.error", "error_count"),
            ("qms.sop.run.evidence", "evidence_count"),
            ("qms.rca", "rca_count"),
        ):
            counts = dict(
                self.env[model]._read_group(
                    Domain("run_id", "in", self.ids), ["run_id"], ["__count"]
                )
            )
            for run in self:
                run[field] = counts.get(run, 0)

    @api.depends("step_ids.state")
    def _compute_progress(self):
        states = dict(
            self.env["qms.sop.run.step"]._read_group(
                Domain("run_id", "in", self.ids), ["run_id"], ["state:array_agg"]
            )
        )
        for run in self:
            run.progress = percent_done(states.get(run, ()))

    @api.depends("step_ids.state", "step_ids.sequence")
    def _compute_current_step(self):
        for run in self:
            run.current_step_id = run.step_ids.filtered(
                lambda step: step.state not in ("completed", "skipped")
            )[:1]

    @api.depends("step_ids.state", "step_ids.choice_id")
    def _compute_flow(self):
        for run in self:
            reachable = paths.on_path(run.sop_id._graph(), run._decisions())
            by_number = {step.number: step for step in run.step_ids}
            flow = run.sop_id._draw_flow()
            for node, (step_id, _choices) in zip(
                flow, run.sop_id._graph(), strict=True
            ):
                step = by_number.get(node["number"])
                node["state"] = step.state if step else "pending"
                node["off_path"] = step_id not in reachable
                made = step.choice_id.name if step and step.state == "completed" else 0
                for choice in node["choices"]:
                    choice["taken"] = choice["name"] == made
            run.flow = flow

    @api.depends("status_token")
    def _compute_status_url(self):
        for run in self:
            run.status_url = (
                f"{run.get_base_url()}/api/v1/sop-runs/{run.status_token}"
                if run.status_token
                else False
            )

    @api.model
    def _new_status_token(self):
        return STATUS_TOKEN_PREFIX + secrets.token_urlsafe(24)

    # === Constraints ===

    @api.constrains("sop_id")
    def _check_sop_approved(self):
        for run in self:
            if run.sop_id.state != "approved":
                raise ValidationError(
                    self.env._(
                        "%(sop)s is %(state)s: runs are opened only on approved "
                        "revisions.",
                        sop=run.sop_id.display_name,
                        state=run.sop_id._state_label(run.sop_id.state),
                    )
                )

    @api.constrains("resolution_time")
    def _check_resolution_time(self):
        for run in self:
            if run.resolution_time is not False and run.resolution_time < 0:
                raise ValidationError(
                    self.env._(
                        "resolution_time: %(seconds)s is negative; seconds from 0 "
                        "up are accepted.",
                        seconds=run.resolution_time,
                    )
                )

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        names = self._next_names(len(vals_list))
        now = fields.Datetime.now()
        for vals, name in zip(vals_list, names, strict=True):
            self._check_not_system(vals)
            vals["name"] = name
            if vals.get("state") == "in_progress" and not vals.get("start_time"):
                vals["start_time"] = now
            self._classify_by_code(vals)
        return super().create(vals_list)

    def write(self, vals):
        if "sop_id" in vals and any(run.sop_id.id != vals["sop_id"] for run in self):
            raise UserError(
                self.env._(
                    "A run stays on the SOP revision it was opened on. "
                    "Cancel it and start another one instead."
                )
            )
        if vals.get("error_code_id"):
            blank = self.filtered(lambda run: not (run.severity_id and run.category_id))
            for run in blank:
                own = {
                    **vals,
                    "severity_id": vals.get("severity_id", run.severity_id.id),
                    "category_id": vals.get("category_id", run.category_id.id),
                }
                self._classify_by_code(own)
                super(QmsSopRun, run).write(own)
            return super(QmsSopRun, self - blank).write(vals)
        return super().write(vals)

    @api.model
    def _next_names(self, count):
        """Return the next run numbers: RUN-000001, RUN-000002, …

        The numbers come from a PostgreSQL sequence, which concurrent creators
        do not wait for; a refused run leaves a gap.

        :param int count: how many
        :rtype: list[str]
        """
        rows = self.env.execute_query(
            SQL(
                "SELECT nextval('qms_sop_run_number') FROM generate_series(1, %s)",
                count,
            )
        )
        return [f"RUN-{number:06d}" for (number,) in rows]

    def init(self):
        self.env.cr.execute("CREATE SEQUENCE IF NOT EXISTS qms_sop_run_number")

    @api.model
    def _classify_by_code(self, vals):
        """Take severity and category from the error code, unless given."""
        if not vals.get("error_code_id"):
            return
        severity_id, category_id = self.env["qms.error.code"]._classification_of(
            vals["error_code_id"]
        )
        vals["severity_id"] = vals.get("severity_id") or severity_id
        vals["category_id"] = vals.get("category_id") or category_id

    # === State machine ===

    def _prepare_transition(self, source, target, vals):
        now = fields.Datetime.now()
        if target == "in_progress":
            return (
                {"state_reason": False} if source == "on_hold" else {"start_time": now}
            )
        if target in FINAL_STATES:
            if target == "completed":
                self._close_steps()
            return {"end_time": now}
        return {}

    def _decisions(self):
        """Return the choices that were made in one run.

        :return: ``{step id: choice id}``, ids of the SOP's steps and choices
        :rtype: dict
        """
        return {
            step.step_id.id: step.choice_id.id
            for step in self.step_ids
            if step.choice_id and step.state == "completed"
        }

    def _follow_path(self):
        """Mark the steps that the choices lead past, and open those they do not.

        Steps that were worked already stay as they are: they did happen.
        """
        steps = self.env["qms.sop.run.step"]
        leaving, returning = steps, steps
        for run in self:
            graph = run.sop_id._graph()
            if not paths.branches(graph):
                continue
            reachable = paths.on_path(graph, run._decisions())
            for step in run.step_ids:
                if step.step_id.id in reachable:
                    if step.off_path:
                        returning |= step
                elif step.state in ("pending", "in_progress", "waiting"):
                    leaving |= step
        if leaving:
            leaving.write(
                {"state": "skipped", "skip_reason": self.env._("Not on this path")}
            )
            leaving._write_system({"off_path": True})
        if returning:
            returning._write_system(
                {
                    "state": "pending",
                    "off_path": False,
                    "skip_reason": False,
                    "user_id": False,
                    "start_time": False,
                    "end_time": False,
                }
            )

    def _close_steps(self):
        """Check that runs may complete, and mark what was never opened.

        Mandatory steps on the path have to be done and no step may have failed;
        optional steps that nobody opened become skipped, "not executed", visibly.

        :raises UserError: naming every step that stands in the way
        """
        self._follow_path()
        unopened = self.env["qms.sop.run.step"]
        absent = []
        for run in self:
            steps = run.step_ids
            reachable = paths.on_path(run.sop_id._graph(), run._decisions())
            problems = [
                self.env._(
                    "step %(step)s is %(state)s",
                    step=step.display_name,
                    state=step._state_label(step.state),
                )
                for step in steps
                if step.state in ("failed", "in_progress", "waiting")
                or (step.state == "pending" and step.mandatory)
            ]
            for step in run.sop_id.step_ids - steps.step_id:
                if step.mandatory and step.id in reachable:
                    problems.append(
                        self.env._(
                            "step %(step)s was never opened", step=step.display_name
                        )
                    )
                else:
                    absent.append({"run_id": run.id, "step_id": step.id})
            if problems:
                raise UserError(
                    self.env._(
                        "%(run)s cannot be completed: %(problems)s.",
                        run=run.display_name,
                        problems="; ".join(problems),
                    )
                )
            unopened |= steps.filtered(lambda step: step.state == "pending")
        created = self.env["qms.sop.run.step"].create(absent)
        if created:
            created.run_id._follow_path()
            unopened |= created.filtered(lambda step: step.state == "pending")
        if unopened:
            unopened.write(
                {"state": "skipped", "skip_reason": self.env._("Not executed")}
            )

    # === Buttons ===

    def action_start(self):
        """Start draft runs."""
        self.write({"state": "in_progress"})
        return True

    def action_resume(self):
        """Go on with runs that are on hold."""
        self.write({"state": "in_progress"})
        return True

    def action_complete(self):
        """Complete runs whose steps are done."""
        self.write({"state": "completed"})
        return True

    def action_open_current_step(self):
        """Open the step to work on."""
        self.ensure_one()
        return self.current_step_id.action_open()

    def action_view_sop(self):
        """Open the revision that the run follows."""
        self.ensure_one()
        return self._open_record(self.sop_id)

    def action_view_error_code(self):
        """Open the error code of the run in the catalogue."""
        self.ensure_one()
        return self._open_record(self.error_code_id)

    def action_view_rcas(self):
        """Open the root-cause analysis of the run, or the list of several."""
        self.ensure_one()
        if len(self.rca_ids) == 1:
            return self._open_record(self.rca_ids)
        action = self.env["ir.actions.act_window"]._for_xml_id("qms_sop.qms_rca_action")
        action["domain"] = [("run_id", "=", self.id)]
        return action

    @api.model
    def _open_record(self, record):
        return {
            "type": "ir.actions.act_window",
            "res_model": record._name,
            "res_id": record.id,
            "view_mode": "form",
        }

    def action_revoke_status_link(self):
        """Make the status link useless, at once and for good."""
        self._write_system({"status_token": False})
        return True

    def action_new_status_link(self):
        """Give out a new status link; the one before stops working."""
        for run in self:
            run._write_system({"status_token": self._new_status_token()})
        return True

    # === RPC: opening and reading ===

    @api.model
    @checked
    @idempotent
    def start_run(
        self,
        sop_code: str,
        error_code: str | None = None,
        severity: str | None = None,
        category: str | None = None,
        trigger: str = "manual",
        source: str | None = None,
        summary: str | None = None,
        log_text: str | None = None,
        dedup_key: str | None = None,
        occurred_at: str | None = None,
        detected_at: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Open a run of the effective revision of an SOP, with all its steps.

        Severity and category are the ones given, else those of the error code,
        else those of the code that ``log_text`` is classified to. An empty
        string counts as not given.

        :param sop_code: such as ``SOP-TRIAGE-001``
        :param error_code: a code of the catalogue
        :param severity: code, alias (P0–P3) or name, in any case
        :param category: code of a category, in any case
        :param trigger: ``manual``, ``automated`` or ``scheduled``
        :param source: who or what asks for the run
        :param summary: what was observed
        :param log_text: log lines to classify when no error code is given
        :param dedup_key: names the outage; when an open run has it, that run is
            returned instead of a second one
        :param occurred_at: when the trouble began, RFC 3339 (UTC without an offset)
        :param detected_at: when it was noticed: the clocks begin then; now when
            missing
        :param idempotency_key: see :func:`idempotent`
        :return: the run as in :meth:`get_run` with its steps, and ``existing``
        :raises ValidationError: naming the argument at fault and what is accepted
        """
        run, existing = self._start(
            sop_code,
            error_code=error_code,
            severity=severity,
            category=category,
            trigger=trigger,
            source=source,
            summary=summary,
            log_text=log_text,
            dedup_key=dedup_key,
            occurred_at=self._time_argument("occurred_at", occurred_at),
            detected_at=self._time_argument("detected_at", detected_at),
        )
        return {**run._to_rpc(steps=True), "existing": existing}

    @api.model
    def _start(
        self,
        sop_code,
        error_code=None,
        severity=None,
        category=None,
        trigger="manual",
        source=None,
        summary=None,
        log_text=None,
        dedup_key=None,
        user=None,
        occurred_at=None,
        detected_at=None,
    ):
        """Open a run, or find the open one with that ``dedup_key``.

        The arguments are those of :meth:`start_run`, times as naive datetimes in UTC.

        :param res.users user: who is responsible, perhaps nobody; ``None``: whoever
            opens the run
        :return: the run, and whether it was there already
        :rtype: tuple[qms.sop.run, bool]
        """
        with at_field("sop_code"):
            sop = self.env["qms.sop.document"]._effective(sop_code)
        if dedup_key and (run := self._open_run(dedup_key)):
            return run, True
        if trigger not in dict(TRIGGERS):
            raise ValidationError(
                self.env._(
                    "Trigger %(trigger)s is unknown. Accepted: %(accepted)s.",
                    trigger=repr(trigger),
                    accepted=", ".join(dict(TRIGGERS)),
                )
            )
        values = {
            "sop_id": sop.id,
            "state": "in_progress",
            "trigger": trigger,
            "source": source or False,
            "summary": summary or False,
            "dedup_key": dedup_key or False,
            **self._classification(error_code, severity, category, log_text),
        }
        for name, at in (("occurred_at", occurred_at), ("detected_at", detected_at)):
            if at:
                values[name] = at
        if user is not None:
            values["user_id"] = user.id
        # The run's own fields say who opened it and when; a chatter entry that
        # says it again would double the cost of the call.
        silent = self.with_context(tracking_disable=True)
        try:
            run = silent.create(values)
        except UniqueViolation as error:
            if error.diag.constraint_name != "qms_sop_run_dedup_key_uniq":
                raise
            # Another transaction opened it meanwhile; Odoo runs the call again.
            raise ConcurrencyError(str(error)) from error
        self.env["qms.sop.run.step"].create(
            [
                {
                    "run_id": run.id,
                    "step_id": step_id,
                    "sequence": sequence,
                }
                for step_id, sequence, *_rest in sop._outline()[3]
            ]
        )
        return run.with_env(self.env), False

    @api.model
    @api.readonly
    @checked
    def find_open_run(self, dedup_key: str) -> dict:
        """Return the open run of an outage, or an empty dict.

        :param dedup_key: as given to :meth:`start_run`
        """
        run = self._open_run(dedup_key)
        return run._to_rpc(steps=True) if run else {}

    @api.readonly
    @checked
    def get_run(self) -> dict:
        """Return one run with its steps.

        :return: the run as the REST API gives it, with ``False`` where that
            has null (XML-RPC has none); times are RFC 3339 in UTC
        """
        return self._only_one()._to_rpc(steps=True)

    # === RPC: changing ===

    @checked
    @idempotent
    def update_run(
        self,
        state: str | None = None,
        resolution: str | None = None,
        resolution_time: int | None = None,
        reason: str | None = None,
        summary: str | None = None,
        severity: str | None = None,
        error_code: str | None = None,
        category: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Change one run; what is not given stays as it is.

        :param state: the state to go to (see the transition table)
        :param resolution: what resolved it
        :param resolution_time: seconds until the resolution
        :param reason: why the run is put on hold, failed or cancelled
        :param summary: what was observed
        :param severity: code, alias or name
        :param error_code: a code of the catalogue
        :param category: code of a category
        :return: the run as in :meth:`get_run`
        :raises UserError: when the transition does not exist or something is
            missing for it
        """
        self._only_one()
        values = self._classification(error_code, severity, category)
        for field, value in (
            ("state", state),
            ("resolution", resolution),
            ("resolution_time", resolution_time),
            ("state_reason", reason),
            ("summary", summary),
        ):
            if value is not None and value != "":
                values[field] = value
        if not values:
            raise ValidationError(
                self.env._("Nothing to change: give at least one value.")
            )
        self.write(values)
        return self._to_rpc(steps=True)

    @checked
    @idempotent
    def complete(
        self,
        resolution: str | None = None,
        resolution_time: int | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Complete one run.

        :param resolution: what resolved it
        :param resolution_time: seconds until the resolution
        :return: the run as in :meth:`get_run`
        :raises UserError: naming every step that stands in the way
        """
        return self.update_run(
            state="completed", resolution=resolution, resolution_time=resolution_time
        )

    @checked
    @idempotent
    def fail(self, reason: str, idempotency_key: str | None = None) -> dict:
        """End one run as failed.

        :param reason: why, for those who read the run later
        """
        return self._go("failed", reason)

    @checked
    @idempotent
    def hold(self, reason: str, idempotency_key: str | None = None) -> dict:
        """Put one run on hold.

        :param reason: what it waits for
        """
        return self._go("on_hold", reason)

    @checked
    @idempotent
    def resume(self, idempotency_key: str | None = None) -> dict:
        """Go on with one run that is on hold."""
        return self.update_run(state="in_progress")

    @checked
    @idempotent
    def cancel(self, reason: str, idempotency_key: str | None = None) -> dict:
        """Cancel one run.

        :param reason: why it is not needed
        """
        return self._go("cancelled", reason)

    def _go(self, state, reason):
        self._check_reason(reason)
        return self.update_run(state=state, reason=reason)

    @api.model
    def _check_reason(self, reason):
        if not (reason or "").strip():
            with at_field("reason"):
                raise ValidationError(
                    self.env._("Argument reason: say why, in a few words.")
                )

    @checked
    @idempotent
    def update_step(
        self,
        step: int,
        state: str,
        result: str | None = None,
        reason: str | None = None,
        error_code: str | None = None,
        error_message: str | None = None,
        choice: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Move one step of one run on.

        :param step: its number in the SOP, from 1
        :param state: in_progress, completed, failed or skipped; a pending step
            that is completed or failed is started first; in_progress also takes
            a decision back
        :param result: what came out (for completed)
        :param reason: why (for skipped)
        :param error_code: for failed; classified from the message when missing
        :param error_message: what went wrong (for failed)
        :param choice: label of the answer found (for completed), in any case;
            needed where the way on depends on it
        :return: the run as in :meth:`get_run`
        :raises ValidationError: for an unknown step, state or choice
        :raises UserError: when a choice is needed and none is given
        """
        self._only_one()
        run_step = self._step(step)
        if choice and state != "completed":
            with at_field("choice"):
                raise ValidationError(
                    self.env._(
                        "Argument choice: only a step that is completed has one, not "
                        "one that is %(state)s.",
                        state=state,
                    )
                )
        if state == "completed":
            run_step.complete(result, choice)
        elif state == "failed":
            run_step.fail(error_message or result or reason, error_code)
        elif state == "skipped":
            run_step.skip(reason or result)
        elif state == "in_progress":
            run_step.start()
        else:
            run_step._check_state_known(state)
            raise ValidationError(
                self.env._(
                    "A step cannot be set to %(state)s. Accepted: in_progress, "
                    "completed, failed, skipped.",
                    state=state,
                )
            )
        return self._to_rpc(steps=True)

    @checked
    @idempotent
    def log_error(
        self,
        error_message: str,
        error_code: str | None = None,
        step: int | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Record an error that one run met.

        :param error_message: as it was seen
        :param error_code: a code of the catalogue; without it the message is
            classified, and STEP_FAILURE when that finds nothing
        :param step: number of the step it happened in
        :return: ``id``, ``error_code``, ``category``, ``severity``, ``step``
        """
        self._only_one()
        return self._log_error(
            error_message, error_code, self._step(step) if step else None
        )._to_rpc()

    @checked
    @idempotent
    def add_evidence(
        self,
        name: str,
        content: str,
        source: str | None = None,
        mimetype: str | None = None,
        step: int | None = None,
        classify: bool = False,
        idempotency_key: str | None = None,
    ) -> dict:
        """Attach a file or captured output to one run.

        :param name: file name
        :param content: base64
        :param source: where it came from, such as the command
        :param mimetype: guessed from the content when missing
        :param step: number of the step it belongs to
        :param classify: look the text up in the catalogue; a run that has no
            error code yet takes the best match
        :return: ``id``, ``name``, ``size`` (bytes), ``sha256`` and
            ``classification`` (as ``qms.error.code.classify``; empty unless asked)
        :raises ValidationError: when the content is no base64 or too large
        """
        self._only_one()
        evidence = self.env["qms.sop.run.evidence"].create(
            {
                "run_id": self.id,
                "step_id": self._step(step).id if step else False,
                "name": name,
                "datas": content,
                "source": source or False,
                **({"mimetype": mimetype} if mimetype else {}),
            }
        )
        matches = evidence._classify_run() if classify else []
        return {**evidence._to_rpc(), "classification": matches}

    @checked
    @idempotent
    def record_rca(
        self,
        root_cause: str,
        error_code: str | None = None,
        contributing_factors: list[str] | str | None = None,
        whys: list[dict] | None = None,
        fix_type: str | None = None,
        fix: str | None = None,
        verification: str | None = None,
        confirm: bool = False,
        actions: list[dict] | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Record the root-cause analysis of one run, also after it has ended.

        :param root_cause: the cause that the whys lead to
        :param error_code: a code of the catalogue; the run's own when missing
        :param contributing_factors: a list, or a text separated by commas
        :param whys: dicts with ``question``, ``answer`` and, if there is any,
            ``evidence``
        :param fix_type: see ``FIX_TYPES`` of the catalogue
        :param fix: what was done about the cause
        :param verification: how it was verified
        :param confirm: seal the analysis at once
        :param actions: what follows from it: dicts with ``title`` and what else
            ``qms.action.create_action`` takes, but for the source
        :return: ``id``, ``name``, ``state``, ``run_id``, ``error_code``, ``actions``
        """
        self._only_one()
        return (
            self.env["qms.rca"]
            ._record(
                self,
                root_cause,
                error_code=error_code,
                contributing_factors=contributing_factors,
                whys=whys,
                fix_type=fix_type,
                fix=fix,
                verification=verification,
                confirm=confirm,
                actions=actions,
            )
            ._to_rpc()
        )

    # === Helpers ===

    @api.model
    def _open_run(self, dedup_key):
        return self.search(
            Domain("dedup_key", "=", dedup_key)
            & Domain("company_id", "=", self.env.company.id)
            & Domain("state", "in", OPEN_STATES),
            limit=1,
        )

    @api.model
    def _classification(
        self, error_code=None, severity=None, category=None, log_text=None
    ):
        """Return the field values for a classification given in words.

        :return: ``error_code_id``, ``severity_id``, ``category_id``: those that
            are given or follow from ``log_text``
        :rtype: dict
        """
        codes = self.env["qms.error.code"]
        values = {}
        with at_field("error_code"):
            code = codes._resolve(error_code) if error_code else codes
        if severity:
            with at_field("severity"):
                values["severity_id"] = self.env["qms.severity"]._resolve(severity).id
        if category:
            with at_field("category"):
                found = self.env["qms.error.category"]._resolve(category)
            values["category_id"] = found.id
        if not code and log_text:
            code, found, _matches = codes._classify(log_text)
            values.setdefault("category_id", found.id)
        if code:
            values["error_code_id"] = code.id
        return values

    def _step(self, number):
        """Return the run step with a number of the SOP."""
        outline = self.sop_id._outline()[3]
        by_number = {row[2]: row[0] for row in outline}
        run_step = self.step_ids.filtered(
            lambda step: step.step_id.id == by_number.get(number)
        )
        if not run_step:
            raise ValidationError(
                self.env._(
                    "%(run)s has no step %(number)s. Its steps: %(steps)s.",
                    run=self.display_name,
                    number=number,
                    steps=", ".join(
                        f"{step.number} {step.name}" for step in self.step_ids
                    )
                    or self.env._("none"),
                )
            )
        return run_step

    def _log_error(self, message, error_code=None, run_step=None):
        """Record an error, by code, by classification, or as STEP_FAILURE.

        :rtype: qms.sop.run.error record
        """
        if not message or not message.strip():
            with at_field("error_message"):
                raise ValidationError(
                    self.env._("Argument error_message: say what went wrong.")
                )
        codes = self.env["qms.error.code"]
        with at_field("error_code"):
            code = (
                codes._resolve(error_code)
                if error_code
                else codes._classify(message)[0]
            ) or codes._resolve("STEP_FAILURE")
        return self.env["qms.sop.run.error"].create(
            {
                "run_id": self.id,
                "step_id": run_step.id if run_step else False,
                "error_code_id": code.id,
                "error_message": message,
            }
        )

    def _placeholder_values(self):
        """Return what this run fills in for placeholders in commands.

        :return: ``{name: text or None}``, names of
            :data:`...tools.placeholders.KNOWN`; ids, codes and times only
        :rtype: dict
        """
        self.ensure_one()
        code, version, _title, _steps = self.sop_id._outline()
        return {
            "RUN_ID": str(self.id) if self.id else None,
            "RUN_NAME": self.name or None,
            "SOP_CODE": code,
            "SOP_VERSION": version,
            "ERROR_CODE": self.error_code_id.name or None,
            "CATEGORY": self.category_id.code or None,
            "SEVERITY": self.severity_id.code or None,
            "START_TIME": _epoch(self.start_time),
            "END_TIME": _epoch(self.end_time),
        }

    @api.model
    def _by_status_token(self, token):
        """Return the state of the run that a status token belongs to.

        :param str token: as in ``status_token``
        :return: ``{"state": …}``, or ``{}`` for an unknown or revoked token
        :rtype: dict
        """
        if not token.startswith(STATUS_TOKEN_PREFIX):
            return {}
        # Whoever has the token has no account here; only the state is let out.
        run = self.sudo().search_fetch(
            Domain("status_token", "=", token), ["state", "status_token"], limit=1
        )
        return {"state": run.state} if run and consteq(run.status_token, token) else {}

    def _to_dict(self, steps=False):
        """Return one run in plain values, ``None`` where nothing is known.

        :param bool steps: with the run's steps
        :return: see :meth:`get_run`
        :rtype: dict
        """
        self.ensure_one()
        code, version, title, outline = self.sop_id._outline()
        base_url = self.get_base_url()
        result = {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "severity": self.env["qms.severity"]
            ._codes_by_id()
            .get(self.severity_id.id),
            "category": self.env["qms.error.category"]
            ._codes_by_id()
            .get(self.category_id.id),
            "error_code": self.env["qms.error.code"]
            ._names_by_id()
            .get(self.error_code_id.id),
            "sop_code": code,
            "sop_version": version,
            "title": title,
            "trigger": self.trigger,
            "source": self.source or None,
            "summary": self.summary or None,
            "user_id": self.user_id.id or None,
            "start_time": to_rfc3339(self.start_time),
            "end_time": to_rfc3339(self.end_time),
            "duration_minutes": None if self.duration is False else self.duration,
            "resolution": self.resolution or None,
            "resolution_time_seconds": (
                None if self.resolution_time is False else self.resolution_time
            ),
            "state_reason": self.state_reason or None,
            "url": f"{base_url}/odoo/qms-runs/{self.id}",
            "api_url": f"{base_url}/api/v1/sop-runs/{self.id}",
        }
        if steps:
            by_step = {row[0]: row for row in outline}
            result["progress"] = percent_done(self.step_ids.mapped("state"))
            result["status_url"] = (
                self.status_url or None if self._shows_status_link() else None
            )
            labels = {
                choice_id: name
                for _step_id, choices in self.sop_id._graph()
                for choice_id, name, _target in choices
            }
            result["steps"] = [step._to_dict(by_step, labels) for step in self.step_ids]
        return result

    def _shows_status_link(self):
        return self._has_field_access(self._fields["status_url"], "read")

    def _to_rpc(self, steps=False):
        return without_none(self._to_dict(steps=steps))


def _epoch(value):
    """Return a UTC date and time as seconds since 1970, or ``None``."""
    return str(calendar.timegm(value.timetuple())) if value else None


def percent_done(states):
    """Return how many of the steps with these states are done.

    :param states: step states, in any order
    :return: per cent, 0 to 100
    :rtype: int
    """
    done = sum(state in ("completed", "skipped") for state in states)
    return round(100 * done / len(states)) if states else 0
