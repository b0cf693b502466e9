import base64
import hashlib
import json
import secrets
import time

from odoo import api, models
from odoo.exceptions import AccessDenied
from odoo.http import request

from ...tools.signing import PasskeyAnswer, SigningRefusedError

# Where a web session keeps what its next signature by passkey is about
_PENDING = "qms_signing"
# Where Odoo looks for the challenge that an answer has to be to
_CHALLENGE = "webauthn_challenge"
# How long a person may take for it
_SECONDS = 300


class QmsSignaturePasskey(models.AbstractModel):
    """Passkeys in place of the password, where Odoo's module for them is installed.

    The challenge is derived from what is signed, and by whom, and with what meaning.
    So what the authenticator answers is an answer to that, and to nothing else: not to
    a login, not to another record, and not to another content of the same one.
    """

    _name = "qms.signature.passkey"
    _description = "Signing with a passkey"

    @api.model
    def _of_user(self):
        """Return the passkeys of the user; none where Odoo knows of no passkeys."""
        if "auth.passkey.key" not in self.env:
            return ()
        # People see their own; which credential it is, only the system.
        keys = self.env["auth.passkey.key"].sudo()
        return keys.search([("create_uid", "=", self.env.uid)])

    @api.model
    def _begin(self, record, meaning, content_hash):
        """Return what the browser asks the authenticator.

        :param record: what is to be signed
        :param str meaning: of the signature
        :param str content_hash: fingerprint of the content that the person was shown
        :return: the options of ``navigator.credentials.get()``, as JSON carries them
        :rtype: dict
        :raises SigningRefusedError: for users without a passkey, and remote calls
        """
        keys = self._of_user()
        if not request or not keys:
            raise SigningRefusedError(
                self.env._(
                    "You have no passkey to sign with here. Sign with your password."
                )
            )
        options = self.env["auth.passkey.key"]._start_auth()
        # A challenge for logging in is none for signing, and the other way round.
        request.session.pop(_CHALLENGE, None)
        nonce = secrets.token_hex(32)
        request.session[_PENDING] = {"nonce": nonce, "at": time.time()}
        options["challenge"] = self._challenge(nonce, record, meaning, content_hash)
        options["allowCredentials"] = [
            {"type": "public-key", "id": key.credential_identifier} for key in keys
        ]
        return options

    @api.model
    def _answer(self, record, meaning, content_hash, response):
        """Return what proves, once it is verified, that the user signs this.

        :param str response: what the authenticator answered, as JSON
        :rtype: PasskeyAnswer
        :raises SigningRefusedError: when nothing was asked, or too long ago
        """
        pending = request and request.session.pop(_PENDING, None)
        if not pending or time.time() - pending["at"] > _SECONDS:
            raise SigningRefusedError(
                self.env._(
                    "The passkey was asked too long ago, or not for this signature. "
                    "Sign again."
                )
            )
        challenge = self._challenge(pending["nonce"], record, meaning, content_hash)
        return PasskeyAnswer(response, challenge)

    @api.model
    def _challenge(self, nonce, record, meaning, content_hash):
        """Return the challenge of one signature.

        :return: a SHA-256 in base64url, without padding
        :rtype: str
        """
        text = json.dumps(
            [nonce, self.env.uid, record._name, record.id, meaning, content_hash]
        )
        digest = hashlib.sha256(text.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    @api.model
    def _verify(self, answer):
        """Verify the answer of an authenticator.

        :param PasskeyAnswer answer: see :meth:`_answer`
        :raises AccessDenied: when it is no answer of a passkey of the user, or none to
            the challenge
        """
        # Of a module that need not be there; whoever has a passkey has it.
        from odoo.addons.auth_passkey._vendor.webauthn.helpers import exceptions

        malformed = tuple(
            error for error in vars(exceptions).values() if isinstance(error, type)
        )
        request.session[_CHALLENGE] = answer.challenge
        try:
            self.env.user._check_credentials(
                {"type": "webauthn", "webauthn_response": answer.response},
                {"interactive": True},
            )
        except (*malformed, ValueError, KeyError, TypeError) as error:
            raise AccessDenied() from error
        finally:
            request.session.pop(_CHALLENGE, None)
