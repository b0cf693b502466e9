from odoo import api, fields, models
from odoo.tools import SQL


class QmsAction(models.Model):
    """Actions that come from an incident."""

    _inherit = "qms.action"

    source_type = fields.Selection(
        selection_add=[("incident", "Incident")],
        ondelete={"incident": lambda actions: actions._forget_incidents()},
    )
    incident_id = fields.Many2one(
        "qms.incident",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )

    @api.model
    def _source_fields(self):
        return {**super()._source_fields(), "incident": "incident_id"}

    @api.model
    def _source_values(self, kind, source):
        values = super()._source_values(kind, source)
        if kind == "incident":
            values["error_code_id"] = source.error_code_id.id
        return values

    def _forget_incidents(self):
        """Keep actions whose incidents are uninstalled, under their references.

        Straight in the database: this is no act on the actions.
        """
        self.env.cr.execute(
            SQL(
                """UPDATE qms_action
                      SET source_type = 'other',
                          source_note = coalesce(source_note, reference)
                    WHERE source_type = 'incident'"""
            )
        )
        self.invalidate_model(["source_type", "source_note"], flush=False)
