from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools.misc import format_datetime

# What a run's end makes of the occurrence it was opened for
OUTCOMES = {"completed": "done", "failed": "not_done", "cancelled": "not_done"}
_COLORS = {
    "planned": "#cfd8dc",
    "started": "#90caf9",
    "late": "#ffcc80",
    "done": "#a5d6a7",
    "not_done": "#ffab91",
    "missed": "#f48fb1",
}


class QmsSopScheduleOccurrence(models.Model):
    """One time at which a recurring SOP is to be run, and what came of it.

    Nobody writes these by hand: the plan is made by the schedule, and the rest by
    the runs.
    """

    _name = "qms.sop.schedule.occurrence"
    _description = "Occurrence of a recurring SOP"
    _inherit = ["qms.state.mixin", "qms.audit.mixin"]
    _order = "planned_at desc, id desc"
    _rec_name = "schedule_id"

    # Planned occurrences come and go with the rule, which is in the trail.
    _audit_root_path = "schedule_id"
    _audit_ignored = frozenset({"company_id", "due_at", "planned_at"})
    _audit_reasons = ("reason",)

    _initial_states = ("planned",)
    _transitions = {
        "planned": ("started", "missed"),
        "missed": ("started",),
        "started": ("late", "done", "not_done"),
        "late": ("done", "not_done"),
    }
    _locked_states = ("done", "not_done")
    _deletable_states = ("planned",)

    schedule_id = fields.Many2one(
        "qms.sop.schedule", "Recurring SOP", required=True, ondelete="cascade"
    )
    company_id = fields.Many2one("res.company", required=True, index=True)
    planned_at = fields.Datetime("Planned", required=True)
    due_at = fields.Datetime("Due", help="When it has to be done.")
    state = fields.Selection(
        [
            ("planned", "Planned"),
            ("started", "Under way"),
            ("late", "Late"),
            ("done", "Done"),
            ("not_done", "Not done"),
            ("missed", "Missed"),
        ],
        required=True,
        default="planned",
        index=True,
    )
    user_id = fields.Many2one("res.users", "Assigned to", index="btree_not_null")
    run_id = fields.Many2one(
        "qms.sop.run", "Run", index="btree_not_null", ondelete="restrict"
    )
    started_at = fields.Datetime("Opened", help="When the run was opened.")
    done_at = fields.Datetime("Ended", help="When the run ended.")
    was_late = fields.Boolean("Ended late", help="It was done after it was due.")
    reason = fields.Text(help="Why it was missed, opened late, or not done.")
    color = fields.Char(compute="_compute_color", help="In the calendar.")
    sop_code = fields.Char(related="schedule_id.sop_code")
    words = fields.Char(related="schedule_id.words")

    _planned_uniq = models.UniqueIndex(
        "(schedule_id, planned_at)", "There is already one at this time."
    )
    _waiting_idx = models.Index("(planned_at) WHERE state = 'planned'")
    _due_idx = models.Index("(due_at) WHERE state = 'started'")

    @api.depends("state")
    def _compute_color(self):
        for occurrence in self:
            occurrence.color = _COLORS[occurrence.state]

    @api.depends("schedule_id.name", "planned_at", "state")
    @api.depends_context("tz", "lang", "in_calendar")
    def _compute_display_name(self):
        for occurrence in self:
            if self.env.context.get("in_calendar"):
                # The time stands beside it.
                occurrence.display_name = (
                    f"{occurrence.schedule_id.name} · "
                    f"{self._state_label(occurrence.state)}"
                )
                continue
            occurrence.display_name = self.env._(
                "%(schedule)s, %(planned)s",
                schedule=occurrence.schedule_id.name,
                planned=format_datetime(
                    self.env,
                    occurrence.planned_at,
                    tz=occurrence.schedule_id.tz,
                    dt_format="short",
                ),
            )

    def _audit_name(self):
        return f"{self.schedule_id.name} {self.planned_at}"

    # === Buttons ===

    def action_start(self):
        """Open the run now: ahead of its time, or after it was missed.

        :return: the action that shows the run
        :rtype: dict
        """
        self._only_one()
        self.env["qms.sop.run"].check_access("create")
        self.lock_for_update()
        if self.state not in ("planned", "missed"):
            raise UserError(
                self.env._(
                    "%(occurrence)s is %(state)s: its run was opened already.",
                    occurrence=self.display_name,
                    state=self._state_label(self.state),
                )
            )
        run = self._open_run()
        return run._open_record(run)

    def action_view_run(self):
        """Open the run."""
        self.ensure_one()
        return self.run_id._open_record(self.run_id)
