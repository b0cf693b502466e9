from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain

from ..incident import qms_incident_rpc
from ..incident.qms_incident import HURTING_STATES, OVER_STATES

qms_incident_rpc.PLAIN["public_title"] = "public_title"
# What is over, and when it came to be so
_OVER = (
    (OVER_STATES, "resolved_at"),
    (("false_positive",), "closed_at"),
)


class QmsIncident(models.Model):
    """What of an incident is told to people outside.

    Nothing of it, unless somebody has written a public text.
    """

    _inherit = "qms.incident"

    public_title = fields.Char(
        "Title outside",
        copy=False,
        help="Heads the public text on the status page. When blank, the page names the "
        "affected systems; the title of the incident is never shown outside.",
    )
    public_withdrawn = fields.Boolean(
        "Keep off the status page",
        copy=False,
        tracking=True,
        help="Takes the incident off the status page, whatever is said outside.",
    )
    on_status_page = fields.Boolean(compute="_compute_status_page_note")
    status_page_note = fields.Char(compute="_compute_status_page_note")

    _public_idx = models.Index(
        "(company_id, detected_at) WHERE public_status IS NOT NULL"
    )

    @api.depends(
        "company_id", "state", "public_status", "public_title", "public_withdrawn"
    )
    def _compute_status_page_note(self):
        for company, incidents in self.grouped("company_id").items():
            shown = incidents._origin
            if company.qms_status_page == "off":
                shown = shown.browse()
            shown = shown.filtered_domain(self._public_domain(company.qms_status_days))
            for incident in incidents:
                incident.on_status_page = bool(
                    incident._origin in shown
                    and (incident._origin.public_status or "").strip()
                )
                incident.status_page_note = incident._status_page_note()

    def _status_page_note(self):
        if self.on_status_page:
            return self.env._(
                "On the status page, with the texts of all published updates."
            )
        if self.company_id.qms_status_page == "off":
            return self.env._(
                "The company has no status page; nobody outside reads it."
            )
        if self.public_withdrawn:
            return self.env._("Kept off the status page.")
        if not (self.public_status or "").strip():
            return self.env._("Not on the status page: nothing is said outside.")
        return self.env._("No longer on the status page.")

    def action_open_status_page(self):
        """Open the status page that the incident is on."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_url",
            "url": self.company_id._status_page_path(),
            "target": "new",
        }

    def _check_unlocked(self, vals):
        # Also what is closed can be taken off the page.
        return super()._check_unlocked(
            {name: value for name, value in vals.items() if name != "public_withdrawn"}
        )

    @api.model
    def _public_domain(self, days=0):
        """Return which incidents a status page shows.

        A duplicate is told by the incident that it is a duplicate of.

        :param int days: how long those that are over are shown; 0: no matter how long
        :rtype: odoo.fields.Domain
        """
        ongoing = Domain("state", "in", HURTING_STATES)
        over = Domain.FALSE
        for states, reached in _OVER:
            part = Domain("state", "in", states)
            if days:
                since = fields.Datetime.now() - timedelta(days=days)
                part &= Domain(reached, ">=", since)
            over |= part
        return (
            Domain("public_status", "!=", False)
            & Domain("public_withdrawn", "=", False)
            & (ongoing | over)
        )
