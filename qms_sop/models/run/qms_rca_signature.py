from odoo import models

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.values import to_rfc3339


class QmsRca(models.Model):
    """An analysis can be signed when it is confirmed, and afterwards."""

    _name = "qms.rca"
    _inherit = ["qms.rca", "qms.signed.mixin"]

    def _signed_content(self, covered):
        return {
            "id": self.id,
            "name": self.name,
            "run_id": self.run_id.id,
            "state": self.state,
            "error_code_id": self.error_code_id.id,
            "whys": [
                [why.question, why.answer, why.evidence or ""]
                for why in self.why_ids.sorted(lambda why: (why.sequence, why.id))
            ],
            "root_cause": self.root_cause or "",
            "cause_id": self.cause_id.id,
            "factors": self.factor_ids.sorted(
                lambda factor: (factor.sequence, factor.id)
            ).mapped("name"),
            "fix_type": self.fix_type or "",
            "fix": self.fix or "",
            "verification": self.verification or "",
            "confirmed_by_id": self.confirmed_by_id.id,
            "confirmed_on": to_rfc3339(self.confirmed_on),
        }

    def _signature_meanings(self):
        return ["verified", "reviewed"] if self.state == "confirmed" else []

    def _signed_name(self):
        return f"{self.name} ({self.run_id.name})"

    def action_sign_confirm(self):
        """Open the dialog that confirms an analysis by a signature."""
        self._only_one()
        self._check_transition(self.state, "confirmed")
        return self._open_signing("confirm", "verified")

    @checked
    def sign_and_confirm(
        self,
        password: object,
        comment: str | None = None,
        on_behalf_of: str | None = None,
    ) -> dict:
        """Confirm one analysis, and sign it as verified.

        :param password: the user's own
        :param comment: shown with the signature
        :param on_behalf_of: login of who has delegated it
        :return: the signature, as in ``sign()``, and ``state``
        """
        self._only_one()
        signature = self._sign_and_confirm(
            password, comment, self._delegator(on_behalf_of)
        )
        return {**signature._to_rpc(), "state": self.state}

    def _sign_and_confirm(self, password, comment=None, delegator=None):
        # The signature says who confirmed it, and when.
        self.write({"state": "confirmed"})
        return self._sign("verified", password, comment, delegator)
