"""Safe retries of public model methods."""

import functools
import inspect

from .contention import collect, is_outermost, run_again_at_once


def idempotent(method):
    """Make a public model method safe to retry by its ``idempotency_key``.

    The first call with a key stores its answer in the same transaction as its
    effect; a later call of the same user with the same key and the same
    arguments gets that answer and changes nothing. The same key with other
    arguments is refused (see ``qms.idempotency.key``).

    When a request that calls the method collides with another one on the same
    records, it is run again at once (see :mod:`.contention`).

    Goes *under* ``checked``, so that only well-formed calls are remembered.

    :param method: a method with a keyword ``idempotency_key`` that returns a
        JSON-serializable value
    :return: the wrapped method, with the same signature
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        names = [f"{self._name},{record_id}" for record_id in self.ids]
        call = functools.partial(_once, signature, method, self, args, kwargs)
        if collect(self.env, names) or not is_outermost(self._name, method.__name__):
            return call()
        return run_again_at_once(self.env, call, names)

    return wrapper


def _once(signature, method, records, args, kwargs):
    """Call a method, unless its ``idempotency_key`` has an answer already."""
    arguments = signature.bind(records, *args, **kwargs).arguments
    key = arguments.pop("idempotency_key", None)
    if not key:
        return method(records, *args, **kwargs)
    del arguments["self"]
    return records.env["qms.idempotency.key"]._once(
        key,
        f"{records._name}.{method.__name__}",
        {"ids": records.ids, **arguments},
        lambda: method(records, *args, **kwargs),
    )
