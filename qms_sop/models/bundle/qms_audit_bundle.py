import base64
import datetime
import hashlib
import logging
import os
import tempfile
import time
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytz

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command, Domain
from odoo.tools import SQL, config, human_size, split_every

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools import audit_chain
from ...tools.audit_bundle import Bundle
from ...tools.values import to_rfc3339
from ...tools.verify_bundle import ANCHORS, FOLDERS, HEADS
from ..audit.qms_audit_anchor import number_of, stream
from ..audit.qms_audit_check import READERS
from ..audit.qms_audit_event import ISO
from ..run.qms_sop_run import FINAL_STATES

_logger = logging.getLogger(__name__)

# What is larger does not fit into an answer that is held in memory several times.
RPC_LIMIT_MB = 64
# Runs, and events, that are in memory at a time
_BATCH = 100
_EVENTS = 1000
# A file that is made anew, and is nobody else's
_NEW = os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Seconds after which nobody is still at work on a file
_UNFINISHED = 2 * 3600
_REPORT = "qms_sop.report_sop_run"
# What depends on the address of the server, or opens a door
_LEFT_OUT = ("url", "api_url", "content_url", "status_url")
_FOLDER_OF = {model: folder for folder, model in FOLDERS.items()}


class Chosen(NamedTuple):
    """How records of a model are chosen for a bundle.

    :ivar str field: of the bundle, those that are wanted
    :ivar str begin: when one of them began
    :ivar str told: what tombstones call that
    """

    field: str
    begin: str
    told: str


class QmsAuditBundle(models.TransientModel):
    """Runs with everything that proves them, as one ZIP to take away.

    Everything is read as the user who asks; the trail of a record belongs to it.
    The same data makes the same bytes. It is written piece by piece to a file.
    """

    _name = "qms.audit.bundle"
    _description = "Auditor bundle"

    run_ids = fields.Many2many("qms.sop.run", string="Runs")
    date_from = fields.Date("From", help="Runs that were started on this day or later.")
    date_to = fields.Date("To", help="The last day that counts.")
    reports = fields.Boolean(
        "With PDFs",
        help="Each run on paper. A PDF tells when it was made, so the bundle is "
        "another one each time.",
    )
    run_count = fields.Integer("Runs found", compute="_compute_run_count")
    purged_count = fields.Integer(
        "Purged since",
        compute="_compute_run_count",
        help="Runs of which there is nothing but the tombstone in the audit trail.",
    )

    filename = fields.Char("File", readonly=True)
    size = fields.Char(readonly=True)
    manifest_sha256 = fields.Char(
        "SHA-256 of the manifest",
        readonly=True,
        help="Write it down, apart from the bundle: it shows later that the bundle is "
        "the one that was made now.",
    )

    @api.model
    def default_get(self, fields):
        values = super().default_get(fields)
        if self.env.context.get("active_model") == "qms.sop.run":
            ids = self.env.context.get("active_ids") or []
            values["run_ids"] = [Command.set(ids)]
        return values

    @api.depends("run_ids", "date_from", "date_to")
    def _compute_run_count(self):
        for bundle in self:
            found = bundle._search_count()
            bundle.run_count = found["qms.sop.run"]
            bundle.purged_count = sum(map(len, bundle._purged().values()))

    @api.model
    def _choices(self):
        """Return which records bundles can be asked for.

        :return: by their model
        :rtype: dict[str, Chosen]
        """
        return {"qms.sop.run": Chosen("run_ids", "start_time", "started_at")}

    def _search_count(self):
        """Return how many records are wanted, by their model."""
        domains = self._domains()
        return {
            model: self._every(model).search_count(domains[model])
            if model in domains
            else 0
            for model in self._choices()
        }

    def _domains(self):
        """Return which records are wanted.

        :return: domains, by the model; none when nothing says so
        :rtype: dict[str, Domain]
        """
        self.ensure_one()
        every = self.with_context(active_test=False)
        domains = {
            model: Domain("id", "in", every[choice.field].ids)
            for model, choice in self._choices().items()
            if every[choice.field]
        }
        if domains or not (self.date_from or self.date_to):
            return domains
        return {
            model: _period(choice.begin, *self._times())
            for model, choice in self._choices().items()
        }

    def _times(self):
        """Return when the period begins and ends: naive UTC datetimes, or ``None``."""
        zone = pytz.timezone(self.env.user.tz or "UTC")

        def midnight(day):
            local = zone.localize(datetime.datetime.combine(day, datetime.time.min))
            return local.astimezone(pytz.utc).replace(tzinfo=None)

        last = self.date_to and self.date_to + datetime.timedelta(days=1)
        return self.date_from and midnight(self.date_from), last and midnight(last)

    def _purged(self):
        """Return the ids of the records of the period that were purged.

        :return: by the model
        :rtype: dict[str, list[int]]
        """
        every = self.with_context(active_test=False)
        if any(every[choice.field] for choice in self._choices().values()):
            return {}
        if not self.date_from and not self.date_to:
            return {}
        return {
            model: self._purged_records(model, *self._times())
            for model in self._choices()
        }

    def action_make(self):
        """Make the bundle, and show what it is and where it can be downloaded.

        :rtype: dict
        :raises UserError: when there is nothing in it
        """
        self.ensure_one()
        self._check_allowed()
        if not any(self._search_count().values()) and not self.purged_count:
            raise UserError(self.env._("There is no run in it: choose other runs."))
        path = self._path()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, _NEW, 0o600), "w+b") as file:
            self.filename, self.manifest_sha256 = self._write(file)
            self.size = human_size(file.tell())
        return {
            "type": "ir.actions.act_window",
            "name": self._description,
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
        }

    def action_download(self):
        """Download the bundle.

        :rtype: dict
        """
        self.ensure_one()
        return {
            "type": "ir.actions.act_url",
            "url": f"/qms_sop/audit-bundle/{self.id}.zip",
            "target": "download",
        }

    def _path(self):
        """Return the file of one bundle on the server.

        :rtype: Path
        """
        self.ensure_one()
        return self._folder() / f"{self.id}.zip"

    @api.model
    def _folder(self):
        return Path(config["data_dir"], "qms_audit", self.env.cr.dbname, "bundles")

    @api.autovacuum
    def _gc_files(self):
        """Remove the files of bundles that were removed, or never finished."""
        names = {f"{bundle_id}.zip" for bundle_id in self.sudo().search([]).ids}
        latest = time.time() - _UNFINISHED
        for path in self._folder().glob("*.zip"):
            if path.name not in names and path.stat().st_mtime < latest:
                path.unlink(missing_ok=True)

    # === RPC ===

    @api.model
    @checked
    def export_bundle(
        self,
        run_ids: list[int] | None = None,
        since: str | None = None,
        until: str | None = None,
        reports: bool = False,
    ) -> dict:
        """Return an auditor bundle of runs, archived ones included.

        Of a run that was purged it has the trail and the tombstone.

        :param run_ids: ids of runs
        :param since: instead, those that were started at or after this time, RFC 3339
            in UTC
        :param until: those that were started before this time
        :param reports: with each run as PDF; then no two bundles are the same
        :return: ``filename``, ``content`` (base64), ``sha256`` (of the file),
            ``manifest_sha256``, ``size``, ``runs``, ``purged`` (numbers)
        :raises AccessError: for anybody but auditors and managers
        :raises UserError: when it is too large for an answer
        """
        return self._export({"qms.sop.run": run_ids}, since, until, reports)

    @api.model
    def _export(self, ids, since, until, reports):
        """See :meth:`export_bundle`.

        :param dict ids: of the records that are wanted, or ``None``, by their model
        """
        self._check_allowed()
        asked = any(ids.values())
        if asked == bool(since or until):
            raise ValidationError(
                self.env._("Say which runs: either run_ids, or since and until.")
            )
        events = self.env["qms.audit.event"]
        times = (
            events._parse_time("since", since),
            events._parse_time("until", until),
        )
        chosen, purged = {}, {}
        for model, choice in self._choices().items():
            wanted = ids.get(model) or []
            domain = Domain("id", "in", wanted)
            if not asked:
                domain = _period(choice.begin, *times)
            chosen[model] = self._every(model).search(domain, order="id")
            missing = sorted(set(wanted) - set(chosen[model].ids))
            if missing or not asked:
                purged[model] = self._purged_records(model, *times, missing)
            missing = sorted(set(missing) - set(purged.get(model, ())))
            if missing:
                raise ValidationError(
                    self.env._(
                        "There are no %(folder)s with these ids, or you may not see "
                        "them: %(ids)s.",
                        folder=_FOLDER_OF[model],
                        ids=", ".join(map(str, missing)),
                    )
                )
        with tempfile.TemporaryFile() as file:
            name, manifest, counts = self._write_bundle(file, chosen, reports, purged)
            size = file.tell()
            if size > RPC_LIMIT_MB * 1024 * 1024:
                raise UserError(
                    self.env._(
                        "The bundle has %(size)s MB; an answer has at most %(limit)s. "
                        "Take fewer runs, or download it in Auditing → Auditor bundle.",
                        size=size // 1024 // 1024 + 1,
                        limit=RPC_LIMIT_MB,
                    )
                )
            file.seek(0)
            content = file.read()
        return {
            "filename": name,
            "content": base64.b64encode(content).decode(),
            "sha256": hashlib.sha256(content).hexdigest(),
            "manifest_sha256": manifest,
            "size": size,
            **{_FOLDER_OF[model]: counts[_FOLDER_OF[model]] for model in chosen},
            "purged": counts["purged"],
        }

    # === Writing it ===

    @api.model
    def _check_allowed(self):
        if not any(self.env.user.has_group(group) for group in READERS):
            raise AccessError(
                self.env._("Only auditors and QMS managers take auditor bundles.")
            )

    @api.model
    def _every(self, model):
        return self.env[model].with_context(active_test=False)

    @api.model
    def _purged_records(self, model, since=None, until=None, ids=None):
        """Return the ids of records of which there is nothing but a tombstone.

        :param str model: one of those that bundles can be asked for
        :param datetime since: only those that began at or after it
        :param datetime until: only those that began before it
        :param list[int] ids: only these
        :rtype: list[int]
        """
        events = self.env["qms.audit.event"]
        domain = Domain("root_model", "=", model) & Domain(
            "kind", "=", audit_chain.PURGED
        )
        if ids:
            domain &= Domain("root_id", "in", ids)
        query = events._search(domain)
        began = SQL(
            "(qms_audit_event.content::jsonb->'data'->>%s)", self._choices()[model].told
        )
        if since:
            query.add_where(SQL("%s >= %s", began, to_rfc3339(since)))
        if until:
            query.add_where(SQL("%s < %s", began, to_rfc3339(until)))
        rows = self.env.execute_query(
            query.select(SQL.identifier("qms_audit_event", "root_id"))
        )
        gone = {record_id for (record_id,) in rows}
        return sorted(gone - set(self._every(model).browse(gone).exists().ids))

    def _write(self, file):
        """Write the bundle that was asked for.

        :param file: binary file, open for writing
        :return: what it is called, and the SHA-256 of its manifest
        :rtype: tuple[str, str]
        """
        domains = self._domains()
        chosen = {
            model: self._every(model).search(
                domains.get(model, Domain.FALSE), order="id"
            )
            for model in self._choices()
        }
        return self._write_bundle(file, chosen, self.reports, self._purged())[:2]

    @api.model
    def _together(self, chosen):
        """Return everything that belongs into a bundle.

        :param dict chosen: what was asked for, records by their model
        :return: records by their model, which is one of ``FOLDERS``
        :rtype: dict
        """
        runs = chosen["qms.sop.run"]
        return {
            "qms.sop.run": runs,
            "qms.sop.document": runs.sop_id,
            "qms.action": runs.with_context(active_test=False).action_ids,
        }

    @api.model
    def _adders(self):
        """Return what adds records to a bundle, by their model.

        :return: functions of the bundle, at most a batch of records, and the counts
        :rtype: dict
        """
        return {
            "qms.sop.run": self._add_runs,
            "qms.sop.document": self._add_documents,
            "qms.action": self._add_actions,
        }

    @api.model
    def _write_bundle(self, file, chosen, reports=False, purged=None):
        """Write a bundle.

        :param file: binary file, open for writing
        :param dict chosen: records by their model, one of those that can be asked for
        :param bool reports: with PDFs
        :param dict purged: ids of records that were purged, of which their trails are
            added, by their model
        :return: what it is called, the SHA-256 of its manifest, and how much is in it
        :rtype: tuple[str, str, dict]
        """
        self._check_allowed()
        for model in ("event", "head", "anchor"):
            self.env[f"qms.audit.{model}"].check_access("read")
        self.env["qms.audit.event"]._flush_pending()
        bundle, purged = Bundle(file), purged or {}
        roots = {
            model: records.sorted("id").ids
            for model, records in self._together(chosen).items()
        }
        counts = {_FOLDER_OF[model]: len(ids) for model, ids in roots.items()}
        counts["purged"] = sum(map(len, purged.values()))
        counts["evidence"] = counts["damaged_evidence"] = 0
        for model, add in self._adders().items():
            for ids in split_every(_BATCH, roots[model]):
                add(bundle, self._every(model).browse(ids), counts)
                self.env.invalidate_all()
        trails = {
            model: sorted([*ids, *purged.get(model, ())])
            for model, ids in roots.items()
        }
        counts["events"] = sum(
            self._add_trails(bundle, model, ids) for model, ids in trails.items() if ids
        )
        counts["trails"] = self._add_heads(bundle, trails)
        self._add_anchors(bundle)
        if reports:
            self._add_reports(bundle, roots)
        manifest = bundle.close(
            self.env["qms.audit.event"]._keys(),
            {"format": 1, "counts": counts, "records": roots},
        )
        _logger.info(
            "Auditor bundle for %s: %s runs, manifest %s",
            self.env.user.login,
            counts["runs"],
            manifest,
        )
        return f"audit-bundle-{manifest[:16]}.zip", manifest, counts

    @api.model
    def _add_runs(self, bundle, runs, counts):
        """Add runs with all that belongs to them, and their evidence."""
        found = runs._api_dicts({"steps", "errors", "evidence", "rca"})
        for run, said in zip(runs, found, strict=True):
            signatures = self.env["qms.signature"]
            signed = signatures._of(run) | signatures._of(run.rca_ids)
            said |= {
                "sop_id": run.sop_id.id,
                "company": run.company_id.name,
                "archived": not run.active,
                "responsible": run.user_id.name or None,
                "signatures": signatures_of(signed),
                "amendments": [
                    {
                        "id": note.id,
                        "amended_at": to_rfc3339(note.amended_at),
                        "user_id": note.user_id.id,
                        "reason": note.reason,
                        "text": note.text,
                    }
                    for note in run.amendment_ids.sorted("id")
                ],
            }
            evidence = self.env["qms.sop.run.evidence"]
            for values in said["evidence"]:
                record = evidence.browse(values["id"])
                self._add_evidence(bundle, record, values, counts)
            if run.state not in FINAL_STATES:
                _stop_clocks(said)
            self._add_record(bundle, run, run.name, said)

    @api.model
    def _add_record(self, bundle, record, stem, said):
        """Add what is known of a record.

        :param record: of a model of ``FOLDERS``
        :param str stem: what its file is called
        :param dict said: plain values
        :return: the name of the file
        :rtype: str
        """
        name = bundle.name(_FOLDER_OF[record._name], stem, ".json", record.id)
        bundle.add(name, audit_chain.canonical(_portable(said)))
        return name

    @api.model
    def _add_evidence(self, bundle, evidence, values, counts):
        """Add one piece of evidence; a damaged one is reported, not given out.

        :param dict values: what is known of it; where its file is, is added
        """
        # Whoever may read the record may read its file.
        attachment = (
            self.env["ir.attachment"]
            .sudo()
            .search(
                [
                    ("res_model", "=", evidence._name),
                    ("res_field", "=", "datas"),
                    ("res_id", "=", evidence.id),
                ],
                limit=1,
            )
        )
        # Not from the cache: what is on the disk counts.
        attachment.invalidate_recordset(["raw"])
        content = attachment.raw or b""
        found = hashlib.sha256(content).hexdigest()
        attachment.invalidate_recordset(["raw"])
        if found != evidence.sha256:
            evidence._tell_damage(found)
            counts["damaged_evidence"] += 1
            values |= {"file": None, "found_sha256": found}
            return
        counts["evidence"] += 1
        stem = f"{found}-{evidence.name[-60:]}"
        values["file"] = bundle.name("evidence", stem, "", evidence.id)
        bundle.add(values["file"], content)

    @api.model
    def _add_documents(self, bundle, documents, counts):
        """Add revisions, as data and as Markdown."""
        for document in documents:
            markdown = document._markdown().encode()
            said = {
                **document._to_dict(steps=True),
                "id": document.id,
                "content": document._content(),
                "markdown_sha256": hashlib.sha256(markdown).hexdigest(),
                "signatures": signatures_of(self.env["qms.signature"]._of(document)),
            }
            stem = f"{document.code}-{document.version}"
            name = self._add_record(bundle, document, stem, said)
            bundle.add(f"{name.removesuffix('.json')}.md", markdown)

    @api.model
    def _add_actions(self, bundle, actions, counts):
        """Add the actions that came from what is in the bundle."""
        for action in actions:
            said = {
                **action._to_dict(),
                "signatures": signatures_of(self.env["qms.signature"]._of(action)),
            }
            # It depends on the day.
            del said["overdue"]
            self._add_record(bundle, action, action.reference, said)

    @api.model
    def _add_trails(self, bundle, model, ids):
        """Add the trails of records that the user may read.

        :return: how many events they have
        :rtype: int
        """
        query = SQL(
            """SELECT root_id, sequence, hash_version, previous_hash, hash, content,
                      CASE WHEN content = '' THEN jsonb_build_array(
                          root_model, root_id, sequence, root_name, model, res_id, kind,
                          user_id, company_id, to_char(occurred_at, %s),
                          to_char(recorded_at, %s)) END
                 FROM qms_audit_event
                WHERE root_model = %s AND root_id IN %s
             ORDER BY root_id, sequence, id""",
            ISO,
            ISO,
            model,
            tuple(ids),
        )
        names = ("sequence", "hash_version", "previous_hash", "hash", "content")
        count, at = 0, None
        with ExitStack() as file:
            for rows in stream(self.env.cr, "qms_bundle_events", query, _EVENTS):
                # pylint: disable-next=bad-builtin-groupby
                for root_id, events in groupby(rows, key=lambda row: row[0]):
                    if root_id != at:
                        file.close()
                        name = f"chain/{model}-{root_id}.jsonl"
                        write = file.enter_context(bundle.open(name))
                        at = root_id
                    for _root_id, *event, columns in events:
                        line = dict(zip(names, event, strict=True))
                        if columns:
                            # What is left of an event whose content was erased
                            line["columns"] = columns
                        write(f"{audit_chain.canonical(line)}\n".encode())
                        count += 1
        return count

    @api.model
    def _add_heads(self, bundle, roots):
        """Add where the trails end.

        :return: how many there are
        :rtype: int
        """
        heads = self.env["qms.audit.head"]
        count = 0
        with bundle.open(HEADS) as write:
            for model, ids in roots.items():
                found = heads.search_fetch(
                    Domain("root_model", "=", model) & Domain("root_id", "in", ids),
                    ["root_model", "root_id", "sequence", "hash"],
                    order="root_id",
                )
                for head in found:
                    line = [model, head.root_id, head.sequence, head.hash]
                    write(f"{audit_chain.canonical(line)}\n".encode())
                count += len(found)
        return count

    @api.model
    def _add_anchors(self, bundle):
        """Add the file of the anchors; what they say can be checked only as a whole.

        It has nothing of the records but their ids and hashes.
        """
        anchors = self.env["qms.audit.anchor"]
        try:
            file = anchors._path().open("rb")
        except FileNotFoundError:
            return
        until = self._last_anchor()
        with file, bundle.open(ANCHORS) as write:
            for line in file:
                if until is not None and number_of(line) > until:
                    break
                write(line)

    @api.model
    def _last_anchor(self):
        """Return the last anchor that counts, or ``None`` for all of the file.

        An anchor that was taken while the bundle is made knows of more events than
        this transaction sees. One that nobody knows of is kept: it was deleted from
        the database, and what it says may be why.
        """
        query = "SELECT COALESCE(max(number), 0) FROM qms_audit_anchor"
        with self.env.registry.cursor() as cr:
            cr.execute(query)
            ((now,),) = cr.fetchall()
        ((seen,),) = self.env.execute_query(SQL(query))
        return seen if now > seen else None

    @api.model
    def _add_reports(self, bundle, roots):
        """Add each run on paper.

        :param dict roots: ids of the records in the bundle, by their model
        """
        for run in self._every("qms.sop.run").browse(roots["qms.sop.run"]):
            self._add_report(bundle, _REPORT, run)

    @api.model
    def _add_report(self, bundle, report, record):
        content, _kind = self.env["ir.actions.report"]._render_qweb_pdf(
            report, record.ids
        )
        bundle.add(bundle.name("reports", record.name, ".pdf", record.id), content)


def _period(field, since, until):
    domain = Domain.TRUE
    if since:
        domain &= Domain(field, ">=", since)
    if until:
        domain &= Domain(field, "<", until)
    return domain


def _portable(value):
    """Return plain values without what is about this server only."""
    if isinstance(value, dict):
        return {
            key: _portable(one) for key, one in value.items() if key not in _LEFT_OUT
        }
    return list(map(_portable, value)) if isinstance(value, list) else value


def _stop_clocks(said):
    """Take out of an open run what is another one every minute."""
    for name in ("sla", "next_deadline", "paused_minutes"):
        said.pop(name, None)
    for clock in said["clocks"].values():
        del clock["state"], clock["remaining_minutes"]


def signatures_of(signatures):
    return [
        {
            **{key: value or None for key, value in one._to_rpc().items()},
            "valid": one.valid,
            "model": one.model,
            "record_id": one.res_id,
            "comment": one.comment or None,
        }
        for one in signatures.sorted("id")
    ]
