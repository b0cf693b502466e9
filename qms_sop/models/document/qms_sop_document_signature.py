import threading

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError
from odoo.http import request
from odoo.tools import str2bool

from odoo.addons.qms_error_code.tools.arguments import checked

from .qms_sop_document import MANAGER_GROUP

# System parameter: "False" lets a revision be approved without a signature.
APPROVAL_SIGNATURE = "qms_sop.approval_signature"


class QmsSopDocument(models.Model):
    """A revision is approved by a signature."""

    _name = "qms.sop.document"
    _inherit = ["qms.sop.document", "qms.signed.mixin"]

    # 1: the procedure alone
    _signed_format = 2

    approval_signature = fields.Boolean(compute="_compute_approval_signature")

    @api.depends_context("uid")
    def _compute_approval_signature(self):
        self.approval_signature = self._approval_signature()

    # === What is signed ===

    def _signed_hash(self, covered=None):
        if (covered or {}).get("format", 1) == 1:
            # What was submitted, word for word, and nothing about the revision
            return self._content_hash()
        return super()._signed_hash(covered)

    def _signed_content(self, covered):
        return {
            "format": covered["format"],
            # Of the procedure, word for word; see the field content_hash
            "content_hash": self._content_hash(),
            "id": self.id,
            "code": self.code,
            "version": self.version,
            "revision": self.revision,
            "change_summary": self.change_summary or "",
            "effective_date": self._signed_effective_date(covered),
            "author_id": self.author_id.id or 0,
            "contributor_ids": sorted(self.contributor_ids.ids),
            "previous_id": self.previous_id.id or 0,
            "company_id": self.company_id.id or 0,
        }

    def _signed_effective_date(self, covered):
        """Return the day from which on the revision holds, as a signature has it.

        :rtype: str
        """
        if not covered.get("effective_date"):
            return ""
        if not self.effective_date and self.state == "in_review":
            # What the approval is about to write
            return str(fields.Date.context_today(self))
        return str(self.effective_date or "")

    def _signature_covers(self, meaning):
        # An approval says from when on the revision holds: from that day, when nobody
        # named another one. Who signed before that, signed no date.
        return {
            **super()._signature_covers(meaning),
            "effective_date": bool(self.effective_date) or meaning == "approved",
        }

    def _signature_meanings(self):
        if self.state not in ("draft", "in_review", "approved"):
            return []
        own = self.env.user in self.contributor_ids | self.author_id
        if self.state == "draft":
            return ["authored"] if own else []
        meanings = ["authored"] if own else []
        if not own or not self._four_eyes():
            meanings.append("reviewed")
        return meanings

    def _check_can_sign(self, meaning, signers):
        super()._check_can_sign(meaning, signers)
        authors = self.contributor_ids | self.author_id
        if meaning in ("reviewed", "approved") and self._four_eyes():
            own = signers & authors
            if own:
                raise UserError(
                    self.env._(
                        "%(sop)s: %(people)s wrote or changed this revision, and it is "
                        "signed as “%(meaning)s” by others, and for others.",
                        sop=self.display_name,
                        people=", ".join(own.sudo().mapped("name")),
                        meaning=meaning,
                    )
                )

    # === Approval ===

    @api.model
    def _approval_signature(self):
        """Tell whether an approval needs a signature (by default, yes)."""
        parameters = self.env["ir.config_parameter"].sudo()  # managers read no others
        if not str2bool(parameters.get_param(APPROVAL_SIGNATURE, "True"), True):
            return False
        return not self._is_system_at_work()

    @api.model
    def _is_system_at_work(self):
        """Tell whether it is the system that acts: an installation, or a shell.

        It has no password and signs nothing; nobody gets there by a request, and no
        scheduled job does. What it approves has no signature, for everybody to see.
        """
        if self.env.uid != SUPERUSER_ID:
            return False
        # Odoo hides the request from remote calls, but notes who makes them.
        asked = request or getattr(threading.current_thread(), "uid", None)
        job = self.env.context.get("cron_id")
        return not (self.env.registry.ready and (asked or job))

    def _check_approvable(self):
        """Refuse, before anybody is asked for a password, what will be refused."""
        self._check_is_manager()
        for document in self:
            document._check_transition(document.state, "approved")
            document._check_four_eyes()

    def _prepare_approved(self, source, vals):
        if self._approval_signature():
            self._check_approvable()
            for document in self:
                if not document._is_signed_by_user("approved"):
                    raise UserError(document._unsigned_message())
        return super()._prepare_approved(source, vals)

    def _unsigned_message(self):
        return self.env._(
            "%(sop)s: an approval is signed with the password of the person who gives "
            "it, and an API key cannot sign. Approve it in the web client, or log in "
            "with the password and call sign_and_approve(password, comment).",
            sop=self.display_name,
        )

    def action_approve(self):
        """Approve reviewed revisions, or ask for the signature that this needs.

        :return: ``True``, or the action of the signing dialog
        :raises UserError: for remote calls, when a signature is needed
        """
        if not self._approval_signature():
            return super().action_approve()
        self._check_approvable()
        if not self._is_web_client():
            raise UserError(self[:1]._unsigned_message())
        return self._only_one()._open_signing("approve", "approved")

    @api.model
    def _is_web_client(self):
        return bool(request) and request.httprequest.path.startswith("/web/dataset/")

    @checked
    def sign_and_approve(
        self,
        password: object,
        comment: str | None = None,
        on_behalf_of: str | None = None,
    ) -> dict:
        """Sign one revision in review as approved, and approve it.

        :param password: the user's own; a remote call has to be authenticated by
            it, too
        :param comment: shown with the signature
        :param on_behalf_of: login of who has delegated it
        :return: the signature, as in ``sign()``, and ``state``
        :raises UserError: see ``sign()``; and when the revision is not to be approved
        """
        self._only_one()
        signature = self._sign_and_approve(
            password, comment, self._delegator(on_behalf_of)
        )
        return {**signature._to_rpc(), "state": self.state}

    def _sign_and_approve(self, password, comment=None, delegator=None):
        self.check_access("write")
        self._check_approvable()
        if delegator and not delegator.sudo().has_group(MANAGER_GROUP):
            raise UserError(
                self.env._(
                    "%(person)s is no QMS manager: nobody approves on behalf of that "
                    "person.",
                    person=delegator.sudo().name,
                )
            )
        if not self.effective_date:
            # It is signed, too; without it, the approval would fill it in afterwards.
            self._write_system({"effective_date": fields.Date.context_today(self)})
        signature = self._sign_verified("approved", password, comment, delegator)
        self.write({"state": "approved"})
        return signature
