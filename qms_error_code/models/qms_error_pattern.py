import logging
from typing import NamedTuple

from odoo import api, fields, models, tools
from odoo.exceptions import ValidationError

from ..tools.log_matcher import (
    MAX_PROGRAM_SIZE,
    LogMatcher,
    PatternError,
    clean_log,
    compile_pattern,
)

_logger = logging.getLogger(__name__)


class PatternSet(NamedTuple):
    """Patterns that are searched together; position n of all three belongs together.

    :ivar LogMatcher matcher: the compiled patterns
    :ivar tuple ids: ids of the ``qms.error.pattern`` records
    :ivar tuple owners: ids of the error codes, or of the categories
    """

    matcher: LogMatcher
    ids: tuple
    owners: tuple


class QmsErrorPattern(models.Model):
    """What a log line must look like to speak for an error code, or to answer the
    triage question of a category with yes.

    RE2 syntax (https://github.com/google/re2/wiki/Syntax): searching takes time in
    proportion to the log, whatever the pattern. Case is ignored, ``^`` and ``$`` are
    the ends of a line, and a match never spans lines.
    """

    _name = "qms.error.pattern"
    _description = "Log Pattern"
    _order = "weight desc, id"
    _rec_name = "pattern"

    error_code_id = fields.Many2one("qms.error.code", ondelete="cascade", index=True)
    category_id = fields.Many2one("qms.error.category", ondelete="cascade", index=True)
    pattern = fields.Char(
        required=True,
        help="A regular expression in RE2 syntax. Case does not matter; the pattern "
        "may match anywhere in a line.",
    )
    example = fields.Char(
        help="A line that the pattern must match. It is checked when you save."
    )
    weight = fields.Integer(
        default=50,
        required=True,
        help="How surely a matching line means this error code, from 1 to 100: "
        "about 90 for a message that nothing else writes, 50 for a usual wording, "
        "20 for words that may mean several things.",
    )

    _weight_range = models.Constraint(
        "CHECK(weight BETWEEN 1 AND 100)",
        "The weight of a pattern is a number from 1 to 100.",
    )
    _one_owner = models.Constraint(
        "CHECK((error_code_id IS NULL) <> (category_id IS NULL))",
        "A pattern belongs either to an error code or to a category.",
    )

    @api.constrains("pattern", "example")
    def _check_pattern(self):
        for record in self:
            try:
                compiled = compile_pattern(record.pattern)
            except PatternError as error:
                raise ValidationError(
                    self.env._(
                        "Pattern “%(pattern)s” is not accepted: %(problem)s",
                        pattern=record.pattern,
                        problem=self._explain(error),
                    )
                ) from None
            if record.example and not compiled.search(clean_log(record.example)):
                raise ValidationError(
                    self.env._(
                        "Pattern “%(pattern)s” does not match its example line "
                        "“%(example)s”. Correct one of them.",
                        pattern=record.pattern,
                        example=record.example,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        records = super().create(vals_list)
        self.env.registry.clear_cache()
        return records

    def write(self, vals):
        result = super().write(vals)
        self.env.registry.clear_cache()
        return result

    def unlink(self):
        result = super().unlink()
        self.env.registry.clear_cache()
        return result

    @api.model
    def _explain(self, error):
        """Say what is wrong with a pattern, and what to write instead.

        :param PatternError error: what was found
        :rtype: str
        """
        if error.reason == "empty":
            return self.env._("it is empty. Write the words that the line contains.")
        if error.reason == "newline":
            return self.env._(
                "it contains a line break, and a match stays within one line. Make "
                "it two patterns."
            )
        if error.reason == "matches_empty":
            return self.env._(
                "it matches an empty piece of text, and so every line. Name at "
                "least one character that must be there, for example “x+” instead "
                "of “x*”."
            )
        if error.reason == "too_large":
            return self.env._(
                "it is too large (%(size)s; at most %(limit)s steps). Counted "
                "repetitions such as “.{0,200}” are what makes it large: write “.*” "
                "instead.",
                size=error.message,
                limit=MAX_PROGRAM_SIZE,
            )
        hint = self._syntax_hint(error.message)
        if hint:
            return self.env._(
                "RE2 says “%(message)s”. %(hint)s", message=error.message, hint=hint
            )
        return self.env._(
            "RE2 says “%(message)s”. See https://github.com/google/re2/wiki/Syntax.",
            message=error.message,
        )

    @api.model
    def _syntax_hint(self, message):
        """What to write instead of a piece of syntax that RE2 refused.

        :param str message: RE2's message: a kind of error, a colon, the piece
        :rtype: str
        """
        kind, _colon, piece = message.partition(": ")
        if kind == "invalid perl operator":
            if piece in ("(?=", "(?!", "(?<", "(?<=", "(?<!"):
                return self.env._(
                    "Conditions on what stands before or after do not exist: write "
                    "those words into the pattern, joined by “.*”."
                )
            return self.env._(
                "Groups are written “(…)”, “(?:…)” or “(?P<name>…)” only."
            )
        if kind == "invalid escape sequence":
            if piece[1:].isdigit():
                return self.env._(
                    "References to an earlier group do not exist: write what is "
                    "repeated once more."
                )
            if piece == "\\Z":
                return self.env._("Write “$” for the end of a line.")
            return self.env._("To mean a backslash itself, write “\\\\”.")
        return {
            "missing )": self.env._("Close the bracket, or write “\\(” to mean it."),
            "unexpected )": self.env._("Open a bracket, or write “\\)” to mean it."),
            "missing ]": self.env._("Close the bracket, or write “\\[” to mean it."),
            "no argument for repetition operator": self.env._(
                "Put what is repeated in front of it, or a backslash to mean the "
                "character itself; “.*” stands for any text."
            ),
            "bad repetition operator": self.env._(
                "Write one repetition only, for example “a+” instead of “a++”."
            ),
            "invalid repetition size": self.env._(
                "At most 1000 repetitions can be counted: write “*” or “+” instead."
            ),
            "invalid character class range": self.env._(
                "A range goes upwards, for example “a-z”; put “-” last to mean it."
            ),
        }.get(kind, "")

    @api.model
    @tools.ormcache("owner_field")
    def _pattern_set(self, owner_field):
        """The patterns of all active error codes, or of all active categories.

        Compiling takes longer than searching a short text, so the registry keeps
        the result until a pattern, code or category changes.

        :param str owner_field: ``error_code_id`` or ``category_id``
        :rtype: PatternSet
        """
        # Cached for all users, so it must not depend on the rights of the first.
        records = self.sudo().search([(f"{owner_field}.active", "=", True)])
        usable = []
        for record in records:
            try:
                compile_pattern(record.pattern)
            except PatternError as error:
                # It was checked when saved: another release of RE2, or raw SQL.
                _logger.warning(
                    "Log pattern %s is left out: %s", record.id, error.message
                )
            else:
                usable.append(record)
        return PatternSet(
            LogMatcher([record.pattern for record in usable]),
            tuple(record.id for record in usable),
            tuple(record[owner_field].id for record in usable),
        )
