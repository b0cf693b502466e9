import re

from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Domain

from odoo.addons.qms_error_code.models.qms_error_category import check_code
from odoo.addons.qms_error_code.tools.durations import format_minutes

from ...tools import markdown_terms as terms
from ...tools import runbook
from .qms_sop_document import MANAGER_GROUP

# What may be taken over of the tables of a file, by the name of the offers.
ERROR_CODES = "error-codes"
ERROR_CODE_CHANGES = "error-code-changes"
SEVERITIES = "severities"
OFFERS = (ERROR_CODES, ERROR_CODE_CHANGES, SEVERITIES)
# Rows of a table that an answer shows.
SHOWN_ROWS = 200


class QmsSopDocument(models.Model):
    """Tables of a Markdown file, offered as records of the catalogue.

    Each row of error codes and of severities gives at least one offer. Nothing is
    taken over that nobody asked for, and nothing that the row does not say: a
    word that is not understood makes a problem of the row, never a guess. Other
    tables stay text.
    """

    _inherit = "qms.sop.document"

    table_codes = fields.Json(
        "Error codes of its tables",
        readonly=True,
        help="The error codes that were linked because a table of the text lists them.",
    )

    @api.model
    def _read_tables(self, book, latest, take):
        """Return what is taken over of the tables of a file, and what is offered.

        :param runbook.Runbook book:
        :param latest: the newest revision of its code, or none
        :param take: see :meth:`import_markdown`
        :return: the offers to take over, all offers, and the error codes that are
            linked because the tables list them
        :rtype: tuple[list[dict], list[dict], list[str]]
        """
        rows = self._rows_of(book)
        listed = {row.name for row in rows["error_code"]}
        linked = set(latest.error_code_ids.mapped("name")) if listed else set()
        kept = listed.intersection(latest.table_codes or ()) & linked
        stated = set(terms.error_codes(book.header))
        offers = self._error_code_offers(rows["error_code"], kept | stated)
        offers += self._severity_offers(rows["severity"])
        offers.sort(key=lambda offer: offer["line"])
        chosen = self._choose_offers(offers, rows, take)
        added = {offer["name"] for offer in chosen if offer["group"] == ERROR_CODES}
        return chosen, offers, sorted(kept | added)

    @api.model
    def _rows_of(self, book):
        """Return the rows that give offers, by the kind of their table.

        :rtype: dict[str, list[runbook.Row]]
        """
        return {
            kind: [
                row
                for table in book.tables
                if table.kind == kind and not table.template
                for row in runbook.rows(table)
            ]
            for kind in ("error_code", "severity")
        }

    # === What is offered ===

    @api.model
    def _tables_of(self, book):
        """Return the recognised tables of a file; see :meth:`import_markdown`.

        :param runbook.Runbook book:
        :rtype: list[dict]
        """
        return [
            {
                "kind": table.kind,
                "line": table.line,
                "headers": list(table.headers),
                "rows": [list(row) for row in table.rows[:SHOWN_ROWS]],
                "row_count": len(table.rows),
                "template": table.template,
            }
            for table in book.tables
            if table.kind != "other"
        ]

    @api.model
    def _offer(self, row, kind, name, action, text, **more):
        field = more.get("field")
        return {
            "key": f"{kind}:{name}:{field}" if field else f"{kind}:{name}",
            "group": "",
            "kind": kind,
            "name": name,
            "line": row.line,
            "action": action,
            "field": "",
            "values": {},
            "text": text,
            "allowed": False,
            "taken": False,
            **more,
        }

    @api.model
    def _problem(self, row, kind, text):
        return self._offer(row, kind, row.name, "problem", text)

    # === Error codes ===

    @api.model
    def _error_code_offers(self, rows, linked):
        """Return the offers of rows of error codes.

        :param list rows: ``runbook.Row``
        :param set linked: error codes that the SOP is linked to anyway
        """
        names = {row.name for row in rows}
        known = {
            code.name: code
            for code in self.env["qms.error.code"]
            .with_context(active_test=False)
            .search(Domain("name", "in", list(names)))
        }
        offers, seen = [], {}
        for row in rows:
            if problem := self._bad_code(row, seen, known):
                offers.append(self._problem(row, "error_code", problem))
                continue
            seen[row.name] = row.line
            values, problems = self._error_code_values(row)
            code = known.get(row.name)
            if not code:
                offers.append(self._new_code_offer(row, values, problems))
                continue
            offers.append(self._known_code_offer(row, linked))
            offers += self._code_change_offers(row, code, values)
            offers += [self._problem(row, "error_code", text) for text in problems]
        return offers

    @api.model
    def _bad_code(self, row, seen, known):
        """Return why a row can be no error code at all, or ``""``."""
        if not row.name:
            return self.env._("The row names no code.")
        if row.name in seen:
            return self.env._(
                "%(code)s stands in line %(line)s already; that row counts.",
                code=row.name,
                line=seen[row.name],
            )
        if row.name in known and not known[row.name].active:
            return self.env._(
                "%s is archived in the catalogue. Restore it there first.", row.name
            )
        try:
            check_code(self.env, self.env._("Error code"), row.name)
        except ValidationError as error:
            return str(error)
        return ""

    @api.model
    def _error_code_values(self, row):
        """Return what a row says of an error code, and what is not understood.

        :return: values for ``upsert_code``, sentences
        :rtype: tuple[dict, list[str]]
        """
        values, problems = {}, []
        for field, text in row.cells.items():
            if field == "severity":
                severity, problem = self._severity_named(text)
                values[field] = severity.code
            elif field == "category":
                categories = self.env["qms.error.category"]
                number = self._categories().named(text)
                values[field] = categories._codes_by_id().get(number)
                problem = "" if number else categories._unknown_message(text)
            else:
                values[field], problem = text, ""
            if problem:
                del values[field]
                problems.append(problem)
        return values, problems

    @api.model
    def _new_code_offer(self, row, values, problems):
        """Return the offer to add an error code, or the problem with that."""
        for field, label in (
            ("category", self.env._("category")),
            ("severity", self.env._("severity")),
        ):
            if field not in row.cells:
                problems.append(
                    self.env._(
                        "The table states no %s, which a new error code needs.", label
                    )
                )
        if problems:
            text = " ".join(
                [
                    self.env._(
                        "%s is not in the catalogue and cannot be added.", row.name
                    ),
                    *problems,
                ]
            )
            return self._problem(row, "error_code", text)
        return self._offer(
            row,
            "error_code",
            row.name,
            "add",
            self.env._(
                "Add %(code)s to the catalogue and link it: %(values)s.",
                code=row.name,
                values=self._shown_values(values),
            ),
            group=ERROR_CODES,
            values=values,
            allowed=True,
        )

    @api.model
    def _known_code_offer(self, row, linked):
        """Return the offer to link an error code that the catalogue has."""
        if row.name in linked:
            return self._offer(
                row,
                "error_code",
                row.name,
                "none",
                self.env._("%s is in the catalogue and linked.", row.name),
            )
        return self._offer(
            row,
            "error_code",
            row.name,
            "link",
            self.env._("Link %s, which is in the catalogue.", row.name),
            group=ERROR_CODES,
            allowed=True,
        )

    @api.model
    def _code_change_offers(self, row, code, values):
        """Return an offer for each value that the catalogue has otherwise."""
        was = {
            "category": code.category_id.code,
            "severity": code.severity_id.code,
            **{field: code[field] or "" for field in values if field in code._fields},
        }
        return [
            self._offer(
                row,
                "error_code",
                row.name,
                "change",
                self.env._(
                    "%(code)s, %(field)s: “%(old)s” becomes “%(new)s”.",
                    code=row.name,
                    field=self._field_label("qms.error.code", field),
                    old=was[field],
                    new=value,
                )
                if was[field]
                else self.env._(
                    "%(code)s, %(field)s: nothing so far, becomes “%(new)s”.",
                    code=row.name,
                    field=self._field_label("qms.error.code", field),
                    new=value,
                ),
                group=ERROR_CODE_CHANGES,
                field=field,
                values={field: value},
                allowed=True,
            )
            for field, value in values.items()
            if _told(value) != _told(was[field])
        ]

    @api.model
    def _shown_values(self, values):
        return "; ".join(
            f"{self._field_label('qms.error.code', field)}: {value}"
            for field, value in values.items()
        )

    @api.model
    def _field_label(self, model, field):
        """Return the label of a field; of ``category_id`` for ``category``."""
        known = self.env[model]._fields
        return known.get(f"{field}_id", known.get(field))._description_string(self.env)

    # === Severities ===

    @api.model
    def _severity_named(self, text):
        """Return the severity that a text names, and why there is none.

        Several words, such as "P0 - Critical", have to mean the same one.

        :return: the severity or none, a sentence or ``""``
        :rtype: tuple
        """
        severities = self.env["qms.severity"]
        by_key = severities._ids_by_key()
        found = {by_key.get(word.lower()) for word in runbook.words_of(text)}
        if len(found) == 1 and (number := found.pop()):
            return severities.browse(number), ""
        return severities, severities._unknown_message(text)

    @api.model
    def _severity_offers(self, rows):
        """Return the offers of rows of severities: targets of those that exist.

        :param list rows: ``runbook.Row``
        """
        offers, seen = [], {}
        may_change = self.env.user.has_group(MANAGER_GROUP)
        for row in rows:
            severity, problem = self._severity_named(row.name)
            if severity and severity.id in seen:
                problem = self.env._(
                    "%(severity)s stands in line %(line)s already; that row counts.",
                    severity=severity.name,
                    line=seen[severity.id],
                )
            if problem:
                offers.append(self._problem(row, "severity", problem))
                continue
            seen[severity.id] = row.line
            found = []
            for field, text in row.cells.items():
                found += self._target_offers(row, severity, field, text, may_change)
            offers += found or [self._no_target_offer(row, severity)]
        return offers

    @api.model
    def _target_offers(self, row, severity, field, text, may_change):
        """Return the offer to change one target of a severity, if it differs."""
        name = self._field_label("qms.severity", f"{field}_text")
        minutes = runbook.minutes_of(text)
        if minutes is None:
            return [
                self._problem(
                    row,
                    "severity",
                    self.env._(
                        "%(severity)s, %(field)s: “%(text)s” sets no limit in time.",
                        severity=severity.name,
                        field=name,
                        text=text,
                    ),
                )
            ]
        if minutes == severity[field]:
            return []
        told = self.env._(
            "%(severity)s, %(field)s: %(old)s becomes %(new)s.",
            severity=severity.name,
            field=name,
            old=severity[f"{field}_text"] or self.env._("no target"),
            new=format_minutes(self.env, minutes),
        )
        if not may_change:
            told = self.env._("%s Only a QMS manager can take that over.", told)
        return [
            self._offer(
                row,
                "severity",
                severity.code,
                "change",
                told,
                group=SEVERITIES,
                field=field,
                values={field: minutes},
                allowed=may_change,
            )
        ]

    @api.model
    def _no_target_offer(self, row, severity):
        text = (
            self.env._("%s has these targets.", severity.name)
            if row.cells
            else self.env._(
                "%s: the table sets no limit in time for it.", severity.name
            )
        )
        return self._offer(row, "severity", severity.code, "none", text)

    # === What is taken ===

    @api.model
    def _choose_offers(self, offers, rows, take):
        """Mark the offers that a caller asked for, and return them.

        :param list offers:
        :param dict rows: of :meth:`_rows_of`
        :param take: names of offers (``OFFERS``) and keys of single ones
        :rtype: list[dict]
        :raises ValidationError: for a name or key that the tables do not offer
        :raises AccessError: for an offer that the user may not take over
        """
        # What a row says and the catalogue says by now is offered, and done.
        cells = {row.line: row.cells for found in rows.values() for row in found}
        keys = {
            f"{offer['kind']}:{offer['name']}{end}"
            for offer in offers
            if offer["action"] != "problem"
            for end in ("", *(f":{field}" for field in cells[offer["line"]]))
        }
        unknown = [name for name in take if name not in OFFERS and name not in keys]
        if unknown:
            raise ValidationError(
                self.env._(
                    "take: %(unknown)s is not offered. Accepted: %(accepted)s.",
                    unknown=", ".join(map(repr, unknown)),
                    accepted=", ".join(
                        [*OFFERS, *(o["key"] for o in offers if o["group"])]
                    ),
                )
            )
        chosen = [
            offer
            for offer in offers
            if offer["group"] and {offer["group"], offer["key"]}.intersection(take)
        ]
        for offer in chosen:
            if not offer["allowed"]:
                raise AccessError(offer["text"])
            offer["taken"] = True
        return chosen

    @api.model
    def _take_over(self, offers):
        """Write into the catalogue what was asked for.

        :param list offers: of :meth:`_choose_offers`
        """
        values = {}
        for offer in offers:
            if offer["values"]:
                key = offer["kind"], offer["name"]
                values.setdefault(key, {}).update(offer["values"])
        for (kind, name), said in values.items():
            if kind == "error_code":
                self.env["qms.error.code"].upsert_code(name, said)
            else:
                self.env["qms.severity"]._resolve(name).write(said)

    def _post_taken(self, offers):
        """Note in the history of a revision what came out of its tables."""
        for document in self:
            document.message_post(
                body=self.env._(
                    "Taken over from its tables: %s",
                    " ".join(offer["text"] for offer in offers),
                )
            )


def _told(text):
    """Return what a text says, whatever its dashes, case and full stops."""
    words = re.sub(r"^\s*[-*+]\s+", "", text, flags=re.M)
    return " ".join(words.split()).rstrip(".").casefold()
