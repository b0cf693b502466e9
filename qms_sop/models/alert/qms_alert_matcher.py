from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_error_code.tools.log_matcher import PatternError

from ...tools.label_pattern import compile_label_pattern, holds

OPERATORS = [
    ("=", "is"),
    ("!=", "is not"),
    ("=~", "matches"),
    ("!~", "does not match"),
]


class QmsAlertMatcher(models.Model):
    """A condition on a label, of a rule or of a maintenance window.

    It means what a matcher means in Alertmanager: a label that is not there counts
    as empty, and a pattern has to match the whole value.
    """

    _name = "qms.alert.matcher"
    _description = "Condition on a label"
    _order = "sequence, id"
    _rec_name = "label"

    rule_id = fields.Many2one("qms.alert.rule", ondelete="cascade", index=True)
    window_id = fields.Many2one(
        "qms.maintenance.window", ondelete="cascade", index=True
    )
    sequence = fields.Integer(default=10)
    label = fields.Char(
        required=True,
        help="Name of a label. Also “title”, “severity” and “source” (its code), "
        "where an alert has no labels of those names.",
    )
    operator = fields.Selection(OPERATORS, required=True, default="=")
    value = fields.Char(
        help="The value, or for “matches” a regular expression in RE2 syntax; blank "
        "means that the label is not there."
    )

    _one_owner = models.Constraint(
        "CHECK((rule_id IS NULL) <> (window_id IS NULL))",
        "A condition belongs either to a rule or to a maintenance window.",
    )

    @api.depends("label", "operator", "value")
    def _compute_display_name(self):
        names = dict(self._fields["operator"]._description_selection(self.env))
        for matcher in self:
            label = matcher.label or ""
            if matcher.value or matcher.operator not in ("=", "!="):
                words = f"{label} {names.get(matcher.operator)} {matcher.value or '“”'}"
            elif matcher.operator == "=":
                words = self.env._("no %(label)s", label=label)
            else:
                words = self.env._("any %(label)s", label=label)
            matcher.display_name = words

    @api.constrains("operator", "value")
    def _check_value(self):
        for matcher in self:
            if matcher.operator not in ("=~", "!~"):
                continue
            try:
                compile_label_pattern(matcher.value or "")
            except PatternError as error:
                raise ValidationError(
                    self.env._(
                        "%(label)s: the pattern “%(pattern)s” is not accepted: "
                        "%(problem)s",
                        label=matcher.label,
                        pattern=matcher.value,
                        problem=self.env["qms.error.pattern"]._explain(error),
                    )
                ) from None

    @api.model_create_multi
    def create(self, vals_list):
        matchers = super().create(vals_list)
        # A window of the past can be written down, with what it covered.
        old = matchers.filtered(
            lambda matcher: matcher.window_id.create_date != matcher.create_date
        )
        old._check_not_over()
        return matchers

    def write(self, vals):
        self._check_not_over()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_over(self):
        self._check_not_over()

    def _check_not_over(self):
        """Refuse to change what a window covered that is over."""
        for window in self.window_id:
            if window.state == "over":
                raise UserError(
                    self.env._(
                        "%(window)s is over: what it covered can no longer be changed.",
                        window=window.name,
                    )
                )

    def _in_words(self, nothing):
        """Return the conditions as a person reads them.

        :param str nothing: what no condition at all means
        :rtype: str
        """
        return ", ".join(self.mapped("display_name")) or nothing

    def _hold(self, labels):
        """Tell whether all these conditions hold.

        :param dict labels: of an alert, names and values
        :return: True also when there are none
        :rtype: bool
        """
        return all(
            holds(
                matcher.operator,
                matcher.value or "",
                labels.get(matcher.label.strip(), ""),
            )
            for matcher in self
        )
