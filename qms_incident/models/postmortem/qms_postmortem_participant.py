from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.values import to_rfc3339

# Said by the person, through review() and request_changes() of the post-mortem
_OWN_WORDS = frozenset({"verdict", "reviewed_at", "comment"})


class QmsPostmortemParticipant(models.Model):
    """Who took part in an incident, or has to know, and so reviews what is learned."""

    _name = "qms.postmortem.participant"
    _description = "Participant of a post-mortem"
    _inherit = ["qms.audit.mixin"]
    _order = "postmortem_id, id"
    _rec_name = "user_id"
    _audit_root_path = "postmortem_id"
    _audit_owner_path = "postmortem_id"

    postmortem_id = fields.Many2one(
        "qms.postmortem", required=True, index=True, ondelete="cascade"
    )
    user_id = fields.Many2one(
        "res.users",
        "Who",
        required=True,
        index=True,
        ondelete="restrict",
        domain=lambda self: self.env["qms.action"]._domain_people(),
    )
    role = fields.Char("As", help="Which part the person had in it.")
    verdict = fields.Selection(
        [("reviewed", "Reviewed"), ("changes", "Asks for changes")],
        "Review",
        readonly=True,
        copy=False,
    )
    reviewed_at = fields.Datetime("On", readonly=True, copy=False)
    comment = fields.Text(readonly=True, copy=False)

    _once = models.Constraint(
        "UNIQUE(postmortem_id, user_id)", "Everybody takes part once."
    )

    def _audit_name(self):
        return self.user_id.name

    @api.constrains("user_id")
    def _check_user(self):
        for one in self:
            incident = one.postmortem_id.incident_id
            if not incident._can_be_assigned(one.user_id.sudo()):
                with at_field("participants"):
                    raise ValidationError(
                        self.env._(
                            "participants: %(person)s cannot review it. Accepted: "
                            "people who work incidents of %(company)s.",
                            person=one.user_id.sudo().name,
                            company=one.postmortem_id.company_id.sudo().name,
                        )
                    )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_own_words(vals)
        people = super().create(vals_list)
        people._check_open()
        people.postmortem_id._bump_version()
        return people

    def write(self, vals):
        self.check_access("write")
        self._check_own_words(vals)
        self._check_open()
        if {"user_id", "postmortem_id"} & vals.keys():
            raise UserError(
                self.env._("A participant stays the person: remove or add one instead.")
            )
        result = super().write(vals)
        self.postmortem_id._bump_version()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_locked(self):
        # Nobody is dropped whose review is waited for.
        self.postmortem_id._check_editable("participant_ids")
        self.postmortem_id._bump_version()

    @api.model
    def _check_own_words(self, vals):
        if told := sorted(_OWN_WORDS & vals.keys()):
            raise UserError(
                self.env._(
                    "A review is given by the person (%s), with review() or "
                    "request_changes().",
                    ", ".join(told),
                )
            )

    def _check_open(self):
        self.postmortem_id._check_editable("participant_ids", ("published",))

    def _give(self, verdict, comment=None):
        """Note what people say about the text as it is.

        :param verdict: ``reviewed``, ``changes`` or a false value, which blanks
        :param str comment: of theirs
        """
        super().write(
            {
                "verdict": verdict,
                "reviewed_at": verdict and fields.Datetime.now(),
                "comment": (comment or "").strip() or False,
            }
        )
        self.postmortem_id._bump_version()

    def _to_dict(self):
        self.ensure_one()
        return {
            "user_id": self.user_id.id,
            # sudo: who takes part is told to everybody who sees the post-mortem
            "user": self.user_id.sudo().name,
            "role": self.role or None,
            "verdict": self.verdict or None,
            "reviewed_at": to_rfc3339(self.reviewed_at),
            "comment": self.comment or None,
        }
