from odoo import api, models

from ...tools.values import to_rfc3339
from ..audit.qms_audit_event import guard
from ..run.qms_sop_run import FINAL_STATES


class QmsSopRun(models.Model):
    """A run is kept with all that belongs to it, and purged with it."""

    _name = "qms.sop.run"
    _inherit = ["qms.sop.run", "qms.retention.mixin"]

    _purgeable_states = FINAL_STATES

    def _retention_class(self):
        return self.sop_id.classification, self.company_id

    @api.model
    def _retention_parts(self):
        return [
            *super()._retention_parts(),
            ("qms.rca", "run_id"),
            ("qms.sop.run.evidence", "run_id"),
            ("qms.sop.run.error", "run_id"),
            ("qms.sop.run.amendment", "run_id"),
            ("qms.sop.run.step", "run_id"),
            ("qms.sop.schedule.occurrence", "run_id"),
        ]

    def _retention_data(self):
        return {
            **super()._retention_data(),
            "sop": self.sop_id._audit_name(),
            "started_at": to_rfc3339(self.start_time),
        }


class QmsSopRunAmendment(models.Model):
    """An amendment goes with its run, and never before."""

    _inherit = "qms.sop.run.amendment"

    def init(self):
        super().init()
        guard(self.env, self._table, "qms_audit_rows", "UPDATE")
        guard(
            self.env,
            self._table,
            "qms_audit_delete",
            "DELETE",
            "qms_audit_keep",
            ("qms.sop.run", "run_id"),
        )
