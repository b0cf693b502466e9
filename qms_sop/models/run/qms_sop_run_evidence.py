import base64
import binascii
import hashlib

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import human_size
from odoo.tools.mimetypes import guess_mimetype

from ...tools.faults import TooLargeError

_DEFAULT_LIMIT_MB = 25
_PREVIEW_BYTES = 16 * 1024
_FIXED_FIELDS = frozenset({"datas", "size", "sha256", "collected_at", "user_id"})


class QmsSopRunEvidence(models.Model):
    """A file or captured output that backs what a run says."""

    _name = "qms.sop.run.evidence"
    _description = "SOP run evidence"
    _inherit = ["qms.sop.run.part.mixin"]
    _order = "id desc"

    run_id = fields.Many2one(
        "qms.sop.run", required=True, index=True, ondelete="restrict"
    )
    step_id = fields.Many2one(
        "qms.sop.run.step", "Run step", index="btree_not_null", ondelete="restrict"
    )
    name = fields.Char("File name", required=True)
    datas = fields.Binary("File", attachment=True, required=True)
    mimetype = fields.Char("Type", readonly=True)
    size = fields.Integer(readonly=True, help="Bytes.")
    size_text = fields.Char("Size as text", compute="_compute_size_text")
    sha256 = fields.Char("SHA-256", readonly=True, index="btree")
    source = fields.Char(help="Where it came from, such as the command.")
    user_id = fields.Many2one(
        "res.users", "Collected by", readonly=True, default=lambda self: self.env.user
    )
    collected_at = fields.Datetime(
        "Collected", readonly=True, default=lambda self: fields.Datetime.now()
    )
    preview = fields.Text(compute="_compute_preview")

    @api.depends("size")
    def _compute_size_text(self):
        for evidence in self:
            evidence.size_text = human_size(evidence.size)

    @api.depends("datas", "mimetype")
    def _compute_preview(self):
        for evidence in self.with_context(bin_size=False):
            text = (evidence.mimetype or "").startswith("text/") or (
                evidence.mimetype in ("application/json", "application/xml")
            )
            evidence.preview = (
                base64.b64decode(evidence.datas)[:_PREVIEW_BYTES].decode(
                    errors="replace"
                )
                if text and evidence.datas
                else False
            )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            content = self._decode(vals)
            vals["size"] = len(content)
            vals["sha256"] = hashlib.sha256(content).hexdigest()
            vals["mimetype"] = vals.get("mimetype") or guess_mimetype(
                content, default="application/octet-stream"
            )
            vals.pop("user_id", None)
            vals.pop("collected_at", None)
        return super().create(vals_list)

    def write(self, vals):
        fixed = sorted(_FIXED_FIELDS & vals.keys())
        if fixed:
            raise UserError(
                self.env._(
                    "Evidence is never replaced (%(fields)s): add another file.",
                    fields=", ".join(fixed),
                )
            )
        return super().write(vals)

    @api.model
    def _decode(self, vals):
        """Return the bytes of a new piece of evidence.

        :param dict vals: as for ``create()``; ``datas`` is base64
        :rtype: bytes
        :raises ValidationError: when it is empty, no base64, or over the limit
        """
        name = vals.get("name")
        try:
            content = base64.b64decode(vals.get("datas") or b"", validate=True)
        except (binascii.Error, ValueError):
            raise ValidationError(
                self.env._(
                    "Evidence %(name)s: the content is not valid base64.", name=name
                )
            ) from None
        if not content:
            raise ValidationError(
                self.env._("Evidence %(name)s: the file is empty.", name=name)
            )
        limit = self._limit_mb()
        if len(content) > limit * 1024 * 1024:
            raise TooLargeError(
                self.env._(
                    "Evidence %(name)s has %(size)s; the limit is %(limit)s MB. "
                    "Compress it or cut out the part that matters.",
                    name=name,
                    size=human_size(len(content)),
                    limit=limit,
                )
            )
        return content

    @api.model
    def _limit_mb(self):
        # sudo: system parameters are read by administrators only.
        value = (
            self.env["ir.config_parameter"]
            .sudo()
            .get_param("qms_sop.evidence_limit_mb", "")
        )
        return int(value) if value.isdigit() else _DEFAULT_LIMIT_MB

    def _classify_run(self):
        """Look the text up in the catalogue; a run without a code takes the best.

        :return: the matches, as ``qms.error.code.classify``
        :rtype: list[dict]
        """
        self.ensure_one()
        content = base64.b64decode(self.with_context(bin_size=False).datas)
        code, category, matches = self.env["qms.error.code"]._classify(content)
        run = self.run_id
        values = {}
        if code and not run.error_code_id:
            values["error_code_id"] = code.id
        if not run.category_id:
            values["category_id"] = category.id
        if values:
            run.write(values)
        return matches

    def _to_rpc(self):
        self.ensure_one()
        return {
            "id": self.id,
            "run_id": self.run_id.id,
            "name": self.name,
            "source": self.source,
            "mimetype": self.mimetype,
            "size": self.size,
            "sha256": self.sha256,
        }
