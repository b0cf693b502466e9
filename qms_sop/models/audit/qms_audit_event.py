import json
import os
import re
import threading
from collections import defaultdict
from urllib.parse import urlsplit

from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError, UserError, ValidationError
from odoo.fields import Domain
from odoo.http import request
from odoo.tools import SQL, config

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools import audit_chain
from ...tools.audit_pending import Pending, Ref
from ...tools.deferred import run_last, take_along
from ...tools.times import from_rfc3339

KINDS = [
    ("created", "Created"),
    ("changed", "Changed"),
    ("state", "State changed"),
    ("error", "Error logged"),
    ("evidence", "Evidence added"),
    ("damaged", "Evidence damaged"),
    ("entry", "Entry by a person"),
    ("pinned", "Entry pinned"),
    ("unpinned", "Entry unpinned"),
    ("signed", "Signed"),
    ("signing_refused", "Signing refused"),
    ("amended", "Amended"),
    ("imported", "Imported"),
    ("purged", "Purged"),
    ("deleted", "Deleted"),
]
CHANNELS = [
    ("ui", "Web client"),
    ("rest", "REST"),
    ("xmlrpc", "XML-RPC"),
    ("jsonrpc", "JSON-RPC"),
    ("json2", "JSON-2"),
    ("http", "Other web request"),
    ("cron", "Scheduled job"),
    ("server", "Server"),
]
_PATHS = (
    ("/api/v1", "rest"),
    ("/xmlrpc", "xmlrpc"),
    ("/jsonrpc", "jsonrpc"),
    ("/json/2", "json2"),
    ("/web", "ui"),
    ("/odoo", "ui"),
)
_PENDING = "qms_sop.audit"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
# Option of Odoo's configuration file, and variable that is taken instead of it
KEY_OPTION, KEY_VARIABLE = "qms_audit_key", "QMS_AUDIT_KEY"
# Times in the trail
ISO = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
_TABLE_COLUMNS = (
    *audit_chain.COLUMNS,
    "hash_version",
    "previous_hash",
    "hash",
    "content",
)

# What the database itself refuses, by the name of the function that the triggers run
FUNCTIONS = {
    "qms_audit_refuse": """
BEGIN
    RAISE EXCEPTION '% on % refused: the audit trail is append-only', TG_OP,
        TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END""",
    # The content of an event may be emptied, and nothing else, once a tombstone tells
    # that the record was purged.
    "qms_audit_erase": """
BEGIN
    OLD.content := '';
    IF OLD IS DISTINCT FROM NEW OR NOT EXISTS (
        SELECT FROM qms_audit_event
         WHERE root_model = OLD.root_model AND root_id = OLD.root_id
           AND kind = 'purged' AND model = root_model AND res_id = root_id
           AND sequence > OLD.sequence
    ) THEN
        RAISE EXCEPTION '% on % refused: the audit trail is append-only', TG_OP,
            TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END""",
    # What is sealed goes with the record that it belongs to, once that was purged.
    "qms_audit_keep": """
DECLARE
    root int := to_jsonb(OLD)->>TG_ARGV[1];
BEGIN
    IF NOT EXISTS (
        SELECT FROM qms_audit_event
         WHERE root_model = TG_ARGV[0] AND root_id = root
           AND kind = 'purged' AND model = root_model AND res_id = root_id
    ) THEN
        RAISE EXCEPTION '% on % refused: the audit trail is append-only', TG_OP,
            TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
END""",
    "qms_audit_forward": """
BEGIN
    IF NEW.sequence <= OLD.sequence OR NEW.root_model <> OLD.root_model
       OR NEW.root_id <> OLD.root_id THEN
        RAISE EXCEPTION 'UPDATE on % refused: the head of an audit trail only moves '
            'forward', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END""",
}


def guard(env, table, trigger, operations, function="qms_audit_refuse", arguments=()):
    """Have the database run one of ``FUNCTIONS`` before a table is changed.

    :param odoo.api.Environment env: any
    :param str table: a table
    :param str trigger: what it is called
    :param str operations: which changes
    :param str function: one of ``FUNCTIONS``
    :param arguments: texts that the function gets
    """
    env.cr.execute(
        SQL(
            "CREATE OR REPLACE FUNCTION %s() RETURNS trigger AS %s LANGUAGE plpgsql",
            SQL.identifier(function),
            FUNCTIONS[function],
        )
    )
    env.cr.execute(
        SQL(
            "CREATE OR REPLACE TRIGGER %s BEFORE %s ON %s FOR EACH %s"
            " EXECUTE FUNCTION %s(%s)",
            SQL.identifier(trigger),
            SQL(operations),
            SQL.identifier(table),
            SQL("STATEMENT" if operations == "TRUNCATE" else "ROW"),
            SQL.identifier(function),
            SQL(", ").join(SQL("%s", text) for text in arguments),
        )
    )


def protect(env, table, operations="UPDATE OR DELETE"):
    """Let the database itself refuse to change a table of the trail.

    :param odoo.api.Environment env: any
    :param str table: a table
    :param str operations: what is refused for each row; TRUNCATE always is
    """
    guard(env, table, "qms_audit_rows", operations)
    guard(env, table, "qms_audit_truncate", "TRUNCATE")


def unprotect(env):
    """Take the protection away, for the uninstallation."""
    for function in FUNCTIONS:
        env.cr.execute(
            SQL("DROP FUNCTION IF EXISTS %s() CASCADE", SQL.identifier(function))
        )


class QmsAuditEvent(models.Model):
    """One act on a controlled record; written once, and never again.

    ``content`` is what counts: canonical JSON, hashed word for word together with
    the hash of the event before (see :mod:`...tools.audit_chain`). The columns repeat
    what is searched by, and the verification compares them. Nothing here refers to
    the record by a foreign key: the trail outlives it.
    """

    _name = "qms.audit.event"
    _description = "Audit event"
    _inherit = ["qms.audit.sealed.mixin"]
    _log_access = False
    _order = "recorded_at desc, id desc"
    _rec_name = "root_name"

    root_model = fields.Char("Trail of", required=True, readonly=True)
    root_id = fields.Many2oneReference(
        "Record of the trail", model_field="root_model", required=True, readonly=True
    )
    sequence = fields.Integer("Number", required=True, readonly=True, aggregator=None)
    root_name = fields.Char("Record", required=True, readonly=True)
    model = fields.Char("Kind of record", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        "Part", model_field="model", required=True, readonly=True
    )
    kind = fields.Selection(KINDS, required=True, readonly=True)
    user_id = fields.Many2one(
        "res.users", "Who", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one("res.company", readonly=True, ondelete="restrict")
    occurred_at = fields.Datetime("Happened", required=True, readonly=True)
    recorded_at = fields.Datetime("Written", required=True, readonly=True)
    hash_version = fields.Char("Algorithm", required=True, readonly=True)
    previous_hash = fields.Char(required=True, readonly=True)
    hash = fields.Char(required=True, readonly=True)
    content = fields.Text(required=True, readonly=True)

    record_name = fields.Char("What", compute="_compute_content")
    user_name = fields.Char("Name", compute="_compute_content")
    user_login = fields.Char("Login", compute="_compute_content")
    channel = fields.Selection(CHANNELS, "Through", compute="_compute_content")
    agent = fields.Char("On behalf of", compute="_compute_content")
    reason = fields.Text(compute="_compute_content")
    request_id = fields.Char("Request", compute="_compute_content")
    component = fields.Char(compute="_compute_content")
    changes = fields.Json(compute="_compute_content")
    pinned = fields.Boolean(compute="_compute_pinned")
    told = fields.Text(
        "What happened",
        compute="_compute_told",
        search="_search_told",
        help="The act in words, with the old and the new values.",
    )

    _chain_uniq = models.UniqueIndex(
        "(root_model, root_id, sequence)", "An event has one place in its trail."
    )
    _subject_idx = models.Index("(model, res_id)")
    _recorded_idx = models.Index("(recorded_at DESC, id DESC)")
    _user_idx = models.Index("(user_id, recorded_at)")

    # Those that tell of purged records
    _purged_idx = models.Index("(root_model, root_id) WHERE kind = 'purged'")

    def init(self):
        protect(self.env, self._table, "DELETE")
        guard(self.env, self._table, "qms_audit_erase", "UPDATE", "qms_audit_erase")

    # === Reading ===

    @api.depends("content")
    def _compute_content(self):
        for event in self:
            said = json.loads(event.content or "{}")
            for name in (
                "record_name",
                "user_name",
                "user_login",
                "channel",
                "agent",
                "reason",
                "request_id",
                "component",
                "changes",
            ):
                event[name] = said.get(name) or False

    @api.depends("kind", "sequence")
    def _compute_pinned(self):
        entries = self.filtered(lambda event: event.kind == "entry")
        (self - entries).pinned = False
        pinned = {}
        if entries:
            acts = self.search(
                Domain("root_model", "in", set(entries.mapped("root_model")))
                & Domain("root_id", "in", entries.mapped("root_id"))
                & Domain("kind", "in", ("pinned", "unpinned"))
                & Domain("content", "!=", ""),
                order="sequence",
            )
            for act in acts:
                place = (
                    act.root_model,
                    act.root_id,
                    json.loads(act.content)["refers_to"],
                )
                pinned[place] = act.kind == "pinned"
        for entry in entries:
            entry.pinned = pinned.get((entry.root_model, entry.root_id, entry.sequence))

    @api.depends("content")
    @api.depends_context("lang")
    def _compute_told(self):
        erased = self.env._("Erased when the record was purged")
        for event in self:
            event.told = (
                "\n".join(event._tell(json.loads(event.content)))
                if event.content
                else erased
            )

    @api.model
    def _search_told(self, operator, value):
        if operator not in ("ilike", "not ilike", "like", "=ilike"):
            return NotImplemented
        return [("content", operator, value)]

    def _tell(self, said):
        """Return what an event says, as lines that a person reads.

        :param dict said: its content
        :rtype: list[str]
        """
        if said.get("text"):
            lines = [said["text"]]
            if said.get("evidence"):
                names = ", ".join(one["name"] for one in said["evidence"])
                lines.append(self.env._("Evidence: %s", names))
        else:
            # Why it was done is told last.
            changes = {
                name: values
                for name, values in (said.get("changes") or {}).items()
                if not said.get("reason") or values[1] != said["reason"]
            }
            lines = self._tell_changes(said.get("model"), _news(said, changes))
        if said.get("refers_to"):
            lines.append(self.env._("Event number %s", said["refers_to"]))
        if said.get("kind") == audit_chain.PURGED and said.get("data"):
            lines += self._tell_purge(said["data"])
        kinds = dict(self._fields["kind"]._description_selection(self.env))
        bare = defaultdict(list)
        for part in said.get("parts") or ():
            if not part.get("changes"):
                bare[part["model"], part["kind"]].append(part["name"])
                continue
            lines.append(f"{self._model_label(part['model'])} {part['name']}".strip())
            if part["kind"] != "changed":
                lines[-1] += f": {kinds[part['kind']]}"
            if part["kind"] != "deleted":
                lines += [
                    f"  {line}"
                    for line in self._tell_changes(part["model"], part["changes"])
                ]
        for (model, kind), names in bare.items():
            label = self._model_label(model)
            lines.append(f"{label}, {kinds[kind].lower()}: {' · '.join(names)}")
        if said.get("reason"):
            lines.append(self.env._("Reason: %s", said["reason"]))
        return lines

    def _tell_purge(self, data):
        """Return what a tombstone says.

        :rtype: list[str]
        """
        removed = ", ".join(
            f"{count} × {self._model_label(model)}"
            for model, count in data["removed"].items()
        )
        lines = [
            self.env._(
                "Kept until %(day)s (%(years)s years, rule “%(rule)s”: %(basis)s)",
                day=data["kept_until"],
                years=data["years"],
                rule=data["rule"],
                basis=data["basis"],
            )
        ]
        return lines + [self.env._("Removed with it: %s", removed)] * bool(removed)

    def _tell_changes(self, model, changes):
        known = self.env[model]._fields if model in self.env else {}
        lines = []
        for name, (old, new) in changes.items():
            field = known.get(name)
            label = field._description_string(self.env) if field else name
            options = (
                dict(field._description_selection(self.env))
                if field and field.type == "selection"
                else {}
            )
            old, new = (_readable(value, options) for value in (old, new))
            lines.append(f"{label}: {old} → {new}" if old else f"{label}: {new}")
        return lines

    def _model_label(self, model):
        return self.env[model]._description if model in self.env else model

    @api.model
    def _search(self, *args, **kwargs):
        # Who reads the trail sees what the same transaction has just done.
        self._flush_pending()
        return super()._search(*args, **kwargs)

    # === Verifying ===

    @api.model
    @checked
    def verify(
        self,
        model: str | None = None,
        res_id: int | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> dict:
        """Verify the audit trail: of a record, of a period, or all of it.

        A trail is verified from its first event to the last, and against its head
        and its anchor, whatever the period.

        :param model: only records of this model, such as ``qms.sop.run``
        :param res_id: only this record of that model
        :param since: only trails with an event written at or after this time, RFC
            3339 in UTC
        :param until: only trails with an event written before this time
        :return: ``state`` (``passed`` or ``failed``), ``events``, ``trails``,
            ``seconds``, ``cpu_seconds`` (of this server, without the database and
            without waiting), ``hash_version``, ``finding_count``, ``findings``
        :raises AccessError: for anybody but auditors and managers
        """
        checks = self.env["qms.audit.check"]
        checks._check_allowed()
        if res_id and not model:
            raise ValidationError(
                self.env._("Argument res_id: say which model it is of (model).")
            )
        times = {
            name: self._parse_time(name, text)
            for name, text in (("since", since), ("until", until))
        }
        return checks._verify(model, res_id, **times)._to_rpc()

    @api.model
    def action_verify_trail(self):
        """Verify the trail that is shown, and open the result.

        :return: the action
        :rtype: dict
        :raises AccessError: for anybody but auditors and managers
        """
        checks = self.env["qms.audit.check"]
        checks._check_allowed()
        context = self.env.context
        model, res_id = context.get("trail_model"), context.get("trail_id")
        if context.get("default_run_id"):
            # The timeline, which knows the run for the sake of new entries.
            model, res_id = "qms.sop.run", context["default_run_id"]
        if model not in self.env or not isinstance(res_id, int):
            return checks.action_verify()
        return checks._verify(model, res_id).with_env(self.env)._open()

    @api.model
    def _parse_time(self, name, text):
        """Return the time that an argument stands for, or ``None`` without one.

        :param str name: the argument, for the message
        :param text: RFC 3339, or a false value
        :return: naive ``datetime`` in UTC
        :raises ValidationError: when it is no time
        """
        try:
            return from_rfc3339(text) if text else None
        except ValueError:
            raise ValidationError(
                self.env._(
                    "Argument %(name)s: %(value)s is not a time. Accepted: RFC 3339, "
                    "such as 2026-03-01T12:00:00Z.",
                    name=name,
                    value=repr(text),
                )
            ) from None

    # === Recording ===

    @api.model
    def _pending(self):
        """Return what this transaction did and has not been written yet.

        It is written before the next savepoint and before the commit, and
        forgotten together with what a rollback undoes.

        :rtype: Pending
        """
        precommit = self.env.cr.precommit
        if _PENDING not in precommit.data:
            precommit.data[_PENDING] = Pending()
            run_last(self.env.cr, self.env["qms.audit.event"].sudo()._flush_pending)
        return precommit.data[_PENDING]

    @api.model
    def _record(self, root, kind, **details):
        """Add one event to the trail of a record, for acts that no field shows.

        The one way in for other parts of the add-on: signatures, amendments,
        entries, tombstones. Written with the transaction.

        :param root: the record that the trail belongs to, or a part of it
        :param str kind: one of ``KINDS``
        :param details: ``changes`` (``{field: [old, new]}``), ``reason``, ``text``,
            ``component``, ``evidence`` (dicts), ``refers_to`` (number of an event),
            ``occurred_at`` (naive UTC datetime), ``data`` (dict): JSON-serializable
        """
        root.ensure_one()
        occurred_at = details.pop("occurred_at", None)
        self._pending().add(
            {
                **root._audit_identity()[root.id],
                "kind": kind,
                "user_id": self.env.uid,
                "occurred_at": _rfc3339(occurred_at or fields.Datetime.now()),
                **{name: value for name, value in details.items() if value},
            },
            alone=True,
        )

    @api.model
    def _flush_pending(self):
        """Write the events of this transaction, in one batch.

        The heads of the chains are locked first, so a concurrent writer fails to
        serialize before anything of his is written, and Odoo runs him again: the
        order of the hashes is the order of the commits.
        """
        pending = self.env.cr.precommit.data.pop(_PENDING, None)
        if not pending:
            return
        by_root = defaultdict(list)
        for entry in pending.entries():
            by_root[entry["root_model"], entry["root_id"]].append(entry)
        users = {entry["user_id"] for entry in pending.entries()}
        refs = pending.refs()
        users |= {ref.id for ref in refs if ref.model == "res.users"}
        # Nobody else can know yet of a record that this transaction made.
        known = [
            root
            for root, entries in by_root.items()
            if not any(
                (entry["kind"], entry["model"], entry["res_id"]) == ("created", *root)
                for entry in entries
            )
        ]
        heads = self._lock_heads(sorted(known)) if known else {}
        names, now = self._users_and_clock(users)
        names |= self._names(refs - names.keys())
        keys, shared = self._keys(), self._circumstances()
        rows, ends = [], []
        for root, entries in by_root.items():
            sequence, previous = heads.get(root, (0, audit_chain.GENESIS))
            for entry in entries:
                sequence += 1
                said = _resolve(entry, names)
                login, name = names[Ref("res.users", entry["user_id"])]
                said |= {
                    "format": 1,
                    "sequence": sequence,
                    "user_login": login,
                    "user_name": name,
                    "recorded_at": now,
                    **shared,
                }
                if said.get("actor_id") == entry["user_id"]:
                    del said["actor_id"]
                content = audit_chain.canonical(said)
                digest = keys.digest(keys.version, previous, content)
                rows.append(
                    (
                        *(said[name] for name in audit_chain.COLUMNS),
                        keys.version,
                        previous,
                        digest,
                        content,
                    )
                )
                previous = digest
            ends.append((*root, sequence, previous))
        self._insert(rows, ends)

    @api.model
    def _lock_heads(self, roots):
        """Lock the heads of chains, in an order that is the same for everybody.

        :param list roots: ``(model, id)``, sorted
        :return: ``{root: (sequence, hash)}`` of those that have a head
        :rtype: dict
        """
        rows = self.env.execute_query(
            SQL(
                """SELECT root_model, root_id, sequence, hash
                     FROM qms_audit_head
                    WHERE (root_model, root_id) IN %s
                 ORDER BY root_model, root_id
                      FOR NO KEY UPDATE""",
                tuple(roots),
            )
        )
        return {
            (model, root_id): (number, text) for model, root_id, number, text in rows
        }

    @api.model
    def _users_and_clock(self, user_ids):
        """Return what users are called, and the time.

        By the clock of the database, which all workers share; asked for when the
        heads are locked, so that it does not go back within a chain.

        :param user_ids: ids of users
        :return: ``{Ref: (login, name)}``, and the time as in the trail
        :rtype: tuple[dict, str]
        """
        rows = self.env.execute_query(
            SQL(
                """SELECT u.id, u.login, p.name,
                          to_char(clock_timestamp() AT TIME ZONE 'UTC', %s)
                     FROM res_users u JOIN res_partner p ON p.id = u.partner_id
                    WHERE u.id IN %s""",
                ISO,
                tuple(user_ids),
            )
        )
        names = {
            Ref("res.users", user_id): (login, name)
            for user_id, login, name, _now in rows
        }
        return names, max(row[3] for row in rows)

    @api.model
    def _insert(self, rows, ends):
        """Write events and the new heads of their chains, all at once."""
        columns = SQL(", ").join(map(SQL.identifier, _TABLE_COLUMNS))
        # An empty value among several rows would make PostgreSQL guess its type.
        cast = {"occurred_at": "::timestamp", "recorded_at": "::timestamp"}
        cast |= dict.fromkeys(("user_id", "company_id"), "::int")
        values = SQL(", ").join(
            SQL(
                "(%s)",
                SQL(", ").join(
                    SQL(f"%s{cast.get(name, '')}", value)
                    for name, value in zip(_TABLE_COLUMNS, row, strict=True)
                ),
            )
            for row in rows
        )
        statement = SQL(
            """WITH event AS (
                   INSERT INTO qms_audit_event (%s) VALUES %s
               )
               INSERT INTO qms_audit_head (root_model, root_id, sequence, hash)
                    VALUES %s
               ON CONFLICT (root_model, root_id) DO UPDATE
                       SET sequence = EXCLUDED.sequence, hash = EXCLUDED.hash""",
            columns,
            values,
            SQL(", ").join(ends),
        )
        try:
            self.env.cr.execute(take_along(self.env.cr, statement))
        except UniqueViolation as error:
            # Somebody else began the same trail meanwhile.
            raise ConcurrencyError(str(error)) from error
        self.env["qms.audit.head"].invalidate_model()

    @api.model
    def _names(self, refs):
        """Return what other records are called now.

        :param refs: set of :class:`Ref`
        :return: ``{Ref: name}``; what is gone or unknown has no name
        :rtype: dict
        """
        ids = defaultdict(list)
        for ref in refs:
            ids[ref.model].append(ref.id)
        names = {}
        for model, record_ids in ids.items():
            # A name goes into the trail also when the user may not read the record.
            records = self.env[model].sudo().with_context(active_test=False)
            known = {}
            for read in ("_codes_by_id", "_names_by_id"):
                if hasattr(records, read):
                    known = getattr(records, read)()
            found = records.browse(
                [record_id for record_id in record_ids if record_id not in known]
            ).exists()
            known = {**known, **{one.id: _name_of(one) for one in found}}
            names |= {
                Ref(model, record_id): known.get(record_id) for record_id in record_ids
            }
        return names

    @api.model
    def _circumstances(self):
        """Return through what, with which key and by which request it is done.

        :rtype: dict
        """
        thread = threading.current_thread()
        # Odoo hides the request from RPC methods, but notes its address.
        url = getattr(thread, "url", None)
        job = self.env.context.get("cron_id")
        if job:
            job = self.env["ir.cron"].sudo().browse(job)
            return {"channel": "cron", "agent": job.cron_name}
        if not url:
            return {"channel": "server"}
        path = urlsplit(url).path
        shared = {
            "channel": next(
                (channel for prefix, channel in _PATHS if path.startswith(prefix)),
                "http",
            )
        }
        request_id = request and getattr(request.dispatcher, "request_id", None)
        if request_id:
            shared["request_id"] = request_id
        key = self.env["res.users.apikeys"]._qms_key_in_use()
        if key:
            shared["agent"] = key
        # Odoo notes who is logged in, whatever user the code then works as.
        actor = getattr(thread, "uid", None)
        if actor:
            shared["actor_id"] = actor
        return shared

    @api.model
    def _keys(self):
        """Return the keys of the configuration.

        :rtype: audit_chain.Keys
        :raises UserError: when they cannot be read
        """
        text = os.environ.get(KEY_VARIABLE) or config.get(KEY_OPTION) or ""
        if _parsed[0] != text:
            try:
                _parsed[:] = text, audit_chain.Keys(text)
            except audit_chain.KeyFormatError as error:
                raise UserError(
                    self.env._(
                        "The key of the audit trail (%(option)s in the configuration "
                        "of the server) cannot be used: %(error)s.",
                        option=KEY_OPTION,
                        error=error,
                    )
                ) from None
        return _parsed[1]


# The text of the configuration that was read last, and its keys
_parsed = ["", audit_chain.Keys()]


def _rfc3339(value):
    return f"{value.isoformat(timespec='microseconds')}Z"


def _name_of(record):
    """Return what the trail calls a record that another one refers to."""
    if isinstance(record, record.env.registry["qms.audit.mixin"]):
        return record._audit_name() or record.display_name
    return record.display_name


def _resolve(value, names):
    """Return a value with the names of the records it refers to."""
    if isinstance(value, Ref):
        name = names.get(value)
        if value.model == "res.users" and name:
            name = name[1]
        return {"id": value.id, "name": name}
    if isinstance(value, dict):
        return {key: _resolve(one, names) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_resolve(one, names) for one in value]
    return value


def _news(said, changes):
    """Return the changes of an event that say more than its columns do.

    The state comes first. Left out are the name of the record, who did it, and the
    time at which it happened.
    """
    known = [
        said["record_name"],
        f"{said['occurred_at'][:19]}Z",
        said["user_id"],
    ]
    news = {
        name: (old, new)
        for name, (old, new) in changes.items()
        if old is not None
        or (new.get("id") if isinstance(new, dict) else new) not in known
        or not (isinstance(new, str) or name.endswith("user_id"))
    }
    return dict(sorted(news.items(), key=lambda item: item[0] != "state"))


def _readable(value, options):
    """Return a value of an event as a person reads it."""
    if isinstance(value, list):
        return ", ".join(_readable(one, options) for one in value)
    if isinstance(value, dict):
        if "id" in value:
            return value.get("name") or f"#{value['id']}"
        if "sha256" in value:
            return f"{value['start']} … ({value['length']} characters)"
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, str) and _TIME.fullmatch(value):
        return f"{value[:10]} {value[11:19]} UTC"
    return options.get(value, "" if value is None else str(value))
