from datetime import timedelta

from markupsafe import Markup
from pytz import timezone, utc

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools.misc import format_datetime

from odoo.addons.base.models.res_partner import _tz_get

# How far ahead somebody is looked for who comes to work
HORIZON = timedelta(days=14)
_SHOWN = timedelta(days=7)


class QmsRole(models.Model):
    """A part in the response to trouble, and whoever plays it at a time.

    Who that is, is said by the first of these that names anybody: an override, the
    weekly rota, the holders, the role that stands in.
    """

    _name = "qms.role"
    _description = "Role"
    _inherit = ["mail.thread", "qms.audit.mixin"]
    _order = "sequence, name, id"

    name = fields.Char(required=True, translate=True, tracking=True)
    code = fields.Char(
        required=True,
        copy=False,
        help="The word that imports and interfaces use: lower case, for example "
        "“incident_commander”.",
    )
    sequence = fields.Integer(default=50)
    active = fields.Boolean(default=True, tracking=True)
    description = fields.Text(
        "Responsibilities", translate=True, help="What whoever plays the part does."
    )
    contact = fields.Char(
        tracking=True,
        help="How to reach the role by other means, such as a telephone number. It is "
        "told together with the role.",
    )
    company_id = fields.Many2one(
        "res.company", index=True, help="Blank: a role of all companies."
    )
    user_ids = fields.Many2many(
        "res.users",
        "qms_role_user_rel",
        "role_id",
        "user_id",
        "Holders",
        domain=[("share", "=", False)],
        tracking=True,
        help="Who plays the part whenever the rota names nobody.",
    )
    channel_ids = fields.Many2many(
        "qms.notification.channel",
        "qms_role_channel",
        "role_id",
        "channel_id",
        "Channels",
        tracking=True,
        help="Told whenever the role is, such as the pager of whoever is on call or "
        "the mail address of a support desk.",
    )
    is_responsible = fields.Boolean(
        "The person responsible",
        tracking=True,
        help="Where a run has a person responsible for it, that person plays the part "
        "in that run. The holders stand in where it has none.",
    )
    shift_ids = fields.One2many("qms.role.shift", "role_id", "Weekly rota", copy=True)
    override_ids = fields.One2many("qms.role.override", "role_id", "Overrides")
    tz = fields.Selection(
        _tz_get,
        "Time zone",
        required=True,
        default=lambda self: self.env.user.tz or "UTC",
        help="The hours of the rota are those of this time zone.",
    )
    calendar_id = fields.Many2one(
        "resource.calendar",
        "Working hours",
        tracking=True,
        help="When holders without working hours of their own can be told what may "
        "wait. Blank: the working hours of the company.",
    )
    fallback_id = fields.Many2one(
        "qms.role",
        "Stand-in",
        index=True,
        ondelete="restrict",
        tracking=True,
        help="Which role is told while nobody holds this one.",
    )
    on_duty_ids = fields.Many2many(
        "res.users",
        string="On duty",
        compute="_compute_on_duty_ids",
        recursive=True,
        help="Who plays the part at this moment.",
    )
    vacant = fields.Boolean(
        "Nobody holds it",
        compute="_compute_on_duty_ids",
        search="_search_vacant",
        help="Nobody is named by the rota or among the holders, and no role stands in.",
    )
    week = fields.Html("Next seven days", compute="_compute_week")

    _code_uniq = models.Constraint(
        "UNIQUE(code)", "There is already a role with this code."
    )
    _code_words = models.Constraint(
        "CHECK(code ~ '^[a-z][a-z0-9_]*$')",
        "The code of a role begins with a lower-case letter; lower-case letters, "
        "digits and underscores follow, for example “incident_commander”.",
    )

    # === Computes ===

    @api.depends(
        "user_ids",
        "shift_ids.user_id",
        "shift_ids.weekday",
        "shift_ids.hour_from",
        "shift_ids.hour_to",
        "override_ids.user_id",
        "override_ids.date_from",
        "override_ids.date_to",
        "fallback_id.on_duty_ids",
        "tz",
    )
    def _compute_on_duty_ids(self):
        now = fields.Datetime.now()
        for role in self:
            role.on_duty_ids = role._holders(now, immediately=True)
            role.vacant = not role.on_duty_ids

    @api.model
    def _search_vacant(self, operator, value):
        if operator != "in":
            return NotImplemented
        vacant = self.search([]).filtered("vacant").ids
        return [("id", "in" if True in value else "not in", vacant)]

    @api.depends("user_ids", "shift_ids", "override_ids", "tz", "fallback_id")
    def _compute_week(self):
        now = fields.Datetime.now()
        for role in self:
            rows = role._origin._duties(now, now + _SHOWN) if role._origin else []
            role.week = (
                Markup("<table class='table table-sm mb-0'><tbody>%s</tbody></table>")
                % Markup("").join(
                    Markup("<tr><td>%s</td><td>%s</td><td>%s</td></tr>")
                    % (
                        role._shown_time(start),
                        role._shown_time(end),
                        ", ".join(users.mapped("name")) or role.env._("nobody"),
                    )
                    for start, end, users in rows
                )
                if rows
                else False
            )

    def _shown_time(self, value):
        return format_datetime(self.env, value, tz=self.tz, dt_format="EEE d MMM HH:mm")

    # === Constraints ===

    @api.constrains("fallback_id")
    def _check_fallback(self):
        if self._has_cycle("fallback_id"):
            raise ValidationError(
                self.env._("Stand-in: a role cannot, in the end, stand in for itself.")
            )

    @api.constrains("company_id", "fallback_id")
    def _check_fallback_company(self):
        for role in self:
            other = role.fallback_id.company_id
            if other and other != role.company_id:
                raise ValidationError(
                    self.env._(
                        "Stand-in: %(other)s is a role of %(company)s only.",
                        other=role.fallback_id.name,
                        company=other.name,
                    )
                )

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        roles = super().create(vals_list)
        self.env["qms.escalation.review"]._ask(only_problems=True)
        return roles

    def write(self, vals):
        result = super().write(vals)
        self.env["qms.escalation.review"]._ask(only_problems=True)
        return result

    # === Who ===

    def _holders(self, at, immediately=False):
        """Return who plays the part at a time.

        :param datetime at: naive, UTC
        :param bool immediately: also those who are not at work then. People on the
            rota or in an override are at work; holders are in their own working
            hours (of their resource, else of the role, else of the company), in
            their own time zone.
        :return: active users; none when nobody holds the role, or nobody is at work
        :rtype: res.users
        """
        role = self._holding(at)
        users, on_rota = role._named(at)
        if immediately or on_rota:
            return users
        return users.filtered(lambda user: role._at_work(user, at))

    def _holding(self, at):
        """Return the role whose people play the part at a time: itself, or another.

        :param datetime at: naive, UTC
        :rtype: qms.role
        """
        self.ensure_one()
        if self.fallback_id and not self._named(at)[0]:
            return self.fallback_id._holding(at)
        return self

    def _named(self, at):
        """Return who the role itself names at a time, and whether by the rota.

        :rtype: tuple[res.users, bool]
        """
        for lines in (self.override_ids, self.shift_ids):
            users = lines.filtered(lambda line: line._covers(at)).user_id
            if users := users.filtered("active"):
                return users, True
        return self.user_ids.filtered("active"), False

    def _next_at_work(self, at):
        """Return when somebody who plays the part is next at work.

        :param datetime at: naive, UTC
        :return: ``at`` itself when somebody is; ``None`` when nobody is within
            :data:`HORIZON`
        :rtype: datetime or None
        """
        self.ensure_one()
        if self._holders(at):
            return at
        role, moments = self, set()
        while role:
            for start, end in role._boundaries(at, at + HORIZON):
                moments |= {start, end}
            for user in role.user_ids:
                moments |= {start for start, _end in role._work(user, at, at + HORIZON)}
            role = role.fallback_id
        return next(
            (
                moment
                for moment in sorted(moments)
                if moment > at and self._holders(moment)
            ),
            None,
        )

    def _duties(self, start, end):
        """Return who plays the part from when to when, whatever the hour.

        :param datetime start: naive, UTC
        :param datetime end: naive, UTC
        :return: ``(start, end, res.users)`` in order, without gaps
        :rtype: list[tuple]
        """
        moments, role = {start, end}, self
        while role:
            for times in role._boundaries(start, end):
                moments |= {moment for moment in times if start < moment < end}
            role = role.fallback_id
        moments = sorted(moments)
        duties = []
        for since, until in zip(moments, moments[1:], strict=False):
            users = self._holders(since, immediately=True)
            if duties and duties[-1][2] == users:
                duties[-1] = (duties[-1][0], until, users)
            else:
                duties.append((since, until, users))
        return duties

    def _boundaries(self, start, end):
        """Yield when shifts and overrides begin and end, around a period."""
        for override in self.override_ids:
            yield override.date_from, override.date_to
        for shift in self.shift_ids:
            yield from shift._occurrences(start, end)

    # === Working hours ===

    def _at_work(self, user, at):
        return bool(self._work(user, at, at + timedelta(minutes=1)))

    def _work(self, user, start, end):
        """Return when a holder works.

        :param res.users user: one
        :param datetime start: naive, UTC
        :param datetime end: naive, UTC
        :return: pairs of naive UTC datetimes, in order
        :rtype: list[tuple[datetime, datetime]]
        """
        # Working hours are no secret; the holder's resource may be of another company.
        user = user.sudo()
        resource = user.resource_ids.filtered("calendar_id")[:1]
        company = self.sudo().company_id or user.company_id
        calendar = (
            resource.calendar_id
            or self.sudo().calendar_id
            or company.resource_calendar_id
        )
        if not calendar:
            return [(start, end)]
        zone = timezone(user.tz or calendar.tz or "UTC")
        intervals = calendar._work_intervals_batch(
            utc.localize(start), utc.localize(end), resources=resource, tz=zone
        )[resource.id or False]
        return [
            (
                since.astimezone(utc).replace(tzinfo=None),
                until.astimezone(utc).replace(tzinfo=None),
            )
            for since, until, _record in intervals
        ]

    @api.model
    def _next_work(self, user, at):
        """Return when a person is next at work, whatever role they play.

        :param res.users user: one
        :param datetime at: naive, UTC
        :return: ``at`` itself when they are; ``None`` when not within :data:`HORIZON`
        :rtype: datetime or None
        """
        return next(
            (
                max(start, at)
                for start, end in self._work(user, at, at + HORIZON)
                if end > at
            ),
            None,
        )

    # === Finding ===

    @api.model
    def _by_code(self, code):
        """Return the role with a code, or none.

        :param str code: such as ``incident_commander``
        """
        return self.search(Domain("code", "=", code), limit=1)
