from odoo import api, fields, models

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools import postmortem_text


class QmsPostmortem(models.Model):
    """Post-mortems as Markdown files."""

    _inherit = "qms.postmortem"

    markdown = fields.Text(
        compute="_compute_markdown", help="The whole post-mortem as Markdown."
    )

    @api.depends_context("uid", "lang")
    def _compute_markdown(self):
        for postmortem in self:
            postmortem.markdown = postmortem._origin and postmortem._markdown()

    @api.readonly
    @checked
    def export_markdown(self, slug: str | None = None) -> dict:
        """Return one post-mortem as a Markdown file.

        :param slug: what the file is called after the day, in place of the incident's
            error code or the title
        :return: ``name`` (``YYYY-MM-DD-slug.md``, of the day of the detection by the
            company's clock) and ``content``
        """
        self._only_one()
        return {"name": self._markdown_name(slug), "content": self._markdown()}

    def action_download_markdown(self):
        """Download one post-mortem as a Markdown file."""
        self._only_one()
        return {
            "type": "ir.actions.act_url",
            "url": f"/qms_incident/postmortem/{self.id}.md",
            "target": "download",
        }

    def _markdown_name(self, slug=None):
        incident = self.incident_id
        words = slug or incident.error_code_id.name or self.title
        return f"{incident.day.isoformat()}-{postmortem_text.slug(words)}.md"

    def _markdown(self):
        """Return one post-mortem as Markdown, in the shape of the runbooks' templates.

        :rtype: str
        """
        self.ensure_one()
        header = [
            (postmortem_text.HEADER[key], text) for key, text in self._header().items()
        ]
        sections = [(key, text) for key, _heading, text in self._sections()]
        return postmortem_text.render(self.title, header, sections, self.kind)

    def _header(self):
        """Return the facts above the text, by the keys of ``postmortem_text.HEADER``.

        They are not translated, as the headings are not.

        :return: plain text; empty where nothing is known
        :rtype: dict[str, str]
        """
        incident = self.incident_id
        english = incident.with_context(lang="en_US")
        severity = english.severity_id
        methods = dict(
            english._fields["detection_method"]._description_selection(english.env)
        )
        states = dict(self._fields["state"].selection)
        published = self.published_at and f" on {self.published_at:%Y-%m-%d}"
        return {
            "incident": incident.name,
            "date": incident.day.isoformat(),
            # sudo: who wrote it is told to everybody who reads it
            "author": self.author_id.sudo().name or "",
            "severity": " - ".join(filter(None, (severity.alias, severity.name))),
            "duration": postmortem_text.duration_text(
                incident.detected_at, incident.resolved_at
            ),
            "systems": ", ".join(sorted(incident.system_ids.mapped("name"))),
            "reported_by": incident.detected_by
            or methods.get(incident.detection_method, ""),
            "status": f"{states.get(self.state, '')}{published or ''}",
        }
