from odoo import models

from ..run.qms_sop_run import FINAL_STATES
from .qms_metric import RUN_FINISHED


class QmsSopRun(models.Model):
    """Counts the runs that end; what is open is counted when it is asked for."""

    _inherit = "qms.sop.run"

    def _after_transition(self, source, target):
        super()._after_transition(source, target)
        if target in FINAL_STATES:
            self.env["qms.metric"]._record(
                [
                    {
                        "name": RUN_FINISHED,
                        "company_id": run.company_id.id,
                        "labels": {"sop": run.sop_id._outline()[0], "state": target},
                        "seconds": (
                            None if run.duration is False else run.duration * 60
                        ),
                    }
                    for run in self
                ]
            )
