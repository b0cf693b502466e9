from odoo import models


class QmsRca(models.Model):
    """An analysis is told in the trail of its run."""

    _name = "qms.rca"
    _inherit = ["qms.rca", "qms.audit.mixin"]

    _audit_root_path = "run_id"
