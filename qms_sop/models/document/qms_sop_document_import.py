import base64
import binascii
import hashlib
import re
from dataclasses import replace

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Command, Domain

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools import markdown_terms as terms
from ...tools import runbook
from ...tools.idempotency import idempotent
from .qms_sop_document import _STEWARDSHIP

FIRST_VERSION = "1.0.0"


class QmsSopDocument(models.Model):
    """Markdown files, read in."""

    _inherit = "qms.sop.document"

    source_digest = fields.Char(
        readonly=True,
        copy=False,
        help="SHA-256 of what was understood of the imported file; empty once the "
        "revision was changed in Odoo.",
    )

    def _note_change(self):
        imported = self.filtered(lambda sop: sop.source_digest and sop.state == "draft")
        if imported:
            imported._write_system({"source_digest": False})
        return super()._note_change()

    @api.model
    @checked
    @idempotent
    def import_markdown(
        self,
        filename: str,
        content: str,
        submit: bool = False,
        dry_run: bool = False,
        take: list[str] | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Create or update the draft that a Markdown file describes.

        A code without a revision gets its first one; a draft is updated in
        place; what was approved gets a new draft revision. The same content
        again changes nothing.

        Rows of error codes and of severities are offered as records: ``offers``
        says for each row what could be taken over, and what is in the way. Only
        what ``take`` names is taken:

        * ``error-codes``: error codes that the catalogue lacks are added, and all
          that the tables list are linked to the SOP
        * ``error-code-changes``: what the tables say otherwise than the catalogue
          replaces it
        * ``severities``: targets of severities that the tables state otherwise
          (managers only)
        * the ``key`` of a single offer, such as ``error_code:DB_DEADLOCK`` or
          ``severity:high:response_target``

        A code that was linked stays linked as long as a table lists it. Other
        tables (``escalation``, ``action_items``, …) stay text.

        :param filename: names the file in messages and gives the code where
            the text has none; may be empty
        :param content: the file, base64
        :param submit: send the draft to review
        :param dry_run: only say what was understood and what would happen
        :param take: names and keys of the offers to take over
        :return: ``status`` (created, updated, unchanged, preview), ``change``
            (what a preview would do, else the status), ``id`` (0 where there is
            none yet), ``code``, ``version``, ``state``, ``title``, ``filename``;

            ``outline``: a dict per part with ``kind``, ``line`` and ``title``,
            for a step also ``number``, ``minutes`` (0: not stated), ``commands``
            (``name``, ``language``, ``category``, ``purpose``), ``choices``
            (``name``, ``target``) and ``mandatory``;

            ``notes``: ``{"line": int, "text": str}``;

            ``tables``: the recognised ones, with ``kind``, ``line``, ``headers``,
            ``rows`` (at most 200), ``row_count`` and ``template`` (an example to
            fill in, inside a fenced block);

            ``offers``: a dict each with ``key``, ``group`` (a name that ``take``
            accepts; "" where there is nothing to take), ``kind`` (error_code,
            severity), ``name``, ``line`` of the row, ``action`` (add, link,
            change, none, problem), ``field``, ``values`` that would be written,
            ``text`` for people, ``allowed`` to this user and ``taken``
        :raises ValidationError: when the file cannot be read, with the line; for
            something in ``take`` that is not offered
        :raises UserError: when a revision of it is in review
        :raises AccessError: for those who write no SOPs, or not what is taken
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
        return self._import_markdown(filename, data, submit, dry_run, take or ())

    @api.model
    def _import_markdown(self, filename, data, submit=False, dry_run=False, take=()):
        """See :meth:`import_markdown`.

        :param data: the file as bytes, or its text as str
        """
        self.check_access("create")
        filename = re.split(r"[\\/]", filename)[-1].strip()
        book = self._parse_markdown(filename, data)
        latest = self._latest_revision(book.header.code)
        latest._check_not_in_review(filename)
        version, reason = self._version_to_import(book.header, latest)
        chosen, offers, table_codes = self._read_tables(book, latest, take)
        change = latest._change_by_import(book, version, table_codes)
        document = latest
        if not dry_run:
            self._take_over(chosen)
            if change != "unchanged":
                document = self._save_markdown(
                    latest, change, book, filename, version, table_codes
                )
            if chosen:
                document._post_taken(chosen)
            if submit and document.state == "draft":
                document.action_submit()
        saved = not dry_run or change == "unchanged"
        return {
            "status": "preview" if dry_run else change,
            "change": change,
            "id": document.id or 0,
            "code": book.header.code,
            "version": document.version if saved else version,
            "state": document.state if saved else "draft",
            "title": book.header.title,
            "filename": filename,
            "outline": self._outline_of(book),
            "notes": self._notes_of(book, reason),
            "tables": self._tables_of(book),
            "offers": offers,
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

    def _check_not_in_review(self, filename):
        """Refuse to import into a revision that somebody is looking at."""
        if self.state == "in_review":
            raise UserError(
                self.env._(
                    "%(file)s: %(sop)s is in review and cannot be changed. Approve it "
                    "or send it back first.",
                    file=filename or self.env._("Text"),
                    sop=self.display_name,
                )
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

    def _change_by_import(self, book, version, table_codes):
        """Return what importing a file would do: created, updated or unchanged.

        :param runbook.Runbook book: of the file
        :param str version: the version that would be imported
        :param list[str] table_codes: the error codes that its tables would link
        """
        if not self:
            return "created"
        if table_codes == (self.table_codes or []) and (
            self.source_digest == _digest(book) or self._says_the_same(book, version)
        ):
            return "unchanged"
        return "updated" if self.state == "draft" else "created"

    def _says_the_same(self, book, version):
        """Return whether a file has the content of this revision.

        A version that the file states but that cannot be given again does not
        count.

        :param runbook.Runbook book: of the file
        :param str version: the version that would be imported
        """
        self.ensure_one()
        stated = terms.version_of(book.header)
        if version == stated != self.version:
            return False
        own = runbook.parse(self._markdown(), filename=self.source_filename or None)
        return [_without_version(part) for part in own.parts] == [
            _without_version(part) for part in book.parts
        ]

    @api.model
    def _save_markdown(self, latest, change, book, filename, version, table_codes):
        """Write what a file says into a draft, and return it.

        :param latest: the newest revision of its code, or none
        :param str change: of :meth:`_change_by_import`
        """
        vals, choices = self._markdown_vals(book, filename, table_codes)
        vals["version"] = version
        if change == "updated":
            document = latest
            cleared = {
                name: [Command.clear(), *vals[name]] for name in self._part_fields()
            }
            document.write({**vals, **cleared})
            document.message_post(
                body=self.env._(
                    "Updated from Markdown (%s).", filename or self.env._("pasted text")
                )
            )
        else:
            if latest:
                vals = {**latest._inherited_vals(), **vals}
            document = self.create(vals)
        document._create_choices([choices])
        document._write_system({"source_digest": _digest(book)})
        return document

    def _inherited_vals(self):
        """Return what a revision made from a file takes over of the one before."""
        self.ensure_one()
        vals = {"previous_id": self.id, "company_id": self.company_id.id}
        for name in _STEWARDSHIP - {"review_date"}:
            value = self[name]
            vals[name] = (
                [Command.set(value.ids)]
                if self._fields[name].type == "many2many"
                else self._fields[name].convert_to_write(value, self)
            )
        return vals

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


def _digest(book):
    """Return the fingerprint of what was understood of a file.

    :param runbook.Runbook book:
    :return: SHA-256, hexadecimal
    :rtype: str
    """
    said = repr([(part.kind, part.values) for part in book.parts])
    return hashlib.sha256(said.encode()).hexdigest()


def _without_version(part):
    """Return kind and values of a part, as if it stated no version."""
    values = part.values
    if part.kind == "header":
        values = replace(values, version="")
    elif part.kind == "footer":
        lines = (line for line in values.lines if line[0].lower() != "version")
        values = replace(values, lines=tuple(lines))
    return part.kind, values
