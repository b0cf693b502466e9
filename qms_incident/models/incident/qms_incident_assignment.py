from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.access import can_open
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.idempotency import idempotent
from odoo.addons.qms_sop.tools.values import to_rfc3339

# The role that somebody has at any time of a critical incident
COMMANDER = "incident_commander"


class QmsIncidentAssignment(models.Model):
    """Who played which role in an incident, from when to when.

    Written by :meth:`QmsIncident.assign_role` and :meth:`QmsIncident.release_role`
    only, so that one hands over to the next without a gap.
    """

    _name = "qms.incident.assignment"
    _description = "Role in an incident"
    _inherit = ["qms.audit.mixin"]
    _order = "since desc, id desc"
    _rec_name = "role_id"
    _audit_root_path = "incident_id"
    _audit_began = "since"

    incident_id = fields.Many2one(
        "qms.incident", required=True, readonly=True, index=True, ondelete="restrict"
    )
    role_id = fields.Many2one(
        "qms.role", required=True, readonly=True, ondelete="restrict"
    )
    user_id = fields.Many2one(
        "res.users",
        "Who",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    since = fields.Datetime("From", required=True, readonly=True)
    until = fields.Datetime("To", readonly=True)
    note = fields.Text("Handed over with", readonly=True)

    _one_at_a_time = models.UniqueIndex(
        "(incident_id, role_id) WHERE until IS NULL",
        "Somebody has this role in the incident already.",
    )

    def _audit_name(self):
        return f"{self.role_id.name}: {self.user_id.name}"

    def _end(self, note=None):
        """End assignments now, with what is handed over."""
        text = (note or "").strip()
        if self:
            self.write({"until": fields.Datetime.now(), "note": text or False})
            # The unique index would meet the next one first.
            self.flush_recordset(["until"])

    def _to_dict(self):
        self.ensure_one()
        return {
            "role": self.role_id.code,
            "user_id": self.user_id.id,
            # sudo: who is in charge is told to everybody who sees the incident
            "user": self.user_id.sudo().name,
            "since": to_rfc3339(self.since),
            "until": to_rfc3339(self.until),
            "note": self.note or None,
        }


class QmsIncident(models.Model):
    """Who does what in an incident; a critical one has a commander at any time."""

    _inherit = "qms.incident"

    assignment_ids = fields.One2many(
        "qms.incident.assignment", "incident_id", "Roles", readonly=True
    )
    commander_id = fields.Many2one(
        "res.users",
        "Commander",
        compute="_compute_commander_id",
        store=True,
        index=True,
        help="Who coordinates the response.",
    )

    @api.depends("assignment_ids.until", "assignment_ids.user_id")
    def _compute_commander_id(self):
        for incident in self:
            incident.commander_id = incident._assigned(COMMANDER).user_id

    def _assigned(self, code):
        """Return the assignment by which somebody has a role now, if anybody has.

        :param str code: of the role
        """
        return self.assignment_ids.filtered(
            lambda one: not one.until and one.role_id.code == code
        )[:1]

    # === A commander at any time ===

    @api.model_create_multi
    def create(self, vals_list):
        incidents = super().create(vals_list)
        incidents._appoint_commander()
        return incidents

    def write(self, vals):
        result = super().write(vals)
        if "severity_id" in vals or "state" in vals:
            self._appoint_commander()
        return result

    def _needs_commander(self):
        return self.severity == "critical" and self._is_open()

    def _appoint_commander(self):
        """Give critical incidents a commander that have none.

        Whoever is on duty by the role; else the person responsible, whoever opens the
        incident, or a manager: somebody has to be in charge from the first moment on.
        """
        roles = self.env["qms.role"]
        for incident in self:
            if incident.commander_id or not incident._needs_commander():
                continue
            role = roles.sudo()._by_code(COMMANDER)
            if not role:
                continue
            now = fields.Datetime.now()
            group = self.env.ref("qms_error_code.group_qms_manager")
            # sudo: who is on duty decides, not what whoever opens it may read.
            candidates = [
                *role._holders(now, immediately=True),
                *(incident.user_id | self.env.user).filtered(incident._is_person),
                *group.sudo().all_user_ids.filtered(incident._is_person),
            ]
            found = next(filter(incident._can_be_assigned, candidates), None)
            if found:
                incident._assign(role, found)

    @api.model
    def _is_person(self, user):
        robots = "qms_error_code.group_qms_automation"
        return not user._is_superuser() and not user.has_group(robots)

    def _can_be_assigned(self, user):
        """Tell whether a user works incidents, and can open this one."""
        return (
            user.active
            and user.has_group("qms_error_code.group_qms_operator")
            and can_open(self, user)
        )

    # === RPC ===

    @checked
    @idempotent
    def assign_role(
        self,
        role: str,
        user: str | None = None,
        note: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Give somebody a role in one incident; who had it hands it over.

        :param role: code of a role, such as ``incident_commander``
        :param user: login; whoever is on duty for the role when missing
        :param note: what the next one has to know
        :return: the incident as in :meth:`get_incident`
        :raises ValidationError: for an unknown role or user
        :raises UserError: when nobody is on duty, the user cannot open the incident, or
            it is closed
        """
        self._only_one().check_access("write")
        found = self._role(role)
        if user:
            with at_field("user"):
                person = self._user(user)
        else:
            person = found._holders(fields.Datetime.now(), immediately=True)[:1]
        if not person:
            raise UserError(
                self.env._(
                    "Nobody is on duty as %(role)s: name the user.", role=found.name
                )
            )
        self._assign(found, person, note)
        return self._to_rpc()

    @checked
    @idempotent
    def release_role(
        self, role: str, note: str | None = None, idempotency_key: str | None = None
    ) -> dict:
        """Let somebody go who has a role in one incident.

        :param role: code of the role
        :param note: how things stand
        :return: the incident as in :meth:`get_incident`
        :raises UserError: when nobody has it, or a critical incident would be without
            a commander
        """
        self._only_one().check_access("write")
        found = self._role(role)
        current = self._assigned(found.code)
        if not current:
            raise UserError(
                self.env._(
                    "%(incident)s: nobody is %(role)s.",
                    incident=self.display_name,
                    role=found.name,
                )
            )
        if found.code == COMMANDER and self._needs_commander():
            raise UserError(
                self.env._(
                    "%s is critical and has a commander at any time: assign another "
                    "one instead.",
                    self.display_name,
                )
            )
        self._check_roles_open()
        # sudo: nobody writes assignments but these methods
        current.sudo()._end(note)
        self._bump_version()
        return self._to_rpc()

    @api.model
    def _role(self, code):
        roles = self.env["qms.role"]
        found = roles._by_code(code.strip().lower())
        if not found:
            with at_field("role"):
                raise ValidationError(
                    self.env._(
                        "Argument role: %(role)s is unknown. Accepted: %(accepted)s.",
                        role=repr(code),
                        accepted=", ".join(roles.search([]).mapped("code")),
                    )
                )
        return found

    def _check_roles_open(self):
        if self._is_final():
            raise UserError(
                self.env._(
                    "%(incident)s is %(state)s: its roles can no longer be changed.",
                    incident=self.display_name,
                    state=self._state_label(self.state),
                )
            )

    def _assign(self, role, user, note=None):
        """Give a user a role, from now on.

        :param role: qms.role record
        :param user: res.users record
        :param str note: what the one before hands over with
        """
        self._check_roles_open()
        if not self._can_be_assigned(user):
            raise UserError(
                self.env._(
                    "%(user)s cannot be %(role)s: only people who work incidents of "
                    "this company can.",
                    user=user.sudo().name,
                    role=role.sudo().name,
                )
            )
        current = self._assigned(role.sudo().code)
        if current.user_id == user:
            return
        # sudo: nobody writes assignments but these methods
        now = fields.Datetime.now()
        current.sudo()._end(note)
        self.env["qms.incident.assignment"].sudo().create(
            {
                "incident_id": self.id,
                "role_id": role.id,
                "user_id": user.id,
                "since": now,
            }
        )
        self._bump_version()

    def _to_dict(self):
        return {
            **super()._to_dict(),
            "roles": [one._to_dict() for one in self.assignment_ids if not one.until],
        }
