from odoo import api, models

from .qms_metric import RUN_ERROR


class QmsSopRunError(models.Model):
    """Counts the errors that runs meet."""

    _inherit = "qms.sop.run.error"

    @api.model_create_multi
    def create(self, vals_list):
        errors = super().create(vals_list)
        self.env["qms.metric"]._record(
            [
                {
                    "name": RUN_ERROR,
                    "company_id": error.run_id.company_id.id,
                    "labels": {
                        "code": error.error_code_id.name,
                        "category": error.error_code_id.category_id.code,
                        "severity": error.error_code_id.severity_id.code,
                    },
                }
                for error in errors
            ]
        )
        return errors
