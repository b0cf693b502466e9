from odoo import api, models

from .qms_metric import RUN_ERROR


class QmsSopRunError(models.Model):
    """Counts the errors that runs meet."""

    _inherit = "qms.sop.run.error"

    @api.model_create_multi
    def create(self, vals_list):
        errors = super().create(vals_list)
        self.env["qms.metric"]._record([error._counted() for error in errors])
        return errors

    def _counted(self):
        labels = self._codes()
        return {
            "name": RUN_ERROR,
            "company_id": self.run_id.company_id.id,
            "labels": {"code": labels.pop("error_code"), **labels},
        }
