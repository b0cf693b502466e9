import hashlib

from odoo import api, fields, models
from odoo.exceptions import UserError


class DamagedEvidenceError(UserError):
    """The file that is kept is not the one that was collected."""

    http_status = 500


class QmsSopRunEvidence(models.Model):
    """Evidence is compared with its SHA-256 whenever its bytes leave the system.

    A file that was changed on the disk is reported, and not given out as good.
    """

    _inherit = "qms.sop.run.evidence"

    damaged = fields.Boolean(
        compute="_compute_damaged",
        help="The file that is kept is not the one that was collected.",
    )

    @api.depends("datas", "sha256")
    def _compute_damaged(self):
        found = self._found_hashes()
        for evidence in self:
            known = found.get(evidence._origin.id)
            evidence.damaged = known is not None and known != evidence.sha256

    @api.depends("damaged")
    def _compute_preview(self):
        damaged = self.filtered("damaged")
        damaged.preview = False
        return super(QmsSopRunEvidence, self - damaged)._compute_preview()

    def _found_hashes(self):
        """Return the SHA-256 of the bytes that are kept now.

        :return: ``{id: hexadecimal}``; that of nothing where the file is gone
        :rtype: dict
        """
        found = {evidence.id: hashlib.sha256().hexdigest() for evidence in self._origin}
        # Whoever may read the record may read its file.
        attachments = (
            self.env["ir.attachment"]
            .sudo()
            .search(
                [
                    ("res_model", "=", self._name),
                    ("res_field", "=", "datas"),
                    ("res_id", "in", list(found)),
                ]
            )
        )
        # Not from the cache: what is on the disk counts.
        attachments.invalidate_recordset(["raw"])
        for attachment in attachments:
            content = attachment.raw or b""
            found[attachment.res_id] = hashlib.sha256(content).hexdigest()
        return found

    def _check_intact(self):
        """Refuse to give out files that are not those that were collected.

        It is told in the audit trail, once for what was found.

        :raises DamagedEvidenceError: naming the file and both hashes
        """
        kept = self._found_hashes()
        for evidence in self:
            found = kept[evidence.id]
            if found == evidence.sha256:
                continue
            evidence._tell_damage(found)
            raise DamagedEvidenceError(
                self.env._(
                    "Evidence %(name)s of %(run)s is damaged: the file that is kept "
                    "has the SHA-256 %(found)s, the one that was collected had "
                    "%(expected)s. Restore it from a backup.",
                    name=evidence.name,
                    run=evidence.run_id.name,
                    found=found,
                    expected=evidence.sha256,
                )
            )

    def _tell_damage(self, found):
        """Tell of a damaged file in the trail of the run."""
        events = self.env["qms.audit.event"]
        # Everybody who reads evidence may find it damaged.
        told = events.sudo().search(
            [
                ("model", "=", self._name),
                ("res_id", "=", self.id),
                ("kind", "=", "damaged"),
            ]
        )
        changes = {"sha256": [self.sha256, found]}
        if not any(event.changes == changes for event in told):
            events._record_apart(self, "damaged", changes=changes)

    def read(self, fields=None, load="_classic_read"):
        # With one of these in the context only the sizes are read.
        sizes = self.env.context.get("bin_size", self.env.context.get("bin_size_datas"))
        if not sizes and (fields is None or "datas" in fields):
            self.check_access("read")
            self._check_intact()
        return super().read(fields, load)

    def _api_stream(self):
        self.check_access("read")
        self._check_intact()
        return super()._api_stream()

    def _classify_run(self):
        self._check_intact()
        return super()._classify_run()


class IrBinary(models.AbstractModel):
    _inherit = "ir.binary"

    def _record_to_stream(self, record, field_name):
        """Check evidence that the web client downloads, as such or as attachment."""
        evidence = self.env["qms.sop.run.evidence"]
        if record._name == evidence._name and field_name == "datas":
            evidence = record
        elif record._name == "ir.attachment":
            attachment = record.sudo()
            if (
                attachment.res_model == evidence._name
                and attachment.res_field == "datas"
            ):
                evidence = evidence.browse(attachment.res_id)
        evidence._check_intact()
        return super()._record_to_stream(record, field_name)
