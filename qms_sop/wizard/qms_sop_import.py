from odoo import api, fields, models
from odoo.exceptions import UserError

# More is work for scripts/import_sop.py, which shows how far it is.
MOST_FILES = 100


class QmsSopImport(models.TransientModel):
    """Shows what was understood of Markdown files, then makes drafts of them."""

    _name = "qms.sop.import"
    _description = "Import of SOPs from Markdown"

    attachment_ids = fields.Many2many(
        "ir.attachment", string="Files", help="Markdown files, up to 2 MB each."
    )
    text = fields.Text("Markdown", help="Instead of a file.")
    submit = fields.Boolean("Submit for review")
    state = fields.Selection(
        [("choose", "Choose"), ("preview", "Preview")], default="choose", required=True
    )
    preview = fields.Html(compute="_compute_preview", sanitize=False)
    importable = fields.Boolean(compute="_compute_preview")

    @api.depends("state", "attachment_ids", "text")
    def _compute_preview(self):
        for wizard in self:
            if wizard.state != "preview":
                wizard.preview, wizard.importable = False, False
                continue
            results = wizard._import_each(dry_run=True)
            wizard.importable = any(
                result.get("change") in ("created", "updated") for result in results
            )
            # QWeb escapes every text in it.
            wizard.preview = self.env["ir.qweb"]._render(
                "qms_sop.import_preview", {"results": results}
            )

    def _sources(self):
        """Return the files and the pasted text as ``[(name, bytes or str), …]``.

        :raises UserError: for none at all, or too many
        """
        self.ensure_one()
        # The web client reads forms with the sizes of files in place of them.
        files = self.attachment_ids.with_context(bin_size=False)
        sources = [(file.name, file.raw or b"") for file in files]
        if (self.text or "").strip():
            sources.append(("", self.text))
        if not sources:
            raise UserError(self.env._("Upload a Markdown file, or paste its text."))
        if len(sources) > MOST_FILES:
            raise UserError(
                self.env._(
                    "%(count)s files are too many at once: %(most)s are accepted. "
                    "scripts/import_sop.py takes whole folders.",
                    count=len(sources),
                    most=MOST_FILES,
                )
            )
        return sources

    def _import_each(self, dry_run):
        """Import every file by itself; a bad one does not keep the others away.

        :param bool dry_run: only look at them
        :return: answers of ``import_markdown``, or ``{"filename", "error"}``
        :rtype: list[dict]
        """
        results = []
        for name, data in self._sources():
            try:
                with self.env.cr.savepoint():
                    answer = self.env["qms.sop.document"]._import_markdown(
                        name, data, submit=self.submit, dry_run=dry_run
                    )
            except UserError as error:
                answer = {
                    "filename": name or self.env._("Pasted text"),
                    "error": str(error),
                }
            results.append(answer)
        return results

    def action_preview(self):
        """Show what was understood."""
        self.ensure_one()
        self._sources()
        self.state = "preview"
        return self._reopen()

    def action_back(self):
        """Choose other files."""
        self.ensure_one()
        self.state = "choose"
        return self._reopen()

    def _reopen(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Import Markdown"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def action_import(self):
        """Create or update the drafts, and open them.

        Files that cannot be imported were named in the preview; the others are.

        :rtype: dict
        :raises UserError: when none can be imported
        """
        self.ensure_one()
        results = self._import_each(dry_run=False)
        ids = [result["id"] for result in results if result.get("id")]
        if not ids:
            raise UserError("\n".join(result["error"] for result in results))
        action = {
            "type": "ir.actions.act_window",
            "name": self.env._("Imported SOPs"),
            "res_model": "qms.sop.document",
            "context": {"active_test": False},
        }
        if len(ids) == 1:
            return {**action, "res_id": ids[0], "view_mode": "form"}
        return {**action, "domain": [("id", "in", ids)], "view_mode": "list,form"}
