from markupsafe import Markup

from odoo import fields, models
from odoo.exceptions import UserError

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.values import to_rfc3339

from ...tools.faults import NotReadyError
from ...tools.postmortem_sections import OF_LESSONS, SECTIONS, TEXTS
from ..incident.qms_incident import OVER_STATES

# Without these nobody learns anything from it.
_NEEDED = {
    "full": ("summary", "root_cause", "impact", "resolution", "detection"),
    "quick": ("summary", "root_cause", "resolution"),
}
_REVIEWS = ("reviewers", "reviews")


class QmsPostmortem(models.Model):
    """A post-mortem is published by a signature, which seals it."""

    _name = "qms.postmortem"
    _inherit = ["qms.postmortem", "qms.signed.mixin"]

    missing = fields.Json("Missing for publishing", compute="_compute_missing")
    missing_count = fields.Integer(compute="_compute_missing")
    missing_html = fields.Html(
        "What is missing", compute="_compute_missing", sanitize=False
    )

    def _compute_missing(self):
        for postmortem in self:
            there = postmortem._origin and postmortem.state != "published"
            missing = postmortem._missing() if there else []
            postmortem.missing = missing
            postmortem.missing_count = len(missing)
            items = Markup("").join(
                Markup("<li>%s</li>") % one["text"] for one in missing
            )
            postmortem.missing_html = Markup("<ul class='mb-0'>%s</ul>") % items

    # === What is missing ===

    def _missing(self):
        """Return what one post-mortem still needs before it is published.

        :return: dicts with ``code`` (stable) and ``text``; none once it is published
        :rtype: list[dict]
        """
        self.ensure_one()
        if self.state == "published":
            return []
        found = [*self._sections_missing(), *self._reviews_missing()]
        if self.incident_id.state not in OVER_STATES:
            found.append(
                (
                    "incident",
                    self.env._(
                        "The incident is %s: it has to be resolved first.",
                        self.incident_id._state_label(self.incident_id.state).lower(),
                    ),
                )
            )
        return [{"code": code, "text": text} for code, text in found]

    def _sections_missing(self):
        """Return what is not written yet; before that, nobody reviews it.

        :return: codes and texts
        :rtype: list[tuple[str, str]]
        """
        headings = dict(SECTIONS[self.kind])
        found = [
            (name, self.env._("%s is not written.", headings[name]))
            for name in _NEEDED[self.kind]
            if not (self[name] or "").strip()
        ]
        if self.kind == "quick" and self.incident_id._is_grave():
            found.append(
                (
                    "kind",
                    self.env._("Critical and high incidents need the full form."),
                )
            )
        if self.kind == "full" and not any(
            (self[name] or "").strip() for name in OF_LESSONS
        ):
            found.append(
                (
                    "lessons",
                    self.env._(
                        "Lessons Learned: say what went well or wrong, where there was "
                        "luck, or what was learned."
                    ),
                )
            )
        measures = (self.preventive_measures or "").strip()
        if not measures and not self._document_actions():
            found.append(
                (
                    "preventive_measures",
                    self.env._(
                        "Neither preventive measures nor an action: say what keeps it "
                        "from happening again."
                    ),
                )
            )
        return found

    def _reviews_missing(self):
        """Return whose review is missing; the quick form needs only those asked for.

        :return: codes and texts
        :rtype: list[tuple[str, str]]
        """
        others = self.participant_ids.filtered(
            lambda one: one.user_id != self.author_id
        )
        if self.kind == "full" and not others:
            return [
                ("reviewers", self.env._("Nobody but the author has a part in it."))
            ]
        waiting = others.filtered(lambda one: one.verdict != "reviewed")
        if not waiting:
            return []
        # sudo: who takes part is told to everybody who sees it
        names = ", ".join(waiting.user_id.sudo().mapped("name"))
        return [("reviews", self.env._("Not reviewed yet by: %s.", names))]

    # === Publishing ===

    def _prepare_transition(self, source, target, vals):
        values = super()._prepare_transition(source, target, vals)
        if target == "in_review":
            for postmortem in self:
                postmortem._check_ready(postmortem._sections_missing())
        elif target == "draft" and not (vals.get("state_reason") or "").strip():
            with at_field("reason"):
                raise UserError(
                    self.env._(
                        "%s: say why it goes back to draft (reason).",
                        self[0].display_name,
                    )
                )
        elif target == "published":
            for postmortem in self:
                postmortem._check_publishable()
                if not postmortem._is_signed_by_user("published"):
                    raise UserError(postmortem._unsigned_message())
            values |= {
                "published_at": fields.Datetime.now(),
                "published_by_id": self.env.uid,
            }
        return values

    def _check_ready(self, missing):
        """Refuse to go on while something is missing.

        :param missing: codes and texts
        """
        if missing:
            raise NotReadyError(
                self.env._("%s is not ready. Missing:", self.display_name),
                [{"code": code, "text": text} for code, text in missing],
            )

    def _check_publishable(self, waiver=None):
        """Refuse to publish what is not complete, or not reviewed.

        :param str waiver: a manager's reason to do without the missing reviews
        """
        self._check_transition(self.state, "published")
        missing = [(one["code"], one["text"]) for one in self._missing()]
        if self._may_waive():
            if (waiver or self.review_waiver or "").strip():
                missing = [one for one in missing if one[0] not in _REVIEWS]
            elif missing and {code for code, _text in missing} <= set(_REVIEWS):
                missing.append(
                    (
                        "reason",
                        self.env._(
                            "As a manager you can publish it all the same: say why "
                            "(comment, reason)."
                        ),
                    )
                )
        self._check_ready(missing)

    def _may_waive(self):
        return self.env.user.has_group("qms_error_code.group_qms_manager")

    def _unsigned_message(self):
        return self.env._(
            "%s is published by a signature with the password or passkey of whoever "
            "publishes it, and an API key cannot sign. Publish it in the web client, "
            "or log in with the password and call publish(password).",
            self.display_name,
        )

    def action_publish(self):
        """Open the dialog that publishes one post-mortem by a signature."""
        self._only_one()
        # What is missing for good is said before anybody is asked for a password.
        self._check_publishable(self._may_waive() and "?")
        return self._open_signing("sign", "published")

    @checked
    def publish(
        self,
        password: object,
        reason: str | None = None,
        on_behalf_of: str | None = None,
    ) -> dict:
        """Publish one post-mortem: sign it, and seal it.

        :param password: the user's own; no API key
        :param reason: why it is published although reviews are missing; managers only.
            Otherwise a comment that is shown with the signature
        :param on_behalf_of: login of who has delegated it
        :return: the signature, as in ``sign()``, and ``state``
        :raises UserError: when something is missing, or the password is not right
        """
        self._only_one()
        signature = self._sign(
            "published", password, reason, self._delegator(on_behalf_of)
        )
        return {**signature._to_rpc(), "state": self.state}

    # === Signing ===

    def _signature_meanings(self):
        return {"in_review": ["published"], "published": ["reviewed"]}.get(
            self.state, []
        )

    def _sign(self, meaning, password, comment=None, delegator=None):
        if meaning == "published":
            self.check_access("write")
            self._check_publishable(comment)
            # The timeline is what it is now; what happens later is told elsewhere.
            values = {"timeline": self._timeline_text()}
            if self._reviews_missing():
                values["review_waiver"] = comment.strip()
            self._write_system(values)
        return super()._sign(meaning, password, comment, delegator)

    def _after_signing(self, signature):
        result = super()._after_signing(signature)
        if signature.meaning == "published":
            self.write({"state": "published"})
        return result

    def _signature_covers(self, meaning):
        # Actions that are raised later are no part of what was signed; by what they are
        # called, as they are purged before it.
        return {
            **super()._signature_covers(meaning),
            "actions": sorted(self._document_actions().mapped("reference")),
        }

    def _signed_content(self, covered):
        # Not why reviews were waived: that is the comment of the signature itself.
        return {
            "id": self.id,
            "name": self.name,
            "incident_id": self.incident_id.id,
            "company_id": self.company_id.id,
            "kind": self.kind,
            "title": self.title,
            "timeline": self._timeline_text(),
            **{name: self[name] or "" for name in TEXTS},
            "whys": [
                [why.question, why.answer, why.evidence or ""]
                for why in self.why_ids.sorted(lambda why: (why.sequence, why.id))
            ],
            "actions": covered.get("actions", []),
            "author_id": self.author_id.id or 0,
            "participants": sorted(
                [
                    one.user_id.id,
                    one.role or "",
                    one.verdict or "",
                    to_rfc3339(one.reviewed_at) or "",
                    one.comment or "",
                ]
                for one in self.participant_ids
            ),
            "meeting_at": to_rfc3339(self.meeting_at) or "",
        }

    def _publishing_signature(self):
        """Return the signature by which it was published, in plain values.

        :rtype: dict | None
        """
        found = self.env["qms.signature"]._of(self, "published")
        if self.state != "published" or not found:
            return None
        said = found[-1]._to_rpc()
        return {name: said[name] for name in ("signer", "signed_at", "sha256", "valid")}
