from odoo import api, models

# Place in the list and bookkeeping of an import: said by the order of the parts,
# or by their other fields.
_NOT_TOLD = {*models.MAGIC_COLUMNS, "sequence", "position", "source"}


def _key(record):
    """Return what names a record in every revision and every database."""
    for name in ("number", "code", "name"):
        if name in record._fields:
            return record[name]
    return record.display_name


class QmsSopPartMixin(models.AbstractModel):
    """A part of an SOP revision: it changes only while that is a draft."""

    _name = "qms.sop.part.mixin"
    _description = "Part of an SOP revision"

    # Path from the part to its qms.sop.document
    _document_path = "document_id"

    @api.model_create_multi
    def create(self, vals_list):
        parts = super().create(vals_list)
        documents = parts.mapped(self._document_path)
        documents._check_editable()
        documents._note_change()
        return parts

    def write(self, vals):
        self.check_access("write")
        documents = self.mapped(self._document_path)
        documents._check_editable()
        documents._note_change()
        result = super().write(vals)
        if self._document_path.split(".")[0] in vals:
            self.mapped(self._document_path)._check_editable()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_locked(self):
        documents = self.mapped(self._document_path)
        documents._check_editable()
        documents._note_change()

    # === What a part says ===

    @api.model
    def _told_fields(self):
        """Return the fields that say something, in the order they were declared.

        The record it belongs to says where the part is, not what it says.

        :rtype: list[odoo.fields.Field]
        """
        owner = self._document_path.split(".")[0]
        return [
            field
            for name, field in self._fields.items()
            if name not in _NOT_TOLD
            and name != owner
            and not field.compute
            and not field.related
            and (field.store or self._holds_parts(field))
        ]

    @api.model
    def _holds_parts(self, field):
        """Tell whether a field holds parts of this one, such as commands."""
        return field.type == "one2many" and isinstance(
            self.env[field.comodel_name], self.env.registry[QmsSopPartMixin._name]
        )

    def _content(self):
        """Return what this part says, independent of database ids.

        :rtype: dict
        """
        self.ensure_one()
        content = {}
        for field in self._told_fields():
            value = self[field.name]
            if field.type == "one2many":
                content[field.name] = [part._content() for part in value.sorted()]
            elif field.relational:
                content[field.name] = [_key(record) for record in value]
            else:
                content[field.name] = value or ""
        return content

    def _diff_values(self):
        """Return what this part says, as a person reads it.

        :return: ``{field: (label, text, whether it is typed into a machine)}``
        :rtype: dict[str, tuple[str, str, bool]]
        """
        self.ensure_one()
        values = {}
        for field in self._told_fields():
            value = self[field.name]
            label = field._description_string(self.env)
            if field.type == "boolean":
                text = self.env._("yes") if value else self.env._("no")
            elif field.type == "selection":
                text = dict(field._description_selection(self.env)).get(value, "")
            elif field.type == "one2many":
                text = "\n\n".join(part._diff_text() for part in value.sorted())
                label = (len(value) == 1 and value._diff_noun()) or label
            elif field.relational:
                text = ", ".join(value.mapped("display_name"))
            else:
                text = str(value or "")
            values[field.name] = (label, text, "command" in field.name)
        return values

    def _diff_text(self):
        """Return what a part of a part says, such as a command of a step.

        Its name, its settings in brackets, and its texts below.
        """
        values = self._diff_values()
        name = values.pop(self._rec_name)[1]
        settings, texts = [], []
        for field, (label, text, _code) in values.items():
            kind = self._fields[field].type
            if kind == "boolean":
                settings += [label] if self[field] else []
            elif text:
                (texts if kind in ("text", "one2many") else settings).append(text)
        head = f"{name} ({', '.join(settings)})" if settings else name
        return "\n".join([head, *texts])

    def _diff_noun(self):
        """Return what a person calls one part, where many have another name."""
        return ""

    def _diff_title(self):
        """Return what a person calls this part."""
        return self.display_name or ""

    def _diff_key(self):
        """Return what makes this part the same one in another revision."""
        return self[self._rec_name] if self._rec_name else ""
