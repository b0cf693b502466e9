from odoo import models


class QmsSopRunPartMixin(models.AbstractModel):
    """What is done to the parts of a run is told in the trail of the run."""

    _name = "qms.sop.run.part.mixin"
    _inherit = ["qms.sop.run.part.mixin", "qms.audit.mixin"]

    _audit_root_path = "run_id"
