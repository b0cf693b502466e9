import base64
import binascii
import re
from dataclasses import replace

from odoo import api, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Command, Domain

from odoo.addons.qms_error_code.tools.arguments import checked

from ..tools import markdown_terms as terms
from ..tools import runbook
from ..tools.idempotency import idempotent
from .qms_sop_document import _STEWARDSHIP
from .qms_sop_document_markdown import ARROW

FIRST_VERSION = "1.0.0"
# Rows of a table, and characters of a line, that a preview shows.
PREVIEW_ROWS = 200
PREVIEW_TEXT = 160


class QmsSopDocument(models.Model):
    """Markdown files, read in."""

    _inherit = "qms.sop.document"

    @api.model
    @checked
    @idempotent
    def import_markdown(
        self,
        filename: str,
        content: str,
        submit: bool = False,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> dict:
        """Create or update the draft that a Markdown file describes.

        A code without a revision gets its first one; a draft is updated in
        place; what was approved gets a new draft revision. The same content
        again changes nothing.

        :param filename: names the file in messages and gives the code where
            the text has none; may be empty
        :param content: the file, base64
        :param submit: send the draft to review
        :param dry_run: only say what was understood and what would happen
        :return: ``status`` (created, updated, unchanged, preview), ``change``
            (what a preview would do, else the status), ``id`` (0 where there is
            none yet), ``code``, ``version``, ``state``, ``title``, ``filename``,
            ``outline``, ``notes`` and ``tables``: see :meth:`_preview_markdown`
        :raises ValidationError: when the file cannot be read, with the line
        :raises UserError: when a revision of it is in review
        :raises AccessError: for those who write no SOPs
        """
        limit = runbook.Limits().size
        if len(content) > 4 * limit // 3 + 1024:
            # Not even decoded: its size says enough.
            raise ValidationError(
                self.env._(
                    "%(file)s: Line 1: the file has more than %(limit)s bytes, which "
                    "is the limit.",
                    file=filename or self.env._("Text"),
                    limit=limit,
                )
            )
        try:
            data = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            raise ValidationError(
                self.env._("content: this is not the base64 of a file.")
            ) from None
        return self._import_markdown(filename, data, submit, dry_run)

    @api.model
    def _import_markdown(self, filename, data, submit=False, dry_run=False):
        """See :meth:`import_markdown`.

        :param data: the file as bytes, or its text as str
        """
        self.check_access("create")
        filename = re.split(r"[\\/]", filename)[-1].strip()
        book = self._parse_markdown(filename, data)
        latest = self._latest_revision(book.header.code)
        if latest.state == "in_review":
            raise UserError(
                self.env._(
                    "%(file)s: %(sop)s is in review and cannot be changed. Approve it "
                    "or send it back first.",
                    file=filename or self.env._("Text"),
                    sop=latest.display_name,
                )
            )
        version, reason = self._version_to_import(book.header, latest)
        if not latest:
            change = "created"
        elif latest._says_the_same(book, version):
            change = "unchanged"
        else:
            change = "updated" if latest.state == "draft" else "created"
        vals, choices, notes = self._markdown_vals(book, filename)
        if reason:
            notes.insert(0, {"line": 1, "text": reason})
        document = latest
        if not dry_run and change != "unchanged":
            document = self._save_markdown(latest, change, vals, version, choices)
        if submit and not dry_run and document.state == "draft":
            document.action_submit()
        saved = not dry_run or change == "unchanged"
        return {
            "status": "preview" if dry_run else change,
            "change": change,
            "id": document.id or 0,
            "code": book.header.code,
            "version": document.version if saved else version,
            "state": document.state if saved else "draft",
            "title": vals["name"],
            "filename": filename,
            **self._preview_markdown(book, notes),
        }

    @api.model
    def _parse_markdown(self, filename, data):
        """Return the runbook in a file.

        :rtype: runbook.Runbook
        :raises ValidationError: naming the file and the line
        """
        shown = filename or self.env._("Text")
        try:
            book = runbook.parse(data, filename=filename or None)
        except runbook.RunbookError as error:
            raise ValidationError(
                self.env._("%(file)s: %(problem)s", file=shown, problem=error)
            ) from None
        if not book.header.code:
            raise ValidationError(
                self.env._(
                    "%(file)s: Line 1: there is no SOP code. Begin with a line such as "
                    "'# SOP-DEPLOY-001: Deploy a service', or add '**Code**: "
                    "SOP-DEPLOY-001' below the title.",
                    file=shown,
                )
            )
        return book

    @api.model
    def _latest_revision(self, code):
        """Return the newest revision of a code, the company's own before a shared one.

        :param str code: an SOP code
        """
        return self.with_context(active_test=False).search(
            Domain("code", "=", code), order="company_id, revision desc", limit=1
        )

    @api.model
    def _version_to_import(self, header, latest):
        """Return the version of the draft that is imported, and why it is another.

        :param runbook.Header header:
        :param latest: the newest revision, or none
        :return: version, and a sentence or ``""``
        :rtype: tuple[str, str]
        """
        wanted = terms.version_of(header)
        if not latest:
            return wanted or FIRST_VERSION, ""
        own = latest if latest.state == "draft" else self.browse()
        others = self.with_context(active_test=False).search_fetch(
            Domain("code", "=", latest.code)
            & Domain("company_id", "=", latest.company_id.id)
            & Domain("id", "not in", own.ids),
            ["version"],
        )
        numbers = [int(number) for number in wanted.split(".")] if wanted else []
        highest = max((other._version_numbers() for other in others), default=(0,))
        if wanted and (*numbers, 0, 0)[:3] > tuple(highest):
            return wanted, ""
        version = own.version or latest._next_version("minor")
        if not wanted:
            return version, ""
        return version, self.env._(
            "The file states version %(wanted)s, which is not above the last one; the "
            "draft is version %(version)s.",
            wanted=wanted,
            version=version,
        )

    def _says_the_same(self, book, version):
        """Return whether a file has the content of this revision.

        A version that the file states but that cannot be given again does not
        count.

        :param runbook.Runbook book: of the file
        :param str version: the version that would be imported
        """
        self.ensure_one()
        stated = terms.version_of(book.header)
        adopted = version == stated
        if adopted and stated != self.version:
            return False

        def told(parts):
            return [
                (
                    part.kind,
                    replace(part.values, version="")
                    if part.kind == "header"
                    else replace(
                        part.values,
                        lines=tuple(
                            (label, value)
                            for label, value in part.values.lines
                            if label.lower() != "version"
                        ),
                    )
                    if part.kind == "footer"
                    else part.values,
                )
                for part in parts
            ]

        own = runbook.parse(self._markdown(), filename=self.source_filename or None)
        return told(own.parts) == told(book.parts)

    @api.model
    def _save_markdown(self, latest, change, vals, version, choices):
        """Write what a file says into a draft, and return it."""
        vals = {**vals, "version": version}
        if change == "updated":
            document = latest
            cleared = {
                name: [Command.clear(), *vals[name]] for name in self._part_fields()
            }
            document.write({**vals, **cleared})
            document.message_post(
                body=self.env._(
                    "Updated from Markdown (%s).",
                    vals["source_filename"] or self.env._("pasted text"),
                )
            )
        else:
            if latest:
                vals["previous_id"] = latest.id
                vals["company_id"] = latest.company_id.id
                for name in _STEWARDSHIP - {"review_date"} - vals.keys():
                    value = latest[name]
                    vals[name] = (
                        [Command.set(value.ids)]
                        if self._fields[name].type == "many2many"
                        else self._fields[name].convert_to_write(value, latest)
                    )
            document = self.create(vals)
        document._create_choices([choices])
        return document

    def _create_choices(self, choices_by_document):
        """Create the choices of new steps, once all steps have an id.

        :param list choices_by_document: for each document, a list of
            ``(index of the step, sequence, name, index of the next step or None,
            category id, ends)``
        """
        vals_list = []
        for document, choices in zip(self, choices_by_document, strict=True):
            steps = (
                document.step_ids.sorted(lambda step: (step.sequence, step.id))
                if choices
                else ()
            )
            for index, sequence, name, target, category, ends in choices:
                vals_list.append(
                    {
                        "step_id": steps[index].id,
                        "sequence": sequence,
                        "name": name,
                        "next_step_id": False if target is None else steps[target].id,
                        "category_id": category,
                        "ends": ends,
                    }
                )
        if vals_list:
            self.env["qms.sop.step.choice"].create(vals_list)

    @api.model
    def _markdown_vals(self, book, filename):
        """Return what a file says as values of a document.

        :param runbook.Runbook book:
        :param str filename: or ""
        :return: values for ``create()``, choices for :meth:`_create_choices`, and
            notes ``{"line": int, "text": str}``
        :rtype: tuple[dict, list, list]
        """
        header = book.header
        codes, related_codes = terms.error_codes(header), {}
        known = self.env["qms.error.code"].search_fetch(
            Domain("name", "in", codes), ["name"]
        )
        for part in book.parts:
            if part.kind == "related":
                related_codes.update(terms.sop_codes(part.values))
        related_codes.pop(header.code, None)
        related = self._related_to(related_codes)
        vals = {
            "code": header.code,
            "name": header.title,
            "owner": header.owner or False,
            "classification": header.classification or False,
            "effective_date": runbook.as_date(header.effective_date) or False,
            "purpose": False,
            "scope": False,
            "source_filename": filename or False,
            "error_code_ids": [Command.set(known.ids)],
            "related_ids": [Command.set(related.ids)],
            **{name: [] for name in self._part_fields()},
        }
        if review_date := runbook.as_date(header.next_review):
            vals["review_date"] = review_date
        if months := terms.months_of(header.review_cycle):
            vals["review_interval"] = months
        linked = {
            "header": sorted(known.mapped("name")),
            "related": sorted(related.mapped("code")),
        }
        categories = self._categories()
        notes = self._notes_of(book, set(codes) - set(known.mapped("name")))
        steps = []
        for position, part in enumerate(book.parts, 1):
            placed = {"position": position, "source": part.source}
            if part.kind == "step":
                steps.append(part)
                vals["step_ids"].append(
                    Command.create(
                        {
                            **self._step_vals(part.values, categories),
                            **placed,
                            "sequence": len(steps),
                        }
                    )
                )
                continue
            if part.kind in ("purpose", "scope"):
                vals[part.kind] = part.values.body or False
            elif part.kind == "triggers":
                vals["trigger_ids"] += [
                    Command.create({"sequence": sequence, "kind": kind, "name": name})
                    for sequence, (kind, name) in enumerate(part.values.items, 1)
                ]
            elif part.kind == "prerequisites":
                vals["prerequisite_ids"] += [
                    Command.create(
                        {"sequence": sequence, "kind": item.kind, "name": item.name}
                    )
                    for sequence, item in enumerate(part.values.items, 1)
                ]
            vals["section_ids"].append(
                Command.create(
                    {
                        **placed,
                        "kind": part.kind,
                        "heading": getattr(part.values, "heading", "") or False,
                        "level": getattr(part.values, "level", 0),
                        "body": (
                            False
                            if part.kind in ("purpose", "scope")
                            else part.values.body or False
                        ),
                        "linked": linked.get(part.kind) or False,
                    }
                )
            )
        choices, unclear = self._choices_of(steps, categories)
        return vals, choices, sorted(notes + unclear, key=lambda note: note["line"])

    @api.model
    def _related_to(self, codes):
        """Return the current revision of each SOP of some codes that there is."""
        found = self.search(
            Domain("code", "in", list(codes))
            & Domain("company_id", "=", False)
            & Domain("state", "!=", "superseded")
        )
        first = {}
        for document in found:
            first.setdefault(document.code, document.id)
        return self.browse(first.values())

    @api.model
    def _step_vals(self, step, categories):
        """Return a step of a file as values, without its choices.

        :param runbook.Step step:
        :param terms.Categories categories:
        :rtype: dict
        """
        return {
            "name": self._step_name(step),
            "objective": step.objective or False,
            "instructions": step.instructions or False,
            "expected_result": step.expected_result or False,
            "verification": step.verification or False,
            "expected_duration": step.duration.minutes,
            "mandatory": step.mandatory,
            "evidence_required": step.evidence_required,
            "command_ids": [
                Command.create(
                    {
                        "sequence": sequence,
                        "name": command.name,
                        "language": command.language or False,
                        "command": command.code,
                        "purpose": command.purpose,
                        "category_id": categories.of_command(command),
                        "expected_output": command.expected_output or False,
                    }
                )
                for sequence, command in enumerate(step.commands, 1)
            ],
        }

    @api.model
    def _choices_of(self, parts, categories):
        """Understand where the choices of steps lead.

        :param parts: ``runbook.Part`` of the steps, in order
        :return: as for :meth:`_create_choices`, and notes on what is not clear
        :rtype: tuple[list, list]
        """
        choices, notes = [], []
        known = terms.Steps([part.values for part in parts])
        for index, part in enumerate(parts):
            read = self._read_choices(part.values, index, known, categories)
            for sequence, (name, target, category, ends) in enumerate(read, 1):
                choices.append((index, sequence, name, target, category, ends))
                if ARROW.fullmatch(name):
                    notes.append(
                        {
                            "line": part.line,
                            "text": self.env._(
                                "Step %(step)s: the choice '%(choice)s' leads to no "
                                "later step, no error category and not to the end; it "
                                "is kept as text.",
                                step=index + 1,
                                choice=name,
                            ),
                        }
                    )
            names = [name for name, *_rest in read]
            if len(set(names)) < len(names):
                raise ValidationError(
                    self.env._(
                        "Line %(line)s: step %(step)s offers the same choice twice.",
                        line=part.line,
                        step=index + 1,
                    )
                )
        return choices, notes

    @api.model
    def _notes_of(self, book, unknown_codes):
        """Return what whoever imports a file should know of its text."""
        notes = []
        for note in book.notes:
            repaired = note.after != note.before
            text = (
                self.env._("mis-decoded text was repaired: %s")
                if repaired
                else self.env._("this text looks damaged and was left as it is: %s")
            )
            notes.append(
                {"line": note.line, "text": text % note.after[:PREVIEW_TEXT].strip()}
            )
        if unknown_codes:
            notes.append(
                {
                    "line": 1,
                    "text": self.env._(
                        "not in the error catalogue, so not linked: %s",
                        ", ".join(sorted(unknown_codes)),
                    ),
                }
            )
        return notes

    @api.model
    def _preview_markdown(self, book, notes):
        """Return what was understood of a file, for people.

        :param runbook.Runbook book:
        :param list notes: ``{"line": int, "text": str}``
        :return: ``outline``: a dict per part with ``kind``, ``line`` and ``title``,
            for a step also ``number``, ``minutes`` (0: not stated), ``commands``
            (``name``, ``language``, ``category``, ``purpose``), ``choices``
            (``name``, ``target``) and ``mandatory``; ``notes``; and ``tables``: the
            recognised ones, offered and never created by themselves, with
            ``kind``, ``line``, ``headers``, ``rows`` (at most 200), ``row_count``
            and, for error codes, ``unknown`` (codes the catalogue lacks)
        :rtype: dict
        """
        categories = self._categories()
        outline, number = [], 0
        for part in book.parts:
            item = {"kind": part.kind, "line": part.line, "title": ""}
            outline.append(item)
            if part.kind != "step":
                item["title"] = getattr(part.values, "heading", "") or (
                    part.values.title if part.kind == "header" else ""
                )
                continue
            number += 1
            step = part.values
            item.update(
                title=self._step_name(step),
                number=number,
                minutes=step.duration.minutes,
                mandatory=step.mandatory,
                commands=[
                    {
                        "name": command.name,
                        "language": command.language,
                        "category": categories.codes.get(
                            categories.of_command(command), ""
                        ),
                        "purpose": command.purpose,
                    }
                    for command in step.commands
                ],
                choices=[choice._asdict() for choice in step.choices],
            )
        tables = []
        known = set(self.env["qms.error.code"]._names_by_id().values())
        for table in book.tables:
            if table.kind == "other" or table.template:
                continue
            unknown = []
            if table.kind == "error_code":
                codes = (row[0].strip("`* ") for row in table.rows if row)
                unknown = [code for code in codes if code and code not in known]
            tables.append(
                {
                    "kind": table.kind,
                    "line": table.line,
                    "headers": list(table.headers),
                    "rows": [list(row) for row in table.rows[:PREVIEW_ROWS]],
                    "row_count": len(table.rows),
                    "unknown": unknown,
                }
            )
        return {"outline": outline, "notes": notes, "tables": tables}
