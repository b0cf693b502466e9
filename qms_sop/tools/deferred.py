"""Statements that nobody waits for, sent to the database together.

Each statement costs a way to the database and back, whatever it does. What is written
last, and whose result is of no interest, goes there in one.
"""

from odoo.tools import SQL

_STATEMENTS = "qms_sop.statements"


def run_last(cr, function):
    """Call a function before the next savepoint or the commit, after all that wait.

    :param cr: the cursor of the transaction
    :param function: function without arguments; a rollback forgets it
    """
    cr.precommit.add(lambda: cr.precommit.add(function))


def execute_last(cr, statement):
    """Execute a statement before the next savepoint or the commit.

    :param cr: the cursor of the transaction
    :param SQL statement: one whose result nobody needs; a rollback forgets it
    """
    data = cr.precommit.data
    if _STATEMENTS not in data:
        data[_STATEMENTS] = []
        run_last(cr, lambda: _execute(cr))
    data[_STATEMENTS].append(statement)


def take_along(cr, statement):
    """Return a statement together with those that wait, which are done by that.

    :param cr: the cursor that executes it next
    :param SQL statement: one whose result nobody needs
    :rtype: SQL
    """
    waiting = cr.precommit.data.get(_STATEMENTS, [])
    statements = SQL("; ").join([*waiting, statement])
    waiting.clear()
    return statements


def _execute(cr):
    statements = cr.precommit.data.pop(_STATEMENTS)
    if statements:
        cr.execute(SQL("; ").join(statements))
