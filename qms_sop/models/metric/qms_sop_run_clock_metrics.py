from odoo import fields, models

from ..run.qms_sop_run import FINAL_STATES
from ..run.qms_sop_run_clock import CLOCKS, METRICS
from .qms_metric import NONE
from .qms_metric_clock import CLOCK_ENDED


class QmsSopRun(models.Model):
    """Counts how the clocks stood when runs ended, and what their times amount to."""

    _inherit = "qms.sop.run"

    def _after_transition(self, source, target):
        super()._after_transition(source, target)
        if target not in FINAL_STATES:
            return
        codes = self.env["qms.severity"]._codes_by_id()
        now = fields.Datetime.now()
        events = []
        for run in self:
            company_id = run.company_id.id
            severity = codes.get(run.severity_id.id, NONE)
            events += [
                {
                    "name": CLOCK_ENDED,
                    "company_id": company_id,
                    "labels": {"clock": clock, "severity": severity, "state": state},
                }
                for clock in CLOCKS
                if (state := run._clock_state(clock, now)) in ("met", "breached")
            ]
            events += [
                {
                    "name": name,
                    "company_id": company_id,
                    "labels": {"severity": severity},
                    "seconds": run[name] * 60,
                }
                for name in METRICS
                if run[name] is not False
            ]
        if events:
            self.env["qms.metric"]._record(events)
