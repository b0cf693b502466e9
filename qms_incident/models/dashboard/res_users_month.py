from odoo import fields, models

_OWN = ["qms_incident_month"]


class ResUsersSettings(models.Model):
    """Who wants the figures of the incidents of each month."""

    _inherit = "res.users.settings"

    # Not a column of res.users: signing reads that one in a transaction of its own,
    # which would wait for ever for an installation that signs (the demo data).
    qms_incident_month = fields.Boolean("Incidents of the month by mail")


class ResUsers(models.Model):
    """Users choose it in their preferences."""

    _inherit = "res.users"

    qms_incident_month = fields.Boolean(
        related="res_users_settings_id.qms_incident_month",
        readonly=False,
        help="The figures of the month that is over, on its first morning after.",
    )

    @property
    def SELF_READABLE_FIELDS(self):  # noqa: N802 - Odoo's name
        return super().SELF_READABLE_FIELDS + _OWN

    @property
    def SELF_WRITEABLE_FIELDS(self):  # noqa: N802 - Odoo's name
        return super().SELF_WRITEABLE_FIELDS + _OWN
