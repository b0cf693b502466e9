"""Transactions that collide are run again at once.

Of two transactions that change the same row PostgreSQL lets one pass; the other one
fails to serialize and has to be run again. Odoo does that after a random wait of up to
several seconds. For calls that add to a busy record that is far too long, and without
a wait they would collide again and again. So they queue: whoever collided takes his
turn by an advisory lock of the database, which all workers share, *before* the
transaction gets its snapshot, and from then on sees what those before him committed.
"""

# Whoever stands at the beginning of a transaction may end it.
# pylint: disable=invalid-commit

import hashlib
import time
from contextlib import contextmanager

from odoo.exceptions import ConcurrencyError
from odoo.http import request
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.service.server import thread_local
from odoo.tools import SQL

COLLISIONS = (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, ConcurrencyError)
# Those who do not queue may still win against the one whose turn it is.
_TRIES = 5
# Whoever waits longer for his turn is left to Odoo, which tries again later.
_PATIENCE = "20s"
# How long all queue, without trying first, where somebody has collided, in seconds
_BUSY_SECONDS = 5.0
_MOST_BUSY = 1000
# The names that the call in progress on a cursor has collected
_NAMES = "qms_contention_names"

# {(database, name): until when it is busy}, of this process
_busy = {}


def is_outermost(model, method):
    """Tell whether a request called this very method, and nothing before it.

    Only then can the transaction be run again without losing what somebody else did
    in it.

    :param str model: name of the model
    :param str method: name of the public method
    :rtype: bool
    """
    # JSON-2 alone does not note what it calls.
    return thread_local.rpc_model_method == f"{model}.{method}" or bool(
        request and request.httprequest.path == f"/json/2/{model}/{method}"
    )


def collect(env, names):
    """Note what the call in progress is going to change, if it can be run again.

    :param names: see :func:`run_again_at_once`
    :return: whether there is such a call
    :rtype: bool
    """
    collected = getattr(env.cr, _NAMES, None)
    if collected is None:
        return False
    collected.update(names)
    return True


def run_again_at_once(env, call, names=(), rewind=None):
    """Run a call, and again when its transaction collides with another one.

    To be used by whoever stands at the beginning of a transaction; it may end it.

    :param odoo.api.Environment env: of the transaction
    :param call: function without arguments; all it does is in the database
    :param names: what it changes, by the same names in all calls that change it, such
        as ``"qms.sop.run,5"``; others may be noted by :func:`collect`
    :param rewind: function that brings what the call reads back to its beginning
    :return: what ``call`` returns
    """
    cr = env.cr
    collected = set(names)
    setattr(cr, _NAMES, collected)
    try:
        if not any(_is_busy(cr, name) for name in collected):
            try:
                result = call()
                cr.flush()
                return result
            except COLLISIONS:
                _start_over(env, rewind)
                _note_busy(cr, collected)
        else:
            # What is read by now, such as who it is, is as good as it was; but it is
            # of a time before the turn.
            cr.commit()
            env.transaction.reset()
        with _turn(cr, sorted(collected)):
            for left in reversed(range(_TRIES)):
                try:
                    result = call()
                    # Before the next one has his turn
                    cr.commit()
                    return result
                except COLLISIONS:
                    if not left:
                        raise
                    _start_over(env, rewind)
    finally:
        delattr(cr, _NAMES)
    raise AssertionError("unreachable")


def _start_over(env, rewind):
    """Undo a transaction, with all that is kept of it in memory."""
    env.cr.rollback()
    env.transaction.reset()
    env.registry.reset_changes()
    if rewind:
        rewind()


@contextmanager
def _turn(cr, names):
    """Wait for one's turn with everything named, and end it.

    Each step is a transaction of its own: the one that follows must begin, and get its
    snapshot, after the wait; and the turn ends after it was committed or undone.
    """
    keys = [_key(name) for name in names]
    held = []
    try:
        for key in keys:
            cr.execute(SQL("SET LOCAL lock_timeout = %s", _PATIENCE))
            cr.execute(SQL("SELECT pg_advisory_lock(%s)", key))
            held.append(key)
            cr.commit()
        yield
    finally:
        # A connection that is lost has lost its locks, too.
        if held and not cr.closed:
            cr.rollback()
            for key in held:
                cr.execute(SQL("SELECT pg_advisory_unlock(%s)", key))
            cr.commit()


def _key(name):
    """Return the number of an advisory lock.

    :rtype: int
    """
    digest = hashlib.blake2b(f"qms_sop {name}".encode(), digest_size=8)
    return int.from_bytes(digest.digest(), signed=True)


def _is_busy(cr, name):
    return _busy.get((cr.dbname, name), 0) > time.monotonic()


def _note_busy(cr, names):
    now = time.monotonic()
    if len(_busy) >= _MOST_BUSY:
        for place, until in list(_busy.items()):
            if until <= now:
                _busy.pop(place, None)
    for name in names:
        _busy[cr.dbname, name] = now + _BUSY_SECONDS
