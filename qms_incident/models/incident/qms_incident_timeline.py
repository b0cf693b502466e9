import json

import pytz
from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.idempotency import idempotent
from odoo.addons.qms_sop.tools.values import to_rfc3339, without_none

from ...tools import timeline_text

# What nobody needs to read who wants to know what happened
_MINOR = frozenset(
    {"incident.changed", "run.changed", "step.changed", "update.changed"}
)


class QmsIncident(models.Model):
    """The timeline: what the trails of an incident and of its runs tell, in order."""

    _inherit = "qms.incident"

    timeline_html = fields.Html(
        "Timeline", compute="_compute_timeline_html", sanitize=False
    )

    @api.depends_context("tz")
    def _compute_timeline_html(self):
        for incident in self:
            rows = incident._timeline_rows() if incident._origin else []
            incident.timeline_html = Markup(
                "<table class='table table-sm o_qms_incident_timeline'>"
                "<thead><tr><th>%s</th><th>%s</th><th>%s</th><th>%s</th><th>%s</th>"
                "</tr></thead><tbody>%s</tbody></table>"
            ) % (
                self.env._("Time (UTC)"),
                self.env._("Event"),
                self.env._("Component"),
                self.env._("Evidence"),
                self.env._("Who"),
                Markup("").join(
                    Markup(
                        "<tr><td class='text-nowrap'>%s</td><td>%s</td>"
                        "<td class='%s'>%s</td><td>%s</td><td>%s</td></tr>"
                    )
                    % (
                        row["time"],
                        row["event"],
                        "text-nowrap" if row["component"] == row["run"] else "",
                        row["component"],
                        row["evidence"],
                        row["who"],
                    )
                    for row in rows
                ),
            )

    # === Buttons ===

    def action_export_timeline(self):
        """Download the timeline of one incident as CSV."""
        self._only_one()
        return {
            "type": "ir.actions.act_url",
            "url": f"/qms_incident/timeline/{self.id}.csv",
            "target": "download",
        }

    # === Entries ===

    @checked
    @idempotent
    def add_timeline_entry(
        self,
        text: str,
        occurred_at: str | None = None,
        component: str | None = None,
        evidence: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Add an entry to the timeline of one incident.

        It stands in the audit trail: when it happened, when it was written and by
        whom; it is never changed, only followed by another one.

        :param text: what happened
        :param occurred_at: when, RFC 3339 (UTC without an offset), not in the future;
            now when missing
        :param component: what it is about
        :param evidence: where it can be seen: a file and line, a link, a commit
        :return: the entry as in the timeline
        :raises ValidationError: naming the argument at fault
        """
        self._only_one()._check_entries_allowed()
        with at_field("occurred_at"):
            moment = self.env["qms.audit.event"]._parse_time("occurred_at", occurred_at)
        entry = timeline_text.Entry(
            moment or fields.Datetime.now(),
            text.strip(),
            (component or "").strip(),
            (evidence or "").strip(),
        )
        self._add_entries([entry])
        last = self._own_events()[-1:]
        return without_none(self._told_events(last)[0])

    @api.readonly
    @checked
    def preview_timeline(
        self, text: str, day: str | None = None, timezone: str | None = None
    ) -> dict:
        """Read a pasted log, CSV file or table, and change nothing.

        :param text: see :meth:`import_timeline`
        :param day: see :meth:`import_timeline`
        :param timezone: see :meth:`import_timeline`
        :return: ``entries`` (dicts with ``at``, ``text``, ``component``, ``evidence``,
            ``known``) and ``problems`` (dicts with ``line``, ``text``, ``why``)
        """
        self._only_one()
        entries, problems = self._read_timeline(text, day, timezone)
        known = self._known_entries()
        return {
            "entries": [
                {
                    **entry._asdict(),
                    "at": to_rfc3339(entry.at),
                    "known": (entry.at, entry.text) in known,
                }
                for entry in entries
            ],
            "problems": [problem._asdict() for problem in problems],
        }

    @checked
    @idempotent
    def import_timeline(
        self,
        text: str,
        day: str | None = None,
        timezone: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Add the lines of a pasted log, CSV file or Markdown table as entries.

        Entries that are there already are left out, so importing again is harmless.

        :param text: a table or CSV file with a heading for the time and the event, or a
            log whose lines begin with a time
        :param day: of times without a date, such as ``2026-03-01``; that of the
            detection when missing
        :param timezone: IANA name, for times without an offset; UTC when missing
        :return: ``added``, ``known`` (numbers) and ``problems``: the lines that are no
            entries, as in :meth:`preview_timeline`
        :raises ValidationError: when there is no entry in it, or too many
        """
        self._only_one()._check_entries_allowed()
        entries, problems = self._read_timeline(text, day, timezone)
        if not entries:
            why = problems[0].why if problems else self.env._("it is empty")
            with at_field("text"):
                raise ValidationError(
                    self.env._(
                        "Argument text: there is no line with a time in it (%(why)s).",
                        why=why,
                    )
                )
        known = self._known_entries()
        new = []
        for entry in entries:
            if (entry.at, entry.text) not in known:
                known.add((entry.at, entry.text))
                new.append(entry)
        self._add_entries(new)
        return {
            "added": len(new),
            "known": len(entries) - len(new),
            "problems": [problem._asdict() for problem in problems],
        }

    def _read_timeline(self, text, day=None, timezone=None):
        zone = timezone or "UTC"
        if zone not in pytz.all_timezones_set:
            with at_field("timezone"):
                raise ValidationError(
                    self.env._(
                        "Argument timezone: %s is unknown. Accepted: names such as UTC "
                        "or Europe/Berlin.",
                        repr(timezone),
                    )
                )
        try:
            first = fields.Date.to_date(day) if day else self.day
        except ValueError:
            with at_field("day"):
                raise ValidationError(
                    self.env._(
                        "Argument day: %s is no date. Accepted: ISO 8601, such as "
                        "2026-03-01.",
                        repr(day),
                    )
                ) from None
        entries, problems = timeline_text.read(text, first, zone)
        if len(entries) > timeline_text.MAX_ENTRIES:
            with at_field("text"):
                raise ValidationError(
                    self.env._(
                        "Argument text: it has %(count)s entries; up to %(most)s are "
                        "taken. Choose those that tell what happened.",
                        count=len(entries),
                        most=timeline_text.MAX_ENTRIES,
                    )
                )
        return entries, problems

    def _check_entries_allowed(self):
        # Until it is closed; what is said about it later goes into another place.
        self.check_access("write")
        if self._is_final():
            self._check_unlocked({"description": self.description})

    def _add_entries(self, entries):
        """Write entries into the trail.

        :param list entries: of :class:`timeline_text.Entry`
        """
        latest = fields.Datetime.add(fields.Datetime.now(), minutes=1)
        for entry in entries:
            if not entry.text:
                with at_field("text"):
                    raise ValidationError(
                        self.env._("Argument text: say what happened.")
                    )
            if entry.at > latest:
                with at_field("occurred_at"):
                    raise ValidationError(
                        self.env._(
                            "Argument occurred_at: %(time)s is in the future "
                            "(%(text)s).",
                            time=to_rfc3339(entry.at),
                            text=entry.text[:60],
                        )
                    )
        events = self.env["qms.audit.event"]
        for entry in entries:
            events._record(
                self,
                "entry",
                text=entry.text,
                component=entry.component,
                occurred_at=entry.at,
                evidence=[{"name": entry.evidence}] if entry.evidence else [],
            )
        self.invalidate_recordset(["timeline_html"])
        self._bump_version()

    def _known_entries(self):
        """Return when and what people's entries are, as far as there are any."""
        entries = self._own_events().filtered(lambda event: event.kind == "entry")
        return {
            (
                event.occurred_at.replace(microsecond=0),
                json.loads(event.content)["text"],
            )
            for event in entries
        }

    # === Reading ===

    def _own_events(self):
        """Return the events in the trail of one incident, as they were written."""
        return self.env["qms.audit.event"].search(
            self._trail_domain(), order="sequence"
        )

    def _timeline(self):
        """Return all that happened in one incident and its runs, in order.

        :return: dicts with ``id`` (unique in the timeline), ``at`` and ``recorded_at``
            (RFC 3339; the latter ``None`` where the trail of a run does not say),
            ``type``, ``detail``, ``component``, ``evidence``, ``run`` (name), ``step``
            (number) and ``user_id``
        :rtype: list[dict]
        """
        self.ensure_one()
        told = self._told_events(self._own_events())
        if self.occurred_at:
            began = dict.fromkeys(told[0]) if told else {}
            at = to_rfc3339(self.occurred_at)
            told.append({**began, "id": "0", "at": at, "type": "incident.began"})
        for run in self.run_ids:
            for act in run._timeline():
                told.append(
                    {
                        "id": f"{run.name}-{act['id']}",
                        "at": act["at"],
                        "recorded_at": act.get("recorded_at"),
                        "type": act["type"],
                        "detail": act["detail"],
                        "component": act.get("component"),
                        "evidence": None,
                        "run": run.name,
                        "step": act["step"],
                        "user_id": act["user_id"],
                    }
                )
        return sorted(told, key=lambda act: (act["at"], act["id"]))

    def _told_events(self, events):
        """Return events of the incident's own trail as lines of its timeline."""
        told = []
        for event in events:
            said = json.loads(event.content)
            kind, detail = self._tell_event(event, said)
            proofs = [one["name"] for one in said.get("evidence") or ()]
            told.append(
                {
                    "id": f"{event.sequence:06d}",
                    "at": to_rfc3339(event.occurred_at),
                    "recorded_at": to_rfc3339(event.recorded_at),
                    "type": kind,
                    "detail": detail or None,
                    "component": said.get("component"),
                    "evidence": ", ".join(proofs) or None,
                    "run": None,
                    "step": None,
                    "user_id": said["user_id"],
                }
            )
        return told

    def _tell_event(self, event, said):
        """Return what an event is called in the timeline, and what there is to say.

        :param event: qms.audit.event record
        :param dict said: its content
        :rtype: tuple[str, str]
        """
        kind = said["kind"]
        if kind == "entry":
            return "entry", said["text"]
        if said["model"] == "qms.incident.assignment":
            if kind == "created":
                return "role.assigned", said["record_name"]
            note = (said["changes"].get("note") or (None, None))[1]
            detail = " · ".join(filter(None, (said["record_name"], note)))
            return "role.released", detail
        if said["model"] != self._name:
            return f"{said['model'].rsplit('.', 1)[-1]}.{kind}", said["record_name"]
        if kind == "created":
            return "incident.detected", self.title
        if kind == "state":
            old, new = said["changes"]["state"]
            if new == "triaged" and old != "detected":
                return "incident.reopened", said.get("reason")
            return f"incident.{new}", said.get("reason")
        return f"incident.{kind}", event.told

    def _timeline_rows(self):
        """Return what a reader of the timeline needs, as text.

        :return: dicts with ``time`` (UTC), ``event``, ``component``, ``evidence``,
            ``who``, ``run`` and ``recorded``
        :rtype: list[dict]
        """
        acts = [act for act in self._timeline() if act["type"] not in _MINOR]
        users = self.env["res.users"].browse({act["user_id"] for act in acts} - {None})
        # sudo: who did it is a part of what happened
        names = {user.id: user.name for user in users.sudo()}
        labels = self._timeline_labels()
        return [
            {
                "time": _clock(act["at"]),
                "event": _event(act, labels),
                "component": act["component"] or act["run"] or "",
                "evidence": act["evidence"] or "",
                "who": names.get(act["user_id"], ""),
                "run": act["run"] or "",
                "recorded": _clock(act["recorded_at"]) if act["recorded_at"] else "",
            }
            for act in acts
        ]

    @api.model
    def _timeline_labels(self):
        """Return what people call the things that happen to an incident.

        :return: ``{type: label}``
        :rtype: dict
        """
        return {
            "rca.recorded": self.env._("Root cause recorded"),
            "rca.changed": self.env._("Root cause changed"),
            "rca.confirmed": self.env._("Root cause confirmed"),
            "incident.began": self.env._("It began"),
            "incident.detected": self.env._("Detected"),
            "incident.triaged": self.env._("Triaged"),
            "incident.mitigated": self.env._("Mitigated"),
            "incident.resolved": self.env._("Resolved"),
            "incident.reviewed": self.env._("Reviewed"),
            "incident.closed": self.env._("Closed"),
            "incident.duplicate": self.env._("Found to be a duplicate"),
            "incident.false_positive": self.env._("Found to be a false positive"),
            "incident.reopened": self.env._("Reopened"),
            "incident.signed": self.env._("Signed"),
            "role.assigned": self.env._("Role assigned"),
            "role.released": self.env._("Role handed over"),
        }

    @api.readonly
    @checked
    def get_timeline(self) -> list[dict]:
        """Return the timeline of one incident.

        :return: as ``GET /api/v1/incidents/<id>/events`` lists it, with ``False`` where
            that has null
        """
        return without_none(self._only_one()._timeline())

    @api.readonly
    @checked
    def export_timeline(self, format: str = "markdown") -> dict:
        """Return the timeline of one incident as a table.

        :param format: ``markdown`` or ``csv``
        :return: ``name`` (of a file) and ``content``
        """
        self._only_one()
        writers = {
            "markdown": ("md", timeline_text.to_markdown),
            "csv": ("csv", timeline_text.to_csv),
        }
        if format not in writers:
            raise ValidationError(
                self.env._(
                    "Argument format: %s is unknown. Accepted: markdown, csv.",
                    repr(format),
                )
            )
        ending, write = writers[format]
        return {
            "name": f"{self.name}-timeline.{ending}",
            "content": write(self._timeline_rows()),
        }

    @api.model
    def _entry_with_evidence(self):
        """Return the domain of the entries that something backs."""
        return Domain("kind", "=", "entry") & Domain("content", "like", '"evidence":[{')


def _clock(text):
    return f"{text[:10]} {text[11:19]}"


def _event(act, labels):
    """Return what happened, in a line for people."""
    label = labels.get(act["type"])
    if act["type"] != "entry" and label is None:
        label = act["type"].replace(".", " ").replace("_", " ").capitalize()
        if act["step"]:
            label = f"{label} ({act['step']})"
    return ": ".join(part for part in (label, act["detail"]) if part)
