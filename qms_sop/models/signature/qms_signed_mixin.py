import hashlib
import json

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.signing import PasskeyAnswer
from .qms_signature import MEANINGS


class QmsSignedMixin(models.AbstractModel):
    """A record that people sign.

    Each signing asks for the password or a passkey (21 CFR 11.200 a) and binds the
    signature to the content (11.70).
    """

    _name = "qms.signed.mixin"
    _description = "Record that is signed"

    # Which shape of the content new signatures are taken of; it goes up when the
    # content gets another shape, and signatures of earlier ones stay verifiable
    _signed_format = 1

    signature_ids = fields.One2many(
        "qms.signature", "res_id", "Signatures", readonly=True
    )
    signature_count = fields.Integer(compute="_compute_signature_count")
    can_sign = fields.Boolean(compute="_compute_can_sign")

    def _compute_signature_count(self):
        counts = {}
        for signature in self.env["qms.signature"]._of(self):
            counts[signature.res_id] = counts.get(signature.res_id, 0) + 1
        for record in self:
            record.signature_count = counts.get(record.id, 0)

    @api.depends("state")
    @api.depends_context("uid")
    def _compute_can_sign(self):
        may = self.has_access("write") if self.ids else False
        for record in self:
            record.can_sign = may and bool(record._signature_meanings())

    # === What is signed ===

    def _signed_content(self, covered):
        """Return what a signature on this record covers.

        :param dict covered: see :meth:`_signature_covers`
        :return: JSON-serializable; the same as long as nothing is changed
        :rtype: dict
        """
        raise NotImplementedError

    def _signed_hash(self, covered=None):
        """Return the fingerprint of what a signature on this record covers.

        :param dict covered: as the signature has it
        :return: SHA-256 of canonical JSON, hexadecimal
        :rtype: str
        """
        self.ensure_one()
        text = json.dumps(
            self._signed_content(covered or {}),
            sort_keys=True,
            ensure_ascii=False,
            separators=(",", ":"),
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def _signature_covers(self, meaning):
        """Return what decides, besides the record, what a signature covers.

        Its ``format``, when that is not the first one, and which records had been
        added to this one: those that are added later do not invalidate it.

        :param str meaning: of the signature
        :return: JSON-serializable
        :rtype: dict
        """
        return {"format": self._signed_format} if self._signed_format > 1 else {}

    def _signature_meanings(self):
        """Return what the user could mean by signing this record as it is now.

        :rtype: list[str]
        """
        return []

    def _signed_name(self):
        """Return what the signature calls the record."""
        return self.display_name

    def _check_can_sign(self, meaning, signers):
        """Refuse people who cannot sign with this meaning, such as one's own work.

        :param str meaning: of the signature
        :param signers: res.users: who signs, and on whose behalf
        """

    def _after_signing(self, signature):
        """Do what follows from a signature, in the same transaction."""

    # === Signing ===

    @checked
    def sign(
        self,
        meaning: str,
        password: object,
        comment: str | None = None,
        on_behalf_of: str | None = None,
    ) -> dict:
        """Sign one record.

        :param meaning: ``authored``, ``reviewed``, ``performed``, ``verified`` or
            ``closed``, as far as the record can be signed so
        :param password: the user's own, asked for each time; no API key
        :param comment: shown with the signature
        :param on_behalf_of: login of who has delegated it
        :return: ``id``, ``meaning``, ``signer``, ``login``, ``on_behalf_of``,
            ``signed_at`` (RFC 3339, UTC), ``timezone``, ``sha256``, ``valid``
        :raises UserError: when it cannot be signed so, the password is wrong, the
            request came with an API key, or signing is locked
        """
        delegator = self._delegator(on_behalf_of)
        return self._only_one()._sign(meaning, password, comment, delegator)._to_rpc()

    def _sign(self, meaning, password, comment=None, delegator=None):
        """See :meth:`sign`.

        :param password: that, or a :class:`PasskeyAnswer`; handed on as it is
        :param delegator: res.users record
        :rtype: qms.signature record
        """
        self.check_access("write")
        if meaning not in dict(MEANINGS):
            raise ValidationError(
                self.env._(
                    "Argument meaning: %(meaning)s is unknown. Accepted: %(accepted)s.",
                    meaning=repr(meaning),
                    accepted=", ".join(dict(MEANINGS)),
                )
            )
        accepted = self._signature_meanings()
        if meaning not in accepted:
            labels = dict(
                self.env["qms.signature"]
                ._fields["meaning"]
                ._description_selection(self.env)
            )
            raise UserError(
                self.env._(
                    "%(record)s is %(state)s and cannot be signed as “%(meaning)s” "
                    "now. Accepted: %(accepted)s.",
                    record=self.display_name,
                    state=self._state_label(self.state),
                    meaning=labels[meaning],
                    accepted=", ".join(accepted) or self.env._("nothing"),
                )
            )
        return self._sign_verified(meaning, password, comment, delegator)

    def _sign_verified(self, meaning, password, comment=None, delegator=None):
        """Verify the credential, and sign.

        :rtype: qms.signature record
        """
        if not isinstance(password, str | PasskeyAnswer) or not password:
            raise ValidationError(
                self.env._("Argument password: your password is needed to sign.")
            )
        delegation = self.env["qms.signature.delegation"]._for(delegator, meaning)
        self._check_can_sign(
            meaning, self.env.user | (delegator or self.env["res.users"])
        )
        proof = self.env["qms.signature.attempt"]._verify(self, meaning, password)
        signature = self.env["qms.signature"]._sign(
            self, meaning, proof, comment=comment, delegation=delegation
        )
        self.invalidate_recordset(["signature_ids", "signature_count"])
        self._after_signing(signature)
        return signature

    @api.model
    def _delegator(self, login):
        """Return the user with a login, for whom somebody signs."""
        users = self.env["res.users"]
        if not login:
            return users
        found = users.search([("login", "=", login)])
        if not found:
            raise ValidationError(
                self.env._(
                    "Argument on_behalf_of: there is no user with the login %s.",
                    repr(login),
                )
            )
        return found

    def _is_signed_by_user(self, meaning):
        """Tell whether the user has signed this very content with a meaning."""
        self.ensure_one()
        return any(
            signature.user_id == self.env.user
            and signature.content_hash == self._signed_hash(signature.covered)
            for signature in self.env["qms.signature"]._of(self, meaning)
        )

    def action_sign(self):
        """Open the dialog for signing.

        :return: the action
        :rtype: dict
        """
        return self._only_one()._open_signing("sign")

    def _open_signing(self, operation, meaning=None):
        """Return the action of the dialog.

        :param str operation: see ``qms.signature.dialog``
        :param str meaning: the one there is, or the one to begin with
        """
        accepted = [meaning] if operation != "sign" else self._signature_meanings()
        if not accepted:
            raise UserError(
                self.env._(
                    "%(record)s is %(state)s: there is nothing for you to sign now.",
                    record=self.display_name,
                    state=self._state_label(self.state),
                )
            )
        # Saved first: the form keeps what is typed into a field that is not stored only
        # for a record that there is.
        dialog = self.env["qms.signature.dialog"].create(
            {
                "model": self._name,
                "res_id": self.id,
                "operation": operation,
                "meaning": meaning or accepted[0],
                "accepted": accepted,
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Sign"),
            "res_model": dialog._name,
            "res_id": dialog.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {"dialog_size": "medium"},
        }
