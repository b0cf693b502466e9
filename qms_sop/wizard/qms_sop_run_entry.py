from odoo import api, fields, models

from ..tools.values import to_rfc3339


class QmsSopRunEntry(models.TransientModel):
    """Asks what happened, when, and what backs it."""

    _name = "qms.sop.run.entry"
    _description = "Entry in the timeline"

    run_id = fields.Many2one("qms.sop.run", required=True, readonly=True)
    text = fields.Text("What happened", required=True)
    occurred_at = fields.Datetime(
        "When it happened",
        default=lambda self: self._default_occurred_at(),
        required=True,
        help="When it is written is noted by itself.",
    )
    component = fields.Char(help="What it is about: a service, a host, a supplier.")
    evidence_ids = fields.Many2many(
        "qms.sop.run.evidence",
        string="Evidence",
        domain="[('run_id', '=', run_id)]",
    )
    has_evidence = fields.Boolean(compute="_compute_has_evidence")
    pin = fields.Boolean("Pin it", help="Pinned entries stand out in the timeline.")

    @api.model
    def _default_occurred_at(self):
        return fields.Datetime.now()

    @api.depends("run_id")
    def _compute_has_evidence(self):
        for entry in self:
            entry.has_evidence = bool(entry.run_id.evidence_ids)

    def action_add(self):
        """Add the entry.

        :return: the action that closes the dialog
        :rtype: dict
        """
        self.ensure_one()
        entry = self.run_id.add_timeline_entry(
            self.text or "",
            to_rfc3339(self.occurred_at),
            self.component or None,
            self.evidence_ids.ids,
        )
        if self.pin:
            self.run_id.pin_timeline_entry(entry["sequence"])
        return {"type": "ir.actions.act_window_close"}
