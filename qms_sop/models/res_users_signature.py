from odoo import api, models
from odoo.http import request

from ..tools.signing import SigningRefusedError

# Where a remote call keeps what it was authenticated with, for as long as it lasts
_CREDENTIAL = "qms_credential"


class ResUsers(models.Model):
    """By what a request was authenticated: keys cannot sign."""

    _inherit = "res.users"

    @api.model
    def _check_uid_passwd(self, uid, passwd):
        result = super()._check_uid_passwd(uid, passwd)
        # Odoo hides the request from remote calls; each has a cursor of its own.
        setattr(self.env.cr, _CREDENTIAL, passwd)
        return result

    @api.model
    def _qms_came_with_key(self):
        """Tell whether the request was authenticated by an API key.

        :rtype: bool
        """
        if request:
            header = request.httprequest.headers.get("Authorization", "")
            if header.lower().startswith("bearer"):
                return True
        # Over XML-RPC and JSON-RPC a key is given as the password. No key opens a web
        # session.
        return self._qms_is_key(getattr(self.env.cr, _CREDENTIAL, None))

    @api.model
    def _qms_came_with_other(self, password):
        """Tell whether a remote call was authenticated by something else.

        Odoo accepts a revoked key over XML-RPC for a while.

        :param str password: what is given for signing
        :rtype: bool
        """
        credential = getattr(self.env.cr, _CREDENTIAL, None)
        return credential is not None and credential != password

    @api.model
    def _qms_is_key(self, password):
        """Tell whether a text is an API key rather than a password."""
        keys = self.env["res.users.apikeys"]
        return bool(password and keys._check_credentials(scope="rpc", key=password))

    @api.model
    def _qms_key_message(self):
        return self.env._(
            "An API key cannot sign: a signature needs the person's password each "
            "time. Sign in the web client, or connect with login and password."
        )

    @api.model
    def _qms_refuse_keys(self):
        """Refuse requests that came with an API key.

        :raises SigningRefusedError: saying what to do instead
        """
        if self._qms_came_with_key():
            raise SigningRefusedError(self._qms_key_message())
