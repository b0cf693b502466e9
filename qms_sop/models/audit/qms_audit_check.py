import time
from itertools import chain

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL, plaintext2html

from ...tools import audit_chain
from ...tools.values import to_rfc3339
from .qms_audit_anchor import stream
from .qms_audit_event import FUNCTIONS, ISO

# Findings that are kept in full; the others are counted.
_KEPT = 500
_BATCH = 5000
# Seconds between two commits of a scheduled verification
_SLICE = 60
# … and until somebody who clicked gets an answer
_PATIENCE = 20
READERS = ("qms_error_code.group_qms_auditor", "qms_error_code.group_qms_manager")


class QmsAuditCheck(models.Model):
    """One verification of the audit trail: how far it came, and what it found."""

    _name = "qms.audit.check"
    _description = "Verification of the audit trail"
    _order = "id desc"

    name = fields.Char("What", required=True, readonly=True)
    state = fields.Selection(
        [("running", "Running"), ("passed", "Passed"), ("failed", "Failed")],
        default="running",
        required=True,
        readonly=True,
    )
    root_model = fields.Char(readonly=True)
    root_id = fields.Many2oneReference(
        "Record", model_field="root_model", readonly=True
    )
    since = fields.Datetime("From", readonly=True)
    until = fields.Datetime(readonly=True)
    started_at = fields.Datetime("Started", default=fields.Datetime.now, readonly=True)
    finished_at = fields.Datetime("Finished", readonly=True)
    seconds = fields.Float(readonly=True, aggregator=None)
    cpu_seconds = fields.Float(
        "Seconds of computing",
        readonly=True,
        aggregator=None,
        help="Without what the database did meanwhile, and without waiting.",
    )
    events = fields.Integer(readonly=True, aggregator=None)
    roots = fields.Integer("Trails", readonly=True, aggregator=None)
    hash_version = fields.Char(
        "Algorithm", readonly=True, help="What new events are hashed with."
    )
    finding_count = fields.Integer("Findings", readonly=True, aggregator=None)
    findings = fields.Json("Findings in detail", readonly=True)
    report = fields.Text("What was found", compute="_compute_report")
    progress = fields.Integer(
        compute="_compute_progress", help="Per cent of the events there are now."
    )
    # How far it came
    at_model = fields.Char(readonly=True)
    at_id = fields.Integer(readonly=True)

    def _compute_display_name(self):
        for check in self:
            check.display_name = self.env._("Verification %s", check.id)

    @api.depends("findings", "finding_count")
    def _compute_report(self):
        for check in self:
            lines = [self._tell_finding(finding) for finding in check.findings or ()]
            more = check.finding_count - len(lines)
            if more > 0:
                lines.append(self.env._("… and %s more", more))
            check.report = "\n".join(lines) or False

    @api.depends("events", "state")
    def _compute_progress(self):
        running = self.filtered(lambda check: check.state == "running")
        (self - running).progress = 100
        if running:
            # Only the number: whoever sees a verification may know it.
            ((total,),) = self.env.execute_query(
                SQL("SELECT COALESCE(sum(sequence), 0) FROM qms_audit_head")
            )
            for check in running:
                check.progress = min(99, 100 * check.events // max(total, 1))

    @api.model
    def _tell_finding(self, finding):
        where = finding["model"]
        if where in self.env:
            where = self.env[where]._description
        place = f"{where} {finding['id']}".strip()
        if finding["sequence"]:
            place = self.env._(
                "%(place)s, event %(n)s", place=place, n=finding["sequence"]
            )
        what = audit_chain.FINDINGS[finding["kind"]]
        return f"{place}: {what}: {finding['detail']}"

    # === Verifying ===

    @api.model
    def _check_allowed(self):
        if not any(self.env.user.has_group(group) for group in READERS):
            raise AccessError(
                self.env._("Only auditors and QMS managers verify the audit trail.")
            )

    @api.model
    def _verify(self, root_model=None, root_id=None, since=None, until=None):
        """Verify trails from their first event to the last.

        :param str root_model: only of records of this model
        :param int root_id: only of this record
        :param datetime since: only trails with events written from this time on
        :param datetime until: only trails with events written before this time
        :return: the verification, finished
        :rtype: qms.audit.check record
        """
        check = self._begin(root_model, root_id, since, until)
        check._go_on()
        return check

    @api.model
    def _begin(self, root_model=None, root_id=None, since=None, until=None):
        self.env["qms.audit.event"]._flush_pending()
        # What is in the database counts.
        self.env.flush_all()
        self.env.invalidate_all()
        name = self.env._("Everything")
        if root_id:
            record = self.env[root_model].sudo().browse(root_id).exists()
            name = record.display_name or f"{root_model},{root_id}"
        elif since or until:
            name = f"{since or '…'} – {until or '…'}"
        # Nobody has the right to write a result that was not found.
        return self.sudo().create(
            {
                "name": name,
                "root_model": root_model,
                "root_id": root_id,
                "since": since,
                "until": until,
                "hash_version": self.env["qms.audit.event"]._keys().version,
            }
        )

    def _go_on(self, seconds=None, progress=None):
        """Go on with a verification where it stopped.

        :param float seconds: stop after this time, at the end of a trail
        :param progress: called now and then with the number of events so far
        :return: whether it is finished
        :rtype: bool
        """
        self.ensure_one()
        started, computing = time.monotonic(), time.thread_time()
        found = list(self.findings or ())
        count = self.finding_count

        def report(finding):
            nonlocal count
            count += 1
            if len(found) < _KEPT:
                found.append(
                    {
                        "kind": finding.kind,
                        "model": finding.root_model or "anchor",
                        "id": finding.root_id,
                        "sequence": finding.sequence,
                        "detail": finding.detail,
                    }
                )

        anchors = self.env["qms.audit.anchor"]
        keys = self.env["qms.audit.event"]._keys()
        first = not self.at_model
        # What is wrong with the file is told once.
        reader = anchors._load(keys, report if first else lambda finding: None)
        if first:
            anchors._check_file(report)
            self._check_triggers(report)
            if not self.root_id and not self.since and not self.until:
                self._check_untracked(report)
                self._check_vanished(report)
        records = self._compare_records(report)
        ((now,),) = self.env.execute_query(
            SQL("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', %s)", ISO)
        )
        verifier = audit_chain.Verifier(
            keys,
            records.report,
            anchored_by_key=reader.keyed,
            listen=records.listen,
            now=now,
        )
        finished = self._check_models(verifier, records, started, seconds, progress)
        anchors._unload()
        values = {
            "events": self.events + verifier.events,
            "roots": self.roots + verifier.roots,
            "seconds": self.seconds + time.monotonic() - started,
            "cpu_seconds": self.cpu_seconds + time.thread_time() - computing,
            "finding_count": count,
            "findings": found,
        }
        if finished:
            values["state"] = "failed" if count else "passed"
            values["finished_at"] = fields.Datetime.now()
        self.write(values)
        return finished

    def _check_models(self, verifier, records, started, seconds, progress):
        """Check the trails of one model after the other, from where it stopped."""
        rows = self.env.execute_query(
            SQL(
                """WITH RECURSIVE model AS (
                       SELECT min(root_model) AS name FROM qms_audit_event
                        UNION ALL
                       SELECT (SELECT min(root_model) FROM qms_audit_event
                                WHERE root_model > model.name)
                         FROM model WHERE name IS NOT NULL
                   )
                   SELECT name FROM model WHERE name IS NOT NULL
                    UNION SELECT DISTINCT root_model FROM qms_audit_head
                    UNION SELECT DISTINCT root_model FROM qms_audit_anchored"""
            )
        )
        names = sorted({name for (name,) in rows})
        if self.root_model:
            names = [name for name in names if name == self.root_model]
        for name in names:
            if self.at_model and name < self.at_model:
                continue
            after = self.at_id if name == self.at_model else 0
            events = stream(
                self.env.cr, "qms_audit_events", self._events_query(name, after), _BATCH
            )
            roots = stream(
                self.env.cr, "qms_audit_roots", self._roots_query(name, after), _BATCH
            )
            checking = verifier.check(
                name,
                chain.from_iterable(events),
                (audit_chain.Root(*row) for row in chain.from_iterable(roots)),
            )
            told = 0
            records.begin(name)
            for root_id in checking:
                records.add(root_id)
                if progress and verifier.events - told >= _BATCH:
                    told = verifier.events
                    progress(self.events + told)
                if seconds and time.monotonic() - started > seconds:
                    self.write({"at_model": name, "at_id": root_id})
                    records.finish()
                    checking.close()
                    events.close()
                    roots.close()
                    return False
            records.finish()
        return True

    def _scope(self, model, after):
        """Return the condition on ``root_id`` that this verification is about."""
        condition = SQL("root_id > %s", after)
        if self.root_id:
            condition = SQL("%s AND root_id = %s", condition, self.root_id)
        if self.since or self.until:
            condition = SQL(
                """%s AND root_id IN (
                       SELECT root_id FROM qms_audit_event
                        WHERE root_model = %s
                          AND recorded_at >= COALESCE(%s::timestamp, '-infinity')
                          AND recorded_at < COALESCE(%s::timestamp, 'infinity'))""",
                condition,
                model,
                self.since or None,
                self.until or None,
            )
        return condition

    def _events_query(self, model, after):
        return SQL(
            """SELECT root_model, root_id, sequence, root_name, model, res_id, kind,
                      user_id, company_id, to_char(occurred_at, %s),
                      to_char(recorded_at, %s), hash_version, previous_hash, hash,
                      content
                 FROM qms_audit_event
                WHERE root_model = %s AND %s
             ORDER BY root_id, sequence""",
            ISO,
            ISO,
            model,
            self._scope(model, after),
        )

    def _roots_query(self, model, after):
        return SQL(
            """SELECT root_id, COALESCE(h.sequence, 0), COALESCE(h.hash, ''),
                      COALESCE(a.sequence, 0), COALESCE(a.hash, '')
                 FROM (SELECT * FROM qms_audit_head WHERE root_model = %s) h
            FULL JOIN (SELECT * FROM qms_audit_anchored WHERE root_model = %s) a
                USING (root_id)
                WHERE %s
             ORDER BY root_id""",
            model,
            model,
            self._scope(model, after),
        )

    @api.model
    def _guarded(self):
        """Return what the database protects by itself.

        :return: names of triggers, by the table
        :rtype: dict[str, tuple[str, ...]]
        """
        truncate = "qms_audit_truncate"
        amendments = ("qms_audit_rows", "qms_audit_delete", truncate)
        return {
            "qms_audit_event": ("qms_audit_rows", "qms_audit_erase", truncate),
            "qms_audit_head": ("qms_audit_rows", "qms_audit_forward", truncate),
            "qms_audit_anchor": ("qms_audit_rows", truncate),
            "qms_signature": ("qms_audit_rows", truncate),
            "qms_sop_run_amendment": amendments,
        }

    def _check_triggers(self, report):
        """Find out whether the database still refuses changes."""
        rows = self.env.execute_query(
            SQL(
                """SELECT c.relname, t.tgname FROM pg_trigger t
                     JOIN pg_class c ON c.oid = t.tgrelid
                    WHERE t.tgname LIKE 'qms\\_audit\\_%%'
                      AND t.tgenabled IN ('O', 'A')"""
            )
        )
        wanted = {
            (table, trigger)
            for table, triggers in self._guarded().items()
            for trigger in triggers
        }
        for table, trigger in sorted(wanted - set(rows)):
            detail = f"trigger {trigger} on {table} is off or gone"
            report(audit_chain.Finding("trigger", "", 0, 0, detail))
        bodies = self.env.execute_query(
            SQL(
                """SELECT proname, array_agg(prosrc) FROM pg_proc
                    WHERE proname IN %s GROUP BY 1""",
                tuple(FUNCTIONS),
            )
        )
        for name, found in sorted(bodies):
            if found != [FUNCTIONS[name]]:
                detail = f"function {name} does something else"
                report(audit_chain.Finding("trigger", "", 0, 0, detail))

    def _check_vanished(self, report):
        """Find records that are gone though their trail does not say so.

        And those that are there although it does.
        """
        rows = self.env.execute_query(
            SQL("SELECT DISTINCT root_model FROM qms_audit_head ORDER BY 1")
        )
        for (model,) in rows:
            if model not in self.env or not self.env[model]._auto:
                continue
            rows = self.env.execute_query(
                SQL(
                    """SELECT h.root_id, r.id IS NULL FROM qms_audit_head h
                    LEFT JOIN %s r ON r.id = h.root_id
                        WHERE h.root_model = %s AND (r.id IS NULL) <> EXISTS (
                              SELECT FROM qms_audit_event e
                               WHERE e.root_model = h.root_model
                                 AND e.root_id = h.root_id
                                 AND e.model = e.root_model AND e.res_id = e.root_id
                                 AND e.kind IN ('deleted', 'purged'))
                     ORDER BY 1 LIMIT %s""",
                    SQL.identifier(self.env[model]._table),
                    model,
                    _KEPT,
                )
            )
            for record_id, gone in rows:
                kind, detail = "vanished", "it was deleted past the trail"
                if not gone:
                    kind, detail = "purged", "the record is there again"
                report(audit_chain.Finding(kind, model, record_id, 0, detail))

    def _check_untracked(self, report):
        """Find records that were made past the trail, or whose trail is gone.

        What is older than the trail is without one.
        """
        for model in sorted(self._compared()):
            rows = self.env.execute_query(
                SQL(
                    """SELECT r.id, r.create_date FROM %s r
                    LEFT JOIN qms_audit_head h ON h.root_model = %s AND h.root_id = r.id
                        WHERE h.id IS NULL AND r.create_date >
                              (SELECT min(recorded_at) FROM qms_audit_event)
                     ORDER BY r.id LIMIT %s""",
                    SQL.identifier(self.env[model]._table),
                    model,
                    _KEPT,
                )
            )
            for record_id, made in rows:
                detail = f"made at {made:%Y-%m-%d %H:%M:%S} UTC"
                report(audit_chain.Finding("untracked", model, record_id, 0, detail))

    # === Scheduled, and by hand ===

    @api.model
    def _cron_verify(self):
        """Verify everything, in slices, and report to the auditors.

        A verification that somebody began and that took too long is gone on with.
        """
        check = (
            self.search([("state", "=", "running")], order="id", limit=1)
            or self._begin()
        )
        while not check._go_on(_SLICE):
            if not self.env["ir.cron"]._commit_progress(1, remaining=1):
                return
        check._tell()
        self.env["ir.cron"]._commit_progress(1, remaining=0)

    def _tell(self):
        """Report the result to the auditors, also a good one.

        Who hears nothing could not tell a good result from a job that does not run.
        """
        self.ensure_one()
        anchor = self.env["qms.audit.anchor"].search([], limit=1)
        passed = self.state == "passed"
        lines = [
            self.env._(
                "%(events)s events of %(trails)s trails were verified in %(seconds)s "
                "seconds; findings: %(findings)s.",
                events=self.events,
                trails=self.roots,
                seconds=round(self.seconds, 1),
                findings=self.finding_count,
            ),
            self.env._(
                "Last anchor: number %(number)s of %(time)s UTC.",
                number=anchor.number,
                time=anchor.taken_at,
            )
            if anchor
            else self.env._("No anchor was ever taken."),
            *(self.report or "").splitlines()[:20],
        ]
        if self.hash_version == audit_chain.PLAIN:
            lines.append(
                self.env._(
                    "The server has no key for the trail: only the anchors would tell "
                    "if somebody made all hashes again."
                )
            )
        self._tell_auditors(
            self.env._("The audit trail passed its verification")
            if passed
            else self.env._("The audit trail did not pass its verification"),
            "\n".join(lines),
            self,
        )
        states = dict(self._fields["state"]._description_selection(self.env))
        self.env["qms.notification"]._publish(
            "audit_verification",
            self,
            key=f"audit_verification:{self.id}",
            values={
                "result": states[self.state],
                "events": self.events,
                "findings": (self.report or "").splitlines()[:20],
                "taken": to_rfc3339(self.finished_at),
                "url": self._url(),
            },
        )

    def _url(self):
        return f"{self.get_base_url()}/odoo/qms-audit-checks/{self.id}"

    @api.model
    def _tell_auditors(self, subject, text, check=None):
        """Send a message to the auditors; without auditors, to the managers.

        :param str subject: in a line
        :param str text: lines
        :param check: the verification that it links to
        """
        for group in READERS:
            users = (
                self.env.ref(group)
                .sudo()
                .all_user_ids.filtered(
                    lambda user: user.active and not user._is_superuser()
                )
            )
            if users:
                break
        if check:
            text = Markup("%s<br/><a href='%s'>%s</a>") % (
                plaintext2html(text),
                check._url(),
                self.env._("Open the verification"),
            )
        self.env["mail.thread"].sudo().message_notify(
            partner_ids=users.partner_id.ids,
            subject=subject,
            body=text if check else plaintext2html(text),
            subtype_xmlid="mail.mt_note",
        )

    @api.model
    def action_verify(self):
        """Verify everything now, and open the result.

        What takes longer than a click should is gone on with by the scheduled job.

        :rtype: dict
        """
        self._check_allowed()
        check = self._begin()
        if not check._go_on(_PATIENCE):
            self.env.ref("qms_sop.ir_cron_audit_verify")._trigger()
        return check.with_env(self.env)._open()

    def _open(self):
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
        }

    def _to_rpc(self):
        self.ensure_one()
        return {
            "id": self.id,
            "state": self.state,
            "events": self.events,
            "trails": self.roots,
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "hash_version": self.hash_version,
            "finding_count": self.finding_count,
            "findings": self.findings or [],
        }
