from odoo import api, fields, models


class QmsAuditQuestion(models.TransientModel):
    """One thing that auditors look at, and how often it is there."""

    _name = "qms.audit.question"
    _description = "What auditors look at"
    _order = "action_name desc, id"

    page_id = fields.Many2one("qms.audit.integrity", required=True, ondelete="cascade")
    filter_id = fields.Many2one("ir.filters", required=True, ondelete="cascade")
    action_name = fields.Char(required=True)
    name = fields.Char("Question", related="filter_id.name")
    where = fields.Char("In", compute="_compute_where")
    count = fields.Integer("Found", aggregator=None)

    @api.depends("filter_id")
    def _compute_where(self):
        for question in self:
            question.where = self.env[question.filter_id.model_id]._description

    def action_open(self):
        """Open what was found.

        :return: the action
        :rtype: dict
        """
        self.ensure_one()
        actions = self.env["ir.actions.act_window"]
        return {
            **actions._for_xml_id(self.action_name),
            "display_name": self.name,
            "domain": self.filter_id._get_eval_domain(),
            "context": {"active_test": False},
        }
