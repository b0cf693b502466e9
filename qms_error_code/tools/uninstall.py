"""Leaving a database cleanly."""

from odoo.tools import SQL


def empty_tables(env, module):
    """Empty the tables of an add-on that is about to be uninstalled.

    Odoo deletes the records that an add-on shipped one by one, before it drops the
    tables. Where people's records refer to them (a run to its SOP, an error to its
    code) each deletion would fail and leave an error in the log.

    :param odoo.api.Environment env: as an uninstall hook gets it
    :param str module: the add-on
    """
    tables = [
        SQL.identifier(model._table)
        for model in env.registry.models.values()
        if model._auto and not model._abstract and model._original_module == module
    ]
    if tables:
        env.cr.execute(SQL("TRUNCATE %s CASCADE", SQL(", ").join(tables)))
        env.invalidate_all(flush=False)
