from odoo import fields, models


class QmsRcaWhy(models.Model):
    """One "why?" of an analysis, with its answer and what backs it."""

    _name = "qms.rca.why"
    _description = "Why of a root-cause analysis"
    _inherit = ["qms.rca.part.mixin"]

    question = fields.Char("Why?", required=True)
    answer = fields.Char("Because", required=True)
    evidence = fields.Char(help="What shows that the answer is true.")
