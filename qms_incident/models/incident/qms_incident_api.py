from odoo import api, models
from odoo.fields import Domain

from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.paging import page, slice_page

from ...tools import timeline_text

# Filters that name records by their codes
_NAMED = {
    "severity": "qms.severity",
    "category": "qms.error.category",
    "error_code": "qms.error.code",
}


class QmsIncident(models.Model):
    """What /api/v1 does with incidents: one method for each of its operations."""

    _inherit = "qms.incident"

    # === Reading ===

    @api.model
    def _api_domain(self, query):
        """Return the domain of the filters of a list."""
        domain = self._api_named(query, _NAMED)
        if query.state:
            domain &= Domain("state", "in", query.state)
        if query.name:
            domain &= Domain("name", "in", [name.upper() for name in query.name])
        if query.detected_after:
            domain &= Domain("detected_at", ">=", query.detected_after)
        if query.detected_before:
            domain &= Domain("detected_at", "<", query.detected_before)
        if query.q:
            domain &= Domain("title", "ilike", query.q) | Domain(
                "description", "ilike", query.q
            )
        return domain

    @api.model
    def _api_events(self, incident_id, query):
        """Return one page of the timeline of an incident.

        :param int incident_id: database id
        :param query: a page
        :return: ``items`` and ``next_cursor``
        :rtype: dict
        """
        incident = self._api_find(incident_id)
        events, cursor = slice_page(
            incident._timeline(),
            query,
            lambda event: [event["at"], event["id"]],
            filters=[incident.id],
        )
        return {"items": events, "next_cursor": cursor}

    @api.model
    def _api_closure(self, incident_id):
        """Return what an incident still needs before it can be closed.

        :param int incident_id: database id
        :return: ``ready`` and ``missing``
        :rtype: dict
        """
        missing = self._api_find(incident_id)._missing()
        return {"ready": not missing, "missing": missing}

    # === Changing ===

    @api.model
    def _api_create(self, values):
        """Open an incident, by itself or for a run or an alert.

        :param dict values: what is given of ``schemas.incidents.IncidentCreate``
        :return: the incident and whether it was there already, and its entity tag
        :rtype: tuple[dict, str]
        """
        run_id, alert_id = values.pop("run_id", None), values.pop("alert_id", None)
        existing = False
        if run_id is None and alert_id is None:
            incident = self._open(values)
        else:
            if run_id is not None:
                with at_field("run_id"):
                    source = self.env["qms.sop.run"]._by_reference(run_id)
            else:
                with at_field("alert_id"):
                    source = self.env["qms.alert"]._by_id(alert_id)
            existing = bool(source.incident_id)
            incident = source.incident_id or source._open_incident(values)
        return {**incident._to_dict(), "existing": existing}, incident._api_etag()

    @api.model
    def _api_update(self, incident_id, values, if_match=None):
        """Change what an incident says; ``None`` blanks it.

        :param int incident_id: database id
        :param dict values: what is given of ``schemas.incidents.IncidentUpdate``
        :param if_match: entity tags, one of which has to be the incident's
        :return: the incident, and its entity tag
        :rtype: tuple[dict, str]
        :raises StaleVersionError: when it was changed meanwhile
        """
        incident = self._api_find(incident_id, if_match)
        incident.write(self._values(values))
        return incident._to_dict(), incident._api_etag()

    @api.model
    def _api_transition(self, incident_id, values, if_match=None):
        """Move an incident on to another state.

        :param int incident_id: database id
        :param dict values: what is given of ``schemas.incidents.IncidentTransition``
        :param if_match: as for :meth:`_api_update`
        :return: the incident, and its entity tag
        :rtype: tuple[dict, str]
        :raises UserError: when the transition does not exist, or something is missing
        """
        incident = self._api_find(incident_id, if_match)
        incident._move(**values)
        return incident._to_dict(), incident._api_etag()

    @api.model
    def _api_add_entry(self, incident_id, values):
        """Add an entry to the timeline of an incident.

        :param int incident_id: database id
        :param dict values: what is given of ``schemas.incidents.IncidentEntry``
        :return: the entry
        :rtype: dict
        """
        incident = self._api_find(incident_id)
        incident._check_entries_allowed()
        at = values.get("occurred_at")
        entry = timeline_text.Entry(
            at.replace(microsecond=0) if at else self.env.cr.now().replace(tzinfo=None),
            values["text"].strip(),
            (values.get("component") or "").strip(),
            (values.get("evidence") or "").strip(),
        )
        incident._add_entries([entry])
        return incident._told_events(incident._own_events()[-1:])[0]

    @api.model
    def _api_assign(self, incident_id, values):
        """Give somebody a role in an incident.

        :param int incident_id: database id
        :param dict values: the arguments of :meth:`assign_role`
        :return: the incident, and its entity tag
        :rtype: tuple[dict, str]
        """
        incident = self._api_find(incident_id)
        incident.assign_role(**values)
        return incident._to_dict(), incident._api_etag()

    @api.model
    def _api_link_run(self, incident_id, run_id):
        """Say that a run belongs to an incident.

        :param int incident_id: database id
        :param int run_id: database id
        :return: the incident, and its entity tag
        :rtype: tuple[dict, str]
        """
        incident = self._api_find(incident_id)
        with at_field("run_id"):
            run = self.env["qms.sop.run"]._by_reference(run_id)
        run._join_incident(incident)
        return incident._to_dict(), incident._api_etag()

    @api.model
    def _api_actions(self, incident_id, query):
        """Return one page of the actions of an incident and of its runs.

        :param int incident_id: database id
        :param query: a page
        :return: ``items`` and ``next_cursor``
        :rtype: dict
        """
        incident = self._api_find(incident_id)
        actions, cursor = page(
            self.env["qms.action"],
            incident._actions_domain(),
            query,
            sort="id",
            filters=[incident.id],
        )
        return {"items": actions._api_dicts(), "next_cursor": cursor}

    @api.model
    def _api_raise_action(self, incident_id, values):
        """Raise an action that comes from an incident.

        :param int incident_id: database id
        :param dict values: what is given of ``schemas.actions.AnalysisAction``
        :return: the action, and its entity tag
        :rtype: tuple[dict, str]
        """
        action = self._api_find(incident_id)._raise_action(values)
        return action._to_dict(), action._api_etag()

    @api.model
    def _api_updates(self, incident_id, query):
        """Return one page of what stakeholders were told of an incident.

        :param int incident_id: database id
        :param query: a page
        :return: ``items`` and ``next_cursor``
        :rtype: dict
        """
        incident = self._api_find(incident_id)
        updates, cursor = page(
            self.env["qms.incident.update"],
            Domain("incident_id", "=", incident.id),
            query,
            sort="id",
            filters=[incident.id],
        )
        return {
            "items": [update._to_dict() for update in updates],
            "next_cursor": cursor,
        }

    @api.model
    def _api_send_update(self, incident_id, values):
        """Tell stakeholders how an incident stands.

        :param int incident_id: database id
        :param dict values: the arguments of :meth:`send_update`
        :return: the update
        :rtype: dict
        """
        incident = self._api_find(incident_id)
        sent = incident.send_update(**values)
        return self.env["qms.incident.update"].browse(sent["id"])._to_dict()
