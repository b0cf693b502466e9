from odoo import fields, models


class QmsErrorClassifyMatch(models.TransientModel):
    _name = "qms.error.classify.match"
    _description = "Error Code Found in a Log"
    _order = "sequence, id"
    _rec_name = "error_code_id"

    classify_id = fields.Many2one(
        "qms.error.classify", required=True, ondelete="cascade", index=True
    )
    sequence = fields.Integer("Rank")
    error_code_id = fields.Many2one("qms.error.code", required=True, ondelete="cascade")
    title = fields.Char(related="error_code_id.title")
    category_id = fields.Many2one(related="error_code_id.category_id")
    severity_id = fields.Many2one(related="error_code_id.severity_id")
    severity_code = fields.Char("Severity Code", related="error_code_id.severity_code")
    resolution = fields.Text(related="error_code_id.resolution")
    score = fields.Integer()
    occurrences = fields.Integer("Lines")
    line_number = fields.Integer("First Line")
    line = fields.Char("Matched Line")
    why = fields.Text()

    def action_open_error_code(self):
        """Open the entry of the catalogue.

        :return: a window action
        :rtype: dict
        """
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "qms.error.code",
            "res_id": self.error_code_id.id,
            "views": [(False, "form")],
        }
