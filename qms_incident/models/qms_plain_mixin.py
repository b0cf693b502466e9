from odoo import models
from odoo.exceptions import ValidationError

from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.values import without_none


class QmsPlainMixin(models.AbstractModel):
    """A record that programs write by plain values, and read as such.

    The model says which names there are, and what the value of each becomes.
    """

    _name = "qms.plain.mixin"
    _description = "Record of plain values"

    def _changeable(self):
        """Return the names of what a client may change.

        :rtype: set[str]
        """
        raise NotImplementedError

    def _value(self, name, value):
        """Return a field and its value for one value that a client gives.

        :param str name: one of :meth:`_changeable`
        :param value: plain; ``None`` blanks
        :rtype: tuple[str, object]
        :raises ValidationError: saying what is accepted
        """
        raise NotImplementedError

    def _to_dict(self):
        """Return one record in plain values, ``None`` where nothing is known.

        :rtype: dict
        """
        raise NotImplementedError

    def _values(self, given):
        """Return the field values for what a client gives; ``None`` blanks.

        :param dict given: by the names of :meth:`_changeable`
        :rtype: dict
        :raises ValidationError: naming the argument at fault and what is accepted
        """
        values = {}
        for name, value in given.items():
            with at_field(name):
                field, found = self._value(name, value)
                if self._fields[field].required and not found:
                    raise ValidationError(
                        self.env._("Argument %(name)s: it cannot be blank.", name=name)
                    )
            values[field] = found
        return values

    def _check_names(self, values):
        """Refuse values of which some cannot be changed, and none at all."""
        unknown = sorted(values.keys() - self._changeable())
        if unknown or not values:
            raise ValidationError(
                self.env._(
                    "Argument values: %(unknown)s cannot be set. Accepted: "
                    "%(accepted)s.",
                    unknown=", ".join(unknown) or self.env._("nothing"),
                    accepted=", ".join(sorted(self._changeable())),
                )
            )

    def _write_plain(self, values):
        """Change what one record says; what is not given stays as it is.

        :param dict values: by the names of :meth:`_changeable`; ``False`` blanks, as
            XML-RPC has no ``None``
        :raises ValidationError: naming the argument at fault and what is accepted
        """
        self._check_names(values)
        given = {
            name: None if value is False else value for name, value in values.items()
        }
        self.write(self._values(given))

    def _to_rpc(self):
        return without_none(self._to_dict())
