from odoo import api, fields, models

from ...tools.values import to_rfc3339
from .qms_sop_run import FINAL_STATES

CLOSING_ACTIVITY = "qms_sop.mail_activity_type_closing_signature"
# Of what a run says of itself: what neither its steps nor its review say. The rest
# goes with the chatter, or names the run to the outside.
_CONTENT = (
    "id",
    "name",
    "state",
    "trigger",
    "source",
    "summary",
    "start_time",
    "end_time",
    "resolution",
    "resolution_time",
    "state_reason",
    "sop_id",
    "severity_id",
    "category_id",
    "error_code_id",
    "user_id",
    "company_id",
)
# How long it took, and what had been promised; since format 2
_CLOCKS = (
    "occurred_at",
    "detected_at",
    "acknowledged_at",
    "acknowledged_by_id",
    "mitigated_at",
    "resolved_at",
    "response_deadline",
    "mitigation_deadline",
    "resolution_deadline",
    "hold_periods",
)
_STEP = (
    "id",
    "step_id",
    "state",
    "user_id",
    "start_time",
    "end_time",
    "actual_result",
    "choice_id",
    "skip_reason",
    "off_path",
)
_ERROR = ("id", "step_id", "error_code_id", "error_message", "occurred_at", "user_id")
_EVIDENCE = (
    "id",
    "step_id",
    "name",
    "size",
    "sha256",
    "mimetype",
    "source",
    "collected_at",
    "user_id",
)
_AMENDMENT = ("id", "reason", "text", "amended_at", "user_id")


class QmsSopRun(models.Model):
    """A finished run is signed; one that was grave needs a closing signature."""

    _name = "qms.sop.run"
    _inherit = ["qms.sop.run", "qms.signed.mixin"]

    # 1: without the clocks
    _signed_format = 2

    closing_signature = fields.Selection(
        [("missing", "Missing"), ("given", "Given")],
        compute="_compute_closing_signature",
        store=True,
        index="btree_not_null",
        help="Whether the closing of this run, which its severity asks to be signed, "
        "has been signed.",
    )

    @api.depends("state")
    def _compute_closing_signature(self):
        ended = self.filtered(lambda run: run.state in ("completed", "failed"))
        asked = self.env["qms.severity"]._asks_for_signature() if ended else ()
        to_sign = ended.filtered(lambda run: run.severity_id.id in asked)
        signed = set()
        if to_sign:
            signatures = self.env["qms.signature"]._of(to_sign, "closed")
            signed = set(signatures.mapped("res_id"))
        (self - to_sign).closing_signature = False
        for run in to_sign:
            run.closing_signature = "given" if run.id in signed else "missing"

    def _after_transition(self, source, target):
        result = super()._after_transition(source, target)
        if target in ("completed", "failed"):
            self._ask_for_closing_signature()
        return result

    def _ask_for_closing_signature(self):
        """Ask those responsible, if they are people, to sign the closing."""
        for run in self:
            user = run.user_id
            if (
                run.closing_signature == "missing"
                and user.active
                and user.has_group("qms_error_code.group_qms_operator")
            ):
                run.activity_schedule(
                    CLOSING_ACTIVITY,
                    summary=self.env._("Sign the closing of %s", run.name),
                    user_id=user.id,
                )

    # === What is signed ===

    def _signed_content(self, covered):
        run = self.with_context(active_test=False)
        rcas = run.rca_ids.filtered(lambda rca: rca.id in covered.get("rca_ids", ()))
        notes = run.amendment_ids.filtered(
            lambda note: note.id in covered.get("amendment_ids", ())
        )
        newer = {}
        if covered.get("format", 1) > 1:
            newer = {"format": covered["format"], **_plain(run, _CLOCKS)}
        return {
            **_plain(run, _CONTENT),
            **newer,
            # Of the revision that it followed, word for word
            "sop_content_hash": run.sop_id.content_hash or "",
            "steps": [_plain(step, _STEP) for step in run.step_ids.sorted("id")],
            "errors": [_plain(error, _ERROR) for error in run.error_ids.sorted("id")],
            "evidence": [
                _plain(evidence, _EVIDENCE)
                for evidence in run.evidence_ids.sorted("id")
            ],
            "rcas": [rca._signed_content({}) for rca in rcas.sorted("id")],
            "amendments": [_plain(note, _AMENDMENT) for note in notes.sorted("id")],
        }

    def _signature_covers(self, meaning):
        # What is added during the review of a finished run, as far as it is sealed
        confirmed = self.rca_ids.filtered(lambda rca: rca.state == "confirmed")
        return {
            **super()._signature_covers(meaning),
            "rca_ids": sorted(confirmed.ids),
            "amendment_ids": sorted(self.amendment_ids.ids),
        }

    def _signature_meanings(self):
        if self.state not in FINAL_STATES:
            return []
        if self.state == "cancelled":
            return ["performed", "reviewed"]
        meanings = ["performed", "reviewed", "verified", "closed"]
        if self.closing_signature == "missing":
            meanings.insert(0, meanings.pop())
        return meanings

    def _signed_name(self):
        return self.name

    def _after_signing(self, signature):
        result = super()._after_signing(signature)
        self._bump_version()
        if signature.meaning == "closed":
            self.env.add_to_compute(self._fields["closing_signature"], self)
            self.activity_feedback(
                [CLOSING_ACTIVITY], feedback=self.env._("Closing signed.")
            )
        return result

    def action_sign_closing(self):
        """Open the dialog that signs the closing."""
        return self._only_one()._open_signing("sign", "closed")


def _plain(record, names):
    """Return fields of a record as JSON can carry them.

    :rtype: dict
    """
    values = {}
    for name in names:
        field, value = record._fields.get(name), record[name]
        if name == "id":
            values[name] = record.id
        elif field.relational:
            values[name] = value.id or 0
        elif field.type == "datetime":
            values[name] = to_rfc3339(value) or ""
        elif field.type == "boolean":
            values[name] = value
        else:
            values[name] = "" if value is False or value is None else value
    return values
