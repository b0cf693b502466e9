from odoo import fields, models


class QmsSopStepCommand(models.Model):
    """A command of a step, as it is typed."""

    _name = "qms.sop.step.command"
    _description = "SOP step command"
    _inherit = ["qms.sop.part.mixin"]
    _document_path = "step_id.document_id"
    _order = "step_id, purpose, sequence, id"

    step_id = fields.Many2one(
        "qms.sop.step", required=True, index=True, ondelete="cascade"
    )
    sequence = fields.Integer(default=10)
    name = fields.Char("What it does", required=True)
    language = fields.Char(default="bash", help="bash, sql, python, yaml, …")
    command = fields.Text(required=True)
    purpose = fields.Selection(
        [("action", "Action"), ("verification", "Verification")],
        required=True,
        default="action",
    )
    expected_output = fields.Char(
        help="Text that the output must contain for the command to count as good.",
    )
    category_id = fields.Many2one(
        "qms.error.category",
        "Only for",
        ondelete="restrict",
        help="Empty: for errors of every category.",
    )

    def _diff_noun(self):
        return self.env._("Command")

    def _content(self):
        content = super()._content()
        # Revisions approved before there was this field say what they always said.
        if not content["expected_output"]:
            del content["expected_output"]
        return content
