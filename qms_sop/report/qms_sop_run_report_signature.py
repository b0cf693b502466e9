from odoo import api, models


class ReportSopRun(models.AbstractModel):
    """What signatures, amendments and damaged files add to the report of a run."""

    _inherit = "report.qms_sop.report_sop_run"

    @api.model
    def _page(self, run):
        return {**super()._page(run), "instant": self._instant}

    @api.model
    def _event_labels(self):
        return {
            **super()._event_labels(),
            "run.signed": self.env._("Signed"),
            "run.signing_refused": self.env._("Signing refused"),
            "run.amended": self.env._("Amended"),
            "run.escalated": self.env._("Escalated"),
            "evidence.damaged": self.env._("Evidence found damaged"),
        }

    @api.model
    def _evidence(self, run):
        proofs = run.evidence_ids.sorted("id")
        found = proofs._found_hashes()
        return [
            {
                **line,
                "damaged": "" if found[proof.id] == proof.sha256 else found[proof.id],
            }
            for line, proof in zip(super()._evidence(run), proofs, strict=True)
        ]
