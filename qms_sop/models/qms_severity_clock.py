from odoo import api, models
from odoo.tools import ormcache

_CLOCK_FIELDS = {
    "response_target",
    "mitigation_target",
    "resolution_target",
    "calendar_id",
}


class QmsSeverity(models.Model):
    """What the clocks of a run need to know of its severity, at hand."""

    _inherit = "qms.severity"

    @api.model
    @ormcache("severity_id")
    def _clock_targets(self, severity_id):
        """Return the targets of a severity.

        :param severity_id: database id, or a false value
        :return: minutes to response, to mitigation and to resolution (0: no target),
            and the id of the working calendar in which they count (``False``: around
            the clock)
        :rtype: tuple[int, int, int, int | bool]
        """
        if not severity_id:
            return (0, 0, 0, False)
        # Everybody who opens a run needs them, and they are no secret.
        severity = self.sudo().browse(severity_id)
        return (
            severity.response_target,
            severity.mitigation_target,
            severity.resolution_target,
            severity.calendar_id.id,
        )

    def write(self, vals):
        result = super().write(vals)
        if not _CLOCK_FIELDS.isdisjoint(vals):
            self.env.registry.clear_cache()
        return result
