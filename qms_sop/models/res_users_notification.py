from odoo import fields, models

_OWN = ["qms_mail", "qms_digest"]


class ResUsers(models.Model):
    """By what users are told, as they choose in their preferences."""

    _inherit = "res.users"

    qms_mail = fields.Selection(
        [
            ("none", "None"),
            ("important", "Important ones"),
            ("all", "All"),
        ],
        "QMS notifications by mail",
        required=True,
        default="important",
        help="Besides what Odoo shows. Important are escalations, missed targets and "
        "whatever is about something critical or high.",
    )
    qms_digest = fields.Selection(
        [
            ("none", "None"),
            ("daily", "Every day"),
            ("weekly", "Every Monday"),
        ],
        "QMS digest by mail",
        required=True,
        default="none",
        help="What is open, at risk and overdue, in the morning of your time zone.",
    )

    @property
    def SELF_READABLE_FIELDS(self):  # noqa: N802 - Odoo's name
        return super().SELF_READABLE_FIELDS + _OWN

    @property
    def SELF_WRITEABLE_FIELDS(self):  # noqa: N802 - Odoo's name
        return super().SELF_WRITEABLE_FIELDS + _OWN
