from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain

from .qms_signature import MEANINGS

_LONGEST_DAYS = 366


class QmsSignatureDelegation(models.Model):
    """Somebody lets somebody else sign for him, for a while.

    The delegate signs with his own credential and his own rights; the signature
    names both. Whoever delegates does so himself, and nobody changes it afterwards:
    it is revoked.
    """

    _name = "qms.signature.delegation"
    _description = "Delegation of signing"
    _order = "date_from desc, id desc"
    _rec_name = "delegator_id"

    delegator_id = fields.Many2one(
        "res.users",
        "Delegated by",
        required=True,
        readonly=True,
        ondelete="restrict",
        default=lambda self: self.env.user,
    )
    delegate_id = fields.Many2one(
        "res.users",
        "Signs on behalf",
        required=True,
        ondelete="restrict",
        index=True,
        domain="[('share', '=', False), ('id', '!=', uid)]",
    )
    meaning = fields.Selection(
        [("any", "Every meaning"), *MEANINGS], required=True, default="any"
    )
    date_from = fields.Datetime(
        "From", required=True, default=lambda self: fields.Datetime.now()
    )
    date_to = fields.Datetime("Until", required=True)
    reason = fields.Text(required=True)
    revoked_on = fields.Datetime(readonly=True)
    revoked_by_id = fields.Many2one("res.users", "Revoked by", readonly=True)
    state = fields.Selection(
        [
            ("future", "Not yet in force"),
            ("active", "In force"),
            ("past", "Over"),
            ("revoked", "Revoked"),
        ],
        compute="_compute_state",
    )

    _period = models.Constraint(
        "CHECK(date_to > date_from)", "A delegation ends after it begins."
    )
    _not_oneself = models.Constraint(
        "CHECK(delegate_id != delegator_id)",
        "Nobody needs to delegate signing to himself.",
    )

    @api.depends("date_from", "date_to", "revoked_on")
    def _compute_state(self):
        now = fields.Datetime.now()
        for delegation in self:
            if delegation.revoked_on:
                delegation.state = "revoked"
            elif not delegation.date_from or delegation.date_from > now:
                delegation.state = "future"
            elif delegation.date_to and delegation.date_to <= now:
                delegation.state = "past"
            else:
                delegation.state = "active"

    @api.depends("delegator_id", "delegate_id")
    def _compute_display_name(self):
        for delegation in self:
            delegation.display_name = self.env._(
                "%(delegate)s for %(delegator)s",
                delegate=delegation.delegate_id.name or "?",
                delegator=delegation.delegator_id.name or "?",
            )

    @api.constrains("date_from", "date_to")
    def _check_length(self):
        for delegation in self:
            if (delegation.date_to - delegation.date_from).days > _LONGEST_DAYS:
                raise ValidationError(
                    self.env._(
                        "date_to: a delegation lasts %(days)s days at most.",
                        days=_LONGEST_DAYS,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        self.env["res.users"]._qms_refuse_keys()
        for vals in vals_list:
            if vals.get("delegator_id", self.env.uid) != self.env.uid:
                raise AccessError(
                    self.env._(
                        "delegator_id: people delegate their own signature only; "
                        "whoever is to be represented does it."
                    )
                )
            forged = {"revoked_on", "revoked_by_id"} & vals.keys()
            if forged:
                raise UserError(
                    self.env._(
                        "%s cannot be given, the system writes it.",
                        ", ".join(sorted(forged)),
                    )
                )
            vals["delegator_id"] = self.env.uid
        return super().create(vals_list)

    def write(self, vals):  # pylint: disable=method-required-super
        self.check_access("write")
        raise UserError(
            self.env._(
                "A delegation is not changed afterwards: revoke it, and make another."
            )
        )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_history(self):
        raise UserError(
            self.env._("A delegation is kept for good: revoke it, if it is to end.")
        )

    def action_revoke(self):
        """End delegations now; signatures given under them stay.

        :raises AccessError: for anybody but the delegator and QMS managers
        """
        manager = self.env.user.has_group("qms_error_code.group_qms_manager")
        for delegation in self:
            if delegation.delegator_id != self.env.user and not manager:
                raise AccessError(
                    self.env._(
                        "%(delegation)s: %(person)s or a QMS manager revokes it.",
                        delegation=delegation.display_name,
                        person=delegation.delegator_id.name,
                    )
                )
            if not delegation.revoked_on:
                super(QmsSignatureDelegation, delegation).write(
                    {
                        "revoked_on": fields.Datetime.now(),
                        "revoked_by_id": self.env.uid,
                    }
                )
        return True

    @api.model
    def _in_force(self, meaning=None):
        """Return the delegations that let the user sign for others now.

        :param str meaning: what the signature is to mean; none: anything
        """
        now = fields.Datetime.now()
        domain = (
            Domain("delegate_id", "=", self.env.uid)
            & Domain("revoked_on", "=", False)
            & Domain("date_from", "<=", now)
            & Domain("date_to", ">", now)
            & Domain("delegator_id.active", "=", True)
        )
        if meaning:
            domain &= Domain("meaning", "in", ["any", meaning])
        return self.search(domain)

    @api.model
    def _for(self, delegator, meaning):
        """Return the delegation under which the user signs for somebody.

        :param delegator: res.users record, or empty
        :param str meaning: of the signature
        :return: empty without a delegator
        :raises UserError: when there is none
        """
        if not delegator:
            return self.browse()
        found = self._in_force(meaning).filtered(
            lambda delegation: delegation.delegator_id == delegator
        )
        if not found:
            raise UserError(
                self.env._(
                    "%(person)s has not delegated signing as “%(meaning)s” to you, or "
                    "not for now.",
                    person=delegator.sudo().name,
                    meaning=dict(MEANINGS)[meaning],
                )
            )
        return found[0]
