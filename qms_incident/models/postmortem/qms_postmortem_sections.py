from odoo import api, fields, models
from odoo.fields import Domain

from odoo.addons.qms_sop.tools.values import to_rfc3339
from odoo.addons.qms_sop.tools.zones import in_utc

from ...tools import timeline_text
from ...tools.postmortem_sections import OPTIONAL, SECTIONS, TEXTS

_TIMES = ("meeting_at", "scheduled_at", "schedule_due", "due_at", "published_at")
_ON_TIME = ("scheduled_on_time", "published_on_time")
_PRIORITIES = {"3": "P0", "2": "P1", "1": "P2", "0": "P3"}


class QmsPostmortem(models.Model):
    """The sections of a post-mortem, as they are read."""

    _inherit = "qms.postmortem"

    progress = fields.Integer(
        compute="_compute_progress",
        help="Percentage of the sections that are written.",
    )
    written_count = fields.Integer(compute="_compute_progress")
    section_count = fields.Integer(compute="_compute_progress")

    @api.depends("kind", "why_ids", *TEXTS)
    def _compute_progress(self):
        for postmortem in self:
            names = [
                key
                for key, _heading in SECTIONS[postmortem.kind or "full"]
                if key in TEXTS and key not in OPTIONAL
            ]
            written = sum(bool((postmortem[name] or "").strip()) for name in names)
            postmortem.section_count = len(names)
            postmortem.written_count = written
            postmortem.progress = 100 * written // len(names)

    def _sections(self):
        """Return what one post-mortem says, section by section.

        :return: key, heading (not translated: it is what an import looks for) and
            Markdown, ``None`` where nobody has written anything; see
            ``tools.postmortem_sections``, also for the headings above these
        :rtype: list[tuple[str, str, str | None]]
        """
        self.ensure_one()
        made = {
            "timeline": self._timeline_text,
            "whys": self._whys_text,
            "factors": self._factors_text,
            "actions": self._actions_text,
            "time": self._time_text,
        }
        sections = []
        for key, heading in SECTIONS[self.kind]:
            text = made[key]() if key in made else self[key]
            text = (text or "").strip() or None
            if text or key not in OPTIONAL:
                sections.append((key, heading, text))
        return sections

    def _timeline_text(self):
        """Return the timeline: what was written or frozen, else the incident's."""
        if (self.timeline or "").strip():
            return self.timeline
        return timeline_text.to_markdown(self.incident_id._timeline_rows())

    def _whys(self):
        """Return the whys: those written here, else those of the confirmed analyses.

        :return: dicts with ``question``, ``answer`` and ``evidence``
        :rtype: list[dict]
        """
        return [why._to_dict() for why in self.why_ids] or [
            {
                "question": why.question,
                "answer": why.answer,
                "evidence": why.evidence or None,
            }
            for why in self.incident_id._analyses().why_ids
        ]

    def _whys_text(self):
        lines = []
        for position, why in enumerate(self._whys(), 1):
            lines.append(f"{position}. **{why['question']}** {why['answer']}")
            if why["evidence"]:
                lines.append(f"   Evidence: {why['evidence']}")
        return "\n".join(lines)

    def _factor_list(self):
        """Return the contributing factors.

        :rtype: list[str]
        """
        lines = (self.factors or "").splitlines()
        return [text for line in lines if (text := line.strip().lstrip("-* ").strip())]

    def _factors_text(self):
        return "\n".join(f"- {factor}" for factor in self._factor_list())

    def _time_text(self):
        incident = self.incident_id
        times = (incident.occurred_at or incident.detected_at, incident.resolved_at)
        return " – ".join(in_utc(time) for time in times if time)

    def _document_actions(self):
        """Return the actions that follow: of the incident, its runs, and raised here.

        :rtype: qms.action records
        """
        own = Domain("postmortem_id", "=", self.id)
        raised = self.env["qms.action"].search(own) | self.incident_id._all_actions()
        return raised.sorted("id")

    def _actions_text(self):
        actions = self._document_actions()
        if not actions:
            return None

        def label(action, name):
            options = action._fields[name]._description_selection(self.env)
            return dict(options).get(action[name])

        lines = [
            "| ID | Action | Type | Priority | Owner | Due Date | Status |",
            "|---|---|---|---|---|---|---|",
        ]
        for action in actions:
            cells = (
                # What comes from elsewhere has a number that is used here as well.
                action.number
                if action.source_type in ("incident", "postmortem")
                else action.reference,
                action.name,
                label(action, "action_type"),
                _PRIORITIES[action.priority],
                # sudo: who answers for it is told to everybody who reads it
                action.user_id.sudo().name,
                action.due_date and action.due_date.isoformat(),
                action._state_label(action.state),
            )
            row = " | ".join(timeline_text._cell(cell) for cell in cells)
            lines.append(f"| {row} |")
        return "\n".join(lines)

    # === What it starts with ===

    def _prefill(self):
        """Fill in what is blank from the incident, its runs, analyses and detection.

        What nobody knows stays blank; nothing that is there is overwritten.
        """
        self.ensure_one()
        found = self._found()
        values = {
            name: text
            for name, text in found.items()
            if text and not (self[name] or "").strip()
        }
        if not self.participant_ids:
            values["participant_ids"] = [
                fields.Command.create({"user_id": user.id, "role": role})
                for user, role in self._took_part()
            ]
        if values:
            self.write(values)

    def _found(self):
        """Return what is known already, by field.

        :return: Markdown, or a false value
        :rtype: dict[str, str]
        """
        incident = self.incident_id
        analyses = incident._analyses()
        summary = (incident.description or "").strip()
        systems = ", ".join(sorted(incident.system_ids.mapped("name")))
        if summary and systems:
            summary = f"{summary}\n\nAffected systems: {systems}."
        return {
            "summary": summary,
            "root_cause": _paragraphs(analyses.mapped("root_cause")),
            "factors": "\n".join(dict.fromkeys(analyses.factor_ids.mapped("name"))),
            "impact": self._found_impact(),
            "resolution": _paragraphs(
                [*analyses.mapped("fix"), *incident.run_ids.mapped("resolution")]
            ),
            "verification": _paragraphs(analyses.mapped("verification")),
            "detection": self._found_detection(),
            "preventive_measures": incident.prevention,
            "follow_up": _list(
                (
                    (self.env._("Documentation"), incident.documentation),
                    (self.env._("Team told"), incident.team_told),
                )
            ),
        }

    def _found_impact(self):
        incident = self.incident_id

        def label(name):
            options = incident._fields[name]._description_selection(self.env)
            return dict(options).get(incident[name])

        def checks(state, text):
            return " – ".join(part for part in (state, text) if part)

        users = incident.users_affected
        number = "" if users is False else str(users)
        cost = incident.cost_estimate
        currency = incident.currency_id.name
        workaround = {
            "no": self.env._("none"),
            "yes": incident.workaround or self.env._("yes"),
        }
        return _list(
            (
                (
                    self.env._("Users affected"),
                    checks(number, incident.groups_affected),
                ),
                (self.env._("Operations affected"), incident.operations_affected),
                (
                    self.env._("Workaround"),
                    workaround.get(incident.workaround_available),
                ),
                (
                    self.env._("Data"),
                    checks(label("data_integrity"), incident.data_checks),
                ),
                (
                    self.env._("Compliance"),
                    checks(label("compliance"), incident.compliance_checks),
                ),
                (
                    self.env._("Estimated cost"),
                    "" if cost is False else f"{cost:.2f} {currency}",
                ),
            )
        )

    def _found_detection(self):
        incident = self.incident_id

        def label(name):
            options = incident._fields[name]._description_selection(self.env)
            return dict(options).get(incident[name])

        minutes = incident.time_to_detect
        how = (label("detection_method"), incident.detected_by)
        sooner = (label("detection_faster"), incident.detection_note)
        return _list(
            (
                (self.env._("How detected"), ": ".join(filter(None, how))),
                (
                    self.env._("Time to detect"),
                    ""
                    if minutes is False
                    else self.env._("%s minutes", f"{minutes:.1f}".removesuffix(".0")),
                ),
                (
                    self.env._("Could it have been sooner?"),
                    " – ".join(filter(None, sooner)),
                ),
            )
        )

    def _took_part(self):
        """Return who had a part in the incident, and which.

        :return: user and role, the author left out
        :rtype: list[tuple[res.users record, str]]
        """
        incident = self.incident_id
        found = {}
        for one in incident.assignment_ids.sorted("since"):
            found.setdefault(one.user_id, one.role_id.sudo().name)
        found.setdefault(incident.user_id, self.env._("Responsible"))
        for run in incident.run_ids:
            found.setdefault(run.user_id, self.env._("Worked %s", run.name))
        return [
            (user, role)
            for user, role in found.items()
            if user
            and user != self.author_id
            and incident._is_person(user)
            and incident._can_be_assigned(user)
        ]

    # === Plain values ===

    def _to_summary(self):
        """Return how one post-mortem stands, without what it says.

        :rtype: dict
        """
        self.ensure_one()
        base_url = self.get_base_url()
        severities = self.env["qms.severity"]._codes_by_id()
        return {
            "id": self.id,
            "name": self.name,
            "incident_id": self.incident_id.id,
            "incident": self.incident_id.name,
            "severity": severities.get(self.severity_id.id),
            "title": self.title,
            "kind": self.kind,
            "state": self.state,
            "author_id": self.author_id.id or None,
            **{name: to_rfc3339(self[name]) for name in _TIMES},
            **{name: {"yes": True, "no": False}.get(self[name]) for name in _ON_TIME},
            "url": f"{base_url}/odoo/qms-postmortems/{self.id}",
            "api_url": f"{base_url}/api/v1/postmortems/{self.id}",
        }

    def _to_dict(self):
        """Return one post-mortem in plain values, ``None`` where nothing is known.

        :rtype: dict
        """
        return {
            **self._to_summary(),
            "state_reason": self.state_reason or None,
            **{name: self[name] or None for name in TEXTS if name != "factors"},
            "timeline": self._timeline_text(),
            "contributing_factors": self._factor_list(),
            "whys": self._whys(),
            "actions": [
                {
                    "id": action.id,
                    "reference": action.reference,
                    "title": action.name,
                    "state": action.state,
                }
                for action in self._document_actions()
            ],
            "participants": [one._to_dict() for one in self.participant_ids],
            "published_by_id": self.published_by_id.id or None,
            "review_waiver": self.review_waiver or None,
            "missing": [one["code"] for one in self._missing()],
            "signature": self._publishing_signature(),
        }


def _paragraphs(texts):
    """Return texts below each other, each of them once."""
    return "\n\n".join(dict.fromkeys(text.strip() for text in texts if text))


def _list(pairs):
    """Return a Markdown list of what is known.

    :param pairs: names and texts, which may be empty
    :rtype: str
    """
    return "\n".join(
        f"- **{name if name.endswith('?') else f'{name}:'}** {' '.join(text.split())}"
        for name, text in pairs
        if text
    )
