from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ...tools.signing import Proof
from ...tools.zones import in_zone

MEANINGS = [
    ("authored", "Authored"),
    ("reviewed", "Reviewed"),
    ("approved", "Approved"),
    ("performed", "Performed"),
    ("verified", "Verified"),
    ("closed", "Closed"),
    ("published", "Published"),
]


class QmsSignature(models.Model):
    """Who signed what, when, and what that means.

    A signature carries the printed name of the signer, the date and time, and the
    meaning (21 CFR 11.50 a), and is shown wherever the record is (11.50 b). It is
    bound to what was signed by the SHA-256 of the content, so it cannot be moved to
    another record, and stops being valid when the content changes (11.70).

    Nobody makes, changes or deletes one, superuser included: see ``sign()`` of
    ``qms.signed.mixin``, the only way in.
    """

    _name = "qms.signature"
    _description = "Signature"
    _inherit = ["qms.audit.sealed.mixin"]
    _log_access = False
    _order = "signed_at, id"
    _rec_name = "signer_name"

    model = fields.Char("Kind of record", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        "Signed record", model_field="model", required=True, readonly=True
    )
    record_name = fields.Char("Signed", required=True, readonly=True)
    meaning = fields.Selection(MEANINGS, required=True, readonly=True)
    user_id = fields.Many2one(
        "res.users", "Account", required=True, readonly=True, ondelete="restrict"
    )
    signer_name = fields.Char("Signed by", required=True, readonly=True)
    signer_login = fields.Char("Login", required=True, readonly=True)
    on_behalf_of_id = fields.Many2one(
        "res.users", "Account represented", readonly=True, ondelete="restrict"
    )
    on_behalf_of_name = fields.Char("On behalf of", readonly=True)
    delegation_id = fields.Many2one(
        "qms.signature.delegation", readonly=True, ondelete="restrict"
    )
    signed_at = fields.Datetime(required=True, readonly=True)
    timezone = fields.Char("Zone of the signer", required=True, readonly=True)
    signed_at_text = fields.Char("Date and time", compute="_compute_signed_at_text")
    credential = fields.Selection(
        [("password", "Password"), ("passkey", "Passkey")],
        "Signed with",
        readonly=True,
        help="What the signer has shown to be the one. Empty with signatures of before "
        "there was a choice: a password.",
    )
    comment = fields.Text(readonly=True)
    content_hash = fields.Char(
        "Fingerprint",
        required=True,
        readonly=True,
        help="SHA-256 of what was signed.",
    )
    covered = fields.Json(
        readonly=True,
        help="The format of the content that was signed, and the records that had been "
        "added by then.",
    )
    company_id = fields.Many2one("res.company", readonly=True, ondelete="restrict")
    valid = fields.Boolean(compute="_compute_valid")
    validity = fields.Selection(
        [
            ("valid", "Valid"),
            ("changed", "Content changed after signing"),
            ("missing", "Signed record is gone"),
        ],
        compute="_compute_valid",
    )

    _record_idx = models.Index("(model, res_id)")
    _user_idx = models.Index("(user_id, signed_at)")

    @api.depends("signed_at", "timezone")
    def _compute_signed_at_text(self):
        for signature in self:
            signature.signed_at_text = in_zone(signature.signed_at, signature.timezone)

    @api.depends("model", "res_id", "content_hash")
    def _compute_valid(self):
        by_model = defaultdict(set)
        for signature in self:
            by_model[signature.model].add(signature.res_id)
        found = {}
        for model, ids in by_model.items():
            if model not in self.env:
                continue
            # Whether it was tampered with does not depend on who asks.
            records = self.env[model].sudo().browse(ids).exists()
            found |= {(model, record.id): record for record in records}
        for signature in self:
            record = found.get((signature.model, signature.res_id))
            if record is None:
                signature.validity = "missing"
            elif record._signed_hash(signature.covered or {}) == signature.content_hash:
                signature.validity = "valid"
            else:
                signature.validity = "changed"
            signature.valid = signature.validity == "valid"

    def _refuse(self):
        raise UserError(
            self.env._(
                "A signature is made by signing, and then never changed or deleted. "
                "To sign, open the record and choose Sign, or call its method sign()."
            )
        )

    @api.model
    def _sign(self, record, meaning, proof, **values):
        """Write the signature of the user, whose credential has been verified.

        :param record: what is signed
        :param str meaning: one of ``MEANINGS``
        :param Proof proof: that it is the user, for this signature
        :param values: ``comment``, ``delegation`` (record or empty)
        :rtype: qms.signature record
        """
        if type(proof) is not Proof or not proof.use(self.env.uid, record, meaning):
            self._refuse()
        user = self.env.user
        delegation = values.get("delegation") or self.env["qms.signature.delegation"]
        covered = record._signature_covers(meaning)
        company = record.company_id if "company_id" in record._fields else None
        # Nobody has the right to create one: whoever may sign gets here.
        return (
            self.sudo()
            ._add_sealed(
                [
                    {
                        "model": record._name,
                        "res_id": record.id,
                        "record_name": record._signed_name(),
                        "meaning": meaning,
                        "user_id": user.id,
                        "signer_name": user.name,
                        "signer_login": user.login,
                        "on_behalf_of_id": delegation.delegator_id.id,
                        "on_behalf_of_name": delegation.delegator_id.name,
                        "delegation_id": delegation.id,
                        "signed_at": fields.Datetime.now(),
                        "timezone": user.tz or "UTC",
                        "credential": proof.credential,
                        "comment": (values.get("comment") or "").strip() or False,
                        "content_hash": record.sudo()._signed_hash(covered),
                        "covered": covered,
                        "company_id": company.id if company else False,
                    }
                ]
            )
            .sudo(False)
        )

    @api.model
    def _of(self, records, meaning=None):
        """Return the signatures on records.

        :param records: of one model
        :param str meaning: only those that mean this
        """
        domain = Domain("model", "=", records._name) & Domain(
            "res_id", "in", records.ids
        )
        if meaning:
            domain &= Domain("meaning", "=", meaning)
        # They belong to records that the caller has at hand.
        return self.sudo().search(domain).sudo(False)

    def action_open_record(self):
        """Open what was signed.

        :return: the action
        :rtype: dict
        """
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self.model,
            "res_id": self.res_id,
            "view_mode": "form",
        }

    def _to_rpc(self):
        self.ensure_one()
        return {
            "id": self.id,
            "meaning": self.meaning,
            "signer": self.signer_name,
            "login": self.signer_login,
            "on_behalf_of": self.on_behalf_of_name or False,
            "signed_at": f"{self.signed_at.isoformat(timespec='seconds')}Z",
            "timezone": self.timezone,
            "credential": self.credential or "password",
            "sha256": self.content_hash,
            "valid": self.valid,
        }
