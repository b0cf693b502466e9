from odoo import fields, models


class QmsErrorEvidenceSource(models.Model):
    _name = "qms.error.evidence.source"
    _description = "Evidence Source"
    _order = "category_id, sequence, id"

    name = fields.Char(required=True, translate=True, help="What there is to look at.")
    category_id = fields.Many2one(
        "qms.error.category", required=True, ondelete="cascade", index=True
    )
    sequence = fields.Integer(default=10)
    language = fields.Selection(
        [
            ("bash", "Shell"),
            ("sql", "SQL"),
            ("python", "Python"),
            ("text", "Text"),
        ],
        required=True,
        default="bash",
    )
    command = fields.Text(
        help="A template: replace what begins with $ by your own values."
    )
