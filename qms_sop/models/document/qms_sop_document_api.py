from odoo import api, models
from odoo.exceptions import MissingError
from odoo.fields import Domain

from ...tools.paging import page
from ...tools.values import to_rfc3339


class QmsSopDocument(models.Model):
    """Revisions in plain values, for programs."""

    _inherit = "qms.sop.document"

    # === REST API ===

    @api.model
    def _api_list(self, query):
        """Return one page of revisions, in the order of their codes.

        :param query: see ``schemas/sop.py``
        :return: ``items`` and ``next_cursor``
        :rtype: dict
        """
        domain = Domain.TRUE
        if query.state is None and query.effective is None:
            domain &= Domain("state", "=", "approved")
        for name in ("code", "state", "effective"):
            if (value := getattr(query, name)) is not None:
                domain &= Domain(name, "=", value)
        if query.owner:
            domain &= Domain("owner", "=ilike", _literal(query.owner))
        if query.q:
            domain &= Domain.OR(
                Domain(name, "ilike", query.q) for name in ("code", "name", "purpose")
            )
        filters = query.model_dump(exclude={"limit", "cursor"})
        return self._api_page(domain, query, "code", filters)

    @api.model
    def _api_revisions(self, code, query):
        """Return one page of the revisions of an SOP, the newest first.

        :param str code: of the SOP
        :param query: a page
        :rtype: dict
        :raises MissingError: when there is no SOP with this code
        """
        result = self._api_page(
            Domain("code", "=", code), query, "-revision", {"code": code}
        )
        if not result["items"] and not query.cursor:
            raise MissingError(self._unknown_sop(code))
        return result

    @api.model
    def _api_page(self, domain, query, sort, filters):
        documents, cursor = page(
            self.with_context(active_test=False),
            domain,
            query,
            sort=sort,
            filters=filters,
        )
        return {
            "items": [document._to_dict() for document in documents],
            "next_cursor": cursor,
        }

    @api.model
    def _api_get(self, code, version=None):
        """Return one revision with its steps.

        :param str code: of the SOP
        :param str version: as in ``1.0.0``; the effective revision when missing
        :rtype: dict
        :raises MissingError: when there is none
        """
        domain = Domain("code", "=", code)
        if version is None:
            domain &= Domain("state", "=", "approved")
        else:
            domain &= Domain("version", "=", version)
        # In the order of the model, a company's own comes before the shared one.
        document = self.with_context(active_test=False).search_fetch(domain, limit=1)
        if not document:
            raise MissingError(
                self._unknown_sop(code)
                if version is None
                else self.env._(
                    "There is no revision %(version)s of the SOP %(code)s.",
                    version=version,
                    code=code,
                )
            )
        return document._to_dict(steps=True)

    @api.model
    def _unknown_sop(self, code):
        return self.env._(
            "There is no SOP with the code %(code)s, or no effective revision of it.",
            code=code,
        )

    # === Plain values ===

    def _to_dict(self, steps=False):
        """Return one revision in plain values, ``None`` where there is none.

        The same number of queries for one revision and for many, as long as they
        are read together.

        :param bool steps: with ``triggers``, ``prerequisites`` and ``steps``
        :return: see ``schemas/sop.py``
        :rtype: dict
        """
        self.ensure_one()
        base_url = self.get_base_url()
        result = {
            "code": self.code,
            "version": self.version,
            "revision": self.revision,
            "title": self.name,
            "state": self.state,
            "effective": self.effective,
            "owner": self.owner or None,
            "classification": self.classification or None,
            "author_id": self.author_id.id or None,
            "responsible_id": self.responsible_id.id or None,
            "approved_by_id": self.approved_by_id.id or None,
            "approved_on": to_rfc3339(self.approved_on),
            "effective_date": _to_date(self.effective_date),
            "review_date": _to_date(self.review_date),
            "change_summary": self.change_summary or None,
            "purpose": self.purpose or None,
            "scope": self.scope or None,
            "error_codes": sorted(
                self.env["qms.error.code"]._names_by_id()[code.id]
                for code in self.error_code_ids
            ),
            "step_count": self.step_count,
            "expected_minutes": self.expected_duration or None,
            "content_hash": self.content_hash or None,
            "url": f"{base_url}/odoo/qms-sops/{self.id}",
            "api_url": f"{base_url}/api/v1/sops/{self.code}/revisions/{self.version}",
        }
        if steps:
            result["triggers"] = [
                {"kind": trigger.kind, "name": trigger.name}
                for trigger in self.trigger_ids
            ]
            result["prerequisites"] = [
                {"kind": prerequisite.kind, "name": prerequisite.name}
                for prerequisite in self.prerequisite_ids
            ]
            result["related"] = sorted(set(self.related_ids.mapped("code")))
            result["steps"] = self._steps_to_dicts()
        return result

    def _steps_to_dicts(self):
        """Return the steps of one revision, in order."""
        steps = self.step_ids.sorted()
        categories = self.env["qms.error.category"]._codes_by_id()
        numbers = {step: number for number, step in enumerate(steps, 1)}
        return [
            {
                "number": number,
                "name": step.name,
                "objective": step.objective or None,
                "instructions": step.instructions or None,
                "expected_result": step.expected_result or None,
                "verification": step.verification or None,
                "expected_minutes": step.expected_duration or None,
                "mandatory": step.mandatory,
                "evidence_required": step.evidence_required,
                "commands": [
                    {
                        "name": command.name,
                        "language": command.language or None,
                        "command": command.command,
                        "purpose": command.purpose,
                        "category": categories.get(command.category_id.id),
                        "expected_output": command.expected_output or None,
                    }
                    for command in step.command_ids.sorted()
                ],
                "choices": [
                    {
                        "name": choice.name,
                        # Without a target it is the step that follows, if any.
                        "next_step": None
                        if choice.ends
                        else numbers.get(
                            choice.next_step_id,
                            number + 1 if number < len(steps) else None,
                        ),
                        "category": categories.get(choice.category_id.id),
                    }
                    for choice in step.choice_ids.sorted()
                ],
            }
            for step, number in numbers.items()
        ]


def _literal(text):
    """Return a text as a pattern of SQL that only it matches."""
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def _to_date(value):
    """Return a date as RFC 3339 has it, or ``None``."""
    return value.isoformat() if value else None
