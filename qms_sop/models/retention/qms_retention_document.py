from odoo import api, models
from odoo.tools import SQL

# A revision that somebody could still work by is no history yet.
ENDED = ("superseded", "obsolete")


class QmsSopDocument(models.Model):
    """A revision is kept at least as long as its runs, and as what refers to it."""

    _name = "qms.sop.document"
    _inherit = ["qms.sop.document", "qms.retention.mixin"]

    _purgeable_states = ENDED

    def _retention_class(self):
        return self.classification, self.company_id

    @api.model
    def _retention_parts(self):
        return [
            *super()._retention_parts(),
            ("qms.sop.acknowledgement", "document_id"),
        ]

    def _referring(self):
        # Revisions that are purged together do not hold each other back.
        return [
            (record_id, model, count)
            for record_id, model, count in super()._referring()
            if model != "qms_sop_document_related_rel"
        ] + self._referring_revisions()

    def _referring_revisions(self):
        """Return how many revisions that stay refer to these as related."""
        if not self.ids:
            return []
        rows = self.env.execute_query(
            SQL(
                """SELECT related_id, count(*) FROM qms_sop_document_related_rel
                    WHERE related_id IN %s AND document_id NOT IN %s
                 GROUP BY 1 ORDER BY 1""",
                tuple(self.ids),
                tuple(self.ids),
            )
        )
        return [(record_id, self._name, count) for record_id, count in rows]

    def _remove(self):
        self.env.cr.execute(
            SQL(
                "DELETE FROM qms_sop_document_related_rel WHERE document_id IN %s",
                tuple(self.ids),
            )
        )
        return super()._remove()
