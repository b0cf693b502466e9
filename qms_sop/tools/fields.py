"""Numbers that may be unknown."""

from odoo import fields


class _Blank:
    """Keeps an unknown number unknown.

    Odoo stores an empty number as 0, so an average over runs that have not
    ended yet would count them as "took no time". Here ``False`` (or ``None``)
    stays NULL in the database, is left out of aggregates, and reads as
    ``False``; 0 is a value like any other.
    """

    def convert_to_column(self, value, record, values=None, validate=True):
        if value is None or value is False:
            return None
        return super().convert_to_column(value, record, values, validate)

    def convert_to_cache(self, value, record, validate=True):
        if value is None or value is False:
            return None
        return super().convert_to_cache(value, record, validate)

    def convert_to_record(self, value, record):
        return False if value is None else value

    def convert_to_read(self, value, record, use_display_name=True):
        return False if value is None else value


class BlankFloat(_Blank, fields.Float):
    """A float that is blank when unknown."""


class BlankInteger(_Blank, fields.Integer):
    """An integer that is blank when unknown."""
