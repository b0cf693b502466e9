from functools import partial

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from odoo.addons.qms_error_code.tools.durations import format_minutes

from ..models.document.qms_sop_document_tables import ERROR_CODES
from ..models.document.qms_sop_section import KINDS

# More is work for scripts/import_sop.py, which shows how far it is.
MOST_FILES = 100
# Offers that a row gives and its fields are shown in
_SHOWN = ("key", "group", "line", "action", "text", "allowed")


class QmsSopImport(models.TransientModel):
    """Shows what was understood of Markdown files, then makes drafts of them."""

    _name = "qms.sop.import"
    _description = "Import of SOPs from Markdown"

    attachment_ids = fields.Many2many(
        "ir.attachment", string="Files", help="Markdown files, up to 2 MB each."
    )
    text = fields.Text("Markdown", help="Instead of a file.")
    submit = fields.Boolean("Submit for review")
    offer_ids = fields.One2many("qms.sop.import.offer", "import_id", "In its tables")
    several = fields.Boolean(compute="_compute_several")
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
            ) or any(wizard.offer_ids.mapped("allowed"))
            # QWeb escapes every text in it.
            wizard.preview = self.env["ir.qweb"]._render(
                "qms_sop.import_preview",
                {
                    "results": results,
                    "kinds": dict(KINDS),
                    "table_kinds": self._table_kinds(),
                    "duration": partial(format_minutes, self.env),
                },
            )

    @api.depends("offer_ids.filename")
    def _compute_several(self):
        for wizard in self:
            wizard.several = len(set(wizard.offer_ids.mapped("source"))) > 1

    @api.model
    def _table_kinds(self):
        """Return what people call the kinds of tables.

        :rtype: dict[str, str]
        """
        return {
            "severity": self.env._("Severities"),
            "error_code": self.env._("Error codes"),
            "error_message": self.env._("Error messages"),
            "escalation": self.env._("Escalation"),
            "action_items": self.env._("Action items"),
            "metrics": self.env._("Metrics"),
            "timeline": self.env._("Timeline"),
            "duration": self.env._("Times"),
        }

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
        ticked = self.offer_ids.filtered("taken").grouped("source")
        results = []
        for source, (name, data) in enumerate(self._sources()):
            offers = ticked.get(source, self.offer_ids.browse())
            take = () if dry_run else offers.mapped("key")
            try:
                with self.env.cr.savepoint():
                    answer = self.env["qms.sop.document"]._import_markdown(
                        name, data, submit=self.submit, dry_run=dry_run, take=take
                    )
            except UserError as error:
                shown = name or self.env._("Text")
                answer = {
                    "filename": shown,
                    # Most messages begin with the name of the file.
                    "error": str(error).removeprefix(f"{shown}: "),
                }
            results.append(answer)
        return results

    def action_preview(self):
        """Show what was understood."""
        self.ensure_one()
        results = self._import_each(dry_run=True)
        self.write(
            {
                "state": "preview",
                "offer_ids": [
                    Command.clear(),
                    *(
                        Command.create(
                            {
                                "source": source,
                                "filename": result["filename"],
                                **{name: offer[name] for name in _SHOWN},
                            }
                        )
                        for source, result in enumerate(results)
                        for offer in result.get("offers", ())
                    ),
                ],
            }
        )
        return self._reopen()

    def action_back(self):
        """Choose other files."""
        self.ensure_one()
        self.write({"state": "choose", "offer_ids": [Command.clear()]})
        return self._reopen()

    def action_tick_error_codes(self):
        """Tick the error codes that can be added or linked; replace nothing."""
        self.ensure_one()
        offers = self.offer_ids.filtered("allowed")
        offers.filtered(lambda offer: offer.group == ERROR_CODES).taken = True
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
        """Create or update the drafts, take over what is ticked, and open them.

        A file that cannot be imported does not keep the others away.

        :rtype: dict
        :raises UserError: when none can be imported
        """
        self.ensure_one()
        results = self._import_each(dry_run=False)
        ids = [result["id"] for result in results if result.get("id")]
        errors = "\n".join(
            f"{result['filename']}: {result['error']}"
            for result in results
            if result.get("error")
        )
        if not ids:
            raise UserError(errors)
        action = self._open_documents(ids)
        if not errors:
            return action
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning",
                "title": self.env._("Not imported"),
                "message": errors,
                "sticky": True,
                "next": action,
            },
        }

    def _open_documents(self, ids):
        """Return the action that shows what was imported.

        :param list[int] ids: of documents
        :rtype: dict
        """
        action = {
            "type": "ir.actions.act_window",
            "name": self.env._("Imported SOPs"),
            "res_model": "qms.sop.document",
            "context": {"active_test": False},
        }
        if len(ids) == 1:
            return {**action, "res_id": ids[0], "view_mode": "form"}
        return {**action, "domain": [("id", "in", ids)], "view_mode": "list,form"}
