from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ...tools.faults import at_field

# The analysis is the source; what is retried is the analysis.
_NOT_OF_ANALYSES = {
    "rca_id",
    "run_id",
    "sop_code",
    "source_type",
    "source_note",
    "idempotency_key",
}


class QmsRca(models.Model):
    """An analysis raises the actions that follow from it."""

    _name = "qms.rca"
    _inherit = ["qms.rca", "qms.action.source.mixin"]

    action_ids = fields.One2many("qms.action", "rca_id", "Actions raised")

    @api.model
    def _record(self, run, root_cause, actions=None, **values):
        """Raise, with an analysis, the actions that follow from it.

        :param actions: dicts with arguments of ``qms.action.create_action``, without
            those about the source
        """
        rca = super()._record(run, root_cause, **values)
        for position, action in enumerate(actions or (), 1):
            rca._raise_action(position, action)
        return rca

    def _raise_action(self, position, action):
        """Raise one action from plain values.

        :param int position: among the actions that a client gives, from 1
        :param dict action: arguments of ``create_action``
        """
        with at_field(f"actions.{position - 1}"):
            if unfit := sorted(_NOT_OF_ANALYSES & action.keys()):
                raise ValidationError(
                    self.env._(
                        "Action number %(position)s comes from the analysis: %(names)s "
                        "cannot be given.",
                        position=position,
                        names=", ".join(unfit),
                    )
                )
            self.env["qms.action"].create_action(**action, rca_id=self.id)

    def _after_transition(self, source, target):
        result = super()._after_transition(source, target)
        if target == "confirmed":
            for rca in self:
                self.env["qms.action"]._cause_found(rca)
        return result

    def _to_rpc(self):
        return {**super()._to_rpc(), "actions": self._action_dicts()}

    def _api_dicts(self):
        return [
            {**values, "actions": rca._action_dicts()}
            for rca, values in zip(self, super()._api_dicts(), strict=True)
        ]

    def _action_dicts(self):
        """Return the actions that follow from one analysis, in a few words each."""
        return [
            {
                "id": action.id,
                "reference": action.reference,
                "title": action.name,
                "state": action.state,
            }
            for action in self.action_ids.sorted("id")
        ]
