from odoo import fields, models


class QmsSopStep(models.Model):
    """What a step keeps of the Markdown that it was imported from."""

    _inherit = "qms.sop.step"

    position = fields.Integer(
        readonly=True,
        help="Place among all sections and steps of the imported document.",
    )
    source = fields.Text(readonly=True, help="Markdown as it was imported.")
