from odoo import api, fields, models


class QmsSopRunError(models.Model):
    """An error that a run met."""

    _name = "qms.sop.run.error"
    _description = "SOP run error"
    _inherit = ["qms.sop.run.part.mixin"]
    _order = "id desc"
    _rec_name = "error_code_id"

    run_id = fields.Many2one(
        "qms.sop.run", required=True, index=True, ondelete="restrict"
    )
    # Named step_id, as in the ORM example of SOP-TRIAGE-001.
    step_id = fields.Many2one(
        "qms.sop.run.step", "Run step", index="btree_not_null", ondelete="restrict"
    )
    error_code_id = fields.Many2one(
        "qms.error.code", required=True, index=True, ondelete="restrict"
    )
    category_id = fields.Many2one(related="error_code_id.category_id")
    severity_id = fields.Many2one(related="error_code_id.severity_id")
    severity = fields.Char(related="severity_id.code", string="Severity code")
    error_message = fields.Text(required=True)
    occurred_at = fields.Datetime(
        required=True, default=lambda self: fields.Datetime.now()
    )
    user_id = fields.Many2one(
        "res.users",
        "Recorded by",
        readonly=True,
        default=lambda self: self.env.user,
    )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            vals["user_id"] = self.env.uid
        return super().create(vals_list)

    def _to_rpc(self):
        self.ensure_one()
        return {
            "id": self.id,
            "run_id": self.run_id.id,
            "step": self._api_step_number() or False,
            **self._codes(),
        }

    def _codes(self):
        """Return what the catalogue says of one error; costs no query in the long run.

        :return: codes: ``error_code``, ``category``, ``severity``
        :rtype: dict
        """
        catalogue, code_id = self.env["qms.error.code"], self.error_code_id.id
        severity_id, category_id = catalogue._classification_of(code_id)
        return {
            "error_code": catalogue._names_by_id()[code_id],
            "category": self.env["qms.error.category"]._codes_by_id()[category_id],
            "severity": self.env["qms.severity"]._codes_by_id()[severity_id],
        }
