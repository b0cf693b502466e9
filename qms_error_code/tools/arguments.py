"""Checks of the arguments that reach public model methods over RPC."""

import functools
import inspect
import typing

from pydantic import ConfigDict, TypeAdapter
from pydantic import ValidationError as ArgumentError

from odoo.exceptions import ValidationError

# A client that sends "5" for a number, or 1 for a flag, is told so: a guess
# about a record that auditors will read is worse than an error.
_CONFIG = ConfigDict(strict=True, arbitrary_types_allowed=True)


def checked(method=None, *, stored=True):
    """Check the arguments of a public model method against its annotations.

    XML-RPC and JSON-2 pass on whatever the client sent; a wrong type would
    surface as a traceback. Every annotated parameter is validated by pydantic
    (strictly: no conversions), and every misuse (missing, unknown or wrongly
    typed argument) raises a :class:`ValidationError` that names the parameter,
    the value and what is accepted.

    XML-RPC without ``allow_none`` has no ``None``: ``False`` is taken for it
    wherever ``None`` is accepted and a boolean is not.

    :param method: a function ``(self, ...)`` with annotated parameters
    :param bool stored: whether texts may end up in the database, which cannot hold
        NUL characters; ``@checked(stored=False)`` lets them pass
    :return: the wrapped function, with the same signature
    """
    if method is None:
        return functools.partial(checked, stored=stored)
    signature = inspect.signature(method)
    hints = typing.get_type_hints(method)
    adapters = {
        name: TypeAdapter(hints[name], config=_CONFIG)
        for name in list(signature.parameters)[1:]
        if name in hints
    }
    none_for_false = {
        name
        for name in adapters
        if type(None) in typing.get_args(hints[name])
        and bool not in typing.get_args(hints[name])
    }

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            accepted = ", ".join(list(signature.parameters)[1:])
            raise ValidationError(
                self.env._(
                    "%(method)s: %(error)s. Accepted arguments: %(accepted)s.",
                    method=method.__name__,
                    error=error,
                    accepted=accepted,
                )
            ) from None
        for name, adapter in adapters.items():
            if name not in bound.arguments:
                continue
            value = bound.arguments[name]
            if value is False and name in none_for_false:
                value = None
            try:
                bound.arguments[name] = adapter.validate_python(value)
            except ArgumentError as error:
                raise ValidationError(_describe(self.env, name, value, error)) from None
            if stored and _has_nul(value):
                raise ValidationError(
                    self.env._(
                        "Argument %(name)s: text with a NUL character cannot be "
                        "stored; remove it.",
                        name=name,
                    )
                )
        return method(*bound.args, **bound.kwargs)

    return wrapper


def _has_nul(value):
    """Tell whether PostgreSQL would refuse a text in the value."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(_has_nul, (*value.keys(), *value.values())))
    return isinstance(value, list | tuple) and any(map(_has_nul, value))


def _describe(env, name, value, error):
    """Say in one sentence which argument is wrong, and what is accepted.

    :param str name: the parameter
    :param value: what the client sent
    :param pydantic.ValidationError error: what pydantic found
    :rtype: str
    """
    problems = []
    for detail in error.errors(include_url=False, include_input=False):
        path = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}"
            for part in detail["loc"]
            if not (isinstance(part, str) and "[" in part)
        )
        problems.append(f"{path.lstrip('.')} {detail['msg']}".strip())
    shown = repr(value)
    if len(shown) > 80:
        shown = f"{shown[:77]}..."
    return env._(
        "Argument %(name)s: %(value)s is not accepted (%(problems)s).",
        name=name,
        value=shown,
        problems="; ".join(dict.fromkeys(problems)),
    )
