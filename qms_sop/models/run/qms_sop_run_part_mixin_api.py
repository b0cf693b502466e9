from odoo import api, models
from odoo.fields import Domain


class QmsSopRunPartMixin(models.AbstractModel):
    """Parts of runs in the API."""

    _inherit = "qms.sop.run.part.mixin"

    @api.model
    def _api_by_run(self, runs):
        """Return the parts of runs in plain values.

        :param runs: runs that the user may see
        :return: ``{run id: [part]}``, the oldest part first
        :rtype: dict
        """
        found = self.search_fetch(Domain("run_id", "in", runs.ids), order="id")
        result = {}
        for part, values in zip(found, found._api_dicts(), strict=True):
            result.setdefault(part.run_id.id, []).append(values)
        return result

    def _api_step_number(self):
        """Return the number of the step a part belongs to, or ``None``."""
        if not self.step_id:
            return None
        outline = self.run_id.sop_id._outline()[3]
        numbers = {row[0]: row[2] for row in outline}
        return numbers.get(self.step_id.step_id.id)
