from odoo import api, fields, models


class QmsIncidentMessage(models.TransientModel):
    """Also asks what the incident is called outside, and says who will read that."""

    _inherit = "qms.incident.message"

    public_title = fields.Char(
        "Title outside",
        compute="_compute_public_title",
        store=True,
        readonly=False,
        help="When blank, the status page names the affected systems.",
    )
    status_page_note = fields.Char(compute="_compute_status_page_note")

    @api.depends("incident_id")
    def _compute_public_title(self):
        for one in self:
            one.public_title = one.incident_id.public_title

    @api.depends("incident_id")
    def _compute_status_page_note(self):
        for one in self:
            incident = one.incident_id
            if (
                incident.company_id.qms_status_page == "off"
                or incident.public_withdrawn
            ):
                one.status_page_note = incident.status_page_note
            else:
                one.status_page_note = self.env._("Goes to the status page at once.")

    def action_send(self):
        """Send the update; what it is called outside first."""
        self.ensure_one()
        if self.public_text and self.public_title != self.incident_id.public_title:
            self.incident_id.write({"public_title": self.public_title})
        return super().action_send()
