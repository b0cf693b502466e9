import hashlib
import json

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ..tools.deferred import execute_last
from ..tools.faults import KeyReusedError

# A client that retries after more than a day is not retrying.
_KEPT_HOURS = 24
# Removed in one transaction; Odoo asks again as long as there are more.
_BATCH = 10_000


class QmsIdempotencyKey(models.Model):
    """The answers already given, by the key of the request.

    Only the framework reads and writes this table; no role has access to it.
    """

    _name = "qms.idempotency.key"
    _description = "Idempotency key"
    _log_access = False
    _rec_name = "key"

    key = fields.Char(required=True)
    user_id = fields.Many2one("res.users", required=True, ondelete="cascade")
    method = fields.Char(required=True)
    digest = fields.Char(required=True, help="SHA-256 of the request's arguments")
    response = fields.Json()
    created_at = fields.Datetime(required=True, index=True)

    _key_uniq = models.Constraint(
        "UNIQUE(user_id, key)", "An idempotency key can be used once per user."
    )

    @api.model
    def _once(self, key, method, arguments, call):
        """Run a call once per key and user; give later ones its answer.

        The row is inserted *before* the work: a concurrent duplicate waits for
        it on the unique index, fails to serialize when the first commits, and
        is run again by Odoo, now finding the answer.

        :param str key: chosen by the client, 1 to 255 characters
        :param str method: which method is called (``model.method``)
        :param dict arguments: what it is called with (JSON-serializable)
        :param call: function without arguments that does the work
        :return: the answer of ``call``, JSON-serializable
        :raises KeyReusedError: when the key was used for another request
        """
        if len(key) > 255:
            raise ValidationError(
                self.env._("Argument idempotency_key: at most 255 characters.")
            )
        canonical = json.dumps(arguments, sort_keys=True, default=str)
        digest = hashlib.sha256(f"{method}\n{canonical}".encode()).hexdigest()
        inserted = self.env.execute_query(
            SQL(
                """INSERT INTO qms_idempotency_key
                               (key, user_id, method, digest, created_at)
                        VALUES (%s, %s, %s, %s, now() at time zone 'utc')
                   ON CONFLICT (user_id, key) DO NOTHING
                     RETURNING id""",
                key,
                self.env.uid,
                method,
                digest,
            )
        )
        if not inserted:
            # The answer may be one of this very transaction.
            self.env.cr.flush()
            ((known, response),) = self.env.execute_query(
                SQL(
                    """SELECT digest, response FROM qms_idempotency_key
                        WHERE user_id = %s AND key = %s""",
                    self.env.uid,
                    key,
                )
            )
            if known != digest:
                raise KeyReusedError(
                    self.env._(
                        "Idempotency key %(key)s was already used for another "
                        "request. Use a new key for every new request.",
                        key=key,
                    )
                )
            return response
        response = call()
        execute_last(
            self.env.cr,
            SQL(
                "UPDATE qms_idempotency_key SET response = %s WHERE id = %s",
                json.dumps(response),
                inserted[0][0],
            ),
        )
        return response

    @api.autovacuum
    def _gc_old_keys(self):
        limit = fields.Datetime.subtract(fields.Datetime.now(), hours=_KEPT_HOURS)
        # The table has no access rights for anyone, the cron's user included.
        keys = self.sudo().search(Domain("created_at", "<", limit), limit=_BATCH)
        keys.unlink()
        return len(keys), len(keys) == _BATCH
