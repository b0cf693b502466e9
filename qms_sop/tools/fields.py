"""Numbers that may be unknown."""

from odoo import fields


class _Blank:
    """Keeps an unknown number unknown.

    Odoo stores an empty number as 0, so an average over runs that have not
    ended yet would count them as "took no time". Here ``False`` (or ``None``)
    stays NULL in the database, is left out of aggregates, and reads as
    ``False``; 0 is a value like any other, also in a search.
    """

    # Else a search for 0, or for less than something, would find what is unknown.
    falsy_value = None

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

    def filter_function(self, records, field_expr, operator, value):
        if operator != "in":
            return super().filter_function(records, field_expr, operator, value)
        getter = self.expression_getter(field_expr)
        # False equals 0 in Python, and is unknown here.
        known = {one for one in value if one is not False and one is not None}
        blank = len(known) < len(value)

        def matches(record):
            found = getter(record)
            return blank if found is False else found in known

        return matches


class BlankFloat(_Blank, fields.Float):
    """A float that is blank when unknown."""


class BlankInteger(_Blank, fields.Integer):
    """An integer that is blank when unknown."""
