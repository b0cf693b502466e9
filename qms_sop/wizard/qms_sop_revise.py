from odoo import api, fields, models
from odoo.fields import Domain

from ..models.document.qms_sop_document_revision import VERSION_PARTS


class QmsSopRevise(models.TransientModel):
    """Asks how far a new revision goes, and what it is going to change."""

    _name = "qms.sop.revise"
    _description = "New revision"

    document_id = fields.Many2one("qms.sop.document", required=True, readonly=True)
    part = fields.Selection(VERSION_PARTS, "Kind", required=True, default="minor")
    version = fields.Char("New version", compute="_compute_version")
    change_summary = fields.Text("What changes", required=True)
    pending_ids = fields.Many2many(
        "qms.sop.document", string="In the making", compute="_compute_pending_ids"
    )

    @api.depends("document_id", "part")
    def _compute_version(self):
        for wizard in self:
            wizard.version = (
                wizard.document_id._next_version(wizard.part)
                if wizard.document_id and wizard.part
                else False
            )

    @api.depends("document_id")
    def _compute_pending_ids(self):
        for wizard in self:
            wizard.pending_ids = wizard.document_id.revision_ids.filtered_domain(
                Domain("state", "in", ("draft", "in_review"))
            )

    def action_create(self):
        """Make the draft, and open it."""
        self.ensure_one()
        return self.document_id._new_revision(
            self.part, self.change_summary
        )._action_open()
