from odoo import fields, models

from ..tools.timeline_text import Entry


class QmsIncidentEntry(models.TransientModel):
    """Asks for an entry of the timeline of an incident."""

    _name = "qms.incident.entry"
    _description = "Entry in the timeline of an incident"

    incident_id = fields.Many2one("qms.incident", required=True, readonly=True)
    text = fields.Text("What happened", required=True)
    occurred_at = fields.Datetime(
        "When", required=True, default=fields.Datetime.now, help="When it happened."
    )
    component = fields.Char()
    evidence = fields.Char(help="A file and line, a link, a commit.")

    def action_add(self):
        """Add the entry.

        :return: the action that closes the dialog
        :rtype: dict
        """
        self.ensure_one()
        self.incident_id._check_entries_allowed()
        self.incident_id._add_entries(
            [
                Entry(
                    self.occurred_at,
                    self.text.strip(),
                    (self.component or "").strip(),
                    (self.evidence or "").strip(),
                )
            ]
        )
        return {"type": "ir.actions.act_window_close"}
