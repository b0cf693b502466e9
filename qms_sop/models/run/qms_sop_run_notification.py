from odoo import api, fields, models
from odoo.fields import Domain

from ...tools.values import to_rfc3339
from ...tools.zones import in_utc
from .qms_sop_run import FINAL_STATES

# What is told when one of these times becomes known
_MOMENTS = {
    "acknowledged_at": "run_acknowledged",
    "mitigated_at": "run_mitigated",
    "resolved_at": "run_resolved",
}


class QmsSopRun(models.Model):
    """Who hears of a run.

    Opening one costs no query for this unless a channel subscribes to it, or somebody
    else than the one who opens it is responsible.
    """

    _name = "qms.sop.run"
    _inherit = ["qms.sop.run", "qms.notification.source.mixin"]

    notification_count = fields.Integer(compute="_compute_notification_count")

    def _compute_notification_count(self):
        counts = dict(
            self.env["qms.notification"]._read_group(
                Domain("model", "=", self._name) & Domain("res_id", "in", self.ids),
                ["res_id"],
                ["__count"],
            )
        )
        for run in self:
            run.notification_count = counts.get(run.id, 0)

    # === What is told ===

    @api.model
    def _notification_names(self):
        return {
            **super()._notification_names(),
            "summary": self.env._("what was observed"),
            "state": self.env._("state of the run"),
            "severity": self.env._("severity"),
            "priority": self.env._("P0 to P3"),
            "category": self.env._("category of the error"),
            "error_code": self.env._("error code"),
            "sop": self.env._("code and version of the SOP"),
            "title": self.env._("title of the SOP"),
            "responsible": self.env._("who is responsible"),
            "source": self.env._("who or what asked for the run"),
            "started": self.env._("when it began, UTC"),
            "ended": self.env._("when it ended, UTC"),
            "duration": self.env._("minutes from beginning to end, or until now"),
            "progress": self.env._("steps that are done, of all"),
            "current_step": self.env._("the step to work on"),
            "steps_taken": self.env._("steps so far, one a line"),
            "errors": self.env._("errors that were met, one a line"),
            "evidence": self.env._("pieces of evidence, by name"),
            "root_cause": self.env._("root cause, once it is recorded"),
            "resolution": self.env._("what resolved it"),
            "reason": self.env._("why it is on hold, failed or cancelled"),
            "update_minutes": self.env._("minutes between two updates"),
        }

    def _notification_values(self):
        code, version, title, _steps = self.sop_id._outline()
        steps = self.step_ids
        done = steps.filtered(lambda step: step.state in ("completed", "skipped"))
        until = self.end_time or fields.Datetime.now()
        minutes = (
            self.start_time and int((until - self.start_time).total_seconds()) // 60
        )
        severity = self.severity_id
        causes = self.rca_ids.filtered("root_cause")
        return {
            **super()._notification_values(),
            "summary": self.summary,
            "state": self._state_label(self.state),
            "severity": severity.name,
            "priority": severity.alias,
            "category": self.category_id.name,
            "error_code": self.error_code_id.name,
            "sop": f"{code} {version}",
            "title": title,
            "responsible": self.user_id.name,
            "source": self.source,
            "started": in_utc(self.start_time),
            "ended": in_utc(self.end_time),
            "duration": None if minutes is None else max(minutes, 0),
            "progress": self.env._(
                "%(done)s of %(all)s steps", done=len(done), all=len(steps)
            ),
            "current_step": self.current_step_id.display_name,
            "steps_taken": [
                f"{step.number}. {step.name}: {step._state_label(step.state)}"
                + (f" – {step.actual_result}" if step.actual_result else "")
                for step in steps.filtered(lambda step: step.state != "pending")
            ],
            "errors": [
                f"{error.error_code_id.name}: {error.error_message}"
                for error in self.error_ids
            ],
            "evidence": ", ".join(self.evidence_ids.mapped("name")),
            "root_cause": causes[:1].root_cause,
            "resolution": self.resolution,
            "reason": self.state_reason,
            "update_minutes": severity.update_interval or None,
        }

    def _notification_url(self):
        return f"{self.get_base_url()}/odoo/qms-runs/{self.id}"

    def _notification_severity(self):
        return self.severity_id

    def _notification_thread(self):
        return self.name

    # === When it is told ===

    @api.model_create_multi
    def create(self, vals_list):
        runs = super().create(vals_list)
        for run in runs:
            if run.state == "in_progress":
                run._tell_opened()
            if run.user_id.id not in (self.env.uid, False):
                run._tell_responsible()
        return runs

    def write(self, vals):
        before = self._before_telling(vals)
        result = super().write(vals)
        self._tell_changes(before)
        return result

    def _write_system(self, vals):
        before = self._before_telling(vals)
        result = super()._write_system(vals)
        self._tell_changes(before)
        return result

    def _before_telling(self, vals):
        """Return the values that are about to change and that others hear of."""
        names = [name for name in (*_MOMENTS, "user_id") if name in vals]
        if not names or not self._fields.keys() >= set(names):
            return {}
        return {run: {name: run[name] for name in names} for run in self}

    def _tell_changes(self, before):
        """Tell what became known since :meth:`_before_telling`.

        :param dict before: what that returned
        """
        for run, values in before.items():
            for name, old in values.items():
                if name == "user_id" and run.user_id != old:
                    run._tell_change_of_responsible()
                elif name in _MOMENTS and run[name] and not old:
                    run._tell_moment(name)

    def _after_transition(self, source, target):
        super()._after_transition(source, target)
        for run in self:
            if source == "draft" and target == "in_progress":
                run._tell_opened()
            if target in FINAL_STATES:
                run._tell("run_ended", f"run:{run.id}:ended")
                self.env["qms.notification"]._settle(run)

    def _tell_opened(self):
        self._tell("run_opened", f"run:{self.id}:opened")

    def _tell_moment(self, name):
        """Tell that one run was acknowledged, mitigated or resolved."""
        # A run that ends is told as ended.
        if self.state in FINAL_STATES:
            return
        self._tell(_MOMENTS[name], f"run:{self.id}:{name}:{to_rfc3339(self[name])}")
        if name == "acknowledged_at":
            self.env["qms.notification"]._settle(self, "run_assigned", "escalation")

    def _tell_responsible(self):
        """Tell the person responsible that one run is theirs."""
        self.env["qms.notification"]._publish(
            "run_assigned",
            self,
            key=f"run:{self.id}:assigned:{self.env.cr.now().isoformat()}",
            users=self.user_id,
        )

    def _tell_change_of_responsible(self):
        self.env["qms.notification"]._settle(self, "run_assigned")
        if self.user_id != self.env.user and self.state not in FINAL_STATES:
            self._tell_responsible()

    def _tell(self, event, key):
        self.env["qms.notification"]._publish(event, self, key=key)

    def action_view_notifications(self):
        """Open who was told what about the run."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_notification_action"
        )
        return {
            **action,
            "domain": [("model", "=", self._name), ("res_id", "=", self.id)],
            "context": {},
        }
