from datetime import datetime, time, timedelta

from pytz import AmbiguousTimeError, NonExistentTimeError, timezone, utc

from odoo import api, fields, models

WEEKDAYS = [
    ("0", "Monday"),
    ("1", "Tuesday"),
    ("2", "Wednesday"),
    ("3", "Thursday"),
    ("4", "Friday"),
    ("5", "Saturday"),
    ("6", "Sunday"),
]


class QmsRoleShift(models.Model):
    """Some hours of each week in which somebody plays a role."""

    _name = "qms.role.shift"
    _description = "Shift of a role"
    _inherit = ["qms.audit.mixin"]
    _order = "weekday, hour_from, id"
    _rec_name = "user_id"
    _audit_root_path = "role_id"

    role_id = fields.Many2one("qms.role", required=True, index=True, ondelete="cascade")
    weekday = fields.Selection(WEEKDAYS, required=True, default="0")
    hour_from = fields.Float("From", required=True, default=0.0)
    hour_to = fields.Float(
        "To",
        required=True,
        default=24.0,
        help="An hour that is not after the first one is that of the next day.",
    )
    user_id = fields.Many2one(
        "res.users",
        "On duty",
        required=True,
        index=True,
        ondelete="cascade",
        domain=[("share", "=", False)],
    )

    _hours_of_a_day = models.Constraint(
        "CHECK(hour_from >= 0 AND hour_from < 24 AND hour_to > 0 AND hour_to <= 24)",
        "The hours of a shift: from 00:00 to 23:59, until 00:01 to 24:00.",
    )

    @api.depends("user_id", "weekday", "hour_from", "hour_to")
    def _compute_display_name(self):
        days = dict(self._fields["weekday"]._description_selection(self.env))
        for shift in self:
            shift.display_name = self.env._(
                "%(day)s %(start)s – %(end)s: %(user)s",
                day=days.get(shift.weekday, ""),
                start=_clock(shift.hour_from),
                end=_clock(shift.hour_to),
                user=shift.user_id.name or "",
            )

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        self.env["qms.escalation.review"]._ask(only_problems=True)
        return lines

    def write(self, vals):
        result = super().write(vals)
        self.env["qms.escalation.review"]._ask(only_problems=True)
        return result

    def _audit_name(self):
        return self.display_name

    def _covers(self, at):
        """Tell whether a shift is on at a time.

        :param datetime at: naive, UTC
        :rtype: bool
        """
        return any(start <= at < end for start, end in self._occurrences(at, at))

    def _occurrences(self, start, end):
        """Yield when a shift takes place, around a period.

        :param datetime start: naive, UTC
        :param datetime end: naive, UTC
        :return: pairs of naive UTC datetimes
        """
        self.ensure_one()
        zone = timezone(self.role_id.tz)
        day = utc.localize(start).astimezone(zone).date() - timedelta(days=1)
        last = utc.localize(end).astimezone(zone).date()
        until = self.hour_to + (24 if self.hour_to <= self.hour_from else 0)
        while day <= last:
            if day.weekday() == int(self.weekday):
                yield (
                    _moment(zone, day, self.hour_from),
                    _moment(zone, day, until),
                )
            day += timedelta(days=1)


def _clock(hours):
    """Return an hour of the day as people write it.

    >>> _clock(7.5)
    '07:30'

    :param float hours: since midnight
    :rtype: str
    """
    minutes = round(hours * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _moment(zone, day, hours):
    """Return the UTC time of an hour of the clock on a day, across DST changes.

    :param zone: pytz time zone
    :param date day: local
    :param float hours: since its midnight, on the clock; 24 and more: the next day
    :rtype: datetime
    """
    minutes = round(hours * 60)
    local = datetime.combine(
        day + timedelta(days=minutes // 1440), time(minutes % 1440 // 60, minutes % 60)
    )
    try:
        exact = zone.localize(local, is_dst=None)
    except AmbiguousTimeError:
        # The hour that comes twice: a shift changes hands the first time.
        exact = zone.localize(local, is_dst=True)
    except NonExistentTimeError:
        exact = zone.normalize(zone.localize(local, is_dst=False))
    return exact.astimezone(utc).replace(tzinfo=None)
