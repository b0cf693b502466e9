import hashlib
from datetime import date, datetime

from odoo import api, models
from odoo.fields import Datetime, Domain
from odoo.tools import SQL, ormcache
from odoo.tools.sql import table_exists

from ...tools.audit_pending import Ref

# Longer texts are told by their beginning and their SHA-256.
_LONGEST = 4000
_BEGINNING = 1000
# Chatter and place in the lists; no content.
_BOOKKEEPING = ("message_", "activity_", "website_message_", "rating_")
_TYPES_LEFT_OUT = ("one2many", "binary", "many2one_reference", "reference")


class QmsAuditMixin(models.AbstractModel):
    """A record whose every change goes into the audit trail.

    It sees what is really written, after every check and every value that the model
    adds: among the parents of a model it comes last.
    """

    _name = "qms.audit.mixin"
    _description = "Record with an audit trail"

    # Fields that say nothing about the record, or that must not be told
    _audit_ignored = frozenset()
    # Path to the record whose trail this one's acts belong to; none: its own
    _audit_root_path = None
    # Path to the record with whose event the acts on this one are told
    _audit_owner_path = None
    # Values that go without saying when a record is new
    _audit_initial = {}
    # Which kind of event a new record is
    _audit_created_kind = "created"
    # Fields that say why, where one is written together with a change
    _audit_reasons = ()
    # The field that says when a record began, and by state, when that was reached;
    # where it is written together with the act, that says when it happened
    _audit_began = None
    _audit_reached = {}

    def init(self):
        """Never give an id again that a trail has.

        An add-on that is installed again begins to count anew, while the trails of the
        records that it had before are still there.
        """
        super().init()
        if self._abstract or not table_exists(self.env.cr, "qms_audit_head"):
            return
        self.env.cr.execute(
            SQL(
                """SELECT setval(ids, last)
                     FROM (SELECT pg_get_serial_sequence(%s, 'id')::regclass AS ids,
                                  max(root_id) AS last
                             FROM qms_audit_head WHERE root_model = %s) AS trails
                    WHERE last > COALESCE(pg_sequence_last_value(ids), 0)""",
                self._table,
                self._name,
            )
        )

    # === What is told ===

    @api.model
    @ormcache()
    def _audit_fields(self):
        """Return the names of the fields whose changes are told.

        Every stored field that somebody writes, unless it is in ``_audit_ignored``;
        so a field that is added to a model later is told as well.

        :rtype: frozenset
        """
        paths = (self._audit_root_path, self._audit_owner_path)
        owners = {path.split(".")[0] for path in paths if path}
        return frozenset(
            name
            for name, field in self._fields.items()
            if field.store
            and name not in models.MAGIC_COLUMNS
            and name not in self._audit_ignored
            and name not in owners
            and field.type not in _TYPES_LEFT_OUT
            and not field.related
            and not (field.compute and field.readonly)
            and not name.startswith(_BOOKKEEPING)
        )

    def _audit_value(self, field):
        """Return the value of a field as the trail tells it.

        :param odoo.fields.Field field: one of this model
        :return: JSON-serializable but for :class:`Ref`; ``None`` when empty
        """
        value = self[field.name]
        if field.type == "many2one":
            return Ref(field.comodel_name, value.id) if value else None
        if field.type == "many2many":
            return [Ref(field.comodel_name, one) for one in sorted(value.ids)] or None
        if field.type == "boolean":
            return value
        if value is False or value is None or value == "":
            return None
        if isinstance(value, datetime):
            return f"{value.isoformat()}Z"
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, str) and len(value) > _LONGEST:
            return {
                "start": value[:_BEGINNING],
                "length": len(value),
                "sha256": hashlib.sha256(value.encode()).hexdigest(),
            }
        return value if isinstance(value, (str, int, float)) else str(value)

    def _audit_values(self, fields):
        """Return the values of fields that are not empty.

        :rtype: dict
        """
        values = {field.name: self._audit_value(field) for field in fields}
        return {
            name: value
            for name, value in values.items()
            if value is not None and value is not False
        }

    def _audit_name(self):
        """Return what this record is called in the trail.

        :rtype: str
        """
        return self[self._rec_name] or "" if self._rec_name else ""

    def _audit_root(self):
        """Return the record whose trail this one's acts belong to."""
        return self.mapped(self._audit_root_path) if self._audit_root_path else self

    def _audit_identity(self):
        """Return who these records are, for the events about them.

        :return: ``{id: content of an event}``
        :rtype: dict
        """
        identity, roots = {}, {}
        # Everybody who may change a record leaves a trail, whatever he may read.
        for record in self.sudo():
            root = record._audit_root()
            if root.id not in roots:
                company = root.company_id if "company_id" in root._fields else None
                roots[root.id] = {
                    "root_model": root._name,
                    "root_id": root.id,
                    "root_name": root._audit_name(),
                    "company_id": company.id if company else None,
                }
            identity[record.id] = {
                **roots[root.id],
                "model": record._name,
                "res_id": record.id,
                "record_name": record._audit_name(),
            }
        return identity

    # === Recording ===

    @api.model_create_multi
    def create(self, vals_list):
        records = super().create(vals_list)
        # Every event names the company anyway.
        names = sorted(self._audit_fields() - {"company_id"})
        fields = [self._fields[name] for name in names]
        records._audit_add(
            self._audit_created_kind,
            {
                record.id: {
                    name: [None, value]
                    for name, value in record._audit_values(fields).items()
                    if value != self._audit_initial.get(name, name == "active")
                }
                for record in records.sudo()
            },
        )
        return records

    def write(self, vals):
        names = sorted(vals.keys() & self._audit_fields())
        records = self.sudo() if names and self._ids else self.browse()
        fields = [self._fields[name] for name in names]
        before = {
            record.id: [record._audit_value(field) for field in fields]
            for record in records
        }
        result = super().write(vals)
        changes = {}
        for record in records:
            pairs = zip(fields, before[record.id], strict=True)
            changed = {
                field.name: [old, new]
                for field, old in pairs
                if old != (new := record._audit_value(field))
            }
            if changed:
                changes[record.id] = changed
        if changes:
            self.browse(changes)._audit_add("changed", changes)
        return result

    def unlink(self):
        fields = [self._fields[name] for name in sorted(self._audit_fields())]
        records = self.sudo().exists()
        told = records._audit_tell(
            "deleted",
            {
                record.id: {
                    name: [value, None]
                    for name, value in record._audit_values(fields).items()
                }
                for record in records
            },
        )
        result = super().unlink()
        self._audit_keep(told)
        return result

    def _audit_add(self, kind, changes):
        """Note an act on these records; it is written with the transaction.

        :param str kind: see ``qms.audit.event.kind``
        :param dict changes: ``{id: {field: [old, new]}}``
        """
        self._audit_keep(self._audit_tell(kind, changes))

    def _audit_tell(self, kind, changes):
        """Return events about these records, and the owners they are told with.

        :rtype: list[tuple[dict, dict]]
        """
        told = []
        identities = self._audit_identity()
        owners, now = {}, Datetime.now()
        for record in self.sudo():
            changed = changes[record.id]
            entry = {
                **identities[record.id],
                "kind": kind,
                "user_id": self.env.uid,
                "changes": changed,
            }
            if kind == "changed" and "state" in changed:
                entry["kind"] = "state"
            for name in self._audit_reasons:
                if name in changed and changed[name][1] and kind != "deleted":
                    entry["reason"] = changed[name][1]
            at = record._audit_occurred(kind, changed) or now
            entry["occurred_at"] = _rfc3339(at)
            if kind == "changed" and changed.get(self._audit_began, (None, None))[1]:
                entry["began_at"] = _rfc3339(record[self._audit_began])
            owner = record._audit_owner(entry["kind"])
            if owner is not None and owner.id not in owners:
                owners |= owner._audit_identity()
            if owner is not None:
                owner = {
                    **owners[owner.id],
                    "kind": "changed",
                    "user_id": self.env.uid,
                    "occurred_at": entry["occurred_at"],
                    "changes": {},
                }
            told.append((entry, owner))
        return told

    def _audit_occurred(self, kind, changes):
        """Return when an act happened, if the record says so.

        :param str kind: of the event, as it was noted
        :param dict changes: of the event
        :return: naive UTC datetime, or a false value
        """
        if kind == self._audit_created_kind and self._audit_began:
            return self[self._audit_began]
        if "state" in changes:
            name = self._audit_reached.get(changes["state"][1])
            return name in changes and self[name]
        return None

    def _audit_owner(self, kind):
        """Return the record with whose event an act on this one is told, or ``None``.

        :param str kind: of the event
        """
        return self.mapped(self._audit_owner_path) if self._audit_owner_path else None

    @api.model
    def _audit_keep(self, told):
        if not told:
            return
        pending = self.env["qms.audit.event"]._pending()
        for entry, owner in told:
            if owner is None:
                pending.add(entry)
                continue
            part = {
                "model": entry["model"],
                "id": entry["res_id"],
                "name": entry["record_name"],
                "kind": entry["kind"],
                "changes": entry["changes"],
            }
            pending.add_part(owner, part)

    # === Verifying ===

    def _audit_contradictions(self):
        """Return what records say that does not follow from the rest of them.

        Such as a fingerprint of something else. Nothing of it is told in the trail,
        which therefore cannot show that it was changed past the ORM.

        :return: a record, and what is wrong with it
        :rtype: list[tuple]
        """
        return []

    # === Reading ===

    def _trail_domain(self):
        """Return the domain of the events in the trail of one record.

        :rtype: Domain
        """
        self.ensure_one()
        return Domain("root_model", "=", self._name) & Domain("root_id", "=", self.id)

    def action_view_trail(self):
        """Open the audit trail of one record.

        :return: the action
        :rtype: dict
        """
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_audit_trail_action"
        )
        action["domain"] = list(self._trail_domain())
        action["context"] = {"trail_model": self._name, "trail_id": self.id}
        action["display_name"] = self.env._("Trail of %s", self._audit_name())
        return action


def _rfc3339(value):
    return f"{value.isoformat(timespec='microseconds')}Z"
