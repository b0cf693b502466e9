from odoo import api, models
from odoo.fields import Domain

# How the state of a revision looks.
_STYLES = {
    "approved": "q-good",
    "in_review": "q-medium",
    "draft": "q-busy",
    "superseded": "q-low",
    "obsolete": "q-bad",
}


class QmsDocumentHistoryReport(models.AbstractModel):
    """Everything that became of an SOP: who revised it, when and why."""

    _name = "report.qms_sop.report_document_history"
    _inherit = ["qms.paper.report"]
    _description = "History of an SOP on paper"

    @api.model
    def _get_report_values(self, docids, data=None):
        documents = self._records("qms.sop.document", docids, data)
        return {"pages": [self._page(document) for document in documents]}

    @api.model
    def _footer_text(self, records):
        return self.env._(
            "History of %(code)s · %(printed)s",
            code=records.code,
            printed=self._printed_text(),
        )

    @api.model
    def _page(self, document):
        """Return the history of the SOP that a revision belongs to.

        :param document: qms.sop.document record, any revision of it
        :rtype: dict
        """
        revisions = document.with_context(active_test=False).search(
            Domain("code", "=", document.code)
            & Domain("company_id", "=", document.company_id.id),
            order="revision desc",
        )
        runs = self._counts("qms.sop.run", "sop_id", revisions)
        readers = self._counts("qms.sop.acknowledgement", "document_id", revisions)
        acts = self._acts(revisions)
        effective = revisions.filtered("effective")[:1]
        newest = effective or revisions[:1]
        return {
            "code": document.code,
            "name": newest.name,
            "zone": self._zone(),
            "facts": [
                [
                    (self.env._("In force"), effective.version or ""),
                    (self.env._("Revisions"), str(len(revisions))),
                ],
                [
                    (self.env._("Owner"), newest.owner or ""),
                    (self.env._("Responsible"), newest.responsible_id.name or ""),
                ],
                [
                    (self.env._("Next review"), self._day(effective.review_date)),
                    (self.env._("Runs"), str(sum(runs.values()))),
                ],
            ],
            "revisions": [
                self._revision(
                    revision,
                    runs.get(revision, 0),
                    readers.get(revision, 0),
                    acts.get(revision.id, []),
                )
                for revision in revisions
            ],
        }

    @api.model
    def _revision(self, revision, runs, readers, acts):
        """Return what is printed of one revision; what is unknown is left out."""
        facts = [
            (
                self.env._("Written by"),
                self._who_when(revision.author_id, revision.create_date),
            ),
            (
                self.env._("No objection from"),
                ", ".join(revision.reviewed_by_ids.mapped("name")),
            ),
            (
                self.env._("Approved by"),
                self._who_when(revision.approved_by_id, revision.approved_on),
            ),
            (self.env._("Effective from"), self._day(revision.effective_date)),
            (
                self.env._("Reviewed without change"),
                self._who_when(revision.last_reviewed_by_id, revision.last_reviewed_on),
            ),
            (self.env._("Sent back because"), revision.rejection_reason),
            (self.env._("Runs"), str(runs) if runs else ""),
            (self.env._("Read and understood by"), str(readers) if readers else ""),
        ]
        return {
            "version": revision.version,
            "number": revision.revision,
            "state": revision._state_label(revision.state),
            "style": _STYLES.get(revision.state, ""),
            "why": revision.change_summary or "",
            "hash": revision.content_hash or "",
            "facts": [(label, text) for label, text in facts if text],
            "acts": acts,
        }

    @api.model
    def _acts(self, revisions):
        """Return how revisions went from state to state, as their trails tell.

        :return: ``{revision id: [{"time", "what", "who", "reason"}]}``, in order
        :rtype: dict
        """
        acts = {}
        for event in self.env["qms.audit.event"].search(
            Domain("model", "=", revisions._name)
            & Domain("res_id", "in", revisions.ids)
            & Domain("kind", "=", "state"),
            order="sequence",
        ):
            old, new = event.changes["state"]
            acts.setdefault(event.res_id, []).append(
                {
                    "time": self._time(event.occurred_at),
                    "what": f"{revisions._state_label(old)} → "
                    f"{revisions._state_label(new)}",
                    "who": event.user_name or "",
                    "reason": event.reason or "",
                }
            )
        return acts

    @api.model
    def _counts(self, model, field, revisions):
        return dict(
            self.env[model]
            .with_context(active_test=False)
            ._read_group(Domain(field, "in", revisions.ids), [field], ["__count"])
        )

    @api.model
    def _day(self, value):
        return value.isoformat() if value else ""

    @api.model
    def _who_when(self, user, when):
        if not when:
            return user.name or ""
        if not user:
            return self._time(when)
        return f"{user.name}, {self._time(when)}"
