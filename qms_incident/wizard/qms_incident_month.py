from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import format_date

_ONE = relativedelta(months=1)
# How far back the months go that can be chosen, and the table of months
_CHOICES, _YEAR = 36, 12


class QmsIncidentMonth(models.TransientModel):
    """Which month of which company is reported on."""

    _name = "qms.incident.month"
    _description = "Monthly incident report"

    month = fields.Selection(
        "_selection_month", required=True, default=lambda self: self._default_month()
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        default=lambda self: self.env.company,
        domain=lambda self: [("id", "in", self.env.companies.ids)],
    )
    paper = fields.Selection(
        [("a4", "A4"), ("letter", "Letter")], required=True, default="a4"
    )
    incident_count = fields.Integer("Incidents", compute="_compute_incident_count")

    @api.model
    def _today(self):
        now = fields.Datetime.now()
        return self.env["qms.incident"]._local_day(self.env.company, now)

    @api.model
    def _selection_month(self):
        first = self._today().replace(day=1)
        months = [first - number * _ONE for number in range(_CHOICES)]
        return [(f"{one:%Y-%m}", self._month_name(one)) for one in months]

    @api.model
    def _default_month(self):
        # What is reported on is over.
        return f"{self._today() - _ONE:%Y-%m}"

    @api.model
    def _month_name(self, day):
        """Return the month of a day in words.

        :param datetime.date day: any of the month
        :rtype: str
        """
        return format_date(self.env, day, date_format="LLLL yyyy")

    @api.depends("month", "company_id")
    def _compute_incident_count(self):
        for report in self:
            known = report.month and report.company_id
            report.incident_count = bool(known) and report._reports().search_count(
                report._domain()
            )

    @api.constrains("month")
    def _check_month(self):
        months = [month for month, _name in self._selection_month()]
        for report in self:
            if report.month not in months:
                raise ValidationError(
                    self.env._(
                        "month: %(value)s is not accepted; give a month from %(first)s "
                        "to %(last)s.",
                        value=repr(report.month),
                        first=months[-1],
                        last=months[0],
                    )
                )

    def action_pdf(self):
        """Print the report."""
        self.ensure_one()
        report = f"qms_incident.qms_incident_month_report_{self.paper}"
        return self.env.ref(report).report_action(self)

    def action_view(self):
        """Show the incidents of the month in a list."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_incident.qms_incident_report_action"
        )
        return {
            **action,
            "name": self._month_name(self._days()[0]),
            "domain": list(self._domain()),
            "context": {},
            "views": [(False, "list"), (False, "pivot"), (False, "graph")],
            "view_mode": "list,pivot,graph",
            "target": "current",
        }

    # === What is reported ===

    def _days(self):
        """Return the first and the last day of the month.

        :rtype: tuple[datetime.date, datetime.date]
        """
        self.ensure_one()
        first = fields.Date.to_date(f"{self.month}-01")
        return first, first + relativedelta(day=31)

    def _reports(self):
        """Return the model of the figures, for the company alone.

        :rtype: empty qms.incident.report recordset
        """
        self.ensure_one()
        reports = self.env["qms.incident.report"]
        return reports.with_context(allowed_company_ids=self.company_id.ids)

    def _domain(self):
        first, last = self._days()
        return (
            Domain("company_id", "=", self.company_id.id)
            & Domain("day", ">=", first)
            & Domain("day", "<=", last)
        )

    def _rows(self):
        """Return the incidents of the month, those that are counted apart as well.

        :rtype: qms.incident.report records
        """
        return self._reports().search(self._domain(), order="detected_at, id")

    def _figures(self):
        """Return the figures of the month, of the one before, and of the year to it.

        :return: ``month``, ``before`` and ``year`` as ``_summary()`` gives them
        :rtype: dict[str, dict]
        """
        first, last = self._days()
        reports = self._reports()
        company = Domain("company_id", "=", self.company_id.id)
        periods = {
            "month": (first, last),
            "before": (first - _ONE, first - relativedelta(days=1)),
            "year": (first - (_YEAR - 1) * _ONE, last),
        }
        return {
            name: reports._summary(since, until, company)
            for name, (since, until) in periods.items()
        }
