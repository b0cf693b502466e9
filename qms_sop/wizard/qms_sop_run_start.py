import base64

from odoo import api, fields, models

from ..models.document.qms_sop_trigger import TRIGGERS
from ..tools.values import to_rfc3339


class QmsSopRunStart(models.TransientModel):
    """Asks what ``qms.sop.run.start_run`` needs, and opens the run."""

    _name = "qms.sop.run.start"
    _description = "Start a run"

    sop_id = fields.Many2one(
        "qms.sop.document",
        "SOP",
        required=True,
        domain=[("effective", "=", True)],
        default=lambda self: self._default_sop_id(),
    )
    log_text = fields.Text(
        "Log", help="Lines around the error; the catalogue names the code."
    )
    match = fields.Text(compute="_compute_match")
    error_code_id = fields.Many2one(
        "qms.error.code",
        compute="_compute_error_code_id",
        store=True,
        readonly=False,
    )
    category_id = fields.Many2one(
        "qms.error.category",
        compute="_compute_classification",
        store=True,
        readonly=False,
    )
    severity_id = fields.Many2one(
        "qms.severity", compute="_compute_classification", store=True, readonly=False
    )
    trigger = fields.Selection(TRIGGERS, required=True, default="manual")
    source = fields.Char(help="Who or what noticed: a person, a monitor, a ticket.")
    summary = fields.Text()
    occurred_at = fields.Datetime("Began", help="When the trouble began, if known.")
    detected_at = fields.Datetime(
        "Noticed", help="The clocks begin then. Empty: it is noticed now."
    )

    @api.model
    def _default_sop_id(self):
        effective = self.env["qms.sop.document"].search(
            [("effective", "=", True)], limit=2
        )
        return effective if len(effective) == 1 else False

    @api.depends("log_text")
    def _compute_match(self):
        for wizard in self:
            wizard.match = wizard._best_match()["why"] if wizard._has_log() else False

    @api.depends("log_text")
    def _compute_error_code_id(self):
        for wizard in self:
            if wizard._has_log() and (code := wizard._best_match()["code"]):
                wizard.error_code_id = self.env["qms.error.code"]._resolve(code)

    @api.depends("error_code_id", "log_text")
    def _compute_classification(self):
        for wizard in self:
            code = wizard.error_code_id
            if code:
                wizard.category_id = code.category_id
                wizard.severity_id = code.severity_id
            elif wizard._has_log():
                wizard.category_id = self.env["qms.error.category"]._resolve(
                    wizard._best_match()["category"]
                )

    def _has_log(self):
        return bool((self.log_text or "").strip())

    def _best_match(self):
        """Return the first of ``qms.error.code.classify``, which is never empty."""
        return self.env["qms.error.code"].classify(self.log_text)[0]

    def action_start(self):
        """Start the run, keep the pasted log as its evidence, and open it.

        :return: the action that shows the run
        :rtype: dict
        """
        self.ensure_one()
        runs = self.env["qms.sop.run"]
        started = runs.start_run(
            self.sop_id.code,
            error_code=self.error_code_id.name or None,
            severity=self.severity_id.code or None,
            category=self.category_id.code or None,
            trigger=self.trigger,
            source=self.source or None,
            summary=self.summary or None,
            occurred_at=to_rfc3339(self.occurred_at),
            detected_at=to_rfc3339(self.detected_at),
        )
        run = runs.browse(started["id"])
        if self._has_log():
            run.add_evidence(
                self.env._("Log at the start.txt"),
                base64.b64encode(self.log_text.encode()).decode(),
                source=self.env._("Pasted when the run was started"),
                mimetype="text/plain",
            )
        return {
            "type": "ir.actions.act_window",
            "res_model": run._name,
            "res_id": run.id,
            "view_mode": "form",
        }
