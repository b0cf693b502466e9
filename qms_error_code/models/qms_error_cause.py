from odoo import fields, models

FIX_TYPES = [
    ("code", "Code change"),
    ("configuration", "Configuration update"),
    ("resource", "Resource scaling"),
    ("dependency", "Dependency update"),
    ("database", "Database change"),
    ("process", "Process change"),
]


class QmsErrorCause(models.Model):
    _name = "qms.error.cause"
    _description = "Known Root Cause"
    _order = "category_id, symptom, name, id"

    name = fields.Char("Root Cause", required=True, translate=True)
    symptom = fields.Char(
        required=True, translate=True, help="What is seen before the cause is known."
    )
    category_id = fields.Many2one(
        "qms.error.category", required=True, ondelete="restrict", index=True
    )
    fix_type = fields.Selection(
        FIX_TYPES, "Usual Fix", help="The kind of change that removes the cause."
    )
    error_code_ids = fields.Many2many(
        "qms.error.code",
        relation="qms_error_code_cause_rel",
        column1="cause_id",
        column2="error_code_id",
        string="Error Codes",
    )
    active = fields.Boolean(default=True)

    def _to_dict(self):
        """Return one known cause in plain values.

        :return: ``symptom``, ``cause``, and ``fix_type`` (``None``: any)
        :rtype: dict
        """
        self.ensure_one()
        return {
            "symptom": self.symptom,
            "cause": self.name,
            "fix_type": self.fix_type or None,
        }
