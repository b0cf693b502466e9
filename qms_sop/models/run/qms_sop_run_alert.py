from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

_SYSTEM_FIELDS = frozenset(
    {"previous_run_id", "firing_alert_count", "alert_state", "alerts_resolved_at"}
)


class QmsSopRun(models.Model):
    """The alerts that a run is about."""

    _inherit = "qms.sop.run"

    alert_ids = fields.One2many("qms.alert", "run_id", "Alerts")
    alert_count = fields.Integer(compute="_compute_alert_count")
    # Stored, and written with every alert that comes and goes: of two that do at the
    # same moment, one has to see the other.
    firing_alert_count = fields.Integer("Firing alerts", readonly=True, copy=False)
    alert_state = fields.Selection(
        [("firing", "Firing"), ("resolved", "Resolved")],
        "Alerts are",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="Resolved: no alert of this run fires any more.",
    )
    alerts_resolved_at = fields.Datetime(
        "Alerts resolved", readonly=True, copy=False, help="When the last alert ended."
    )
    previous_run_id = fields.Many2one(
        "qms.sop.run",
        "Follows",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="The finished run of the same trouble, which came back.",
    )
    follow_up_ids = fields.One2many("qms.sop.run", "previous_run_id", "Follow-ups")

    def _compute_alert_count(self):
        counts = dict(
            self.env["qms.alert"]._read_group(
                Domain("run_id", "in", self.ids), ["run_id"], ["__count"]
            )
        )
        for run in self:
            run.alert_count = counts.get(run, 0)

    @api.model
    def _check_not_system(self, vals):
        forged = _SYSTEM_FIELDS & vals.keys()
        if forged:
            raise UserError(
                self.env._(
                    "%(model)s: %(fields)s cannot be given, the system writes it.",
                    model=self._description,
                    fields=", ".join(sorted(forged)),
                )
            )
        return super()._check_not_system(vals)

    def action_view_alerts(self):
        """Open the alerts of the run."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_alert_action"
        )
        if self.alert_count == 1:
            return self._open_record(self.alert_ids)
        return {**action, "domain": [("run_id", "in", self.ids)], "context": {}}

    def action_view_previous_run(self):
        """Open the run that this one follows."""
        self.ensure_one()
        return self._open_record(self.previous_run_id)

    def _count_alerts(self):
        """Bring what runs say about their alerts up to date."""
        counts = {
            run: (firing, ended)
            for run, firing, ended in self.env["qms.alert"]._read_group(
                Domain("run_id", "in", self.ids),
                ["run_id"],
                ["status:array_agg", "ends_at:max"],
            )
        }
        for run in self:
            statuses, ended = counts.get(run, ((), None))
            firing = statuses.count("firing")
            run._write_system(
                {
                    "firing_alert_count": firing,
                    "alert_state": "firing" if firing else "resolved",
                    "alerts_resolved_at": False if firing else ended,
                }
            )

    def _complete_by_alerts(self):
        """Complete a run whose alerts are over, or say why that cannot be."""
        self.ensure_one()
        try:
            with self.env.cr.savepoint():
                self.complete(
                    self.env._(
                        "The alerts of this run were resolved and nothing mandatory "
                        "was left to do."
                    )
                )
        except UserError as error:
            self._message_log(
                body=self.env._(
                    "The rule would complete this run now. %(problem)s",
                    problem=str(error),
                )
            )
