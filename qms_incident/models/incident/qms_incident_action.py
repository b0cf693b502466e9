from odoo import fields, models

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.idempotency import idempotent


class QmsIncident(models.Model):
    """Incidents raise actions."""

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
