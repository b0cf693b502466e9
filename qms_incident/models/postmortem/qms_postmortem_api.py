from odoo import api, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from odoo.addons.qms_sop.models.qms_api_mixin import only
from odoo.addons.qms_sop.tools.faults import at_field


class QmsPostmortem(models.Model):
    """What /api/v1 does with post-mortems: one method for each of its operations."""

    _inherit = "qms.postmortem"

    # === Reading ===

    def _api_listed(self, query):
        # As much for many as for one, in as many queries
        return [only(one._to_summary(), query.fields) for one in self]

    @api.model
    def _api_domain(self, query):
        """Return the domain of the filters of a list."""
        domain = self._api_named(query, {"severity": "qms.severity"})
        if query.incident:
            incidents = self.env["qms.incident"]
            with at_field("incident"):
                ids = [incidents._by_reference(one).id for one in query.incident]
            domain &= Domain("incident_id", "in", ids)
        for name in ("state", "kind"):
            if values := getattr(query, name):
                domain &= Domain(name, "in", values)
        if query.overdue is not None:
            domain &= Domain("overdue", "=", query.overdue)
        if query.published_after:
            domain &= Domain("published_at", ">=", query.published_after)
        if query.published_before:
            domain &= Domain("published_at", "<", query.published_before)
        if query.q:
            domain &= Domain("title", "ilike", query.q) | Domain(
                "root_cause", "ilike", query.q
            )
        return domain

    @api.model
    def _api_markdown(self, postmortem_id, slug=None):
        """Return one post-mortem as a Markdown file.

        :param int postmortem_id: database id
        :param str slug: see :meth:`export_markdown`
        :return: name and content
        :rtype: tuple[str, str]
        """
        postmortem = self._api_find(postmortem_id)
        return postmortem._markdown_name(slug), postmortem._markdown()

    # === Changing ===

    @api.model
    def _api_create(self, values):
        """Begin the post-mortem of an incident, or go on with its draft.

        :param dict values: what is given of ``schemas.postmortems.PostmortemCreate``
        :return: the post-mortem and whether there was one, and its entity tag
        :rtype: tuple[dict, str]
        """
        values = {name: value for name, value in values.items() if value is not None}
        reference = values.pop("incident", None)
        content = values.pop("markdown", None)
        if content is not None:
            result = self._understand(content, reference).take_over(values)
            postmortem = self.browse(result["id"])
            return result, postmortem._api_etag()
        with at_field("incident"):
            if reference is None:
                raise ValidationError(
                    self.env._("Argument incident: say which incident it is about.")
                )
            incident = self.env["qms.incident"]._by_reference(reference)
        postmortem, existing = incident._write_postmortem(values)
        result = {**postmortem._to_dict(), "existing": existing}
        return result, postmortem._api_etag()

    @api.model
    def _api_update(self, postmortem_id, values, if_match=None):
        """Change what a post-mortem says; ``None`` blanks it.

        :param int postmortem_id: database id
        :param dict values: what is given of ``schemas.postmortems.PostmortemUpdate``
        :param if_match: entity tags, one of which has to be the post-mortem's
        :return: the post-mortem, and its entity tag
        :rtype: tuple[dict, str]
        :raises StaleVersionError: when it was changed meanwhile
        """
        postmortem = self._api_find(postmortem_id, if_match)
        postmortem.write(postmortem._values(values))
        return postmortem._to_dict(), postmortem._api_etag()

    @api.model
    def _api_transition(self, postmortem_id, values, if_match=None):
        """Hand a post-mortem in for review, or take it back.

        :param int postmortem_id: database id
        :param dict values: see ``schemas.postmortems.PostmortemTransition``
        :param if_match: as for :meth:`_api_update`
        :return: the post-mortem, and its entity tag
        :rtype: tuple[dict, str]
        :raises UserError: when the transition does not exist, or something is missing
        """
        postmortem = self._api_find(postmortem_id, if_match)
        postmortem._move(**values)
        return postmortem._to_dict(), postmortem._api_etag()

    @api.model
    def _api_review(self, postmortem_id, values):
        """Note what the user, a participant, says about a post-mortem.

        :param int postmortem_id: database id
        :param dict values: the arguments of :meth:`_review`
        :return: the post-mortem, and its entity tag
        :rtype: tuple[dict, str]
        """
        postmortem = self._api_find(postmortem_id)
        postmortem._review(**values)
        return postmortem._to_dict(), postmortem._api_etag()

    @api.model
    def _api_amend(self, postmortem_id, values):
        """Correct what a published post-mortem says.

        :param int postmortem_id: database id
        :param dict values: the arguments of :meth:`amend`
        :return: the amendment
        :rtype: dict
        """
        return self._api_find(postmortem_id).amend(**values)
