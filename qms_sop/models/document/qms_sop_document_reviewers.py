from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command

from odoo.addons.qms_error_code.tools.arguments import checked

from .qms_sop_document import AUTHOR_GROUP, MANAGER_GROUP, REVIEW_ACTIVITY


class QmsSopDocument(models.Model):
    """What named reviewers say of a revision before it can be approved.

    ISO 9001:2015 7.5.2 c asks for review and approval. Whoever is named as a
    reviewer has to say that there is no objection, or sends the revision back; a
    manager approves it after all of them. A manager may name others meanwhile.
    """

    _inherit = "qms.sop.document"

    reviewed_by_ids = fields.Many2many(
        "res.users",
        "qms_sop_document_reviewed_rel",
        "document_id",
        "user_id",
        "No objection from",
        readonly=True,
        copy=False,
        help="The reviewers who looked at this revision and agree to it.",
    )
    pending_reviewer_ids = fields.Many2many(
        "res.users",
        string="Still to review",
        compute="_compute_pending_reviewer_ids",
        help="It cannot be approved before they have looked at it.",
    )
    awaits_my_review = fields.Boolean(compute="_compute_awaits_my_review")
    can_send_back = fields.Boolean(compute="_compute_can_send_back")

    @api.depends("state", "reviewer_ids", "reviewed_by_ids")
    def _compute_pending_reviewer_ids(self):
        for document in self:
            document.pending_reviewer_ids = (
                document.reviewer_ids - document.reviewed_by_ids
                if document.state == "in_review"
                else False
            )

    @api.depends("pending_reviewer_ids")
    @api.depends_context("uid")
    def _compute_awaits_my_review(self):
        for document in self:
            document.awaits_my_review = self.env.user in document.pending_reviewer_ids

    @api.depends("state", "reviewer_ids")
    @api.depends_context("uid")
    def _compute_can_send_back(self):
        manager = self.env.user.has_group(MANAGER_GROUP)
        for document in self:
            document.can_send_back = document.state == "in_review" and (
                manager or self.env.user in document.reviewer_ids
            )

    def write(self, vals):
        if "reviewer_ids" not in vals:
            return super().write(vals)
        before = {document: document.reviewer_ids for document in self}
        result = super().write(vals)
        for document in self:
            if document.state == "in_review":
                document._check_reviewers()
                document._ask_reviewers(document.reviewer_ids - before[document])
                for user in before[document] - document.reviewer_ids:
                    document.activity_unlink([REVIEW_ACTIVITY], user_id=user.id)
        return result

    def _check_reviewers(self):
        """Refuse reviewers who may not say anything about it."""
        super()._check_reviewers()
        others = self.reviewer_ids.filtered(
            lambda user: not user.has_group(AUTHOR_GROUP)
        )
        if others:
            raise UserError(
                self.env._(
                    "%(sop)s: %(people)s cannot review it, because reviewers need "
                    "the rights of an author. Name other reviewers.",
                    sop=self.display_name,
                    people=", ".join(others.mapped("name")),
                )
            )

    @checked
    def record_review(self, comment: str | None = None) -> dict:
        """Say, as a named reviewer, that there is no objection to a revision.

        :param comment: what was looked at; kept in the history
        :return: ``id`` and ``pending`` (names of those who still have to review it)
        :raises UserError: when the revision is not in review
        :raises AccessError: for those who are not named as reviewers
        """
        self._only_one().check_access("read")
        if self.state != "in_review":
            raise UserError(
                self.env._(
                    "%(sop)s is %(state)s: only a revision in review is reviewed.",
                    sop=self.display_name,
                    state=self._state_label(self.state),
                )
            )
        user = self.env.user
        if user not in self.reviewer_ids:
            raise AccessError(
                self.env._(
                    "%(sop)s: its reviewers are %(people)s, and nobody else says that "
                    "there is no objection.",
                    sop=self.display_name,
                    people=", ".join(self.reviewer_ids.mapped("name"))
                    or self.env._("nobody"),
                )
            )
        if user not in self.reviewed_by_ids:
            self._write_system({"reviewed_by_ids": [Command.link(user.id)]})
            self._tell_review(comment or "")
        return {"id": self.id, "pending": self.pending_reviewer_ids.mapped("name")}

    def _tell_review(self, comment):
        """Note in the history that the user agrees."""
        told = f"{self.env._('Reviewed, no objection.')} {comment.strip()}".strip()
        asked = self.activity_search([REVIEW_ACTIVITY], user_id=self.env.uid)
        if asked:
            asked.action_feedback(feedback=told)
        else:
            self.message_post(body=told)

    def action_record_review(self):
        """Say that there is no objection."""
        self.record_review()
        return True

    def _prepare_in_review(self, source, vals):
        values = super()._prepare_in_review(source, vals)
        self._write_system({"reviewed_by_ids": [Command.clear()]})
        return values

    def _prepare_approved(self, source, vals):
        self._check_is_manager()
        for document in self:
            waiting = document.reviewer_ids - document.reviewed_by_ids - self.env.user
            if waiting:
                raise UserError(
                    self.env._(
                        "%(sop)s still waits for the review by %(people)s. They agree "
                        "to it or send it back; a QMS manager can also name other "
                        "reviewers.",
                        sop=document.display_name,
                        people=", ".join(waiting.mapped("name")),
                    )
                )
            if self.env.user in document.reviewer_ids - document.reviewed_by_ids:
                document._write_system(
                    {"reviewed_by_ids": [Command.link(self.env.uid)]}
                )
        return super()._prepare_approved(source, vals)

    def _check_may_send_back(self):
        if not all(document.can_send_back for document in self):
            super()._check_may_send_back()
