from odoo import fields, models


class QmsSopAmend(models.TransientModel):
    """Asks what is right about a finished run, and why that has to be said."""

    _name = "qms.sop.amend"
    _description = "Amend a run"

    run_id = fields.Many2one("qms.sop.run", required=True, readonly=True)
    reason = fields.Char("Why", required=True)
    text = fields.Text("What is right", required=True)

    def action_amend(self):
        """Amend the run.

        :return: the action that closes the dialog
        :rtype: dict
        """
        self.ensure_one()
        self.run_id.amend(self.reason or "", self.text or "")
        return {"type": "ir.actions.act_window_close"}
