from odoo import api, fields, models
from odoo.exceptions import ValidationError

from odoo.addons.qms_sop.tools.fields import BlankFloat, BlankInteger

from .qms_incident import YES_NO


class QmsIncident(models.Model):
    """What the incident did to users, to data and to compliance.

    Everything is blank until somebody has assessed it: 0 users and "intact" are
    findings, not defaults.
    """

    _inherit = "qms.incident"

    users_affected = BlankInteger(
        "Users affected",
        copy=False,
        aggregator="sum",
        help="How many; blank as long as nobody knows.",
    )
    groups_affected = fields.Text(
        "Which users",
        copy=False,
        help="Which users, for example “residents, 12 of 40”.",
    )
    operations_affected = fields.Text(
        "Operations affected", copy=False, help="What could not be done, or only badly."
    )
    workaround_available = fields.Selection(
        YES_NO, "Was there a workaround?", copy=False
    )
    workaround = fields.Text(copy=False)
    data_integrity = fields.Selection(
        [
            ("intact", "Intact"),
            ("inconsistent", "Inconsistent"),
            ("corrupted", "Corrupted"),
        ],
        "Data",
        copy=False,
        tracking=True,
    )
    data_checks = fields.Text(
        "Checks of the data", copy=False, help="What was checked, and what it showed."
    )
    compliance = fields.Selection(
        [
            ("maintained", "Maintained"),
            ("at_risk", "At risk"),
            ("violated", "Violated"),
        ],
        copy=False,
        tracking=True,
    )
    compliance_checks = fields.Text("Checks of compliance", copy=False)
    cost_estimate = BlankFloat(
        "Estimated cost",
        copy=False,
        aggregator="sum",
        digits=(16, 2),
        help="In the currency of the company.",
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    impact_open = fields.Char(
        "Still to be assessed",
        compute="_compute_impact_open",
        help="What of the assessment closing needs and nobody has said.",
    )

    @api.depends(
        "users_affected",
        "operations_affected",
        "workaround_available",
        "workaround",
        "data_integrity",
        "data_checks",
        "compliance",
        "compliance_checks",
    )
    def _compute_impact_open(self):
        names = {
            "users": self.env._("how many users"),
            "operations": self.env._("operations"),
            "workaround": self.env._("workaround"),
            "data_integrity": self.env._("data, and how it was checked"),
            "compliance": self.env._("compliance, and how it was checked"),
        }
        for incident in self:
            missing = [code for code, _text in incident._impact_missing()]
            incident.impact_open = ", ".join(
                names[code.removeprefix("impact.")] for code in missing
            )

    @api.constrains("users_affected", "cost_estimate")
    def _check_impact_numbers(self):
        for incident in self:
            for name in ("users_affected", "cost_estimate"):
                if incident[name] is not False and incident[name] < 0:
                    raise ValidationError(
                        self.env._(
                            "%(field)s: %(value)s is negative; numbers from 0 up are "
                            "accepted, or nothing.",
                            field=name,
                            value=incident[name],
                        )
                    )

    def _impact_missing(self):
        """Return what of the assessment of the impact is missing.

        :return: codes and texts
        :rtype: list[tuple[str, str]]
        """
        self.ensure_one()
        texts = {
            "users": self.users_affected is not False,
            "operations": self.operations_affected,
            "workaround": self.workaround_available == "no"
            or (self.workaround_available and self.workaround),
            "data_integrity": self.data_integrity and self.data_checks,
            "compliance": self.compliance
            and (self.compliance == "maintained" or self.compliance_checks),
        }
        labels = {
            "users": self.env._("Impact: how many users were affected is not known."),
            "operations": self.env._("Impact: the operations affected are missing."),
            "workaround": self.env._(
                "Impact: say whether there was a workaround, and which."
            ),
            "data_integrity": self.env._(
                "Impact: the state of the data is missing, or how it was checked."
            ),
            "compliance": self.env._(
                "Impact: compliance is not assessed, or the checks are missing."
            ),
        }
        return [
            (f"impact.{name}", labels[name]) for name, said in texts.items() if not said
        ]
