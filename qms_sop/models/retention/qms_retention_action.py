from odoo import models


class QmsAction(models.Model):
    """An action is kept like runs of its SOP, and its run as long as it is kept."""

    _name = "qms.action"
    _inherit = ["qms.action", "qms.retention.mixin"]

    _purgeable_states = ("verified", "cancelled")

    def _retention_class(self):
        sop = self.document_id or self.run_id.sop_id
        return sop.classification, self.company_id

    def _retention_data(self):
        return {**super()._retention_data(), "source": self.source_type}
