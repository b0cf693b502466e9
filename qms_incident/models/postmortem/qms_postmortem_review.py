from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.idempotency import idempotent
from odoo.addons.qms_sop.tools.zones import in_utc

# Codes of the templates; each asks somebody to do something.
_REVIEW, _CHANGES, _REVIEWED = (
    "postmortem_review",
    "postmortem_changes",
    "postmortem_reviewed",
)


class QmsPostmortem(models.Model):
    """Those who took part read it, and say that it is right, or what is not."""

    _name = "qms.postmortem"
    _inherit = ["qms.postmortem", "qms.notification.source.mixin"]

    to_review = fields.Boolean(
        "Waits for your review", compute="_compute_reviews", compute_sudo=False
    )
    reviewed_count = fields.Integer("Reviews", compute="_compute_reviews")
    reviewer_count = fields.Integer("Reviewers", compute="_compute_reviews")

    @api.depends("state", "author_id", "participant_ids.verdict")
    @api.depends_context("uid")
    def _compute_reviews(self):
        for postmortem in self:
            others = postmortem._reviewers()
            reviewed = others.filtered(lambda one: one.verdict == "reviewed")
            mine = others.filtered(lambda one: one.user_id == self.env.user)
            postmortem.reviewer_count = len(others)
            postmortem.reviewed_count = len(reviewed)
            postmortem.to_review = bool(
                postmortem.state == "in_review" and mine and not mine.verdict
            )

    def _reviewers(self):
        """Return the participants whose review is needed: all but the author."""
        return self.participant_ids.filtered(
            lambda one: one.user_id != one.postmortem_id.author_id
        )

    # === RPC ===

    @checked
    @idempotent
    def review(
        self, comment: str | None = None, idempotency_key: str | None = None
    ) -> dict:
        """Say of one post-mortem that one has reviewed it, as it is.

        :param comment: what there is to say about it
        :return: the post-mortem as in :meth:`get_postmortem`
        :raises UserError: when it is not in review, or the user takes no part in it
        """
        self._only_one()._review("reviewed", comment)
        return self._to_rpc()

    @checked
    @idempotent
    def request_changes(self, comment: str, idempotency_key: str | None = None) -> dict:
        """Say of one post-mortem that something in it is not right yet.

        :param comment: what, for the author
        :return: the post-mortem as in :meth:`get_postmortem`
        :raises UserError: when it is not in review, or the user takes no part in it
        """
        self._only_one()._review("changes", comment)
        return self._to_rpc()

    def _review(self, verdict, comment=None):
        """Note the review of the user.

        :param str verdict: ``reviewed`` or ``changes``
        :param str comment: needed where changes are asked for
        """
        self.check_access("write")
        mine = self.participant_ids.filtered(lambda one: one.user_id == self.env.user)
        if self.state != "in_review":
            raise UserError(
                self.env._(
                    "%(postmortem)s is %(state)s; it is reviewed once it was handed in "
                    "for review.",
                    postmortem=self.display_name,
                    state=self._state_label(self.state).lower(),
                )
            )
        if not mine or self.author_id == self.env.user:
            raise UserError(
                self.env._(
                    "%s is reviewed by its participants, its author left out. Add "
                    "yourself to them first, if you had a part in the incident.",
                    self.display_name,
                )
            )
        if verdict == "changes" and not (comment or "").strip():
            with at_field("comment"):
                raise ValidationError(
                    self.env._("Argument comment: say what is to be changed.")
                )
        mine._give(verdict, comment)
        self._no_longer_ask(self.env.user)
        if verdict == "changes":
            self._ask(self.author_id, _CHANGES, reviewer=mine.user_id.name)
        elif not self._reviews_missing():
            self._ask(self.author_id, _REVIEWED)

    # === Transitions ===

    def write(self, vals):
        # Who is added while it is reviewed is asked for a review as well.
        asked = {one: one._reviewers() for one in self if one.state == "in_review"}
        result = super().write(vals)
        if "participant_ids" in vals:
            for postmortem, before in asked.items():
                postmortem._ask((postmortem._reviewers() - before).user_id, _REVIEW)
        return result

    def _after_transition(self, source, target):
        result = super()._after_transition(source, target)
        for postmortem in self:
            if target != "in_review":
                self.env["qms.notification"]._settle(postmortem)
            if target == "in_review":
                # What was said about an earlier text is no review of this one.
                postmortem.participant_ids._give(False)
                postmortem._no_longer_ask(postmortem.author_id)
                postmortem._ask(postmortem._reviewers().user_id, _REVIEW)
            elif target == "draft" and postmortem.author_id != self.env.user:
                postmortem._ask(
                    postmortem.author_id, _CHANGES, reviewer=self.env.user.name
                )
        return result

    # === Notifications ===

    def _remind_reviewers(self):
        """Ask those again who have not said anything about what is in review."""
        for postmortem in self.filtered(lambda one: one.state == "in_review"):
            waiting = postmortem._reviewers().filtered(lambda one: not one.verdict)
            people = waiting.user_id
            self.env["qms.notification"]._activities_of(
                postmortem, users=people
            ).unlink()
            postmortem._ask(people, _REVIEW)

    def _ask(self, people, event, **values):
        """Tell people of what they are asked to do; it is due with the post-mortem.

        :param people: res.users records
        :param str event: code of a template
        :param values: further values of the template
        """
        people -= self.env.user
        if not people:
            return
        moment = self.env.cr.now().isoformat()
        told = self.env["qms.notification"]._enqueue(
            event,
            self,
            key=f"postmortem:{self.id}:{event}:{moment}",
            users=people,
            values=values,
        )
        # sudo: nobody reads the outbox; of other people's activities, too
        activities = told.sudo().activity_id
        if activities and self.due_at:
            today = fields.Date.context_today(self)
            activities.date_deadline = max(self.due_at.date(), today)

    def _no_longer_ask(self, people):
        """Mark as done what people were asked for.

        :param people: res.users records
        """
        activities = self.env["qms.notification"]._activities_of(self, users=people)
        activities.with_context(mail_activity_quick_update=True).action_done()

    @api.model
    def _notification_names(self):
        return {
            **super()._notification_names(),
            "title": self.env._("what happened, in a line"),
            "incident": self.env._("number of the incident"),
            "author": self.env._("who writes it"),
            "due": self.env._("when it is to be published, UTC"),
            "reason": self.env._("why it was taken back to draft"),
            "changes": self.env._("what reviewers ask for, one a line"),
        }

    def _notification_values(self):
        asked = self.participant_ids.filtered(lambda one: one.verdict == "changes")
        return {
            **super()._notification_values(),
            "name": self.name,
            "title": self.title,
            "incident": self.incident_id.name,
            "author": self.author_id.sudo().name,
            "due": in_utc(self.due_at),
            "reason": self.state_reason,
            "changes": [f"{one.user_id.sudo().name}: {one.comment}" for one in asked],
        }

    def _notification_url(self):
        return f"{self.get_base_url()}/odoo/qms-postmortems/{self.id}"

    def _notification_severity(self):
        return self.severity_id

    def _notification_thread(self):
        return self.incident_id._notification_thread()
