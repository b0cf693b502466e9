from odoo import api, fields, models
from odoo.tools import ormcache

# System parameter: codes of the severities whose runs are incidents at once
AUTOMATIC = "qms_incident.automatic_severities"


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    qms_incident_severity_ids = fields.Many2many(
        "qms.severity", string="Severities that open incidents"
    )

    @api.model
    def get_values(self):
        severities = self.env["qms.incident"]._automatic_severities()
        return {
            **super().get_values(),
            "qms_incident_severity_ids": [fields.Command.set(sorted(severities))],
        }

    def set_values(self):
        super().set_values()
        codes = self.qms_incident_severity_ids.mapped("code")
        self.env["ir.config_parameter"].sudo().set_param(AUTOMATIC, ",".join(codes))


class QmsIncident(models.Model):
    _inherit = "qms.incident"

    @api.model
    @ormcache()
    def _automatic_severities(self):
        """Return which severities make a run an incident at once.

        :return: ids of ``qms.severity``
        :rtype: frozenset
        """
        # sudo: system parameters are read by administrators only.
        text = self.env["ir.config_parameter"].sudo().get_param(AUTOMATIC) or ""
        codes = {code.strip() for code in text.split(",")}
        known = self.env["qms.severity"]._codes_by_id()
        return frozenset(key for key, code in known.items() if code in codes)
