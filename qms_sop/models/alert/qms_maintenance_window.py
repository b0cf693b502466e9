from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

STATES = [
    ("planned", "Planned"),
    ("active", "Under way"),
    ("over", "Over"),
]


class QmsMaintenanceWindow(models.Model):
    """A time in which alerts of some systems are expected.

    They are recorded and linked to the window, and open no run. What still fires when
    the window is over opens one then.
    """

    _name = "qms.maintenance.window"
    _description = "Maintenance window"
    _inherit = ["mail.thread"]
    _order = "date_from desc, id desc"

    name = fields.Char(required=True, tracking=True)
    reason = fields.Text(
        required=True, tracking=True, help="What is done, and why it raises alerts."
    )
    active = fields.Boolean(default=True, tracking=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    user_id = fields.Many2one(
        "res.users",
        "Responsible",
        default=lambda self: self.env.user,
        tracking=True,
    )
    date_from = fields.Datetime(
        "From", required=True, tracking=True, default=fields.Datetime.now
    )
    date_to = fields.Datetime(
        "To",
        required=True,
        tracking=True,
        default=lambda self: fields.Datetime.add(fields.Datetime.now(), hours=2),
    )
    matcher_ids = fields.One2many(
        "qms.alert.matcher",
        "window_id",
        "Systems",
        copy=True,
        help="Alerts that meet all these conditions; none means the alerts of all "
        "systems.",
    )
    state = fields.Selection(
        STATES, compute="_compute_state", search="_search_state", string="Status"
    )
    systems = fields.Char("Alerts of", compute="_compute_systems")
    overlap_ids = fields.Many2many(
        "qms.maintenance.window",
        compute="_compute_overlap_ids",
        string="At the same time",
        help="Other maintenance windows in the same time.",
    )
    alert_ids = fields.One2many("qms.alert", "maintenance_id", "Alerts")
    alert_count = fields.Integer(compute="_compute_alert_count")

    _dates_ordered = models.Constraint(
        "CHECK(date_to > date_from)",
        "A maintenance window ends after it begins: correct “From” or “To”.",
    )
    _current_idx = models.Index("(company_id, date_to) WHERE active")

    # === Computes ===

    @api.depends("date_from", "date_to")
    def _compute_state(self):
        now = fields.Datetime.now()
        for window in self:
            if not window.date_from or now < window.date_from:
                window.state = "planned"
            elif window.date_to and now >= window.date_to:
                window.state = "over"
            else:
                window.state = "active"

    def _search_state(self, operator, value):
        if operator != "in":
            return NotImplemented
        now = fields.Datetime.now()
        domains = {
            "planned": Domain("date_from", ">", now),
            "active": Domain("date_from", "<=", now) & Domain("date_to", ">", now),
            "over": Domain("date_to", "<=", now),
        }
        return Domain.OR(domains[state] for state in value if state in domains)

    @api.depends("matcher_ids.label", "matcher_ids.operator", "matcher_ids.value")
    def _compute_systems(self):
        for window in self:
            window.systems = window.matcher_ids._in_words(self.env._("All systems"))

    @api.depends("date_from", "date_to", "company_id", "active")
    def _compute_overlap_ids(self):
        for window in self:
            if not (window.date_from and window.date_to and window.active):
                window.overlap_ids = False
                continue
            window.overlap_ids = self.search(
                Domain("company_id", "=", window.company_id.id)
                & Domain("date_from", "<", window.date_to)
                & Domain("date_to", ">", window.date_from)
                & Domain("id", "!=", window._origin.id),
                limit=10,
            )

    def _compute_alert_count(self):
        counts = dict(
            self.env["qms.alert"]._read_group(
                Domain("maintenance_id", "in", self.ids),
                ["maintenance_id"],
                ["__count"],
            )
        )
        for window in self:
            window.alert_count = counts.get(window, 0)

    # === Constraints ===

    @api.constrains("reason")
    def _check_reason(self):
        for window in self:
            if not window.reason.strip():
                raise ValidationError(
                    self.env._("Reason: say what is done, in a sentence.")
                )

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        windows = super().create(vals_list)
        windows._plan_release()
        return windows

    def write(self, vals):
        settled = {"date_from", "date_to", "matcher_ids", "company_id"} & vals.keys()
        if settled:
            over = self.filtered(lambda window: window.state == "over")
            if over:
                raise UserError(
                    self.env._(
                        "%(window)s is over: when it was and what it covered can no "
                        "longer be changed. Plan another one.",
                        window=over[0].name,
                    )
                )
        result = super().write(vals)
        if {"date_to", "active"} & vals.keys():
            self._plan_release()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        for window in self:
            if window.state != "planned" or window.alert_count:
                raise UserError(
                    self.env._(
                        "%(window)s has begun and belongs to the records: it cannot "
                        "be deleted. End it, or archive it.",
                        window=window.name,
                    )
                )

    # === Buttons ===

    def action_end(self):
        """End windows that are under way now; what still fires opens runs."""
        now = fields.Datetime.now()
        for window in self:
            if window.state != "active":
                raise UserError(
                    self.env._(
                        "%(window)s is not under way, so it cannot be ended.",
                        window=window.name,
                    )
                )
        # A window has a length: one that began in this very second gets one second,
        # which is over already.
        latest = fields.Datetime.subtract(now, seconds=1)
        for window in self:
            window.write({"date_from": min(window.date_from, latest), "date_to": now})
        return True

    def action_view_alerts(self):
        """Open the alerts of the window."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_alert_action"
        )
        return {**action, "domain": [("maintenance_id", "in", self.ids)], "context": {}}

    # === Business ===

    @api.model
    def _current(self, company):
        """Return the windows of a company that are under way.

        :param res.company company: whose alerts are looked at
        :rtype: qms.maintenance.window records
        """
        windows = self.search(
            Domain("company_id", "=", company.id) & Domain("state", "in", ["active"])
        )
        windows.matcher_ids.fetch(["window_id", "label", "operator", "value"])
        return windows

    def _first_match(self, labels):
        """Return the window that covers an alert.

        :param dict labels: of the alert, names and values
        :rtype: qms.maintenance.window record, or none
        """
        return next(
            (window for window in self if window.matcher_ids._hold(labels)),
            self.browse(),
        )

    def _plan_release(self):
        """Have the alerts looked at again as soon as the windows are over."""
        # Who plans a window may not touch scheduled actions.
        cron = self.env.ref("qms_sop.ir_cron_release_alerts").sudo()
        now = fields.Datetime.now()
        times = {max(window.date_to, now) for window in self}
        if times:
            cron._trigger(at=sorted(times))
