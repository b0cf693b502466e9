from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.models.audit.qms_audit_event import protect
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.idempotency import idempotent
from odoo.addons.qms_sop.tools.values import to_rfc3339


class QmsPostmortemAmendment(models.Model):
    """A correction of a published post-mortem: said beside it, never written into it.

    What was published first stays readable (21 CFR 11.10 e).
    """

    _name = "qms.postmortem.amendment"
    _description = "Amendment of a post-mortem"
    _inherit = ["qms.audit.sealed.mixin", "qms.audit.mixin"]
    _log_access = False
    _order = "id"
    _rec_name = "reason"
    _audit_created_kind = "amended"
    _audit_root_path = "postmortem_id"
    _audit_reasons = ("reason",)
    _audit_ignored = frozenset({"amended_at", "user_id"})

    postmortem_id = fields.Many2one(
        "qms.postmortem", required=True, readonly=True, index=True, ondelete="restrict"
    )
    amended_at = fields.Datetime("When", required=True, readonly=True)
    user_id = fields.Many2one(
        "res.users", "Who", required=True, readonly=True, ondelete="restrict"
    )
    reason = fields.Char("Why", required=True, readonly=True)
    text = fields.Text("What is right", required=True, readonly=True)

    def init(self):
        super().init()
        protect(self.env, self._table)

    def _refuse(self):
        raise UserError(
            self.env._(
                "An amendment is made by amend(reason, text) of the post-mortem, and "
                "never changed or deleted: amend it again."
            )
        )

    @api.model
    def _amend(self, postmortem, reason, text):
        # Nobody has the right to create one: whoever may write the record gets here.
        return (
            self.sudo()
            ._add_sealed(
                [
                    {
                        "postmortem_id": postmortem.id,
                        "amended_at": fields.Datetime.now(),
                        "user_id": self.env.uid,
                        "reason": reason,
                        "text": text,
                    }
                ]
            )
            .sudo(False)
        )

    def _to_dict(self):
        self.ensure_one()
        return {
            "id": self.id,
            "amended_at": to_rfc3339(self.amended_at),
            "user_id": self.user_id.id,
            "reason": self.reason,
            "text": self.text,
        }


class QmsPostmortem(models.Model):
    _inherit = "qms.postmortem"

    amendment_ids = fields.One2many(
        "qms.postmortem.amendment", "postmortem_id", "Amendments", readonly=True
    )

    @checked
    @idempotent
    def amend(self, reason: str, text: str, idempotency_key: str | None = None) -> dict:
        """Correct what one published post-mortem says, beside it.

        :param reason: why it has to be corrected
        :param text: what is right; Markdown
        :return: ``id``, ``amended_at`` (RFC 3339, UTC), ``user_id``, ``reason``,
            ``text``
        :raises UserError: when it is not published, and can still be changed
        :raises ValidationError: when reason or text is empty
        """
        self._only_one().check_access("write")
        for name, value in (("reason", reason), ("text", text)):
            if not value.strip():
                with at_field(name):
                    raise ValidationError(
                        self.env._("Argument %s: it is empty; say it in words.", name)
                    )
        if self.state != "published":
            raise UserError(
                self.env._(
                    "%(postmortem)s is %(state)s: change it, instead of amending it.",
                    postmortem=self.display_name,
                    state=self._state_label(self.state).lower(),
                )
            )
        note = self.env["qms.postmortem.amendment"]._amend(
            self, reason.strip(), text.strip()
        )
        self.invalidate_recordset(["amendment_ids"])
        self._bump_version()
        return note._to_dict()

    def _to_dict(self):
        amendments = [one._to_dict() for one in self.amendment_ids]
        return {**super()._to_dict(), "amendments": amendments}
