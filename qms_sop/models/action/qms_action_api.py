from odoo import api, models
from odoo.fields import Domain

from ...tools.faults import at_field

# Filters that are columns as they stand
_PLAIN_FILTERS = {
    "state": "state",
    "kind": "kind",
    "type": "action_type",
    "horizon": "horizon",
    "source_type": "source_type",
}


class QmsAction(models.Model):
    """What /api/v1 does with actions: one method for each of its operations."""

    _inherit = "qms.action"

    # === Reading ===

    @api.model
    def _api_domain(self, query):
        """Return the domain of the filters of a list."""
        domain = self._api_named(query, {"error_code": "qms.error.code"})
        for name, field in _PLAIN_FILTERS.items():
            if values := getattr(query, name):
                with at_field(name):
                    words = [self._word(name, value) for value in values]
                domain &= Domain(field, "in", words)
        for name in ("run_id", "rca_id"):
            if value := getattr(query, name):
                domain &= Domain(name, "=", value)
        if query.priority:
            with at_field("priority"):
                keys = [self._priority(value) for value in query.priority]
            domain &= Domain("priority", "in", keys)
        if query.sop_code:
            revisions = self.env["qms.sop.run"]._api_revisions([query.sop_code])
            domain &= Domain("document_id", "in", revisions)
        if query.owner is not None:
            with at_field("owner"):
                owner = query.owner and self._person("owner", query.owner).id
            domain &= Domain("user_id", "=", owner or False)
        if query.overdue is not None:
            domain &= Domain("overdue", "=", query.overdue)
        if query.due_before:
            with at_field("due_before"):
                day = self._date("due_before", query.due_before)
            domain &= Domain("next_date", "<", day)
        if query.q:
            domain &= Domain.OR(
                Domain(name, "ilike", query.q)
                for name in ("name", "reference", "description")
            )
        return domain

    # === Changing ===

    @api.model
    def _api_create(self, values):
        """Raise an action.

        :param dict values: what is given of ``schemas.actions.ActionCreate``
        :return: the action, and its entity tag
        :rtype: tuple[dict, str]
        """
        action = self._raise(values)
        return action._to_dict(), action._api_etag()

    @api.model
    def _api_update(self, action_id, values, if_match=None):
        """Change what an action says; ``None`` blanks it.

        :param int action_id: database id
        :param dict values: what is given of ``schemas.actions.ActionUpdate``
        :param if_match: entity tags, one of which has to be the action's
        :return: the action, and its entity tag
        :rtype: tuple[dict, str]
        :raises StaleVersionError: when the action was changed meanwhile
        """
        action = self._api_find(action_id, if_match)
        action.write(self._plain_values(values))
        return action._to_dict(), action._api_etag()

    @api.model
    def _api_transition(self, action_id, values, if_match=None):
        """Move an action on to another state.

        :param int action_id: database id
        :param dict values: what is given of ``schemas.actions.ActionTransition``
        :param if_match: as for :meth:`_api_update`
        :return: the action, and its entity tag
        :rtype: tuple[dict, str]
        """
        action = self._api_find(action_id, if_match)
        action._go(**values)
        return action._to_dict(), action._api_etag()
