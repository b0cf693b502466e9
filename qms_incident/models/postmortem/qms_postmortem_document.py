from markupsafe import Markup

from odoo import api, fields, models
from odoo.fields import Domain

from odoo.addons.qms_sop.tools.markdown import to_html
from odoo.addons.qms_sop.tools.values import to_rfc3339

from ...tools.postmortem_sections import LESSONS, TEXTS, UNDER


class QmsPostmortem(models.Model):
    """A post-mortem as its readers see it, and whether it is late."""

    _inherit = "qms.postmortem"

    document_html = fields.Html(
        "Document", compute="_compute_document_html", sanitize=False
    )
    whys_html = fields.Html(
        "Whys of the analysis", compute="_compute_whys_html", sanitize=False
    )
    document_action_ids = fields.Many2many(
        "qms.action", string="Actions that follow", compute="_compute_document_actions"
    )
    action_count = fields.Integer("Actions", compute="_compute_document_actions")
    overdue = fields.Boolean(compute="_compute_overdue", search="_search_overdue")

    @api.depends(
        "kind",
        "timeline",
        "why_ids",
        "action_ids",
        "incident_id",
        "amendment_ids",
        *TEXTS,
    )
    def _compute_document_html(self):
        for postmortem in self:
            there = postmortem._origin and postmortem.incident_id
            postmortem.document_html = there and postmortem._document_html()

    def _document_html(self):
        """Return the sections of one post-mortem, rendered.

        :rtype: markupsafe.Markup
        """
        parts, above = [], None
        for key, heading, text in self._sections():
            group = UNDER.get(key)
            if group == LESSONS and above != LESSONS:
                parts.append(Markup("<h2>%s</h2>") % LESSONS)
            above = group
            level = "h3" if group else "h2"
            parts.append(Markup("<%s>%s</%s>") % (level, heading, level))
            blank = Markup("<p class='text-muted fst-italic'>%s</p>")
            parts.append(to_html(text) or blank % self.env._("Not written."))
        return Markup("").join([*parts, *self._amendments_html()])

    def _amendments_html(self):
        """Return what was corrected after it was published, rendered, if anything."""
        for position, note in enumerate(self.amendment_ids):
            if not position:
                yield Markup("<h2>%s</h2>") % self.env._("Amendments")
            yield to_html(note.text)
            # sudo: who corrected it is told to everybody who reads it
            yield Markup("<p class='text-muted'>%s · %s · %s</p>") % (
                to_rfc3339(note.amended_at),
                note.user_id.sudo().name,
                note.reason,
            )

    @api.depends("incident_id")
    def _compute_whys_html(self):
        for postmortem in self:
            incident = postmortem.incident_id
            analysed = bool(incident._analyses()) and not postmortem.why_ids
            postmortem.whys_html = analysed and to_html(postmortem._whys_text())

    @api.depends("incident_id", "action_ids")
    def _compute_document_actions(self):
        for postmortem in self:
            there = postmortem._origin and postmortem.incident_id
            actions = postmortem._document_actions() if there else postmortem.action_ids
            postmortem.document_action_ids = actions
            postmortem.action_count = len(actions)

    @api.depends("due_at", "state")
    def _compute_overdue(self):
        now = fields.Datetime.now()
        for postmortem in self:
            due = postmortem.due_at
            late = due and due < now and postmortem.state != "published"
            postmortem.overdue = bool(late)

    @api.model
    def _search_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        late = Domain("due_at", "<", fields.Datetime.now()) & Domain(
            "state", "!=", "published"
        )
        domain = Domain.FALSE
        if True in value:
            domain |= late
        if False in value:
            domain |= ~late | Domain("due_at", "=", False)
        return domain

    # === Buttons ===

    def action_submit(self):
        """Hand post-mortems in for review."""
        self.write({"state": "in_review"})
        return True

    def action_review(self):
        """Say that the user has reviewed one post-mortem."""
        self._only_one()._review("reviewed")
        return True

    def action_prefill(self):
        """Fill in what is blank from the incident, its runs and their analyses."""
        self._only_one()._prefill()
        return True

    def action_view_incident(self):
        """Open the incident of one post-mortem."""
        return self._only_one().incident_id._open_form()

    def action_view_actions(self):
        """Open the actions that follow from the incident."""
        self._only_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_action_action"
        )
        action["domain"] = [("id", "in", self._document_actions().ids)]
        action["context"] = {
            "default_source_type": "postmortem",
            "default_postmortem_id": self.id,
        }
        return action

    def action_raise_action(self):
        """Open the form of a new action that comes from one post-mortem."""
        self._only_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Raise an action"),
            "res_model": "qms.action",
            "view_mode": "form",
            "context": {
                "default_source_type": "postmortem",
                "default_postmortem_id": self.id,
            },
        }
