import threading

from odoo import api, models
from odoo.tools import SQL, ormcache

from odoo.addons.base.models.res_users import INDEX_SIZE

# Where a thread keeps the index of the key that the request came with
_ATTRIBUTE = "qms_key_index"


class ResUsersApikeys(models.Model):
    """Which key a request came with: the audit trail says on whose behalf."""

    _inherit = "res.users.apikeys"

    def _check_credentials(self, *, scope, key):
        user_id = super()._check_credentials(scope=scope, key=key)
        if user_id:
            self._qms_note_key(key)
        return user_id

    @api.model
    def _qms_note_key(self, key):
        """Remember, for the rest of the request, what it was authenticated with.

        :param str key: an API key, or a password; only the part that Odoo itself
            finds a key by is kept
        """
        thread = threading.current_thread()
        # Odoo hides the request from RPC methods; the thread serves others after it,
        # each with a start of its own.
        setattr(
            thread, _ATTRIBUTE, (getattr(thread, "perf_t0", None), key[:INDEX_SIZE])
        )

    @api.model
    def _qms_key_in_use(self):
        """Return the name of the API key that the request came with.

        :return: as its owner called it; ``None`` without a key
        :rtype: str | None
        """
        thread = threading.current_thread()
        started, index = getattr(thread, _ATTRIBUTE, (None, None))
        if not started or started != getattr(thread, "perf_t0", None):
            return None
        return self._qms_key_name(thread.uid, index) if thread.uid else None

    @api.model
    @ormcache("user_id", "index")
    def _qms_key_name(self, user_id, index):
        rows = self.env.execute_query(
            SQL(
                "SELECT name FROM res_users_apikeys WHERE user_id = %s AND index = %s",
                user_id,
                index,
            )
        )
        return rows[0][0] if rows else None
