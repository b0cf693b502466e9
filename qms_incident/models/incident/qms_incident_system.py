from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError, ValidationError


class QmsIncidentSystem(models.Model):
    _name = "qms.incident.system"
    _description = "Affected system"
    _order = "name, id"

    name = fields.Char(required=True)
    color = fields.Integer()
    active = fields.Boolean(default=True)

    _name_uniq = models.UniqueIndex("(lower(name))", "This system is already there.")

    @api.model
    def _named(self, names):
        """Return the systems with these names, in any case; new ones are made.

        :param names: list of texts, or a text separated by commas
        :rtype: qms.incident.system records
        :raises ValidationError: for a name that is too long
        """
        if isinstance(names, str):
            names = names.split(",")
        wanted = {}
        for name in names or ():
            if name.strip():
                wanted.setdefault(name.strip().lower(), name.strip())
        if too_long := [name for name in wanted.values() if len(name) > 100]:
            raise ValidationError(
                self.env._(
                    "Argument systems: %(name)s… is no name of a system; up to 100 "
                    "characters each are accepted, separated by commas.",
                    name=too_long[0][:40],
                )
            )
        every = self.with_context(active_test=False).search([]) if wanted else self
        known = {system.name.lower(): system for system in every}
        missing = [{"name": wanted[key]} for key in wanted if key not in known]
        found = self.browse(known[key].id for key in wanted if key in known)
        try:
            return found | self.create(missing)
        except UniqueViolation as error:
            # Somebody else names it at the same moment; Odoo runs the call again.
            raise ConcurrencyError(str(error)) from error
