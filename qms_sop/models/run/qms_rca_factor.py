from odoo import fields, models


class QmsRcaFactor(models.Model):
    """What made the error worse, or easier to happen."""

    _name = "qms.rca.factor"
    _description = "Contributing factor"
    _inherit = ["qms.rca.part.mixin"]

    name = fields.Char("Factor", required=True)
