from odoo import models

from ...tools.values import to_rfc3339


class QmsSopRunError(models.Model):
    """Errors of runs in the API."""

    _inherit = "qms.sop.run.error"

    def _api_dicts(self):
        """Return errors in plain values; see ``schemas.sop_runs.RunError``.

        :rtype: list[dict]
        """
        codes = self.env["qms.error.code"]._names_by_id()
        severities = self.env["qms.severity"]._codes_by_id()
        categories = self.env["qms.error.category"]._codes_by_id()
        return [
            {
                "id": error.id,
                "step": error._api_step_number(),
                "error_code": codes[error.error_code_id.id],
                "category": categories.get(error.category_id.id),
                "severity": severities.get(error.severity_id.id),
                "error_message": error.error_message,
                "occurred_at": to_rfc3339(error.occurred_at),
                "user_id": error.user_id.id or None,
            }
            for error in self
        ]
