from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import format_datetime

from ...tools.markdown import to_html


class QmsSopDocument(models.Model):
    """A revision as it is read, on the screen and on paper."""

    _inherit = "qms.sop.document"

    reading = fields.Html("Full text", compute="_compute_reading", sanitize=False)

    def _compute_reading(self):
        for document in self:
            # QWeb escapes every text in it, and to_html() makes its own tags.
            document.reading = self.env["ir.qweb"]._render(
                "qms_sop.document_reading",
                {"document": document, "to_html": to_html},
            )

    def _reading_parts(self):
        """Return the steps, and the sections around them, in reading order.

        Sections of an imported document have a ``position``; the steps fill the
        positions left to them in their own order.

        :return: records of ``qms.sop.step`` and ``qms.sop.section``
        :rtype: list
        """
        self.ensure_one()
        steps = self.step_ids.sorted()
        if "section_ids" not in self._fields:
            return list(steps)
        # The heading above the steps is there already.
        sections = self.section_ids.filtered(
            lambda part: (
                part.kind == "section"
                and (part.body or (part.heading or "").lower() != "procedure")
            )
        )
        if not sections:
            return list(steps)
        places = sorted(steps.mapped("position"))
        placed = [*zip(places, steps, strict=True)]
        placed += [(section.position, section) for section in sections]
        return [part for _place, part in sorted(placed, key=lambda pair: pair[0])]

    def _printed_text(self):
        """Return when and by whom this is being printed.

        :rtype: str
        """
        zone = self.env.user.tz or "UTC"
        now = format_datetime(self.env, fields.Datetime.now(), zone, "short")
        return self.env._(
            "printed %(now)s (%(zone)s) by %(user)s",
            now=now,
            zone=zone,
            user=self.env.user.name,
        )

    def _footer_text(self):
        """Return the line at the foot of every printed page.

        :rtype: str
        """
        self.ensure_one()
        return self.env._(
            "%(code)s version %(version)s (%(state)s) · Uncontrolled when printed · "
            "%(printed)s",
            code=self.code,
            version=self.version,
            state=self._state_label(self.state),
            printed=self._printed_text(),
        )

    def _history(self):
        """Return this revision and those before it, the newest first."""
        self.ensure_one()
        return self.with_context(active_test=False).search(
            Domain("code", "=", self.code)
            & Domain("company_id", "=", self.company_id.id)
            & Domain("revision", "<=", self.revision),
            order="revision desc",
        )
