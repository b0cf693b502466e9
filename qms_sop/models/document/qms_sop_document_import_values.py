from odoo import api, models
from odoo.exceptions import ValidationError
from odoo.fields import Command, Domain

from ...tools import markdown_terms as terms
from ...tools import runbook
from .qms_sop_document_markdown import ARROW

# Characters of a line that a note shows.
PREVIEW_TEXT = 160


class QmsSopDocument(models.Model):
    """What a Markdown file says, as values of records and as words for people."""

    _inherit = "qms.sop.document"

    # === Values of records ===

    @api.model
    def _markdown_vals(self, book, filename, table_codes=()):
        """Return what a file says as values of a document.

        :param runbook.Runbook book:
        :param str filename: or ""
        :param table_codes: error codes to link because its tables list them
        :return: values for ``create()``, and choices for :meth:`_create_choices`
        :rtype: tuple[dict, list]
        """
        vals, linked = self._control_vals(book, table_codes)
        vals["source_filename"] = filename or False
        vals.update({name: [] for name in self._part_fields()})
        categories = self._categories()
        steps = [part for part in book.parts if part.kind == "step"]
        for position, part in enumerate(book.parts, 1):
            placed = {"position": position, "source": part.source}
            if part.kind == "step":
                placed["sequence"] = len(vals["step_ids"]) + 1
                step = self._step_vals(part.values, categories)
                vals["step_ids"].append(Command.create({**step, **placed}))
                continue
            self._add_part_vals(vals, part)
            placed["linked"] = linked.get(part.kind) or False
            section = self._section_vals(part)
            vals["section_ids"].append(Command.create({**section, **placed}))
        return vals, self._choices_of(steps, categories)[0]

    @api.model
    def _control_vals(self, book, table_codes):
        """Return title, control data and links; see :meth:`_markdown_vals`.

        :return: values, and the codes that became links, by the kind of section
        :rtype: tuple[dict, dict]
        """
        header = book.header
        stated = terms.error_codes(header)
        codes = self.env["qms.error.code"].search_fetch(
            Domain("name", "in", [*stated, *table_codes]), ["name"]
        )
        related = self._related_to(self._related_codes(book))
        vals = {
            "code": header.code,
            "name": header.title,
            "owner": header.owner or False,
            "classification": header.classification or False,
            "effective_date": runbook.as_date(header.effective_date) or False,
            "purpose": False,
            "scope": False,
            "error_code_ids": [Command.set(codes.ids)],
            "table_codes": list(table_codes),
            "related_ids": [Command.set(related.ids)],
        }
        if review_date := runbook.as_date(header.next_review):
            vals["review_date"] = review_date
        if months := terms.months_of(header.review_cycle):
            vals["review_interval"] = months
        return vals, {
            "header": sorted({*codes.mapped("name")}.intersection(stated)),
            "related": sorted(related.mapped("code")),
        }

    @api.model
    def _related_codes(self, book):
        """Return the codes of the SOPs that a file refers to."""
        codes = {}
        for part in book.parts:
            if part.kind == "related":
                codes.update(terms.sop_codes(part.values))
        codes.pop(book.header.code, None)
        return codes

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
    def _add_part_vals(self, vals, part):
        """Add what a part says that has fields or lines of its own."""
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

    @api.model
    def _section_vals(self, part):
        """Return the text of a part that is no step."""
        has_field = part.kind in ("purpose", "scope")
        return {
            "kind": part.kind,
            "heading": getattr(part.values, "heading", "") or False,
            "level": getattr(part.values, "level", 0),
            "body": False if has_field else part.values.body or False,
        }

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

    # === Words for people ===

    @api.model
    def _notes_of(self, book, reason):
        """Return what whoever imports a file should know of its text.

        :param runbook.Runbook book:
        :param str reason: why the draft has another version than the file, or ""
        :return: ``{"line": int, "text": str}``, in the order of the lines
        :rtype: list[dict]
        """
        notes = [{"line": 1, "text": reason}] if reason else []
        notes += [self._note_of_text(note) for note in book.notes]
        known = self.env["qms.error.code"]._names_by_id().values()
        unknown = set(terms.error_codes(book.header)).difference(known)
        if unknown:
            text = self.env._(
                "not in the error catalogue, so not linked: %s",
                ", ".join(sorted(unknown)),
            )
            notes.append({"line": 1, "text": text})
        steps = [part for part in book.parts if part.kind == "step"]
        notes += self._choices_of(steps, self._categories())[1]
        return sorted(notes, key=lambda note: note["line"])

    @api.model
    def _note_of_text(self, note):
        """Say what is the matter with a line of text; see :meth:`_notes_of`.

        :param runbook.Note note:
        """
        shown = note.after[:PREVIEW_TEXT].strip()
        text = (
            self.env._("mis-decoded text was repaired: %s", shown)
            if note.after != note.before
            else self.env._("this text looks damaged and was left as it is: %s", shown)
        )
        return {"line": note.line, "text": text}

    @api.model
    def _outline_of(self, book):
        """Return what was understood of a file; see :meth:`import_markdown`.

        :rtype: list[dict]
        """
        categories = self._categories()
        outline, number = [], 0
        for part in book.parts:
            values = part.values
            item = {"kind": part.kind, "line": part.line}
            outline.append(item)
            if part.kind != "step":
                title = values.title if part.kind == "header" else ""
                item["title"] = getattr(values, "heading", "") or title
                continue
            number += 1
            item.update(
                title=self._step_name(values),
                number=number,
                minutes=values.duration.minutes,
                mandatory=values.mandatory,
                commands=[
                    {
                        "name": command.name,
                        "language": command.language,
                        "category": categories.code_of(command),
                        "purpose": command.purpose,
                    }
                    for command in values.commands
                ],
                choices=[choice._asdict() for choice in values.choices],
            )
        return outline
