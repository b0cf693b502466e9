import difflib
import logging
import math

import psycopg2

from odoo import api, fields, models, tools
from odoo.exceptions import ConcurrencyError, UserError, ValidationError

from ..tools.arguments import checked
from ..tools.log_matcher import clean_log
from .qms_error_category import check_code

_logger = logging.getLogger(__name__)

# Programs refer to these by their code.
RESERVED = frozenset({"STEP_FAILURE"})
# The largest text that is classified, in bytes of UTF-8.
MAX_TEXT = 25 * 1024 * 1024
DEFAULT_SEVERITY = "medium"
_TEXT_KEYS = ("title", "description", "common_causes", "resolution", "prevention")
UPSERT_KEYS = ("category", "severity", *_TEXT_KEYS, "patterns")


class QmsErrorCode(models.Model):
    """An entry of the error catalogue: what the error is, and what to do about it.

    The texts are deliberately not translatable: a translation that lags behind a
    changed fix would send an on-call engineer the wrong way.
    """

    _name = "qms.error.code"
    _description = "Error Code"
    _inherit = ["mail.thread", "qms.lookup.mixin"]
    _order = "name"
    _rec_names_search = ["name", "title"]
    _lookup_code = "name"

    name = fields.Char(
        "Code",
        required=True,
        tracking=True,
        help="Upper snake case, for example DB_CONNECTION_LEAK.",
    )
    title = fields.Char(required=True, tracking=True)
    category_id = fields.Many2one(
        "qms.error.category",
        required=True,
        ondelete="restrict",
        index=True,
        tracking=True,
        group_expand="_group_expand_category_id",
    )
    severity_id = fields.Many2one(
        "qms.severity",
        "Default Severity",
        required=True,
        ondelete="restrict",
        index=True,
        tracking=True,
        help="What a run gets unless whoever opens it says otherwise.",
    )
    severity_code = fields.Char("Severity Code", related="severity_id.code")
    description = fields.Text(tracking=True, help="What it is, and how it shows.")
    common_causes = fields.Text(
        tracking=True, help="One cause a line, each after a dash."
    )
    resolution = fields.Text(
        tracking=True, help="What to do now, in the order to do it."
    )
    prevention = fields.Text(tracking=True, help="What keeps it from coming back.")
    cause_ids = fields.Many2many(
        "qms.error.cause",
        relation="qms_error_code_cause_rel",
        column1="error_code_id",
        column2="cause_id",
        string="Known Root Causes",
    )
    evidence_source_ids = fields.One2many(
        related="category_id.evidence_source_ids", string="Evidence to Gather"
    )
    pattern_ids = fields.One2many(
        "qms.error.pattern", "error_code_id", string="Log Patterns"
    )
    pattern_count = fields.Integer(compute="_compute_pattern_count")
    active = fields.Boolean(default=True, tracking=True)

    _name_uniq = models.Constraint("UNIQUE(name)", "This error code exists already.")

    @api.depends("pattern_ids")
    def _compute_pattern_count(self):
        counts = dict(
            self.env["qms.error.pattern"]._read_group(
                [("error_code_id", "in", self.ids)], ["error_code_id"], ["__count"]
            )
        )
        for error_code in self:
            error_code.pattern_count = counts.get(error_code, 0)

    @api.constrains("name")
    def _check_name(self):
        for error_code in self:
            check_code(self.env, self.env._("Error code"), error_code.name)

    def write(self, vals):
        reserved = self.filtered(lambda code: code.name in RESERVED)
        if reserved and (
            vals.get("name", reserved[0].name) != reserved[0].name
            or not vals.get("active", True)
        ):
            raise UserError(
                self.env._(
                    "%(code)s can be neither renamed nor archived: programs log "
                    "errors without a code of their own under it.",
                    code=reserved[0].name,
                )
            )
        result = super().write(vals)
        if not vals.keys().isdisjoint({"severity_id", "category_id"}):
            self.env.registry.clear_cache()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_reserved(self):
        reserved = RESERVED.intersection(self.mapped("name"))
        if reserved:
            raise UserError(
                self.env._(
                    "%(code)s cannot be deleted: programs log errors without a code "
                    "of their own under it.",
                    code=", ".join(sorted(reserved)),
                )
            )

    def copy_data(self, default=None):
        vals_list = super().copy_data(default=default)
        if "name" not in (default or {}):
            for error_code, vals in zip(self, vals_list, strict=True):
                vals["name"] = f"{error_code.name}_COPY"
        return vals_list

    @api.model
    def _group_expand_category_id(self, categories, domain):
        """Show every category as a column of the kanban view, empty ones too."""
        return categories.search([])

    def action_try_log(self):
        """Open the page where a log can be pasted and classified.

        :return: a window action
        :rtype: dict
        """
        return self.env["ir.actions.act_window"]._for_xml_id(
            "qms_error_code.qms_error_classify_action"
        )

    @api.model
    def _names_by_id(self):
        """The codes of all entries, archived ones too.

        :return: ``{id: code}``
        :rtype: odoo.tools.frozendict
        """
        return self._codes_by_id()

    @api.model
    @tools.ormcache("error_code_id")
    def _classification_of(self, error_code_id):
        """What an entry says of an error that has its code, archived or not.

        :param int error_code_id: database id
        :return: ids of its severity and its category
        :rtype: tuple[int, int]
        :raise MissingError: when there is no such entry
        """
        # Cached for all users, so it must not depend on the rights of the first.
        code = self.sudo().browse(error_code_id)
        return code.severity_id.id, code.category_id.id

    @api.model
    def _unknown_message(self, value):
        names = self._codes_by_id().values()
        shown = self._shown(value)
        wanted = value.strip().upper() if isinstance(value, str) else ""
        if wanted in names:
            return self.env._(
                "Error code %s is archived. Restore it in the error catalogue, or "
                "use another.",
                shown,
            )
        near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.6)
        if near:
            return self.env._(
                "Error code %(value)s is not in the catalogue. Did you mean %(near)s?",
                value=shown,
                near=", ".join(near),
            )
        return self.env._(
            "Error code %s is not in the catalogue. Accepted is the code of an entry, "
            "for example STEP_FAILURE.",
            shown,
        )

    @api.model
    @api.readonly
    @checked(stored=False)
    def classify(self, text: str):
        """Find the error codes that a log speaks of, best first.

        Every pattern of every active error code is searched in every line (RE2:
        case ignored, time in proportion to the text). The score of a code is

        * the weight of its heaviest pattern that matched (1 to 100), plus
        * 2 for each further pattern of it that matched, at most 4, plus
        * 1 for each power of ten of the lines matched by the heaviest, at most 5,

        so that repetition never outweighs ten points of weight. Equal scores: the
        worse severity first, then the more lines, then the earlier line, then the
        code. When no code matches, the triage questions are asked in the order of
        the categories, and the first whose keywords occur gives the category; when
        none does, it is UNKNOWN.

        :param text: the log, at most 25 MiB in UTF-8
        :return: a list of dictionaries, never empty: ``code`` (``False`` when none
            matched), ``category`` and ``severity`` (codes; severity ``False`` without
            an error code), ``score``, ``occurrences`` (lines that the pattern
            matched), ``line`` (the first, at most 500 characters), ``line_number``
            (from 1), ``pattern`` and ``why`` (a sentence for people)
        :raise ValidationError: when the text is larger than accepted
        """
        self.browse().check_access("read")
        return self._classify(text)[2]

    @api.model
    def _classify(self, text):
        """Do what :meth:`classify` describes.

        :param text: ``str``, or the ``bytes`` of a log file
        :return: the best error code (or none), its category, and the list that
            :meth:`classify` returns
        :rtype: tuple[qms.error.code, qms.error.category, list[dict]]
        :raise ValidationError: when the text is larger than accepted
        """
        data = text if isinstance(text, bytes) else text.encode(errors="replace")
        if len(data) > MAX_TEXT:
            raise ValidationError(
                self.env._(
                    "The text has %(size).1f MB; at most %(limit)d MB are "
                    "classified. Send the part around the error.",
                    size=len(data) / 1024**2,
                    limit=MAX_TEXT // 1024**2,
                )
            )
        data = clean_log(text)
        found = self._match_codes(data)
        if found:
            return found[0][0], found[0][0].category_id, [match for _c, match in found]
        category, match = self._ask_triage_questions(data)
        return self.browse(), category, [match]

    @api.model
    def _scan(self, data, owner_field):
        """Search a log for the patterns of all codes, or of all categories.

        :param bytes data: the log, cleaned
        :param str owner_field: ``error_code_id`` or ``category_id``
        :return: ``{owner id: [(pattern record, Hit), ...]}``, and a remark to add to
            the answer when time ran out (else ``""``)
        :rtype: tuple[dict, str]
        """
        patterns = self.env["qms.error.pattern"]
        pattern_set = patterns._pattern_set(owner_field)
        scan = pattern_set.matcher.scan(data)
        # A user who may classify may see why; patterns are read as the user.
        found = patterns.browse(pattern_set.ids[index] for index in scan.hits)
        by_owner = {}
        for pattern, (index, hit) in zip(found, scan.hits.items(), strict=True):
            owner = pattern_set.owners[index]
            by_owner.setdefault(owner, []).append((pattern, hit))
        if scan.complete:
            return by_owner, ""
        _logger.warning(
            "Classifying a text was stopped after %s lines; the slowest log pattern "
            "is %s",
            scan.lines_read,
            pattern_set.ids[scan.slowest] if scan.slowest is not None else "-",
        )
        return by_owner, self.env._(
            "Time ran out after line %s: what comes later was not read.",
            scan.lines_read,
        )

    @api.model
    def _match_codes(self, data):
        """The codes whose patterns match, best first.

        :param bytes data: the log, cleaned
        :rtype: list[tuple[qms.error.code, dict]]
        """
        by_code, remark = self._scan(data, "error_code_id")
        categories = self.env["qms.error.category"]._codes_by_id()
        ranked = []
        for error_code in self.browse(by_code):
            hits = sorted(
                by_code[error_code.id],
                key=lambda item: (-item[0].weight, -item[1].lines, item[0].id),
            )
            pattern, hit = hits[0]
            others = len(hits) - 1
            score = (
                pattern.weight + 2 * min(others, 2) + min(int(math.log10(hit.lines)), 5)
            )
            severity = error_code.severity_id
            match = {
                "code": error_code.name,
                "category": categories[error_code.category_id.id],
                "severity": severity.code,
                "score": score,
                "occurrences": hit.lines,
                "line": hit.line,
                "line_number": hit.line_number,
                "pattern": pattern.pattern,
                "why": self._why(pattern, hit, others, remark),
            }
            order = (
                -score,
                severity.sequence,
                -hit.lines,
                hit.line_number,
                error_code.name,
            )
            ranked.append((order, error_code, match))
        ranked.sort(key=lambda item: item[0])
        return [(error_code, match) for _order, error_code, match in ranked]

    @api.model
    def _why(self, pattern, hit, others, remark):
        """Say in words why a code was found.

        :param qms.error.pattern pattern: its heaviest pattern that matched
        :param Hit hit: where
        :param int others: how many more of its patterns matched
        :param str remark: to be added
        :rtype: str
        """
        env = self.env
        if hit.lines == 1:
            sentence = env._(
                "Line %(line)s matches the pattern “%(pattern)s” (weight %(weight)s).",
                line=hit.line_number,
                pattern=pattern.pattern,
                weight=pattern.weight,
            )
        else:
            sentence = env._(
                "Line %(line)s and %(more)s more match the pattern “%(pattern)s” "
                "(weight %(weight)s).",
                line=hit.line_number,
                more=hit.lines - 1,
                pattern=pattern.pattern,
                weight=pattern.weight,
            )
        sentences = [sentence]
        if others == 1:
            sentences.append(env._("Another pattern of this code matches too."))
        elif others:
            sentences.append(env._("%s other patterns of this code match too.", others))
        if remark:
            sentences.append(remark)
        return " ".join(sentences)

    @api.model
    def _ask_triage_questions(self, data):
        """Find the category of a text that no error code matches.

        :param bytes data: the log, cleaned
        :return: the category, and the only match of the answer
        :rtype: tuple[qms.error.category, dict]
        """
        categories = self.env["qms.error.category"]
        by_category, remark = self._scan(data, "category_id")
        for category in categories.browse(by_category).sorted():
            pattern, hit = max(
                by_category[category.id], key=lambda item: item[0].weight
            )
            why = self.env._(
                "No error code matches. “%(question)s” Yes: line %(line)s matches "
                "“%(pattern)s”.",
                question=category.triage_question or category.name,
                line=hit.line_number,
                pattern=pattern.pattern,
            )
            return category, {
                "code": False,
                "category": category.code,
                "severity": False,
                "score": 0,
                "occurrences": hit.lines,
                "line": hit.line,
                "line_number": hit.line_number,
                "pattern": pattern.pattern,
                "why": f"{why} {remark}".strip(),
            }
        why = self.env._(
            "No error code matches, and nothing in the text answers a triage "
            "question with yes."
        )
        category = categories._unknown()
        return category, {
            "code": False,
            "category": category.code,
            "severity": False,
            "score": 0,
            "occurrences": 0,
            "line": "",
            "line_number": 0,
            "pattern": "",
            "why": f"{why} {remark}".strip(),
        }

    @api.model
    @checked
    def upsert_code(self, code: str, values: dict):
        """Update an entry of the catalogue, or add it when there is none.

        Only what is given is changed, and only what differs is written: the same call
        twice changes nothing the second time. An archived entry is updated and stays
        archived.

        Keys of ``values``, all optional; ``None`` (or ``False``, where a client has no
        ``None``) means “not given”:

        * ``category``: its code in any case. A new entry without one gets the category
          that the triage questions give for its code, title and description, else
          UNKNOWN.
        * ``severity``: its code, alias or name in any case. A new entry without one
          gets ``medium``: it is looked at during the working day, and nobody is woken
          for an error that nobody has assessed.
        * ``title`` (a new entry without one gets the words of its code),
          ``description``, ``common_causes``, ``resolution``, ``prevention``: texts
        * ``patterns``: a list of patterns in RE2 syntax; those that the entry does not
          have yet are added, none is removed

        :param code: the code in upper snake case, for example ``DB_CONNECTION_LEAK``
        :return: ``id``, ``code``, ``created`` (bool), ``updated`` (the keys that were
            changed), ``category``, ``severity`` (codes) and ``active``
        :rtype: dict
        :raise ValidationError: for a bad code, key or value, saying what is accepted
        :raise AccessError: when the user may not write the catalogue
        """
        check_code(self.env, self.env._("Error code"), code)
        vals, patterns = self._read_upsert_values(values)
        error_code = self.with_context(active_test=False).search([("name", "=", code)])
        created = not error_code
        if created:
            error_code = self._create_from_upsert(code, vals, patterns)
            updated = sorted(key for key in UPSERT_KEYS if values.get(key))
        else:
            updated = error_code._update_from_upsert(vals, patterns)
        return {
            "id": error_code.id,
            "code": error_code.name,
            "created": created,
            "updated": updated,
            "category": error_code.category_id._codes_by_id()[
                error_code.category_id.id
            ],
            "severity": error_code.severity_id._codes_by_id()[
                error_code.severity_id.id
            ],
            "active": error_code.active,
        }

    @api.model
    def _read_upsert_values(self, values):
        """Check what :meth:`upsert_code` was given.

        :param dict values: see there
        :return: values by field name, and the patterns
        :rtype: tuple[dict, list[str]]
        :raise ValidationError: for an unknown key or a bad value
        """
        unknown = sorted(str(key) for key in values if key not in UPSERT_KEYS)
        if unknown:
            raise ValidationError(
                self.env._(
                    "Unknown key %(keys)s for an error code. Accepted: %(accepted)s.",
                    keys=", ".join(unknown),
                    accepted=", ".join(UPSERT_KEYS),
                )
            )
        given = {
            key: value
            for key, value in values.items()
            if value is not None and value is not False
        }
        vals = {}
        if "category" in given:
            vals["category_id"] = (
                self.env["qms.error.category"]._resolve(given["category"]).id
            )
        if "severity" in given:
            vals["severity_id"] = (
                self.env["qms.severity"]._resolve(given["severity"]).id
            )
        for key in _TEXT_KEYS:
            if key in given:
                if not isinstance(given[key], str):
                    raise ValidationError(
                        self.env._(
                            "%(key)s: %(value)s is not accepted, it must be a text.",
                            key=key,
                            value=self._shown(given[key]),
                        )
                    )
                vals[key] = given[key].replace("\0", "").strip()
        if "title" in vals and not vals["title"]:
            raise ValidationError(
                self.env._("title: an empty title is not accepted. Leave it out.")
            )
        patterns = given.get("patterns", [])
        if not isinstance(patterns, list | tuple) or not all(
            isinstance(pattern, str) for pattern in patterns
        ):
            raise ValidationError(
                self.env._(
                    "patterns: %s is not accepted, it must be a list of texts.",
                    self._shown(patterns),
                )
            )
        return vals, list(dict.fromkeys(patterns))

    @api.model
    def _create_from_upsert(self, code, vals, patterns):
        """Add an entry, filling in what was not given."""
        words = code.replace("_", " ").lower()
        vals = {"title": words.capitalize(), **vals, "name": code}
        if "category_id" not in vals:
            told = f"{words}\n{vals['title']}\n{vals.get('description', '')}"
            category, _match = self._ask_triage_questions(clean_log(told))
            vals["category_id"] = category.id
        if "severity_id" not in vals:
            vals["severity_id"] = self.env["qms.severity"]._resolve(DEFAULT_SEVERITY).id
        vals["pattern_ids"] = [
            fields.Command.create({"pattern": pattern}) for pattern in patterns
        ]
        try:
            return self.create(vals)
        except psycopg2.errors.UniqueViolation as error:
            # Somebody added the same code at this moment, out of sight of this
            # transaction: the server runs the call again, and it will be an update.
            raise ConcurrencyError(str(error)) from error

    def _update_from_upsert(self, vals, patterns):
        """Write what differs.

        :return: the keys of :meth:`upsert_code` that were changed
        :rtype: list[str]
        """
        self.ensure_one()
        changed = {
            name: value
            for name, value in vals.items()
            if value != (self[name].id if name.endswith("_id") else self[name] or "")
        }
        updated = sorted(name.removesuffix("_id") for name in changed)
        new = [
            pattern
            for pattern in patterns
            if pattern not in self.pattern_ids.mapped("pattern")
        ]
        if new:
            updated.append("patterns")
            changed["pattern_ids"] = [
                fields.Command.create({"pattern": pattern}) for pattern in new
            ]
        if changed:
            self.write(changed)
        return updated

    def _to_dict(self):
        """Return one entry in plain values, ``None`` where there is none.

        :return: ``code``, ``title``, ``category``, ``severity`` (codes),
            ``description``, ``common_causes``, ``resolution``, ``prevention``,
            ``patterns`` (``pattern``, ``weight``, ``example``), ``causes`` (see
            ``qms.error.cause._to_dict``) and ``active``
        :rtype: dict
        """
        self.ensure_one()
        return {
            "code": self.name,
            "title": self.title,
            "category": self.category_id._codes_by_id()[self.category_id.id],
            "severity": self.severity_id._codes_by_id()[self.severity_id.id],
            "description": self.description or None,
            "common_causes": self.common_causes or None,
            "resolution": self.resolution or None,
            "prevention": self.prevention or None,
            "patterns": [
                {
                    "pattern": pattern.pattern,
                    "weight": pattern.weight,
                    "example": pattern.example or None,
                }
                for pattern in self.pattern_ids
            ],
            "causes": [cause._to_dict() for cause in self.cause_ids],
            "active": self.active,
        }
