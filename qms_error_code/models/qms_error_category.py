import re

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
UNKNOWN = "UNKNOWN"


def suggest_code(text):
    """The nearest thing to a text that is a code in upper snake case.

    :param str text: what somebody typed, for example ``"db leak-2"``
    :return: for example ``"DB_LEAK_2"``; ``""`` when nothing is left of it
    :rtype: str
    """
    words = re.sub(r"[^A-Za-z0-9]+", " ", text).split()
    code = "_".join(words).upper()
    return code if CODE.fullmatch(code) else ""


def check_code(env, kind, code):
    """Refuse a code that is not in upper snake case.

    :param odoo.api.Environment env: gives the language
    :param str kind: what the code is of, for the message
    :param str code: the code
    :raise ValidationError: saying what is accepted, with a corrected form
    """
    if CODE.fullmatch(code or ""):
        return
    message = env._(
        "%(kind)s “%(code)s” is not accepted: a code is upper snake case, letters "
        "A to Z and digits in words joined by one underscore, beginning with a "
        "letter, for example DB_CONNECTION_LEAK.",
        kind=kind,
        code=code,
    )
    suggestion = suggest_code(code or "")
    if suggestion:
        message += " " + env._("Try %s.", suggestion)
    raise ValidationError(message)


class QmsErrorCategory(models.Model):
    _name = "qms.error.category"
    _description = "Error Category"
    _inherit = ["mail.thread", "qms.lookup.mixin"]
    _order = "sequence, id"
    _lookup_aliases = ("name",)

    name = fields.Char(required=True, translate=True)
    code = fields.Char(
        required=True,
        copy=False,
        help="The word that scripts and interfaces use, for example DATABASE. "
        "It cannot be changed later.",
    )
    sequence = fields.Integer(
        default=10, help="The order in which the triage questions are asked."
    )
    color = fields.Integer()
    active = fields.Boolean(default=True, tracking=True)
    triage_question = fields.Char(
        translate=True,
        help="A question answered by yes or no. The first yes, in order, gives the "
        "category.",
    )
    description = fields.Text(translate=True)
    pattern_ids = fields.One2many(
        "qms.error.pattern",
        "category_id",
        string="Answered Yes By",
        help="Log lines that answer the triage question with yes.",
    )
    evidence_source_ids = fields.One2many(
        "qms.error.evidence.source", "category_id", string="Evidence Sources"
    )
    cause_ids = fields.One2many(
        "qms.error.cause", "category_id", string="Common Root Causes"
    )
    error_code_ids = fields.One2many(
        "qms.error.code", "category_id", string="Error Codes"
    )
    error_code_count = fields.Integer(compute="_compute_error_code_count")

    _code_uniq = models.Constraint(
        "UNIQUE(code)", "An error category with this code exists already."
    )

    @api.depends("error_code_ids")
    def _compute_error_code_count(self):
        counts = dict(
            self.env["qms.error.code"]._read_group(
                [("category_id", "in", self.ids)], ["category_id"], ["__count"]
            )
        )
        for category in self:
            category.error_code_count = counts.get(category, 0)

    @api.constrains("code")
    def _check_code(self):
        for category in self:
            check_code(self.env, self.env._("Category code"), category.code)

    @api.constrains("active", "code")
    def _check_unknown_active(self):
        for category in self:
            if category.code == UNKNOWN and not category.active:
                raise ValidationError(
                    self.env._(
                        "Category UNKNOWN cannot be archived: it is the answer when "
                        "every triage question is answered with no."
                    )
                )

    def write(self, vals):
        if "code" in vals and set(self.mapped("code")) - {vals["code"]}:
            raise UserError(
                self.env._(
                    "The code of a category is what scripts and reports refer to and "
                    "cannot be changed (%(codes)s). Create another category and "
                    "archive this one.",
                    codes=", ".join(self.mapped("code")),
                )
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_unknown(self):
        if UNKNOWN in self.mapped("code"):
            raise UserError(
                self.env._(
                    "Category UNKNOWN cannot be deleted: it is the answer when every "
                    "triage question is answered with no."
                )
            )

    def action_view_error_codes(self):
        """Open the codes of this category.

        :return: a window action
        :rtype: dict
        """
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_error_code.qms_error_code_action"
        )
        action["domain"] = [("category_id", "=", self.id)]
        action["context"] = {"default_category_id": self.id}
        return action

    @api.model
    def _unknown(self):
        """The category of what no triage question is answered yes for.

        :rtype: qms.error.category
        """
        return self._resolve(UNKNOWN)

    def _to_dict(self):
        """Return one category in plain values, ``None`` where there is none.

        :return: ``code``, ``name``, ``order`` (of the triage questions),
            ``triage_question``, ``description``, ``patterns`` (that answer the
            question with yes), ``evidence_sources`` (``name``, ``language``,
            ``command``), ``causes`` (``symptom``, ``cause``, ``fix_type``) and
            ``active``
        :rtype: dict
        """
        self.ensure_one()
        return {
            "code": self.code,
            "name": self.name,
            "order": self.sequence,
            "triage_question": self.triage_question or None,
            "description": self.description or None,
            "patterns": self.pattern_ids.mapped("pattern"),
            "evidence_sources": [
                {
                    "name": source.name,
                    "language": source.language,
                    "command": source.command or None,
                }
                for source in self.evidence_source_ids
            ],
            "causes": [cause._to_dict() for cause in self.cause_ids],
            "active": self.active,
        }
