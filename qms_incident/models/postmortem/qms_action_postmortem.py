from odoo import api, fields, models
from odoo.tools import SQL


class QmsAction(models.Model):
    """Actions that come from a post-mortem, and so from its incident."""

    _inherit = "qms.action"

    source_type = fields.Selection(
        selection_add=[("postmortem", "Post-mortem")],
        ondelete={"postmortem": lambda actions: actions._forget_postmortems()},
    )
    postmortem_id = fields.Many2one(
        "qms.postmortem", "Post-mortem", index="btree_not_null", ondelete="restrict"
    )

    @api.model
    def _source_fields(self):
        # The most specific one first
        return {"postmortem": "postmortem_id", **super()._source_fields()}

    @api.model
    def _source_values(self, kind, source):
        values = super()._source_values(kind, source)
        if kind == "postmortem":
            values |= {
                "incident_id": source.incident_id.id,
                "error_code_id": source.incident_id.error_code_id.id,
            }
        return values

    @api.model
    def _source_key(self, kind, source):
        # The actions of an incident are counted together, wherever they were raised.
        if kind == "postmortem":
            source = source.incident_id
        return super()._source_key(kind, source)

    def _forget_postmortems(self):
        """See :meth:`_forget_incidents`; post-mortems go with the incidents."""
        self.env.cr.execute(
            SQL(
                """UPDATE qms_action
                      SET source_type = 'other',
                          source_note = coalesce(source_note, reference)
                    WHERE source_type = 'postmortem'"""
            )
        )
        self.invalidate_model(["source_type", "source_note"], flush=False)
