from odoo import api, fields, models
from odoo.tools import ormcache


class QmsSeverity(models.Model):
    """How grave a run has to be for its closing to need a signature."""

    _inherit = "qms.severity"

    signature_required = fields.Boolean(
        "Closing needs a signature",
        compute="_compute_signature_required",
        store=True,
        readonly=False,
        precompute=True,
        tracking=True,
        help="Runs of this severity that were completed or failed are shown as not "
        "signed until somebody signs their closing.",
    )

    @api.depends("code")
    def _compute_signature_required(self):
        for severity in self:
            severity.signature_required = severity.code in ("critical", "high")

    @api.model
    @ormcache()
    def _asks_for_signature(self):
        """Return the ids of the severities whose runs need a closing signature.

        :rtype: frozenset
        """
        severities = self.sudo().with_context(active_test=False)
        return frozenset(severities.search([("signature_required", "=", True)]).ids)

    @api.model_create_multi
    def create(self, vals_list):
        self.env.registry.clear_cache()
        return super().create(vals_list)

    def write(self, vals):
        if "signature_required" in vals:
            self.env.registry.clear_cache()
        return super().write(vals)

    def unlink(self):
        self.env.registry.clear_cache()
        return super().unlink()
