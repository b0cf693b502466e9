import logging
from contextlib import contextmanager
from datetime import timedelta

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessDenied, UserError
from odoo.http import request
from odoo.tools import SQL

from ...tools.signing import (
    PasskeyAnswer,
    Proof,
    SigningLockedError,
    SigningRefusedError,
)

_logger = logging.getLogger(__name__)

# So many failures within so long a time lock signing for as long.
FAILURES = 3
WINDOW = LOCK = timedelta(minutes=15)


class QmsSignatureAttempt(models.Model):
    """Every attempt to sign, also those that were refused.

    Written in a transaction of its own, so that it outlives the rollback of what was
    refused. 21 CFR 11.300 d asks for the detection of attempts at unauthorized use.
    """

    _name = "qms.signature.attempt"
    _description = "Attempt to sign"
    _inherit = ["qms.audit.sealed.mixin"]
    _log_access = False
    _order = "id desc"
    _rec_name = "record_name"

    user_id = fields.Many2one(
        "res.users", "Who", required=True, readonly=True, ondelete="cascade"
    )
    attempted_at = fields.Datetime("When", required=True, readonly=True)
    outcome = fields.Selection(
        [
            # Until it is known: what breaks off counts as a failure.
            ("pending", "Broken off"),
            ("verified", "Verified"),
            ("wrong", "Wrong password"),
            ("passkey", "Passkey refused"),
            ("locked", "Locked"),
            ("key", "API key"),
        ],
        required=True,
        readonly=True,
    )
    model = fields.Char("Kind of record", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        "Record", model_field="model", required=True, readonly=True
    )
    record_name = fields.Char("What", required=True, readonly=True)
    meaning = fields.Char(required=True, readonly=True)
    address = fields.Char("From", readonly=True, help="Network address.")

    _user_idx = models.Index("(user_id, id DESC)")

    def _refuse(self):
        raise UserError(self.env._("Attempts to sign are noted by the system only."))

    # === Verifying ===

    @api.model
    def _verify(self, record, meaning, credential):
        """Verify that it is the user who signs now (21 CFR 11.200 a).

        The credential is asked for at each signing; an earlier one does not count, and
        an API key is none.

        :param record: what is to be signed
        :param str meaning: of the signature
        :param credential: the password of the user (str), or a :class:`PasskeyAnswer`
        :return: what ``qms.signature._sign`` asks for
        :rtype: Proof
        :raises SigningRefusedError: when it is an API key, or wrong
        :raises SigningLockedError: after too many that were
        """
        users = self.env["res.users"]
        if self.env.uid == SUPERUSER_ID:
            raise SigningRefusedError(
                self.env._(
                    "The system itself cannot sign: only a person who has a password."
                )
            )
        by_passkey = isinstance(credential, PasskeyAnswer)
        if users._qms_came_with_key() or (
            not by_passkey and users._qms_is_key(credential)
        ):
            self._refuse_key(record, meaning)
        attempt_id, ends = self._begin(record, meaning)
        if ends:
            raise SigningLockedError(self._locked_message(ends))
        try:
            self._check(credential)
        except AccessDenied:
            outcome = "passkey" if by_passkey else "wrong"
            left, ends = self._end(attempt_id, outcome)
            self._tell(record, meaning, outcome)
            if ends:
                raise SigningLockedError(self._locked_message(ends)) from None
            raise SigningRefusedError(self._refused_message(outcome, left)) from None
        self._end(attempt_id, "verified")
        if not by_passkey and users._qms_came_with_other(credential):
            self._refuse_key(record, meaning)
        return Proof(
            self.env.uid,
            record._name,
            record.id,
            meaning,
            credential="passkey" if by_passkey else "password",
        )

    @api.model
    def _check(self, credential):
        """Check a password or an answer of an authenticator.

        :raises AccessDenied: when it is not the user's
        """
        if isinstance(credential, PasskeyAnswer):
            self.env["qms.signature.passkey"]._verify(credential)
            return
        self.env.user._check_credentials(
            {
                "type": "password",
                "login": self.env.user.login,
                "password": credential,
            },
            {"interactive": True},
        )

    def _refused_message(self, outcome, left):
        minutes = round(LOCK.total_seconds() / 60)
        if outcome == "passkey":
            return self.env._(
                "The passkey was not accepted: nothing was signed. %(left)s more and "
                "signing is locked for %(minutes)s minutes.",
                left=left,
                minutes=minutes,
            )
        return self.env._(
            "The password is wrong: nothing was signed. %(left)s more and "
            "signing is locked for %(minutes)s minutes.",
            left=left,
            minutes=minutes,
        )

    def _locked_message(self, ends):
        minutes = (ends - fields.Datetime.now()).total_seconds() / 60
        return self.env._(
            "Signing is locked for you, after %(failures)s failed attempts. Try again "
            "in %(minutes)s minutes.",
            failures=FAILURES,
            minutes=max(1, -int(-minutes // 1)),
        )

    @api.model
    def _begin(self, record, meaning):
        """Count an attempt before the password is looked at.

        So those who try many passwords at once get no more of them than those who try
        one after the other.

        :return: id of the attempt, and until when signing is locked, if it is
        :rtype: tuple
        """
        with self._lasting_cursor() as cr:
            attempt_id = self._insert(cr, record, meaning, "pending")
        with self._lasting_cursor() as cr:
            _left, ends = self._standing(cr, exclude=attempt_id)
            if ends:
                self._set(cr, attempt_id, "locked")
        if ends:
            self._tell(record, meaning, "locked")
        return attempt_id, ends

    @api.model
    def _end(self, attempt_id, outcome):
        """Note how an attempt ended.

        :return: how many failures are left, and until when signing is locked
        :rtype: tuple
        """
        with self._lasting_cursor() as cr:
            self._set(cr, attempt_id, outcome)
            return self._standing(cr)

    @api.model
    def _refuse_key(self, record, meaning):
        """Refuse an API key; it says nothing about who is there."""
        with self._lasting_cursor() as cr:
            self._insert(cr, record, meaning, "key")
        self._tell(record, meaning, "key")
        raise SigningRefusedError(self.env["res.users"]._qms_key_message())

    @api.model
    def _standing(self, cr, exclude=0):
        """Tell how many failures a user has left, and whether he is locked.

        :param cr: a cursor that sees what others have committed
        :param int exclude: id of an attempt that does not count
        :return: number left; end of the lock, or ``None``
        :rtype: tuple
        """
        cr.execute(
            SQL(
                """SELECT outcome, attempted_at FROM qms_signature_attempt
                    WHERE user_id = %s AND id <> %s
                      AND outcome IN ('pending', 'wrong', 'passkey', 'verified')
                 ORDER BY id DESC LIMIT %s""",
                self.env.uid,
                exclude,
                FAILURES,
            )
        )
        failed = []
        for outcome, attempted_at in cr.fetchall():
            if outcome == "verified":
                break
            failed.append(attempted_at)
        now = fields.Datetime.now()
        if len(failed) == FAILURES and failed[0] - failed[-1] <= WINDOW:
            ends = failed[0] + LOCK
            if ends > now:
                return 0, ends
        recent = sum(now - at <= WINDOW for at in failed)
        return max(1, FAILURES - recent), None

    # === Writing ===

    @contextmanager
    def _lasting_cursor(self):
        """Open a transaction of its own, which outlives a rollback of this one.

        Nobody outside knows a user that this transaction has made itself, as demo data
        do; the attempts of such a user go with the user.
        """
        with self.env.registry.cursor() as cr:
            cr.execute(SQL("SELECT 1 FROM res_users WHERE id = %s", self.env.uid))
            if cr.fetchone():
                yield cr
                return
        yield self.env.cr

    @api.model
    def _insert(self, cr, record, meaning, outcome):
        """Insert an attempt of the user.

        :param cr: a cursor of its own
        :return: its id
        :rtype: int
        """
        values = {
            "user_id": self.env.uid,
            "attempted_at": fields.Datetime.now(),
            "outcome": outcome,
            "model": record._name,
            "res_id": record.id,
            "record_name": record._signed_name(),
            "meaning": meaning,
            "address": request.httprequest.remote_addr if request else None,
        }
        cr.execute(
            SQL(
                "INSERT INTO qms_signature_attempt (%s) VALUES %s RETURNING id",
                SQL(", ").join(map(SQL.identifier, values)),
                tuple(values.values()),
            )
        )
        return cr.fetchone()[0]

    @api.model
    def _set(self, cr, attempt_id, outcome):
        cr.execute(
            SQL(
                "UPDATE qms_signature_attempt SET outcome = %s WHERE id = %s",
                outcome,
                attempt_id,
            )
        )

    @api.model
    def _tell(self, record, meaning, outcome):
        """Tell of a refusal in the log and in the trail of what was to be signed."""
        _logger.info(
            "Signing refused (%s): user %s, %s %s",
            outcome,
            self.env.uid,
            record._name,
            record.id,
        )
        outcomes = dict(self._fields["outcome"]._description_selection(self.env))
        meanings = self.env["qms.signature"]._fields["meaning"]
        self.env["qms.audit.event"]._record_apart(
            record,
            "signing_refused",
            reason=outcomes[outcome],
            text=self.env._(
                "%(person)s could not sign as “%(meaning)s”",
                person=self.env.user.name,
                meaning=dict(meanings._description_selection(self.env))[meaning],
            ),
        )
