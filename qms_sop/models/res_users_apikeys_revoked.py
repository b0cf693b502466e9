from odoo import api, models


class ResUsersApikeys(models.Model):
    """A key that is removed stops at once, over XML-RPC too.

    Odoo remembers which password or key a user logged in with over RPC, so that it
    need not hash it again for every call, and forgets it with the registry's cache.
    """

    _inherit = "res.users.apikeys"

    def unlink(self):
        result = super().unlink()
        self._forget_logins()
        return result

    @api.autovacuum
    def _gc_user_apikeys(self):
        result = super()._gc_user_apikeys()
        self._forget_logins()
        return result

    def _forget_logins(self):
        """Clear the caches of all workers, now and when it is committed.

        Until then, another request can still find the key and remember it again.
        """
        self.env.registry.clear_cache()
        self.env.cr.postcommit.add(self.env.registry.clear_cache)
