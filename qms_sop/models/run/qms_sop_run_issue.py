from odoo import models

from ...tools.github import plain
from ...tools.zones import in_zone
from .qms_sop_run_recurrence import PATTERN_ACTIVITY


class QmsSopRun(models.Model):
    """An issue about what came to light in a run."""

    _name = "qms.sop.run"
    _inherit = ["qms.sop.run", "qms.issue.source.mixin"]

    def _issue_title(self):
        kind = (
            self.env._("RECURRING")
            if self.is_recurring
            else self.env._("POST-INCIDENT")
        )
        code = self.error_code_id
        cause = self._issue_analysis().root_cause or self.summary or self.sop_id.name
        about = f"{code.name}: {cause}" if code else cause
        return f"[{kind}] {about}"

    def _issue_analysis(self):
        """Return the analysis that says most: a confirmed one before a draft."""
        return self.rca_ids.filtered("root_cause").sorted(
            lambda rca: (rca.state != "confirmed", -rca.id)
        )[:1]

    def _issue_labels(self, tracker):
        return tracker._labels_of(self.category_id, self.severity_id)

    def _issue_body(self):
        analysis = self._issue_analysis()
        parts = [
            self._issue_part(self.env._("Context"), self._issue_context()),
            self._issue_part(
                self.env._("Root cause"),
                plain(analysis.root_cause) or self.env._("Not analysed yet."),
            ),
            self._issue_part(
                self.env._("Contributing factors"),
                self._issue_list(analysis.factor_ids.mapped("name")),
            ),
            self._issue_part(self.env._("Resolution"), plain(self.resolution)),
            self._issue_part(self.env._("Seen before"), self._issue_pattern()),
            self._issue_part(
                self.env._("Action items"),
                self._issue_list(self._issue_checklist(), "- [ ] "),
            ),
            self._issue_part(self.env._("References"), self._issue_references()),
        ]
        return "\n\n".join(part for part in parts if part)

    def _issue_context(self):
        code, version, title, _steps = self.sop_id._outline()
        facts = [
            self.env._("Severity: %s", self.severity_id.name or self.env._("unknown")),
            self.env._("Category: %s", self.category_id.code or self.env._("unknown")),
            self.env._(
                "Error code: %s",
                f"`{self.error_code_id.name}`"
                if self.error_code_id
                else self.env._("unknown"),
            ),
        ]
        began = self.env._(
            "%(run)s, %(sop)s (%(title)s), started %(time)s.",
            run=self.name,
            sop=f"{code} {version}",
            title=plain(title),
            time=in_zone(self.start_time, "UTC") or self.env._("not yet"),
        )
        lines = [began, " · ".join(facts)]
        if self.summary:
            lines.append(plain(self.summary.strip()))
        return "\n\n".join(lines)

    def _issue_pattern(self):
        if not self.recurrence_ids:
            return ""
        names = self.recurrence_ids.mapped("name")
        return f"{plain(self.recurrence_words)} ({', '.join(names)})"

    def _issue_checklist(self):
        """Return what is to be done, a line each.

        The actions that were raised; else the fix of the analysis and what the
        catalogue says that keeps the error from coming back.

        :rtype: list[str]
        """
        actions = self.action_ids.filtered(
            lambda action: action.state not in ("verified", "cancelled")
        )
        if actions:
            return [f"{action.reference}: {action.name}" for action in actions]
        analysis = self._issue_analysis()
        lines = [] if analysis else [self.env._("Find the root cause")]
        lines += (analysis.fix or "").splitlines()
        lines += [
            line.strip().lstrip("-*• ")
            for line in (self.error_code_id.prevention or "").splitlines()
        ]
        return lines or [self.env._("Decide what keeps it from coming back")]

    def _issue_references(self):
        url = f"{self.get_base_url()}/odoo/qms-runs/{self.id}"
        lines = [f"- {self.env._('SOP run')}: [{self.name}]({url})"]
        for rca in self.rca_ids:
            lines.append(f"- {self.env._('Analysis')}: {rca.name}")
        return "\n".join(lines)

    def _issue_made(self, issue):
        self.activity_feedback([PATTERN_ACTIVITY])
        self._message_log(
            body=self.env._("Issue %(issue)s was made.", issue=issue.reference)
        )
