from datetime import datetime, time, timedelta

import pytz
from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import split_every

from ..models.run.qms_sop_run import FINAL_STATES, OPEN_STATES
from ..tools.run_history import RunLine, Summary
from ..tools.run_history_table import write_csv, write_xlsx

# More runs than this are no reading for anybody, and minutes for wkhtmltopdf.
PDF_LIMIT = 2_000
# A worksheet has 1,048,576 rows.
XLSX_LIMIT = 1_000_000
# So many runs are in memory at a time.
_BATCH = 2_000
_READ = (
    "name",
    "state",
    "sop_id",
    "severity_id",
    "category_id",
    "error_code_id",
    "trigger",
    "source",
    "user_id",
    "create_uid",
    "start_time",
    "end_time",
    "duration",
    "resolution",
    "state_reason",
    "active",
)


class QmsSopRunHistory(models.TransientModel):
    """Which runs of a period are wanted, and how they are added up.

    A run belongs to the period in which it was started; archived runs belong to
    the history as well. Nothing is read beyond what the user may see.
    """

    _name = "qms.sop.run.history"
    _description = "Run history"

    period = fields.Selection(
        [
            ("last_7_days", "Last 7 days"),
            ("this_month", "This month"),
            ("last_month", "Last month"),
            ("last_quarter", "Last quarter"),
            ("this_year", "This year"),
            ("last_year", "Last year"),
            ("custom", "From … to …"),
        ],
        required=True,
        default="last_month",
    )
    date_from = fields.Date(
        "From",
        required=True,
        compute="_compute_dates",
        store=True,
        readonly=False,
        precompute=True,
    )
    date_to = fields.Date(
        "To",
        required=True,
        compute="_compute_dates",
        store=True,
        readonly=False,
        precompute=True,
        help="The last day that counts.",
    )
    sop_ids = fields.Many2many(
        "qms.sop.document", string="SOPs", help="Runs of any of their revisions."
    )
    severity_ids = fields.Many2many("qms.severity", string="Severities")
    category_ids = fields.Many2many("qms.error.category", string="Categories")
    error_code_ids = fields.Many2many("qms.error.code", string="Error codes")
    user_ids = fields.Many2many(
        "res.users", string="Responsible", domain=[("share", "=", False)]
    )
    state = fields.Selection(
        [
            ("all", "All"),
            ("finished", "Finished"),
            ("open", "Open"),
            ("completed", "Completed"),
            ("failed", "Failed"),
            ("cancelled", "Cancelled"),
        ],
        "Runs",
        required=True,
        default="all",
    )
    group_by = fields.Selection(
        [
            ("sop", "SOP"),
            ("severity", "Severity"),
            ("category", "Category"),
            ("error_code", "Error code"),
            ("responsible", "Responsible"),
            ("state", "State"),
        ],
        "Group by",
        help="Totals are given for each; the PDF lists the runs in this order.",
    )
    paper = fields.Selection(
        [("a4", "A4"), ("letter", "Letter")], required=True, default="a4"
    )
    run_count = fields.Integer("Runs found", compute="_compute_run_count")

    @api.depends("period")
    def _compute_dates(self):
        today = fields.Date.context_today(self)
        month, year = today.replace(day=1), today.replace(month=1, day=1)
        quarter = month - relativedelta(months=(month.month - 1) % 3)
        day = timedelta(days=1)
        periods = {
            "last_7_days": (today - 6 * day, today),
            "this_month": (month, today),
            "last_month": (month - relativedelta(months=1), month - day),
            "last_quarter": (quarter - relativedelta(months=3), quarter - day),
            "this_year": (year, today),
            "last_year": (year - relativedelta(years=1), year - day),
        }
        for history in self:
            if history.period in periods:
                history.date_from, history.date_to = periods[history.period]

    @api.depends(
        "date_from",
        "date_to",
        "sop_ids",
        "severity_ids",
        "category_ids",
        "error_code_ids",
        "user_ids",
        "state",
    )
    def _compute_run_count(self):
        for history in self:
            history.run_count = (
                history._runs().search_count(history._domain())
                if history.date_from and history.date_to
                else 0
            )

    @api.depends("date_from", "date_to")
    def _compute_display_name(self):
        for history in self:
            history.display_name = self.env._(
                "Runs %(first)s – %(last)s",
                first=history.date_from,
                last=history.date_to,
            )

    @api.constrains("date_from", "date_to")
    def _check_dates(self):
        for history in self:
            if history.date_from > history.date_to:
                raise ValidationError(
                    self.env._(
                        "From %(first)s to %(last)s is no period: the first day comes "
                        "first.",
                        first=history.date_from,
                        last=history.date_to,
                    )
                )

    # === Buttons ===

    def action_pdf(self):
        """Print the history.

        :raises UserError: when there are too many runs for paper
        """
        self._check_limit("pdf")
        report = (
            "qms_sop.qms_sop_run_history_report_letter"
            if self.paper == "letter"
            else "qms_sop.qms_sop_run_history_report_a4"
        )
        return self.env.ref(report).report_action(self)

    def action_xlsx(self):
        """Download the history as a workbook.

        :raises UserError: when there are too many runs for a worksheet
        """
        self._check_limit("xlsx")
        return self._action_download("xlsx")

    def action_csv(self):
        """Download the runs as comma-separated values."""
        return self._action_download("csv")

    def action_view_runs(self):
        """Show the runs in the list of runs."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_run_action"
        )
        return {
            **action,
            "domain": list(self._domain()),
            "context": {"active_test": False},
        }

    def _action_download(self, kind):
        self.ensure_one()
        return {
            "type": "ir.actions.act_url",
            "url": f"/qms_sop/run-history/{self.id}.{kind}",
            "target": "download",
        }

    # === Files ===

    def _write(self, kind, stream):
        """Write the history into a file.

        :param str kind: ``csv`` or ``xlsx``
        :param stream: a binary file, open for writing
        :return: its name and its MIME type
        :rtype: tuple[str, str]
        :raises UserError: when a worksheet cannot hold so many runs
        """
        self.ensure_one()
        name = f"runs_{self.date_from}_{self.date_to}.{kind}"
        if kind == "csv":
            write_csv(self.env, self._zone(), self._lines(), stream)
            return name, "text/csv; charset=utf-8"
        self._check_limit("xlsx")
        summary = self._summary()
        write_xlsx(self, summary, self._counted(summary), stream)
        return (
            name,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        )

    # === Contents ===

    def _runs(self):
        return self.env["qms.sop.run"].with_context(active_test=False)

    def _zone(self):
        """Return the time zone in which days begin and times are given.

        :rtype: datetime.tzinfo
        """
        return pytz.timezone(self.env.user.tz or "UTC")

    def _domain(self):
        """Return which runs are wanted.

        :rtype: odoo.fields.Domain
        """
        self.ensure_one()

        def midnight(day):
            local = self._zone().localize(datetime.combine(day, time.min))
            return local.astimezone(pytz.utc).replace(tzinfo=None)

        domain = Domain("start_time", ">=", midnight(self.date_from)) & Domain(
            "start_time", "<", midnight(self.date_to + timedelta(days=1))
        )
        # What was archived meanwhile narrows the runs down all the same.
        wanted = self.with_context(active_test=False)
        if wanted.sop_ids:
            domain &= Domain("sop_id.code", "in", wanted.sop_ids.mapped("code"))
        for name, records in (
            ("severity_id", wanted.severity_ids),
            ("category_id", wanted.category_ids),
            ("error_code_id", wanted.error_code_ids),
            ("user_id", wanted.user_ids),
        ):
            if records:
                domain &= Domain(name, "in", records.ids)
        if self.state == "open":
            domain &= Domain("state", "in", OPEN_STATES)
        elif self.state == "finished":
            domain &= Domain("state", "in", FINAL_STATES)
        elif self.state != "all":
            domain &= Domain("state", "=", self.state)
        return domain

    def _lines(self):
        """Yield the runs, the first started first; a batch at a time in memory.

        :return: a generator of :class:`..tools.run_history.RunLine`
        """
        runs = self._runs()
        ids = runs.search(self._domain(), order="start_time, id").ids
        zone, now = self._zone(), fields.Datetime.now()
        severities = self.env["qms.severity"]._codes_by_id()
        categories = self.env["qms.error.category"]._codes_by_id()
        codes = self.env["qms.error.code"]._names_by_id()
        sops = self._sops()
        people = {}
        for batch in split_every(_BATCH, ids, runs.browse):
            rows = batch.read(_READ, load=None)
            errors = dict(
                self.env["qms.sop.run.error"]._read_group(
                    Domain("run_id", "in", batch.ids), ["run_id"], ["__count"]
                )
            )
            errors = {run.id: count for run, count in errors.items()}
            self._add_names(people, rows)
            for row in rows:
                code, version, title, expected = sops[row["sop_id"]]
                duration = None if row["duration"] is False else row["duration"]
                until = row["end_time"] or (
                    now if row["state"] in OPEN_STATES else None
                )
                yield RunLine(
                    id=row["id"],
                    name=row["name"],
                    state=row["state"],
                    sop_code=code,
                    sop_version=version,
                    title=title,
                    severity=severities.get(row["severity_id"]),
                    category=categories.get(row["category_id"]),
                    error_code=codes.get(row["error_code_id"]),
                    trigger=row["trigger"],
                    source=row["source"] or None,
                    responsible=people.get(row["user_id"]),
                    opened_by=people.get(row["create_uid"]),
                    started=_local(row["start_time"], zone),
                    ended=_local(row["end_time"], zone),
                    duration=duration,
                    elapsed=(
                        (until - row["start_time"]).total_seconds() / 60
                        if until
                        else None
                    ),
                    expected=expected,
                    errors=errors.get(row["id"], 0),
                    outcome=row["resolution"] or row["state_reason"] or None,
                    archived=not row["active"],
                )
            batch.invalidate_recordset()

    def _sops(self):
        """Return what is needed of the SOPs of the runs.

        :return: ``{id: (code, version, title, expected minutes)}``; the minutes are
            ``None`` where the time of a step varies, as the sum says nothing then
        :rtype: dict
        """
        documents = self.env["qms.sop.document"].browse(
            sop.id for (sop,) in self._runs()._read_group(self._domain(), ["sop_id"])
        )
        times = dict.fromkeys(documents.ids, None)
        for document, minutes in self.env["qms.sop.step"]._read_group(
            Domain("document_id", "in", documents.ids),
            ["document_id"],
            ["expected_duration:array_agg"],
        ):
            if minutes and all(minutes):
                times[document.id] = sum(minutes)
        return {
            document.id: (
                document.code,
                document.version,
                document.name,
                times[document.id],
            )
            for document in documents
        }

    def _add_names(self, people, rows):
        """Add the names of those who are in some rows, and not known yet.

        :param dict people: ``{user id: name}``
        """
        ids = {row[name] for row in rows for name in ("user_id", "create_uid")}
        users = self.env["res.users"].browse(ids - people.keys() - {False})
        people.update((user.id, user.name) for user in users)

    def _summary(self):
        """Return totals that nothing has been added to yet.

        :rtype: ..tools.run_history.Summary
        """
        return Summary(self.date_from, self.date_to, self._group_of())

    def _counted(self, summary):
        """Yield the runs, adding each to the totals."""
        for line in self._lines():
            summary.add(line)
            yield line

    def _group_of(self):
        """Return the function that gives the group of a run, or ``None``."""
        return {
            "sop": lambda line: line.sop_code,
            "severity": lambda line: line.severity,
            "category": lambda line: line.category,
            "error_code": lambda line: line.error_code,
            "responsible": lambda line: line.responsible,
            "state": lambda line: line.state,
        }.get(self.group_by)

    def _labels(self):
        """Return how codes are called, for people.

        :return: ``{kind: {code: label}}`` for severity, category, state and trigger
        :rtype: dict
        """
        run_fields = self.env["qms.sop.run"]._fields
        archived = {"active_test": False}
        severities = self.env["qms.severity"].with_context(**archived).search([])
        categories = self.env["qms.error.category"].with_context(**archived).search([])
        return {
            "severity": {one.code: one.name for one in severities},
            "category": {one.code: one.name for one in categories},
            "state": dict(run_fields["state"]._description_selection(self.env)),
            "trigger": dict(run_fields["trigger"]._description_selection(self.env)),
        }

    def _group_label(self, group, labels):
        """Return what a group is called.

        :param group: as :meth:`_group_of` gives it
        :param dict labels: see :meth:`_labels`
        :rtype: str
        """
        if not group:
            return self.env._("None")
        return labels.get(self.group_by, {}).get(group, group)

    def _filter_texts(self):
        """Return what the runs were narrowed down to.

        :rtype: list[tuple[str, str]] of labels and values
        """
        self.ensure_one()
        texts = []
        for name in (
            "sop_ids",
            "severity_ids",
            "category_ids",
            "error_code_ids",
            "user_ids",
        ):
            records = self.with_context(active_test=False)[name]
            if records:
                field = "code" if name == "sop_ids" else records._rec_name
                values = dict.fromkeys(str(value) for value in records.mapped(field))
                texts.append((self._label(name), ", ".join(values)))
        if self.state != "all":
            texts.append((self._label("state"), self._choice("state")))
        return texts

    def _label(self, name):
        """Return what a field is called."""
        return self._fields[name]._description_string(self.env)

    def _choice(self, name):
        """Return what the value of a selection is called."""
        choices = dict(self._fields[name]._description_selection(self.env))
        return choices.get(self[name], "")

    def _check_limit(self, kind):
        """Refuse to make a file of more runs than it is good for.

        :param str kind: ``pdf`` or ``xlsx``
        :raises UserError: saying what to take instead
        """
        self.ensure_one()
        limit = PDF_LIMIT if kind == "pdf" else XLSX_LIMIT
        if self.run_count <= limit:
            return
        numbers = {"count": f"{self.run_count:,}", "limit": f"{limit:,}"}
        if kind == "pdf":
            message = self.env._(
                "There are %(count)s runs; a PDF is made of at most %(limit)s. "
                "Take the XLSX or the CSV file, or narrow the filters.",
                **numbers,
            )
        else:
            message = self.env._(
                "There are %(count)s runs; a worksheet holds %(limit)s. Take the "
                "CSV file, or narrow the filters.",
                **numbers,
            )
        raise UserError(message)


def _local(value, zone):
    """Return a time of the database as one of a zone, without its name."""
    if not value:
        return None
    return pytz.utc.localize(value).astimezone(zone).replace(tzinfo=None)
