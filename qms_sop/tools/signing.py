"""What signing hands on, and how it is refused."""

from dataclasses import dataclass

from odoo.exceptions import UserError


@dataclass
class Proof:
    """That a person has just shown to be the one, for one signature.

    It exists only where the password or a passkey was verified, so that code which an
    administrator types in cannot sign without it.

    :ivar int user_id: who
    :ivar str model: of the record to sign
    :ivar int res_id: its id
    :ivar str meaning: of the signature
    :ivar str credential: by what; see the field of ``qms.signature``
    :ivar bool used: whether it was signed with
    """

    user_id: int
    model: str
    res_id: int
    meaning: str
    credential: str = "password"
    used: bool = False

    def use(self, user_id, record, meaning):
        """Use up the proof; tell whether it is one for this signature.

        :rtype: bool
        """
        fits = (self.user_id, self.model, self.res_id, self.meaning) == (
            user_id,
            record._name,
            record.id,
            meaning,
        )
        fits, self.used = fits and not self.used, True
        return fits


@dataclass(frozen=True)
class PasskeyAnswer:
    """What an authenticator answered, in place of a password.

    No client can send one: it is made by the server, which knows the challenge.

    :ivar str response: the answer, as JSON
    :ivar str challenge: what it has to be an answer to, in base64url
    """

    response: str
    challenge: str


class SigningRefusedError(UserError):
    """Who signs has not shown to be the one."""

    http_status = 403


class SigningLockedError(UserError):
    """Too many failed attempts: signing is locked for a while."""

    http_status = 429
