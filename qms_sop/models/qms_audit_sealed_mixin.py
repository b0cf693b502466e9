from odoo import api, models
from odoo.exceptions import UserError


class QmsAuditSealedMixin(models.AbstractModel):
    """A record that only the audit trail itself writes, by SQL, and nobody changes.

    The superuser neither; the database refuses as well (see ``protect``).
    """

    # Nothing is passed on: that is the point.
    # pylint: disable=method-required-super

    _name = "qms.audit.sealed.mixin"
    _description = "Sealed record of the audit trail"

    @api.model_create_multi
    def create(self, vals_list):
        self._refuse()

    def write(self, vals):
        self._refuse()

    def unlink(self):
        self._refuse()

    def copy(self, default=None):
        self._refuse()

    def _refuse(self):
        raise UserError(
            self.env._(
                "The audit trail writes itself: nobody adds to it, changes it or "
                "deletes from it (%(model)s).",
                model=self._description,
            )
        )
