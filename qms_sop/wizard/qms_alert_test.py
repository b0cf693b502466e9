from odoo import api, fields, models
from odoo.exceptions import UserError

from ..tools.alert_payload import PayloadError


class QmsAlertTest(models.TransientModel):
    """Tells what would become of a payload, without keeping or opening anything."""

    _name = "qms.alert.test"
    _description = "Try an alert payload"

    source_id = fields.Many2one(
        "qms.alert.source",
        required=True,
        default=lambda self: self.env["qms.alert.source"].search([], limit=1),
    )
    payload = fields.Text(required=True)
    result = fields.Html(compute="_compute_result", sanitize=False)

    @api.depends("source_id", "payload")
    def _compute_result(self):
        for test in self:
            alerts, problems = test._explain()
            test.result = self.env["ir.qweb"]._render(
                "qms_sop.alert_test_result", {"alerts": alerts, "problems": problems}
            )

    def _explain(self):
        """Return what would become of each alert of the payload.

        :return: dicts for the template ``alert_test_result``, and what cannot be read
        :rtype: tuple[list[dict], list[str]]
        """
        source = self.source_id
        if not source or not self.payload:
            return [], []
        try:
            reports, problems = source._read(self.payload)
        except PayloadError as error:
            return [], [str(error)]
        windows = self.env["qms.maintenance.window"]._current(source.company_id)
        rules = self.env["qms.alert.rule"]._of_source(source)
        words = self.env["qms.alert.severity.word"]
        by_word = words._by_word()
        alerts = []
        for report in reports:
            alert = self.env["qms.alert"].new(
                {
                    "name": report.title,
                    "description": report.description,
                    "source_id": source.id,
                    "severity": report.severity,
                    "severity_id": words._find(report.severity, by_word).id,
                    "labels": report.labels,
                    "annotations": report.annotations,
                    "url": report.url,
                }
            )
            labels = alert._matching_labels()
            window = windows._first_match(labels)
            rule = rules._first_match(labels)
            alerts.append(
                {
                    "report": report,
                    "labels_html": alert.labels_html,
                    "severity": alert.severity_id.name,
                    "window": window.name,
                    "rule": rule.name,
                    **self._outcome(alert, rule, labels, report.resolved, window),
                }
            )
        return alerts, problems

    def _outcome(self, alert, rule, labels, resolved, window):
        """Return what would follow, as ``outcome``, ``kind`` and ``remarks``."""
        if resolved:
            return {
                "kind": "info",
                "outcome": self.env._(
                    "It is over: its alert and the run of that are marked as resolved."
                ),
            }
        if window:
            return {
                "kind": "warning",
                "outcome": self.env._(
                    "No run: the maintenance window “%s” covers it.", window.name
                ),
            }
        if rule.action == "ignore":
            return {
                "kind": "secondary",
                "outcome": self.env._("No run: the rule “%s” ignores it.", rule.name),
            }
        try:
            plan = alert._plan(rule, labels)
        except UserError as error:
            return {"kind": "danger", "outcome": str(error)}
        code = plan.error_code
        if not code and plan.log_text:
            code = self.env["qms.error.code"]._classify(plan.log_text)[0]
        severity = plan.severity or code.severity_id
        opens = self.env._("A run of %(sop)s is opened", sop=plan.sop_code)
        if rule.action == "group":
            opens = self.env._(
                "An open run of %(sop)s is joined, or one is opened", sop=plan.sop_code
            )
        return {
            "kind": "success",
            "outcome": self.env._(
                "%(opens)s, error code %(code)s, severity %(severity)s.",
                opens=opens,
                code=code.name or self.env._("none"),
                severity=severity.name or self.env._("none"),
            ),
            "remarks": plan.remarks,
        }
