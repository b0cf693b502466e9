from odoo import api, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from ..tools.faults import at_field
from ..tools.paging import page

_MAX_CODE = 128


class QmsErrorCode(models.Model):
    """The error catalogue as the REST API gives and takes it."""

    _inherit = "qms.error.code"

    def _to_dict(self):
        """Add ``sop_codes``: the effective SOPs that handle the error."""
        return {
            **super()._to_dict(),
            "sop_codes": sorted(
                {sop.code for sop in self.sop_ids if sop.state == "approved"}
            ),
        }

    @api.model
    def _api_list(self, query):
        domain = Domain.TRUE
        if query.category:
            with at_field("category"):
                category = self.env["qms.error.category"]._resolve(query.category)
            domain &= Domain("category_id", "=", category.id)
        if query.severity:
            with at_field("severity"):
                severity = self.env["qms.severity"]._resolve(query.severity)
            domain &= Domain("severity_id", "=", severity.id)
        if query.q:
            domain &= Domain("name", "ilike", query.q) | Domain(
                "title", "ilike", query.q
            )
        codes, cursor = page(
            self,
            domain,
            query,
            sort="name",
            filters=query.model_dump(exclude={"limit", "cursor"}),
        )
        return {"items": [code._to_dict() for code in codes], "next_cursor": cursor}

    @api.model
    def _api_put(self, code, values):
        """Update an error code, or add it.

        :param str code: in upper snake case
        :param values: see ``schemas/catalogue.py``
        :return: see :meth:`upsert_code`, without the id
        :rtype: dict
        :raises ValidationError: for a bad code or value, naming it
        """
        with at_field("code"):
            if len(code) > _MAX_CODE:
                raise ValidationError(
                    self.env._(
                        "Error code “%(start)s…” is too long: at most %(limit)s "
                        "characters.",
                        start=code[:20],
                        limit=_MAX_CODE,
                    )
                )
        result = self.upsert_code(code, values.model_dump(exclude_none=True))
        del result["id"]
        return result

    @api.model
    def _api_classify(self, text):
        """Return the errors that a log speaks of.

        :param text: ``str``, or ``bytes`` that are taken for UTF-8
        :return: ``items`` as in :meth:`classify`, ``None`` where that has ``False``
        :rtype: dict
        """
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        return {
            "items": [
                {
                    **match,
                    "code": match["code"] or None,
                    "severity": match["severity"] or None,
                }
                for match in self.classify(text)
            ]
        }
