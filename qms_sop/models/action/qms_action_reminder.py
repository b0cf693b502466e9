import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain

from ..document.qms_sop_document import MANAGER_GROUP
from .qms_action import QmsAction as Action
from .qms_action import positive_parameter

_logger = logging.getLogger(__name__)

# System parameters, in days: how long before its deadline an action is called to mind;
# how often afterwards; how late it is when its managers are told as well.
NOTICE_DAYS, DEFAULT_NOTICE_DAYS = "qms_sop.action_notice_days", 3
REPEAT_DAYS, DEFAULT_REPEAT_DAYS = "qms_sop.action_repeat_days", 3
ESCALATE_DAYS, DEFAULT_ESCALATE_DAYS = "qms_sop.action_escalate_days", 7
# Each of these replaces the one before it.
_REMINDERS = (
    "action_assigned",
    "action_reopened",
    "action_due",
    "action_overdue",
    "action_check_due",
    "action_escalated",
)
_DAY = timedelta(days=1)


class QmsAction(models.Model):
    """Whoever has to act is reminded until it is done, whatever became of the source.

    Before the deadline, on that day, the day after, and then again and again; when it
    is long past, those it is escalated to are told each time as well. The same goes
    for the check of what is done.
    """

    _name = "qms.action"
    _inherit = ["qms.action", "qms.notification.source.mixin"]

    _system_fields = Action._system_fields | {"reminded_on"}
    _audit_ignored = Action._audit_ignored | {"reminded_on"}

    reminded_on = fields.Date("Last reminded", readonly=True, copy=False)
    next_reminder_on = fields.Date(
        "Next reminder", compute="_compute_next_reminder_on", store=True
    )

    _next_reminder_idx = models.Index(
        "(next_reminder_on) WHERE next_reminder_on IS NOT NULL"
    )

    @api.depends("next_date", "reminded_on")
    def _compute_next_reminder_on(self):
        notice = self._days(NOTICE_DAYS, DEFAULT_NOTICE_DAYS)
        repeat = self._days(REPEAT_DAYS, DEFAULT_REPEAT_DAYS)
        today = fields.Date.context_today(self)
        for action in self:
            start = action.reminded_on + _DAY if action.reminded_on else today
            day = action.next_date
            # Of days that are going to be refused, no days can be counted.
            action.next_reminder_on = (
                _next_reminder(day, start, notice, repeat)
                if day and 2000 <= day.year < 2200
                else False
            )

    @api.model
    def _days(self, parameter, default):
        return positive_parameter(self.env, parameter, default)

    # === When people are told ===

    @api.model_create_multi
    def create(self, vals_list):
        actions = super().create(vals_list)
        for action in actions:
            action._tell_owner("action_assigned")
        return actions

    def write(self, vals):
        before = {action: action.user_id for action in self if "user_id" in vals}
        result = super().write(vals)
        for action, owner in before.items():
            if action.user_id != owner:
                action._drop_reminders()
                action._tell_owner("action_assigned")
        if {"due_date", "check_date"} & vals.keys():
            for action in self.filtered("next_date"):
                action._activities().date_deadline = action.next_date
        return result

    def _after_transition(self, source, target):
        result = super()._after_transition(source, target)
        for action in self:
            if target in ("done", "verified", "cancelled"):
                self.env["qms.notification"]._settle(action)
            elif target == "reopened":
                action._drop_reminders()
                action._tell_owner("action_reopened")
        return result

    def _tell_owner(self, event):
        """Tell the owner, unless it is the owner who acts."""
        if self.user_id != self.env.user:
            moment = self.env.cr.now().isoformat()
            self._tell(event, self.user_id, f"action:{self.id}:{event}:{moment}")

    def _tell(self, event, people, key, **values):
        """Tell people of an event; what they have to do is due with the action.

        :param str event: code of a ``qms.notification.template``
        :param people: res.users records
        :param str key: names the occasion
        :param values: further values of the template
        """
        told = self.env["qms.notification"]._publish(
            event, self, key=key, users=people, values=values
        )
        # sudo: nobody reads the outbox; of other people's activities, too
        activities = told.sudo().activity_id
        if activities and self.next_date:
            activities.date_deadline = self.next_date

    def _activities(self):
        """Return the activities of those who were told what they have to do."""
        return self.env["qms.notification"]._activities_of(self, *_REMINDERS)

    def _drop_reminders(self):
        """Take away the activities of earlier reminders, which count no more."""
        self._activities().unlink()

    # === Reminding ===

    @api.model
    def _cron_remind(self):
        """Remind everybody whose day it is, each action in a transaction of its own."""
        # It is tomorrow already east of here.
        latest = fields.Date.today() + _DAY
        domain = Domain("next_reminder_on", "<=", latest)
        due = self.with_context(active_test=False).search(
            domain, order="next_reminder_on, id"
        )
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(due))
        for action in due:
            locked = action.try_lock_for_update().filtered_domain(domain)
            if locked:
                try:
                    with self.env.cr.savepoint():
                        locked._remind()
                except Exception:
                    # One that cannot be told of must not keep the others waiting.
                    _logger.exception("Reminder of the action %s failed", action.id)
            if not cron._commit_progress(1):
                break

    def _remind(self):
        """Remind of one action, if it is the day for those who have to act."""
        self.ensure_one()
        people = self.check_user_id if self.state == "done" else self.user_id
        people = people.filtered("active") or self._managers()
        zone = people[:1].tz or "UTC"
        today = fields.Date.context_today(self.with_context(tz=zone))
        if self.next_reminder_on > today:
            return
        late = (today - self.next_date).days
        occasion = f"action:{self.id}:{self.next_date}:{self.next_reminder_on}"
        self._drop_reminders()
        event = "action_overdue" if late > 0 else "action_due"
        if self.state == "done":
            event = "action_check_due"
        self._tell(event, people, f"{occasion}:{event}", days=max(late, 0) or None)
        if late >= self._days(ESCALATE_DAYS, DEFAULT_ESCALATE_DAYS):
            event = "action_escalated"
            managers = self._managers() - people
            self._tell(event, managers, f"{occasion}:{event}", days=late)
        self._write_system({"reminded_on": today})

    def _managers(self):
        """Return who is told when an action stays undone.

        :rtype: res.users records
        """
        if self.manager_id.active:
            return self.manager_id
        managers = self.env.ref(MANAGER_GROUP).all_user_ids
        return managers.filtered(
            lambda user: (
                user.active
                and not user._is_superuser()
                and self.company_id in user.company_ids
            )
        )

    # === What is told ===

    @api.model
    def _notification_names(self):
        return {
            **super()._notification_names(),
            "title": self.env._("what is to be done"),
            "owner": self.env._("who answers for its being done"),
            "checker": self.env._("who checks whether it worked"),
            "due": self.env._("when it is due; of what is done, the check"),
            "priority": self.env._("priority"),
            "action_kind": self.env._("corrective, preventive or improvement"),
            "state": self.env._("state of the action"),
            "source": self.env._("what it comes from"),
            "result": self.env._("what was done"),
            "criteria": self.env._("how to tell that it worked"),
            "reason": self.env._("why it was reopened or cancelled"),
        }

    def _notification_values(self):
        def label(name):
            options = self._fields[name]._description_selection(self.env)
            return dict(options).get(self[name])

        return {
            **super()._notification_values(),
            "name": self.reference,
            "title": self.name,
            "owner": self.user_id.name,
            "checker": self.check_user_id.name,
            "due": self.next_date and self.next_date.isoformat(),
            "priority": label("priority"),
            "action_kind": label("kind"),
            "state": self._state_label(self.state),
            "source": self.source_name or self.source_note,
            "result": self.result,
            "criteria": self.check_criteria,
            "reason": self.state_reason,
        }

    def _notification_url(self):
        return f"{self.get_base_url()}/odoo/qms-actions/{self.id}"

    def _notification_severity(self):
        severities = self.env["qms.severity"]
        code = self._priority_code()
        found = {code: record for record, code in severities._codes_by_id().items()}
        return severities.browse(found.get(code, ()))

    def _notification_thread(self):
        return self.reference


def _next_reminder(deadline, start, notice, repeat):
    """Return the first day on which to remind, from a day on.

    :param date deadline: of what is to be done
    :param date start: the first day that comes into question
    :param int notice: days before the deadline, of the first reminder
    :param int repeat: days between two reminders, once it is late
    :rtype: date
    """
    for day in (deadline - timedelta(days=notice), deadline):
        if start <= day:
            return day
    rounds = max(-(-(start - deadline - _DAY).days // repeat), 0)
    return deadline + _DAY + timedelta(days=rounds * repeat)
