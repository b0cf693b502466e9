import io
import re
import zipfile
from dataclasses import replace

from odoo import api, fields, models

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools import markdown_terms as terms
from ...tools import runbook
from .qms_sop_document_import import FIRST_VERSION
from .qms_sop_document_markdown import ARROW

_FRONT_KINDS = ("header", "purpose", "scope", "triggers", "prerequisites")


# The orders of the models, without the query that sorted() makes for them.
def _by_sequence(record):
    return record.sequence, record.id


def _by_position(section):
    return section.position, section.id


def _by_purpose(command):
    return command.purpose, command.sequence, command.id


def _stated_in(lines, name):
    """Return whether control lines state a field of a header.

    :param lines: ``[(label, value), …]``
    :param str name: a field of ``runbook.Header``
    """
    return bool(getattr(runbook.Header("").completed(lines), name, ""))


class QmsSopDocument(models.Model):
    """Markdown files, written out."""

    _inherit = "qms.sop.document"

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
        stated = base.completed(footer.lines)
        changes = self._header_changes(stated, section)
        for name in list(changes):
            if _stated_in(footer.lines, name) and not getattr(base, name):
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
        changes = self._header_changes(header.completed(base.lines), section)
        lines = []
        for label, value in base.lines:
            name = next(
                (
                    name
                    for name in changes
                    if name != "extra"
                    and not getattr(header, name)
                    and _stated_in([(label, value)], name)
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
        # A table of the text that lists a code says so already.
        added = sorted(codes - {*written, *(self.table_codes or ())})
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
        options = {}
        for command in base.commands:
            options.setdefault((command.name, command.code), []).append(command.options)
        commands = []
        for command in step.command_ids.sorted(_by_purpose):
            known = options.get((command.name, command.command))
            values = runbook.Command(
                command.name,
                command.language or "",
                command.command,
                command.purpose,
                known.pop(0) if known else "",
                command.expected_output or "",
            )
            commands.append(categories.with_category(values, command.category_id.id))
        # Records are ordered by purpose first, a text may mix them.
        ordered = sorted(base.commands, key=lambda command: command.purpose)
        return base.commands if commands == ordered else tuple(commands)

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
            kept = ARROW.fullmatch(name)
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
