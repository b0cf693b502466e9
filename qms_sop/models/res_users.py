from odoo import api, models


class ResUsers(models.Model):
    _inherit = "res.users"

    @api.model
    def _check_uid_passwd(self, uid, passwd):
        result = super()._check_uid_passwd(uid, passwd)
        # Over XML-RPC a key is given as the password, and checked once in a while.
        self.env["res.users.apikeys"]._qms_note_key(passwd)
        return result
