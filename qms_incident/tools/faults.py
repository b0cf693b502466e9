"""Refusals that list what is missing."""

from odoo.exceptions import UserError


class NotReadyError(UserError):
    """Something has to be there first.

    :ivar list qms_errors: dicts with ``field`` (a stable code) and ``detail``; the REST
        API lists them in the problem document
    """

    def __init__(self, message, missing):
        """
        :param str message: what is refused
        :param list missing: dicts with ``code`` and ``text``
        """
        lines = [f"- {one['text']} [{one['code']}]" for one in missing]
        super().__init__("\n".join([message, *lines]))
        self.qms_errors = [
            {"field": one["code"], "detail": one["text"]} for one in missing
        ]
