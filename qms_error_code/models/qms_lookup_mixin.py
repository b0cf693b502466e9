from odoo import api, models, tools
from odoo.exceptions import ValidationError


class QmsLookupMixin(models.AbstractModel):
    """Records that people and programs name by a short code.

    Severities, categories and error codes are few, are named in every call, and
    change rarely: their codes are kept in the registry's cache, so that finding
    one costs no query.
    """

    _name = "qms.lookup.mixin"
    _description = "Found by Code"

    # The field with the code, and further fields that are accepted in its place.
    _lookup_code = "code"
    _lookup_aliases = ()

    @api.model_create_multi
    def create(self, vals_list):
        records = super().create(vals_list)
        self.env.registry.clear_cache()
        return records

    def write(self, vals):
        result = super().write(vals)
        if not vals.keys().isdisjoint(
            {self._lookup_code, "active", *self._lookup_aliases}
        ):
            self.env.registry.clear_cache()
        return result

    def unlink(self):
        result = super().unlink()
        self.env.registry.clear_cache()
        return result

    @api.model
    def _resolve(self, value):
        """Find the active record that a caller means.

        :param value: its code (or alias, or name, where the model has them) in
            any case, or the record itself, or its id
        :return: one record
        :raise ValidationError: when there is none, saying what is accepted
        """
        if isinstance(value, models.BaseModel):
            if (
                value._name == self._name
                and len(value) == 1
                and value.id in self._codes_by_id()
            ):
                return value
        elif isinstance(value, str):
            found = self._ids_by_key().get(value.strip().lower())
            if found:
                return self.browse(found)
        elif isinstance(value, int) and not isinstance(value, bool):
            if value in self._ids_by_key().values():
                return self.browse(value)
        raise ValidationError(self._unknown_message(value))

    @api.model
    def _unknown_message(self, value):
        """Say that nothing has this code, and which codes there are.

        :param value: what the caller gave
        :rtype: str
        """
        codes = self._codes_by_id()
        return self.env._(
            "%(model)s %(value)s is unknown. Accepted: %(accepted)s.",
            model=self.env._(self._description),
            value=self._shown(value),
            accepted=", ".join(
                self._accepted_label(record.id, codes[record.id])
                for record in self.sudo().search([])  # codes are no secret
            ),
        )

    @api.model
    def _accepted_label(self, record_id, code):
        """How a record is listed among what is accepted."""
        return code

    @api.model
    def _shown(self, value):
        """A value as it is repeated in a message: short."""
        shown = f"“{value}”" if isinstance(value, str) else repr(value)
        return shown if len(shown) <= 80 else f"{shown[:79]}…"

    @api.model
    @tools.ormcache()
    def _ids_by_key(self):
        """Every accepted word, in lower case, of every active record.

        :return: ``{word: id}``; codes win over aliases
        :rtype: odoo.tools.frozendict
        """
        # Cached for all users, so it must not depend on the rights of the first.
        records = self.sudo().search([])
        keys = {}
        for name in reversed((self._lookup_code, *self._lookup_aliases)):
            languages = (
                [code for code, _name in self.env["res.lang"].get_installed()]
                if self._fields[name].translate
                else [None]
            )
            for lang in languages:
                for record in records.with_context(lang=lang):
                    if record[name]:
                        keys[record[name].lower()] = record.id
        return tools.frozendict(keys)

    @api.model
    @tools.ormcache()
    def _codes_by_id(self):
        """The codes of all records, archived ones too.

        :return: ``{id: code}``
        :rtype: odoo.tools.frozendict
        """
        # Cached for all users, so it must not depend on the rights of the first.
        records = self.sudo().with_context(active_test=False).search([])
        return tools.frozendict(
            {record.id: record[self._lookup_code] for record in records}
        )
