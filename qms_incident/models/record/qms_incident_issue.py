from odoo import models

from odoo.addons.qms_sop.tools.github import plain
from odoo.addons.qms_sop.tools.zones import in_zone

# What those are called who see to issues that an incident left
_LABEL = "incident-response"


class QmsIncident(models.Model):
    """An issue about what an incident brought to light."""

    _name = "qms.incident"
    _inherit = ["qms.incident", "qms.issue.source.mixin"]

    def _issue_title(self):
        return f"[Post-Incident] {self.name}: {self.title}"

    def _issue_labels(self, tracker):
        found = tracker._labels_of(self.category_id, self.severity_id)
        return list(dict.fromkeys([_LABEL, *found]))

    def _issue_body(self):
        causes = self._issue_causes()
        actions = self._all_actions().filtered(
            lambda action: action.state not in ("verified", "cancelled")
        )
        parts = [
            (self.env._("Context"), self._issue_context()),
            (self.env._("What happened"), plain((self.description or "").strip())),
            (self.env._("Impact"), self._issue_list(self._impact_lines())),
            (
                self.env._("Root cause"),
                self._issue_list(causes) or self.env._("Not analysed yet."),
            ),
            (self.env._("Prevention"), plain((self.prevention or "").strip())),
            (
                self.env._("Action items"),
                self._issue_list(
                    (f"{action.reference}: {action.name}" for action in actions),
                    "- [ ] ",
                )
                or f"- [ ] {self.env._('Decide what keeps it from coming back')}",
            ),
            (self.env._("References"), self._issue_references()),
        ]
        found = (self._issue_part(heading, text) for heading, text in parts)
        return "\n\n".join(part for part in found if part)

    def _issue_context(self):
        systems = ", ".join(self.system_ids.mapped("name"))
        facts = [
            self.env._("Severity: %s", self.severity_id.name or self.env._("unknown")),
            systems and self.env._("Affected systems: %s", plain(systems)),
            self.error_code_id
            and self.env._("Error code: %s", f"`{self.error_code_id.name}`"),
            self.env._("Detected: %s", in_zone(self.detected_at, "UTC")),
            self.resolved_at
            and self.env._("Resolved: %s", in_zone(self.resolved_at, "UTC")),
        ]
        return " · ".join(fact for fact in facts if fact)

    def _issue_causes(self):
        """Return the root causes that were found, the confirmed ones before drafts."""
        found = self.run_ids.rca_ids.filtered("root_cause")
        return (found.filtered(lambda rca: rca.state == "confirmed") or found).mapped(
            "root_cause"
        )

    def _issue_references(self):
        url = f"{self.get_base_url()}/odoo"
        lines = [f"- [{self.name}]({url}/qms-incidents/{self.id})"]
        for run in self.run_ids:
            link = f"[{run.name}]({url}/qms-runs/{run.id})"
            lines.append(f"- {self.env._('SOP run')}: {link}")
        return "\n".join(lines)

    def _issue_made(self, issue):
        self._message_log(
            body=self.env._("Issue %(issue)s was made.", issue=issue.reference)
        )


class QmsAction(models.Model):
    """An issue for those who do what an incident asks for."""

    _inherit = "qms.action"

    def _issue_title(self):
        if not self.incident_id:
            return super()._issue_title()
        return f"[Post-Incident] {self.name}"

    def _issue_labels(self, tracker):
        if not self.incident_id:
            return super()._issue_labels(tracker)
        return self.incident_id._issue_labels(tracker)

    def _issue_body(self):
        body = super()._issue_body()
        if not self.incident_id:
            return body
        incident = self.incident_id
        link = f"{incident.get_base_url()}/odoo/qms-incidents/{incident.id}"
        told = self.env._("From incident %s", f"[{incident.name}]({link})")
        return f"{told}: {plain(incident.title)}\n\n{body}"
