from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.access import can_open

# System parameter: how many days people have for reading a new revision.
READING_DAYS = "qms_sop.acknowledge_days"
DEFAULT_READING_DAYS = 14
READ_ACTIVITY = "qms_sop.mail_activity_type_read"


class QmsSopDocument(models.Model):
    """Read and understood: who has to know a revision, and who says so."""

    _inherit = "qms.sop.document"

    acknowledge_group_id = fields.Many2one(
        "res.groups",
        "To be read by",
        ondelete="restrict",
        tracking=True,
        help="Everybody in this group has to confirm to have read and understood "
        "this revision. Empty: nobody has to.",
    )
    acknowledgement_ids = fields.One2many(
        "qms.sop.acknowledgement", "document_id", "Read and understood", readonly=True
    )
    unread_user_ids = fields.Many2many(
        "res.users", string="Not read yet", compute="_compute_unread_user_ids"
    )
    read_count = fields.Integer("Have read", compute="_compute_unread_user_ids")
    unread_count = fields.Integer("Have not read", compute="_compute_unread_user_ids")
    to_read = fields.Boolean(
        "To be read by me", compute="_compute_to_read", search="_search_to_read"
    )

    @api.depends("acknowledge_group_id", "acknowledgement_ids")
    def _compute_unread_user_ids(self):
        for document in self:
            readers = document.acknowledgement_ids.user_id
            document.unread_user_ids = document._users_to_read() - readers
            document.unread_count = len(document.unread_user_ids)
            document.read_count = len(readers)

    def _users_to_read(self):
        """Return the people who have to read this revision."""
        self.ensure_one()
        # Operators see who is in a group; which groups imply it, only the system.
        users = self.sudo().acknowledge_group_id.all_user_ids.filtered("active")
        if self.company_id:
            users = users.filtered(lambda user: self.company_id in user.company_ids)
        return users.sudo(False)

    @api.depends("acknowledge_group_id", "acknowledgement_ids", "state")
    @api.depends_context("uid")
    def _compute_to_read(self):
        unread = self.filtered_domain(self._to_read_domain())
        for document in self:
            document.to_read = document in unread

    @api.model
    def _search_to_read(self, operator, value):
        if operator != "in":
            return NotImplemented
        unread = self._search(self._to_read_domain())
        domain = Domain.FALSE
        if True in value:
            domain |= Domain("id", "in", unread)
        if False in value:
            domain |= Domain("id", "not in", unread)
        return domain

    @api.model
    def _to_read_domain(self):
        user = self.env.user
        return (
            Domain("state", "=", "approved")
            & Domain("acknowledge_group_id", "in", user.all_group_ids.ids)
            & Domain("acknowledgement_ids", "not any", [("user_id", "=", user.id)])
        )

    def _unread_by_user(self):
        """Return those of these revisions that the user should have read, but
        has not.

        Costs no query while no revision asks for it.
        """
        asking = self.filtered("acknowledge_group_id")
        return asking.filtered("to_read") if asking else asking

    @checked
    def acknowledge(self) -> dict:
        """Confirm to have read and understood an effective revision.

        :return: ``id`` of the revision and ``acknowledged_on`` (UTC, RFC 3339)
        :raises UserError: when the revision is not effective, was confirmed
            before, or does not ask the user
        """
        self._only_one().check_access("read")
        user = self.env.user
        if self.state != "approved":
            raise UserError(
                self.env._(
                    "%(sop)s is %(state)s: only an effective revision is acknowledged.",
                    sop=self.display_name,
                    state=self._state_label(self.state),
                )
            )
        if user not in self._users_to_read():
            raise UserError(
                self.env._(
                    "%(sop)s does not ask %(user)s to acknowledge it.",
                    sop=self.display_name,
                    user=user.name,
                )
            )
        if user in self.acknowledgement_ids.user_id:
            raise UserError(
                self.env._(
                    "%(user)s has acknowledged %(sop)s already.",
                    sop=self.display_name,
                    user=user.name,
                )
            )
        # No role may create one, so that nobody acknowledges for somebody else.
        acknowledgement = (
            self.env["qms.sop.acknowledgement"]
            .sudo()
            .create({"document_id": self.id, "user_id": user.id})
        )
        # The reminder is on a document that readers cannot write.
        self.sudo().activity_feedback(
            [READ_ACTIVITY],
            user_id=user.id,
            feedback=self.env._("Read and understood."),
        )
        return {
            "id": self.id,
            "acknowledged_on": f"{acknowledgement.acknowledged_on.isoformat()}Z",
        }

    def action_acknowledge(self):
        """Confirm to have read and understood this revision."""
        self.acknowledge()
        return True

    @api.model
    def _reading_days(self):
        parameters = self.env["ir.config_parameter"].sudo()  # run by managers, too
        value = parameters.get_param(READING_DAYS, "")
        return int(value) if value.isdecimal() else DEFAULT_READING_DAYS

    @api.model
    def _cron_remind_readers(self):
        """Give everybody who has to read a revision one open reminder of it."""
        documents = self.search(
            Domain("state", "=", "approved")
            & Domain("acknowledge_group_id", "!=", False)
        )
        activity_type = self.env.ref(READ_ACTIVITY)
        reminded = {
            (activity.res_id, activity.user_id)
            for activity in self.env["mail.activity"].search_fetch(
                Domain("res_model", "=", self._name)
                & Domain("res_id", "in", documents.ids)
                & Domain("activity_type_id", "=", activity_type.id),
                ["res_id", "user_id"],
            )
        }
        due = fields.Date.context_today(self) + relativedelta(days=self._reading_days())
        values = [
            {
                "activity_type_id": activity_type.id,
                "automated": True,
                "summary": self.env._("Read version %s", document.version),
                "date_deadline": due,
                "res_model_id": self.env["ir.model"]._get_id(self._name),
                "res_id": document.id,
                "user_id": user.id,
            }
            for document in documents
            for user in document.unread_user_ids
            if (document.id, user) not in reminded and can_open(document, user)
        ]
        self.env["mail.activity"].create(values)
        self.env["ir.cron"]._commit_progress(len(values))
