from markupsafe import Markup, escape

from odoo import api, fields, models

# A passage that is the same in both is cut down to its ends: as many lines of it
_CONTEXT = 3


class QmsSopComparison(models.TransientModel):
    """Two revisions of an SOP, side by side."""

    _name = "qms.sop.comparison"
    _description = "Comparison of two revisions"

    code = fields.Char(related="new_id.code")
    company_id = fields.Many2one(related="new_id.company_id")
    old_id = fields.Many2one(
        "qms.sop.document", "From", required=True, ondelete="cascade"
    )
    new_id = fields.Many2one(
        "qms.sop.document", "To", required=True, ondelete="cascade"
    )
    only_changes = fields.Boolean("Only what changed", default=True)
    body = fields.Html(compute="_compute_body", sanitize=False)

    @api.depends("old_id", "new_id")
    def _compute_display_name(self):
        for comparison in self:
            comparison.display_name = self.env._(
                "%(code)s: from %(old)s to %(new)s",
                code=comparison.new_id.code or "",
                old=comparison.old_id.version or "",
                new=comparison.new_id.version or "",
            )

    @api.depends("old_id", "new_id", "only_changes")
    def _compute_body(self):
        for comparison in self:
            old, new = comparison.old_id, comparison.new_id
            if not old or not new:
                comparison.body = False
                continue
            blocks = new._compare(old)
            counts = dict.fromkeys(("added", "removed", "changed", "same"), 0)
            for block in blocks:
                for row in block["rows"]:
                    counts[row["status"]] += 1
                    for field in row["fields"]:
                        for side, tag in (("old", "del"), ("new", "ins")):
                            field[side] = comparison._mark(field[side], tag)
            # QWeb escapes every text in it, so nothing is left to sanitize.
            comparison.body = self.env["ir.qweb"]._render(
                "qms_sop.comparison_body",
                {
                    "old": old,
                    "new": new,
                    "blocks": blocks,
                    "counts": counts,
                    "only_changes": comparison.only_changes,
                },
            )

    def _mark(self, segments, tag):
        """Return a text with what changed in it marked.

        :param segments: see :func:`..tools.revisions.compare_words`
        :param str tag: ``del`` or ``ins``
        :rtype: markupsafe.Markup
        """
        style = {"del": "o_qms_gone", "ins": "o_qms_come"}[tag]
        marked = Markup()
        for changed, text in segments:
            if changed:
                marked += Markup("<{0} class='{1}'>{2}</{0}>").format(
                    Markup(tag), style, text
                )
                continue
            lines = text.split("\n")
            if self.only_changes and len(lines) > 2 * _CONTEXT + 1:
                lines[_CONTEXT:-_CONTEXT] = ["⋯"]
            marked += escape("\n".join(lines))
        return marked

    def action_swap(self):
        """Read the comparison the other way round."""
        for comparison in self:
            comparison.write(
                {"old_id": comparison.new_id.id, "new_id": comparison.old_id.id}
            )
        return True
