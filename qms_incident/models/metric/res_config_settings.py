from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .qms_incident_report import MAX_REPEAT_DAYS, REPEAT_DAYS


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    # Not config_parameter="…": 0 would delete the parameter, and mean the default.
    qms_incident_repeat_days = fields.Integer("Repeats within")

    @api.model
    def get_values(self):
        days = self.env["qms.incident.report"]._repeat_days()
        return {**super().get_values(), "qms_incident_repeat_days": days}

    def set_values(self):
        super().set_values()
        days = self.qms_incident_repeat_days
        if not 0 <= days <= MAX_REPEAT_DAYS:
            raise ValidationError(
                self.env._(
                    "Repeats within: %(days)s is not accepted; give 0 to %(most)s "
                    "days.",
                    days=days,
                    most=MAX_REPEAT_DAYS,
                )
            )
        # sudo: as Odoo writes its own parameters of the settings
        self.env["ir.config_parameter"].sudo().set_param(REPEAT_DAYS, str(days))
