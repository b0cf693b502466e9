from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.faults import at_field
from ...tools.idempotency import idempotent
from ...tools.values import to_rfc3339
from .qms_sop_run import FINAL_STATES
from .qms_sop_run_clock import TIMES

# What is told so soon after it happened is not dated back.
_AT_ONCE = timedelta(minutes=1)
_MILESTONES = ("acknowledged_at", "mitigated_at", "resolved_at")


class _TimesReason(str):
    """Why a time was dated back; a type, for no client can put it into a context."""


class QmsSopRun(models.Model):
    """Telling when a run was acknowledged, mitigated and resolved."""

    _inherit = "qms.sop.run"

    # === RPC ===

    @checked
    @idempotent
    def acknowledge(
        self,
        at: str | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Take one run on: this stops its response clock.

        :param at: when it was taken on, RFC 3339 (UTC without an offset); now when
            missing
        :param reason: why it is told only now; needed for more than a minute ago
        :return: the run as in :meth:`get_run`
        :raises ValidationError: for a time that cannot be, and without the reason
        :raises UserError: when it was acknowledged already, or has ended
        """
        return self._reach_one("acknowledged_at", at, reason)

    @checked
    @idempotent
    def mitigate(
        self,
        at: str | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Tell that the users of what one run is about no longer suffer.

        This stops its mitigation clock; whoever tells it has taken the run on, if
        nobody had.

        :param at: since when, RFC 3339 (UTC without an offset); now when missing
        :param reason: why it is told only now; needed for more than a minute ago
        :return: the run as in :meth:`get_run`
        :raises ValidationError: for a time that cannot be, and without the reason
        :raises UserError: when it was mitigated already, or has ended
        """
        return self._reach_one("mitigated_at", at, reason)

    @checked
    @idempotent
    def resolve(
        self,
        at: str | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Tell that the cause of what one run is about is removed.

        This stops its resolution clock; the run stays open until it is completed.

        :param at: since when, RFC 3339 (UTC without an offset); now when missing
        :param reason: why it is told only now; needed for more than a minute ago
        :return: the run as in :meth:`get_run`
        :raises ValidationError: for a time that cannot be, and without the reason
        :raises UserError: when it was resolved already, or has ended
        """
        return self._reach_one("resolved_at", at, reason)

    @checked
    @idempotent
    def correct_times(
        self,
        reason: str,
        occurred_at: str | None = None,
        detected_at: str | None = None,
        acknowledged_at: str | None = None,
        mitigated_at: str | None = None,
        resolved_at: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Tell the times of one open run, or correct them.

        A time that is not given stays as it is, an empty one is taken back. Deadlines
        follow when the run turns out to have been detected at another time.

        :param reason: how it is known, or what was wrong
        :param occurred_at: when the trouble began, RFC 3339 (UTC without an offset)
        :param detected_at: when it was noticed
        :param acknowledged_at: when somebody took it on
        :param mitigated_at: since when users no longer suffer
        :param resolved_at: since when its cause is removed
        :return: the run as in :meth:`get_run`
        :raises ValidationError: for times that cannot be, and without a reason
        :raises UserError: when the run has ended
        """
        self._only_one()
        given = {
            "occurred_at": occurred_at,
            "detected_at": detected_at,
            "acknowledged_at": acknowledged_at,
            "mitigated_at": mitigated_at,
            "resolved_at": resolved_at,
        }
        self._correct_times(
            {
                name: self._time_argument(name, text) if text else False
                for name, text in given.items()
                if text is not None
            },
            reason,
        )
        return self._to_rpc(steps=True)

    def _reach_one(self, name, at, reason):
        self._only_one()
        self._reach(name, self._time_argument("at", at), reason)
        return self._to_rpc(steps=True)

    @api.model
    def _time_argument(self, name, text):
        with at_field(name):
            moment = self.env["qms.audit.event"]._parse_time(name, text)
        return moment and moment.replace(microsecond=0)

    # === Buttons ===

    def action_acknowledge(self):
        """Take runs on; of several, those that nobody has taken on yet."""
        waiting = self.filtered(
            lambda run: not run.acknowledged_at and run.state not in FINAL_STATES
        )
        (waiting or self)._reach("acknowledged_at")
        return True

    def action_mitigate(self):
        """Tell that users no longer suffer."""
        self._reach("mitigated_at")
        return True

    def action_resolve(self):
        """Tell that the cause is removed."""
        self._reach("resolved_at")
        return True

    # === Telling times ===

    def _reach(self, name, at=None, reason=None):
        """Tell that runs were acknowledged, mitigated or resolved.

        :param str name: ``acknowledged_at``, ``mitigated_at`` or ``resolved_at``
        :param at: naive datetime in UTC; now when missing
        :param reason: why it is told only now
        :raises ValidationError: for a time that cannot be, and without the reason
        :raises UserError: for runs that have it already, or are not open
        """
        self.check_access("write")
        now = fields.Datetime.now()
        for run in self:
            run._check_times_open()
            if run[name]:
                raise UserError(
                    self.env._(
                        "%(run)s has this already: %(field)s is %(time)s. Another time "
                        "is told by correct_times, with a reason.",
                        run=run.display_name,
                        field=name,
                        time=to_rfc3339(run[name]),
                    )
                )
        if at and at < now - _AT_ONCE and not (reason or "").strip():
            with at_field("reason"):
                raise ValidationError(
                    self.env._(
                        "Argument reason: %(time)s is some time ago; say why it is "
                        "told only now.",
                        time=to_rfc3339(at),
                    )
                )
        untouched = self.filtered(lambda run: not run.acknowledged_at)
        told = {name: at or now}
        responder = {"acknowledged_at": at or now, "acknowledged_by_id": self.env.uid}
        untouched._write_times({**told, **responder}, reason)
        (self - untouched)._write_times(told, reason)

    def _correct_times(self, times, reason):
        """Write times of one open run.

        :param dict times: ``{name of the field: naive datetime in UTC or False}``
        :param str reason: how it is known
        :raises ValidationError: for times that cannot be, and without a reason
        :raises UserError: when the run is not open
        """
        self.ensure_one()
        self.check_access("write")
        self._check_times_open()
        self._check_reason(reason)
        times = {name: at for name, at in times.items() if at != self[name]}
        if not times:
            raise ValidationError(
                self.env._(
                    "Nothing to change: give at least one of %(fields)s that differs.",
                    fields=", ".join(TIMES),
                )
            )
        values = dict(times)
        if "acknowledged_at" in times:
            known = self.acknowledged_by_id.id or self.env.uid
            values["acknowledged_by_id"] = known if times["acknowledged_at"] else False
        self._write_times(values, reason)

    def _write_times(self, values, reason=None):
        if not self:
            return
        reason = _TimesReason((reason or "").strip())
        self.with_context(qms_times_reason=reason)._write_system(values)

    def _check_times_open(self):
        if self.state in FINAL_STATES:
            raise UserError(
                self.env._(
                    "%(run)s is %(state)s: its times can no longer be changed. What is "
                    "still to be said about it goes into its timeline.",
                    run=self.display_name,
                    state=self._state_label(self.state),
                )
            )

    # === Trail ===

    @api.model
    def _audit_tell(self, kind, changes):
        told = super()._audit_tell(kind, changes)
        reason = self.env.context.get("qms_times_reason")
        if isinstance(reason, _TimesReason) and reason:
            for entry, _owner in told:
                if not set(TIMES).isdisjoint(entry["changes"]):
                    entry["reason"] = str(reason)
        return told

    def _audit_occurred(self, kind, changes):
        if kind == "changed":
            reached = [name for name in _MILESTONES if changes.get(name, (1, 0))[1]]
            # The last one is what was done; the others follow from it.
            if reached and not changes[reached[-1]][0]:
                return self[reached[-1]]
        return super()._audit_occurred(kind, changes)
