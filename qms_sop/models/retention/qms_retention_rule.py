from odoo import api, fields, models


class QmsRetentionRule(models.Model):
    """How long records of a class are kept at least.

    Years are counted from the last act in the trail of a record. Of the rules that fit
    a record the most exact one counts: one that names its classification before one
    that does not, then one for its company; among equals the longest. What no rule
    fits is kept for good.
    """

    _name = "qms.retention.rule"
    _description = "Retention rule"
    _inherit = ["qms.audit.mixin"]
    _order = "applies_to, classification, company_id, id"
    _check_company_auto = True

    _audit_reasons = ("basis",)

    name = fields.Char("Rule", required=True, translate=True)
    applies_to = fields.Selection(
        selection="_select_applies_to", string="Records", required=True
    )
    classification = fields.Char(
        help="Only SOPs of this classification, and their runs. Empty: all."
    )
    company_id = fields.Many2one("res.company", help="Empty: all companies.")
    years = fields.Integer(
        "Years at least",
        required=True,
        aggregator=None,
        help="Counted from the last act in the trail of a record.",
    )
    basis = fields.Text(
        "Because of",
        required=True,
        help="The law, standard or contract that asks for it.",
    )
    active = fields.Boolean(default=True)

    _years_check = models.Constraint(
        "CHECK (years BETWEEN 1 AND 100)", "Years at least: give 1 to 100."
    )
    _class_uniq = models.UniqueIndex(
        "(applies_to, COALESCE(classification, ''), COALESCE(company_id, 0))"
        " WHERE active",
        "There is a rule for these records already; change that one.",
    )

    @api.model
    def _select_applies_to(self):
        """Return the models whose records are kept and purged."""
        mixin = self.env.registry["qms.retention.mixin"]
        return [
            (name, self.env[name]._description)
            for name in sorted(self.env.registry)
            if issubclass(self.env.registry[name], mixin)
            and not self.env[name]._abstract
        ]

    def _audit_name(self):
        return self.name

    def _fits(self, classification, company):
        """Return how exactly one rule fits a record, or ``None``.

        :param str classification: of the record, or a false value
        :param company: res.company record
        :return: larger for a rule that goes before another one
        :rtype: tuple | None
        """
        self.ensure_one()
        if self.classification and self.classification != classification:
            return None
        if self.company_id and self.company_id != company:
            return None
        return bool(self.classification), bool(self.company_id), self.years
