from pathlib import Path

from odoo import api, models
from odoo.fields import Command, Domain
from odoo.tools import file_path

from ...tools import markdown_terms as terms
from ...tools import runbook
from .qms_sop_document_import import FIRST_VERSION


class QmsSopDocument(models.Model):
    """SOPs that an add-on ships as Markdown."""

    _inherit = "qms.sop.document"

    @api.model
    def _load_library(self, module="qms_sop"):
        """Create and approve the SOPs that an add-on ships as Markdown.

        A code of which there is any revision is left alone, so that an update
        of the add-on adds what is new and touches nothing that people keep.

        :param str module: the add-on; its files are ``data/library/*.md``
        :return: ids of the new documents
        :rtype: list[int]
        """
        folder = Path(file_path(f"{module}/data/library"))
        books = [
            (path.name, self._parse_markdown(path.name, path.read_bytes()))
            for path in sorted(folder.glob("*.md"))
        ]
        present = set(
            self.with_context(active_test=False)
            .search_fetch(
                Domain("code", "in", [book.header.code for _name, book in books]),
                ["code"],
            )
            .mapped("code")
        )
        new = [pair for pair in books if pair[1].header.code not in present]
        documents = self._create_books(new)
        self.env["ir.model.data"]._update_xmlids(
            [
                {
                    "xml_id": f"{module}.{document.code.lower().replace('-', '_')}",
                    "record": document,
                    "noupdate": True,
                }
                for document in documents
            ]
        )
        for document in documents:
            self._approve_from_data(document.id)
        return documents.ids

    @api.model
    def _create_books(self, books):
        """Create the first revision of many runbooks at once.

        :param books: ``[(filename, runbook.Runbook), …]``, none of whose codes
            has a revision yet
        """
        vals_list, choices = [], []
        for filename, book in books:
            vals, found = self._markdown_vals(book, filename)
            vals["version"] = terms.version_of(book.header) or FIRST_VERSION
            vals_list.append(vals)
            choices.append(found)
        documents = self.create(vals_list)
        documents._create_choices(choices)
        # They may refer to each other, and none was there before.
        for document, (_name, book) in zip(documents, books, strict=True):
            document._link_related(book)
        return documents

    def _link_related(self, book):
        """Link the SOPs that a file names and that exist by now."""
        self.ensure_one()
        for section in self.section_ids.sorted(
            lambda section: (section.position, section.id)
        ).filtered(lambda section: section.kind == "related"):
            codes = terms.sop_codes(runbook.parse_part("related", section.source))
            codes.pop(self.code, None)
            related = self._related_to(codes)
            missing = related - self.related_ids
            if missing:
                self.related_ids = [Command.link(other.id) for other in missing]
                section.linked = sorted(related.mapped("code"))
