import base64
import binascii

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command


class QmsErrorClassify(models.TransientModel):
    """A page to paste a log into, and to see which error codes it speaks of."""

    _name = "qms.error.classify"
    _description = "Classify a Log"

    text = fields.Text("Log")
    file = fields.Binary("Log File", attachment=False)
    filename = fields.Char()
    state = fields.Selection(
        [("new", "New"), ("found", "Found"), ("category", "Category Only")],
        default="new",
        required=True,
    )
    match_ids = fields.One2many("qms.error.classify.match", "classify_id")
    category_id = fields.Many2one("qms.error.category", readonly=True)
    evidence_source_ids = fields.One2many(
        related="category_id.evidence_source_ids", string="Evidence to Gather"
    )
    why = fields.Text(readonly=True)

    @api.depends("state")
    def _compute_display_name(self):
        self.display_name = self.env._("Classify a Log")

    def action_classify(self):
        """Classify the uploaded file, or else the pasted text.

        :return: ``True``; the matches are in :attr:`match_ids`
        :raise UserError: when there is nothing to classify
        :raise ValidationError: when it is larger than accepted
        """
        self.ensure_one()
        codes = self.env["qms.error.code"]
        _best, category, matches = codes._classify(self._log())
        ids = codes._ids_by_key()
        found = [match for match in matches if match["code"]]
        self.write(
            {
                "state": "found" if found else "category",
                "category_id": category.id,
                "why": matches[0]["why"],
                "match_ids": [
                    Command.clear(),
                    *(
                        Command.create(
                            {
                                "sequence": position,
                                "error_code_id": ids[match["code"].lower()],
                                "score": match["score"],
                                "occurrences": match["occurrences"],
                                "line": match["line"],
                                "line_number": match["line_number"],
                                "why": match["why"],
                            }
                        )
                        for position, match in enumerate(found, 1)
                    ),
                ],
            }
        )
        return True

    def action_new_error_code(self):
        """Begin an entry of the catalogue for an error that it does not know.

        :return: a window action
        :rtype: dict
        """
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "qms.error.code",
            "views": [(False, "form")],
            "context": {"default_category_id": self.category_id.id},
        }

    def _log(self):
        """What is to be classified: the file wins over the text.

        :rtype: bytes | str
        """
        if self.file:
            try:
                # A record in memory may hold what bin_size asked for: read it afresh.
                return base64.b64decode(
                    self.with_context(bin_size=False).file, validate=True
                )
            except binascii.Error:
                raise UserError(
                    self.env._("The file could not be read. Upload it again.")
                ) from None
        if not (self.text or "").strip():
            raise UserError(
                self.env._("There is nothing to classify: paste a log, or upload one.")
            )
        return self.text
