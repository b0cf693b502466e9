from odoo import models

from ...tools.github import plain


class QmsAction(models.Model):
    """An issue for those who do what an action asks for."""

    _name = "qms.action"
    _inherit = ["qms.action", "qms.issue.source.mixin"]

    def _issue_title(self):
        return f"[{self.reference}] {self.name}"

    def _issue_labels(self, tracker):
        run = self.run_id or self.rca_id.run_id
        return tracker._labels_of(run.category_id, run.severity_id)

    def _issue_body(self):
        run = self.run_id or self.rca_id.run_id
        cause = self.rca_id.root_cause or self.cause_id.name
        facts = [
            self.env._("Action: %s", self.reference),
            self.env._("Owner: %s", self.user_id.name or self.env._("nobody yet")),
            self.env._("Due: %s", self.due_date or self.env._("not set")),
        ]
        parts = [
            f"**{self.env._('Context')}**: {plain(' · '.join(facts))}",
            plain(self.description),
            cause and f"**{self.env._('Root cause')}**: {plain(cause)}",
            f"**{self.env._('Action items')}**:\n- [ ] {plain(self.name)}",
            self.check_criteria
            and f"**{self.env._('It worked when')}**: {plain(self.check_criteria)}",
            run
            and f"**{self.env._('References')}**:\n- {self.env._('SOP run')}: "
            f"[{run.name}]({run.get_base_url()}/odoo/qms-runs/{run.id})",
        ]
        return "\n\n".join(part for part in parts if part)

    def _issue_made(self, issue):
        self._message_log(
            body=self.env._("Issue %(issue)s was made.", issue=issue.reference)
        )
