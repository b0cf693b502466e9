import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain

from odoo.addons.qms_sop.tools.zones import in_utc

from ..incident.qms_incident import OVER_STATES

_logger = logging.getLogger(__name__)

_DAY = timedelta(days=1)
# Days after which the managers are told as well
_ESCALATE_DAYS = 3
_SCHEDULE, _DUE, _LATE = "postmortem_schedule", "postmortem_due", "postmortem_late"


class QmsIncident(models.Model):
    """Somebody is reminded of a post-mortem that is due until it is published.

    To arrange the meeting: once the incident is resolved, when that is due, and each
    day after. To publish it: the day before, when it is due, and each day after; then
    also whoever has not reviewed it yet, and when it is long past, the managers.
    """

    _inherit = "qms.incident"

    @api.model
    def _postmortem_awaited(self):
        """Return the domain of the incidents whose post-mortem is waited for.

        An external one that is linked counts as published; closed without one, and
        signed for, nobody waits for it any more.

        :rtype: Domain
        """
        return (
            (
                Domain("postmortem_due", "!=", False)
                | Domain("postmortem_schedule_due", "!=", False)
            )
            & Domain("state", "in", OVER_STATES)
            & Domain("postmortem_link", "=", False)
            & Domain("override_missing", "not like", "postmortem")
            & ~Domain("postmortem_ids.state", "=", "published")
        )

    def write(self, vals):
        # Closing over it is signed for before, so that is no change of what is awaited.
        awaited = self if vals.get("state") == "closed" else self.browse()
        if {"state", "severity_id", "postmortem_link"} & vals.keys():
            awaited |= self.filtered_domain(self._postmortem_awaited())
        result = super().write(vals)
        if awaited:
            still = awaited.filtered_domain(self._postmortem_awaited())
            (awaited - still)._forget_postmortem_reminders()
        return result

    def _forget_postmortem_reminders(self, *events):
        """Mark as done what people were reminded of.

        :param events: codes of templates; all of them when there are none
        """
        events = events or (_SCHEDULE, _DUE, _LATE)
        for incident in self:
            self.env["qms.notification"]._settle(incident, *events)

    @api.model
    def _cron_remind_of_postmortems(self):
        """Remind of each post-mortem that is waited for, one in each transaction."""
        domain = self._postmortem_awaited()
        awaited = self.with_context(active_test=False).search(domain, order="id")
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(awaited))
        for incident in awaited:
            try:
                with self.env.cr.savepoint():
                    incident._remind_of_postmortem()
            except Exception:
                # One that cannot be told of must not keep the others waiting.
                _logger.exception("Reminder of a post-mortem of %s failed", incident.id)
            if not cron._commit_progress(1):
                break

    def _remind_of_postmortem(self):
        """Remind of the post-mortem of one incident, once on each occasion."""
        self.ensure_one()
        occasion = self._postmortem_occasion(fields.Datetime.now())
        if not occasion:
            return
        event, due, late = occasion
        key = f"incident:{self.id}:{event}:{due.isoformat()}:{late}"
        # sudo: nobody reads the outbox
        outbox = self.env["qms.notification"].sudo()
        if outbox.search_count(Domain("key", "in", [key, f"{key}:{_LATE}"]), limit=1):
            return
        self._drop_postmortem_reminders()
        people = self._postmortem_people()
        managers = self._postmortem_managers()
        self._tell_of_postmortem(event, people or managers, key, due, late)
        if event == _DUE:
            self.postmortem_ids._remind_reviewers()
        if late >= _ESCALATE_DAYS:
            others = managers - people
            self._tell_of_postmortem(_LATE, others, f"{key}:{_LATE}", due, late)

    def _postmortem_occasion(self, now):
        """Return what one incident is to be reminded of at a moment.

        :param datetime now: naive, in UTC
        :return: event, when it is due, and the days since then (-1: before); ``None``
            when there is nothing yet
        :rtype: tuple[str, datetime, int] | None
        """
        due = self.postmortem_due
        if due and now >= due - _DAY:
            return _DUE, due, (now - due) // _DAY
        due = self.postmortem_schedule_due
        if due and not self.postmortem_ids.meeting_at:
            return _SCHEDULE, due, max((now - due) // _DAY, -1)
        return None

    def _postmortem_people(self):
        """Return who sees to the post-mortem: its author, or who led the response.

        :rtype: res.users record, or an empty one
        """
        candidates = (self.postmortem_ids.author_id, self.commander_id, self.user_id)
        for user in candidates:
            if user and self._is_person(user) and self._can_be_assigned(user):
                return user
        return self.env["res.users"]

    def _postmortem_managers(self):
        group = self.env.ref("qms_error_code.group_qms_manager")
        # sudo: who is told does not depend on who may read it
        return group.sudo().all_user_ids.filtered(
            lambda user: self._is_person(user) and self._can_be_assigned(user)
        )

    def _tell_of_postmortem(self, event, people, key, due, late):
        postmortem = self.postmortem_ids
        told = self.env["qms.notification"]._publish(
            event,
            self,
            key=key,
            users=people,
            values={
                "due": in_utc(due),
                "days": late if late > 0 else None,
                "postmortem_state": postmortem._state_label(postmortem.state)
                if postmortem
                else None,
                "owner": self._postmortem_people().sudo().name,
            },
        )
        activities = told.sudo().activity_id
        if activities:
            activities.date_deadline = due.date()

    def _drop_postmortem_reminders(self):
        """Take away the activities of earlier reminders, which this one replaces."""
        self.env["qms.notification"]._activities_of(
            self, _SCHEDULE, _DUE, _LATE
        ).unlink()


class QmsPostmortem(models.Model):
    _inherit = "qms.postmortem"

    def _after_scheduling(self):
        result = super()._after_scheduling()
        self.incident_id._forget_postmortem_reminders(_SCHEDULE)
        return result

    def _after_transition(self, source, target):
        result = super()._after_transition(source, target)
        if target == "published":
            self.incident_id._forget_postmortem_reminders()
        return result
