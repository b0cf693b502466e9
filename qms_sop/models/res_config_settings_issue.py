import re

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .issue.qms_issue_tracker import DEFAULT_HOSTS, HOSTS
from .run.qms_sop_run_recurrence import DAYS, TIMES

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*(:\d{1,5})?")


class ResConfigSettings(models.TransientModel):
    """What counts as a pattern, and where issues may be made."""

    _inherit = "res.config.settings"

    # Not config_parameter="…": 0 would delete the parameter, and a parameter that is
    # missing means the default.
    qms_recurrence_times = fields.Integer("Times that are a pattern")
    qms_recurrence_days = fields.Integer("Days in which they count")
    qms_issue_hosts = fields.Char("Hosts of issue trackers")

    @api.constrains("qms_recurrence_times", "qms_recurrence_days", "qms_issue_hosts")
    def _check_qms_issues(self):
        for settings in self:
            for name, least, most in (
                ("qms_recurrence_times", 0, 100),
                ("qms_recurrence_days", 1, 365),
            ):
                value = settings[name]
                if not least <= value <= most or value == 1 and least == 0:
                    raise ValidationError(
                        self.env._(
                            "%(field)s: %(value)s is not accepted; give %(accepted)s.",
                            field=self._fields[name]._description_string(self.env),
                            value=value,
                            accepted=self.env._("2 to 100, or 0 for never")
                            if least == 0
                            else self.env._("1 to 365"),
                        )
                    )
            for host in self._qms_hosts(settings.qms_issue_hosts):
                if not _HOST.fullmatch(host):
                    raise ValidationError(
                        self.env._(
                            "Hosts of issue trackers: %(host)s is not accepted. Give "
                            "names such as api.github.com or github.example.com:8443.",
                            host=host,
                        )
                    )

    @api.model
    def _qms_hosts(self, text):
        return [host for host in re.split(r"[\s,]+", (text or "").lower()) if host]

    @api.model
    def get_values(self):
        times, days = self.env["qms.sop.run"]._recurrence_settings()
        return {
            **super().get_values(),
            "qms_recurrence_times": times,
            "qms_recurrence_days": days,
            "qms_issue_hosts": self.env["ir.config_parameter"]
            .sudo()
            .get_param(HOSTS, DEFAULT_HOSTS),
        }

    def set_values(self):
        super().set_values()
        parameters = self.env["ir.config_parameter"].sudo()
        hosts = ", ".join(self._qms_hosts(self.qms_issue_hosts))
        for parameter, value in (
            (TIMES, str(self.qms_recurrence_times)),
            (DAYS, str(self.qms_recurrence_days)),
            # "none" is no host: an empty parameter would be deleted.
            (HOSTS, hosts or "none"),
        ):
            parameters.set_param(parameter, value)
