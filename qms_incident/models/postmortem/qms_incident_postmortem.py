from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.idempotency import idempotent

from ..incident.qms_incident import VOID_STATES
from ..incident.qms_incident_closure import WHYS


class QmsIncident(models.Model):
    """What is learned from an incident, and by when."""

    _inherit = "qms.incident"

    postmortem_ids = fields.One2many(
        "qms.postmortem", "incident_id", "Post-mortems", readonly=True
    )
    postmortem_id = fields.Many2one(
        "qms.postmortem",
        "Its post-mortem",
        compute="_compute_postmortem_id",
        search="_search_postmortem_id",
    )
    postmortem_state = fields.Selection(
        related="postmortem_id.state", string="State of its post-mortem"
    )
    postmortem_schedule_due = fields.Datetime(
        "Post-mortem to be scheduled by",
        compute="_compute_postmortem_due",
        store=True,
        help="As the severity has it, from the resolution on.",
    )
    postmortem_due = fields.Datetime(
        "Post-mortem to be published by",
        compute="_compute_postmortem_due",
        store=True,
        index="btree_not_null",
        help="As the severity has it, from the resolution on.",
    )

    @api.depends("postmortem_ids")
    def _compute_postmortem_id(self):
        for incident in self:
            incident.postmortem_id = incident.postmortem_ids[:1]

    @api.model
    def _search_postmortem_id(self, operator, value):
        return Domain("postmortem_ids", operator, value)

    @api.depends("resolved_at", "severity_id", "state")
    def _compute_postmortem_due(self):
        for incident in self:
            if incident.postmortem_ids.state == "published":
                # What was promised then is what it is measured by; also when the
                # incident is reopened.
                incident.postmortem_schedule_due = incident.postmortem_schedule_due
                incident.postmortem_due = incident.postmortem_due
                continue
            severity, resolved = incident.severity_id, incident.resolved_at
            if incident.state in VOID_STATES:
                resolved = False
            hours, days = severity.postmortem_schedule_hours, severity.postmortem_days
            incident.postmortem_schedule_due = bool(resolved and hours) and (
                resolved + timedelta(hours=hours)
            )
            incident.postmortem_due = bool(resolved and days) and (
                resolved + timedelta(days=days)
            )

    # === Writing it ===

    @checked
    @idempotent
    def create_postmortem(
        self,
        title: str | None = None,
        root_cause: str | None = None,
        fix: str | None = None,
        preventive_measures: str | None = None,
        summary: str | None = None,
        kind: str | None = None,
        contributing_factors: list[str] | str | None = None,
        whys: list[dict] | None = None,
        impact: str | None = None,
        verification: str | None = None,
        detection: str | None = None,
        timeline: str | None = None,
        went_well: str | None = None,
        went_wrong: str | None = None,
        lucky: str | None = None,
        knowledge: str | None = None,
        follow_up: str | None = None,
        author: str | None = None,
        participants: list[str] | None = None,
        meeting_at: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Begin the post-mortem of one incident, or go on with its draft.

        A new one starts with what the incident, its runs, their confirmed analyses and
        the trail already say; nothing that is given is overwritten. Texts are Markdown.

        :param title: what happened, in a line; that of the incident when missing
        :param root_cause: why it happened
        :param fix: what was done about it
        :param preventive_measures: what keeps it from happening again
        :param summary: what happened, in a paragraph
        :param kind: ``full`` (by default) or ``quick``
        :param contributing_factors: what made it worse; a list, or one a line
        :param whys: dicts with ``question``, ``answer``, ``evidence``; where no
            analysis of a run was confirmed
        :param impact: on users, operations, data, compliance
        :param verification: how it was seen that the fix works
        :param detection: how it was noticed
        :param timeline: a table; that of the incident when missing
        :param went_well: what went well
        :param went_wrong: what went wrong
        :param lucky: where there was luck
        :param knowledge: what is known now that was not known before
        :param follow_up: what else is to happen
        :param author: login; the user, unless that is a robot
        :param participants: logins of those who review it; those who had a part in the
            incident when missing
        :param meeting_at: RFC 3339, UTC without an offset
        :return: the post-mortem as ``qms.postmortem.get_postmortem()`` gives it, and
            ``existing``: whether there was one already
        :raises ValidationError: naming the argument at fault and what is accepted
        :raises UserError: when it is reviewed or published already
        """
        values = {
            "title": title,
            "root_cause": root_cause,
            "fix": fix,
            "preventive_measures": preventive_measures,
            "summary": summary,
            "kind": kind,
            "contributing_factors": contributing_factors,
            "whys": whys,
            "impact": impact,
            "verification": verification,
            "detection": detection,
            "timeline": timeline,
            "went_well": went_well,
            "went_wrong": went_wrong,
            "lucky": lucky,
            "knowledge": knowledge,
            "follow_up": follow_up,
            "author": author,
            "participants": participants,
            "meeting_at": meeting_at,
        }
        postmortem, existing = self._only_one()._write_postmortem(values)
        return {**postmortem._to_rpc(), "existing": existing}

    def _write_postmortem(self, values):
        """See :meth:`create_postmortem`.

        :param dict values: by its arguments; empty ones count as not given
        :return: the post-mortem, and whether there was one already
        :rtype: tuple[qms.postmortem record, bool]
        """
        self.ensure_one()
        given = {
            name: value for name, value in values.items() if value not in (None, "")
        }
        postmortem = self.postmortem_ids
        if postmortem:
            if given:
                postmortem.write(postmortem._values(given))
            return postmortem, True
        postmortems = self.env["qms.postmortem"]
        postmortem = postmortems.create(
            {"incident_id": self.id, **postmortems._values(given)}
        )
        postmortem._prefill()
        return postmortem, False

    def action_open_postmortem(self):
        """Open the post-mortem of one incident; begin it where there is none."""
        self._only_one()
        postmortem, _existing = self._write_postmortem({})
        return postmortem._open_form()

    # === Closing ===

    def _postmortem_missing(self):
        required = self.severity_id.postmortem_days
        if not required or (self.postmortem_link or "").strip():
            return
        postmortem = self.postmortem_ids
        if not postmortem:
            yield (
                "postmortem",
                self.env._("Post-mortem: there is none; this severity needs one."),
            )
        elif postmortem.state != "published":
            yield (
                "postmortem",
                self.env._(
                    "Post-mortem: it is not published yet (%s).",
                    postmortem._state_label(postmortem.state),
                ),
            )

    def _cause_missing(self):
        # A post-mortem stands in for the analysis where no run was analysed.
        postmortem = self.postmortem_ids
        if self._analyses() or not (postmortem.root_cause or "").strip():
            yield from super()._cause_missing()
            return
        wanted, asked = WHYS if self._is_grave() else 1, len(postmortem.why_ids)
        if asked < wanted:
            yield (
                "root_cause.whys",
                self.env._(
                    "Cause: “why?” was asked %(asked)s times in the post-mortem; "
                    "%(wanted)s are needed for this severity.",
                    asked=asked,
                    wanted=wanted,
                ),
            )
        if not (postmortem.resolution and postmortem.verification):
            yield (
                "fix",
                self.env._(
                    "Fix: the post-mortem does not say what it is and how it was seen "
                    "that it works."
                ),
            )

    # === What is told ===

    def _to_dict(self):
        return {**super()._to_dict(), "postmortem_id": self.postmortem_ids.id or None}
