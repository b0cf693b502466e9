from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import email_normalize, email_split

from .audit.qms_audit_anchor import ADDRESSES


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    qms_anchor_addresses = fields.Char("Send anchors to", config_parameter=ADDRESSES)

    @api.constrains("qms_anchor_addresses")
    def _check_qms_anchor_addresses(self):
        for settings in self:
            for part in (settings.qms_anchor_addresses or "").split(","):
                if part.strip() and not (
                    len(email_split(part)) == 1 and email_normalize(part)
                ):
                    raise ValidationError(
                        self.env._(
                            "Send anchors to: %(value)s is no mail address. Give "
                            "addresses separated by commas, such as audit@example.com.",
                            value=repr(part.strip()),
                        )
                    )
