from datetime import time

from babel.dates import format_date, get_day_names, get_month_names
from babel.lists import format_list
from dateutil import tz
from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools.misc import babel_locale_parse, get_lang

from odoo.addons.base.models.res_partner import _tz_get

from ...tools.recurrence import WEEKDAYS, Recurrence

_PREVIEWED = 5
# What the planned occurrences follow from
RULE_FIELDS = frozenset(
    {
        "active",
        "freq",
        "interval",
        *WEEKDAYS,
        "month_by",
        "month_day",
        "month_week",
        "month_weekday",
        "month",
        "at_time",
        "tz",
        "date_from",
        "end_by",
        "until",
        "count",
        "complete_within",
        "company_id",
        "user_id",
    }
)
# … of these, the ones that say when it is
_OTHER_FIELDS = frozenset({"active", "complete_within", "company_id", "user_id"})


class QmsSopSchedule(models.Model):
    """An SOP that is run again and again.

    Its occurrences are worked out some time ahead; when the time of one has come,
    a run is opened (see ``qms_sop_schedule_engine.py``).
    """

    _name = "qms.sop.schedule"
    _description = "Recurring SOP"
    _inherit = [
        "mail.thread",
        "mail.activity.mixin",
        "qms.notification.source.mixin",
        "qms.audit.mixin",
    ]
    _order = "name, id"
    _check_company_auto = True

    _audit_ignored = frozenset({"planned_until"})

    name = fields.Char(required=True)
    active = fields.Boolean(default=True, copy=False)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
        help="The company whose runs are opened.",
    )
    sop_code = fields.Char("SOP code", required=True)
    sop_id = fields.Many2one(
        "qms.sop.document",
        "SOP",
        compute="_compute_sop_id",
        inverse="_inverse_sop_id",
        domain=[("state", "=", "approved")],
        help="Run in the revision that is effective then.",
    )
    severity_id = fields.Many2one(
        "qms.severity", ondelete="restrict", help="Of the runs; may be blank."
    )
    summary = fields.Text("What to do", help="Becomes the summary of each run.")
    user_id = fields.Many2one(
        "res.users",
        "Assigned to",
        help="Becomes responsible for each run, and is told of it.",
    )
    role_id = fields.Many2one(
        "qms.role",
        "Or to whoever is",
        ondelete="restrict",
        check_company=True,
        help="Holds this role at the planned time, and nobody is named above.",
    )
    manager_id = fields.Many2one(
        "res.users",
        "Watched by",
        default=lambda self: self.env.user,
        help="Is told when a run could not be opened, or was not opened in time.",
    )

    # When
    freq = fields.Selection(
        [
            ("daily", "Days"),
            ("weekly", "Weeks"),
            ("monthly", "Months"),
            ("yearly", "Years"),
        ],
        "Repeats every",
        required=True,
        default="weekly",
    )
    interval = fields.Integer("Every", required=True, default=1)
    mon = fields.Boolean("Mon", default=True)
    tue = fields.Boolean("Tue")
    wed = fields.Boolean("Wed")
    thu = fields.Boolean("Thu")
    fri = fields.Boolean("Fri")
    sat = fields.Boolean("Sat")
    sun = fields.Boolean("Sun")
    month_by = fields.Selection(
        [
            ("day", "the day"),
            ("last_day", "the last day"),
            ("weekday", "the weekday"),
        ],
        "Day by",
        default="day",
    )
    month_day = fields.Integer(
        "Day of the month",
        default=1,
        help="1 to 31. A month that has no such day: on its last one.",
    )
    month_week = fields.Selection(
        [
            ("1", "first"),
            ("2", "second"),
            ("3", "third"),
            ("4", "fourth"),
            ("-1", "last"),
        ],
        "Which",
        default="1",
    )
    month_weekday = fields.Selection(
        [
            ("0", "Monday"),
            ("1", "Tuesday"),
            ("2", "Wednesday"),
            ("3", "Thursday"),
            ("4", "Friday"),
            ("5", "Saturday"),
            ("6", "Sunday"),
        ],
        "Weekday",
        default="0",
    )
    month = fields.Selection(
        [
            ("1", "January"),
            ("2", "February"),
            ("3", "March"),
            ("4", "April"),
            ("5", "May"),
            ("6", "June"),
            ("7", "July"),
            ("8", "August"),
            ("9", "September"),
            ("10", "October"),
            ("11", "November"),
            ("12", "December"),
        ],
        default="1",
    )
    at_time = fields.Float(
        "At", required=True, default=9.0, help="On the clock of the time zone."
    )
    tz = fields.Selection(
        _tz_get,
        "Time zone",
        required=True,
        default=lambda self: self.env.user.tz or "UTC",
        help="The place whose clock counts. The time stays the same there in summer "
        "and in winter.",
    )
    date_from = fields.Date(
        "From", required=True, default=fields.Date.context_today, copy=False
    )
    end_by = fields.Selection(
        [("never", "Never"), ("until", "On a date"), ("count", "After some times")],
        "Ends",
        required=True,
        default="never",
    )
    until = fields.Date("Until", help="The last day that counts.")
    count = fields.Integer("Times", default=10, help="Counted from the first day.")
    rule = fields.Char(
        compute="_compute_words", help="As RFC 5545 (iCalendar) writes it."
    )
    words = fields.Char("When", compute="_compute_words")
    preview = fields.Html("Next", compute="_compute_words", sanitize=False)

    # What is late, and what is too late
    grace = fields.Integer(
        "Grace",
        required=True,
        default=60,
        help="Minutes. A run that could not be opened in time, because the server was "
        "down, is still opened so much later.",
    )
    catch_up = fields.Selection(
        [
            ("none", "Open none of them"),
            ("latest", "Open the latest of them"),
            ("all", "Open all of them"),
        ],
        "Later than that",
        required=True,
        default="latest",
        help="What happens to occurrences for which even the grace is over. Those that "
        "are not opened are recorded as missed.",
    )
    if_open = fields.Selection(
        [
            ("start", "Open the next one as well"),
            ("miss", "Leave the next one out"),
        ],
        "While the last is open",
        required=True,
        default="start",
        help="What happens when the run of the last time is not finished yet. What is "
        "left out is recorded as missed.",
    )
    complete_within = fields.Integer(
        "Done within",
        required=True,
        default=24,
        help="Hours from the planned time. A run that is not completed by then is "
        "late. 0: no limit.",
    )

    # What came of it
    occurrence_ids = fields.One2many("qms.sop.schedule.occurrence", "schedule_id")
    planned_until = fields.Datetime(
        readonly=True,
        copy=False,
        help="Occurrences are worked out up to then.",
    )
    next_at = fields.Datetime("Next run", compute="_compute_outcome")
    last_state = fields.Selection(
        selection="_selection_last_state",
        string="Last time",
        compute="_compute_outcome",
    )
    run_count = fields.Integer(compute="_compute_outcome")
    missed_count = fields.Integer("Missed", compute="_compute_outcome")

    # === Computes ===

    @api.model
    def _selection_last_state(self):
        return (
            self.env["qms.sop.schedule.occurrence"]
            ._fields["state"]
            ._description_selection(self.env)
        )

    @api.depends("sop_code")
    def _compute_sop_id(self):
        self.env["qms.alert.rule"]._find_sops(self)

    def _inverse_sop_id(self):
        for schedule in self:
            schedule.sop_code = schedule.sop_id.code

    @api.depends(*(RULE_FIELDS - _OTHER_FIELDS))
    @api.depends_context("lang", "tz")
    def _compute_words(self):
        locale = babel_locale_parse(get_lang(self.env).code)
        after = fields.Datetime.now()
        for schedule in self:
            try:
                recurrence = schedule._recurrence()
            except ValidationError as error:
                # Shown while the form is filled in.
                schedule.rule = schedule.words = False
                schedule.preview = Markup("<p>%s</p>") % str(error)
                continue
            schedule.rule = str(recurrence)
            schedule.words = schedule._in_words(locale)
            moments = list(recurrence.moments(after=after, limit=_PREVIEWED))
            lines = [schedule._moment_in_words(moment, locale) for moment in moments]
            schedule.preview = (
                Markup("<ol>%s</ol>")
                % Markup("").join(Markup("<li>%s</li>") % line for line in lines)
                if lines
                else Markup("<p>%s</p>") % self.env._("Never again.")
            )

    def _compute_outcome(self):
        occurrences = self.env["qms.sop.schedule.occurrence"]
        mine = Domain("schedule_id", "in", self.ids)
        upcoming = dict(
            occurrences._read_group(
                mine & Domain("state", "=", "planned"),
                ["schedule_id"],
                ["planned_at:min"],
            )
        )
        ended = mine & Domain("state", "!=", "planned")
        counts = {
            schedule: (runs, latest)
            for schedule, runs, latest in occurrences._read_group(
                ended, ["schedule_id"], ["run_id:count", "id:max"]
            )
        }
        missed = dict(
            occurrences._read_group(
                mine & Domain("state", "=", "missed"), ["schedule_id"], ["__count"]
            )
        )
        for schedule in self:
            runs, latest = counts.get(schedule, (0, False))
            schedule.next_at = upcoming.get(schedule, False)
            schedule.run_count = runs
            schedule.last_state = occurrences.browse(latest or ()).state
            schedule.missed_count = missed.get(schedule, 0)

    # === Constraints ===

    @api.constrains("sop_code")
    def _check_sop_code(self):
        self.env["qms.alert.rule"]._check_sop_codes(self)

    @api.constrains("grace", "complete_within")
    def _check_limits(self):
        for schedule in self:
            for name, unit in (
                ("grace", self.env._("minutes")),
                ("complete_within", self.env._("hours")),
            ):
                if schedule[name] < 0:
                    raise ValidationError(
                        self.env._(
                            "%(field)s: %(value)s is not accepted; give a number of "
                            "%(unit)s from 0 up.",
                            field=schedule._label(name),
                            value=schedule[name],
                            unit=unit,
                        )
                    )

    @api.constrains(*(RULE_FIELDS - _OTHER_FIELDS))
    def _check_rule(self):
        for schedule in self:
            recurrence = schedule._recurrence()
            if not next(recurrence.moments(limit=1), None):
                raise ValidationError(
                    self.env._(
                        "%(schedule)s never comes: %(words)s, from %(start)s.",
                        schedule=schedule.name,
                        words=schedule.words,
                        start=schedule.date_from,
                    )
                )

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_not_forged(vals)
            if vals.get("sop_id") and not vals.get("sop_code"):
                # What is kept is the code; an inverse comes after the record.
                chosen = self.env["qms.sop.document"].browse(vals["sop_id"])
                vals["sop_code"] = chosen.code
        schedules = super().create(vals_list)
        schedules._replan()
        return schedules

    def write(self, vals):
        self._check_not_forged(vals)
        result = super().write(vals)
        if RULE_FIELDS & vals.keys():
            self._replan()
        return result

    def _write_system(self, vals):
        """Write fields that clients cannot."""
        return super().write(vals)

    @api.model
    def _check_not_forged(self, vals):
        if "planned_until" in vals:
            raise UserError(
                self.env._(
                    "%(model)s: %(fields)s cannot be given, the system writes it.",
                    model=self._description,
                    fields="planned_until",
                )
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_history(self):
        used = self.env["qms.sop.schedule.occurrence"].search(
            Domain("schedule_id", "in", self.ids) & Domain("state", "!=", "planned"),
            limit=1,
        )
        if used:
            raise UserError(
                self.env._(
                    "%(schedule)s has a history and belongs to the records: it cannot "
                    "be deleted. Archive it, and no more runs are opened.",
                    schedule=used.schedule_id.name,
                )
            )

    # === Buttons ===

    def action_view_occurrences(self):
        """Open what was planned and what came of it."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_schedule_occurrence_action"
        )
        return {
            **action,
            "domain": [("schedule_id", "=", self.id)],
            "context": {"in_calendar": True},
        }

    def action_view_missed(self):
        """Open the occurrences that were missed."""
        action = self.action_view_occurrences()
        return {
            **action,
            "views": [(False, "list"), (False, "form")],
            "domain": [*action["domain"], ("state", "=", "missed")],
        }

    def action_view_runs(self):
        """Open the runs that were opened so far."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_run_action"
        )
        return {
            **action,
            "domain": [("occurrence_ids.schedule_id", "=", self.id)],
            "context": {},
        }

    # === The rule ===

    def _recurrence(self):
        """Return the rule of one schedule.

        :rtype: Recurrence
        :raises ValidationError: naming the field at fault and what is accepted
        """
        self.ensure_one()
        self._check_rule_fields()
        weekday = self._by_month() == "weekday"
        minutes = round(self.at_time * 60)
        return Recurrence(
            freq=self.freq,
            start=self.date_from,
            at=time(minutes // 60, minutes % 60),
            zone=self.tz,
            interval=self.interval,
            weekdays=self._weekdays(),
            month_day=31 if self.month_by == "last_day" else self.month_day,
            month_weekday=(int(self.month_week), int(self.month_weekday))
            if weekday
            else None,
            month=int(self.month or 1),
            until=self.until if self.end_by == "until" else None,
            count=self.count if self.end_by == "count" else None,
        )

    def _check_rule_fields(self):
        """Refuse what makes no rule."""
        for name in self._rule_fields_needed():
            if not self[name]:
                raise ValidationError(
                    self.env._("%(field)s: is needed.", field=self._label(name))
                )
        for name, most in self._rule_limits().items():
            if not 1 <= self[name] <= most:
                raise ValidationError(
                    self.env._(
                        "%(field)s: %(value)s is not accepted; give 1 to %(most)s.",
                        field=self._label(name),
                        value=self[name],
                        most=most,
                    )
                )
        if not 0 <= round(self.at_time * 60) < 24 * 60:
            raise ValidationError(
                self.env._(
                    "%(field)s: %(value)s is not a time; give 00:00 to 23:59.",
                    field=self._label("at_time"),
                    value=self.at_time,
                )
            )
        if not tz.gettz(self.tz):
            raise ValidationError(
                self.env._(
                    "%(field)s: %(value)s is not known here; choose another one.",
                    field=self._label("tz"),
                    value=self.tz,
                )
            )
        if self.freq == "weekly" and not self._weekdays():
            raise ValidationError(self.env._("Choose at least one day of the week."))
        if self.end_by == "until" and self.until < self.date_from:
            raise ValidationError(
                self.env._(
                    "%(field)s: %(until)s is before the first day, %(start)s.",
                    field=self._label("until"),
                    until=self.until,
                    start=self.date_from,
                )
            )

    def _by_month(self):
        """Return how the day of the month is said, if the rule has one."""
        return self.month_by if self.freq in ("monthly", "yearly") else None

    def _rule_fields_needed(self):
        """Return the names of the fields without which there is no rule."""
        needed = ["date_from", "tz"]
        if self.freq == "yearly":
            needed.append("month")
        if self.freq in ("monthly", "yearly"):
            needed.append("month_by")
        if self._by_month() == "weekday":
            needed += ["month_week", "month_weekday"]
        if self.end_by == "until":
            needed.append("until")
        return needed

    def _rule_limits(self):
        """Return the fields that are numbers from 1 up, and to which number."""
        limits = {"interval": 999}
        if self._by_month() == "day":
            limits["month_day"] = 31
        if self.end_by == "count":
            limits["count"] = 9999
        return limits

    def _label(self, name):
        return self._fields[name]._description_string(self.env)

    def _weekdays(self):
        return tuple(number for number, day in enumerate(WEEKDAYS) if self[day])

    # === People ===

    def _assigned_to(self, at):
        """Return who becomes responsible for a run.

        :param datetime at: naive UTC; when the run was planned
        :rtype: res.users record, or none
        """
        self.ensure_one()
        user = self.user_id.filtered("active")
        if user or not self.role_id:
            return user
        return self.role_id._holders(at, immediately=True)[:1]

    def _tell_missed(self, occurrence):
        """Tell who watches the schedule that a run was not opened."""
        watcher = self.manager_id.filtered("active")
        if not watcher or watcher._is_superuser():
            watcher = self.env["qms.sop.document"]._somebody_responsible()
        self.env["qms.notification"]._publish(
            "schedule_missed",
            self,
            key=f"schedule:{occurrence.id}:missed",
            users=watcher,
            values={
                "planned": occurrence._planned_in_words(),
                "reason_missed": occurrence.reason,
                "responsible": occurrence.user_id.name,
            },
        )

    # === In words ===

    def _in_words(self, locale):
        """Return when it is, as a person says it.

        :param babel.Locale locale: of the reader
        :rtype: str
        """
        words = self.env._(
            "%(days)s at %(time)s (%(zone)s)",
            days=getattr(self, f"_{self.freq}_in_words")(locale),
            time=f"{self._recurrence().at:%H:%M}",
            zone=self.tz,
        )
        if self.end_by == "until":
            words = self.env._(
                "%(words)s, until %(date)s",
                words=words,
                date=format_date(self.until, "long", locale=locale),
            )
        elif self.end_by == "count":
            words = self.env._(
                "%(words)s, %(count)s times", words=words, count=self.count
            )
        return words

    def _daily_in_words(self, locale):
        if self.interval == 1:
            return self.env._("Every day")
        return self.env._("Every %(count)s days", count=self.interval)

    def _weekly_in_words(self, locale):
        names = get_day_names("wide", locale=locale)
        days = self._weekdays()
        listed = format_list([names[day] for day in days], locale=locale)
        if self.interval > 1:
            return self.env._(
                "Every %(count)s weeks on %(days)s", count=self.interval, days=listed
            )
        if days == (0, 1, 2, 3, 4):
            return self.env._(
                "Every day from %(first)s to %(last)s", first=names[0], last=names[4]
            )
        if len(days) == len(WEEKDAYS):
            return self.env._("Every day")
        return self.env._("Every %(days)s", days=listed)

    def _monthly_in_words(self, locale):
        day = self._day_in_words(locale)
        if self.interval == 1:
            return self.env._("On %(day)s of every month", day=day)
        return self.env._(
            "On %(day)s of every %(count)s months", day=day, count=self.interval
        )

    def _yearly_in_words(self, locale):
        day = self._day_in_words(locale)
        month = get_month_names("wide", locale=locale)[int(self.month)]
        if self.interval == 1:
            return self.env._(
                "On %(day)s of %(month)s every year", day=day, month=month
            )
        return self.env._(
            "On %(day)s of %(month)s every %(count)s years",
            day=day,
            month=month,
            count=self.interval,
        )

    def _day_in_words(self, locale):
        if self.month_by == "last_day":
            return self.env._("the last day")
        if self.month_by == "day":
            return self.env._("day %(number)s", number=self.month_day)
        position = dict(self._fields["month_week"]._description_selection(self.env))
        return self.env._(
            "the %(which)s %(weekday)s",
            which=position[self.month_week],
            weekday=get_day_names("wide", locale=locale)[int(self.month_weekday)],
        )

    def _moment_in_words(self, moment, locale):
        """Return one time, on the clock of the schedule, and of the reader's.

        :param datetime moment: aware, in the zone of the schedule
        :param babel.Locale locale: of the reader
        :rtype: str
        """
        day = format_date(moment, "EEEE, d MMMM y", locale=locale)
        offset = moment.strftime("%z")
        text = self.env._(
            "%(day)s, %(time)s (UTC%(offset)s)",
            day=day,
            time=f"{moment:%H:%M}",
            offset=f"{offset[:3]}:{offset[3:]}",
        )
        if moment.time() != self._recurrence().at:
            text = self.env._("%(moment)s – the clock is put forward", moment=text)
        return text
