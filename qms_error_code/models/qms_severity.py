import re

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..tools.durations import format_minutes

_CODE = re.compile(r"[a-z][a-z0-9_]*")
_TARGETS = (
    "response_target",
    "mitigation_target",
    "resolution_target",
    "update_interval",
)


class QmsSeverity(models.Model):
    _name = "qms.severity"
    _description = "Severity"
    _inherit = ["mail.thread", "qms.lookup.mixin"]
    _order = "sequence, id"
    _lookup_aliases = ("alias", "name")

    name = fields.Char(required=True, translate=True)
    code = fields.Char(
        required=True,
        copy=False,
        help="The word that scripts and interfaces use: lower case, for example "
        "“critical”. It cannot be changed later.",
    )
    alias = fields.Char(
        copy=False,
        help="A second name that is accepted wherever a severity is given, "
        "for example “P0”.",
    )
    sequence = fields.Integer(default=10, help="The lowest is the worst.")
    color = fields.Integer()
    active = fields.Boolean(default=True, tracking=True)
    criteria = fields.Text(
        translate=True, tracking=True, help="When an error has this severity."
    )
    escalation = fields.Char(
        translate=True, tracking=True, help="Who is told, and how soon."
    )
    response_target = fields.Integer(
        string="Response (minutes)",
        tracking=True,
        help="Minutes until somebody works on it. 0: no target.",
    )
    mitigation_target = fields.Integer(
        string="Mitigation (minutes)",
        tracking=True,
        help="Minutes until users no longer suffer from it. 0: no target.",
    )
    resolution_target = fields.Integer(
        string="Root-Cause Fix (minutes)",
        tracking=True,
        help="Minutes until its cause is removed. 0: no target.",
    )
    update_interval = fields.Integer(
        string="Update Interval (minutes)",
        tracking=True,
        help="Minutes between two messages to stakeholders. 0: no interval.",
    )
    response_target_text = fields.Char(
        string="Response", compute="_compute_target_texts"
    )
    mitigation_target_text = fields.Char(
        string="Mitigation", compute="_compute_target_texts"
    )
    resolution_target_text = fields.Char(
        string="Root-Cause Fix", compute="_compute_target_texts"
    )
    update_interval_text = fields.Char(
        string="Stakeholder Update", compute="_compute_target_texts"
    )
    calendar_id = fields.Many2one(
        "resource.calendar",
        string="Working Hours",
        tracking=True,
        help="The targets count only these hours. Empty: around the clock.",
    )
    note = fields.Text(
        translate=True, help="What figures cannot say, for example “next sprint”."
    )

    _code_uniq = models.Constraint(
        "UNIQUE(code)", "A severity with this code exists already."
    )
    _alias_uniq = models.UniqueIndex(
        "(lower(alias))", "A severity with this alias exists already."
    )
    _targets_positive = models.Constraint(
        "CHECK(response_target >= 0 AND mitigation_target >= 0"
        " AND resolution_target >= 0 AND update_interval >= 0)",
        "Targets are minutes: 0 (no target) or more.",
    )

    @api.depends(*_TARGETS)
    @api.depends_context("lang")
    def _compute_target_texts(self):
        for severity in self:
            for name in _TARGETS:
                severity[f"{name}_text"] = format_minutes(self.env, severity[name])

    @api.constrains("code")
    def _check_code(self):
        for severity in self:
            if not _CODE.fullmatch(severity.code):
                raise ValidationError(
                    self.env._(
                        "Severity code “%(code)s” is not accepted: it begins with a "
                        "lower-case letter, then come lower-case letters, digits and "
                        "underscores, for example “critical”.",
                        code=severity.code,
                    )
                )

    @api.constrains("code", "alias")
    def _check_alias(self):
        # Codes and aliases are accepted in the same places.
        every = self.with_context(active_test=False).search([])
        codes = set(every.mapped("code"))
        for severity in every:
            if severity.alias and severity.alias.lower() in codes:
                raise ValidationError(
                    self.env._(
                        "“%(alias)s” cannot be both a code and the alias of severity "
                        "%(code)s. Choose another word.",
                        alias=severity.alias,
                        code=severity.code,
                    )
                )

    def write(self, vals):
        if "code" in vals and set(self.mapped("code")) - {vals["code"]}:
            raise UserError(
                self.env._(
                    "The code of a severity is what scripts and reports refer to and "
                    "cannot be changed (%(codes)s). Create another severity and "
                    "archive this one.",
                    codes=", ".join(self.mapped("code")),
                )
            )
        return super().write(vals)

    @api.model
    def _accepted_label(self, record_id, code):
        alias = self.sudo().browse(record_id).alias
        return f"{code} ({alias})" if alias else code

    def _to_dict(self):
        """Return one severity in plain values, ``None`` where there is none.

        :return: ``code``, ``alias``, ``name``, ``order`` (0 and up, the lowest is
            the worst), ``criteria``, ``escalation``, ``response_minutes``,
            ``mitigation_minutes``, ``resolution_minutes``,
            ``update_interval_minutes`` (``None``: no target), ``working_hours``
            (name of the calendar in which they count; ``None``: around the clock),
            ``note`` and ``active``
        :rtype: dict
        """
        self.ensure_one()
        return {
            "code": self.code,
            "alias": self.alias or None,
            "name": self.name,
            "order": self.sequence,
            "criteria": self.criteria or None,
            "escalation": self.escalation or None,
            "response_minutes": self.response_target or None,
            "mitigation_minutes": self.mitigation_target or None,
            "resolution_minutes": self.resolution_target or None,
            "update_interval_minutes": self.update_interval or None,
            "working_hours": self.calendar_id.name or None,
            "note": self.note or None,
            "active": self.active,
        }
