from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .run.qms_sop_run_clock import AT_RISK_PERCENT, DEFAULT_AT_RISK_PERCENT


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    qms_sla_at_risk_percent = fields.Integer(
        "Per cent of a target after which it is at risk",
        config_parameter=AT_RISK_PERCENT,
        default=DEFAULT_AT_RISK_PERCENT,
    )

    @api.constrains("qms_sla_at_risk_percent")
    def _check_qms_sla_at_risk_percent(self):
        for settings in self:
            if not 1 <= settings.qms_sla_at_risk_percent <= 99:
                raise ValidationError(
                    self.env._(
                        "%(field)s: %(value)s is not accepted; give 1 to 99.",
                        field=self._fields[
                            "qms_sla_at_risk_percent"
                        ]._description_string(self.env),
                        value=settings.qms_sla_at_risk_percent,
                    )
                )
