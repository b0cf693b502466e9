from odoo import api, fields, models


class QmsRoleOverride(models.Model):
    """Somebody plays a role for a time, whatever the rota says."""

    _name = "qms.role.override"
    _description = "Override of a rota"
    _inherit = ["qms.audit.mixin"]
    _order = "date_from desc, id desc"
    _rec_name = "user_id"
    _audit_root_path = "role_id"
    _audit_reasons = ("reason",)

    role_id = fields.Many2one("qms.role", required=True, index=True, ondelete="cascade")
    date_from = fields.Datetime("From", required=True)
    date_to = fields.Datetime("To", required=True)
    user_id = fields.Many2one(
        "res.users",
        "On duty",
        required=True,
        index=True,
        ondelete="cascade",
        domain=[("share", "=", False)],
    )
    reason = fields.Char(help="Such as a holiday, or a swap.")

    _dates_ordered = models.Constraint(
        "CHECK(date_to > date_from)",
        "An override ends after it begins: correct “From” or “To”.",
    )

    @api.depends("user_id.name", "role_id.name")
    def _compute_display_name(self):
        for override in self:
            override.display_name = (
                f"{override.user_id.name or ''}: {override.role_id.name or ''}"
            )

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        self.env["qms.escalation.review"]._ask(only_problems=True)
        return lines

    def write(self, vals):
        result = super().write(vals)
        self.env["qms.escalation.review"]._ask(only_problems=True)
        return result

    def _audit_name(self):
        return self.display_name

    def _covers(self, at):
        """Tell whether an override is on at a time.

        :param datetime at: naive, UTC
        :rtype: bool
        """
        self.ensure_one()
        return self.date_from <= at < self.date_to
