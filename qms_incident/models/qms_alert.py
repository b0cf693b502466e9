from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.idempotency import idempotent

from .incident.qms_incident import HURTING_STATES
from .qms_sop_run import INCIDENT

# What the alert knows better than the run that was opened for it
_ALERT_KNOWS = ("detection_method", "detected_by")
_MAX_TITLE = 120
_RUN_HAS_NONE = Domain("run_id", "=", False) | Domain("run_id.incident_id", "=", False)


class QmsAlert(models.Model):
    """Alerts that became incidents."""

    _inherit = "qms.alert"

    incident_id = fields.Many2one(
        "qms.incident", compute="_compute_incident_id", search="_search_incident_id"
    )
    # Only the intake writes alerts, and whoever opens an incident for one.
    own_incident_id = fields.Many2one(
        "qms.incident",
        "Opened without a run",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )

    @api.depends("own_incident_id", "run_id.incident_id")
    def _compute_incident_id(self):
        for alert in self:
            alert.incident_id = alert.run_id.incident_id or alert.own_incident_id

    @api.model
    def _search_incident_id(self, operator, value):
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented
        known = [one for one in value if one] if operator == "in" else value
        found = Domain("run_id.incident_id", operator, known)
        # Also when nothing is searched for: that is the one where both are blank.
        return found | (_RUN_HAS_NONE & Domain("own_incident_id", operator, value))

    # === Opening ===

    def action_open_incident(self):
        """Open the incident of the alert; open a new one where there is none."""
        self.ensure_one()
        return (self.incident_id or self._open_incident({}))._open_form()

    @checked
    @idempotent
    def open_incident(
        self,
        title: str | None = None,
        severity: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Open an incident for one alert, or return the one it belongs to.

        :param title: what happens, in a line; taken from the alert when missing
        :param severity: code, alias or name; that of the alert when missing
        :return: the incident as ``qms.incident.get_incident()`` gives it, and
            ``existing``: whether the alert had it already
        :raises ValidationError: when there is no such alert that the user may see
        """
        self.ensure_one()
        alert = self._by_id(self.id)
        incident = alert.incident_id
        found = bool(incident)
        if not found:
            incident = alert._open_incident({"title": title, "severity": severity})
        return {**incident._to_rpc(), "existing": found}

    def _open_incident(self, values):
        """Open the incident of one alert: that of its run, if it has one.

        :param dict values: see ``qms.incident._open``; what is missing comes from the
            alert
        :rtype: qms.incident record
        """
        self.ensure_one()
        if self.run_id:
            return self.run_id._open_incident(values)
        given = {name: value for name, value in values.items() if value}
        found = {
            "title": self.name[:_MAX_TITLE],
            "severity": self.severity_id,
            "description": self._summary(),
            **self._detection(),
        }
        found = {name: value for name, value in found.items() if value}
        incidents = self.env["qms.incident"].with_company(self.company_id)
        incident = incidents._open({**found, **given}).with_env(self.env)
        self._record({"own_incident_id": incident.id})
        return incident

    @api.model
    def _by_id(self, alert_id):
        """Return an alert.

        :param int alert_id: database id
        :raises ValidationError: when there is none that the user may see
        """
        found = self.search(Domain("id", "=", alert_id))
        if not found:
            raise ValidationError(self.env._("There is no alert %s.", alert_id))
        return found

    # === Runs of what is an incident already ===

    def _find_run(self, rule, labels, previous):
        incident = self._incident_of_outage(previous)
        if not incident:
            return super()._find_run(rule, labels, previous)
        alert = self.with_context(**{INCIDENT: incident.id})
        run, existing, note = super(QmsAlert, alert)._find_run(rule, labels, previous)
        run = run.with_env(self.env)
        if self.own_incident_id and not run.incident_id:
            # Whoever opened it by hand wants to see its run there.
            run._join_incident(self.own_incident_id)
        return run, existing, note

    def _incident_of_outage(self, previous):
        """Return the incident from which users still suffer because of one alert.

        That is its own, that of the last alert of the same fingerprint, or that of
        another alert of its group, now or the last time.

        :param previous: qms.alert record, or an empty one
        """
        alerts = self | previous
        if self.env["qms.incident"]._automatic_severities():
            together = self._delivered_together()
            alerts |= together.union(*together._previous().values())
        return alerts.incident_id.filtered(
            lambda incident: (
                incident.state in HURTING_STATES
                and incident.company_id == self.company_id
            )
        )[:1]

    def _delivered_together(self):
        """Return the alerts of the last group that Alertmanager delivered this in.

        Other sources put into one payload what has nothing to do with each other.
        """
        if self.source_id.kind != "alertmanager":
            return self.browse()
        # sudo: deliveries are not for everybody who may deliver
        deliveries = self.env["qms.alert.delivery"].sudo()
        last = deliveries.search(
            Domain("alert_ids", "in", self.ids), order="id desc", limit=1
        )
        return last.alert_ids.sudo(False)

    def _record(self, vals):
        super()._record(vals)
        if vals.get("run_id"):
            for alert in self:
                alert._tell_incident()

    def _tell_incident(self):
        """Say how the incident was detected that the run opened by itself.

        The run is there before its alert knows of it.
        """
        incident = self.run_id.incident_id
        if not incident or incident.detection_method or incident._is_final():
            return
        found = self._detection()
        blank = {
            name: value
            for name, value in found.items()
            if value and (name in _ALERT_KNOWS or not incident[name])
        }
        incident.write(incident._values(blank))

    @api.model
    def _first_of(self, run):
        """Return the alert that a run was opened for, if there is one.

        :param run: qms.sop.run record
        """
        return self.search(
            Domain("run_id", "=", run.id), order="starts_at, id", limit=1
        )

    def _detection(self):
        """Return what an alert says about the detection of its incident.

        :return: values for ``qms.incident._open``; none without an alert
        :rtype: dict
        """
        if not self:
            return {}
        return {
            "detection_method": "monitoring",
            "detected_by": self.source_id.name,
            "detected_at": self.create_date,
            # A start that the source did not say is only when it was received.
            "occurred_at": self.starts_at if self.start_known else None,
        }


class QmsIncident(models.Model):
    _inherit = "qms.incident"

    alert_count = fields.Integer("Alerts", compute="_compute_alert_count")

    def _compute_alert_count(self):
        alerts = self.env["qms.alert"]
        counts = dict(
            alerts._read_group(
                Domain("own_incident_id", "in", self.ids) & _RUN_HAS_NONE,
                ["own_incident_id"],
                ["__count"],
            )
        )
        of_runs = dict(
            alerts._read_group(
                Domain("run_id", "in", self.run_ids.ids), ["run_id"], ["__count"]
            )
        )
        for incident in self:
            runs = sum(of_runs.get(run, 0) for run in incident.run_ids)
            incident.alert_count = runs + counts.get(incident, 0)

    def action_view_alerts(self):
        """Open the list of the alerts of one incident."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_alert_action"
        )
        action["domain"] = [("incident_id", "=", self.id)]
        action["context"] = {}
        return action
