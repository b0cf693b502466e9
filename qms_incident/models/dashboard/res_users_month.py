from odoo import fields, models

_OWN = ["qms_incident_month"]


class ResUsers(models.Model):
    """Who wants the figures of the incidents of each month, as they choose."""

    _inherit = "res.users"

    qms_incident_month = fields.Boolean(
        "Incidents of the month by mail",
        help="The figures of the month that is over, on its first morning after.",
    )

    @property
    def SELF_READABLE_FIELDS(self):  # noqa: N802 - Odoo's name
        return super().SELF_READABLE_FIELDS + _OWN

    @property
    def SELF_WRITEABLE_FIELDS(self):  # noqa: N802 - Odoo's name
        return super().SELF_WRITEABLE_FIELDS + _OWN
