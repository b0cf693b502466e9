from odoo import api, models
from odoo.exceptions import ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.idempotency import idempotent
from odoo.addons.qms_sop.tools.runbook import Limits, RunbookError
from odoo.addons.qms_sop.tools.runbook.text import decode, repair
from odoo.addons.qms_sop.tools.values import without_none

from ...tools import postmortem_text
from .postmortem_file import PostmortemFile

# Bytes; ten times what people write, and parsed within seconds at worst
MAX_SIZE = 256 * 1024


class QmsPostmortem(models.Model):
    """Post-mortems that were written elsewhere, in the shape of a runbook's template.

    What a file says goes where it belongs: texts into the sections, rows of the
    timeline into that of the incident, action items into actions. What has no place is
    kept in the section that is left, and what is not understood is said.
    """

    _inherit = "qms.postmortem"

    # === RPC ===

    @api.model
    @api.readonly
    @checked
    def preview_markdown(self, content: str, incident: int | str | None = None) -> dict:
        """Read a post-mortem in Markdown, and change nothing.

        :param content: the file
        :param incident: see :meth:`import_markdown`
        :return: ``incident``, ``postmortem`` (its name, or ``False``), ``title``,
            ``kind``; ``sections`` (dicts with ``key``, ``heading``, ``line``, ``text``
            and ``change``: new, same or replaced), ``whys``, ``entries`` (of the
            timeline, with ``known``), ``actions`` (with ``known``, and what becomes of
            owner, priority …), ``header`` (what it says otherwise than the incident)
            and ``remarks``: sentences on what is not taken as it stands
        :raises ValidationError: when it cannot be read, or names no incident
        """
        return without_none(self._understand(content, incident).told())

    @api.model
    @checked
    @idempotent
    def import_markdown(
        self,
        content: str,
        incident: int | str | None = None,
        values: dict | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Take a post-mortem over that was written in Markdown.

        The sections that the file fills replace those of the draft; the others stay.
        Entries of the timeline and actions that are there already are left out, so
        importing again is harmless.

        :param content: the file, in the shape of a runbook's template
        :param incident: id or number of the incident; the one that the file names when
            missing
        :param values: as for :meth:`update_postmortem`; these go before the file
        :return: the post-mortem as in :meth:`get_postmortem`, and ``existing``,
            ``entries_added``, ``actions_added`` (numbers) and ``remarks``
        :raises ValidationError: when it cannot be read, or names no incident
        :raises UserError: when the post-mortem is reviewed or published already
        """
        if values:
            self._check_names(values)
        found = self._understand(content, incident)
        return without_none(found.take_over(values or {}))

    # === Reading ===

    @api.model
    def _understand(self, content, incident=None):
        """Return what a file says about an incident.

        :param content: text, or bytes in UTF-8
        :param incident: id or number
        :rtype: PostmortemFile
        """
        with at_field("content"):
            try:
                text, _notes = repair(decode(content, Limits(size=MAX_SIZE)))
            except RunbookError as error:
                raise ValidationError(
                    self.env._("The post-mortem: %s", str(error))
                ) from error
        parsed = postmortem_text.parse(text)
        if not parsed.sections:
            with at_field("content"):
                raise ValidationError(
                    self.env._(
                        "The post-mortem: none of its headings is that of a section. "
                        "Known are: %s.",
                        ", ".join(postmortem_text.HEADINGS.values()),
                    )
                )
        named = parsed.header.get("incident")
        with at_field("incident"):
            if not incident and not named:
                raise ValidationError(
                    self.env._(
                        "The post-mortem names no incident (INC-…); say which one it "
                        "is about."
                    )
                )
            found = self.env["qms.incident"]._by_reference(incident or named)
        return PostmortemFile(found, parsed)
