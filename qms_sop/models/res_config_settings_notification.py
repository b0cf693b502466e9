import re

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..tools.notification_target import SERVICES
from .notification.qms_notification_channel import (
    DEFAULT_HOSTS,
    DEFAULT_SCHEMES,
    HOSTS,
    SCHEMES,
    split,
)

_HOST = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*(:\d{1,5})?")


class ResConfigSettings(models.TransientModel):
    """Where notifications may be sent to."""

    _inherit = "res.config.settings"

    # Not config_parameter="…": emptied, that deletes the parameter, and a parameter
    # that is missing means the default.
    qms_notification_schemes = fields.Char("Services of notification channels")
    qms_notification_hosts = fields.Char("Hosts of notification channels")

    @api.constrains("qms_notification_schemes", "qms_notification_hosts")
    def _check_qms_notification(self):
        for settings in self:
            for name in split(settings.qms_notification_schemes):
                if name not in SERVICES:
                    raise ValidationError(
                        self.env._(
                            "Services of notification channels: %(name)s is unknown. "
                            "Accepted: %(known)s.",
                            name=name,
                            known=", ".join(SERVICES),
                        )
                    )
            for host in split(settings.qms_notification_hosts):
                if not _HOST.fullmatch(host):
                    raise ValidationError(
                        self.env._(
                            "Hosts of notification channels: %(host)s is not accepted. "
                            "Give names such as hooks.example.com, *.example.com or "
                            "mail.example.com:2525.",
                            host=host,
                        )
                    )

    @api.model
    def get_values(self):
        parameters = self.env["ir.config_parameter"].sudo()
        return {
            **super().get_values(),
            "qms_notification_schemes": parameters.get_param(SCHEMES, DEFAULT_SCHEMES),
            "qms_notification_hosts": parameters.get_param(HOSTS, DEFAULT_HOSTS),
        }

    def set_values(self):
        super().set_values()
        parameters = self.env["ir.config_parameter"].sudo()
        for parameter, text in (
            (SCHEMES, self.qms_notification_schemes),
            (HOSTS, self.qms_notification_hosts),
        ):
            # "none" is no service and no host: an empty parameter would be deleted.
            parameters.set_param(parameter, ", ".join(split(text)) or "none")
