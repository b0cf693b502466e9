from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from odoo.addons.base.models.res_partner import _tz_get


class QmsIncidentImport(models.TransientModel):
    """Takes a pasted log or table apart, and shows what becomes of it."""

    _name = "qms.incident.import"
    _description = "Import into the timeline of an incident"

    incident_id = fields.Many2one("qms.incident", required=True, readonly=True)
    text = fields.Text("Log, CSV or table", required=True)
    day = fields.Date(
        "Day of times without a date",
        compute="_compute_day",
        store=True,
        readonly=False,
    )
    zone = fields.Selection(_tz_get, "Time zone", required=True, default="UTC")
    preview = fields.Html(compute="_compute_preview", sanitize=False)

    @api.depends("incident_id")
    def _compute_day(self):
        for one in self:
            one.day = one.incident_id.day

    @api.depends("incident_id", "text", "day", "zone")
    def _compute_preview(self):
        for one in self:
            one.preview = False
            if not (one.incident_id and (one.text or "").strip()):
                continue
            try:
                found = one._read(one.incident_id.preview_timeline)
            except ValidationError as error:
                one.preview = Markup("<p class='text-danger'>%s</p>") % str(error)
                continue
            one.preview = one._show(found)

    def _read(self, method):
        day = self.day.isoformat() if self.day else None
        return method(self.text, day=day, timezone=self.zone)

    def _show(self, found):
        """Return what is found in the text, as HTML."""
        rows = Markup("").join(
            Markup("<tr class='%s'><td class='text-nowrap'>%s</td><td>%s</td>")
            % (
                "text-muted" if entry["known"] else "",
                entry["at"].replace("T", " ").removesuffix("Z"),
                entry["text"],
            )
            + Markup("<td>%s</td><td>%s</td></tr>")
            % (
                entry["component"],
                self.env._("already there") if entry["known"] else entry["evidence"],
            )
            for entry in found["entries"]
        )
        table = Markup(
            "<table class='table table-sm'><thead><tr><th>%s</th><th>%s</th><th>%s</th>"
            "<th>%s</th></tr></thead><tbody>%s</tbody></table>"
        ) % (
            self.env._("Time (UTC)"),
            self.env._("Event"),
            self.env._("Component"),
            self.env._("Evidence"),
            rows,
        )
        problems = Markup("").join(
            Markup("<li>%s</li>")
            % self.env._(
                "Line %(line)s is left out: %(why)s (%(text)s)",
                line=problem["line"],
                why=problem["why"],
                text=problem["text"],
            )
            for problem in found["problems"][:20]
        )
        if problems:
            table += Markup("<ul class='text-warning mb-0'>%s</ul>") % problems
        return table

    def action_import(self):
        """Add what was found to the timeline.

        :return: the action that closes the dialog
        :rtype: dict
        """
        self.ensure_one()
        self._read(self.incident_id.import_timeline)
        return {"type": "ir.actions.act_window_close"}
