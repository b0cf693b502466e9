from odoo import api, models
from odoo.exceptions import MissingError
from odoo.fields import Domain

from ..tools.paging import slice_page


class QmsLookupMixin(models.AbstractModel):
    """Catalogue records as the REST API gives them."""

    _inherit = "qms.lookup.mixin"

    @api.model
    def _api_list(self, query):
        """Return one page of the active records, in their order.

        :param query: a page
        :return: ``items`` and ``next_cursor``
        :rtype: dict
        """
        # There are a handful of them.
        records, cursor = slice_page(
            list(self.search([])), query, lambda record: [record.sequence, record.id]
        )
        return {
            "items": [record._to_dict() for record in records],
            "next_cursor": cursor,
        }

    @api.model
    def _api_get(self, code):
        """Return one record, archived ones too.

        :param str code: as in the list
        :rtype: dict
        :raises MissingError: when there is none
        """
        record = self.with_context(active_test=False).search_fetch(
            Domain(self._lookup_code, "=", code)
        )
        if not record:
            raise MissingError(self._unknown_message(code))
        return record._to_dict()
