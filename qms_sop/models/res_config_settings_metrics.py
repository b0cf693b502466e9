from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .metric.qms_metric import ALLOWED, parse_networks


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    qms_metrics_addresses = fields.Char(
        "Scrape without a key from", config_parameter=ALLOWED
    )

    @api.constrains("qms_metrics_addresses")
    def _check_qms_metrics_addresses(self):
        for settings in self:
            try:
                parse_networks(settings.qms_metrics_addresses or "")
            except ValueError as error:
                raise ValidationError(
                    self.env._(
                        "%(field)s: %(error)s. Give addresses or networks, separated "
                        "by commas, such as 10.0.0.5, 192.168.0.0/24.",
                        field=self._fields["qms_metrics_addresses"]._description_string(
                            self.env
                        ),
                        error=error,
                    )
                ) from None
