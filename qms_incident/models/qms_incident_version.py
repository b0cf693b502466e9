from odoo import fields, models

from odoo.addons.qms_sop.models.qms_state_mixin import BOOKKEEPING


class QmsIncident(models.Model):
    """A counter of changes, by which a client knows that it has read the latest."""

    _inherit = "qms.incident"

    lock_version = fields.Integer(
        "Version",
        default=1,
        readonly=True,
        copy=False,
        help="Counts the changes of the incident and of all that belongs to it.",
    )

    def write(self, vals):
        result = super().write(vals)
        if not all(name.startswith(BOOKKEEPING) for name in vals):
            self._bump_version()
        return result

    def _write_system(self, vals):
        result = super()._write_system(vals)
        self._bump_version()
        return result

    def _bump_version(self):
        """Count a change; it is written with whatever else changes in the row."""
        field = self._fields["lock_version"]
        for incident in self:
            field.write(incident, incident.lock_version + 1)
