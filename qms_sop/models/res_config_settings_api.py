from odoo import api, fields, models
from odoo.exceptions import ValidationError

# System parameter: requests a minute and API key; 0: no limit.
RATE_LIMIT = "qms_sop.api_rate_limit"
DEFAULT_RATE_LIMIT = 3_000


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    # Not config_parameter="…": a limit of 0 would delete the parameter, and a
    # parameter that is missing means the default.
    qms_api_rate_limit = fields.Integer("Requests a minute and API key")

    @api.constrains("qms_api_rate_limit")
    def _check_qms_api_rate_limit(self):
        for settings in self:
            if settings.qms_api_rate_limit < 0:
                raise ValidationError(
                    self.env._(
                        "Requests a minute and API key: %(value)s is not accepted; "
                        "give a number from 0 up, 0 for no limit.",
                        value=settings.qms_api_rate_limit,
                    )
                )

    @api.model
    def get_values(self):
        return {**super().get_values(), "qms_api_rate_limit": self._qms_rate_limit()}

    def set_values(self):
        super().set_values()
        self.env["ir.config_parameter"].sudo().set_param(
            RATE_LIMIT, str(self.qms_api_rate_limit)
        )

    @api.model
    def _qms_rate_limit(self):
        """Return how many requests a minute an API key may make; 0: any number.

        :rtype: int
        """
        # sudo: system parameters are read by administrators only.
        value = self.env["ir.config_parameter"].sudo().get_param(RATE_LIMIT)
        known = isinstance(value, str) and value.isascii() and value.isdecimal()
        return int(value) if known else DEFAULT_RATE_LIMIT
