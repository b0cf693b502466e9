from datetime import datetime, time, timedelta

import pytz

from odoo import api, models
from odoo.tools import ormcache


class ResourceCalendar(models.Model):
    """Opening times at hand, for clocks that count only those."""

    _inherit = "resource.calendar"

    @api.model
    @ormcache("calendar_id", "monday")
    def _qms_week(self, calendar_id, monday):
        """Return the opening times of one week, holidays left out.

        :param int calendar_id: database id
        :param date monday: the week begins there at midnight in the calendar's zone
        :return: pairs of naive datetimes in UTC, in order, none touching the next
        :rtype: tuple[tuple[datetime, datetime], ...]
        """
        # Whoever works a run may not be allowed to read all holidays of a company.
        opening = self.sudo().browse(calendar_id)
        zone = pytz.timezone(opening.tz or "UTC")
        begin = zone.localize(datetime.combine(monday, time()))
        end = zone.localize(datetime.combine(monday + timedelta(days=7), time()))
        # Odoo takes the holidays of every company where a leave names no calendar.
        leaves = [
            ("time_type", "=", "leave"),
            ("company_id", "in", [False, opening.company_id.id]),
        ]
        found = []
        for since, till, _attendance in opening._work_intervals_batch(
            begin, end, domain=leaves
        )[False]:
            since, till = (
                moment.astimezone(pytz.utc).replace(tzinfo=None)
                for moment in (since, till)
            )
            if found and since <= found[-1][1]:
                found[-1] = (found[-1][0], max(till, found[-1][1]))
            else:
                found.append((since, till))
        return tuple(found)

    @api.model_create_multi
    def create(self, vals_list):
        result = super().create(vals_list)
        self.env.registry.clear_cache()
        return result

    def write(self, vals):
        result = super().write(vals)
        self.env.registry.clear_cache()
        return result

    def unlink(self):
        result = super().unlink()
        self.env.registry.clear_cache()
        return result
