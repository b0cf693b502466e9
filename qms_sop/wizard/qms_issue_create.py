from odoo import api, fields, models
from odoo.fields import Domain


class QmsIssueCreate(models.TransientModel):
    """Shows an issue as it will be, and makes it."""

    _name = "qms.issue.create"
    _description = "Make an issue"

    res_model = fields.Char(required=True, readonly=True)
    res_id = fields.Many2oneReference(
        model_field="res_model", required=True, readonly=True
    )
    company_id = fields.Many2one("res.company", compute="_compute_company_id")
    tracker_id = fields.Many2one(
        "qms.issue.tracker",
        "Repository",
        compute="_compute_tracker_id",
        store=True,
        readonly=False,
        domain="[('company_id', 'in', (False, company_id))]",
    )
    title = fields.Char(compute="_compute_draft", store=True, readonly=False)
    body = fields.Text("Text", compute="_compute_draft", store=True, readonly=False)
    labels = fields.Char(compute="_compute_draft", store=True, readonly=False)
    preview = fields.Html(compute="_compute_preview", sanitize=False)
    existing_id = fields.Many2one("qms.issue", compute="_compute_existing_id")
    existing_text = fields.Char(related="existing_id.title", string="Its title")

    def _record(self):
        return self.env[self.res_model].browse(self.res_id)

    @api.depends("res_model", "res_id")
    def _compute_company_id(self):
        for wizard in self:
            wizard.company_id = wizard._record().company_id or self.env.company

    @api.depends("company_id")
    def _compute_tracker_id(self):
        for wizard in self:
            wizard.tracker_id = self.env["qms.issue.tracker"].search(
                Domain("company_id", "in", (False, wizard.company_id.id)), limit=1
            )

    @api.depends("tracker_id")
    def _compute_draft(self):
        for wizard in self:
            draft = wizard._record()._issue_draft(wizard.tracker_id)
            # The words may have been changed already; labels belong to the tracker.
            wizard.title = wizard.title or draft["title"]
            wizard.body = wizard.body or draft["body"]
            wizard.labels = ", ".join(draft["labels"])

    @api.depends("body")
    def _compute_preview(self):
        for wizard in self:
            wizard.preview = self.env["qms.issue"]._shown(wizard.body)

    @api.depends("tracker_id")
    def _compute_existing_id(self):
        for wizard in self:
            wizard.existing_id = self.env["qms.issue"].search(
                Domain("tracker_id", "=", wizard.tracker_id.id)
                & Domain("res_model", "=", wizard.res_model)
                & Domain("res_id", "=", wizard.res_id),
                limit=1,
            )

    def action_create(self):
        """Ask for the issue, and show what becomes of it.

        :return: the action that opens the issue
        :rtype: dict
        """
        self.ensure_one()
        made = self._record().create_issue(
            title=self.title,
            body=self.body,
            labels=[
                label.strip()
                for label in (self.labels or "").split(",")
                if label.strip()
            ],
            tracker=self.tracker_id.repository,
        )
        return {
            "type": "ir.actions.act_window",
            "res_model": "qms.issue",
            "res_id": made["id"],
            "view_mode": "form",
        }
