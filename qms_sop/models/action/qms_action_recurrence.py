from odoo import api, fields, models
from odoo.fields import Domain

from .qms_action import QmsAction as Action


class QmsAction(models.Model):
    """An action did not work for good when its cause is found again."""

    _inherit = "qms.action"

    _system_fields = Action._system_fields | {"recurrence_ids"}

    recurrence_ids = fields.Many2many(
        "qms.rca",
        "qms_action_recurrence_rel",
        "action_id",
        "rca_id",
        "Found again in",
        readonly=True,
        copy=False,
        help="Analyses of later runs that found the cause that the action is against.",
    )

    @api.model
    def _cause_found(self, rca):
        """Tell the actions against a cause that it was found again.

        What had been found effective is reopened; of what is done, or not yet, it is
        only told: whoever checks it decides.

        :param rca: a confirmed ``qms.rca`` record
        """
        actions = self._against_cause_of(rca)
        if not actions:
            return
        reason = self.env._(
            "Its cause was found again: %(rca)s of %(run)s.",
            rca=rca.name,
            run=rca.run_id.name,
        )
        for action in actions:
            action._write_system({"recurrence_ids": [fields.Command.link(rca.id)]})
            action.message_post(body=reason)
            people = action.user_id | action.verified_by_id | action.check_user_id
            action._tell(
                "action_recurred",
                people,
                f"action:{action.id}:recurred:{rca.id}",
                found=f"{rca.name} ({rca.run_id.name})",
                root_cause=rca.root_cause,
            )
            if action.state == "verified":
                action.write({"state": "reopened", "state_reason": reason})

    @api.model
    def _against_cause_of(self, rca):
        """Return the actions against the cause that an analysis names.

        The cause is the same when it is the same known cause of the catalogue; or,
        with the same error code, when it is described in the same words.

        :param rca: one ``qms.rca`` record
        :rtype: qms.action records
        """
        same = Domain.FALSE
        if rca.cause_id:
            same |= Domain("cause_id", "=", rca.cause_id.id)
        if rca.error_code_id:
            same |= Domain("rca_id.error_code_id", "=", rca.error_code_id.id)
        actions = self.search(
            same
            & Domain("company_id", "=", rca.company_id.id)
            & Domain("state", "!=", "cancelled")
            & (Domain("run_id", "=", False) | Domain("run_id", "!=", rca.run_id.id))
        )
        began = rca.run_id.start_time or rca.run_id.create_date
        return actions.filtered(
            lambda action: (
                # Of a run that began before, nothing follows for what was done since.
                (not action.done_on or action.done_on <= began)
                and action._is_against(rca)
            )
        )

    def _is_against(self, rca):
        """Tell whether an action is against the cause that an analysis names."""
        if rca.cause_id and self.cause_id == rca.cause_id:
            return True
        words = _words(self.rca_id.root_cause)
        return bool(words) and words == _words(rca.root_cause)


def _words(text):
    """Return a text without what does not make a difference to its meaning."""
    return " ".join((text or "").split()).rstrip(".!").casefold()
