from odoo import api, fields, models
from odoo.fields import Domain

from .qms_sop_run import QmsSopRun as Run


class QmsSopRun(models.Model):
    """What the person who runs an SOP knows of the revision."""

    _inherit = "qms.sop.run"

    _system_fields = Run._system_fields | {"opened_unread"}

    opened_unread = fields.Boolean(
        "Opened without having read",
        readonly=True,
        copy=False,
        help="Whoever opened this run had to confirm to have read and understood "
        "the revision, and had not done so.",
    )
    changed_since_id = fields.Many2one(
        "qms.sop.document",
        "Last run by me on",
        compute="_compute_changed_since_id",
        help="The revision that you followed when you last ran this SOP to its end, "
        "when it was another one.",
    )

    @api.depends("sop_id")
    @api.depends_context("uid")
    def _compute_changed_since_id(self):
        for run in self:
            last = self.search(
                Domain("user_id", "=", self.env.uid)
                & Domain("sop_id.code", "=", run.sop_id.code)
                & Domain("state", "in", ("completed", "failed"))
                & Domain("id", "!=", run._origin.id),
                order="end_time desc, id desc",
                limit=1,
            ).sop_id
            run.changed_since_id = last if last != run.sop_id else False

    @api.model_create_multi
    def create(self, vals_list):
        runs = super().create(vals_list)
        unread = runs.sop_id._unread_by_user()
        if unread:
            runs.filtered(lambda run: run.sop_id in unread)._write_system(
                {"opened_unread": True}
            )
        return runs

    def action_view_changes(self):
        """Show what changed since the user last ran this SOP.

        :return: the action that opens the comparison
        :rtype: dict
        """
        self.ensure_one()
        return self.sop_id._open_comparison(self.changed_since_id or self.sop_id)
