from odoo import api, models
from odoo.exceptions import UserError


class QmsAuditSealedMixin(models.AbstractModel):
    """A record that nobody adds, changes or deletes, the superuser neither.

    The audit trail writes its own by SQL; what is added by a method of the model goes
    through :meth:`_add_sealed`.
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

    @api.model
    def _add_sealed(self, vals_list):
        """Create records, from the one method of the model that may.

        :param list[dict] vals_list: their values
        :return: the records
        """
        return super().create(vals_list)

    def _refuse(self):
        """Say how records of this kind come about.

        :raises UserError: always
        """
        raise UserError(
            self.env._(
                "The audit trail writes itself: nobody adds to it, changes it or "
                "deletes from it (%(model)s).",
                model=self._description,
            )
        )
