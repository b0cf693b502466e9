from odoo import fields, models
from odoo.fields import Domain


class QmsErrorCode(models.Model):
    _inherit = "qms.error.code"

    # Computed: a stored inverse would let the catalogue change an approved SOP.
    sop_ids = fields.Many2many(
        "qms.sop.document", string="SOPs", compute="_compute_sop_ids"
    )
    sop_count = fields.Integer(compute="_compute_sop_count")
    run_count = fields.Integer(compute="_compute_run_count")

    def _compute_sop_ids(self):
        documents = self.env["qms.sop.document"].search(
            Domain("error_code_ids", "in", self.ids)
        )
        for code in self:
            code.sop_ids = documents.browse(
                document.id for document in documents if code in document.error_code_ids
            )

    def _compute_sop_count(self):
        counts = dict(
            self.env["qms.sop.document"]._read_group(
                Domain("error_code_ids", "in", self.ids),
                ["error_code_ids"],
                ["__count"],
            )
        )
        for code in self:
            code.sop_count = counts.get(code, 0)

    def _compute_run_count(self):
        counts = dict(
            self.env["qms.sop.run"]._read_group(
                Domain("error_code_id", "in", self.ids), ["error_code_id"], ["__count"]
            )
        )
        for code in self:
            code.run_count = counts.get(code, 0)

    def action_view_runs(self):
        """Open the runs that had this error."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_run_action"
        )
        action["domain"] = [("error_code_id", "=", self.id)]
        action["context"] = {}
        return action

    def action_view_sops(self):
        """Open the SOPs that handle this error."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_document_action"
        )
        action["domain"] = [("error_code_ids", "in", self.ids)]
        action["context"] = {}
        return action
