from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.models.run.qms_sop_run import OPEN_STATES as OPEN_RUNS
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.values import to_rfc3339

from ...tools.faults import NotReadyError
from .qms_incident_rpc import PLAIN

# Incidents of these severities need all five whys, an action and a post-mortem.
GRAVE = ("critical", "high")
WHYS = 5
_TEXTS = ("prevention", "documentation", "team_told", "postmortem_link")
PLAIN.update({name: name for name in _TEXTS})


class QmsIncident(models.Model):
    """Nothing is closed of which something is missing, or somebody signs for it.

    The list is that of the runbooks' investigation checklist: timeline with evidence,
    impact, cause by five whys, fix verified, prevention, actions, documentation, team
    told; and the post-mortem, where the severity requires one.
    """

    _name = "qms.incident"
    _inherit = ["qms.incident", "qms.signed.mixin"]

    prevention = fields.Text(
        copy=False, help="What keeps it from happening again, or why nothing can."
    )
    documentation = fields.Text(
        copy=False,
        help="Which documents were corrected: SOPs, catalogue, thresholds; or why none "
        "had to be.",
    )
    team_told = fields.Text(
        "Team told", copy=False, help="Who was told what was learned, and where."
    )
    postmortem_link = fields.Char(
        "Post-mortem", copy=False, help="Where the post-mortem can be read."
    )
    override_reason = fields.Text("Closed all the same", readonly=True, copy=False)
    override_missing = fields.Text("Missing then", readonly=True, copy=False)
    override_told = fields.Char("Missing, in words", compute="_compute_override_told")
    missing = fields.Json("Missing for closing", compute="_compute_missing")
    missing_count = fields.Integer("Still missing", compute="_compute_missing")
    missing_html = fields.Html(
        "What is missing", compute="_compute_missing", sanitize=False
    )
    can_override = fields.Boolean(compute="_compute_can_override")

    def _compute_missing(self):
        for incident in self:
            final = incident._is_final() or not incident._origin
            missing = [] if final else incident._missing()
            incident.missing = missing
            incident.missing_count = len(missing)
            items = Markup("").join(
                Markup("<li>%s</li>") % one["text"] for one in missing
            )
            incident.missing_html = Markup("<ul class='mb-0'>%s</ul>") % items

    @api.depends_context("uid")
    def _compute_can_override(self):
        manager = self._may_override()
        for incident in self:
            incident.can_override = bool(
                manager and incident.state == "reviewed" and incident.missing_count
            )

    @api.model
    def _may_override(self):
        return self.env.user.has_group("qms_error_code.group_qms_manager")

    @api.depends("override_missing")
    @api.depends_context("lang")
    def _compute_override_told(self):
        labels = self._missing_labels()
        for incident in self:
            codes = (incident.override_missing or "").split()
            told = ", ".join(labels.get(code, code) for code in codes)
            incident.override_told = f"{told[:1].upper()}{told[1:]}"

    # === What is missing ===

    @api.model
    def _missing_labels(self):
        """Return what people call the things that closing needs.

        :return: ``{code: words within a sentence}``
        :rtype: dict
        """
        return {
            "runs": self.env._("end of runs"),
            "timeline.evidence": self.env._("evidence in the timeline"),
            "impact.users": self.env._("users affected"),
            "impact.operations": self.env._("operations affected"),
            "impact.workaround": self.env._("workaround"),
            "impact.data_integrity": self.env._("state of the data"),
            "impact.compliance": self.env._("compliance"),
            "root_cause": self.env._("root cause"),
            "root_cause.whys": self.env._("whys"),
            "fix": self.env._("fix"),
            "prevention": self.env._("prevention"),
            "documentation": self.env._("documentation"),
            "team_told": self.env._("telling the team"),
            "actions": self.env._("actions"),
            "actions.owner": self.env._("owners of actions"),
            "actions.due": self.env._("dates of actions"),
            "postmortem": self.env._("post-mortem"),
        }

    @api.readonly
    @checked
    def what_is_missing(self) -> list[dict]:
        """Return what one incident still needs before it can be closed.

        :return: dicts with ``code`` (stable, such as ``impact.users``) and ``text``
        """
        return self._only_one()._missing()

    def _missing(self):
        """See :meth:`what_is_missing`; empty when nothing is.

        :rtype: list[dict]
        """
        self.ensure_one()
        found = [
            *self._runs_missing(),
            *self._evidence_missing(),
            *self._impact_missing(),
            *self._cause_missing(),
            *self._texts_missing(),
            *self._actions_missing(),
            *self._postmortem_missing(),
        ]
        return [{"code": code, "text": text} for code, text in found]

    def _is_grave(self):
        return self.severity in GRAVE

    def _runs_missing(self):
        running = self.run_ids.filtered(lambda run: run.state in OPEN_RUNS)
        if running:
            names = ", ".join(running.mapped("name"))
            yield "runs", self.env._("Runs that have not ended: %s.", names)

    def _evidence_missing(self):
        if self.run_ids.evidence_ids:
            return
        proven = self._trail_domain() & self._entry_with_evidence()
        if not self.env["qms.audit.event"].search_count(proven, limit=1):
            yield (
                "timeline.evidence",
                self.env._("Timeline: no entry in it is backed by evidence."),
            )

    def _analyses(self):
        """Return the confirmed analyses of the runs."""
        return self.run_ids.rca_ids.filtered(lambda rca: rca.state == "confirmed")

    def _cause_missing(self):
        analyses = self._analyses()
        if not analyses:
            yield (
                "root_cause",
                self.env._(
                    "Cause: no root-cause analysis of a run of the incident is "
                    "confirmed, and no post-mortem tells the cause."
                ),
            )
        else:
            wanted = WHYS if self._is_grave() else 1
            asked = max(len(rca.why_ids) for rca in analyses)
            if asked < wanted:
                yield (
                    "root_cause.whys",
                    self.env._(
                        "Cause: “why?” was asked %(asked)s times; %(wanted)s are "
                        "needed for this severity.",
                        asked=asked,
                        wanted=wanted,
                    ),
                )
        if not any(rca.fix and rca.verification for rca in analyses):
            yield (
                "fix",
                self.env._(
                    "Fix: nothing there says what the fix is and how it was seen "
                    "that it works."
                ),
            )

    def _texts_missing(self):
        texts = {
            "prevention": self.env._(
                "Prevention: what keeps it from happening again is missing."
            ),
            "documentation": self.env._(
                "Documentation: say what was updated, or that nothing had to be."
            ),
            "team_told": self.env._(
                "Team: say who was told what was learned, and where."
            ),
        }
        for name, text in texts.items():
            if not (self[name] or "").strip():
                yield name, text

    def _actions_missing(self):
        actions = self._all_actions().filtered(lambda one: one.state != "cancelled")
        if self._is_grave() and not actions:
            yield (
                "actions",
                self.env._("Actions: none was raised; this severity needs one."),
            )
        ownerless = actions.filtered(lambda one: not one.user_id)
        if ownerless:
            names = ", ".join(ownerless.mapped("reference"))
            yield "actions.owner", self.env._("Actions without an owner: %s.", names)
        dateless = actions.filtered(lambda one: not one.due_date)
        if dateless:
            names = ", ".join(dateless.mapped("reference"))
            yield "actions.due", self.env._("Actions without a due date: %s.", names)

    def _postmortem_missing(self):
        """Return code and text of what is missing of the post-mortem."""
        return ()

    # === Closing ===

    def _check_closing(self):
        super()._check_closing()
        for incident in self:
            missing = incident._missing()
            if missing and not incident._is_overridden(missing):
                raise NotReadyError(
                    self.env._(
                        "%s cannot be closed yet. Missing:", incident.display_name
                    ),
                    missing,
                )

    def _is_overridden(self, missing):
        """Tell whether the user has signed that it is closed without these."""
        signed_for = set((self.override_missing or "").split())
        codes = {one["code"] for one in missing}
        return codes <= signed_for and self._is_signed_by_user("closed")

    def action_close_anyway(self):
        """Open the dialog that signs that the incident is closed all the same."""
        self._only_one()._check_override()
        return self._open_signing("sign", "closed")

    def _check_override(self):
        """Refuse an override that is not this user's, or that nothing asks for."""
        self._check_transition(self.state, "closed")
        if not self._may_override():
            raise UserError(
                self.env._(
                    "%s: only QMS managers can close an incident of which something is "
                    "missing.",
                    self.display_name,
                )
            )
        if not self._missing():
            raise UserError(
                self.env._("%s: nothing is missing. Close it.", self.display_name)
            )

    @checked
    def close_anyway(
        self, reason: str, password: object, on_behalf_of: str | None = None
    ) -> dict:
        """Close one incident of which something is missing, and sign for that.

        :param reason: why it is closed all the same
        :param password: the user's own; no API key
        :param on_behalf_of: login of who has delegated it
        :return: the signature, as in ``sign()``, and ``state`` and ``missing``
        :raises UserError: for anybody but managers, when nothing is missing, or when
            the password is not right
        """
        self._only_one()
        signature = self._sign(
            "closed", password, reason, self._delegator(on_behalf_of)
        )
        return {
            **signature._to_rpc(),
            "state": self.state,
            "missing": self.override_missing.split(),
        }

    # === Signing ===

    def _signature_meanings(self):
        return ["closed"] if self.can_override else []

    def _sign(self, meaning, password, comment=None, delegator=None):
        if meaning == "closed":
            # Before anybody is asked for a password
            self.check_access("write")
            self._check_override()
            if not (comment or "").strip():
                with at_field("reason"):
                    raise ValidationError(
                        self.env._(
                            "Argument reason: say why it is closed although something "
                            "is missing (comment)."
                        )
                    )
            codes = [one["code"] for one in self._missing()]
            self._write_system(
                {
                    "override_reason": comment.strip(),
                    "override_missing": "\n".join(codes),
                }
            )
        return super()._sign(meaning, password, comment, delegator)

    def _after_signing(self, signature):
        result = super()._after_signing(signature)
        if signature.meaning == "closed":
            self.write({"state": "closed"})
        return result

    def _signed_name(self):
        return self.display_name

    def _signed_content(self, covered):
        # What the incident says; not its state, which follows from the signature.
        return {
            "id": self.id,
            "name": self.name,
            "company_id": self.company_id.id,
            **{name: self[field] or "" for name, field in sorted(PLAIN.items())},
            "severity_id": self.severity_id.id or 0,
            "category_id": self.category_id.id or 0,
            "error_code_id": self.error_code_id.id or 0,
            "systems": sorted(self.system_ids.ids),
            "first_error": self.first_error or "",
            "users_affected": _text(self.users_affected),
            "cost_estimate": _text(self.cost_estimate),
            **{
                name: to_rfc3339(self[name]) or ""
                for name in (
                    "occurred_at",
                    "detected_at",
                    "triaged_at",
                    "mitigated_at",
                    "resolved_at",
                    "reviewed_at",
                )
            },
            "parent_id": self.parent_id.id or 0,
            "override_reason": self.override_reason or "",
            "override_missing": self.override_missing or "",
        }

    def _to_dict(self):
        result = super()._to_dict()
        return {**result, "override_reason": self.override_reason or None}


def _text(value):
    """Return a number that may be unknown as a text that a hash can be made of."""
    return "" if value is False else repr(value)
