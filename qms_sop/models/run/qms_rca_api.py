from odoo import api, models
from odoo.fields import Domain

from ...tools.values import to_rfc3339


class QmsRca(models.Model):
    """Root-cause analyses in the API."""

    _inherit = "qms.rca"

    @api.model
    def _api_by_run(self, runs):
        """Return the analyses of runs in plain values.

        :param runs: runs that the user may see
        :return: ``{run id: [analysis]}``, the oldest first
        :rtype: dict
        """
        found = self.search_fetch(Domain("run_id", "in", runs.ids), order="id")
        result = {}
        for rca, values in zip(found, found._api_dicts(), strict=True):
            result.setdefault(rca.run_id.id, []).append(values)
        return result

    def _api_dicts(self):
        """Return analyses in plain values; see ``schemas.sop_runs.Rca``.

        :rtype: list[dict]
        """
        codes = self.env["qms.error.code"]._names_by_id()
        return [
            {
                "id": rca.id,
                "name": rca.name,
                "state": rca.state,
                "error_code": codes.get(rca.error_code_id.id),
                "root_cause": rca.root_cause or None,
                "whys": [
                    {
                        "question": why.question,
                        "answer": why.answer,
                        "evidence": why.evidence or None,
                    }
                    for why in rca.why_ids
                ],
                "contributing_factors": rca.factor_ids.mapped("name"),
                "known_cause": rca.cause_id.name or None,
                "fix_type": rca.fix_type or None,
                "fix": rca.fix or None,
                "verification": rca.verification or None,
                "confirmed_at": to_rfc3339(rca.confirmed_on),
                "confirmed_by_id": rca.confirmed_by_id.id or None,
            }
            for rca in self
        ]
