from odoo import fields, models


class QmsSopRun(models.Model):
    """Actions are raised from a run, also after it has ended."""

    _name = "qms.sop.run"
    _inherit = ["qms.sop.run", "qms.action.source.mixin"]

    action_ids = fields.One2many("qms.action", "run_id", "Actions raised")
