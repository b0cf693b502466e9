from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .res_company import PATH

# What is said outside is the managers' to decide.
_GROUPS = "qms_error_code.group_qms_manager,qms_error_code.group_qms_auditor"


class QmsIncidentSystem(models.Model):
    """Systems that people outside know, by the names that they know."""

    _inherit = "qms.incident.system"

    public = fields.Boolean(
        "On the status page",
        groups=_GROUPS,
        help="People outside see how it is doing, under its name outside.",
    )
    public_name = fields.Char(
        "Name outside",
        translate=True,
        groups=_GROUPS,
        help="What people outside call it; its own name is not shown to them.",
    )
    public_sequence = fields.Integer(
        "Place on the status page",
        groups=_GROUPS,
        help="Those with the smallest number come first.",
    )
    public_company_ids = fields.Many2many(
        "res.company",
        relation="qms_incident_system_public_company_rel",
        column1="system_id",
        column2="company_id",
        string="On the pages of",
        groups=_GROUPS,
        help="The companies whose status pages show it; all of them when blank.",
    )

    @api.constrains("public", "public_name")
    def _check_public_name(self):
        for system in self:
            if system.public and not (system.public_name or "").strip():
                raise ValidationError(
                    self.env._(
                        "Name outside: it is missing for %s; say what people outside "
                        "call it, or take it off the status page.",
                        system.name,
                    )
                )

    @api.onchange("public")
    def _onchange_public(self):
        if self.public and not self.public_name:
            self.public_name = self.name

    def action_preview_status_page(self):
        """Open the status page of the company that the manager works in.

        As visitors would see it, also before there is one.
        """
        return {
            "type": "ir.actions.act_url",
            "url": f"{PATH}/preview?company={self.env.company.id}",
            "target": "new",
        }

    @api.model
    def _of_page(self, company):
        """Return the systems that the status page of a company shows, in its order.

        :param company: res.company record
        :rtype: qms.incident.system records
        """
        systems = self.search([("public", "=", True)])
        return systems.filtered(
            lambda system: (
                not system.public_company_ids or company in system.public_company_ids
            )
        ).sorted(lambda system: (system.public_sequence, system.public_name.lower()))
