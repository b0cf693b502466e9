from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools import audit_chain
from ..audit.qms_audit_anchor import stream
from ..audit.qms_audit_event import ISO

_BATCH = 1000
# Refusals that are told in full
_TOLD = 20
# What is kept beside a record: model, and how it names the record
_BESIDE = (
    ("qms.notification", "model", "res_id"),
    ("mail.activity", "res_model", "res_id"),
    ("mail.message", "model", "res_id"),
    ("mail.followers", "res_model", "res_id"),
    ("ir.attachment", "res_model", "res_id"),
    ("ir.model.data", "model", "res_id"),
)


class QmsRetentionMixin(models.AbstractModel):
    """A record with an audit trail that is kept for years, and purged afterwards.

    Purging removes the record with all that belongs to it, and what the events of its
    trail said. Who did what kind of thing when stays, as do the hashes, and a
    tombstone that vouches for them.
    """

    _name = "qms.retention.mixin"
    _description = "Record that is kept for years"

    # States in which a record is finished with
    _purgeable_states = ()

    kept_until = fields.Date(
        "Kept until",
        compute="_compute_retention",
        help="The last day on which it has to be there.",
    )
    retention_rule_id = fields.Many2one(
        "qms.retention.rule", "Retention rule", compute="_compute_retention"
    )

    def _compute_retention(self):
        rules = self._retention_rules()
        acts = self._last_acts()
        for record in self:
            classification, company = record._retention_class()
            fitting = [
                (exactness, -rule.id)
                for rule in rules
                if (exactness := rule._fits(classification, company))
            ]
            rule = rules.browse(-max(fitting)[1] if fitting else ())
            last = acts.get(record._origin.id)
            record.retention_rule_id = rule
            record.kept_until = (
                last.date() + relativedelta(years=rule.years)
                if rule and last and record.state in self._purgeable_states
                else False
            )

    # === What other models say ===

    def _retention_class(self):
        """Return what the rules for one record depend on.

        :return: classification (or a false value), and res.company record
        :rtype: tuple
        """
        raise NotImplementedError

    @api.model
    def _retention_parts(self):
        """Return what is removed together with records, in the order of removal.

        :return: ``(model, name of its field with the record)``; what refers to these
            with ``ondelete="cascade"`` goes with them
        :rtype: list[tuple[str, str]]
        """
        return []

    def _retention_reasons(self):
        """Return why records cannot be purged now, whatever their age.

        :return: ``{id: reasons}``
        :rtype: dict[int, list[str]]
        """
        reasons = {record.id: [] for record in self}
        for record in self:
            if record.state not in self._purgeable_states:
                reasons[record.id].append(
                    self.env._("it is %s", record._state_label(record.state))
                )
        for record_id, model, count in self._referring():
            label = self.env[model]._description if model in self.env else model
            reasons[record_id].append(
                self.env._("%(count)s × %(what)s refer to it", count=count, what=label)
            )
        return reasons

    # === How long ===

    @api.model
    def _retention_rules(self):
        """Return the rules for records of this model."""
        # What is kept for how long is no secret of the managers; archived rules do not
        # count, also when archived records are looked for.
        rules = self.env["qms.retention.rule"].sudo().with_context(active_test=True)
        return rules.search([("applies_to", "=", self._name)])

    @api.model
    def _retention_now(self):
        """Return the time by the clock of the database, which the trail goes by.

        :return: naive UTC datetime
        :rtype: datetime
        """
        rows = self.env.execute_query(
            SQL("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
        )
        return rows[0][0]

    def _last_acts(self):
        """Return when something was last written into the trail of records.

        Not when they say that they ended, which somebody may have back-dated.

        :return: ``{id: naive UTC datetime}``
        :rtype: dict[int, datetime]
        """
        self.env["qms.audit.event"]._flush_pending()
        if not self._origin.ids:
            return {}
        rows = self.env.execute_query(
            SQL(
                """SELECT h.root_id, e.recorded_at FROM qms_audit_head h
                     JOIN qms_audit_event e USING (root_model, root_id, sequence)
                    WHERE h.root_model = %s AND h.root_id IN %s""",
                self._name,
                tuple(self._origin.ids),
            )
        )
        return dict(rows)

    @api.model
    def _past_retention(self, limit):
        """Return records that have been kept for long enough, the oldest first.

        :param int limit: how many at most are looked at
        :return: records the user may read, archived ones included
        """
        self.env.flush_all()
        now = self._retention_now()
        rules = self._retention_rules()
        if not rules:
            return self.browse()
        rows = self.env.execute_query(
            SQL(
                """SELECT r.id FROM qms_audit_head h
                     JOIN qms_audit_event e USING (root_model, root_id, sequence)
                     JOIN %s r ON r.id = h.root_id
                    WHERE h.root_model = %s AND e.recorded_at < %s AND r.state IN %s
                 ORDER BY e.recorded_at, r.id LIMIT %s""",
                SQL.identifier(self._table),
                self._name,
                now - relativedelta(years=min(rules.mapped("years"))),
                self._purgeable_states,
                limit,
            )
        )
        ids = [record_id for (record_id,) in rows]
        # In this order, and without what the user may not see.
        allowed = set(
            self.with_context(active_test=False).search([("id", "in", ids)]).ids
        )
        found = self.browse(record_id for record_id in ids if record_id in allowed)
        return found.filtered(
            lambda record: record.kept_until and record.kept_until < now.date()
        )

    # === Purging ===

    @checked
    def purge(self, reason: str) -> dict:
        """Remove records that have been kept for long enough, for good.

        All of them, or none when one of them has to stay.

        :param reason: why they are purged now
        :return: ``purged`` (number) and ``names``
        :raises AccessError: for anybody but managers
        :raises UserError: naming each record that has to stay, and why
        :raises ValidationError: without a reason
        """
        records = self.with_context(active_test=False).exists()
        records._check_may_purge()
        if not reason.strip():
            raise ValidationError(
                self.env._("Argument reason: say why they are purged now.")
            )
        records.lock_for_update()
        records._check_past_retention()
        names = [record._audit_name() for record in records]
        records._purge(reason.strip())
        return {"purged": len(names), "names": names}

    def _check_may_purge(self):
        """Refuse whoever is no manager, or may not see the records."""
        if not self.env.user.has_group("qms_error_code.group_qms_manager"):
            raise AccessError(self.env._("Only QMS managers purge records."))
        self.check_access("write")

    def _check_past_retention(self):
        """Refuse to purge what has to be kept.

        :raises UserError: naming each record, and why
        """
        today = self._retention_now().date()
        # What a rule or a trail said earlier in this transaction does not count.
        self.invalidate_recordset(["kept_until", "retention_rule_id"])
        reasons = self._retention_reasons()
        lines = []
        for record in self:
            told = reasons[record.id]
            if not record.retention_rule_id:
                told.append(self.env._("no rule says how long it is kept"))
            elif not told and not (record.kept_until and record.kept_until < today):
                rule = record.retention_rule_id
                told.append(
                    self.env._(
                        "it is kept until %(day)s (%(years)s years, rule “%(rule)s”: "
                        "%(basis)s)",
                        day=record.kept_until or "…",
                        years=rule.years,
                        rule=rule.name,
                        basis=rule.basis,
                    )
                )
            if told:
                lines.append(f"{record._audit_name()}: {'; '.join(told)}")
        if len(lines) > _TOLD:
            lines[_TOLD:] = [self.env._("… and %s more", len(lines) - _TOLD)]
        if lines:
            raise UserError(
                self.env._("These records have to stay:\n%s", "\n".join(lines))
            )

    def _purge(self, reason):
        """Write the tombstones, erase what the events said, remove the records."""
        events = self.env["qms.audit.event"]
        events._flush_pending()
        self.env.flush_all()
        erased, removed = self._erasable(), self._count_parts()
        for record in self:
            rule = record.retention_rule_id
            count, remains = erased[record.id]
            events._record(
                record,
                audit_chain.PURGED,
                reason=reason,
                data={
                    "erased": count,
                    "remains": remains,
                    "kept_until": record.kept_until.isoformat(),
                    "rule": rule.name,
                    "basis": rule.basis,
                    "years": rule.years,
                    "removed": removed.get(record.id, {}),
                    **record._retention_data(),
                },
            )
        # The database removes sealed records only when their tombstone is there.
        events._flush_pending()
        self.env.cr.execute(
            SQL(
                """UPDATE qms_audit_event SET content = ''
                    WHERE root_model = %s AND root_id IN %s AND sequence <
                          (SELECT sequence FROM qms_audit_head h
                            WHERE h.root_model = qms_audit_event.root_model
                              AND h.root_id = qms_audit_event.root_id)""",
                self._name,
                tuple(self.ids),
            )
        )
        self._remove()
        self.env.invalidate_all(flush=False)

    def _retention_data(self):
        """Return what else the tombstone of one record says; nothing personal.

        :rtype: dict
        """
        return {"state": self.state}

    def _erasable(self):
        """Return how many events each trail has, and the digest of what will remain.

        :return: ``{id: (count, digest)}``
        :rtype: dict
        """
        query = SQL(
            """SELECT root_model, root_id, sequence, root_name, model, res_id, kind,
                      user_id, company_id, to_char(occurred_at, %s),
                      to_char(recorded_at, %s), hash_version, previous_hash, hash, ''
                 FROM qms_audit_event
                WHERE root_model = %s AND root_id IN %s
             ORDER BY root_id, sequence""",
            ISO,
            ISO,
            self._name,
            tuple(self.ids),
        )
        remains = {record.id: audit_chain.Remains() for record in self}
        for rows in stream(self.env.cr, "qms_retention_events", query, _BATCH):
            for row in rows:
                remains[row[1]].add(row)
        return {
            record_id: (one.count, one.hexdigest())
            for record_id, one in remains.items()
        }

    def _count_parts(self):
        """Return how much is removed with each record: ``{id: {model: count}}``."""
        counts = {}
        for model, field in self._retention_parts():
            rows = self.env.execute_query(
                SQL(
                    "SELECT %(field)s, count(*) FROM %(table)s"
                    " WHERE %(field)s IN %(ids)s GROUP BY 1",
                    field=SQL.identifier(field),
                    table=SQL.identifier(self.env[model]._table),
                    ids=tuple(self.ids),
                )
            )
            for record_id, count in rows:
                counts.setdefault(record_id, {})[model] = count
        return counts

    def _remove(self):
        """Delete the records and what belongs to them, past their own refusals."""
        # What was sent to a tracker says what the record said. It goes without an act,
        # which would follow the tombstone.
        self.env["qms.issue"].flush_model()
        self.env.cr.execute(
            SQL(
                "DELETE FROM qms_issue WHERE res_model = %s AND res_id IN %s",
                self._name,
                tuple(self.ids),
            )
        )
        for model, field in [*self._retention_parts(), (self._name, "id")]:
            table = SQL.identifier(self.env[model]._table)
            condition = SQL("%s IN %s", SQL.identifier(field), tuple(self.ids))
            rows = self.env.execute_query(
                SQL("SELECT id FROM %s WHERE %s", table, condition)
            )
            ids = [record_id for (record_id,) in rows]
            if not ids:
                continue
            for beside, model_field, id_field in _BESIDE:
                # What is kept beside them may be anybody's; with an id in the domain it
                # finds the files of fields, too.
                self.env[beside].sudo().with_context(active_test=False).search(
                    Domain(model_field, "=", model)
                    & Domain(id_field, "in", ids)
                    & Domain("id", "!=", False)
                ).unlink()
            self.env.flush_all()
            self.env.cr.execute(SQL("DELETE FROM %s WHERE %s", table, condition))

    def _referring(self):
        """Return what still refers to records, and does not let go of them.

        :return: ``(id of the record, model or table, count)``
        :rtype: list[tuple]
        """
        parts = [(self._name, "id"), *self._retention_parts()]
        own = {self.env[model]._table: field for model, field in parts}
        rows = self.env.execute_query(
            SQL(
                """SELECT c.conrelid::regclass::text, a.attname,
                          c.confrelid::regclass::text
                     FROM pg_constraint c
                     JOIN pg_attribute a
                       ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
                    WHERE c.contype = 'f' AND c.confdeltype IN ('a', 'r')
                      AND c.confrelid::regclass::text IN %s
                 ORDER BY 1, 2""",
                tuple(own),
            )
        )
        models_of = {one._table: name for name, one in self.env.items() if one._auto}
        found = []
        for table, column, target in rows:
            if table in own or not self.ids:
                continue
            found += [
                (record_id, models_of.get(table, table), count)
                for record_id, count in self.env.execute_query(
                    SQL(
                        """SELECT t.%s, count(*) FROM %s o
                             JOIN %s t ON t.id = o.%s
                            WHERE t.%s IN %s GROUP BY 1 ORDER BY 1""",
                        SQL.identifier(own[target]),
                        SQL.identifier(table),
                        SQL.identifier(target),
                        SQL.identifier(column),
                        SQL.identifier(own[target]),
                        tuple(self.ids),
                    )
                )
            ]
        return found
