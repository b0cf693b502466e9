from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .action.qms_action import CHECK_DAYS, DEFAULT_CHECK_DAYS
from .action.qms_action_reminder import (
    DEFAULT_ESCALATE_DAYS,
    DEFAULT_NOTICE_DAYS,
    DEFAULT_REPEAT_DAYS,
    ESCALATE_DAYS,
    NOTICE_DAYS,
    REPEAT_DAYS,
)

_DAYS = (
    "qms_action_notice_days",
    "qms_action_repeat_days",
    "qms_action_escalate_days",
    "qms_action_check_days",
)


class ResConfigSettings(models.TransientModel):
    """When people are reminded of actions."""

    _inherit = "res.config.settings"

    qms_action_notice_days = fields.Integer(
        "Days of notice before an action is due",
        config_parameter=NOTICE_DAYS,
        default=DEFAULT_NOTICE_DAYS,
    )
    qms_action_repeat_days = fields.Integer(
        "Days between reminders of an overdue action",
        config_parameter=REPEAT_DAYS,
        default=DEFAULT_REPEAT_DAYS,
    )
    qms_action_escalate_days = fields.Integer(
        "Days overdue until managers are told",
        config_parameter=ESCALATE_DAYS,
        default=DEFAULT_ESCALATE_DAYS,
    )
    qms_action_check_days = fields.Integer(
        "Days until it is checked whether an action worked",
        config_parameter=CHECK_DAYS,
        default=DEFAULT_CHECK_DAYS,
    )

    @api.constrains(*_DAYS)
    def _check_qms_action_days(self):
        for settings in self:
            for name in _DAYS:
                if not 1 <= settings[name] <= 365:
                    raise ValidationError(
                        self.env._(
                            "%(field)s: %(value)s is not accepted; give 1 to 365 days.",
                            field=self._fields[name]._description_string(self.env),
                            value=settings[name],
                        )
                    )
