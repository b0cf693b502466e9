from datetime import datetime, timedelta

from odoo import api, models

from odoo.addons.qms_error_code.tools.durations import format_duration, format_minutes

from ..models.run.qms_sop_run import FINAL_STATES
from ..tools.qr import qr_svg

# How a state looks; what is not here looks like nothing in particular.
STATE_STYLES = {
    "completed": "q-good",
    "failed": "q-bad",
    "cancelled": "q-low",
    "in_progress": "q-busy",
    "on_hold": "q-medium",
    "waiting": "q-medium",
}
# What of a Letter page is there for the lines of a timeline, how high one of a single
# row is, and what each further row adds, in points; and how many letters go in a row
_PAGE, _HEIGHT, _LINE, _ROW = 650, 17, 11, 64
# A text in the timeline is a reminder of what stands elsewhere in full.
_DETAIL = 240


class QmsSopRunReport(models.AbstractModel):
    """One run on paper: what an auditor files.

    Everything is read as the user who prints: what they may not see stays out, and
    a run that they may not see is refused.
    """

    _name = "report.qms_sop.report_sop_run"
    _inherit = ["qms.paper.report"]
    _description = "SOP run on paper"

    @api.model
    def _get_report_values(self, docids, data=None):
        runs = self._records("qms.sop.run", docids, data)
        return {"pages": [self._page(run) for run in runs]}

    @api.model
    def _footer_text(self, records):
        return self.env._(
            "%(run)s · %(sop)s %(version)s (%(state)s) · %(printed)s",
            run=records.name,
            sop=records.sop_id.code,
            version=records.sop_id.version,
            state=records._state_label(records.state),
            printed=self._printed_text(),
        )

    @api.model
    def _page(self, run):
        """Return what is printed of one run, as texts.

        What is not known is an empty text.

        :param run: qms.sop.run record
        :rtype: dict
        """
        url = f"{run.get_base_url()}/odoo/qms-runs/{run.id}"
        timeline = self._timeline(run)
        return {
            "run": run,
            "final": run.state in FINAL_STATES,
            "state": run._state_label(run.state),
            "style": STATE_STYLES.get(run.state, ""),
            "zone": self._zone(),
            "url": url,
            "qr": qr_svg(url, 112),
            "facts": self._facts(run),
            "texts": self._texts(run),
            "timeline": timeline,
            "timeline_pages": _pages(timeline),
            "steps": self._steps(run),
            "errors": self._errors(run),
            "evidence": self._evidence(run),
            "rcas": self._rcas(run),
            "signatures": self._signatures(run),
            "trail": run._last_event(),
        }

    @api.model
    def _facts(self, run):
        """Return the identity of a run.

        :return: rows of two facts each, a fact being its label and its text
        :rtype: list[list[tuple[str, str]]]
        """
        sop = run.sop_id
        trigger = dict(run._fields["trigger"]._description_selection(self.env))
        facts = [
            (self.env._("SOP"), sop.code),
            (
                self.env._("Revision"),
                self.env._(
                    "%(version)s (revision %(revision)s)",
                    version=sop.version,
                    revision=sop.revision,
                ),
            ),
            (self.env._("Severity"), self._severity_text(run.severity_id)),
            (self.env._("Category"), run.category_id.name or ""),
            (self.env._("Error code"), run.error_code_id.name or ""),
            (self.env._("Trigger"), trigger.get(run.trigger, "")),
            (self.env._("Responsible"), run.user_id.name or ""),
            (self.env._("Opened by"), run.create_uid.name or ""),
            (self.env._("Source"), run.source or ""),
            (self.env._("Opened"), self._instant(run.create_date)),
            (self.env._("Started"), self._instant(run.start_time)),
            (self.env._("Ended"), self._instant(run.end_time)),
            (self.env._("Duration"), format_duration(self.env, run.duration)),
            (self.env._("Expected time"), self._expected_text(sop)),
            (
                self.env._("Time to resolution"),
                format_duration(
                    self.env,
                    False if run.resolution_time is False else run.resolution_time / 60,
                ),
            ),
            (self.env._("Company"), run.company_id.name),
        ]
        return [facts[place : place + 2] for place in range(0, len(facts), 2)]

    @api.model
    def _instant(self, value):
        return self._time(value, "yyyy-MM-dd HH:mm:ss xxx")

    @api.model
    def _severity_text(self, severity):
        if not severity:
            return ""
        return (
            f"{severity.name} ({severity.alias})" if severity.alias else severity.name
        )

    @api.model
    def _expected_text(self, sop):
        """Return how long an SOP takes; steps whose time varies come on top."""
        minutes = format_minutes(self.env, sop.expected_duration)
        if all(step.expected_duration for step in sop.step_ids):
            return minutes
        if not minutes:
            return self.env._("varies")
        return self.env._("%(time)s, plus steps whose time varies", time=minutes)

    @api.model
    def _texts(self, run):
        """Return what was said about a run, under its labels."""
        reason = {
            "failed": self.env._("Why it failed"),
            "cancelled": self.env._("Why it was cancelled"),
            "on_hold": self.env._("Why it is on hold"),
        }.get(run.state, self.env._("Reason"))
        texts = (
            (self.env._("What was observed"), run.summary),
            (self.env._("Resolution"), run.resolution),
            (reason, run.state_reason),
        )
        return [(label, text) for label, text in texts if text]

    @api.model
    def _timeline(self, run):
        """Return what happened, the first thing first.

        :rtype: list[dict] with ``time``, ``what``, ``detail``, ``written``,
            ``pinned``, ``who``, ``style``
        """
        events = run._timeline()
        users = self.env["res.users"].browse(
            {event["user_id"] for event in events if event["user_id"]}
        )
        names = {user.id: user.name for user in users}
        labels = self._event_labels()
        lines = []
        for event in events:
            kind, step = event["type"], event["step"]
            what = labels.get(kind) or kind.replace(".", " ").replace("_", " ")
            if step:
                what = self.env._("%(what)s, step %(step)s", what=what, step=step)
            if event["component"]:
                what = f"{what} · {event['component']}"
            lines.append(
                {
                    "time": self._time(_parse(event["at"])),
                    "what": what,
                    # What people say stands nowhere else.
                    "detail": event["detail"]
                    if kind == "entry"
                    else _shorten(event["detail"]),
                    "written": self._written_later(event),
                    "pinned": event["pinned"],
                    "who": names.get(event["user_id"], ""),
                    "style": {
                        "error.logged": "q-mark-bad",
                        "step.failed": "q-mark-bad",
                        "run.failed": "q-mark-bad",
                        "step.completed": "q-mark-good",
                        "run.completed": "q-mark-good",
                    }.get(kind, ""),
                }
            )
        return lines

    @api.model
    def _written_later(self, event):
        """Return when an entry was written, if that was not when it happened."""
        if event["type"] != "entry" or not event["recorded_at"]:
            return ""
        happened, written = _parse(event["at"]), _parse(event["recorded_at"])
        if written - happened <= timedelta(minutes=1):
            return ""
        return self.env._("Written %s", self._time(written))

    @api.model
    def _event_labels(self):
        """Return how the types of events are called on paper."""
        return {
            "run.opened": self.env._("Run opened"),
            "run.started": self.env._("Work started"),
            "run.completed": self.env._("Run completed"),
            "run.failed": self.env._("Run failed"),
            "run.cancelled": self.env._("Run cancelled"),
            "run.on_hold": self.env._("Run put on hold"),
            "run.resumed": self.env._("Run resumed"),
            "run.changed": self.env._("Run changed"),
            "step.started": self.env._("Started"),
            "step.completed": self.env._("Completed"),
            "step.failed": self.env._("Failed"),
            "step.skipped": self.env._("Skipped"),
            "step.waiting": self.env._("Waiting"),
            "step.created": self.env._("Opened"),
            "step.changed": self.env._("Changed"),
            "error.logged": self.env._("Error"),
            "evidence.added": self.env._("Evidence"),
            "rca.recorded": self.env._("Root cause recorded"),
            "rca.changed": self.env._("Root cause changed"),
            "rca.confirmed": self.env._("Root cause confirmed"),
            "entry": self.env._("Note"),
        }

    @api.model
    def _steps(self, run):
        """Return the steps as they went.

        :rtype: list[dict]
        """
        outline = {row[0]: row for row in run.sop_id._outline()[3]}
        codes = {}
        for error in run.error_ids:
            codes.setdefault(error.step_id, []).append(error.error_code_id.name)
        proofs = run.evidence_ids.grouped("step_id")
        lines = []
        for step in run.step_ids:
            _id, _sequence, number, name, mandatory = outline[step.step_id.id]
            planned = step.step_id.expected_duration
            lines.append(
                {
                    "number": number,
                    "name": name,
                    "mandatory": mandatory,
                    "off_path": step.off_path,
                    "state": self._step_state(step),
                    "style": STATE_STYLES.get(step.state, ""),
                    "planned": (
                        format_minutes(self.env, planned)
                        if planned
                        else self.env._("varies")
                    ),
                    "actual": format_duration(self.env, step.duration),
                    "late": (
                        planned > 0
                        and step.duration is not False
                        and step.duration > planned
                    ),
                    "started": self._time(step.start_time),
                    "ended": self._time(step.end_time),
                    "who": step.user_id.name or "",
                    "choice": step.choice_id.name or "",
                    "result": step.actual_result or "",
                    "skip_reason": "" if step.off_path else step.skip_reason or "",
                    "errors": ", ".join(codes.get(step, ())[::-1]),
                    "evidence": ", ".join(proofs[step].sorted("id").mapped("name"))
                    if step in proofs
                    else "",
                }
            )
        return lines

    @api.model
    def _step_state(self, step):
        if step.off_path:
            return self.env._("Not on this path")
        if step.state == "pending" and step.run_id.state in FINAL_STATES:
            return self.env._("Not opened")
        return step._state_label(step.state)

    @api.model
    def _errors(self, run):
        numbers = {row[0]: row[2] for row in run.sop_id._outline()[3]}
        return [
            {
                "code": error.error_code_id.name,
                "title": error.error_code_id.title,
                "severity": error.severity_id,
                "step": numbers.get(error.step_id.step_id.id, ""),
                "message": error.error_message,
                "time": self._time(error.occurred_at),
                "who": error.user_id.name or "",
            }
            for error in run.error_ids.sorted(
                lambda error: (error.occurred_at, error.id)
            )
        ]

    @api.model
    def _evidence(self, run):
        numbers = {row[0]: row[2] for row in run.sop_id._outline()[3]}
        return [
            {
                "name": proof.name,
                "source": proof.source or "",
                "mimetype": proof.mimetype or "",
                "size": self.env._("%s bytes", f"{proof.size:,}"),
                "sha256": proof.sha256,
                "step": numbers.get(proof.step_id.step_id.id, ""),
                "time": self._time(proof.collected_at),
                "who": proof.user_id.name or "",
            }
            for proof in run.evidence_ids.sorted("id")
        ]

    @api.model
    def _rcas(self, run):
        fix_types = dict(
            self.env["qms.rca"]._fields["fix_type"]._description_selection(self.env)
        )
        return [
            {
                "rca": rca,
                "confirmed": rca.state == "confirmed",
                "state": rca._state_label(rca.state),
                "when": self._instant(rca.confirmed_on),
                "whys": rca.why_ids.sorted(),
                "facts": [
                    (label, text)
                    for label, text in (
                        (self.env._("Root cause"), rca.root_cause),
                        (self.env._("Known cause"), rca.cause_id.name),
                        (
                            self.env._("Contributing factors"),
                            "\n".join(rca.factor_ids.sorted().mapped("name")),
                        ),
                        (self.env._("Kind of fix"), fix_types.get(rca.fix_type)),
                        (self.env._("Fix"), rca.fix),
                        (self.env._("Verification"), rca.verification),
                    )
                    if text
                ],
            }
            for rca in run.rca_ids.sorted("id")
        ]

    @api.model
    def _signatures(self, run):
        """Return the lines of the sign-off: the meaning, and who is expected.

        :rtype: list[dict] with ``meaning`` and ``name``
        """
        return [
            {"meaning": self.env._("Performed by"), "name": run.user_id.name or ""},
            {"meaning": self.env._("Reviewed by"), "name": ""},
            {"meaning": self.env._("Closed by"), "name": ""},
        ]


def _pages(lines):
    """Return the lines of a timeline as they go on pages.

    wkhtmltopdf does not repeat the head of a table, so a timeline that is longer than
    a page is cut into pages here, each of which has the head.

    :param list[dict] lines: see :meth:`_timeline`
    :return: a single list when there is no need to cut
    :rtype: list[list[dict]]
    """
    pages, room = [[]], _PAGE
    for line in lines:
        height = _HEIGHT + _LINE * (
            _rows(line["what"], -1) + _rows(line["detail"]) + bool(line["written"])
        )
        if height > room and pages[-1]:
            pages.append([])
            room = _PAGE
        pages[-1].append(line)
        room -= height
    return pages


def _rows(text, more=0):
    """Return how many rows a text takes at most, and some more."""
    return more + sum(-(-len(row) // _ROW) or 1 for row in (text or "").splitlines())


def _parse(text):
    """Return an RFC 3339 time in UTC as a naive ``datetime``."""
    return datetime.fromisoformat(text).replace(tzinfo=None)


def _shorten(text):
    """Return the first line of a text, cut off where it gets long."""
    line, *more = (text or "").strip().splitlines() or [""]
    if len(line) > _DETAIL:
        return f"{line[:_DETAIL].rstrip()} …"
    return f"{line} …" if more else line
