from odoo import api, fields, models

from ..incident.qms_incident_closure import GRAVE

# Of the runbooks: the meeting is arranged within a day, the post-mortem finished
# within five.
_SCHEDULE_HOURS = 24
_DAYS = 5
_LIMIT_DAYS = 365


class QmsSeverity(models.Model):
    """By when a post-mortem is due, counted from the resolution of the incident."""

    _inherit = "qms.severity"

    postmortem_schedule_hours = fields.Integer(
        "Post-mortem scheduled within (hours)",
        compute="_compute_postmortem_times",
        store=True,
        readonly=False,
        precompute=True,
        tracking=True,
        help="Hours from the resolution until its meeting is arranged. 0: not due.",
    )
    postmortem_days = fields.Integer(
        "Post-mortem published within (days)",
        compute="_compute_postmortem_times",
        store=True,
        readonly=False,
        precompute=True,
        tracking=True,
        help="Days from the resolution until it is published. 0: not due.",
    )

    _postmortem_times = models.Constraint(
        f"CHECK(postmortem_schedule_hours BETWEEN 0 AND {24 * _LIMIT_DAYS}"
        f" AND postmortem_days BETWEEN 0 AND {_LIMIT_DAYS})",
        "Post-mortems are due within a year: 0 (not required) or more.",
    )

    @api.depends("code")
    def _compute_postmortem_times(self):
        for severity in self:
            grave = severity.code in GRAVE
            severity.postmortem_schedule_hours = _SCHEDULE_HOURS if grave else 0
            severity.postmortem_days = _DAYS if grave else 0
