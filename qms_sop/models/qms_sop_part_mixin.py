from odoo import api, models


class QmsSopPartMixin(models.AbstractModel):
    """A part of an SOP revision: it changes only while that is a draft."""

    _name = "qms.sop.part.mixin"
    _description = "Part of an SOP revision"

    # Path from the part to its qms.sop.document
    _document_path = "document_id"

    @api.model_create_multi
    def create(self, vals_list):
        parts = super().create(vals_list)
        parts.mapped(self._document_path)._check_editable()
        return parts

    def write(self, vals):
        self.check_access("write")
        self.mapped(self._document_path)._check_editable()
        result = super().write(vals)
        if self._document_path.split(".")[0] in vals:
            self.mapped(self._document_path)._check_editable()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_locked(self):
        self.mapped(self._document_path)._check_editable()
