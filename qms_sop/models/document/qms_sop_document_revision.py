import hashlib
import json

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.revisions import align, compare_words

VERSION_PARTS = [
    ("major", "Major: people have to work differently"),
    ("minor", "Minor: steps were added or changed"),
    ("patch", "Patch: wording only"),
]
# Differ by nature, or are shown at the head of the comparison
_NOT_COMPARED = ("version", "change_summary", "effective_date")
_TEXTS = ("char", "text", "one2many")


class QmsSopDocument(models.Model):
    """The revisions of an SOP: what they say, and how they differ."""

    _inherit = "qms.sop.document"

    content_hash = fields.Char(
        "Content fingerprint",
        readonly=True,
        copy=False,
        help="SHA-256 of everything this revision says, taken when it was submitted.",
    )
    revision_ids = fields.Many2many(
        "qms.sop.document",
        string="Revisions",
        compute="_compute_revision_ids",
        context={"active_test": False},
    )
    revision_count = fields.Integer(compute="_compute_revision_ids")
    has_preceding = fields.Boolean(compute="_compute_revision_ids")

    @api.depends("code", "company_id", "revision")
    def _compute_revision_ids(self):
        revisions = self.with_context(active_test=False).search(
            Domain("code", "in", self.mapped("code")), order="revision desc"
        )
        for document in self:
            document.revision_ids = self.browse(
                other.id
                for other in revisions
                if (other.code, other.company_id)
                == (document.code, document.company_id)
            )
            document.revision_count = len(document.revision_ids)
            document.has_preceding = any(
                other.revision < document.revision for other in document.revision_ids
            )

    # === Making a revision ===

    @checked
    def new_revision(
        self, part: str = "minor", change_summary: str | None = None
    ) -> dict:
        """Copy a revision into a draft with a higher version.

        :param part: what goes up: ``major``, ``minor`` or ``patch``
        :param change_summary: what the draft is going to change
        :return: ``id`` and ``version`` of the draft
        :raises UserError: when the revision was never approved
        :raises ValidationError: when ``part`` is none of the three
        """
        draft = self._only_one()._new_revision(part, change_summary)
        return {"id": draft.id, "version": draft.version}

    def _new_revision(self, part="minor", change_summary=None):
        """See :meth:`new_revision`; returns the draft as a record."""
        if part not in dict(VERSION_PARTS):
            raise ValidationError(
                self.env._(
                    "part: %(part)s is unknown. Accepted: %(accepted)s.",
                    part=repr(part),
                    accepted=", ".join(dict(VERSION_PARTS)),
                )
            )
        if self.state in ("draft", "in_review"):
            raise UserError(
                self.env._(
                    "%(sop)s is %(state)s: change it, rather than a copy of it.",
                    sop=self.display_name,
                    state=self._state_label(self.state),
                )
            )
        responsible = self.responsible_id or self._default_responsible_id()
        return self.copy(
            {
                "responsible_id": responsible and responsible.id,
                "version": self._next_version(part),
                "previous_id": self.id,
                "change_summary": change_summary or False,
            }
        )

    def action_new_revision(self):
        """Make a draft with the next minor version, and open it.

        :return: the action that opens the draft
        :rtype: dict
        """
        return self._only_one()._new_revision()._action_open()

    def _action_open(self):
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
        }

    # === What a revision says ===

    @api.model
    def _part_fields(self):
        """Return the names of the fields that hold parts of a revision.

        :rtype: list[str]
        """
        return [
            name
            for name, field in self._fields.items()
            if self.env["qms.sop.part.mixin"]._holds_parts(field)
        ]

    def _content(self):
        """Return everything this revision says, independent of database ids.

        :return: JSON-serializable, equal for revisions that say the same
        :rtype: dict
        """
        self.ensure_one()
        content = {name: str(self[name] or "") for name in self._content_fields}
        content["error_codes"] = sorted(self.error_code_ids.mapped("name"))
        content["related"] = sorted(self.related_ids.mapped("code"))
        for name in self._part_fields():
            content[name] = [part._content() for part in self[name].sorted()]
        return content

    def _content_hash(self, exclude=("change_summary", "effective_date")):
        """Return the fingerprint of what this revision says.

        :param exclude: names of :meth:`_content` that do not count; by default
            what is about the revision rather than about the procedure
        :return: SHA-256, hexadecimal
        :rtype: str
        """
        content = {
            name: value
            for name, value in self._content().items()
            if name not in exclude
        }
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    # === How two revisions differ ===

    def action_compare(self):
        """Show what this revision changed.

        Compared with the revision that ``compare_with`` in the context names,
        or with the one it was made from.

        :return: the action that opens the comparison
        :rtype: dict
        """
        self.ensure_one()
        other = self.browse(self.env.context.get("compare_with")) or (
            self.previous_id or self._preceding()
        )
        return self._open_comparison(other or self)

    def _preceding(self):
        """Return the revision before this one, or none."""
        self.ensure_one()
        return self.with_context(active_test=False).search(
            Domain("code", "=", self.code)
            & Domain("company_id", "=", self.company_id.id)
            & Domain("revision", "<", self.revision),
            order="revision desc",
            limit=1,
        )

    def _open_comparison(self, other):
        """Return the action that compares this revision with another one."""
        old, new = (
            (other | self).sorted("revision")[:1],
            (other | self).sorted("revision")[-1:],
        )
        comparison = self.env["qms.sop.comparison"].create(
            {"old_id": old.id, "new_id": new.id}
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("What changed"),
            "res_model": comparison._name,
            "res_id": comparison.id,
            "view_mode": "form",
        }

    def action_view_revisions(self):
        """Open the list of all revisions of this SOP."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_sop_document_revision_action"
        )
        action["domain"] = [("id", "in", self.revision_ids.ids)]
        return action

    def _compare(self, old):
        """Tell how this revision differs from another one, part by part.

        :param old: the earlier revision
        :return: blocks in reading order, each ``{"title": str, "rows": list}``;
            a row is ``{"status", "moved", "old_title", "new_title", "fields"}``
            where ``status`` is ``same``, ``changed``, ``added`` or ``removed``,
            and each of ``fields`` is ``{"name", "label", "code", "old", "new"}`` with
            the segments of :func:`compare_words`
        :rtype: list[dict]
        """
        self.ensure_one()
        head = self._field_differences(old._diff_values(), self._diff_values())
        blocks = [
            {
                "title": self.env._("Title and purpose"),
                "rows": [
                    {
                        "status": "changed" if head else "same",
                        "moved": False,
                        "old_title": "",
                        "new_title": "",
                        "fields": head,
                    }
                ],
            }
        ]
        for name in self._part_fields():
            rows = self._compare_parts(old[name].sorted(), self[name].sorted())
            if rows:
                blocks.append(
                    {
                        "title": self._fields[name]._description_string(self.env),
                        "rows": rows,
                    }
                )
        return blocks

    def _diff_values(self):
        """Return ``{field: (label, text, is code)}`` of the head of a revision."""
        values = {
            name: (
                self._fields[name]._description_string(self.env),
                str(self[name] or ""),
                False,
            )
            for name in self._content_fields
            if name not in _NOT_COMPARED
        }
        for name, texts in (
            ("error_code_ids", self.error_code_ids.mapped("name")),
            ("related_ids", self.related_ids.mapped("code")),
        ):
            label = self._fields[name]._description_string(self.env)
            values[name] = (label, "\n".join(sorted(texts)), False)
        return values

    @api.model
    def _compare_parts(self, old, new):
        """Return the rows of :meth:`_compare` for one kind of parts."""
        old_values = [part._diff_values() for part in old]
        new_values = [part._diff_values() for part in new]

        def outline(parts, values):
            return [
                (
                    part._diff_key(),
                    "\n".join(
                        text
                        for name, (_label, text, _code) in texts.items()
                        if part._fields[name].type in _TEXTS and name != part._rec_name
                    ),
                )
                for part, texts in zip(parts, values, strict=True)
            ]

        rows = []
        for i, j, moved in align(outline(old, old_values), outline(new, new_values)):
            differences = self._field_differences(
                {} if i is None else old_values[i], {} if j is None else new_values[j]
            )
            if i is None or j is None:
                # Its title and its settings say nothing beside the texts.
                part = new[j] if i is None else old[i]
                differences = [
                    field
                    for field in differences
                    if field["name"] != part._rec_name
                    and part._fields[field["name"]].type in _TEXTS
                ]
            if i is None:
                status = "added"
            elif j is None:
                status = "removed"
            else:
                status = "changed" if differences else "same"
            rows.append(
                {
                    "status": status,
                    "moved": moved,
                    "old_title": "" if i is None else old[i]._diff_title(),
                    "new_title": "" if j is None else new[j]._diff_title(),
                    "fields": differences,
                }
            )
        return rows

    @api.model
    def _field_differences(self, old, new):
        """Return the fields of :meth:`_compare` that differ."""
        differences = []
        for name in {**old, **new}:
            _label, _text, code = (new or old)[name]
            # One command before and two after are commands.
            label = max((side[name][0] for side in (new, old) if side), key=len)
            before = old[name][1] if old else ""
            after = new[name][1] if new else ""
            if before != after:
                old_segments, new_segments = compare_words(before, after)
                differences.append(
                    {
                        "name": name,
                        "label": label,
                        "code": code,
                        "old": old_segments,
                        "new": new_segments,
                    }
                )
        return differences
