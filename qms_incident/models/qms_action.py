from odoo import api, fields, models
from odoo.tools import SQL

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.idempotency import idempotent


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


class QmsIncident(models.Model):
    _name = "qms.incident"
    _inherit = ["qms.incident", "qms.action.source.mixin"]

    action_ids = fields.One2many("qms.action", "incident_id", "Raised actions")

    @checked
    @idempotent
    def create_action(
        self,
        title: str,
        kind: str | None = None,
        type: str | None = None,  # what clients call it
        priority: str | None = None,
        horizon: str | None = None,
        owner: str | None = None,
        due_date: str | None = None,
        description: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Raise an action that comes from one incident.

        :param title: what is to be done
        :param kind: see ``qms.action.create_action()``, also for the other arguments
        :return: the action, as ``qms.action.get_action()`` gives it
        :raises ValidationError: naming the argument at fault and what is accepted
        """
        self._only_one().check_access("read")
        values = {
            "title": title,
            "kind": kind,
            "type": type,
            "priority": priority,
            "horizon": horizon,
            "owner": owner,
            "due_date": due_date,
            "description": description,
        }
        actions = self.env["qms.action"].with_context(**self._action_defaults())
        return actions._raise(values).with_env(self.env)._to_rpc()
