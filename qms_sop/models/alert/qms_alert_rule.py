from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

ACTIONS = [
    ("open", "Open a run"),
    ("group", "Join an open run, or open one"),
    ("ignore", "Ignore"),
]


class QmsAlertRule(models.Model):
    """What follows from an alert. The first rule that matches decides.

    Where a value can come from a label, the label wins over what the rule says for
    alerts without it.
    """

    _name = "qms.alert.rule"
    _description = "Alert rule"
    _inherit = ["mail.thread"]
    _order = "sequence, id"

    name = fields.Char(required=True, tracking=True)
    sequence = fields.Integer(default=50, help="Rules are tried from the lowest up.")
    active = fields.Boolean(default=True, tracking=True)
    company_id = fields.Many2one(
        "res.company", index=True, help="Blank: a rule of all companies."
    )
    source_id = fields.Many2one(
        "qms.alert.source",
        index=True,
        ondelete="cascade",
        tracking=True,
        help="Blank: alerts of all sources.",
    )
    matcher_ids = fields.One2many(
        "qms.alert.matcher",
        "rule_id",
        "Conditions",
        copy=True,
        help="All of them have to hold; none means every alert.",
    )
    conditions = fields.Char("Alerts with", compute="_compute_conditions")
    action = fields.Selection(ACTIONS, required=True, default="open", tracking=True)
    group_by = fields.Char(
        "Grouped by",
        tracking=True,
        help="Names of labels, separated by commas: alerts that are equal in all of "
        "them share a run. Blank: alerts for the same SOP share one.",
    )
    sop_label = fields.Char(
        "Label with the SOP",
        tracking=True,
        help="Name of a label that holds the code of an SOP, if alerts have one.",
    )
    sop_code = fields.Char("SOP code", tracking=True)
    sop_id = fields.Many2one(
        "qms.sop.document",
        "SOP",
        compute="_compute_sop_id",
        inverse="_inverse_sop_id",
        domain=[("state", "=", "approved")],
        help="Run in the revision that is effective when the alert comes. Blank: the "
        "SOP of the source.",
    )
    sop_words = fields.Char("Runs", compute="_compute_sop_words")
    error_code_label = fields.Char(
        "Label with the error code",
        tracking=True,
        help="Name of a label that holds an error code, if alerts have one.",
    )
    error_code_id = fields.Many2one(
        "qms.error.code", "Error code", ondelete="restrict", tracking=True
    )
    classify = fields.Boolean(
        "Classify the text",
        default=True,
        tracking=True,
        help="Without a code, look the title and the annotations up in the catalogue.",
    )
    severity_from_alert = fields.Boolean(
        "Severity of the alert",
        default=True,
        tracking=True,
        help="Take the severity that the alert says, where its word is known.",
    )
    severity_id = fields.Many2one(
        "qms.severity",
        "Severity",
        ondelete="restrict",
        tracking=True,
        help="Where the alert says none. Blank: the severity of the error code.",
    )
    reopen_minutes = fields.Integer(
        "Comes back within",
        default=60,
        tracking=True,
        help="Minutes. An alert that fires again so soon after it ended, or after its "
        "run ended, is the same trouble: it goes on in its run, or, as a finished run "
        "is sealed, in a new one that is linked to it. 0: always a new run.",
    )
    complete_on_resolved = fields.Boolean(
        "Complete the run when resolved",
        tracking=True,
        help="When no alert of the run fires any more and none of its mandatory steps "
        "is open. Otherwise the run only notes it.",
    )
    alert_count = fields.Integer(compute="_compute_alert_count")

    _reopen_positive = models.Constraint(
        "CHECK(reopen_minutes >= 0)",
        "“Comes back within” is a number of minutes from 0 up.",
    )

    @api.depends("sop_code")
    def _compute_sop_id(self):
        self._find_sops(self)

    def _inverse_sop_id(self):
        for rule in self:
            rule.sop_code = rule.sop_id.code

    @api.depends("action", "sop_label", "sop_code")
    def _compute_sop_words(self):
        for rule in self:
            code = rule.sop_code or self.env._("the SOP of the source")
            if rule.action == "ignore":
                code = False
            elif rule.sop_label:
                code = self.env._(
                    "what %(label)s says, else %(sop)s", label=rule.sop_label, sop=code
                )
            rule.sop_words = code

    @api.depends("matcher_ids.label", "matcher_ids.operator", "matcher_ids.value")
    def _compute_conditions(self):
        for rule in self:
            rule.conditions = rule.matcher_ids._in_words(self.env._("Every alert"))

    def _compute_alert_count(self):
        counts = dict(
            self.env["qms.alert"]._read_group(
                Domain("rule_id", "in", self.ids), ["rule_id"], ["__count"]
            )
        )
        for rule in self:
            rule.alert_count = counts.get(rule, 0)

    @api.constrains("source_id", "company_id")
    def _check_company_of_source(self):
        for rule in self:
            company = rule.source_id.company_id
            if company and rule.company_id and rule.company_id != company:
                raise ValidationError(
                    self.env._(
                        "Company: alerts of %(name)s belong to %(company)s, so this "
                        "rule would never be tried.",
                        name=rule.source_id.name,
                        company=company.name,
                    )
                )

    @api.constrains("sop_code")
    def _check_sop_code(self):
        self._check_sop_codes(self)

    def action_view_alerts(self):
        """Open the alerts that the rule decided about."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_alert_action"
        )
        return {**action, "domain": [("rule_id", "in", self.ids)], "context": {}}

    @api.model
    def _find_sops(self, records):
        """Fill in ``sop_id`` from ``sop_code``: the newest approved revision."""
        documents = self.env["qms.sop.document"].search(
            Domain("code", "in", [code for code in records.mapped("sop_code") if code])
            & Domain("state", "=", "approved")
        )
        by_code = {}
        for document in documents:
            by_code.setdefault(document.code, document)
        for record in records:
            record.sop_id = by_code.get(record.sop_code, False)

    @api.model
    def _check_sop_codes(self, records):
        """Refuse the code of an SOP that does not exist."""
        for code in {code for code in records.mapped("sop_code") if code}:
            self.env["qms.sop.document"]._effective(code)

    @api.model
    def _of_source(self, source):
        """Return the rules that alerts of a source are tried on, in their order."""
        rules = self.search(
            Domain("source_id", "in", (False, source.id))
            & Domain("company_id", "in", (False, source.company_id.id))
        )
        rules.fetch(self._decisive_fields())
        rules.matcher_ids.fetch(["rule_id", "label", "operator", "value"])
        return rules

    @api.model
    def _decisive_fields(self):
        return [
            name
            for name, field in self._fields.items()
            if field.store and field.column_type and name not in models.MAGIC_COLUMNS
        ]

    def _first_match(self, labels):
        """Return the rule that decides about an alert.

        :param dict labels: of the alert, names and values
        :rtype: qms.alert.rule record, or none
        """
        return next(
            (rule for rule in self if rule.matcher_ids._hold(labels)), self.browse()
        )

    def _choose_sop(self, labels, default):
        """Return the SOP to run, as codes in the order of preference.

        :param dict labels: of the alert
        :param default: code of the source's SOP, if it has one
        :return: codes, the best first; may be empty
        :rtype: list[str]
        """
        wanted = [
            self.sop_label and labels.get(self.sop_label.strip()),
            self.sop_code,
            default,
        ]
        return list(dict.fromkeys(code for code in wanted if code))

    def _choose_error_code(self, labels):
        """Return the error code that the labels or the rule name.

        :param dict labels: of the alert
        :return: a code or none, and the label's value when the catalogue does not
            have it
        :rtype: tuple[qms.error.code record, str]
        """
        codes = self.env["qms.error.code"]
        said = self.error_code_label and labels.get(self.error_code_label.strip())
        if said:
            try:
                return codes._resolve(said), ""
            except ValidationError:
                return self.error_code_id, said
        return self.error_code_id, ""

    def _group_key(self, labels, sop_code):
        """Return what names the run that an alert joins.

        :param dict labels: of the alert
        :param str sop_code: the SOP to run
        :rtype: str
        """
        self.ensure_one()
        names = sorted(
            {name.strip() for name in (self.group_by or "").split(",")} - {""}
        )
        parts = [f"{name}={labels.get(name, '')}" for name in names]
        return "|".join([f"alerts:{self.id}", sop_code, *parts])
