from odoo import api, models


class ReportSopRun(models.AbstractModel):
    """What the clocks add to the report of a run."""

    _inherit = "report.qms_sop.report_sop_run"

    @api.model
    def _facts(self, run):
        facts = [
            (self.env._("Occurred"), self._instant(run.occurred_at)),
            (self.env._("Detected"), self._instant(run.detected_at)),
            (self.env._("Acknowledged"), self._acknowledged(run)),
            (self.env._("Response"), self._clock(run, "response")),
            (self.env._("Mitigated"), self._instant(run.mitigated_at)),
            (self.env._("Mitigation"), self._clock(run, "mitigation")),
            (self.env._("Resolved"), self._instant(run.resolved_at)),
            (self.env._("Root-cause fix"), self._clock(run, "resolution")),
        ]
        rows = [facts[place : place + 2] for place in range(0, len(facts), 2)]
        return [*super()._facts(run), *rows]

    @api.model
    def _acknowledged(self, run):
        if not run.acknowledged_at:
            return ""
        return self.env._(
            "%(time)s, by %(user)s",
            time=self._instant(run.acknowledged_at),
            user=run.acknowledged_by_id.name,
        )

    @api.model
    def _clock(self, run, clock):
        """Return how a clock stands, and what it is measured by."""
        state = run[f"{clock}_sla"]
        labels = dict(run._fields[f"{clock}_sla"]._description_selection(self.env))
        if state == "not_applicable":
            return labels[state]
        return self.env._(
            "%(state)s, due %(deadline)s",
            state=labels[state],
            deadline=self._instant(run[f"{clock}_deadline"]),
        )

    @api.model
    def _event_labels(self):
        return {
            **super()._event_labels(),
            "run.acknowledged": self.env._("Acknowledged"),
            "run.mitigated": self.env._("Mitigated"),
            "run.resolved": self.env._("Resolved"),
        }
