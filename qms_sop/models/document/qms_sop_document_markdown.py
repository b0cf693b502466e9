import re

from odoo import api, fields, models
from odoo.tools import ormcache

from ...tools import markdown_terms as terms

ARROW = re.compile(r"(.+?)\s*(?:→|->|=>)\s*(\S.*)")


class QmsSopDocument(models.Model):
    """SOPs as Markdown files.

    A file is cut into sections and steps (see ``tools/runbook``). Each keeps
    its Markdown as it was imported; on export it is written as it was as long
    as the records still say the same, and anew where they do not.

    Here is what both ways share; ``_import``, ``_export`` and ``_library`` have
    the rest.
    """

    _inherit = "qms.sop.document"

    section_ids = fields.One2many("qms.sop.section", "document_id", copy=True)
    source_filename = fields.Char(
        "File", readonly=True, help="The Markdown file that was imported."
    )
    markdown = fields.Text(compute="_compute_markdown", help="This SOP as Markdown.")

    @api.depends_context("uid")
    def _compute_markdown(self):
        for document in self:
            document.markdown = document._markdown()

    @api.model
    @ormcache("self.env.lang")
    def _categories(self):
        """Return the error categories as texts name them.

        :rtype: terms.Categories
        """
        # Cached for all users, so it must not depend on the rights of the first;
        # codes and names are no secret.
        categories = self.env["qms.error.category"].sudo()
        categories = categories.search_fetch([], ["code", "name"])
        return terms.Categories(
            {category.id: category.code for category in categories},
            {category.id: category.name for category in categories},
        )

    @api.model
    def _step_name(self, step):
        """Return the name of a step; some headings have a number and no words."""
        return step.name or f"{step.label} {step.number}".strip() or self.env._("Step")

    @api.model
    def _read_choices(self, step, index, known, categories):
        """Return the choices of a step as ``(name, step index, category id, ends)``.

        A target that is not understood, or that leads back, stays part of the
        name: nothing is lost, and nothing goes round in circles.
        """
        read = []
        for choice in step.choices:
            target = terms.read_target(choice.target, known, categories)
            if target is None or (target[0] is not None and target[0] <= index):
                read.append((f"{choice.name} → {choice.target}", None, False, False))
            else:
                read.append((choice.name, *target))
        return read
