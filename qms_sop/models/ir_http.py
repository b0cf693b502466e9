from werkzeug.exceptions import MethodNotAllowed, NotFound

from odoo import models
from odoo.http import request

from .run.qms_sop_run import STATUS_TOKEN_PREFIX

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class IrHttp(models.AbstractModel):
    """Routing under /api/v1."""

    _inherit = "ir.http"

    @classmethod
    def _match(cls, path_info):
        if not path_info.startswith("/api/v1/"):
            return super()._match(path_info)
        try:
            return super()._match(path_info)
        except MethodNotAllowed as error:
            # The routing map knows of the catch-all, which has nearly every method.
            error.valid_methods = sorted(cls._qms_allowed_methods(path_info))
            raise error if error.valid_methods else NotFound() from error
        except ValueError as error:
            # An id with more digits than Python converts.
            raise NotFound() from error

    @classmethod
    def _qms_allowed_methods(cls, path):
        """Return the methods of the operations at a path of the API.

        :param str path: the whole path
        :return: HTTP methods; empty when there is nothing at the path
        :rtype: set[str]
        """
        environ = request.httprequest.environ
        adapter = request.env["ir.http"].routing_map().bind_to_environ(environ)
        methods = set()
        for method in _METHODS:
            rule, _arguments = adapter.match(path, method, return_rule=True)
            if not rule.endpoint.routing.get("qms_catch_all"):
                methods.add(method)
        if "GET" in methods:
            methods.add("HEAD")
        return methods | {"OPTIONS"} if methods else methods

    @classmethod
    def _auth_method_qms_status(cls):
        """Let the status link of a run in without a key, and nothing else."""
        token = request.httprequest.path.rpartition("/")[2]
        if token.startswith(STATUS_TOKEN_PREFIX):
            cls._auth_method_public()
        else:
            cls._auth_method_bearer()

    @classmethod
    def _auth_method_qms_optional(cls):
        """Take a key when one is sent, and refuse a wrong one; else anybody may ask.

        For what tells a stranger less than somebody with a key.
        """
        if request.httprequest.environ.get("HTTP_AUTHORIZATION"):
            cls._auth_method_bearer()
        else:
            cls._auth_method_public()
