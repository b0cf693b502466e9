"""Refusals that say more than their message: which argument, which kind."""

from contextlib import contextmanager

from odoo.exceptions import UserError, ValidationError


class StaleVersionError(UserError):
    """What the client wants to change is no longer what it has read."""

    http_status = 412


class TooLargeError(ValidationError):
    """More bytes than are kept of one thing."""

    http_status = 413


class KeyReusedError(ValidationError):
    """An idempotency key came back with another request."""

    problem_type = "idempotency-key-reused"


@contextmanager
def at_field(name):
    """Say of refusals raised inside which argument is at fault.

    The REST API names it in the problem document; the message stays as it is.

    :param str name: the argument, as clients call it
    """
    try:
        yield
    except UserError as error:
        if not hasattr(error, "qms_field"):
            error.qms_field = name
        raise
