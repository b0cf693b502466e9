from odoo import api, fields, models
from odoo.exceptions import UserError

from ...tools.values import to_rfc3339


class QmsAmendmentMixin(models.AbstractModel):
    """A correction of a sealed record: said beside it, never written into it.

    What was recorded first stays readable (21 CFR 11.10 e). The model adds the field of
    the record that it corrects, and names it.
    """

    _name = "qms.amendment.mixin"
    _description = "Amendment"
    _inherit = ["qms.audit.sealed.mixin"]

    # The field of the record that is corrected
    _amended_field = None

    amended_at = fields.Datetime("When", required=True, readonly=True)
    user_id = fields.Many2one(
        "res.users", "Who", required=True, readonly=True, ondelete="restrict"
    )
    reason = fields.Char("Why", required=True, readonly=True)
    text = fields.Text("What is right", required=True, readonly=True)

    def _refuse(self):
        raise UserError(
            self.env._(
                "An amendment is made by amend(reason, text) of what it corrects, and "
                "never changed or deleted: amend it again."
            )
        )

    @api.model
    def _amend(self, record, reason, text):
        """Write an amendment of a record; its ``amend()`` is the way in.

        :rtype: record of this model
        """
        # Nobody has the right to create one: whoever may write the record gets here.
        return (
            self.sudo()
            ._add_sealed(
                [
                    {
                        self._amended_field: record.id,
                        "amended_at": fields.Datetime.now(),
                        "user_id": self.env.uid,
                        "reason": reason,
                        "text": text,
                    }
                ]
            )
            .sudo(False)
        )

    def _to_dict(self):
        """Return one amendment in plain values.

        :rtype: dict
        """
        self.ensure_one()
        return {
            "id": self.id,
            "amended_at": to_rfc3339(self.amended_at),
            "user_id": self.user_id.id,
            "reason": self.reason,
            "text": self.text,
        }
