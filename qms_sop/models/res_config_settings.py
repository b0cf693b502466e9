from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import str2bool

from .document.qms_sop_document import FOUR_EYES
from .document.qms_sop_document_acknowledgement import (
    DEFAULT_READING_DAYS,
    READING_DAYS,
)
from .document.qms_sop_document_review import DEFAULT_NOTICE_DAYS, NOTICE_DAYS


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    # Not config_parameter="…": switched off, that deletes the parameter, and a
    # parameter that is missing has to mean "on".
    qms_four_eyes = fields.Boolean("Four eyes")
    qms_review_notice_days = fields.Integer(
        "Days of notice before a review",
        config_parameter=NOTICE_DAYS,
        default=DEFAULT_NOTICE_DAYS,
    )
    qms_acknowledge_days = fields.Integer(
        "Days for reading a new revision",
        config_parameter=READING_DAYS,
        default=DEFAULT_READING_DAYS,
    )

    @api.constrains("qms_review_notice_days", "qms_acknowledge_days")
    def _check_qms_days(self):
        for settings in self:
            for name in ("qms_review_notice_days", "qms_acknowledge_days"):
                if not 1 <= settings[name] <= 365:
                    raise ValidationError(
                        self.env._(
                            "%(field)s: %(value)s is not accepted; give 1 to 365 days.",
                            field=self._fields[name]._description_string(self.env),
                            value=settings[name],
                        )
                    )

    @api.model
    def get_values(self):
        parameter = self.env["ir.config_parameter"].sudo().get_param(FOUR_EYES, "True")
        return {**super().get_values(), "qms_four_eyes": str2bool(parameter, True)}

    def set_values(self):
        super().set_values()
        self.env["ir.config_parameter"].sudo().set_param(
            FOUR_EYES, str(self.qms_four_eyes)
        )
