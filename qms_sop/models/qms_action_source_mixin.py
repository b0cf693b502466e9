from odoo import fields, models
from odoo.fields import Domain


class QmsActionSourceMixin(models.AbstractModel):
    """A record that actions come from; the model has ``action_ids``."""

    _name = "qms.action.source.mixin"
    _description = "Source of actions"

    action_count = fields.Integer("Actions", compute="_compute_action_count")
    open_action_count = fields.Integer("Actions to do", compute="_compute_action_count")

    def _compute_action_count(self):
        field = self._fields["action_ids"].inverse_name
        counts = {}
        for source, state, count in self.env["qms.action"]._read_group(
            Domain(field, "in", self.ids), [field, "state"], ["__count"]
        ):
            total, to_do = counts.get(source, (0, 0))
            more = 0 if state in ("verified", "cancelled") else count
            counts[source] = (total + count, to_do + more)
        for record in self:
            record.action_count, record.open_action_count = counts.get(record, (0, 0))

    def action_raise_action(self):
        """Open the form of a new action that comes from this record.

        :return: the action
        :rtype: dict
        """
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Raise an action"),
            "res_model": "qms.action",
            "view_mode": "form",
            "context": self._action_defaults(),
        }

    def _action_defaults(self):
        """Return the defaults of an action that comes from this record.

        :return: keys ``default_…`` of a context
        :rtype: dict
        """
        known = self.env["qms.action"]._source_fields()
        name = self._fields["action_ids"].inverse_name
        kind = next(kind for kind, field in known.items() if field == name)
        return {"default_source_type": kind, f"default_{name}": self.id}

    def action_view_actions(self):
        """Open the actions that come from this record.

        :return: the action
        :rtype: dict
        """
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_action_action"
        )
        name = self._fields["action_ids"].inverse_name
        action["domain"] = [(name, "=", self.id)]
        action["context"] = self._action_defaults()
        return action
