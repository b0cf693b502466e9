from odoo import api, models


class QmsSopRunError(models.Model):
    """The first error of an incident's runs is what the incident begins with."""

    _inherit = "qms.sop.run.error"

    @api.model_create_multi
    def create(self, vals_list):
        errors = super().create(vals_list)
        errors.run_id.incident_id._take_first_error()
        return errors


class QmsIncident(models.Model):
    _inherit = "qms.incident"

    def _take_first_error(self):
        """Note the first error of the runs, where none is noted yet."""
        for incident in self:
            if incident.first_error or incident._is_final():
                continue
            errors = incident.run_ids.error_ids
            first = errors.sorted(lambda error: (error.occurred_at, error.id))[:1]
            if first:
                text = f"{first.error_code_id.name}: {first.error_message}"
                incident._write_system({"first_error": text})
