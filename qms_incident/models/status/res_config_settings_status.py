from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    qms_status_page = fields.Selection(
        related="company_id.qms_status_page", readonly=False, required=True
    )
    qms_status_slug = fields.Char(related="company_id.qms_status_slug", readonly=False)
    qms_status_title = fields.Char(
        related="company_id.qms_status_title", readonly=False
    )
    qms_status_note = fields.Text(related="company_id.qms_status_note", readonly=False)
    qms_status_days = fields.Integer(
        related="company_id.qms_status_days", readonly=False
    )
    qms_status_url = fields.Char(
        "Address", compute="_compute_qms_status_url", readonly=True
    )

    def _compute_qms_status_url(self):
        for settings in self:
            settings.qms_status_url = settings.company_id._status_page_url()

    def action_preview_status_page(self):
        """Open the status page as visitors would see it, also before there is one."""
        return (
            self.env["qms.incident.system"]
            .with_company(self.company_id)
            .action_preview_status_page()
        )
