"""Safe retries of public model methods."""

import functools
import inspect


def idempotent(method):
    """Make a public model method safe to retry by its ``idempotency_key``.

    The first call with a key stores its answer in the same transaction as its
    effect; a later call of the same user with the same key and the same
    arguments gets that answer and changes nothing. The same key with other
    arguments is refused (see ``qms.idempotency.key``).

    Goes *under* ``checked``, so that only well-formed calls are remembered.

    :param method: a method with a keyword ``idempotency_key`` that returns a
        JSON-serializable value
    :return: the wrapped method, with the same signature
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        arguments = signature.bind(self, *args, **kwargs).arguments
        key = arguments.pop("idempotency_key", None)
        if not key:
            return method(self, *args, **kwargs)
        arguments.pop("self")
        return self.env["qms.idempotency.key"]._once(
            key,
            f"{self._name}.{method.__name__}",
            {"ids": self.ids, **arguments},
            lambda: method(self, *args, **kwargs),
        )

    return wrapper
