from odoo import api, models


class ReportSopRun(models.AbstractModel):
    """What follows from a run: the actions that were raised from it."""

    _inherit = "report.qms_sop.report_sop_run"

    @api.model
    def _page(self, run):
        return {**super()._page(run), "actions": self._actions(run)}

    @api.model
    def _actions(self, run):
        """Return the actions from a run and from its analyses, as texts.

        :rtype: list[dict]
        """
        actions = run.action_ids.sorted("id")
        kinds = dict(actions._fields["kind"]._description_selection(self.env))
        priorities = dict(actions._fields["priority"]._description_selection(self.env))
        styles = {"verified": "q-good", "cancelled": "q-low", "reopened": "q-bad"}
        return [
            {
                "reference": action.reference,
                "title": action.name,
                "kind": kinds[action.kind],
                "priority": priorities[action.priority],
                "owner": action.user_id.name or self.env._("Nobody"),
                "due": action.due_date.isoformat(),
                "state": action._state_label(action.state),
                "style": styles.get(action.state, ""),
                "overdue": action.overdue,
                "result": action.result or "",
                "done": self._instant(action.done_on),
                "effectiveness": action.effectiveness or "",
                "verified": self._instant(action.verified_on),
                "verified_by": action.verified_by_id.name or "",
                "reason": action.state_reason or "",
            }
            for action in actions
        ]
