from odoo import api, models
from odoo.tools import ormcache


class ResCompany(models.Model):
    """The working hours of a company, at hand for each new run."""

    _inherit = "res.company"

    @api.model
    @ormcache("company_id")
    def _working_calendar_id(self, company_id):
        """Return the id of the working hours of a company.

        :param int company_id: database id
        :return: id of a resource.calendar, or ``False``
        """
        # sudo: working hours are no secret.
        return self.sudo().browse(company_id).resource_calendar_id.id

    def write(self, vals):
        result = super().write(vals)
        if "resource_calendar_id" in vals:
            self.env.registry.clear_cache()
        return result
