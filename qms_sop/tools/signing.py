"""Refusals of those who sign."""

from odoo.exceptions import UserError


class SigningRefusedError(UserError):
    """Who signs has not shown to be the one."""

    http_status = 403


class SigningLockedError(UserError):
    """Too many wrong passwords: signing is locked for a while."""

    http_status = 429
