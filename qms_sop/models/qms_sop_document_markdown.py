import base64
import binascii
import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Command, Domain
from odoo.tools import file_path

from odoo.addons.qms_error_code.tools.arguments import checked

from ..tools import markdown_terms as terms
from ..tools import runbook
from ..tools.idempotency import idempotent
from ..tools.runbook.header import complete
from .qms_sop_document import _STEWARDSHIP

FIRST_VERSION = "1.0.0"
# Rows of a table, and characters of a line, that a preview shows.
PREVIEW_ROWS = 200
PREVIEW_TEXT = 160

_ARROW = re.compile(r"(.+?)\s*(?:→|->|=>)\s*(\S.*)")
_FRONT_KINDS = ("header", "purpose", "scope", "triggers", "prerequisites")


# The orders of the models, without the query that sorted() makes for them.
def _by_sequence(record):
    return record.sequence, record.id


def _by_position(section):
    return section.position, section.id


def _by_purpose(command):
    return command.purpose, command.sequence, command.id


def stated_in(lines, name):
    """Return whether control lines state a field of a header.

    :param lines: ``[(label, value), …]``
    :param str name: a field of ``runbook.Header``
    """
    return bool(getattr(complete(runbook.Header(""), lines), name, ""))


class QmsSopDocument(models.Model):
    """SOPs as Markdown files, in and out.

    A file is cut into sections and steps (see ``tools/runbook``). Each keeps
    its Markdown as it was imported; on export it is written as it was as long
    as the records still say the same, and anew where they do not.
    """

    _inherit = "qms.sop.document"

    section_ids = fields.One2many("qms.sop.section", "document_id", copy=True)
    source_filename = fields.Char(
        "File", readonly=True, help="The Markdown file that was imported."
    )
    markdown = fields.Text(compute="_compute_markdown", help="This SOP as Markdown.")

    @api.depends_context("uid")
    def _compute_markdown(self):
        for document in self:
            document.markdown = document._markdown()

    # === In ===

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
            steps = document.step_ids.sorted(_by_sequence) if choices else ()
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

    # === From the text to records ===

    @api.model
    def _categories(self):
        """Return the error categories as texts name them.

        :rtype: terms.Categories
        """
        categories = self.env["qms.error.category"].search_fetch([], ["code", "name"])
        return terms.Categories(
            {category.id: category.code for category in categories},
            {category.id: category.name for category in categories},
        )

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
                    }
                )
                for sequence, command in enumerate(step.commands, 1)
            ],
        }

    @api.model
    def _step_name(self, step):
        """Return the name of a step; some headings have a number and no words."""
        return step.name or f"{step.label} {step.number}".strip() or self.env._("Step")

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
                if _ARROW.fullmatch(name):
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
    def _read_choices(self, step, index, known, categories):
        """Return the choices of a step as ``(name, step index, category id, ends)``.

        A target that is not understood, or that leads back, stays part of the
        name: nothing is lost, and nothing goes round in circles.
        """
        read = []
        for choice in step.choices:
            target = terms.read_target(choice.target, known, categories)
            if target is None or (target[0] is not None and target[0] <= index):
                read.append((f"{choice.name} → {choice.target}", None, False, False))
            else:
                read.append((choice.name, *target))
        return read

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

    # === Out ===

    @checked
    def export_markdown(self) -> dict:
        """Return this revision as a Markdown file.

        :return: ``filename`` and ``content`` (the text)
        """
        document = self._only_one()
        return {
            "filename": document._markdown_filename(),
            "content": document._markdown(),
        }

    def _markdown_filename(self):
        """Return the name of the file that was imported, or one made of the code."""
        self.ensure_one()
        name = self.source_filename
        if name and re.fullmatch(r"[\w .()+-]+\.(md|markdown|txt)", name):
            return name
        return f"{self.code.lower().replace('-', '_')}.md"

    def _markdown(self):
        """Return this revision as Markdown.

        :return: the imported text, byte for byte, where nothing was changed
        :rtype: str
        """
        self.ensure_one()
        return runbook.export(
            self._markdown_parts(), filename=self.source_filename or None
        )

    def _markdown_archive(self):
        """Return these revisions as a ZIP archive of Markdown files.

        :rtype: bytes
        """
        buffer, taken = io.BytesIO(), set()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for document in self:
                name = document._markdown_filename()
                if name in taken:
                    stem, _dot, extension = name.rpartition(".")
                    name = f"{stem}-{document.version}.{extension}"
                if name in taken:
                    name = f"{document.id}-{name}"
                taken.add(name)
                archive.writestr(name, document._markdown())
        return buffer.getvalue()

    def action_export_markdown(self):
        """Download these revisions: one as a Markdown file, several as a ZIP archive.

        :rtype: dict
        """
        ids = ",".join(map(str, self.ids))
        return {
            "type": "ir.actions.act_url",
            "url": f"/qms_sop/markdown?ids={ids}",
            "target": "download",
        }

    def _markdown_parts(self):
        """Return what this revision says, part by part, in the order of the text.

        :return: ``[(kind, source or "", values), …]`` for ``runbook.export``
        :rtype: list[tuple]
        """
        self.ensure_one()
        sections = self.section_ids.sorted(_by_position)
        steps = list(self.step_ids.sorted(_by_sequence))
        said = self._imported_values(sections, steps)
        step_values = self._step_values(steps, said)
        rows = []
        for section in sections:
            base = said.get(section)
            values = self._section_values(section.kind, section, base, said)
            place = section.position
            if section.kind == "footer":
                place = float("inf")
            rows.append(((place, 0), section.kind, section.source or "", values))
        rows += self._missing_sections(sections, steps)
        slots = sorted(step.position for step in steps if step.position)
        for index, (step, values) in enumerate(zip(steps, step_values, strict=True)):
            place = (
                slots[min(index, len(slots) - 1)] if slots else self._step_place(rows)
            )
            rows.append(((place, 1 + index), "step", step.source or "", values))
        rows.sort(key=lambda row: row[0])
        return [row[1:] for row in rows]

    @api.model
    def _step_place(self, rows):
        """Return the place of steps where no step was imported."""
        return max((row[0][0] for row in rows if row[1] in _FRONT_KINDS), default=0)

    def _imported_values(self, sections, steps):
        """Return what the imported text says of each section and step.

        :return: ``{record: values}``, of those that were imported
        :rtype: dict
        """
        rows = [(section.position, section.kind, section) for section in sections]
        rows += [(step.position, "step", step) for step in steps]
        rows = sorted((row for row in rows if row[2].source), key=lambda row: row[0])
        filename = self.source_filename or None
        try:
            whole = runbook.parse(
                "".join(record.source for _place, _kind, record in rows),
                filename=filename,
            )
        except runbook.RunbookError:
            parts = ()
        else:
            parts = whole.parts
        wanted = [(kind, record.source) for _place, kind, record in rows]
        if [(part.kind, part.source) for part in parts] == wanted:
            found = [part.values for part in parts]
        else:
            # Steps are gone or elsewhere: each part speaks for itself.
            found = [runbook.parse_part(*pair) for pair in wanted]
        return {
            record: values
            for (_place, _kind, record), values in zip(rows, found, strict=True)
        }

    def _missing_sections(self, sections, steps):
        """Return rows for what the records say and no section has a place for."""
        kinds = set(sections.mapped("kind"))
        last = max((s.position for s in sections if s.kind in _FRONT_KINDS), default=0)
        rows = []
        for rank, kind in enumerate((*_FRONT_KINDS, "related"), 1):
            if kind in kinds or not (kind == "header" or self._says(kind)):
                continue
            before = [
                s.position
                for s in sections
                if s.kind in _FRONT_KINDS[: rank - 1] and kind in _FRONT_KINDS
            ]
            place = max(before, default=0) if kind in _FRONT_KINDS else 2_000_000
            values = self._section_values(kind, None, None, {})
            # A part made in Odoo stands behind the last one that precedes it.
            rows.append(((place, rank / 10), kind, "", values))
        if steps and not any(step.source for step in steps):
            headed = any(section.kind == "section" for section in sections)
            if not headed:
                procedure = runbook.Text(self.env._("Procedure"), 2)
                rows.append(((last, 0.9), "section", "", procedure))
        return rows

    def _says(self, kind):
        """Return whether the records hold anything of a kind of section."""
        field = {
            "purpose": "purpose",
            "scope": "scope",
            "triggers": "trigger_ids",
            "prerequisites": "prerequisite_ids",
            "related": "related_ids",
        }[kind]
        return bool(self[field])

    def _section_values(self, kind, section, base, said):
        """Return what the records say of one section.

        :param str kind: of the section
        :param section: the record, or ``None`` for a new part of the text
        :param base: what the imported text says, or ``None``
        :param dict said: of :meth:`_imported_values`
        """
        values = base if base is not None else self._empty_values(kind)
        if section is not None and kind not in ("header", "footer"):
            values = self._changed(
                values, heading=section.heading or "", level=section.level
            )
        if kind == "header":
            return self._header_values(values, section, said)
        if kind in ("purpose", "scope"):
            return self._changed(values, body=self[kind] or "")
        if section is not None:
            values = self._changed(values, body=section.body or "")
        if kind == "footer":
            values = self._footer_values(values, said)
        elif kind == "triggers":
            values = self._changed(
                values,
                items=tuple(
                    runbook.Trigger(trigger.kind, trigger.name)
                    for trigger in self.trigger_ids.sorted(_by_sequence)
                ),
            )
        elif kind == "prerequisites":
            values = self._changed(values, items=self._prerequisite_items(values))
        elif kind == "related":
            values = self._related_values(values, section)
        return values

    @api.model
    def _empty_values(self, kind):
        """Return the values of a part that the text does not have yet."""
        match kind:
            case "header":
                return runbook.Header(title="")
            case "purpose" | "scope":
                return runbook.Text(kind.capitalize(), 2)
            case "triggers":
                return runbook.Triggers()
            case "prerequisites":
                return runbook.Prerequisites()
            case "related":
                return runbook.Related()
            case "footer":
                return runbook.Footer()
        return runbook.Text("", 2)

    @api.model
    def _changed(self, values, **changes):
        """Return values with changes; the same object where nothing differs."""
        changes = {
            name: value
            for name, value in changes.items()
            if getattr(values, name) != value
        }
        return replace(values, **changes) if changes else values

    def _header_values(self, base, section, said):
        """Return title and control data; see :meth:`_section_values`."""
        footer = self._footer(said)
        stated = complete(base, footer.lines)
        changes = self._header_changes(stated, section)
        for name in list(changes):
            if stated_in(footer.lines, name) and not getattr(base, name):
                # It stands in the closing lines, and is changed there.
                del changes[name]
        if "extra" in changes:
            changes["extra"] = terms.with_error_codes(base.extra, changes["extra"])
        if section is not None:
            changes["body"] = section.body or ""
        return self._changed(base, **changes)

    def _footer_values(self, base, said):
        """Return the closing lines, with the control data among them."""
        header = next(
            (v for v in said.values() if isinstance(v, runbook.Header)),
            runbook.Header(""),
        )
        section = self.section_ids.filtered(lambda part: part.kind == "header")[:1]
        changes = self._header_changes(complete(header, base.lines), section)
        lines = []
        for label, value in base.lines:
            name = next(
                (
                    name
                    for name in changes
                    if name != "extra"
                    and not getattr(header, name)
                    and stated_in([(label, value)], name)
                ),
                None,
            )
            if name is None:
                lines.append((label, value))
            elif changes[name]:
                lines.append((label, changes[name]))
        return self._changed(base, lines=tuple(lines))

    @api.model
    def _footer(self, said):
        return next(
            (v for v in said.values() if isinstance(v, runbook.Footer)),
            runbook.Footer(),
        )

    def _header_changes(self, stated, section):
        """Return the control data that the records tell otherwise than the text.

        :param runbook.Header stated: of header and closing lines together
        :param section: the record of the header, or none
        :return: fields of ``Header``; ``extra`` is the list of error codes
        :rtype: dict
        """
        changes = {}
        for name, field in (
            ("title", "name"),
            ("code", "code"),
            ("owner", "owner"),
            ("classification", "classification"),
        ):
            if getattr(stated, name) != (self[field] or ""):
                changes[name] = self[field] or ""
        if (terms.version_of(stated) or FIRST_VERSION) != self.version:
            changes["version"] = self.version
        for name, field in (
            ("effective_date", "effective_date"),
            ("next_review", "review_date"),
        ):
            # Approval fills these in; only a draft's are the author's words.
            text = getattr(stated, name)
            if (text or self.state == "draft") and (
                runbook.as_date(text) or False
            ) != self[field]:
                changes[name] = fields.Date.to_string(self[field]) or ""
        interval = self._fields["review_interval"].default(self)
        if (terms.months_of(stated.review_cycle) or interval) != self.review_interval:
            changes["review_cycle"] = terms.words_of_months(self.review_interval)
        written = terms.error_codes(stated)
        codes = set(self.error_code_ids.mapped("name"))
        gone = set(section.linked or () if section else ()) - codes
        added = sorted(codes - set(written))
        if added or gone & set(written):
            kept = [code for code in written if code not in gone]
            changes["extra"] = kept + added
        return changes

    def _prerequisite_items(self, values):
        """Return the prerequisites, below the headings they had.

        :param runbook.Prerequisites values: as imported
        """
        records = self.prerequisite_ids.sorted(_by_sequence)
        wanted = [(record.kind, record.name) for record in records]
        if wanted == [(item.kind, item.name) for item in values.items]:
            return values.items
        by_name = {(item.kind, item.name): item for item in values.items}
        groups = dict(runbook.PREREQUISITE_GROUPS)
        for item in reversed(values.items):
            groups[item.kind] = item.group
        return tuple(
            by_name.get((kind, name)) or runbook.Prerequisite(name, groups[kind])
            for kind, name in wanted
        )

    def _related_values(self, values, section):
        """Return the related documents; see :meth:`_section_values`."""
        if (
            section is not None
            and section
            != self.section_ids.sorted(_by_position).filtered(
                lambda other: other.kind == "related"
            )[:1]
        ):
            # Links are written in the first list of them.
            return values
        written = terms.sop_codes(values)
        listed = {
            code
            for other in self.section_ids
            if other.kind == "related" and other.source
            for code in terms.sop_codes(runbook.parse_part("related", other.source))
        }
        documents = {document.code: document for document in self.related_ids}
        gone = set(section.linked or () if section else ()) - documents.keys()
        gone_items = [written[code] for code in gone & written.keys()]
        added = [code for code in documents if code not in listed]
        if not (gone_items or added):
            return values
        return replace(
            values,
            items=(
                *(item for item in values.items if item not in gone_items),
                *(
                    runbook.Reference(f"{code}: {documents[code].name}")
                    for code in added
                ),
            ),
        )

    def _step_values(self, steps, said):
        """Return what the records say of each step.

        :param list steps: records of ``qms.sop.step``, in order
        :param dict said: of :meth:`_imported_values`
        :rtype: list[runbook.Step]
        """
        categories = self._categories()
        values = []
        for step in steps:
            base = said.get(step)
            if base is None:
                base = runbook.Step(step.name)
                like = next((v for v in reversed(values) if v.label or v.number), None)
                if like:
                    base = replace(base, label=like.label, level=like.level)
            values.append(self._one_step_values(step, base, categories))
        if steps and not any(step.source for step in steps):
            values = [
                replace(value, label="Step", number=str(number))
                for number, value in enumerate(values, 1)
            ]
        positions = [step.position for step in steps if step.source]
        values = terms.renumbered(values, positions != sorted(positions))
        known = terms.Steps(values)
        index_of = {step.id: index for index, step in enumerate(steps)}
        return [
            self._with_choices(index, step, values, known, index_of, categories)
            for index, step in enumerate(steps)
        ]

    def _one_step_values(self, step, base, categories):
        """Return a step without regard to the others."""
        changes = {
            name: step[name] or ""
            for name in ("objective", "instructions", "expected_result", "verification")
        }
        if self._step_name(base) != step.name:
            changes["name"] = step.name
        if base.duration.minutes != step.expected_duration:
            changes["duration"] = runbook.Duration.of(step.expected_duration)
        return self._changed(
            base,
            **changes,
            mandatory=step.mandatory,
            evidence_required=step.evidence_required,
            commands=self._command_values(step, base, categories),
        )

    def _command_values(self, step, base, categories):
        """Return the commands of a step; as they were, where they say the same."""

        def told(command):
            category = categories.of_command(command)
            return (
                command.name,
                command.language,
                command.code,
                command.purpose,
                category,
            )

        wanted = [
            (
                command.name,
                command.language or "",
                command.command,
                command.purpose,
                command.category_id.id,
            )
            for command in step.command_ids.sorted(_by_purpose)
        ]
        # Records are ordered by purpose first, a text may mix them.
        ordered = sorted(base.commands, key=lambda command: command.purpose)
        if wanted == [told(command) for command in ordered]:
            return base.commands
        options = {(command.name, command.code): command for command in base.commands}
        commands = []
        for name, language, code, purpose, category in wanted:
            like = options.get((name, code))
            command = runbook.Command(
                name, language, code, purpose, like.options if like else ""
            )
            commands.append(categories.with_category(command, category))
        return tuple(commands)

    def _with_choices(self, index, step, values, known, index_of, categories):
        """Return the values of a step with its choices, as they were where equal."""
        base = values[index]
        wanted = [
            (
                choice.name,
                index_of.get(choice.next_step_id.id),
                choice.category_id.id,
                choice.ends,
            )
            for choice in step.choice_ids.sorted(_by_sequence)
        ]
        if wanted == self._read_choices(base, index, known, categories):
            return base
        choices = []
        for name, target, category, ends in wanted:
            kept = _ARROW.fullmatch(name)
            if kept and target is None and not category and not ends:
                choices.append(runbook.Choice(*kept.groups()))
                continue
            text = terms.write_target(
                None if target is None else values[target],
                categories.codes.get(category, ""),
                ends,
            )
            choices.append(runbook.Choice(name, text))
        return replace(base, choices=tuple(choices))

    # === The starter library ===

    @api.model
    def _load_library(self, module="qms_sop"):
        """Create and approve the SOPs that an add-on ships as Markdown.

        A code of which there is any revision is left alone, so that an update
        of the add-on adds what is new and touches nothing that people keep.

        :param str module: the add-on; its files are ``data/library/*.md``
        :return: ids of the new documents
        :rtype: list[int]
        """
        folder = Path(file_path(f"{module}/data/library"))
        books = [
            (path.name, self._parse_markdown(path.name, path.read_bytes()))
            for path in sorted(folder.glob("*.md"))
        ]
        present = set(
            self.with_context(active_test=False)
            .search_fetch(
                Domain("code", "in", [book.header.code for _name, book in books]),
                ["code"],
            )
            .mapped("code")
        )
        new = [pair for pair in books if pair[1].header.code not in present]
        documents = self._create_books(new)
        self.env["ir.model.data"]._update_xmlids(
            [
                {
                    "xml_id": f"{module}.{document.code.lower().replace('-', '_')}",
                    "record": document,
                    "noupdate": True,
                }
                for document in documents
            ]
        )
        for document in documents:
            self._approve_from_data(document.id)
        return documents.ids

    @api.model
    def _create_books(self, books):
        """Create the first revision of many runbooks at once.

        :param books: ``[(filename, runbook.Runbook), …]``, none of whose codes
            has a revision yet
        """
        vals_list, choices = [], []
        for filename, book in books:
            vals, found, _notes = self._markdown_vals(book, filename)
            vals["version"] = terms.version_of(book.header) or FIRST_VERSION
            vals_list.append(vals)
            choices.append(found)
        documents = self.create(vals_list)
        documents._create_choices(choices)
        # They may refer to each other, and none was there before.
        for document, (_name, book) in zip(documents, books, strict=True):
            document._link_related(book)
        return documents

    def _link_related(self, book):
        """Link the SOPs that a file names and that exist by now."""
        self.ensure_one()
        for section in self.section_ids.sorted(_by_position).filtered(
            lambda section: section.kind == "related"
        ):
            codes = terms.sop_codes(runbook.parse_part("related", section.source))
            codes.pop(self.code, None)
            related = self._related_to(codes)
            missing = related - self.related_ids
            if missing:
                self.related_ids = [Command.link(other.id) for other in missing]
                section.linked = sorted(related.mapped("code"))
