from odoo import api, fields, models
from odoo.exceptions import UserError

# Records that one purge removes at most: it is one transaction.
LIMIT = 200
# Finished records that are looked at for it, the oldest first
_LOOKED_AT = 5000


class QmsRetentionPurge(models.TransientModel):
    """What has been kept for long enough, to look through before it is removed."""

    _name = "qms.retention.purge"
    _description = "Purge records"

    applies_to = fields.Selection(
        selection=lambda self: self.env["qms.retention.rule"]._select_applies_to(),
        string="Records",
        required=True,
        default="qms.sop.run",
    )
    run_ids = fields.Many2many(
        "qms.sop.run",
        string="Runs to purge",
        compute="_compute_due",
        store=True,
        readonly=False,
        context={"active_test": False},
    )
    document_ids = fields.Many2many(
        "qms.sop.document",
        string="Revisions to purge",
        compute="_compute_due",
        store=True,
        readonly=False,
        context={"active_test": False},
    )
    stays = fields.Text(
        "Have to stay",
        compute="_compute_due",
        store=True,
        help="Old enough, but still needed.",
    )
    more = fields.Integer(
        "More after these", compute="_compute_due", store=True, aggregator=None
    )
    count = fields.Integer("Number of records", compute="_compute_count")
    reason = fields.Text(help="Stands in the tombstone of each record.")

    @api.model
    def _field_of(self, model):
        """Return the name of the field with the records of a model."""
        return {"qms.sop.run": "run_ids", "qms.sop.document": "document_ids"}[model]

    @api.depends("applies_to")
    def _compute_due(self):
        for purge in self:
            purge.run_ids = purge.document_ids = False
            purge.stays, purge.more = False, 0
            if not purge.applies_to:
                continue
            due = self.env[purge.applies_to]._past_retention(_LOOKED_AT)
            reasons = due._retention_reasons()
            free = due.filtered(lambda record, told=reasons: not told[record.id])
            purge[self._field_of(purge.applies_to)] = free[:LIMIT]
            purge.more = max(0, len(free) - LIMIT)
            purge.stays = "\n".join(
                f"{record._audit_name()}: {'; '.join(reasons[record.id])}"
                for record in (due - free)[:LIMIT]
            )

    @api.depends("applies_to", "run_ids", "document_ids")
    def _compute_count(self):
        for purge in self:
            purge.count = len(purge._records())

    def _records(self):
        """Return what is to be purged."""
        return (
            self[self._field_of(self.applies_to)]
            if self.applies_to
            else self.env["qms.sop.run"]
        )

    def action_purge(self):
        """Remove the records that are left in the list.

        :return: an action that tells how many
        :rtype: dict
        :raises UserError: when there are none
        """
        self.ensure_one()
        records = self._records()
        if not records:
            raise UserError(self.env._("There is nothing to purge."))
        done = records.purge(self.reason or "")
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._(
                    "%(count)s records purged. Their tombstones are in the audit "
                    "trail.",
                    count=done["purged"],
                ),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }
