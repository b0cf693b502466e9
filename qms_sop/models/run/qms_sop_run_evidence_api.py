from odoo import models

from ...tools.values import to_rfc3339


class QmsSopRunEvidence(models.Model):
    """Evidence of runs in the API."""

    _inherit = "qms.sop.run.evidence"

    def _api_dicts(self):
        """Return evidence in plain values; see ``schemas.sop_runs.RunEvidence``.

        :rtype: list[dict]
        """
        base_url = self.browse().get_base_url()
        return [
            {
                "id": evidence.id,
                "name": evidence.name,
                "step": evidence._api_step_number(),
                "source": evidence.source or None,
                "mimetype": evidence.mimetype or None,
                "size": evidence.size,
                "sha256": evidence.sha256,
                "collected_at": to_rfc3339(evidence.collected_at),
                "user_id": evidence.user_id.id or None,
                "content_url": f"{base_url}/api/v1/sop-runs/{evidence.run_id.id}"
                f"/evidence/{evidence.id}/content",
            }
            for evidence in self
        ]

    def _api_stream(self):
        """Return the file of one piece of evidence, to be sent.

        :rtype: odoo.http.Stream
        """
        self.ensure_one()
        stream = self.env["ir.binary"]._get_stream_from(
            self, "datas", filename=self.name, mimetype=self.mimetype
        )
        # The hash that stands in the record, so a client can compare the two.
        stream.etag = self.sha256
        return stream
