from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models.signature.qms_signature import MEANINGS


class QmsSignatureDialog(models.TransientModel):
    """Says what is signed and what that means, and asks for the password or a passkey.

    Neither is ever stored: the password, or what the passkey answered, comes with the
    button, in the context of that one call, which ends here.
    """

    _name = "qms.signature.dialog"
    _description = "Sign"

    operation = fields.Selection(
        [("sign", "Sign"), ("approve", "Approve"), ("confirm", "Confirm")],
        required=True,
        readonly=True,
        default="sign",
    )
    model = fields.Char(required=True, readonly=True)
    res_id = fields.Many2oneReference(model_field="model", required=True, readonly=True)
    record_name = fields.Char("You sign", compute="_compute_record")
    content_hash = fields.Char("Fingerprint", compute="_compute_record")
    meaning = fields.Selection(MEANINGS, required=True)
    accepted = fields.Json(readonly=True)
    signer = fields.Char("As", compute="_compute_signer")
    delegation_id = fields.Many2one(
        "qms.signature.delegation",
        "On behalf of",
        domain="[('id', 'in', delegation_ids)]",
    )
    delegation_ids = fields.Many2many(
        "qms.signature.delegation", compute="_compute_delegation_ids"
    )
    comment = fields.Text()
    password = fields.Char(store=False)
    has_passkey = fields.Boolean(compute="_compute_has_passkey")

    def _record(self):
        """Return what is signed; the caller may read it, or gets an error."""
        self.ensure_one()
        model = self.env.get(self.model)
        if not isinstance(model, self.env.registry["qms.signed.mixin"]):
            raise UserError(self.env._("Such records are not signed."))
        record = model.browse(self.res_id)._only_one()
        record.check_access("read")
        return record

    @api.depends("model", "res_id", "meaning")
    def _compute_record(self):
        for dialog in self:
            record = dialog._record()
            dialog.record_name = record._signed_name()
            covered = record._signature_covers(dialog.meaning)
            dialog.content_hash = record._signed_hash(covered)

    @api.depends_context("uid")
    def _compute_signer(self):
        for dialog in self:
            dialog.signer = f"{self.env.user.name} ({self.env.user.login})"

    @api.depends("meaning")
    @api.depends_context("uid")
    def _compute_delegation_ids(self):
        delegations = self.env["qms.signature.delegation"]
        for dialog in self:
            dialog.delegation_ids = delegations._in_force(dialog.meaning)

    @api.depends_context("uid")
    def _compute_has_passkey(self):
        self.has_passkey = bool(self.env["qms.signature.passkey"]._of_user())

    def action_sign(self):
        """Verify the password that comes with the button, and sign.

        :return: the action that closes the dialog
        :rtype: dict
        """
        password = self.env.context.get("password")
        return self.with_context(password=None)._sign(password)

    def begin_passkey(self):
        """Return what the browser has to ask a passkey for this signature.

        :return: options of ``navigator.credentials.get()``, as JSON carries them
        :rtype: dict
        :raises UserError: for users without a passkey, and remote calls
        """
        record = self._record()
        return self.env["qms.signature.passkey"]._begin(
            record, self.meaning, self.content_hash
        )

    def action_sign_with_passkey(self):
        """Verify what the passkey answered, which comes with the button, and sign.

        :return: the action that closes the dialog
        :rtype: dict
        """
        dialog = self.with_context(passkey=None)
        answer = self.env["qms.signature.passkey"]._answer(
            dialog._record(),
            dialog.meaning,
            dialog.content_hash,
            str(self.env.context.get("passkey") or ""),
        )
        return dialog._sign(answer)

    def _sign(self, credential):
        """Do what the dialog is for.

        :param credential: see ``qms.signature.attempt``
        :return: the action that closes the dialog
        """
        delegator = self.delegation_id.delegator_id
        record = self._record()
        if self.operation == "approve":
            record._sign_and_approve(credential, self.comment, delegator)
        elif self.operation == "confirm":
            record._sign_and_confirm(credential, self.comment, delegator)
        else:
            record._sign(self.meaning, credential, self.comment, delegator)
        return {"type": "ir.actions.act_window_close"}
