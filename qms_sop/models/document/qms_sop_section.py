from odoo import fields, models

from ...tools import runbook

# Which place of the text a section holds; steps have records of their own.
KINDS = [
    ("header", "Title and control data"),
    ("purpose", "Purpose"),
    ("scope", "Scope"),
    ("triggers", "Triggers"),
    ("prerequisites", "Prerequisites"),
    ("related", "Related documents"),
    ("section", "Section"),
    ("footer", "Closing lines"),
]
# A section that somebody adds in Odoo comes after everything imported.
LAST_POSITION = 1_000_000


class QmsSopSection(models.Model):
    """A stretch of an SOP's text that is no step, in the order of the document.

    What has a field of its own (title, purpose, the triggers …) is read from
    there; the section of that kind keeps its heading, its place and the rest
    of its text, so that exporting a document loses no line of it.
    """

    _name = "qms.sop.section"
    _description = "SOP section"
    _inherit = ["qms.sop.part.mixin"]
    _order = "document_id, position, id"
    _rec_name = "heading"

    document_id = fields.Many2one(
        "qms.sop.document", "SOP", required=True, index=True, ondelete="cascade"
    )
    position = fields.Integer(
        default=LAST_POSITION,
        help="Place among all sections and steps of the document.",
    )
    kind = fields.Selection(KINDS, required=True, default="section")
    heading = fields.Char()
    level = fields.Integer(default=2, help="Level of the heading, 1 to 6; 0: none.")
    body = fields.Text("Text", help="Markdown.")
    source = fields.Text(
        readonly=True, help="Markdown as it was imported, heading included."
    )
    linked = fields.Json(
        readonly=True, help="Codes in the source that became links at the import."
    )

    _level_known = models.Constraint(
        "CHECK(level BETWEEN 0 AND 6)", "The level of a heading is 1 to 6, or 0."
    )

    def _told_fields(self):
        # What was linked at the import is bookkeeping, as the source is.
        return [field for field in super()._told_fields() if field.name != "linked"]

    def _values(self, base=None):
        """Return what this section says, in the terms of the parser.

        :param base: what the imported text says
        :return: values of the kind ``section``
        :rtype: runbook.Text
        """
        self.ensure_one()
        values = runbook.Text(self.heading or "", self.level, self.body or "")
        return base if base == values else values
