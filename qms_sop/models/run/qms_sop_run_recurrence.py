from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain

# System parameters: so often in so many days is a pattern. 0 times: never.
TIMES, DAYS = "qms_sop.recurrence_times", "qms_sop.recurrence_days"
DEFAULT_TIMES, DEFAULT_DAYS = 3, 30
PATTERN_ACTIVITY = "qms_sop.mail_activity_recurring_pattern"
# More of them say nothing more.
_COUNTED = 200
_LISTED = 10


class QmsSopRun(models.Model):
    """Whether a run is one of many about the same trouble."""

    _inherit = "qms.sop.run"

    is_recurring = fields.Boolean(compute="_compute_recurrence")
    recurrence_words = fields.Char("Pattern", compute="_compute_recurrence")
    recurrence_ids = fields.Many2many(
        "qms.sop.run",
        string="Seen before in",
        compute="_compute_recurrence",
        help="Runs of the same error code or the same known cause, in the days before "
        "this one began; the latest ones.",
    )
    pattern_issue_id = fields.Many2one(
        "qms.issue",
        "Issue about the pattern",
        compute="_compute_recurrence",
        help="Made about this run, or about one of the earlier ones.",
    )

    @api.depends("error_code_id", "rca_ids.cause_id", "start_time", "state")
    def _compute_recurrence(self):
        times, days = self._recurrence_settings()
        for run in self:
            earlier, words = run._seen_before(days)
            run.is_recurring = bool(times) and len(earlier) + 1 >= times
            run.recurrence_words = words if run.is_recurring else False
            run.recurrence_ids = earlier[:_LISTED] if run.is_recurring else False
            run.pattern_issue_id = (
                self.env["qms.issue"].search(
                    Domain("res_model", "=", self._name)
                    & Domain("res_id", "in", (run | earlier).ids)
                    & Domain("state", "!=", "failed"),
                    limit=1,
                )
                if run.is_recurring
                else False
            )

    def _after_transition(self, source, target):
        result = super()._after_transition(source, target)
        if target in ("completed", "failed"):
            for run in self:
                run._propose_issue()
        return result

    def _propose_issue(self):
        """Ask who is responsible for one run to see to trouble that comes back."""
        # sudo: whoever ends the run may see less of the earlier ones, and may not
        # write the activities of others.
        own = self.sudo()
        if not own.is_recurring or own.pattern_issue_id or not own.user_id.active:
            return
        own.activity_schedule(
            PATTERN_ACTIVITY,
            user_id=own.user_id.id,
            summary=own.recurrence_words,
            note=self.env._(
                "What comes back needs more than another repair: make an issue, or "
                "raise an action."
            ),
        )

    @api.model
    def _recurrence_settings(self):
        """Return how often in how many days is a pattern.

        :rtype: tuple[int, int]
        """
        # sudo: system parameters are read by administrators only.
        parameters = self.env["ir.config_parameter"].sudo()
        values = (
            parameters.get_param(TIMES, str(DEFAULT_TIMES)),
            parameters.get_param(DAYS, str(DEFAULT_DAYS)),
        )
        times, days = (
            int(value) if str(value).isdecimal() else default
            for value, default in zip(
                values, (DEFAULT_TIMES, DEFAULT_DAYS), strict=True
            )
        )
        return times, days

    def _seen_before(self, days):
        """Return the earlier runs about the same trouble as one run.

        The same error code, or the same known cause in their analyses, whichever was
        there more often. Cancelled runs do not count.

        :param int days: how long ago the earliest may have begun
        :return: the runs, the latest first, and in words how often it was
        :rtype: tuple[qms.sop.run, str]
        """
        self.ensure_one()
        nothing = self.browse()
        began = self.start_time
        if not began or not self._origin.id:
            return nothing, ""
        window = (
            Domain("company_id", "=", self.company_id.id)
            & Domain("start_time", ">=", began - timedelta(days=days))
            & Domain("start_time", "<=", began)
            & Domain("state", "!=", "cancelled")
            & Domain("id", "!=", self._origin.id)
        )
        same = {}
        if self.error_code_id:
            same[self.error_code_id.name] = Domain(
                "error_code_id", "=", self.error_code_id.id
            )
        for cause in self.rca_ids.cause_id:
            same[cause.name] = Domain("rca_ids.cause_id", "=", cause.id)
        best, words = nothing, ""
        for name, domain in same.items():
            found = self.search(
                window & domain, order="start_time desc, id desc", limit=_COUNTED
            )
            if len(found) > len(best):
                count = len(found) + 1
                best, words = (
                    found,
                    self.env._(
                        "%(name)s came up %(count)s times in %(days)s days",
                        name=name,
                        count=f"{count}+" if len(found) == _COUNTED else count,
                        days=days,
                    ),
                )
        return best, words
