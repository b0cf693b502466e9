import contextlib
import hashlib
import json
import logging
import os
import uuid
from pathlib import Path

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import SQL, config, email_normalize_all, plaintext2html

from ...tools import audit_chain
from ...tools.values import to_rfc3339
from .qms_audit_event import ISO, protect

_logger = logging.getLogger(__name__)

# Option of Odoo's configuration file, and variable that is taken instead of it
FILE_OPTION, FILE_VARIABLE = "qms_audit_anchor_file", "QMS_AUDIT_ANCHOR_FILE"
# Heads in one line of the file
_LINE = 1000
_LOCK = "qms_audit_anchor"
# System parameter: tells the file from those of databases that had the same name
_FILE_NAME = "qms_sop.audit_anchor_file"
# System parameter: where else anchors go, separated by commas
ADDRESSES = "qms_sop.audit_anchor_addresses"
# The event that channels subscribe to
EVENT = "audit_anchor"
# Bytes of an anchor that fit into a mail
ATTACHED = 5 * 1024 * 1024


class QmsAuditAnchor(models.Model):
    """What the heads of all trails were at some time, known outside the database.

    Whoever owns the database can cut off the end of a trail, or take away a whole
    one, head and all; the file still knows of it.
    """

    _name = "qms.audit.anchor"
    _description = "Anchor of the audit trails"
    _inherit = ["qms.audit.sealed.mixin"]
    _log_access = False
    _order = "number desc"
    _rec_name = "number"

    number = fields.Integer(required=True, readonly=True, aggregator=None)
    taken_at = fields.Datetime("Taken", required=True, readonly=True)
    heads = fields.Integer(
        "Trails", readonly=True, help="Trails that grew since the anchor before."
    )
    file = fields.Char(readonly=True, help="Where on the server it was written to.")
    content = fields.Text(required=True, readonly=True)
    hash_version = fields.Char("Algorithm", required=True, readonly=True)
    previous_hash = fields.Char(required=True, readonly=True)
    hash = fields.Char(required=True, readonly=True)

    _number_uniq = models.UniqueIndex("(number)", "Anchors are numbered.")

    def init(self):
        protect(self.env, self._table)

    # === Taking one ===

    @api.model
    def _take(self):
        """Take an anchor: write the heads that moved to the file, and note that here.

        A trail that is no longer what the file says keeps its old anchor, so that
        taking a new one never hides a change.

        :return: the anchor, and the trails that were not anchored again, as
            ``(model, id)``
        :rtype: tuple
        :raises UserError: when the file cannot be written
        """
        self.env["qms.audit.event"]._flush_pending()
        self._lock()
        self._name_file()
        keys = self.env["qms.audit.event"]._keys()
        reader = self._load(keys, lambda finding: None)
        rewritten = self.env.execute_query(
            SQL(
                """SELECT a.root_model, a.root_id FROM qms_audit_anchored a
                LEFT JOIN qms_audit_event e USING (root_model, root_id, sequence)
                    WHERE e.hash IS DISTINCT FROM a.hash
                 ORDER BY 1, 2"""
            )
        )
        ((number, previous, now),) = self.env.execute_query(
            SQL(
                """SELECT COALESCE(max(number), 0),
                          (array_agg(hash ORDER BY number DESC))[1],
                          to_char(clock_timestamp() AT TIME ZONE 'UTC', %s)
                     FROM qms_audit_anchor""",
                ISO,
            )
        )
        if reader.last >= number:
            number, previous = reader.last, reader.last_hash
        number, previous = number + 1, previous or audit_chain.GENESIS
        path = self._path()
        try:
            closing, count = self._write_file(path, keys, number, previous, now)
        except OSError as error:
            raise UserError(
                self.env._(
                    "The anchor cannot be written to %(path)s: %(error)s. The option "
                    "%(option)s of the server names another file.",
                    path=path,
                    error=error.strerror,
                    option=FILE_OPTION,
                )
            ) from error
        ((anchor_id,),) = self.env.execute_query(
            SQL(
                """INSERT INTO qms_audit_anchor (number, taken_at, heads, file, content,
                                                 hash_version, previous_hash, hash)
                        VALUES (%s, %s::timestamp, %s, %s, %s, %s, %s, %s)
                     RETURNING id""",
                number,
                now,
                count,
                str(path),
                closing["content"],
                closing["hash_version"],
                closing["previous_hash"],
                closing["hash"],
            )
        )
        self._unload()
        return self.browse(anchor_id), rewritten

    @api.model
    def _write_file(self, path, keys, number, previous, now):
        """Append an anchor to the file, and wait until the disk has it.

        :return: the closing line, and how many heads the anchor has
        :rtype: tuple[dict, int]
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest, count = hashlib.sha256(), 0
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            if file.tell() and not _ends_in_newline(path):
                # A power cut came in between; nothing that is whole is touched.
                file.write(b"\n")
            for heads in self._moved_heads():
                line = audit_chain.heads_line(number, heads).encode() + b"\n"
                digest.update(line)
                count += len(heads)
                file.write(line)
            closing = audit_chain.closing_line(
                keys, number, previous, digest, count, now, self.env.cr.dbname
            )
            file.write(audit_chain.canonical(closing).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return closing, count

    @api.model
    def _moved_heads(self):
        """Yield lists of the heads that moved since they were last anchored."""
        query = SQL(
            """SELECT h.root_model, h.root_id, h.sequence, h.hash
                 FROM qms_audit_head h
            LEFT JOIN qms_audit_anchored a USING (root_model, root_id)
            LEFT JOIN qms_audit_event e
                   ON (e.root_model, e.root_id, e.sequence)
                    = (a.root_model, a.root_id, a.sequence)
                WHERE a.root_id IS NULL OR (h.sequence > a.sequence AND e.hash = a.hash)
             ORDER BY h.root_model, h.root_id"""
        )
        for rows in stream(self.env.cr, "qms_audit_moved", query, _LINE):
            yield [list(row) for row in rows]

    @api.model
    def _cron_take(self):
        """Take an anchor, send it out, and tell the auditors of what is wrong."""
        checks = self.env["qms.audit.check"]
        try:
            with self.env.cr.savepoint():
                anchor, rewritten = self._take()
        except UserError as error:
            # Not to be raised: what the auditors are told would be undone.
            _logger.error("No anchor of the audit trail: %s", error)
            checks._tell_auditors(
                self.env._("The audit trail could not be anchored"), str(error)
            )
            return
        anchor._send_out()
        if rewritten:
            names = ", ".join(f"{model},{root_id}" for model, root_id in rewritten[:20])
            checks._tell_auditors(
                self.env._("The audit trail was changed"),
                self.env._(
                    "These trails are not what was anchored: %s. Verify the audit "
                    "trail.",
                    names,
                ),
            )
        self.env["ir.cron"]._commit_progress(1)

    # === Out of reach of the server ===

    @api.model
    def _addresses(self):
        """Return the addresses that each anchor is sent to.

        :rtype: list[str]
        """
        # sudo: system parameters are read by administrators only.
        value = self.env["ir.config_parameter"].sudo().get_param(ADDRESSES)
        return email_normalize_all(value or "")

    @api.model
    def _told_where(self):
        """Return where anchors go besides the file, for people.

        :rtype: str | bool
        """
        # sudo: who hears of it is no secret of the managers.
        channels = self.env["qms.notification.channel"].sudo()._subscribed(EVENT)
        return ", ".join([*self._addresses(), *channels.mapped("name")]) or False

    def _send_out(self):
        """Tell channels of an anchor, and send it to the addresses that are configured.

        The mail has the lines of the file that belong to it, so a trail can be
        compared with them whatever becomes of the server.
        """
        self.ensure_one()
        self.env["qms.notification"]._publish(
            EVENT,
            self,
            key=f"{EVENT}:{self.number}:{self.hash}",
            values={
                "number": self.number,
                "taken": to_rfc3339(self.taken_at),
                "heads": self.heads,
                "hash": self.hash,
                "database": self.env.cr.dbname,
            },
        )
        addresses = self._addresses()
        if not addresses:
            return
        lines = self._lines()
        file = {
            "name": f"anchor-{self.env.cr.dbname}-{self.number}.jsonl",
            "raw": lines,
            "mimetype": "application/jsonl",
        }
        text = self.env._(
            "Keep this mail: it shows later whether the audit trail was changed.\n\n"
            "Database: %(database)s\nAnchor: %(number)s\nTaken: %(time)s UTC\n"
            "Trails that grew: %(heads)s\nHash: %(hash)s\nPrevious: %(previous)s",
            database=self.env.cr.dbname,
            number=self.number,
            time=self.taken_at,
            heads=self.heads,
            hash=self.hash,
            previous=self.previous_hash,
        )
        if lines is None:
            text += "\n\n" + self.env._(
                "It is too large for a mail: take it from the file of the anchors."
            )
        # sudo: nobody may send mails in the name of the company by hand; the job does.
        self.env["mail.mail"].sudo().create(
            {
                "subject": self.env._(
                    "Anchor %(number)s of the audit trail: %(hash)s",
                    number=self.number,
                    hash=self.hash[:16],
                ),
                "body_html": plaintext2html(text),
                "email_to": ", ".join(addresses),
                "auto_delete": True,
                "attachment_ids": [Command.create(file)] if lines is not None else [],
            }
        )
        self.env.ref("mail.ir_cron_mail_scheduler_action").sudo()._trigger()

    def _lines(self):
        """Return what the file has of one anchor, if it fits into a mail.

        :rtype: bytes | None
        """
        lines, size = [], 0
        with self._path().open("rb") as file:
            for line in file:
                if number_of(line) == self.number:
                    lines.append(line)
                    size += len(line)
                    if size > ATTACHED:
                        return None
        return b"".join(lines)

    @api.model
    def action_take(self):
        """Take an anchor now.

        :return: an action that tells so
        :rtype: dict
        """
        self.env["qms.audit.check"]._check_allowed()
        anchor, rewritten = self.sudo()._take()
        anchor._send_out()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "danger" if rewritten else "success",
                "message": self.env._(
                    "Anchor %(number)s: %(heads)s trails. Not anchored again, because "
                    "they were changed: %(rewritten)s.",
                    number=anchor.number,
                    heads=anchor.heads,
                    rewritten=len(rewritten),
                ),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    # === Reading the file ===

    @api.model
    def _path(self):
        """Return the file of this database.

        The one that the server is told of is the same for good; without one, each
        database has its own, also one that is made anew under the same name.

        :rtype: Path
        """
        path = os.environ.get(FILE_VARIABLE) or config.get(FILE_OPTION)
        if path:
            return Path(path.replace("%d", self.env.cr.dbname))
        # sudo: system parameters are read by administrators only.
        name = self.env["ir.config_parameter"].sudo().get_param(_FILE_NAME, "none")
        folder = Path(config["data_dir"], "qms_audit", self.env.cr.dbname)
        return folder / f"anchors-{name}.jsonl"

    @api.model
    def _name_file(self):
        """Have a name for the file, before it is written to for the first time."""
        # sudo: as above; not the database's own id, which copies share.
        parameters = self.env["ir.config_parameter"].sudo()
        if not parameters.get_param(_FILE_NAME):
            parameters.set_param(_FILE_NAME, uuid.uuid4().hex[:12])

    @api.model
    def _lock(self):
        # Two at once would write into each other's lines; nobody waits for long.
        self.env.cr.execute(SQL("SELECT pg_advisory_xact_lock(hashtext(%s))", _LOCK))

    @api.model
    def _load(self, keys, report):
        """Read the file into a temporary table, ``qms_audit_anchored``.

        :param audit_chain.Keys keys: the keys at hand
        :param report: called with each finding about the file itself
        :return: the reader, at the end of the file
        :rtype: audit_chain.Anchors
        """
        self._unload()
        self.env.cr.execute(
            """CREATE TEMPORARY TABLE qms_audit_anchored (
                   root_model varchar, root_id int, sequence int, hash varchar,
                   PRIMARY KEY (root_model, root_id)
               );
               CREATE TEMPORARY TABLE qms_audit_loading (
                   root_model varchar, root_id int, sequence int, hash varchar
               );
               CREATE TEMPORARY TABLE qms_audit_anchor_file (number int, hash varchar)
            """
        )
        reader = audit_chain.Anchors(keys, report)
        with (
            contextlib.suppress(FileNotFoundError),
            self._path().open(encoding="utf-8", errors="replace") as file,
        ):
            for what, number, value in reader.parse(file):
                if what == "heads":
                    self._copy_heads(value)
                    continue
                if what == "anchor":
                    self.env.cr.execute(
                        SQL(
                            """INSERT INTO qms_audit_anchored
                                    SELECT * FROM qms_audit_loading
                               ON CONFLICT (root_model, root_id)
                             DO UPDATE SET sequence = EXCLUDED.sequence,
                                           hash = EXCLUDED.hash;
                               INSERT INTO qms_audit_anchor_file VALUES (%s, %s)""",
                            number,
                            value,
                        )
                    )
                self.env.cr.execute("TRUNCATE qms_audit_loading")
        self.env.cr.execute("ANALYZE qms_audit_anchored")
        return reader

    @api.model
    def _copy_heads(self, heads):
        self.env.cr.execute(
            SQL(
                """INSERT INTO qms_audit_loading
                        SELECT one->>0, (one->>1)::int, (one->>2)::int, one->>3
                          FROM json_array_elements(%s::json) AS one""",
                json.dumps(heads),
            )
        )

    @api.model
    def _unload(self):
        self.env.cr.execute(
            "DROP TABLE IF EXISTS pg_temp.qms_audit_anchored,"
            " pg_temp.qms_audit_loading, pg_temp.qms_audit_anchor_file"
        )

    @api.model
    def _check_file(self, report):
        """Compare the anchors of the file with those of the database.

        Needs the tables that :meth:`_load` makes.

        :param report: called with each finding
        """
        rows = self.env.execute_query(
            SQL(
                """SELECT number, d.hash, f.hash FROM qms_audit_anchor d
                FULL JOIN qms_audit_anchor_file f USING (number)
                    WHERE d.hash IS DISTINCT FROM f.hash
                 ORDER BY number"""
            )
        )
        for number, here, there in rows:
            detail = "it differs between the database and the file"
            if not there:
                detail = f"it is not in {self._path()}"
            elif not here:
                detail = "it is not in the database"
            report(audit_chain.Finding("anchor", "", number, 0, detail))


def number_of(line):
    """Return which anchor a line of the file belongs to; 0 when it does not say.

    :param bytes line: of the file
    :rtype: int
    """
    try:
        said = json.loads(line)
        return int(said.get("anchor") or json.loads(said["content"])["anchor"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return 0


def _ends_in_newline(path):
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def stream(cr, name, query, size):
    """Yield the rows of a query in batches, without holding all of them.

    :param cr: database cursor
    :param str name: of the server-side cursor
    :param SQL query: what to read
    :param int size: rows of one batch
    :return: yields lists of rows
    """
    cursor = SQL.identifier(name)
    cr.execute(SQL("DECLARE %s NO SCROLL CURSOR FOR %s", cursor, query))
    rows = [None]
    try:
        while rows:
            cr.execute(SQL("FETCH FORWARD %s FROM %s", size, cursor))
            rows = cr.fetchall()
            if rows:
                yield rows
    except GeneratorExit:
        cr.execute(SQL("CLOSE %s", cursor))
        raise
    cr.execute(SQL("CLOSE %s", cursor))
