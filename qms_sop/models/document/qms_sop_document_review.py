from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.access import can_open
from .qms_sop_document import MANAGER_GROUP

# System parameter: how many days before a review is due it is announced.
NOTICE_DAYS = "qms_sop.review_notice_days"
DEFAULT_NOTICE_DAYS = 30
PERIODIC_ACTIVITY = "qms_sop.mail_activity_type_periodic_review"


class QmsSopDocument(models.Model):
    """The review cycle: an SOP that nobody looks at any more is not controlled."""

    _inherit = "qms.sop.document"

    review_interval = fields.Integer(
        "Review every",
        default=12,
        tracking=True,
        help="Months between two reviews; 0: no periodic review.",
    )
    last_reviewed_on = fields.Datetime("Last reviewed", readonly=True, copy=False)
    last_reviewed_by_id = fields.Many2one(
        "res.users", "Last reviewed by", readonly=True, copy=False
    )
    review_overdue = fields.Boolean(
        compute="_compute_review_overdue", search="_search_review_overdue"
    )

    _review_interval_positive = models.Constraint(
        "CHECK(review_interval BETWEEN 0 AND 120)",
        "An SOP is reviewed every 1 to 120 months; 0 means never.",
    )
    _review_due_idx = models.Index("(review_date) WHERE state = 'approved'")

    @api.depends("review_date", "state")
    def _compute_review_overdue(self):
        today = fields.Date.context_today(self)
        for document in self:
            document.review_overdue = (
                document.state == "approved"
                and bool(document.review_date)
                and document.review_date < today
            )

    @api.model
    def _search_review_overdue(self, operator, value):
        if operator != "in":
            return NotImplemented
        overdue = Domain("state", "=", "approved") & Domain(
            "review_date", "<", fields.Date.context_today(self)
        )
        domain = Domain.FALSE
        if True in value:
            domain |= overdue
        if False in value:
            domain |= ~overdue | Domain("review_date", "=", False)
        return domain

    def _next_review_date(self, start):
        """Return the day on which the next review is due.

        :param datetime.date start: the day from which the interval counts
        :return: a date, or ``False`` without an interval
        """
        self.ensure_one()
        if not self.review_interval:
            return False
        return start + relativedelta(months=self.review_interval)

    @checked
    def confirm_review(self, reason: str) -> dict:
        """Record that an effective revision was reviewed and needs no change.

        The chatter keeps who, when and why; the next review date moves on by
        the interval, counted from today.

        :param reason: what was looked at, and why nothing has to change
        :return: ``id`` and ``review_date`` (ISO 8601, ``False`` without interval)
        :raises UserError: without a reason, or when the revision is not effective
        :raises AccessError: for anybody but the responsible person and managers
        """
        self._only_one().check_access("write")
        user = self.env.user
        if user != self.responsible_id and not user.has_group(MANAGER_GROUP):
            raise AccessError(
                self.env._(
                    "%(sop)s: its review is confirmed by the person responsible for "
                    "it or by a QMS manager.",
                    sop=self.display_name,
                )
            )
        if self.state != "approved":
            raise UserError(
                self.env._(
                    "%(sop)s is %(state)s: only an effective revision is reviewed.",
                    sop=self.display_name,
                    state=self._state_label(self.state),
                )
            )
        if not reason.strip():
            raise UserError(
                self.env._("Say what was looked at, and why nothing has to change.")
            )
        due = self._next_review_date(fields.Date.context_today(self))
        self._write_system(
            {
                "last_reviewed_on": fields.Datetime.now(),
                "last_reviewed_by_id": user.id,
                "review_date": due,
            }
        )
        self.message_post(body=self.env._("Reviewed, no change: %s", reason.strip()))
        self.activity_feedback(
            [PERIODIC_ACTIVITY], feedback=self.env._("Reviewed, no change.")
        )
        return {"id": self.id, "review_date": due and due.isoformat()}

    @api.model
    def _notice_days(self):
        parameters = self.env["ir.config_parameter"].sudo()  # run by managers, too
        value = parameters.get_param(NOTICE_DAYS, "")
        return int(value) if value.isdecimal() else DEFAULT_NOTICE_DAYS

    @api.model
    def _cron_announce_reviews(self):
        """Ask those responsible, once, for the reviews that fall due soon."""
        limit = fields.Date.context_today(self) + relativedelta(
            days=self._notice_days()
        )
        due = self.search(
            Domain("state", "=", "approved") & Domain("review_date", "<=", limit)
        )
        # A done activity is archived; it still says that this date was announced.
        announced = {
            (activity.res_id, activity.date_deadline)
            for activity in self.env["mail.activity"]
            .with_context(active_test=False)
            .search_fetch(
                Domain("res_model", "=", self._name)
                & Domain("res_id", "in", due.ids)
                & Domain("activity_type_id", "=", self.env.ref(PERIODIC_ACTIVITY).id),
                ["res_id", "date_deadline"],
            )
        }
        fresh = due.filtered(
            lambda document: (document.id, document.review_date) not in announced
        )
        fallback = self._somebody_responsible()
        for document in fresh:
            document.activity_schedule(
                PERIODIC_ACTIVITY,
                date_deadline=document.review_date,
                summary=self.env._("Review version %s", document.version),
                user_id=(document._people_responsible() or fallback)[:1].id,
            )
        self.env["ir.cron"]._commit_progress(len(fresh))

    def _people_responsible(self):
        """Return who may be asked about this SOP, the first being the nearest.

        Nobody is asked who has left, or may not see the SOP any more.
        """
        self.ensure_one()
        people = self.responsible_id | self.author_id | self.approved_by_id
        return people.filtered(
            lambda user: (
                user.active and not user._is_superuser() and can_open(self, user)
            )
        )

    @api.model
    def _somebody_responsible(self):
        """Return a manager, for SOPs that are nobody's."""
        managers = self.env.ref(MANAGER_GROUP).all_user_ids
        return managers.filtered(
            lambda user: user.active and not user._is_superuser()
        ).sorted("id")[:1]
