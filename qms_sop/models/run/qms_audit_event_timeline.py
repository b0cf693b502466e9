import json
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from .qms_sop_run_timeline import _acts

# What is written within this time of what it tells, is written as it happened.
_AT_ONCE = timedelta(minutes=1)


class QmsAuditEvent(models.Model):
    """The trail of a run as its timeline: to look through, to pin, to add to."""

    _inherit = "qms.audit.event"

    pinned = fields.Boolean(search="_search_pinned")
    component = fields.Char(search="_search_component")
    written_later = fields.Boolean(
        compute="_compute_written_later",
        help="Written more than a minute after it happened.",
    )

    act = fields.Char(compute="_compute_act", help="As on paper.")
    gist = fields.Text("In short", compute="_compute_act")

    @api.depends("content")
    @api.depends_context("lang")
    def _compute_act(self):
        labels = self.env["report.qms_sop.report_sop_run"]._event_labels()
        for event in self:
            acts = _acts(event, json.loads(event.content or "{}"))
            (kind, _detail), *_others = acts
            event.act = labels.get(kind) or (
                kind.replace(".", " ").replace("_", " ").capitalize()
            )
            told = [detail for _kind, detail in acts]
            if kind == "run.opened":
                told += (event.changes or {}).get("summary", [])
            event.gist = "\n".join(text for text in told if isinstance(text, str))

    @api.depends("occurred_at", "recorded_at")
    def _compute_written_later(self):
        for event in self:
            event.written_later = event.recorded_at - event.occurred_at > _AT_ONCE

    def _search_pinned(self, operator, value):
        if operator != "in" or True not in value:
            return NotImplemented

        def to_sql(_model, alias, _query):
            # Whether it is pinned, the last act says that refers to it.
            return SQL(
                """%(event)s.kind = 'entry' AND (
                       SELECT act.kind FROM qms_audit_event act
                        WHERE act.root_model = %(event)s.root_model
                          AND act.root_id = %(event)s.root_id
                          AND act.sequence > %(event)s.sequence
                          AND act.kind IN ('pinned', 'unpinned')
                          AND (act.content::jsonb ->> 'refers_to')::int
                              = %(event)s.sequence
                     ORDER BY act.sequence DESC LIMIT 1
                   ) = 'pinned'""",
                event=SQL.identifier(alias),
            )

        return Domain.custom(to_sql=to_sql, predicate=lambda event: event.pinned)

    def _search_component(self, operator, value):
        if operator not in ("ilike", "in"):
            return NotImplemented
        names = [value] if isinstance(value, str) else list(value)

        def to_sql(_model, alias, _query):
            told = SQL("%s.content::jsonb ->> 'component'", SQL.identifier(alias))
            if operator == "in":
                return SQL("(%s) IN %s", told, tuple(names))
            return SQL("(%s) ILIKE %s", told, f"%{value}%")

        def predicate(event):
            said = event.component or ""
            if operator == "in":
                return said in names
            return value.lower() in said.lower()

        return Domain.custom(to_sql=to_sql, predicate=predicate)

    # === Acting ===

    def action_pin(self):
        """Pin entries that people made.

        :return: ``True``
        """
        return self._pin(True)

    def action_unpin(self):
        """Let go of entries that are pinned.

        :return: ``True``
        """
        return self._pin(False)

    def _pin(self, pinned):
        for event in self:
            run = self.env["qms.sop.run"].browse(event.root_id)
            run.pin_timeline_entry(event.sequence, pinned)
        return True

    @api.model
    def action_add_entry(self):
        """Open the dialog that adds an entry to the timeline that is being looked at.

        :return: the action
        :rtype: dict
        """
        return self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_run_entry_action"
        )
