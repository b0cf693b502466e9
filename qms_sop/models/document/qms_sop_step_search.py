from odoo import fields, models


class QmsSopStep(models.Model):
    """Finding a step by its words; without pg_trgm, Odoo makes no such index."""

    _inherit = "qms.sop.step"

    name = fields.Char(index="trigram")
    instructions = fields.Text(index="trigram")


class QmsSopStepCommand(models.Model):
    """Finding a step by what is typed in it."""

    _inherit = "qms.sop.step.command"

    command = fields.Text(index="trigram")
