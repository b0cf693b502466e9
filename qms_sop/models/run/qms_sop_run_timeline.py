import json

from odoo import fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.idempotency import idempotent
from ...tools.values import to_rfc3339

# What the records of a run are called in its timeline
_SUBJECTS = {
    "qms.sop.run": "run",
    "qms.sop.run.step": "step",
    "qms.sop.run.error": "error",
    "qms.sop.run.evidence": "evidence",
    "qms.rca": "rca",
    "qms.issue": "issue",
}
# Times that people tell when they have reached them
_MILESTONES = ("acknowledged", "mitigated", "resolved")


class QmsSopRun(models.Model):
    """What people say about a run, between what they did."""

    _inherit = "qms.sop.run"

    @checked
    @idempotent
    def add_timeline_entry(
        self,
        text: str,
        occurred_at: str | None = None,
        component: str | None = None,
        evidence: list[int] | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Add an entry to the timeline of one run, also after the run has ended.

        It stands in the audit trail: when it happened, when it was written and by
        whom; it is never changed, only followed by another one.

        :param text: what happened
        :param occurred_at: when, RFC 3339 (UTC without an offset), not in the future;
            now when missing
        :param component: what it is about
        :param evidence: ids of evidence of this run that backs it
        :return: ``run_id`` and ``sequence``, the number of the entry in the timeline
        :raises ValidationError: naming the argument at fault
        """
        self._only_one().check_access("write")
        events = self.env["qms.audit.event"]
        if not text.strip():
            raise ValidationError(self.env._("Argument text: say what happened."))
        happened = events._parse_time("occurred_at", occurred_at)
        # A clock that is a little ahead is no lie.
        latest = fields.Datetime.add(fields.Datetime.now(), minutes=1)
        if happened and happened > latest:
            raise ValidationError(
                self.env._(
                    "Argument occurred_at: %(time)s is in the future.",
                    time=occurred_at,
                )
            )
        proofs = self.evidence_ids.filtered(lambda one: one.id in (evidence or ()))
        unknown = set(evidence or ()) - set(proofs.ids)
        if unknown:
            raise ValidationError(
                self.env._(
                    "Argument evidence: %(ids)s is no evidence of %(run)s. There is: "
                    "%(known)s.",
                    ids=sorted(unknown),
                    run=self.display_name,
                    known=self.evidence_ids.ids,
                )
            )
        events._record(
            self,
            "entry",
            text=text.strip(),
            component=component,
            occurred_at=happened,
            evidence=[
                {"id": proof.id, "name": proof.name, "sha256": proof.sha256}
                for proof in proofs
            ],
        )
        return {"run_id": self.id, "sequence": self._last_event().sequence}

    @checked
    @idempotent
    def pin_timeline_entry(
        self, sequence: int, pinned: bool = True, idempotency_key: str | None = None
    ) -> dict:
        """Pin an entry of the timeline of one run, or let go of it.

        :param sequence: number of the entry
        :param pinned: whether it is to be pinned
        :return: ``run_id``, ``sequence`` and ``pinned``
        :raises ValidationError: when people made no such entry
        """
        self._only_one().check_access("write")
        entry = self.env["qms.audit.event"].search(
            self._trail_domain()
            & Domain("sequence", "=", sequence)
            & Domain("kind", "=", "entry")
        )
        if not entry:
            raise ValidationError(
                self.env._(
                    "Argument sequence: %(run)s has no entry number %(number)s that a "
                    "person made.",
                    run=self.display_name,
                    number=sequence,
                )
            )
        if entry.pinned != pinned:
            kind = "pinned" if pinned else "unpinned"
            self.env["qms.audit.event"]._record(self, kind, refers_to=sequence)
            entry.invalidate_recordset(["pinned"])
        return {"run_id": self.id, "sequence": sequence, "pinned": pinned}

    def action_view_trail(self):
        """Open the timeline of one run: its trail, in the order of time.

        :return: the action
        :rtype: dict
        """
        trail = super().action_view_trail()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_run_timeline_action"
        )
        return {
            **action,
            "domain": trail["domain"],
            "display_name": self.env._("Timeline of %s", self.name),
            "context": {"default_run_id": self.id, "search_default_without_pins": 1},
        }

    def action_add_timeline_entry(self):
        """Open the dialog that adds an entry to the timeline of one run.

        :return: the action
        :rtype: dict
        """
        self._only_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_run_entry_action"
        )
        action["context"] = {"default_run_id": self.id, "dialog_size": "medium"}
        return action

    def _last_event(self):
        return self.env["qms.audit.event"].search(
            self._trail_domain(), order="sequence desc", limit=1
        )

    # === Reading ===

    def _timeline(self):
        """Return the timeline of one run, read from its trail.

        :return: as the method that this one replaces; it is asked where a run has no
            trail, being older than it
        :rtype: list[dict]
        """
        self.ensure_one()
        events = self.env["qms.audit.event"].search(
            self._trail_domain(), order="sequence"
        )
        if not events:
            unknown = dict.fromkeys(("recorded_at", "component"))
            return [{**act, **unknown, "pinned": False} for act in super()._timeline()]
        outline = self.sop_id._outline()[3]
        numbers = {row[0]: row[2] for row in outline}
        steps = {step.id: numbers.get(step.step_id.id) for step in self.step_ids}
        timeline = []
        for event in events:
            if event.kind in ("pinned", "unpinned"):
                # Told with the entry that they are about
                continue
            said = json.loads(event.content)
            step = steps.get(said["res_id"])
            if said["model"] != "qms.sop.run.step":
                step = steps.get((_new(said, "step_id") or {}).get("id"))
            for position, (kind, detail) in enumerate(_acts(event, said)):
                timeline.append(
                    {
                        "id": f"{event.sequence:06d}-{position}",
                        "at": to_rfc3339(event.occurred_at),
                        "recorded_at": to_rfc3339(event.recorded_at),
                        "type": kind,
                        "step": step,
                        "detail": detail or None,
                        "component": said.get("component"),
                        "pinned": event.pinned,
                        "user_id": said["user_id"],
                    }
                )
        return sorted(timeline, key=lambda act: (act["at"], act["id"]))


def _new(said, name):
    """Return the new value of a field in an event, or ``None``."""
    return said["changes"][name][1] if name in said.get("changes", {}) else None


def _tell_error(_event, said):
    code = (_new(said, "error_code_id") or {}).get("name")
    return f"{code}: {_text(_new(said, 'error_message'))}"


def _tell_signature(_event, said):
    told = (_new(said, "meaning"), said["record_name"], _new(said, "comment"))
    return " · ".join(_text(part) for part in told if part)


def _tell_escalation(_event, said):
    told = _new(said, "role_ids") or _new(said, "user_ids") or ()
    return " · ".join([said["record_name"], *(one["name"] for one in told)])


# What an act of a kind is called, and what there is to say about it
_ACTS = {
    "entry": ("entry", lambda event, said: event.told),
    "error": ("error.logged", _tell_error),
    "evidence": ("evidence.added", lambda event, said: said["record_name"]),
    "signed": ("run.signed", _tell_signature),
    "amended": ("run.amended", lambda event, said: _text(_new(said, "text"))),
    "escalated": ("run.escalated", _tell_escalation),
}


def _acts(event, said):
    """Return what an event is called in a timeline, and what there is to say.

    :return: pairs of a type, such as ``step.completed``, and a text
    """
    subject = _SUBJECTS.get(said["model"], "record")
    kind, state = said["kind"], _new(said, "state")
    if kind in _ACTS:
        name, tell = _ACTS[kind]
        return [(name, tell(event, said))]
    if (subject, kind) == ("run", "created"):
        started = [("run.started", None)] if state == "in_progress" else []
        return [("run.opened", _new(said, "source")), *started]
    if (subject, kind) == ("rca", "created"):
        return [("rca.recorded", _text(_new(said, "root_cause")))]
    if (subject, kind) == ("issue", "created"):
        return [("issue.asked", _text(_new(said, "title")))]
    if (subject, state) == ("issue", "made"):
        return [("issue.made", _new(said, "url"))]
    if kind == "state":
        names = ("actual_result",) if subject == "step" else ("resolution",)
        detail = said.get("reason") or _text(_new(said, names[0]))
        if state == "in_progress":
            old = said["changes"]["state"][0]
            state = "resumed" if (subject, old) == ("run", "on_hold") else "started"
        return [(f"{subject}.{state}", detail)]
    return _reached(subject, said) or [(f"{subject}.{kind}", event.told)]


def _reached(subject, said):
    """Return what a run reached, where an event tells nothing else of it."""
    if (subject, said["kind"]) != ("run", "changed"):
        return []
    told = {f"{name}_at": f"run.{name}" for name in _MILESTONES}
    changes = {
        name: values
        for name, values in said["changes"].items()
        if name != "acknowledged_by_id"
    }
    if changes.keys() - told.keys() or any(old for old, _later in changes.values()):
        return []
    return [(told[name], said.get("reason")) for name in changes if name in told]


def _text(value):
    """Return a text of an event; of a long one, its beginning."""
    return f"{value['start']} …" if isinstance(value, dict) else value
