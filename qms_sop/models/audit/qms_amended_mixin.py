from odoo import models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.faults import at_field
from ...tools.idempotency import idempotent


class QmsAmendedMixin(models.AbstractModel):
    """A record that is corrected beside it, once it can no longer be changed.

    For models that also inherit ``qms.state.mixin`` and ``qms.api.mixin``; they have
    ``amendment_ids``, of a model that is a ``qms.amendment.mixin``.
    """

    _name = "qms.amended.mixin"
    _description = "Record with amendments"

    # States in which it is amended, since it can no longer be changed
    _amended_states = ()

    @checked
    @idempotent
    def amend(self, reason: str, text: str, idempotency_key: str | None = None) -> dict:
        """Correct what one sealed record says, beside it; the record stays as it is.

        :param reason: why it has to be corrected
        :param text: what is right
        :return: ``id``, ``amended_at`` (RFC 3339, UTC), ``user_id``, ``reason`` and
            ``text`` of the amendment
        :raises UserError: when it can still be changed
        :raises ValidationError: when reason or text is empty
        """
        self._only_one().check_access("write")
        for name, value in (("reason", reason), ("text", text)):
            if not value.strip():
                with at_field(name):
                    raise ValidationError(
                        self.env._("Argument %s: it is empty; say it in words.", name)
                    )
        if self.state not in self._amended_states:
            raise UserError(
                self.env._(
                    "%(record)s is %(state)s: change it, instead of amending it.",
                    record=self.display_name,
                    state=self._state_label(self.state),
                )
            )
        amendments = self.env[self._fields["amendment_ids"].comodel_name]
        note = amendments._amend(self, reason.strip(), text.strip())
        self.invalidate_recordset(["amendment_ids"])
        self._bump_version()
        return note._to_dict()
