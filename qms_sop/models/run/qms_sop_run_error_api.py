from odoo import models

from ...tools.values import to_rfc3339


class QmsSopRunError(models.Model):
    """Errors of runs in the API."""

    _inherit = "qms.sop.run.error"

    def _api_dicts(self):
        """Return errors in plain values; see ``schemas.sop_runs.RunError``.

        :rtype: list[dict]
        """
        return [
            {
                "id": error.id,
                "step": error._api_step_number(),
                **error._codes(),
                "error_message": error.error_message,
                "occurred_at": to_rfc3339(error.occurred_at),
                "user_id": error.user_id.id or None,
            }
            for error in self
        ]
