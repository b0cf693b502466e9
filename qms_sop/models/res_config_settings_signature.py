from odoo import api, fields, models
from odoo.tools import str2bool

from .document.qms_sop_document_signature import APPROVAL_SIGNATURE


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    # Not config_parameter="…": a parameter that is missing has to mean "on".
    qms_approval_signature = fields.Boolean("Signed approval")

    @api.model
    def get_values(self):
        parameter = (
            self.env["ir.config_parameter"].sudo().get_param(APPROVAL_SIGNATURE, "True")
        )
        return {
            **super().get_values(),
            "qms_approval_signature": str2bool(parameter, True),
        }

    def set_values(self):
        super().set_values()
        self.env["ir.config_parameter"].sudo().set_param(
            APPROVAL_SIGNATURE, str(self.qms_approval_signature)
        )
