import json
from collections import defaultdict
from datetime import timedelta
from typing import NamedTuple

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.values import to_rfc3339, without_none
from ..run.qms_sop_run import OPEN_STATES

# How many alerts of ended maintenance are looked at in one transaction
_RELEASED_AT_ONCE = 100
# How many alerts a note in the chatter lists by name
_MAX_LISTED = 10


class Plan(NamedTuple):
    """What run an alert needs.

    :ivar str sop_code: of the SOP to run
    :ivar error_code: a ``qms.error.code`` record, or none
    :ivar severity: a ``qms.severity`` record; none to take that of the error code
    :ivar str | None log_text: what to classify where there is no error code
    :ivar list[str] remarks: about what was wanted and is not there
    """

    sop_code: str
    error_code: models.BaseModel
    severity: models.BaseModel
    log_text: str | None
    remarks: list


class QmsAlert(models.Model):
    """One outage of one thing, as its source reported it.

    Its fingerprint says what is wrong, its start which time that is: a source, a
    fingerprint and a start make one alert, however often it is delivered, and one
    alert has at most one run.

    Only the intake writes this table; repeated deliveries do not even do that, so
    that a storm of them does not wait for itself.
    """

    _name = "qms.alert"
    _description = "Alert"
    _order = "starts_at desc, id desc"

    name = fields.Char("Alert", required=True)
    description = fields.Text()
    source_id = fields.Many2one(
        "qms.alert.source", required=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one("res.company", required=True, index=True)
    fingerprint = fields.Char(required=True, help="What the source calls the trouble.")
    status = fields.Selection(
        [("firing", "Firing"), ("resolved", "Resolved")], required=True, index=True
    )
    state = fields.Selection(
        [
            ("received", "Received"),
            ("processed", "Has a run"),
            ("suppressed", "In maintenance"),
            ("ignored", "Ignored"),
            ("failed", "No run could be opened"),
        ],
        "Handling",
        required=True,
        index=True,
    )
    note = fields.Text("Why")
    severity = fields.Char("Severity word", help="As the source says it.")
    severity_id = fields.Many2one(
        "qms.severity", "Severity", index=True, ondelete="restrict"
    )
    severity_code = fields.Char(related="severity_id.code")
    starts_at = fields.Datetime("Started", required=True)
    start_known = fields.Boolean(help="Whether the source said when it started.")
    ends_at = fields.Datetime("Ended")
    duration = fields.Float(
        compute="_compute_duration",
        help="Minutes; of an alert that still fires, until now.",
    )
    labels = fields.Json("Label values")
    annotations = fields.Json("Annotation values")
    labels_html = fields.Html("Labels", compute="_compute_labels_html")
    annotations_html = fields.Html("Annotations", compute="_compute_labels_html")
    url = fields.Char("Link", help="Where the source shows it.")
    run_id = fields.Many2one("qms.sop.run", "Run", index=True, ondelete="set null")
    run_state = fields.Selection(related="run_id.state", string="Run is")
    rule_id = fields.Many2one("qms.alert.rule", "Rule", index=True, ondelete="set null")
    maintenance_id = fields.Many2one(
        "qms.maintenance.window", "Maintenance", index=True, ondelete="restrict"
    )
    delivery_ids = fields.Many2many(
        "qms.alert.delivery",
        "qms_alert_delivery_rel",
        "alert_id",
        "delivery_id",
        "Deliveries",
        groups="qms_error_code.group_qms_manager,qms_error_code.group_qms_auditor",
    )
    delivery_count = fields.Integer("Delivered", compute="_compute_deliveries")
    last_seen = fields.Datetime(compute="_compute_deliveries")
    # Of deliveries whose payloads are no longer kept
    past_deliveries = fields.Integer()
    past_seen = fields.Datetime()

    _outage_uniq = models.UniqueIndex(
        "(source_id, fingerprint, starts_at)", "This alert is already there."
    )
    # Without a start, the outage that still fires is the one that is meant.
    _startless_uniq = models.UniqueIndex(
        "(source_id, fingerprint) WHERE status = 'firing' AND NOT start_known",
        "This alert is already there.",
    )
    _list_idx = models.Index("(company_id, starts_at DESC, id DESC)")
    _suppressed_idx = models.Index(
        "(maintenance_id) WHERE state = 'suppressed' AND status = 'firing'"
    )

    # === Computes ===

    @api.depends("starts_at", "ends_at", "status")
    def _compute_duration(self):
        now = fields.Datetime.now()
        for alert in self:
            end = alert.ends_at or (now if alert.status == "firing" else None)
            alert.duration = (
                (end - alert.starts_at).total_seconds() / 60
                if end and alert.starts_at
                else 0
            )

    @api.depends("labels", "annotations")
    def _compute_labels_html(self):
        for alert in self:
            alert.labels_html = Markup(" ").join(
                Markup(
                    '<span class="badge rounded-pill text-bg-light border fw-normal">'
                    '<span class="text-muted">%s</span> %s</span>'
                )
                % item
                for item in (alert.labels or {}).items()
            )
            alert.annotations_html = Markup("").join(
                Markup("<div><strong>%s</strong> %s</div>") % item
                for item in (alert.annotations or {}).items()
            )

    def _compute_deliveries(self):
        self.env["qms.alert.delivery"].flush_model(["alert_ids", "received_at"])
        found = {
            alert_id: (count, seen)
            for alert_id, count, seen in self.env.execute_query(
                SQL(
                    """SELECT r.alert_id, count(*), max(d.received_at)
                         FROM qms_alert_delivery_rel r
                         JOIN qms_alert_delivery d ON d.id = r.delivery_id
                        WHERE r.alert_id = ANY(%s)
                        GROUP BY r.alert_id""",
                    self.ids,
                )
            )
        }
        for alert in self:
            count, seen = found.get(alert.id, (0, None))
            alert.delivery_count = count + alert.past_deliveries
            alert.last_seen = seen or alert.past_seen

    # === Buttons ===

    def action_open_run(self):
        """Open the run of the alert."""
        self.ensure_one()
        return self.run_id._open_record(self.run_id)

    def action_process(self):
        """Look again at alerts that fire and have no run, for example after a rule
        was corrected."""
        self.env["qms.sop.run"].check_access("create")
        self.filtered(lambda alert: not alert.run_id)._handle()
        return True

    # === RPC ===

    @api.model
    @checked
    def receive(self, source: str, payload: dict | list) -> dict:
        """Take in a payload with alerts.

        The same as ``POST /api/v1/alerts/<source>``; a source that wants signatures
        takes payloads there only. Delivering the same again changes nothing.

        :param source: code of the alert source
        :param payload: what the monitoring system says
        :return: ``id`` and ``state`` of the delivery, ``error``, and ``alerts``: dicts
            with ``id``, ``fingerprint``, ``status``, ``state``, ``note`` and ``run``
        :raises AccessError: when the user may not deliver alerts
        :raises MissingError: when there is no such source
        """
        return without_none(self.env["qms.alert.delivery"]._from_rpc(source, payload))

    # === Taking in ===

    @api.model
    def _take(self, source, reports, now):
        """Record what a payload reports.

        The rows come first and are unique, so that of two deliveries of the same
        outage at the same moment one waits, fails to serialize, is run again by Odoo
        and finds the other's alert.

        :param qms.alert.source source: where it comes from
        :param list[Report] reports: see :mod:`...tools.alert_payload`
        :param datetime now: when it came, naive UTC
        :return: the alerts, each once, ``status`` and ``ends_at`` being up to date
        :rtype: qms.alert records
        """
        if not reports:
            return self.browse()
        known = self._known_starts(source, reports)
        by_key = {}
        for report in reports:
            start = report.starts_at or known.get((report.fingerprint, report.resolved))
            start = start or (report.ends_at if report.resolved else None) or now
            key = (report.fingerprint, start)
            if key not in by_key or report.resolved:
                by_key[key] = report
        self._insert(source, by_key)
        alerts = self._find(source, by_key)
        # Only the intake writes alerts.
        ended = alerts.filtered(
            lambda alert: (
                alert.status == "firing"
                and by_key[alert.fingerprint, alert.starts_at].resolved
            )
        )
        for alert in ended:
            report = by_key[alert.fingerprint, alert.starts_at]
            alert._record(
                {
                    "status": "resolved",
                    "ends_at": max(report.ends_at or now, alert.starts_at),
                }
            )
        ended._note_resolved()
        return alerts

    @api.model
    def _known_starts(self, source, reports):
        """Return the starts of known alerts, for reports that say none.

        :return: ``{(fingerprint, resolved): start}``; what fires is the alert that
            fires, what is over is the last one there was
        :rtype: dict
        """
        wanted = list({r.fingerprint for r in reports if not r.starts_at})
        if not wanted:
            return {}
        self.flush_model(["status"])
        starts = {}
        for fingerprint, start, status in self.env.execute_query(
            SQL(
                """SELECT DISTINCT ON (fingerprint) fingerprint, starts_at, status
                     FROM qms_alert
                    WHERE source_id = %s AND fingerprint = ANY(%s)
                    ORDER BY fingerprint, status = 'firing' DESC, starts_at DESC""",
                source.id,
                wanted,
            )
        ):
            starts[fingerprint, True] = start
            if status == "firing":
                starts[fingerprint, False] = start
        return starts

    @api.model
    def _insert(self, source, by_key):
        """Insert the alerts that are not there yet.

        :param dict by_key: ``{(fingerprint, start): Report}``
        """
        words = self.env["qms.alert.severity.word"]
        by_word = words._by_word()
        found = {
            word: words._find(word, by_word)
            for word in {report.severity for report in by_key.values()}
        }
        rows = [
            SQL(
                "%s",
                (
                    source.id,
                    source.company_id.id,
                    fingerprint,
                    start,
                    report.starts_at is not None,
                    report.title,
                    report.description or None,
                    report.severity or None,
                    found[report.severity].id or None,
                    "resolved" if report.resolved else "firing",
                    "ignored" if report.resolved else "received",
                    self.env._("It was over before it was first reported.")
                    if report.resolved
                    else None,
                    max(report.ends_at or start, start) if report.resolved else None,
                    json.dumps(report.labels),
                    json.dumps(report.annotations),
                    report.url or None,
                    self.env.uid,
                    self.env.uid,
                ),
            )
            # All deliveries in the same order, lest two wait for each other.
            for (fingerprint, start), report in sorted(
                by_key.items(), key=lambda item: item[0]
            )
        ]
        self.env.cr.execute(
            SQL(
                """INSERT INTO qms_alert
                       (source_id, company_id, fingerprint, starts_at, start_known,
                        name, description, severity, severity_id, status, state, note,
                        ends_at, labels, annotations, url, create_uid, write_uid,
                        create_date, write_date)
                   SELECT v.source_id, v.company_id, v.fingerprint,
                          v.starts_at::timestamp, v.start_known, v.name, v.description,
                          v.severity, v.severity_id::int, v.status, v.state, v.note,
                          v.ends_at::timestamp, v.labels::jsonb,
                          v.annotations::jsonb, v.url, v.create_uid, v.write_uid,
                          now() at time zone 'utc', now() at time zone 'utc'
                     FROM (VALUES %s) AS v
                       (source_id, company_id, fingerprint, starts_at, start_known,
                        name, description, severity, severity_id, status, state, note,
                        ends_at, labels, annotations, url, create_uid, write_uid)
                   ON CONFLICT DO NOTHING""",
                SQL(", ").join(rows),
            ),
            # A delivery that comes second is run again; that is nothing to report.
            log_exceptions=False,
        )

    @api.model
    def _find(self, source, by_key):
        """Return the alerts of a payload.

        :param dict by_key: ``{(fingerprint, start): Report}``
        :rtype: qms.alert records
        """
        rows = self.env.execute_query(
            SQL(
                """SELECT a.id FROM qms_alert a
                     JOIN unnest(%s::varchar[], %s::timestamp[]) AS k (f, s)
                       ON a.fingerprint = k.f AND a.starts_at = k.s
                    WHERE a.source_id = %s
                    ORDER BY a.id""",
                [fingerprint for fingerprint, _start in by_key],
                [start for _fingerprint, start in by_key],
                source.id,
            )
        )
        return self.browse(alert_id for (alert_id,) in rows)

    def _record(self, vals):
        """Write what the intake found out; no role may write alerts."""
        self.sudo().write(vals)

    # === What follows ===

    def _handle(self):
        """Decide about the alerts of one source that fire and have no run.

        The first rule that matches decides, unless a maintenance window covers the
        alert. One alert that cannot be helped does not stop the others.
        """
        waiting = self.filtered(
            lambda alert: alert.status == "firing" and alert.state != "processed"
        )
        for source, alerts in waiting.grouped("source_id").items():
            company_alerts = alerts.with_company(source.company_id)
            windows = self.env["qms.maintenance.window"]._current(source.company_id)
            rules = self.env["qms.alert.rule"]._of_source(source)
            before = alerts._previous()
            joined = defaultdict(self.browse)
            for alert in company_alerts:
                labels = alert._matching_labels()
                window = windows._first_match(labels)
                if window:
                    alert._record(
                        {
                            "state": "suppressed",
                            "maintenance_id": window.id,
                            "note": self.env._("Maintenance: %s", window.name),
                        }
                    )
                    continue
                rule = rules._first_match(labels)
                if rule.action == "ignore":
                    alert._record(
                        {
                            "state": "ignored",
                            "rule_id": rule.id,
                            "note": self.env._("The rule “%s” ignores it.", rule.name),
                        }
                    )
                    continue
                try:
                    with self.env.cr.savepoint():
                        run, existing, note = alert._find_run(
                            rule, labels, before.get(alert.fingerprint, self.browse())
                        )
                except UserError as error:
                    alert._record(
                        {"state": "failed", "rule_id": rule.id, "note": str(error)}
                    )
                    continue
                alert._record(
                    {
                        "state": "processed",
                        "rule_id": rule.id,
                        "run_id": run.id,
                        "note": note or False,
                    }
                )
                if existing:
                    joined[run] |= alert
            company_alerts.run_id._count_alerts()
            self._note_joined(joined)

    def _matching_labels(self):
        """Return what conditions are held against: the labels, and what every alert
        has."""
        self.ensure_one()
        return {
            "title": self.name,
            "severity": self.severity or "",
            "source": self.source_id.code,
            **(self.labels or {}),
        }

    def _previous(self):
        """Return the last alert with a run that each of these comes back from.

        :return: ``{fingerprint: alert}``
        :rtype: dict
        """
        if not self:
            return {}
        self.flush_model(["run_id"])
        rows = self.env.execute_query(
            SQL(
                """SELECT DISTINCT ON (fingerprint) id, fingerprint
                     FROM qms_alert
                    WHERE source_id = %s AND fingerprint = ANY(%s)
                      AND run_id IS NOT NULL
                    ORDER BY fingerprint, starts_at DESC, id DESC""",
                self.source_id.id,
                self.mapped("fingerprint"),
            )
        )
        return {fingerprint: self.browse(alert_id) for alert_id, fingerprint in rows}

    def _comes_back(self, previous, minutes):
        """Tell whether this is the trouble of an earlier alert once more.

        :param qms.alert previous: of the same fingerprint, or none
        :param int minutes: how soon it has to come back
        :rtype: bool
        """
        if not previous or not minutes or previous == self:
            return False
        ends = [
            previous.ends_at or previous.sudo().last_seen or previous.starts_at,
            previous.run_id.end_time,
        ]
        since = max(end for end in ends if end)
        return self.starts_at - since <= timedelta(minutes=minutes)

    def _occurred_at(self):
        """Return when the trouble began, RFC 3339, if the source said that.

        :rtype: str | None
        """
        # A clock that is ahead tells nothing.
        past = self.starts_at <= fields.Datetime.now()
        return to_rfc3339(self.starts_at) if self.start_known and past else None

    def _find_run(self, rule, labels, previous):
        """Find the run of one alert, or open it.

        :param qms.alert.rule rule: the rule that matches, or none
        :param dict labels: what the conditions were held against
        :param qms.alert previous: the last alert of this fingerprint, or none
        :return: the run, whether it was there before, and a remark for people
        :rtype: tuple[qms.sop.run record, bool, str]
        :raises UserError: when none can be opened
        """
        self.ensure_one()
        runs = self.env["qms.sop.run"]
        follows = runs
        if self._comes_back(previous, rule.reopen_minutes):
            if previous.run_id.state in OPEN_STATES:
                return (
                    previous.run_id,
                    True,
                    self.env._("It came back; its run was still open."),
                )
            follows = previous.run_id
        plan = self._plan(rule, labels)
        remarks = plan.remarks
        started = runs.start_run(
            plan.sop_code,
            error_code=plan.error_code.name or None,
            severity=plan.severity.code or None,
            trigger="automated",
            source=self.source_id.name,
            summary=self._summary(),
            log_text=plan.log_text,
            occurred_at=self._occurred_at(),
            dedup_key=rule._group_key(labels, plan.sop_code)
            if rule.action == "group"
            else self._outage_key(),
        )
        run = runs.browse(started["id"])
        if follows and not started["existing"]:
            run._write_system({"previous_run_id": follows.id})
            remarks.append(
                self.env._(
                    "It came back after %(run)s had ended; a finished run is sealed, "
                    "so this one follows it.",
                    run=follows.name,
                )
            )
        return run, started["existing"], "\n".join(remarks)

    def _plan(self, rule, labels):
        """Decide what run an alert needs, without opening it.

        :param qms.alert.rule rule: the rule that matches, or none
        :param dict labels: what the conditions were held against
        :rtype: Plan
        :raises UserError: when there is no SOP to run
        """
        sop_code, remarks = self._choose_sop(rule, labels)
        error_code, unknown = rule._choose_error_code(labels)
        if unknown:
            remarks.append(
                self.env._("The catalogue has no error code %(code)s.", code=unknown)
            )
        return Plan(
            sop_code=sop_code,
            error_code=error_code,
            severity=self._choose_severity(rule),
            log_text=self._text() if rule.classify or not rule else None,
            remarks=remarks,
        )

    def _outage_key(self):
        """Return what names this outage among the open runs."""
        return (
            f"alert:{self.source_id.id}:{self.fingerprint}:{to_rfc3339(self.starts_at)}"
        )

    def _choose_sop(self, rule, labels):
        """Return the code of the SOP to run, and remarks about those that were not.

        :rtype: tuple[str, list[str]]
        :raises UserError: when there is none
        """
        documents = self.env["qms.sop.document"]
        remarks = []
        for code in rule._choose_sop(labels, self.source_id.sop_code):
            try:
                return documents._effective(code).code, remarks
            except UserError:
                remarks.append(
                    self.env._("There is no approved SOP %(code)s.", code=code)
                )
        raise UserError(
            " ".join(
                [
                    *remarks,
                    self.env._(
                        "No rule and no setting of %(name)s names an approved SOP.",
                        name=self.source_id.name,
                    ),
                ]
            )
        )

    def _choose_severity(self, rule):
        """Return the severity of the run, none to take that of its error code."""
        if self.severity_id and (rule.severity_from_alert or not rule):
            return self.severity_id
        return rule.severity_id

    def _summary(self):
        """Return what the run says about the alert."""
        lines = [self.name]
        if self.description and self.description != self.name:
            lines.append(self.description)
        if self.labels:
            lines.append(", ".join(f"{k}={v}" for k, v in self.labels.items()))
        if self.url:
            lines.append(self.url)
        return "\n".join(lines)

    def _text(self):
        """Return the words of the alert, for the catalogue to look at."""
        return "\n".join(
            [self.name, self.description or "", *(self.annotations or {}).values()]
        )

    def _note_joined(self, joined):
        """Say in runs which alerts joined them.

        :param dict joined: ``{run: alerts}``
        """
        if not joined:
            return
        runs = self.env["qms.sop.run"].union(*joined)
        runs._message_log_batch(
            {
                run.id: Markup("<p>%s</p>%s")
                % (self.env._("More alerts belong to this run:"), alerts._listed())
                for run, alerts in joined.items()
            }
        )

    def _note_resolved(self):
        """Mark the runs of alerts that are over, and complete those that are due."""
        runs = self.run_id
        if not runs:
            return
        runs._count_alerts()
        bodies, due = {}, runs.browse()
        by_run = self.grouped("run_id")
        for run in runs:
            alerts = by_run[run]
            body = Markup("<p>%s</p>%s") % (self.env._("Resolved:"), alerts._listed())
            if run.alert_state == "resolved":
                body += Markup("<p>%s</p>") % self.env._(
                    "No alert of this run fires any more."
                )
                if run.state in OPEN_STATES and any(
                    alerts.rule_id.mapped("complete_on_resolved")
                ):
                    due |= run
            bodies[run.id] = body
        runs._message_log_batch(bodies)
        for run in due:
            run._complete_by_alerts()

    def _listed(self):
        """Return alerts as a list in HTML, shortened when it is long."""
        items = Markup("").join(
            Markup("<li>%s</li>") % alert.name for alert in self[:_MAX_LISTED]
        )
        more = len(self) - _MAX_LISTED
        if more > 0:
            items += Markup("<li>%s</li>") % self.env._(
                "and %(count)s more", count=more
            )
        return Markup("<ul>%s</ul>") % items

    @api.model
    def _cron_release(self):
        """Look again at alerts whose maintenance window is over."""
        # An archived window no longer holds anything back either.
        over = Domain("maintenance_id.state", "in", ["over"]) | Domain(
            "maintenance_id.active", "=", False
        )
        waiting = (
            Domain("state", "=", "suppressed") & Domain("status", "=", "firing") & over
        )
        alerts = self.search(waiting, order="id", limit=_RELEASED_AT_ONCE)
        alerts._handle()
        self.env["ir.cron"]._commit_progress(
            len(alerts), remaining=self.search_count(waiting)
        )

    def _to_dict(self):
        """Return what became of one alert.

        :return: see :class:`..schemas.alerts.AcceptedAlert`
        :rtype: dict
        """
        self.ensure_one()
        run = self.run_id
        return {
            "id": self.id,
            "fingerprint": self.fingerprint,
            "status": self.status,
            "state": self.state,
            "note": self.note or None,
            "run": {"id": run.id, "name": run.name, "state": run.state}
            if run
            else None,
        }
