from odoo import fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.faults import at_field
from ...tools.values import to_rfc3339


class QmsAction(models.Model):
    """That an action worked is found by somebody else, and signed."""

    _inherit = "qms.action"

    # === What is signed ===

    def _signature_covers(self, meaning):
        # Reopened, an action is changed, and what was signed of it stays signed.
        return {
            **super()._signature_covers(meaning),
            "round": self.reopened_count,
            "content": self._content(),
        }

    def _signed_content(self, covered):
        if covered.get("round", self.reopened_count) != self.reopened_count:
            return covered["content"]
        return self._content()

    def _is_signed_by_user(self, meaning):
        return any(
            signature.user_id == self.env.user
            and (signature.covered or {}).get("round") == self.reopened_count
            and signature.content_hash == self._signed_hash(signature.covered)
            for signature in self.env["qms.signature"]._of(self, meaning)
        )

    def _content(self):
        """Return what an action says, as it is now.

        Neither its state nor who found it effective: the signature says that.

        :rtype: dict
        """
        return {
            "id": self.id,
            "reference": self.reference,
            "name": self.name,
            "description": self.description or "",
            "kind": self.kind,
            "type": self.action_type or "",
            "priority": self.priority,
            "horizon": self.horizon,
            "source_type": self.source_type,
            "source_note": self.source_note or "",
            "error_code_id": self.error_code_id.id or 0,
            "cause_id": self.cause_id.id or 0,
            "company_id": self.company_id.id,
            "user_id": self.user_id.id or 0,
            "due_date": self.due_date.isoformat(),
            "result": self.result or "",
            "done_on": to_rfc3339(self.done_on) or "",
            "done_by_id": self.done_by_id.id or 0,
            "check_criteria": self.check_criteria or "",
            "check_date": self.check_date.isoformat() if self.check_date else "",
            "effectiveness": self.effectiveness or "",
        }

    def _signature_meanings(self):
        if self.state == "verified":
            return ["reviewed"]
        own = self.env.user in self._whose_work()
        return ["verified"] if self.state == "done" and not own else []

    def _whose_work(self):
        """Return who cannot find the action effective: whose work it is."""
        return self.user_id | self.done_by_id

    def _check_can_sign(self, meaning, signers):
        super()._check_can_sign(meaning, signers)
        own = signers & self._whose_work()
        if meaning == "verified" and own:
            raise UserError(self._own_work_message(own))

    def _sign(self, meaning, password, comment=None, delegator=None):
        if meaning == "verified":
            # Before anybody is asked for a password
            self._check_verifiable()
        return super()._sign(meaning, password, comment, delegator)

    def _after_signing(self, signature):
        result = super()._after_signing(signature)
        if signature.meaning == "verified":
            self.write({"state": "verified"})
        return result

    # === Effectiveness ===

    def _check_verifiable(self):
        """Refuse to find actions effective that cannot be yet, or not by this user.

        :raises UserError: naming what is missing
        """
        today = fields.Date.context_today(self)
        for action in self:
            action._check_transition(action.state, "verified")
            if self.env.user in action._whose_work():
                raise UserError(action._own_work_message(self.env.user))
            if action.check_date > today:
                raise UserError(
                    self.env._(
                        "%(action)s: whether it worked can be told from %(date)s on. "
                        "If it can be told earlier, move that day first.",
                        action=action.display_name,
                        date=action.check_date,
                    )
                )
            action._check_said(
                "effectiveness", {}, self.env._("say what shows that it worked")
            )

    def _own_work_message(self, people):
        return self.env._(
            "%(action)s is the work of %(people)s; somebody else has to find it "
            "effective.",
            action=self.display_name,
            people=", ".join(people.sudo().mapped("name")),
        )

    def _unsigned_message(self):
        return self.env._(
            "%(action)s: that it worked is signed with the password of whoever found "
            "so, and an API key cannot sign. Sign it in the web client, or log in with "
            "the password and call verify(effectiveness, password).",
            action=self.display_name,
        )

    def action_sign_effective(self):
        """Open the dialog that signs an action as effective."""
        self._only_one()._check_verifiable()
        return self._open_signing("sign", "verified")

    @checked
    def verify(
        self,
        effectiveness: str,
        password: object,
        comment: str | None = None,
        on_behalf_of: str | None = None,
    ) -> dict:
        """Find one action effective, and sign that.

        :param effectiveness: what shows that it worked
        :param password: the user's own; no API key
        :param comment: shown with the signature
        :param on_behalf_of: login of who has delegated it
        :return: the signature, as in ``sign()``, and ``state``
        :raises UserError: when the action is not done, the day of the check has not
            come, it is the user's own work, or the password is not right
        """
        self._only_one()
        if not effectiveness.strip():
            with at_field("effectiveness"):
                raise ValidationError(
                    self.env._("Argument effectiveness: say what shows that it worked.")
                )
        self._check_transition(self.state, "verified")
        self.write({"effectiveness": effectiveness})
        signature = self._sign(
            "verified", password, comment, self._delegator(on_behalf_of)
        )
        return {**signature._to_rpc(), "state": self.state}
