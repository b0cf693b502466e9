import base64
import re

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError


class QmsPostmortemImport(models.TransientModel):
    """Shows what was understood of a post-mortem in Markdown, then takes it over."""

    _name = "qms.postmortem.import"
    _description = "Import of a post-mortem from Markdown"

    incident_id = fields.Many2one(
        "qms.incident",
        "Incident",
        help="Blank: the one that the file names (INC-…).",
    )
    file = fields.Binary("Markdown file", attachment=False)
    filename = fields.Char()
    text = fields.Text("Markdown", help="Instead of a file.")
    state = fields.Selection(
        [("choose", "Choose"), ("preview", "Preview")], default="choose", required=True
    )
    preview = fields.Html(compute="_compute_preview", sanitize=False)
    importable = fields.Boolean(compute="_compute_preview")

    @api.depends("state", "incident_id", "file", "text")
    def _compute_preview(self):
        for wizard in self:
            wizard.preview, wizard.importable = False, False
            if wizard.state != "preview":
                continue
            result, error = {}, None
            try:
                result = wizard._understand().told()
            except ValidationError as refused:
                error = str(refused)
            wizard.importable = not error
            for section in result.get("sections", ()):
                section["excerpt"] = _excerpt(section["text"])
            # QWeb escapes every text in it.
            wizard.preview = self.env["ir.qweb"]._render(
                "qms_incident.postmortem_import_preview",
                {"result": result, "error": error, "names": self._names()},
            )

    @api.model
    def _names(self):
        """Return what people call the words for what becomes of something.

        :rtype: dict[str, str]
        """
        actions = self.env["qms.action"]
        states = dict(actions._fields["state"]._description_selection(self.env))
        return {
            **states,
            "new": self.env._("New"),
            "replaced": self.env._("Replaces what is there"),
            "same": self.env._("Is there already"),
        }

    def _understand(self):
        """Return what the file says.

        :raises UserError: when there is neither a file nor a text
        """
        self.ensure_one()
        # The web client reads forms with the sizes of files in place of them.
        wizard = self.with_context(bin_size=False)
        content = base64.b64decode(wizard.file) if wizard.file else wizard.text
        if not content:
            raise UserError(self.env._("Upload a Markdown file, or paste its text."))
        postmortems = self.env["qms.postmortem"]
        return postmortems._understand(content, self.incident_id.id or None)

    def action_preview(self):
        """Show what was understood."""
        self._understand()
        self.state = "preview"
        return self._reopen()

    def action_back(self):
        """Choose another file."""
        self.ensure_one()
        self.state = "choose"
        return self._reopen()

    def _reopen(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Import a post-mortem"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
            "context": {"dialog_size": "extra-large"},
        }

    def action_import(self):
        """Take the post-mortem over, and open it.

        :rtype: dict
        """
        result = self._understand().take_over({})
        postmortem = self.env["qms.postmortem"].browse(result["id"])
        return postmortem._open_form()


def _excerpt(text):
    """Return the beginning of a text in Markdown, without marks."""
    words = re.sub(r"[|*`#]|(?<!\w)-+(?!\w)", " ", text).split()
    return " ".join([*words[:18], *(["…"] if len(words) > 18 else [])])
