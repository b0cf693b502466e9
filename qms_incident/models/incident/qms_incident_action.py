from odoo import fields, models
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.idempotency import idempotent


class QmsIncident(models.Model):
    """Incidents raise actions."""

    _name = "qms.incident"
    _inherit = ["qms.incident", "qms.action.source.mixin"]

    action_ids = fields.One2many("qms.action", "incident_id", "Raised actions")

    def _compute_action_count(self):
        # What closing asks for: also the actions of the runs.
        counts = {incident: [0, 0] for incident in self}
        for action in self.env["qms.action"].search(self._actions_domain()):
            incident = action.incident_id or action.run_id.incident_id
            if incident in counts:
                counts[incident][0] += 1
                counts[incident][1] += action.state not in ("verified", "cancelled")
        for incident, (total, to_do) in counts.items():
            incident.action_count, incident.open_action_count = total, to_do

    def _actions_domain(self):
        """Return the domain of the actions of incidents, and of their runs."""
        domain = Domain("incident_id", "in", self.ids)
        if self.run_ids:
            domain |= Domain("run_id", "in", self.run_ids.ids)
        return domain

    def _all_actions(self):
        """Return the actions of one incident, and those of its runs.

        :rtype: qms.action records
        """
        return self.env["qms.action"].search(self._actions_domain())

    def action_view_actions(self):
        return {
            **super().action_view_actions(),
            "domain": [("id", "in", self._all_actions().ids)],
        }

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
        error_code: str | None = None,
        check_criteria: str | None = None,
        check_days: int | None = None,
        checker: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Raise an action that comes from one incident.

        :param title: what is to be done
        :param kind: see ``qms.action.create_action()``, also for the other arguments
        :return: the action, as ``qms.action.get_action()`` gives it
        :raises ValidationError: naming the argument at fault and what is accepted
        """
        values = {
            "title": title,
            "kind": kind,
            "type": type,
            "priority": priority,
            "horizon": horizon,
            "owner": owner,
            "due_date": due_date,
            "description": description,
            "error_code": error_code,
            "check_criteria": check_criteria,
            "check_days": check_days,
            "checker": checker,
        }
        return self._only_one()._raise_action(values)._to_rpc()

    def _raise_action(self, values):
        """Raise an action that comes from one incident.

        :param dict values: by the arguments of :meth:`create_action`
        :rtype: qms.action record
        """
        self.check_access("read")
        actions = self.env["qms.action"].with_context(**self._action_defaults())
        return actions._raise(values).with_env(self.env)
