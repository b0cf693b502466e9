from odoo import api, fields, models
from odoo.tools import ormcache


class QmsSeverity(models.Model):
    """Whether people are told of runs at any hour."""

    _inherit = "qms.severity"

    tell_immediately = fields.Boolean(
        "Tell people at any hour",
        compute="_compute_tell_immediately",
        store=True,
        readonly=False,
        precompute=True,
        tracking=True,
        help="Otherwise whoever an escalation is meant for is told in their own "
        "working hours, and the minutes count in working hours.",
    )

    @api.depends("code")
    def _compute_tell_immediately(self):
        for severity in self:
            severity.tell_immediately = severity.code in ("critical", "high")

    @api.model
    @ormcache()
    def _told_immediately(self):
        """Return the ids of the severities of which people are told at any hour.

        :rtype: frozenset
        """
        # sudo: cached for all users
        severities = self.sudo().with_context(active_test=False)
        return frozenset(severities.search([("tell_immediately", "=", True)]).ids)

    @api.model_create_multi
    def create(self, vals_list):
        self.env.registry.clear_cache()
        return super().create(vals_list)

    def write(self, vals):
        result = super().write(vals)
        if "tell_immediately" in vals:
            self.env["qms.escalation.policy"]._policies_changed()
        return result
