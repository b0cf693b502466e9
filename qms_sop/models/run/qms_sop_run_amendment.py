from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.idempotency import idempotent
from .qms_sop_run import FINAL_STATES


class QmsSopRunAmendment(models.Model):
    """A correction of a finished run: said beside it, never written into it.

    What was recorded first stays readable (21 CFR 11.10 e).
    """

    _name = "qms.sop.run.amendment"
    _description = "Amendment of a run"
    _inherit = ["qms.audit.sealed.mixin"]
    _log_access = False
    _order = "id"
    _rec_name = "reason"

    run_id = fields.Many2one(
        "qms.sop.run", required=True, readonly=True, index=True, ondelete="restrict"
    )
    amended_at = fields.Datetime("When", required=True, readonly=True)
    user_id = fields.Many2one(
        "res.users", "Who", required=True, readonly=True, ondelete="restrict"
    )
    reason = fields.Char("Why", required=True, readonly=True)
    text = fields.Text("What is right", required=True, readonly=True)

    def _refuse(self):
        raise UserError(
            self.env._(
                "An amendment is made by amend(reason, text) of the run, and never "
                "changed or deleted: amend the run again."
            )
        )

    @api.model
    def _amend(self, run, reason, text):
        # Nobody has the right to create one: whoever may write the run gets here.
        return (
            self.sudo()
            ._add_sealed(
                [
                    {
                        "run_id": run.id,
                        "amended_at": fields.Datetime.now(),
                        "user_id": self.env.uid,
                        "reason": reason,
                        "text": text,
                    }
                ]
            )
            .sudo(False)
        )


class QmsSopRun(models.Model):
    _inherit = "qms.sop.run"

    amendment_ids = fields.One2many(
        "qms.sop.run.amendment", "run_id", "Amendments", readonly=True
    )

    @checked
    @idempotent
    def amend(self, reason: str, text: str, idempotency_key: str | None = None) -> dict:
        """Correct what one finished run says, beside it; the run stays as it is.

        :param reason: why it has to be corrected
        :param text: what is right
        :return: ``id``, ``run_id``, ``amended_at`` (RFC 3339, UTC)
        :raises UserError: when the run is not finished, and can still be changed
        :raises ValidationError: when reason or text is empty
        """
        self._only_one().check_access("write")
        for name, value in (("reason", reason), ("text", text)):
            if not value.strip():
                raise ValidationError(
                    self.env._("Argument %s: it is empty; say it in words.", name)
                )
        if self.state not in FINAL_STATES:
            raise UserError(
                self.env._(
                    "%(run)s is %(state)s: change it, instead of amending it.",
                    run=self.display_name,
                    state=self._state_label(self.state),
                )
            )
        note = self.env["qms.sop.run.amendment"]._amend(
            self, reason.strip(), text.strip()
        )
        self.invalidate_recordset(["amendment_ids"])
        self._bump_version()
        return {
            "id": note.id,
            "run_id": self.id,
            "amended_at": f"{note.amended_at.isoformat(timespec='seconds')}Z",
        }
