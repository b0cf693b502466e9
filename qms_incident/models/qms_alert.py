from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

# What the alert knows better than the run that was opened for it
_ALERT_KNOWS = ("detection_method", "detected_by")


class QmsAlert(models.Model):
    """Alerts that became incidents."""

    _inherit = "qms.alert"

    incident_id = fields.Many2one(related="run_id.incident_id", string="Incident")

    def action_open_incident(self):
        """Open the incident of the alert; open a new one where there is none.

        :raises UserError: when the alert has no run, which is what is worked
        """
        self.ensure_one()
        if not self.run_id:
            raise UserError(
                self.env._(
                    "%s has no run yet: handle the alert first. The incident is opened "
                    "for its run.",
                    self.name,
                )
            )
        return self.run_id.action_open_incident()

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
